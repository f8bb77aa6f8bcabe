"""Which model acts, changed with all that hangs on it: what stands in shadow, and the way back to the former champion."""

from sqlalchemy import insert
from sqlalchemy.orm import Session

from db.tables import Model, Person, Proposal, Signature
from review_queue import acting, activity, challenges, clock, notices, projects, replays
from review_queue.activity import Actor
from review_queue.challenges import Challenge
from review_queue.errors import Forbidden

BACK = "rollback"


def take_over(
    session: Session,
    project_id: int,
    wanted: int,
    against: int | None,
    *,
    by: Actor | None,
    draw_key_id: int,
    cause: acting.Cause,
) -> None:
    """Let a model act from the next batch on, as `acting.take_over` does, with the evidence that it brings along; the one that
    acted goes into its shadow."""
    acting.take_over(session, project_id, wanted, against, by=by, draw_key_id=draw_key_id, cause=cause)
    replays.fill(session, project_id)
    challenges.follow(session, projects.by_id(session, project_id), wanted, against, cause, by)


def way_back(session: Session, project_id: int) -> Challenge | None:
    """The former champion while it stands in shadow beside the one that acts: it may come back at once."""
    stood = challenges.standing_as(session, project_id, "former")
    if stood is None or stood.against_id != acting.model_id(session, project_id):
        return None
    if stood.until is not None and stood.until <= clock.now():
        return None
    project, former = projects.by_id(session, project_id).project, session.get_one(Model, stood.model_id)
    return stood if set(former.labels) <= set(project.labels) and not project.external else None


def step_back(session: Session, stood: Challenge, *, by: Actor | None, draw_key_id: int, why: str) -> int:
    """The former champion acts again from the next batch on: by one person, or by None, the evidence. The proposal that says so.

    Raises Forbidden for services, the known answers and whoever is below lead; Refused where another model acts by now.
    """
    if by is not None:
        require_brake(session, by)
    ids = stood.project_id, stood.model_id, stood.against_id
    take_over(session, *ids, by=by, draw_key_id=draw_key_id, cause="rollback")
    proposal_id = _noted(session, stood, by, why)
    after = {"proposal": str(proposal_id), "why": why}
    activity.record(session, by, "model.rollback", f"model:{stood.version}", project_id=stood.project_id, after=after)
    return proposal_id


def require_brake(session: Session, by: Actor) -> None:
    """Raises Forbidden for services, the known answers and whoever is below lead."""
    if session.get_one(Person, by.id).kind != "person" or by.known_answers:
        raise Forbidden("only people bring the former champion back: not services, and not the known answers")
    if not by.at_least("lead"):
        raise Forbidden(f"{by.name} is a {by.role}; the former champion is brought back by leads and owners")


def back_by_evidence(session: Session, project_id: int, draw_key_id: int, why: str) -> bool:
    """What the evidence does where it speaks against the model that acts, while the former one stands in shadow: False where
    none does. Once a promotion: after it, nothing stands there."""
    stood = way_back(session, project_id)
    if stood is None:
        return False
    step_back(session, stood, by=None, draw_key_id=draw_key_id, why=why)
    _tell(session, stood, f"Model {stood.version} acts again instead of model {stood.against}: {why}.")
    return True


def tell_way_back(session: Session, project_id: int, why: str) -> bool:
    """The same where the policy wants to be told alone; False where none stands there, or it is told already."""
    stood = way_back(session, project_id)
    mend = "`signoff model rollback` brings it back"
    return stood is not None and _tell(
        session, stood, f"Model {stood.version} acted before model {stood.against}: {why}; {mend}."
    )


def _tell(session: Session, stood: Challenge, said: str) -> bool:
    figures = {"version": stood.version, "against": stood.against}
    return notices.open_notice(session, stood.project_id, BACK, f"model {stood.against}", said, figures)


def _noted(session: Session, stood: Challenge, by: Actor | None, why: str) -> int:
    row = {
        "project_id": stood.project_id,
        "kind": "rollback",
        "model_id": stood.model_id,
        "against_id": stood.against_id,
        "why": why,
        "signers": int(by is not None),
        "state": "applied",
        "made_by": by.id if by else None,
        "made_at": clock.now(),
        "applied_at": clock.now(),
    }
    proposal_id = session.scalars(insert(Proposal).returning(Proposal.id), row).one()
    if by is not None:
        session.execute(insert(Signature).values(proposal_id=proposal_id, person_id=by.id, signed_at=clock.now()))
    return proposal_id

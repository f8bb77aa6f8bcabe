"""Steps of autonomy, up and down: each a row with all that it rests on. A rise acts once enough people signed, a fall at once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.tables import AutonomyEvent, AutonomySignature, Person, ProjectControl
from review_queue import activity, clock, events, permits
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.permits import Permit, Standing
from review_queue.terms import Terms

LATEST = 100
_CODE = ("audits", "betting", "evidence", "ladder", "steps", "terms")
"""Modules whose text is the code version of a step."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a step rests on: counts, e-value (as a logarithm), the error it is about, and the chance of being wrong."""

    counts: Mapping[str, Any]
    log_e: float | None = None
    alpha: float | None = None
    delta: float | None = None


NONE = Grounds({})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What becomes of the permit: other terms, another standing of one unit, shadow or not, other conditions under which nothing
    acts alone; or a freeze that is lifted."""

    terms: Terms | None = None
    unit: str = ""
    standing: Standing | None = None
    shadow: bool | None = None
    frozen: bool | None = None
    kept: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"unit": self.unit}
        if self.terms is not None:
            body["terms"] = self.terms.to_json()
        if self.standing is not None:
            body["standing"] = self.standing.to_json()
        if self.shadow is not None:
            body["shadow"] = self.shadow
        if self.frozen is not None:
            body["frozen"] = self.frozen
        if self.kept is not None:
            body["kept"] = list(self.kept)
        return body

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> "Wanted":
        return cls(
            Terms.of_json(body["terms"]) if "terms" in body else None,
            body["unit"],
            Standing.of_json(body["standing"]) if "standing" in body else None,
            body.get("shadow"),
            body.get("frozen"),
            tuple(body["kept"]) if "kept" in body else None,
        )

    def over(self, permit: Permit) -> Permit:
        """The permit with this in it. What is earned is earned again where thresholds acted as written in between."""
        units = {**permit.units, self.unit: self.standing} if self.standing is not None else permit.units
        if self.terms is not None and self.terms.autonomy != permit.terms.autonomy:
            units = {}
        shadow = permit.shadow if self.shadow is None else self.shadow
        return Permit(self.terms or permit.terms, units, shadow, permit.kept if self.kept is None else self.kept)


@dataclass(frozen=True, slots=True)
class Step:
    """`state`: open, applied or withdrawn. `signed_by` in the order of signing."""

    id: int
    unit: str
    kind: str
    from_level: str
    to_level: str
    cause: str
    wanted: Wanted
    grounds: Grounds
    code_version: str
    signers: int
    signed_by: tuple[str, ...]
    state: str
    made_by: str | None
    made_at: datetime
    ended_at: datetime | None
    period_id: int | None
    policy_version_id: int
    routing_rule_id: int | None


@cache
def code_version() -> str:
    """The release, and a hash over the modules that decide what evidence allows."""
    here = Path(__file__).parent
    held = hashlib.sha256()
    for name in _CODE:
        held.update((here / f"{name}.py").read_bytes())
    return f"{metadata.version('signoff')}+{held.hexdigest()[:12]}"


def offer(
    session: Session,
    project_id: int,
    levels: tuple[str, str],
    cause: str,
    wanted: Wanted,
    grounds: Grounds = NONE,
    *,
    signers: int,
    period_id: int | None = None,
    by: Actor | None,
) -> int:
    """Put a rise up for signing, in the place of an open one of the same unit; its id. Call under rules.lock."""
    withdraw_open(session, project_id, wanted.unit)
    step = _insert(session, project_id, "rise", levels, cause, wanted, grounds, signers, period_id, by, "open")
    after = {"step": str(step), "from": levels[0], "to": levels[1], "unit": wanted.unit, "cause": cause}
    activity.record(session, by, "autonomy.propose", f"step:{step}", project_id=project_id, after=after)
    return step


def sign(session: Session, step_id: int, *, by: Actor) -> bool:
    """Put one's name under a rise; True where that was the last one needed: the permit is another now, and the caller renews
    the rule. Call under rules.lock.

    Raises NotFound, Refused where it is over; Forbidden for whoever may not sign.
    """
    row = open_row(session, step_id)
    require_signer(session, by.within(row.project_id), row.signers)
    if session.get(AutonomySignature, (step_id, by.id)) is None:
        session.execute(insert(AutonomySignature).values(event_id=step_id, person_id=by.id, via=by.via, signed_at=clock.now()))
        activity.record(session, by.within(row.project_id), "autonomy.sign", f"step:{step_id}", project_id=row.project_id)
    if len(_signed_by(session, step_id)) < row.signers:
        return False
    _grant(session, row)
    return True


def withdraw(session: Session, step_id: int, *, by: Actor) -> None:
    """Take an open rise off the table. Raises NotFound; Refused where it is over; Forbidden below owner."""
    row = open_row(session, step_id)
    here = by.within(row.project_id)
    if not here.at_least("owner"):
        raise Forbidden(f"{by.name} is a {here.role}; a rise is proposed, signed and withdrawn by owners")
    row.state, row.ended_at = "withdrawn", clock.now()
    activity.record(session, here, "autonomy.withdraw", f"step:{step_id}", project_id=row.project_id)
    session.flush()


def fall(
    session: Session,
    project_id: int,
    levels: tuple[str, str],
    cause: str,
    wanted: Wanted,
    grounds: Grounds = NONE,
    *,
    period_id: int | None = None,
    by: Actor | None = None,
    verb: str = "autonomy.fall",
) -> int:
    """Take a permit back at once, and the open rise of the unit with it; the caller renews the rule. Call under rules.lock."""
    withdraw_open(session, project_id, wanted.unit)
    step = _insert(session, project_id, "fall", levels, cause, wanted, grounds, 0, period_id, by, "applied")
    permit = permits.read(session, project_id)
    if permit is not None:
        permits.write(session, project_id, wanted.over(permit))
    after = {"step": str(step), "from": levels[0], "to": levels[1], "unit": wanted.unit, "cause": cause}
    activity.record(session, by, verb, f"step:{step}", project_id=project_id, after=after)
    _tell(session, project_id, wanted.unit, levels, cause)
    return step


def begin_anew(session: Session, project_id: int, period_id: int, permit: Permit, cause: str) -> Permit:
    """A new evidence period: every unit that had climbed stands at assist again, and what was kept from acting alone is judged
    anew; where thresholds act as written it stays kept."""
    for name, standing in permit.units.items():
        if standing.acts:
            fall(
                session,
                project_id,
                (standing.level, "assist"),
                f"a new evidence period began ({cause})",
                Wanted(unit=name, standing=permits.ASSIST),
                period_id=period_id,
            )
    held = replace(permit, units={}, kept=permit.kept if permit.terms.autonomy == "set" else ())
    permits.write(session, project_id, held)
    return held


def require_signer(session: Session, by: Actor, signers: int) -> None:
    """Raises Forbidden for services, the known answers, people who are no owners; and, where several sign, for whoever nobody
    vouches for: they need a password, a provider or a key of their own."""
    row = session.get_one(Person, by.id)
    if row.kind != "person" or by.known_answers or by.recorded_by is not None:
        raise Forbidden("only people sign, in their own name: not services, and not the known answers")
    if not by.at_least("owner"):
        raise Forbidden(f"{by.name} is a {by.role}; a rise is signed by owners")
    known = row.password_hash is not None or row.subject is not None
    if signers > 1 and not (by.via == "api" or (by.via == "desk" and known)):
        raise Forbidden(
            f"{signers} people sign here, each signed in at the desk or with a key of their own, not at this command line"
        )


def may_sign(session: Session, by: Actor, signers: int) -> bool:
    """Whether this person's name counts where so many sign."""
    try:
        require_signer(session, by, signers)
    except Forbidden:
        return False
    return True


def open_row(session: Session, step_id: int) -> AutonomyEvent:
    """An open rise, locked. Raises NotFound, Refused."""
    row = session.scalar(select(AutonomyEvent).where(AutonomyEvent.id == step_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no step {step_id}")
    if row.state != "open":
        raise Refused(f"step {step_id} is {row.state} already")
    return row


def latest(session: Session, project_id: int, limit: int = LATEST) -> list[Step]:
    """The latest steps, newest first."""
    query = select(AutonomyEvent).where(AutonomyEvent.project_id == project_id).order_by(AutonomyEvent.id.desc()).limit(limit)
    return [_step(session, row) for row in session.scalars(query)]


def step(session: Session, step_id: int) -> Step:
    """Raises NotFound."""
    row = session.get(AutonomyEvent, step_id)
    if row is None:
        raise NotFound(f"there is no step {step_id}")
    return _step(session, row)


def standing_offers(session: Session, project_id: int) -> list[Step]:
    """Rises that wait for signatures."""
    query = select(AutonomyEvent).where(AutonomyEvent.project_id == project_id, AutonomyEvent.state == "open")
    return [_step(session, row) for row in session.scalars(query.order_by(AutonomyEvent.id))]


def made_rule(session: Session, step_id: int, rule_id: int | None) -> None:
    """Note which rule a step made."""
    session.execute(update(AutonomyEvent).where(AutonomyEvent.id == step_id).values(routing_rule_id=rule_id))


def _grant(session: Session, row: AutonomyEvent) -> None:
    wanted, permit = Wanted.of_json(row.asked), permits.read(session, row.project_id)
    if permit is None:
        if wanted.terms is None:
            raise Refused("nothing was granted to this project yet; apply its policy first")
        permit = Permit(wanted.terms)
    permits.write(session, row.project_id, wanted.over(permit))
    if wanted.frozen is False:
        session.execute(update(ProjectControl).where(ProjectControl.project_id == row.project_id).values(frozen_at=None))
    row.state, row.ended_at = "applied", clock.now()
    session.flush()
    _tell(session, row.project_id, row.unit, (row.from_level, row.to_level), row.cause)


def _tell(session: Session, project_id: int, unit: str, levels: tuple[str, str], cause: str) -> None:
    body = {"unit": unit, "from": levels[0], "to": levels[1], "cause": cause}
    events.announce(session, project_id, "autonomy.changed", body, item_id=None)


def withdraw_open(session: Session, project_id: int, unit: str) -> None:
    """What was put up for signing before something spoke against it is to be asked for again."""
    ours = (AutonomyEvent.project_id == project_id, AutonomyEvent.unit == unit, AutonomyEvent.state == "open")
    session.execute(update(AutonomyEvent).where(*ours).values(state="withdrawn", ended_at=clock.now()))


def _insert(
    session: Session,
    project_id: int,
    kind: str,
    levels: tuple[str, str],
    cause: str,
    wanted: Wanted,
    grounds: Grounds,
    signers: int,
    period_id: int | None,
    by: Actor | None,
    state: str,
) -> int:
    policy = select(ProjectControl.policy_version_id).where(ProjectControl.project_id == project_id)
    row = {
        "project_id": project_id,
        "period_id": period_id,
        "policy_version_id": session.scalars(policy).one(),
        "unit": wanted.unit,
        "kind": kind,
        "from_level": levels[0],
        "to_level": levels[1],
        "cause": cause,
        "asked": wanted.to_json(),
        "counts": dict(grounds.counts),
        "log_e": grounds.log_e,
        "alpha": grounds.alpha,
        "delta": grounds.delta,
        "code_version": code_version(),
        "signers": signers,
        "state": state,
        "made_by": by.id if by else None,
        "made_at": clock.now(),
        "ended_at": clock.now() if state == "applied" else None,
    }
    return session.scalars(insert(AutonomyEvent).returning(AutonomyEvent.id), row).one()


def _signed_by(session: Session, step_id: int) -> Sequence[str]:
    query = select(Person.name).join(AutonomySignature, AutonomySignature.person_id == Person.id)
    return session.scalars(query.where(AutonomySignature.event_id == step_id).order_by(AutonomySignature.signed_at)).all()


def _step(session: Session, row: AutonomyEvent) -> Step:
    made_by = session.get(Person, row.made_by) if row.made_by is not None else None
    return Step(
        id=row.id,
        unit=row.unit,
        kind=row.kind,
        from_level=row.from_level,
        to_level=row.to_level,
        cause=row.cause,
        wanted=Wanted.of_json(row.asked),
        grounds=Grounds(row.counts, row.log_e, row.alpha, row.delta),
        code_version=row.code_version,
        signers=row.signers,
        signed_by=tuple(_signed_by(session, row.id)),
        state=row.state,
        made_by=made_by.name if made_by else None,
        made_at=row.made_at,
        ended_at=row.ended_at,
        period_id=row.period_id,
        policy_version_id=row.policy_version_id,
        routing_rule_id=row.routing_rule_id,
    )

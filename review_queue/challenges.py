"""Models in shadow: one that wants to act, or did before, predicts beside the one that acts, and acts on nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import Session, aliased

from contract.project import EXTERNAL
from db.statements import finds
from db.tables import Challenge as ChallengeRow
from db.tables import Model, Work
from review_queue import acting, activity, clock, projects, rules
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, NotYet, Refused
from review_queue.projects import Setting

Kind = Literal["challenger", "former"]
End = Literal["promoted", "replaced", "withdrawn", "over"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """A model that predicts beside `against_id`, which acts. `share`: of the cases on which they differ that people look at."""

    id: int
    project_id: int
    model_id: int
    version: int
    against_id: int
    against: int
    kind: Kind
    share: float
    begun_at: datetime
    until: datetime | None
    ended_at: datetime | None
    ended_as: str | None


def begin(
    session: Session,
    setting: Setting,
    model_id: int,
    *,
    kind: Kind = "challenger",
    share: float | None = None,
    by: Actor | None = None,
) -> Challenge:
    """Let a model (an id of the model table) predict beside the one that acts; one of its kind that stood there is replaced.

    `share`: of the cases on which the two differ that people look at, the policy's where left out. None as `by`: nobody asked.
    Raises Forbidden below lead, NotFound, NotYet before a model acts, Refused for a model that cannot stand there.
    """
    here = _lead(by, setting.id)
    rules.lock(session, setting.id)
    setting = projects.by_id(session, setting.id)
    against_id = acting.model_id(session, setting.id)
    _refuse_misfit(session, setting, model_id, against_id, kind)
    share = setting.policy.shadow.disagreements if share is None else share
    if not 0 <= share <= 1:
        raise Refused(f"a share of {share:g} is none; name one from 0 (people look at no case) to 1 (at every one)")
    stood = standing_as(session, setting.id, kind)
    if stood is not None and (stood.model_id, stood.against_id, stood.share) == (model_id, against_id, share):
        return stood
    if stood is not None:
        close(session, stood, "replaced")
    return _open(session, setting, model_id, cast(int, against_id), kind, share, here)


def end(session: Session, setting: Setting, *, kind: Kind = "challenger", by: Actor | None = None) -> Challenge:
    """Take a model out of shadow; what it said stays. Raises Forbidden below lead, NotFound where none stands there."""
    here = _lead(by, setting.id)
    rules.lock(session, setting.id)
    stood = standing_as(session, setting.id, kind)
    if stood is None:
        called = "no model" if kind == "challenger" else "no former champion"
        raise NotFound(f"{called} is in shadow in {setting.name}; `signoff model shadow VERSION` puts one there")
    close(session, stood, "withdrawn")
    activity.record(session, here, "model.shadow_end", f"model:{stood.version}", project_id=setting.id, after={"kind": kind})
    return challenge(session, stood.id)


def model_of(session: Session, setting: Setting, version: int) -> int:
    """The id of a version of the project. Raises NotFound."""
    query = select(Model.id).where(Model.project_id == setting.id, Model.version == version)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"there is no model version {version}; `signoff model list` shows them")
    return found


def standing(session: Session, project_id: int) -> list[Challenge]:
    """Those that predict now: the challenger, then the former champion."""
    rows = session.execute(_query().where(ChallengeRow.project_id == project_id, ChallengeRow.ended_at.is_(None)))
    return sorted((_challenge(*each) for each in rows), key=lambda each: each.kind)


def standing_as(session: Session, project_id: int, kind: Kind) -> Challenge | None:
    """The one of this kind that predicts now."""
    return next((each for each in standing(session, project_id) if each.kind == kind), None)


def challenge(session: Session, challenge_id: int) -> Challenge:
    """Raises NotFound."""
    row = session.execute(_query().where(ChallengeRow.id == challenge_id).execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFound(f"there is no challenge {challenge_id}")
    return _challenge(*row)


def follow(session: Session, setting: Setting, wanted: int, against: int | None, cause: acting.Cause, by: Actor | None) -> None:
    """After another model took over: what stood beside the old one ends, goes on beside the new one, or begins.

    The former champion goes into shadow after a promotion and not after a rollback, so that nothing swings to and fro.
    """
    for each in standing(session, setting.id):
        close(session, each, "promoted" if each.model_id == wanted and cause == "promote" else "replaced")
        if each.kind == "challenger" and each.model_id != wanted:
            _open(session, setting, each.model_id, wanted, "challenger", each.share, by)
    keeps = setting.policy.shadow.former
    if cause == "promote" and against is not None and keeps != "off" and _is_here(session, against):
        _open(session, setting, against, wanted, "former", setting.policy.shadow.disagreements, by)


def is_over(session: Session) -> bool:
    """Whether a time in shadow has passed."""
    return finds(session, _over())


def end_over(session: Session) -> int:
    """End those whose time has passed; how many."""
    rows = session.scalars(_over().with_for_update(skip_locked=True)).all()
    for row in rows:
        close(session, challenge(session, row.id), "over")
    return len(rows)


def close(session: Session, stood: Challenge, ended_as: End) -> None:
    """End one, with what was still to be scored for it."""
    row = session.get_one(ChallengeRow, stood.id, populate_existing=True)
    row.ended_at, row.ended_as = clock.now(), ended_as
    session.flush()
    if stood.kind == "challenger" and acting.model_id(session, stood.project_id, "challenger") == stood.model_id:
        acting.take(session, stood.project_id, "challenger")
    if not standing(session, stood.project_id):
        session.execute(delete(Work).where(Work.project_id == stood.project_id, Work.kind == "shadow"))


def _open(
    session: Session, setting: Setting, model_id: int, against_id: int, kind: Kind, share: float, by: Actor | None
) -> Challenge:
    keeps, now = setting.policy.shadow.former, clock.now()
    row = {
        "project_id": setting.id,
        "model_id": model_id,
        "against_id": against_id,
        "kind": kind,
        "share": share,
        "begun_at": now,
        "begun_by": by.id if by else None,
        "until": now + keeps if kind == "former" and keeps != "off" else None,
    }
    made = challenge(session, session.scalars(insert(ChallengeRow).returning(ChallengeRow.id), row).one())
    if kind == "challenger":
        acting.give(session, setting.id, "challenger", model_id, by)
    said = {"kind": kind, "against": made.against, "share": share}
    activity.record(session, by, "model.shadow", f"model:{made.version}", project_id=setting.id, after=said)
    return made


def _lead(by: Actor | None, project_id: int) -> Actor | None:
    if by is None:
        return None
    here = by.within(project_id)
    if not here.at_least("lead"):
        raise Forbidden(f"{here.name} is a {here.role}; models go into shadow and out of it by leads and up")
    return here


def _refuse_misfit(session: Session, setting: Setting, model_id: int, against_id: int | None, kind: Kind) -> None:
    wanted = session.get(Model, model_id)
    if wanted is None or wanted.project_id != setting.id:
        raise NotFound(f"{setting.name} has no such model; `signoff model list` shows them")
    if against_id is None:
        raise NotYet(f"no model acts yet, so nothing can stand beside it; `signoff model promote {wanted.version}` lets one act")
    if model_id == against_id:
        raise Refused(f"model {wanted.version} is the champion: it acts, and cannot stand in its own shadow")
    if wanted.trainer == EXTERNAL:
        raise Refused(f"model {wanted.version} answers elsewhere, so nothing here can ask it beside the one that acts")
    if strange := [label for label in wanted.labels if label not in setting.project.labels]:
        raise Refused(f"model {wanted.version} predicts {strange[0]!r}, which the project no longer has; train a new one")
    if any(each.model_id == model_id and each.kind != kind for each in standing(session, setting.id)):
        raise Refused(
            f"model {wanted.version} is in shadow already, as the {'former champion' if kind != 'former' else 'challenger'}"
        )


def _is_here(session: Session, model_id: int) -> bool:
    return session.get_one(Model, model_id).trainer != EXTERNAL


def _over() -> Select[ChallengeRow]:
    passed = (ChallengeRow.ended_at.is_(None), ChallengeRow.until <= clock.now())
    return select(ChallengeRow).where(*passed).order_by(ChallengeRow.id)


def _query() -> Select[ChallengeRow, int, int]:
    theirs, other = aliased(Model), aliased(Model)
    query = select(ChallengeRow, theirs.version, other.version).join(theirs, theirs.id == ChallengeRow.model_id)
    return query.join(other, other.id == ChallengeRow.against_id)


def _challenge(row: ChallengeRow, version: int, against: int) -> Challenge:
    return Challenge(
        id=row.id,
        project_id=row.project_id,
        model_id=row.model_id,
        version=version,
        against_id=row.against_id,
        against=against,
        kind=cast(Kind, row.kind),
        share=row.share,
        begun_at=row.begun_at,
        until=row.until,
        ended_at=row.ended_at,
        ended_as=row.ended_as,
    )

"""Flags: somebody wants a case to be looked at again, whatever its answer. Each person has one of a case; leads put them down."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from db.statements import run
from db.tables import Claim, Flag, Item, ItemKey, Person, Task
from review_queue import activity, clock
from review_queue.activity import Actor
from review_queue.claims import TAKEN, has_seat
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.projects import Setting

MAX_NOTE = 2000
MOST = 200
"""Flags of one list."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """One flag that is up."""

    id: int
    item_id: int
    external_id: str
    person: str
    since: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags of a project, the oldest first. `kept_back`: cases that wait for a blind answer which the reader may give; what
    others think of them is not for them yet."""

    shown: tuple[Flagged, ...]
    kept_back: int


def flag(session: Session, setting: Setting, actor: Actor, item_id: int, note: str | None = None) -> bool:
    """Put this person's flag on a case; False where it is up already, which then stays as it is.

    A reviewer may flag what they hold, answered or skipped, a lead anything. Raises Forbidden, NotFound, Invalid.
    """
    _check(note)
    _allow(session, setting, actor, item_id)
    row = {"project": setting.id, "item": item_id, "person": actor.id, "note": (note or "").strip() or None, "now": clock.now()}
    if not run(session, _PUT, row):
        return False
    activity.record(session, actor, "item.flag", f"item:{item_id}", project_id=setting.id)
    return True


def unflag(session: Session, setting: Setting, actor: Actor, item_id: int) -> bool:
    """Take this person's own flag down; False where there is none."""
    return _end(session, setting, actor, item_id, own=True) > 0


def toggle(session: Session, setting: Setting, actor: Actor, item_id: int) -> bool:
    """Up where it was down, and down where it was up; whether it is up now. Raises Forbidden, NotFound."""
    return not unflag(session, setting, actor, item_id) and flag(session, setting, actor, item_id)


def put_down(session: Session, setting: Setting, item_id: int, *, by: Actor) -> int:
    """A lead has looked: everybody's flags on a case go down; how many. Raises Forbidden, NotFound where none is up."""
    if not by.at_least("lead"):
        raise Forbidden("putting down what others flagged is for leads; your own you may take back")
    ended = _end(session, setting, by, item_id, own=False)
    if not ended:
        raise NotFound(f"there is no flag on this {setting.project.noun} any more")
    return ended


def is_flagged(session: Session, item_id: int, person_id: int) -> bool:
    """Whether this person's flag is on a case. Others' are not theirs to know before they have answered."""
    mine = exists().where(Flag.item_id == item_id, Flag.person_id == person_id, Flag.ended_at.is_(None))
    return bool(session.scalar(select(mine)))


def count(session: Session, project_id: int, most: int = MOST) -> int:
    """How many flags are up, counted to `most` + 1."""
    up = select(Flag.id).where(Flag.project_id == project_id, Flag.ended_at.is_(None)).limit(most + 1)
    return session.scalar(select(func.count()).select_from(up.subquery())) or 0


def listed(session: Session, project_id: int, actor: Actor, limit: int = MOST) -> Flags:
    """A person's own flags; for leads everybody's, but for those on cases that they may still have to answer blind."""
    own = not actor.at_least("lead")
    columns = (Flag.id, Flag.item_id, ItemKey.name, Person.name, Flag.made_at, Flag.note)
    near = select(Flag.id).where(Flag.project_id == project_id, Flag.ended_at.is_(None))
    near = near.where(Flag.person_id == actor.id) if own else near
    page = near.order_by(Flag.made_at, Flag.id).limit(limit).subquery()
    query = select(*columns, Flag.person_id == actor.id, _waits_blind(actor.id)).join(page, page.c.id == Flag.id)
    query = query.join(ItemKey, ItemKey.item_id == Flag.item_id).join(Person, Person.id == Flag.person_id)
    rows = session.execute(query.order_by(Flag.made_at, Flag.id)).tuples().all()
    shown = tuple(Flagged(*row[:6]) for row in rows if row[6] or not row[7])
    return Flags(shown, len({row[1] for row in rows}.difference(each.item_id for each in shown)))


def _waits_blind(person_id: int) -> ColumnElement[bool]:
    """Whether an open blind task of the flagged case may be this person's to answer."""
    theirs = (Claim.item_id == Flag.item_id, Claim.person_id == person_id, Claim.state.in_(TAKEN))  # as the index has it
    seat = exists().where(*theirs, Claim.state == "answered")
    theirs_too = or_(Task.kind != "gold", Task.assignee_id == person_id)
    waits = exists().where(
        Task.item_id == Flag.item_id, Task.blind, Task.state.in_(("pending", "in_progress", "parked")), theirs_too
    )
    return waits & ~seat


def _allow(session: Session, setting: Setting, actor: Actor, item_id: int) -> None:
    if not actor.at_least("reviewer"):
        raise Forbidden("a viewer looks on; flagging cases is for reviewers and up")
    if session.scalar(select(Item.id).where(Item.id == item_id, Item.project_id == setting.id)) is None:
        raise NotFound(f"{setting.project.heading} has no such {setting.project.noun}")
    if not actor.at_least("lead") and not has_seat(session, item_id, actor.id):
        raise Forbidden("flag a case that you hold, answered or skipped; another one is for leads to flag")


def _check(note: str | None) -> None:
    if note is None:
        return
    if len(note) > MAX_NOTE or "\x00" in note or any("\ud800" <= character <= "\udfff" for character in note):
        raise Invalid(f"the note has {len(note):,} characters, a NUL or a lone surrogate; at most {MAX_NOTE:,} are taken")


def _end(session: Session, setting: Setting, by: Actor, item_id: int, *, own: bool) -> int:
    up = update(Flag).where(Flag.item_id == item_id, Flag.project_id == setting.id, Flag.ended_at.is_(None))
    up = up.where(Flag.person_id == by.id) if own else up
    ended = session.scalars(up.values(ended_at=clock.now(), ended_by=by.id).returning(Flag.id)).all()
    if ended:
        after = {"flags": len(ended)}
        activity.record(session, by, "item.unflag", f"item:{item_id}", project_id=setting.id, after=after)
    return len(ended)


_PUT = """INSERT INTO flag (project_id, item_id, person_id, note, made_at)
    VALUES (:project, :item, :person, :note, :now) ON CONFLICT DO NOTHING RETURNING id"""

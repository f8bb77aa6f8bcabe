"""What leaves the house: an outbox that a transaction writes to, and a sequence without gaps that readers follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Insert, Select, any_, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session, aliased

from db.tables import Event, EventHead, Outbox
from db.types import Id
from review_queue import clock, waking

BATCH = 1000
KINDS = (
    "outcome",
    "revision",
    "confirmed",
    "disputed",
    "failed",
    "cancelled",
    "replaced",
    "dataset.created",
    "model.registered",
    "model.promoted",
    "truth",
    "erased",
    "batch.completed",
    "model.offered",
    "autonomy.changed",
    "notice.opened",
)
"""Kinds of events; a test holds what is announced against them."""


@dataclass(frozen=True, slots=True)
class Happened:
    seq: int
    kind: str
    body: dict[str, Any]
    made_at: datetime


def announce(
    session: Session, project_id: int, kind: str, body: dict[str, Any], *, item_id: int | None, ready_at: datetime | None = None
) -> None:
    """Put one event into the outbox, to leave at `ready_at` (now where it is not given)."""
    now = clock.now()
    row = {"project_id": project_id, "kind": kind, "item_id": item_id, "body": body, "made_at": now, "ready_at": ready_at or now}
    session.execute(insert(Outbox).values(row))


def withdraw(session: Session, item_id: int, decision_ids: Sequence[int]) -> set[int]:
    """Take back what these decisions announced and has not left yet; the decisions of which something was taken back.

    Nothing is, where something later about the item waits that was said on top of that; what proved true was not.
    """
    on_top = (Outbox.item_id == item_id, Outbox.kind != "truth")
    waiting = session.execute(select(Outbox.id, Outbox.body).where(*on_top)).all()
    theirs = {row.id: int(row.body["decision"]) for row in waiting if row.body.get("decision") in set(map(str, decision_ids))}
    if any(row.id > min(theirs, default=row.id) for row in waiting if row.id not in theirs):
        return set()
    gone = session.scalars(delete(Outbox).where(Outbox.id.in_(theirs)).returning(Outbox.id)).all()
    return {theirs[each] for each in gone}


def is_ready(session: Session) -> bool:
    """Whether something waits to be put into sequence: a look that costs next to nothing."""
    first = select(Outbox.id).where(Outbox.ready_at <= clock.now()).order_by(Outbox.ready_at).limit(1)
    return session.scalar(first) is not None


def sequence(session: Session) -> int:
    """Move what is ready from the outbox into the sequence, at most BATCH; how many. One process at a time does it.

    An event of an item waits for the earlier ones of that item, so the order per item holds.
    """
    head = session.scalar(select(EventHead.seq).where(EventHead.one == 1).with_for_update(skip_locked=True))
    if head is None or not is_ready(session):
        return 0
    moved = (_move_at_once if session.get_bind().dialect.name == "postgresql" else _move)(session, head)
    if moved:
        waking.call(session, "webhooks")
    return moved


def _ready() -> Select[int]:
    """The next rows to move, by `ready_at`. One leaves only if every older row of its item leaves with it, and before it.

    So it waits while any of them is ready later than the one that follows it: an event about a case whose outcome is held
    back for the undo window, a shorter window, a clock that is behind. What comes after such a pair waits as well, ready or not.
    They are counted, not asked for by EXISTS: PostgreSQL would join them, and scan the table while it knows no better.
    """
    elder = aliased(Outbox)
    falls = func.lag(elder.ready_at).over(order_by=elder.id) > elder.ready_at
    so_far = select(falls.label("falls")).where(elder.item_id == Outbox.item_id, elder.id <= Outbox.id).correlate(Outbox)
    pairs = so_far.subquery()
    held_by = select(func.count()).select_from(pairs).where(pairs.c.falls).scalar_subquery()
    return select(Outbox.id).where(Outbox.ready_at <= clock.now(), held_by == 0).order_by(Outbox.ready_at, Outbox.id).limit(BATCH)


def _move_at_once(session: Session, head: int) -> int:
    """In one statement: a second one would see what others committed meanwhile. As an array the ids are never joined by scan."""
    chosen = Outbox.id == any_(func.array(_ready().scalar_subquery()))
    moved = delete(Outbox).where(chosen).returning(*_COLUMNS, Outbox.ready_at, Outbox.id).cte("moved")
    placed = _place(head, moved.c).returning(Event.seq).cte("placed")
    to = literal(head, Id) + select(func.count()).select_from(placed).scalar_subquery()
    return session.scalars(update(EventHead).where(EventHead.one == 1).values(seq=to).returning(EventHead.seq)).one() - head


def _move(session: Session, head: int) -> int:
    """SQLite, whose transaction is alone: number them, then take them out."""
    chosen = Outbox.id.in_(_ready())
    session.execute(_place(head, Outbox, chosen))
    moved = len(session.scalars(delete(Outbox).where(chosen).returning(Outbox.id)).all())
    session.execute(update(EventHead).where(EventHead.one == 1).values(seq=head + moved))
    return moved


def _place(head: int, rows: Any, *which: ColumnElement[bool]) -> Insert:
    """Insert these rows as events, numbered from after `head`."""
    seq = literal(head, Id) + func.row_number().over(order_by=(rows.ready_at, rows.id))
    names = [column.key for column in _COLUMNS]
    return insert(Event).from_select(["seq", *names], select(seq, *(getattr(rows, name) for name in names)).where(*which))


_COLUMNS = (Outbox.project_id, Outbox.kind, Outbox.item_id, Outbox.body, Outbox.made_at)


def after(session: Session, project_id: int, seq: int, *, limit: int = BATCH) -> Sequence[Happened]:
    """The next events of a project after a position."""
    query = select(Event).where(Event.project_id == project_id, Event.seq > seq).order_by(Event.seq).limit(limit)
    return [Happened(row.seq, row.kind, row.body, row.made_at) for row in session.scalars(query)]


def of_item(session: Session, item_id: int) -> Sequence[Happened]:
    """Everything that left the house about one item."""
    query = select(Event).where(Event.item_id == item_id).order_by(Event.seq)
    return [Happened(row.seq, row.kind, row.body, row.made_at) for row in session.scalars(query)]


def head(session: Session) -> int:
    """The last position in the sequence: a watermark."""
    return session.scalar(select(EventHead.seq)) or 0

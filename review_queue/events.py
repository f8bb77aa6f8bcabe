"""What leaves the house: an outbox that a transaction writes to, and a sequence without gaps that readers follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session, aliased

from db.tables import Event, EventHead, Outbox
from review_queue import clock

BATCH = 1000


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
    """Take back what these decisions announced and has not left yet; the decisions of which something was taken back."""
    waiting = session.execute(select(Outbox.id, Outbox.body).where(Outbox.item_id == item_id)).all()
    theirs = {row.id: int(row.body["decision"]) for row in waiting if row.body.get("decision") in set(map(str, decision_ids))}
    gone = session.scalars(delete(Outbox).where(Outbox.id.in_(theirs)).returning(Outbox.id)).all()
    return {theirs[each] for each in gone}


def sequence(session: Session) -> int:
    """Move what is ready from the outbox into the sequence; how many. One process at a time does it.

    An event of an item waits for the earlier ones of that item, so the order per item holds.
    """
    head = session.scalar(select(EventHead.seq).where(EventHead.one == 1).with_for_update(skip_locked=True))
    if head is None:
        return 0
    now, earlier = clock.now(), aliased(Outbox)
    blocked = exists().where(earlier.item_id == Outbox.item_id, earlier.id < Outbox.id, earlier.ready_at > now)
    ready = select(Outbox.id).where(Outbox.ready_at <= now, ~blocked).order_by(Outbox.id).limit(BATCH)
    rows = session.execute(
        delete(Outbox)
        .where(Outbox.id.in_(ready))
        .returning(Outbox.id, Outbox.project_id, Outbox.kind, Outbox.item_id, Outbox.body, Outbox.made_at)
    ).all()
    if rows:
        ordered = sorted(rows, key=lambda row: row.id)
        events = [{**row._asdict(), "seq": head + n} for n, row in enumerate(ordered, 1)]
        session.execute(insert(Event), [{k: v for k, v in event.items() if k != "id"} for event in events])
        session.execute(update(EventHead).where(EventHead.one == 1).values(seq=head + len(rows)))
    return len(rows)


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

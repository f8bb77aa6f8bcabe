"""The deliverer's side of webhooks: one at a time takes a webhook, and says what became of each event.

What is new is taken after the webhook's position; what did not go well has a row and is tried again. Until an event of an
item is delivered, later ones of that item wait behind it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from db.tables import Delivery, Event, Webhook
from review_queue import clock
from review_queue.events import Happened

BATCH = 100
"""Events of one turn; at most half of them are second tries."""
LEASE = timedelta(seconds=60)
"""How long a webhook is one deliverer's. No event is begun after half of it."""
TRIES = 12
FIRST, TIMES, LONGEST = 5.0, 4.0, 5 * 3600.0
"""Seconds after the first failure, how much longer each wait is than the one before, and the longest: 12 tries take 27 hours."""
JITTER = 0.2
PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds that a webhook rests after a turn in which nothing was taken, doubled each time up to the longest."""
PROBES = 8
"""New events that a failing webhook is tried with; the others stay in the sequence."""
DOWN_AFTER = 5
"""Turns without success after which it is the receiver that fails, not an event of it: one probe is enough then, and all is
tried again as soon as one is taken."""
WAITING: BindParameter[str] = bindparam("waiting", "waiting", literal_execute=True)
"""Written out in the statement, so that SQLite matches it to the partial index."""
_chance = Random()


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event that is to be posted now. `attempts`: how often that failed before; 0 of a new one."""

    event: Happened
    item_id: int | None
    attempts: int
    new: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What one deliverer holds of a webhook. `behind`: new events that must wait for an earlier one of their item."""

    webhook_id: int
    worker: str
    url: str
    key_id: int
    position: int
    through: int
    parcels: Sequence[Parcel]
    behind: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said to one event. `error` is None where it took it; `wait`: seconds for which it wants no other."""

    error: str | None = None
    wait: float | None = None
    gone: bool = False


def due(session: Session) -> Sequence[int]:
    """Webhooks for which there is something to do now."""
    now = clock.now()
    new = exists().where(Event.project_id == Webhook.project_id, Event.seq > Webhook.position)
    again = exists().where(Delivery.webhook_id == Webhook.id, Delivery.state == WAITING, Delivery.next_at <= now)
    query = select(Webhook.id).where(Webhook.ended_at.is_(None), Webhook.ready_at <= now, or_(new, again))
    return session.scalars(query.order_by(Webhook.ready_at)).all()


def take(session: Session, webhook_id: int, worker: str) -> Load | None:
    """Hold a webhook for LEASE, with what is to be posted. None where another holds it, or it rests or has ended.

    `worker` is new for each call, so a late deliverer writes nothing.
    """
    now = clock.now()
    free = (Webhook.id == webhook_id, Webhook.ended_at.is_(None), Webhook.ready_at <= now)
    row = session.scalars(update(Webhook).where(*free).values(worker=worker, ready_at=now + LEASE).returning(Webhook)).first()
    if row is None:
        return None
    again = _again(session, webhook_id, now)
    most = BATCH - len(again) if not row.failures else PROBES if row.failures < DOWN_AFTER else 1
    query = select(Event).where(Event.project_id == row.project_id, Event.seq > row.position).order_by(Event.seq).limit(most)
    new = session.scalars(query).all()
    meant = [event for event in new if row.kinds is None or event.kind in row.kinds]
    behind = _behind(session, webhook_id, [event.item_id for event in meant if event.item_id is not None])
    parcels = [*again, *(_parcel(event, 0, True) for event in meant if event.item_id not in behind)]
    waits = {event.seq: event.item_id for event in meant if event.item_id in behind and event.item_id is not None}
    through = new[-1].seq if new else row.position
    return Load(row.id, worker, row.url, row.key_id, row.position, through, parcels, waits)


def settle(session: Session, load: Load, answers: Mapping[int, Answer]) -> bool:
    """Write what became of a load; events without an answer were not tried. False where the webhook is no longer held."""
    query = select(Webhook).where(Webhook.id == load.webhook_id, Webhook.worker == load.worker, Webhook.ended_at.is_(None))
    row = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        return False
    now, reached = clock.now(), _reached(load, answers)
    _settle_again(session, load, answers, now)
    _keep(session, load, answers, reached, now)
    _release_next(session, load, now)
    _mark(session, row, answers, reached, now)
    return True


def delay(attempts: int) -> timedelta:
    """How long an event waits after so many failures, a little more or less, so that many do not come back at once."""
    return timedelta(seconds=_spread(min(FIRST * TIMES ** (attempts - 1), LONGEST)))


def unblock(session: Session, webhook_id: int, items: Collection[int], now: datetime) -> None:
    """Of each item, let the first event go that waited behind one that is delivered or forgotten."""
    elder = aliased(Delivery)
    later = exists().where(elder.webhook_id == webhook_id, elder.item_id == Delivery.item_id, elder.seq < Delivery.seq)
    blocked = (Delivery.webhook_id == webhook_id, Delivery.item_id.in_(items), Delivery.state == "blocked", ~later)
    session.execute(
        update(Delivery).where(*blocked).values(state="waiting", next_at=now), execution_options={"synchronize_session": False}
    )


def _again(session: Session, webhook_id: int, now: datetime) -> list[Parcel]:
    query = (
        select(Delivery.attempts, Event)
        .join(Event, Event.seq == Delivery.seq)
        .where(Delivery.webhook_id == webhook_id, Delivery.state == WAITING, Delivery.next_at <= now)
        .order_by(Delivery.next_at, Delivery.seq)
        .limit(BATCH // 2)
    )
    return [_parcel(event, attempts, False) for attempts, event in session.execute(query).tuples()]


def _parcel(event: Event, attempts: int, new: bool) -> Parcel:
    return Parcel(Happened(event.seq, event.kind, event.body, event.made_at), event.item_id, attempts, new)


def _behind(session: Session, webhook_id: int, items: Collection[int]) -> set[int]:
    """The items among these of which an earlier event is not delivered yet."""
    query = select(Delivery.item_id).where(Delivery.webhook_id == webhook_id, Delivery.item_id.in_(items)).distinct()
    return {item_id for item_id in session.scalars(query) if item_id is not None}


def _reached(load: Load, answers: Mapping[int, Answer]) -> int:
    """Up to where the new events are dealt with: all were tried, or the last that was."""
    new = [parcel.event.seq for parcel in load.parcels if parcel.new]
    untried = [seq for seq in new if seq not in answers]
    if not untried:
        return load.through
    return max((seq for seq in new if seq in answers), default=load.position)


def _settle_again(session: Session, load: Load, answers: Mapping[int, Answer], now: datetime) -> None:
    tried = [(p, answers[p.event.seq]) for p in load.parcels if not p.new and p.event.seq in answers]
    taken = [parcel.event.seq for parcel, answer in tried if answer.error is None]
    session.execute(delete(Delivery).where(Delivery.webhook_id == load.webhook_id, Delivery.seq.in_(taken)))
    for parcel, answer in tried:
        if answer.error is not None:
            one = (Delivery.webhook_id == load.webhook_id, Delivery.seq == parcel.event.seq)
            session.execute(update(Delivery).where(*one).values(_failed(parcel.attempts + 1, answer, now)))


def _failed(attempts: int, answer: Answer, now: datetime) -> dict[str, Any]:
    wait = max(delay(attempts), timedelta(seconds=answer.wait or 0))
    state = "dead" if attempts >= TRIES else "waiting"
    return {"state": state, "attempts": attempts, "next_at": now + wait, "last_error": answer.error}


def _keep(session: Session, load: Load, answers: Mapping[int, Answer], reached: int, now: datetime) -> None:
    """Rows for the new events up to `reached` that were not taken."""
    blocked = {"state": "blocked", "attempts": 0, "next_at": now, "last_error": None}
    rows = [{"seq": seq, "item_id": item_id, **blocked} for seq, item_id in load.behind.items() if seq <= reached]
    for parcel in (each for each in load.parcels if each.new and each.event.seq <= reached):
        answer = answers.get(parcel.event.seq)
        if answer is None or answer.error is not None:
            told = _failed(1, answer, now) if answer is not None else blocked | _if_alone(parcel)
            rows.append({"seq": parcel.event.seq, "item_id": parcel.item_id, **told})
    if rows:
        session.execute(insert(Delivery), [{"webhook_id": load.webhook_id, **row} for row in rows])


def _if_alone(parcel: Parcel) -> dict[str, str]:
    """What belongs to no item waits for nothing."""
    return {"state": "waiting"} if parcel.item_id is None else {}


def _release_next(session: Session, load: Load, now: datetime) -> None:
    items = {p.item_id for p in load.parcels if p.item_id is not None} | set(load.behind.values())
    if items:
        unblock(session, load.webhook_id, items, now)


def _mark(session: Session, row: Webhook, answers: Mapping[int, Answer], reached: int, now: datetime) -> None:
    """What the webhook itself shows: how far it is, and how it fares."""
    row.position, row.worker, row.ready_at = reached, None, now
    errors = [answer.error for answer in answers.values() if answer.error is not None]
    if len(errors) < len(answers):
        if row.failures >= DOWN_AFTER:
            _all_again(session, row.id, now)
        row.failures, row.failing_since, row.delivered_at = 0, None, now
    elif errors:
        row.failures, row.failing_since = row.failures + 1, row.failing_since or now
        row.ready_at = now + timedelta(seconds=_spread(min(PAUSE * 2 ** (row.failures - 1), LONGEST_PAUSE)))
    row.last_error = errors[-1] if errors else row.last_error if not answers else None
    wait = max(_waits(answers.values()), default=0.0)
    row.ready_at = max(row.ready_at, now + timedelta(seconds=wait))
    if any(answer.gone for answer in answers.values()):
        row.ended_at, row.ended_as = now, "gone"
    session.flush()


def _waits(answers: Iterable[Answer]) -> Iterable[float]:
    return (answer.wait for answer in answers if answer.wait is not None)


def _all_again(session: Session, webhook_id: int, now: datetime) -> None:
    late = (Delivery.webhook_id == webhook_id, Delivery.state == WAITING, Delivery.next_at > now)
    session.execute(update(Delivery).where(*late).values(next_at=now), execution_options={"synchronize_session": False})


def _spread(seconds: float) -> float:
    return seconds * _chance.uniform(1 - JITTER, 1 + JITTER)

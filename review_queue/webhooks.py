"""Where a project's events are posted to: adding and ending it, how it fares, and what it did not take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, true, update
from sqlalchemy.orm import Session

from db.tables import Delivery, Event, ItemKey, Webhook
from review_queue import activity, addresses, clock, deliveries, events
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.secrets import Keys

MOST = 20
"""Webhooks of one project."""
COUNTED = 10_000
"""Lags are counted up to here."""
FAILING = timedelta(days=1)
"""A webhook that took nothing for so long is worth a notice."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook and how it fares. `url` as a whole is for owners (`as_seen_by`). `lag_events` are those after its position,
    counted to COUNTED; `lag_seconds` the age of the oldest event that it has not got, dead ones apart."""

    id: int
    project_id: int
    url: str
    kinds: list[str] | None
    key_id: int
    position: int
    made_at: datetime
    delivered_at: datetime | None
    failing_since: datetime | None
    last_error: str | None
    ended_at: datetime | None
    waiting: int
    dead: int
    lag_events: int
    lag_seconds: float

    def as_seen_by(self, actor: Actor) -> "Hook":
        """With as much of its address as may be told to this person."""
        return self if actor.at_least("owner") else replace(self, url=addresses.shown(self.url))

    @property
    def fails(self) -> bool:
        """Whether it took nothing for so long that somebody should look."""
        return self.ended_at is None and self.failing_since is not None and clock.now() - self.failing_since > FAILING


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An event that a webhook did not take. `blocked`: it waits for an earlier one of its item."""

    seq: int
    kind: str
    external_id: str | None
    state: str
    attempts: int
    next_at: datetime
    last_error: str | None


def add(
    session: Session,
    project_id: int,
    url: str,
    *,
    keys: Keys,
    kinds: Sequence[str] | None = None,
    after: int | None = None,
    by: Actor,
) -> Hook:
    """A new webhook for an address that was checked (`addresses`), from the present on, or from after a position.

    Raises Forbidden below owners, Invalid for unknown kinds, a position in the future, an address that is there, or too many.
    """
    _require_owner(by)
    _require_sound(session, project_id, url, kinds, after)
    now = clock.now()
    row = {"project_id": project_id, "url": url, "kinds": sorted(set(kinds)) if kinds else None, "key_id": keys.webhook_key_id}
    begins = events.head(session) if after is None else after
    made = {"position": begins, "ready_at": now, "failures": 0, "made_at": now, "made_by": by.id}
    webhook_id = session.scalars(insert(Webhook).returning(Webhook.id), {**row, **made}).one()
    told = {"url": addresses.shown(url), "kinds": row["kinds"]}
    activity.record(session, by, "webhook.add", f"webhook:{webhook_id}", project_id=project_id, after=told)
    return get(session, project_id, webhook_id)


def every(session: Session, project_id: int) -> list[Hook]:
    """The webhooks of a project, those that their receiver ended included."""
    query = select(Webhook).where(Webhook.project_id == project_id, Webhook.ended_as.is_distinct_from("removed"))
    return [_hook(session, row) for row in session.scalars(query.order_by(Webhook.id))]


def get(session: Session, project_id: int, webhook_id: int) -> Hook:
    """Raises NotFound."""
    return _hook(session, _row(session, project_id, webhook_id))


def secret(session: Session, project_id: int, webhook_id: int, *, keys: Keys, by: Actor) -> str:
    """What signs its events; that it was shown is recorded. Raises Forbidden below owners, NotFound, StrangeKey."""
    _require_owner(by)
    row = _row(session, project_id, webhook_id)
    activity.record(session, by, "webhook.secret", f"webhook:{webhook_id}", project_id=project_id)
    return keys.webhook_secret(row.id, row.key_id)


def remove(session: Session, project_id: int, webhook_id: int, *, by: Actor) -> None:
    """Post nothing there any more, and forget what it did not take. Raises Forbidden below owners, NotFound."""
    _require_owner(by)
    row = _row(session, project_id, webhook_id, hold=True)
    row.ended_at, row.ended_as, row.worker = row.ended_at or clock.now(), "removed", None
    session.flush()
    session.execute(delete(Delivery).where(Delivery.webhook_id == webhook_id))
    before = {"url": addresses.shown(row.url)}
    activity.record(session, by, "webhook.remove", f"webhook:{webhook_id}", project_id=project_id, before=before)


def undelivered(
    session: Session, project_id: int, webhook_id: int, *, dead: bool = False, after: int = 0, limit: int = 200
) -> list[Undelivered]:
    """What a webhook did not take so far, in sequence; the dead letters alone where they are wanted. Raises NotFound."""
    _row(session, project_id, webhook_id)
    query = (
        select(Delivery, Event.kind, ItemKey.name)
        .join(Event, Event.seq == Delivery.seq)
        .outerjoin(ItemKey, ItemKey.item_id == Delivery.item_id)
        .where(Delivery.webhook_id == webhook_id, Delivery.seq > after, Delivery.state == "dead" if dead else true())
        .order_by(Delivery.seq)
        .limit(limit)
    )
    return [
        Undelivered(row.seq, kind, name, row.state, row.attempts, row.next_at, row.last_error)
        for row, kind, name in session.execute(query).tuples()
    ]


def resend(session: Session, project_id: int, webhook_id: int, *, seq: int | None = None, by: Actor) -> int:
    """Try dead letters again, one or all; how many. Later events of their items follow once they are taken.

    Raises Forbidden below owners, NotFound, Invalid where the receiver has ended the webhook.
    """
    _require_owner(by)
    row = _row(session, project_id, webhook_id, hold=True)
    if row.ended_at is not None:
        raise Invalid(f"webhook {webhook_id} was ended by its receiver (410 Gone); add it anew")
    which = (Delivery.webhook_id == webhook_id, Delivery.state == "dead", Delivery.seq == seq if seq is not None else true())
    again = update(Delivery).where(*which).values(state="waiting", attempts=0, next_at=clock.now())
    count = len(session.scalars(again.returning(Delivery.seq), execution_options={"synchronize_session": False}).all())
    if seq is not None and not count:
        raise NotFound(f"webhook {webhook_id} has no dead letter {seq}; `signoff webhook show {webhook_id}` lists them")
    if row.worker is None:
        row.failures, row.ready_at = 0, clock.now()
    session.flush()
    activity.record(session, by, "webhook.resend", f"webhook:{webhook_id}", project_id=project_id, after=_told(seq, count))
    return count


def drop(session: Session, project_id: int, webhook_id: int, seq: int, *, by: Actor) -> None:
    """Forget a dead letter, so that later events of its item go on. Raises Forbidden below owners, NotFound."""
    _require_owner(by)
    _row(session, project_id, webhook_id, hold=True)
    one = (Delivery.webhook_id == webhook_id, Delivery.seq == seq, Delivery.state == "dead")
    gone = session.execute(delete(Delivery).where(*one).returning(Delivery.seq, Delivery.item_id)).first()
    if gone is None:
        raise NotFound(f"webhook {webhook_id} has no dead letter {seq}; `signoff webhook show {webhook_id}` lists them")
    if gone.item_id is not None:
        deliveries.unblock(session, webhook_id, [gone.item_id], clock.now())
    activity.record(session, by, "webhook.drop", f"webhook:{webhook_id}", project_id=project_id, before={"seq": str(seq)})


def failing(session: Session) -> list[Hook]:
    """Webhooks of all projects that took nothing for a day or more."""
    query = select(Webhook).where(Webhook.ended_at.is_(None), Webhook.failing_since < clock.now() - FAILING)
    return [_hook(session, row) for row in session.scalars(query.order_by(Webhook.id))]


def _require_owner(by: Actor) -> None:
    if not by.at_least("owner"):
        raise Forbidden(f"{by.name} is a {by.role}; webhooks are for owners and admins")


def _require_sound(session: Session, project_id: int, url: str, kinds: Sequence[str] | None, after: int | None) -> None:
    strange = sorted(set(kinds or ()) - set(events.KINDS))
    if strange:
        raise Invalid(f"{strange[0]!r} is no kind of event; known: {', '.join(events.KINDS)}")
    if after is not None and not 0 <= after <= events.head(session):
        raise Invalid(
            f"after = {after}: the sequence is at {events.head(session)}; take a position up to there, 0 from the beginning"
        )
    active = session.scalars(select(Webhook.url).where(Webhook.project_id == project_id, Webhook.ended_at.is_(None))).all()
    if url in active:
        raise Invalid("this address is a webhook of the project already; remove that one first")
    if len(active) >= MOST:
        raise Invalid(f"the project has {MOST} webhooks, and no more are taken; let one receiver hand on what comes")


def _row(session: Session, project_id: int, webhook_id: int, *, hold: bool = False) -> Webhook:
    one = (Webhook.id == webhook_id, Webhook.project_id == project_id, Webhook.ended_as.is_distinct_from("removed"))
    query = select(Webhook).where(*one).execution_options(populate_existing=True)
    row = session.scalar(query.with_for_update() if hold else query)
    if row is None:
        raise NotFound(f"there is no webhook {webhook_id} in this project; `signoff webhook list` shows them")
    return row


def _hook(session: Session, row: Webhook) -> Hook:
    counts = dict(
        session.execute(
            select(Delivery.state, func.count()).where(Delivery.webhook_id == row.id).group_by(Delivery.state)
        ).tuples().all()
    )  # fmt: skip
    after = (Event.project_id == row.project_id, Event.seq > row.position)
    ahead = select(Event.seq).where(*after).limit(COUNTED).subquery()
    named = ("id", "project_id", "url", "kinds", "key_id", "position", "made_at", "delivered_at", "failing_since", "last_error")
    return Hook(
        **{name: getattr(row, name) for name in (*named, "ended_at")},
        waiting=counts.get("waiting", 0) + counts.get("blocked", 0),
        dead=counts.get("dead", 0),
        lag_events=session.scalar(select(func.count()).select_from(ahead)) or 0,
        lag_seconds=_lag(session, row),
    )


def _lag(session: Session, row: Webhook) -> float:
    waits = select(func.min(Delivery.seq)).where(Delivery.webhook_id == row.id, Delivery.state != "dead").scalar_subquery()
    new = select(Event.seq).where(Event.project_id == row.project_id, Event.seq > row.position).order_by(Event.seq).limit(1)
    query = select(func.min(Event.made_at)).where(Event.seq.in_([waits, new.scalar_subquery()]))
    oldest = session.scalar(query)
    return (clock.now() - oldest).total_seconds() if oldest is not None and row.ended_at is None else 0.0


def _told(seq: int | None, count: int) -> dict[str, Any]:
    return {"count": count, **({"seq": str(seq)} if seq is not None else {})}

"""Somebody asks for a look at an item that is answered: one more review, which stands for nothing but itself.

Its answer is the item's answer from then on. It is no evidence and carries no weight: nobody asks by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.tables import Erased, Routing, Task
from review_queue import activity, claims, clock, outcomes, routing, tallies, withdrawal
from review_queue.activity import Actor
from review_queue.calendar import add_working_time
from review_queue.errors import Forbidden, Invalid, NotFound, Refused
from review_queue.projects import Setting
from review_queue.tallies import OPEN

MAX_REASON = 2000
URGENT = 0.1
"""The weight of a case that somebody asks about: as urgent as there is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The task that came of it; `new` is False where somebody had asked before and nobody has looked yet."""

    task_id: int
    external_id: str
    reason: str
    new: bool


def request(session: Session, setting: Setting, external_id: str, reason: str, *, by: Actor) -> Asked:
    """Have one more person look at an item that acted alone or was decided.

    Raises NotFound, Invalid, Refused; Forbidden for viewers at the desk. Over HTTP its key says what a program may ask.
    """
    _check(reason)
    if by.via == "desk" and not by.at_least("reviewer"):
        raise Forbidden("a viewer looks on; asking for a look is for reviewers and up")
    item_id = decided(session, setting, external_id, by)
    if session.get(Erased, item_id) is not None:
        raise Refused(f"the content of {external_id!r} was erased, so nobody can look at it any more")
    routed, tasks = last_route(session, item_id)
    waiting = next((task for task in tasks if task.kind == "review" and task.state in OPEN), None)
    if waiting is not None and waiting.requested is not None:
        return Asked(waiting.id, external_id, waiting.requested, False)
    if waiting is not None:
        raise Refused(f"{external_id!r} waits for a person already")
    task = add(session, setting, routed, tasks, reason, blind=setting.policy.review.blind_first == "all")
    tallies.add(session, setting.id, open=1)
    after = {"task": str(task.id), "reason": reason}
    activity.record(session, by, "item.review", f"item:{item_id}", project_id=setting.id, after=after)
    return Asked(task.id, external_id, reason, True)


def withdraw(session: Session, setting: Setting, item_id: int) -> None:
    """A lead has answered: nobody needs to look any more, unless somebody does already."""
    _, tasks = last_route(session, item_id)
    asked = [task for task in tasks if task.requested is not None and task.state in ("pending", "parked")]
    for task in asked:
        task.state, task.closed_at = "cancelled", clock.now()
    session.flush()
    tallies.add(session, setting.id, open=-len(asked))


def decided(session: Session, setting: Setting, external_id: str, by: Actor) -> int:
    """The item behind an id, itself and its tasks locked. Raises NotFound; Refused where no answer stands that could change.

    A person who holds a case of it, or may still answer it blind, is told no more than that: whether an answer stands tells a
    check from a review.
    """
    key = withdrawal.standing_key(session, setting.id, external_id)
    noun = setting.project.noun
    if key is None:
        raise NotFound(f"{setting.project.heading} has no {noun} {external_id!r}")
    outcomes.lock(session, key.item_id)
    if by.at_least("reviewer") and _is_to_answer(session, key.item_id, by):
        raise Refused(f"this {noun} waits for an answer that you may give; answer it first")
    if key.closed_at is not None:
        raise Refused(f"{noun} {external_id!r} was cancelled; send it anew with PUT")
    if outcomes.standing(session, key.item_id) is None:
        raise Refused(f"no answer to {noun} {external_id!r} stands yet: it waits for one, or it cannot be shown")
    return key.item_id


def _is_to_answer(session: Session, item_id: int, by: Actor) -> bool:
    return claims.holds(session, item_id, by.id) or claims.waits_blind_for(session, item_id, by.id)


def last_route(session: Session, item_id: int) -> tuple[Routing, Sequence[Task]]:
    """The newest routing of an item with its tasks."""
    routed = session.scalars(select(Routing).where(Routing.item_id == item_id).order_by(Routing.n.desc()).limit(1)).one()
    query = select(Task).where(Task.item_id == item_id, Task.routing_n == routed.n).order_by(Task.id)
    return routed, session.scalars(query.execution_options(populate_existing=True)).all()


def add(session: Session, setting: Setting, routed: Routing, tasks: Sequence[Task], reason: str, *, blind: bool) -> Task:
    """A review in the next free seat, pending and as urgent as there is."""
    now, review = clock.now(), setting.policy.review
    due = None
    if review.due != "off":
        due = add_working_time(now, review.due, setting.policy.calendar, setting.project.zone)
    seat = max((task.seat for task in tasks if task.kind == "review"), default=0) + 1
    parts = {"item_id": routed.item_id, "routing_n": routed.n, "project_id": setting.id, "kind": "review", "seat": seat}
    place = {"rank": routing.rank(review.order, now, URGENT, due), "weight": URGENT, "due_at": due, "made_at": now}
    fresh = {"audience": "reviewers", "state": "pending", "skips": 0, "blind": blind, "requested": reason}
    return session.scalars(insert(Task).returning(Task), {**parts, **place, **fresh}).one()


def _check(reason: str) -> None:
    if not 0 < len(reason.strip()) <= MAX_REASON or "\x00" in reason:
        raise Invalid(f"say why in 1 to {MAX_REASON:,} characters, without a NUL; whoever looks reads it")
    try:
        reason.encode()
    except UnicodeEncodeError:
        raise Invalid("the reason holds a lone surrogate; send valid Unicode") from None

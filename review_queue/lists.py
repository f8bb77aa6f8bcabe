"""Pages of open tasks by a filter: each goes on where the last one ended, and none reads more than a bounded stretch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from db.tables import Claim, Decision, Flag, Item, ItemKey, Person, Routing, Task
from db.types import microseconds, moment
from review_queue import filters, states
from review_queue.activity import Actor
from review_queue.errors import Invalid
from review_queue.filters import Filter, Walk
from review_queue.projects import Setting

WINDOW = 5_000
"""Tasks that one statement looks at."""
LOOKS = 4
"""Statements of one page."""
ROUTED = and_(Routing.item_id == Task.item_id, Routing.n == Task.routing_n)
"""The route that asked for a task."""
Place = tuple[Any, int]
"""Where one is in a walk: the value that it is ordered by, and the task."""


@dataclass(frozen=True, slots=True)
class Row:
    """One open task. `assigned_to`: whose alone it is to take until `assigned_until`; `flagged`: whether the reader put a flag on
    it; `label` and `confidence` are told where the filter asks for the prediction."""

    task_id: int
    item_id: int
    external_id: str
    since: datetime
    due_at: datetime | None
    state: str
    audience: str
    skips: int
    held_by: str | None
    assigned_to: str | None
    assigned_until: datetime | None
    flagged: bool
    label: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: where the next page begins; None at the end. `sparse`: few fit, and this is as far as one page looks."""

    rows: tuple[Row, ...]
    after: str | None
    sparse: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Cases that a filter by prediction leaves out because somebody may still answer them blind; `whole`: all are counted."""

    count: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody said who left a case to leads."""

    person: str
    at: datetime
    reason: str | None
    comment: str | None


def page(session: Session, setting: Setting, actor: Actor, held: Filter, *, after: str | None = None, limit: int = 25) -> Page:
    """The next tasks of a filter. Raises Invalid for a place that is none, Forbidden for what is for leads."""
    walk, where = filters.walk(session, setting, held), place(held, after)
    wanted = filters.conditions(session, setting, held, actor)
    found: list[tuple[Row, Place]] = []
    for _ in range(LOOKS):
        more, where = _stretch(session, actor, held, walk, wanted, where, limit + 1 - len(found))
        found += more
        if len(found) > limit:
            return Page(tuple(row for row, _ in found[:limit]), written(found[limit - 1][1]), False)
        if where is None:
            break
    return Page(tuple(row for row, _ in found), written(where) if where else None, where is not None)


def left_out(session: Session, setting: Setting, actor: Actor, held: Filter) -> LeftOut:
    """How many cases a filter by prediction leaves out, of those that fit the rest of it; looked for as far as a page looks."""
    if not held.by_prediction:
        return LeftOut(0, True)
    plain = held.without_prediction()
    walk, where, count = filters.walk(session, setting, plain), None, 0
    wanted = [*filters.conditions(session, setting, plain, actor), filters.blind()]
    for _ in range(LOOKS):
        near = window(walk, where)
        count += session.scalar(joined(select(func.count()), near, plain).where(*wanted)) or 0
        where = end(session, walk, where)
        if where is None:
            return LeftOut(count, True)
    return LeftOut(count, False)


def words(session: Session, rows: Sequence[Row]) -> dict[int, Words]:
    """Why cases were left to leads, by task, in the words of whoever did it last; of none that is still to be answered blind."""
    said = (Decision.task_id, Person.name, Decision.decided_at, Decision.reason, Decision.comment)
    query = select(*said).join(Person, Person.id == Decision.person_id).join(Task, Task.id == Decision.task_id)
    mine = query.where(Decision.task_id.in_([row.task_id for row in rows]), Decision.verdict == "escalate", ~filters.blind())
    found = session.execute(mine.order_by(Decision.id)).tuples()
    return {task_id: Words(*rest) for task_id, *rest in found}  # type: ignore[arg-type]


# The steps of a walk, for others that go it


def window(walk: Walk, where: Place | None) -> Select[int]:
    """Ids of the next tasks of a walk, whether they fit or not."""
    query = select(Task.id).where(*walk.within, walk.after(where))
    return query.order_by(walk.key, Task.id).limit(WINDOW)


def end(session: Session, walk: Walk, where: Place | None) -> Place | None:
    """The last task of the window that begins there; None where the walk ends within it."""
    query = select(walk.key, Task.id).where(*walk.within, walk.after(where)).order_by(walk.key, Task.id)
    row = session.execute(query.offset(WINDOW - 1).limit(1)).first()
    return (row[0], row[1]) if row else None


def joined(query: Select[*tuple[Any, ...]], near: Select[int], held: Filter) -> Select[*tuple[Any, ...]]:
    """A query over the tasks of a window with what a filter names of them."""
    tasks = near.subquery()
    whole = query.select_from(tasks).join(Task, Task.id == tasks.c.id).join(ItemKey, ItemKey.item_id == Task.item_id)
    if held.groups or held.text:
        whole = whole.join(Item, Item.id == Task.item_id)
    if held.by_prediction:
        whole = whole.join(Routing, ROUTED)
    return whole


def place(held: Filter, after: str | None) -> Place | None:
    """The place that an address names. Raises Invalid."""
    if after is None:
        return None
    key, _, task_id = after.partition("-")
    try:
        at, number = int(key), int(task_id)
        if max(at, number) >= 2**63 or min(at, number) < 0:
            raise ValueError(after)
        return (at if held.state == "escalated" else moment(at)), number
    except (OverflowError, ValueError):
        raise Invalid(f"after = {after[:40]!r} is no place in this list; begin at its first page") from None


def written(where: Place) -> str:
    """A place as an address names it."""
    at = where[0]
    return f"{microseconds(at) if isinstance(at, datetime) else at}-{where[1]}"


def _stretch(
    session: Session,
    actor: Actor,
    held: Filter,
    walk: Walk,
    wanted: Sequence[ColumnElement[bool]],
    where: Place | None,
    most: int,
) -> tuple[list[tuple[Row, Place]], Place | None]:
    """What fits of the next window, up to `most`, and where the window ends; None where the walk does, or `most` are found."""
    mine = exists().where(Flag.item_id == Task.item_id, Flag.person_id == actor.id, Flag.ended_at.is_(None)).correlate(Task)
    whose = aliased(Person)
    told = (Routing.label, Routing.confidence) if held.by_prediction else ()
    columns = (
        Task.id,
        Task.item_id,
        ItemKey.name,
        Task.made_at,
        Task.due_at,
        Task.state,
        Task.audience,
        Task.skips,
        Person.name,
        whose.name,
        Task.assigned_until,
        mine,
        *told,
    )
    query = joined(select(walk.key, *columns), window(walk, where), held)
    query = query.outerjoin(Claim, and_(Claim.task_id == Task.id, states.LEASED)).outerjoin(Person, Person.id == Claim.person_id)
    theirs = and_(whose.id == Task.assignee_id, Task.state == "pending", Task.kind != "gold", filters.still())
    rows = session.execute(query.outerjoin(whose, theirs).where(*wanted).order_by(walk.key, Task.id).limit(most)).all()
    found = [(Row(*row[1:]), (row[0], row[1])) for row in rows]
    return found, None if len(found) == most else end(session, walk, where)

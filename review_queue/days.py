"""The counts of each day, as the tables themselves have them: for checks, and to mend what `daily_tally` lacks."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, case, exists, func, literal, select, type_coerce
from sqlalchemy.orm import Session, aliased

from db.tables import Decision, Item, Routing, Task
from review_queue import tallies
from review_queue.outcomes import ANSWERS

FIRST, LAST = "0000", "9999"
"""Before and after every day."""


def recount(session: Session, project_id: int) -> dict[str, Counter[str]]:
    """The counts by day from the tables: reads them whole. For checks, on one consistent view.

    What was open on a day and came back on a later one was never closed, for the tables.
    """
    found: dict[str, Counter[str]] = {}
    for query in _counted(session, project_id):
        for day, name, n in session.execute(query).tuples():
            found.setdefault(day, Counter())[name] += n
    return found


def astray(session: Session, project_id: int) -> dict[str, Counter[str]]:
    """What must be added to the counts of each day to make them true, on one consistent view; empty where they are."""
    stands, truth = tallies.daily(session, project_id, FIRST, LAST), recount(session, project_id)
    none: Counter[str] = Counter()
    lacks = {day: _lack(stands.get(day, none), truth.get(day, none)) for day in sorted({*stands, *truth})}
    return {day: counts for day, counts in lacks.items() if counts}


def mend(session: Session, project_id: int, lacks: dict[str, Counter[str]]) -> None:
    """Add what `astray` found."""
    for day, counts in lacks.items():
        tallies.keep(session, project_id, day, counts)


def _lack(stands: Counter[str], truth: Counter[str]) -> Counter[str]:
    return Counter({name: n for name in {*stands, *truth} if (n := truth[name] - stands[name])})


def _counted(session: Session, project_id: int) -> Iterator[Select[str, str, int]]:
    """A query of day, name and number for each kind of thing that is counted."""

    def of(table: Any, at: Any, name: Any, n: int = 1) -> Select[Any]:
        query = select(_day(session, at).label("day"), name.label("name"), func.count() * n)
        return query.where(table.project_id == project_id, at.is_not(None)).group_by("day", "name")

    yield of(Routing, Routing.routed_at, Routing.route)
    yield of(Item, Item.received_at, literal("items"))
    yield of(Task, Task.made_at, literal("open"))
    yield of(Task, Task.closed_at, literal("open"), -1)
    yield of(Task, Task.closed_at, literal("decided")).where(Task.state == "completed")
    yield _standing(
        of(Decision, Decision.decided_at, case((Decision.verdict == "accept", "judged/accept"), else_="judged/other"))
    )


def _standing(query: Select[Any]) -> Select[Any]:
    """Final answers that stand, of those to which there was a prediction that nobody had asked to look at."""
    later = aliased(Decision)
    routed = (Routing.item_id == Task.item_id) & (Routing.n == Task.routing_n)
    whole = query.join(Task, Task.id == Decision.task_id).join(Routing, routed)
    final = (Decision.stage == "final", Decision.verdict.in_(ANSWERS), Decision.basis.in_(("routed", "drawn")))
    stands = (Task.state == "completed", ~exists().where(later.supersedes_id == Decision.id), Routing.label.is_not(None))
    return whole.where(*final, *stands)


def _day(session: Session, at: Any) -> ColumnElement[str]:
    if session.get_bind().dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d", type_coerce(at, Integer) / 1_000_000, "unixepoch")
    return func.to_char(func.timezone("UTC", at), "YYYY-MM-DD")

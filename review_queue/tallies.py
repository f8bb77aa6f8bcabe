"""Counts of a project as a sum of small rows: every transaction adds one row, and one at a time folds them into one.

No two writers wait for each other's count, and nobody who reads a count reads a whole table.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Float, case, cast, delete, func, insert, select
from sqlalchemy.orm import Session

from db.tables import Item, Outcome, Routing, Tally, Task, Work

BANDS = 10
"""Tenths of the confidence, counted as `band/N/ROUTE`."""
OPEN = ("pending", "in_progress", "parked")
FOLD_AT = 32
"""Rows of one project that may stand side by side."""
BATCH = 10_000
LOCK = 7_318_447  # any number that only folding takes


def add(session: Session, project_id: int, /, **counts: int) -> None:
    """Change counts by these amounts, in the transaction of the change itself; amounts of 0 are left out."""
    for _, row in rows(project_id, counts):
        session.execute(insert(Tally).values(row))


def rows(project_id: int, counts: Mapping[str, int]) -> list[tuple[str, dict[str, Any]]]:
    """What `add` adds: one row of the table named, or none."""
    changed = {name: n for name, n in counts.items() if n}
    return [("tally", {"project_id": project_id, "counts": changed})] if changed else []


def band(confidence: float) -> int:
    """The tenth that a confidence falls into, 0 to 9."""
    return min(int(confidence * BANDS), BANDS - 1)


def read(session: Session, project_id: int) -> Counter[str]:
    """What the rows of a project sum up to; what was never counted is 0."""
    return _sum(session.scalars(select(Tally.counts).where(Tally.project_id == project_id)))


def fold(session: Session, limit: int = BATCH) -> int:
    """Sum up to `limit` rows of each project into one; how many went. One process at a time does it, others pass by."""
    if session.get_bind().dialect.name == "postgresql" and not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
        return 0
    many = select(Tally.project_id).group_by(Tally.project_id).having(func.count() > FOLD_AT)
    return sum(_fold(session, project_id, limit) for project_id in session.scalars(many).all())


def _fold(session: Session, project_id: int, limit: int) -> int:
    oldest = select(Tally.id).where(Tally.project_id == project_id).order_by(Tally.id).limit(limit)
    gone = session.scalars(
        delete(Tally).where(Tally.id.in_(oldest)).returning(Tally.counts), execution_options={"synchronize_session": False}
    ).all()
    add(session, project_id, **_sum(gone))
    return len(gone)


def recount(session: Session, project_id: int) -> Counter[str]:
    """The same counts from the tables themselves: reads them whole. For checks, on one consistent view."""
    counted = Counter(
        items=_number(session, select(func.count()).select_from(Item).where(Item.project_id == project_id)),
        unscored=_number(session, select(func.count()).where(Work.project_id == project_id, Work.kind == "score")),
    )
    tasks = select(Task.state, func.count()).where(Task.project_id == project_id).group_by(Task.state)
    for state, n in session.execute(tasks).tuples():
        counted["open"] += n if state in OPEN else 0
        counted["decided"] += n if state == "completed" else 0
    return +(counted + _routings(session, project_id) + _outcomes(session, project_id))


def astray(session: Session, project_id: int) -> Counter[str]:
    """What must be added to the counts to make them true, on one consistent view; empty where they are."""
    stands, truth = read(session, project_id), recount(session, project_id)
    return Counter({name: n for name in {*stands, *truth} if (n := truth[name] - stands[name])})


def _routings(session: Session, project_id: int) -> Counter[str]:
    tenth = case((Routing.confidence.is_not(None), func.floor(cast(Routing.confidence, Float) * BANDS)))
    query = select(Routing.route, tenth, func.count()).where(Routing.project_id == project_id).group_by(Routing.route, tenth)
    found: Counter[str] = Counter()
    for route, n, count in session.execute(query).tuples():
        found[route] += count
        if n is not None:
            found[f"band/{min(int(n), BANDS - 1)}/{route}"] += count
    return found


def _outcomes(session: Session, project_id: int) -> Counter[str]:
    later = Outcome.__table__.alias("later")
    newer = select(later.c.item_id).where(later.c.item_id == Outcome.item_id, later.c.revision > Outcome.revision).exists()
    query = select(Outcome.source, func.count()).where(Outcome.project_id == project_id, ~newer).group_by(Outcome.source)
    return Counter({f"outcomes/{source}": n for source, n in session.execute(query).tuples()})


def _sum(rows: Iterable[Mapping[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for counts in rows:
        for name, n in counts.items():
            found[name] += n
    return found


def _number(session: Session, query: object) -> int:
    return session.scalar(query) or 0  # type: ignore[call-overload]

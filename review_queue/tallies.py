"""Counts of a project as a sum of small rows: every transaction adds one row, and one at a time folds them into one.

No two writers wait for each other's count, and nobody who reads a count reads a whole table. What happens is counted by the
day too (UTC): each row has its day until it is folded, and `daily_tally` has it from then on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Float, case, cast, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.tables import DailyTally, Item, Outcome, Routing, Tally, Task, Work
from review_queue import clock

BANDS = 10
"""Tenths of the confidence, counted as `band/N/ROUTE`."""
OPEN = ("pending", "in_progress", "parked")
NO_DAY = ""
"""The day of what is to be counted in the whole alone."""
FOLD_AT = 32
"""Rows of one project that may stand side by side."""
BATCH = 10_000
LOCK = 7_318_447  # any number that only folding takes
BY_DAY_ALONE = ("judged/accept", "judged/other")
"""Counts that nobody asks for but by the day: answers to a prediction that the rule or a draw brought to people."""
BY_DAY = ("items", "auto", "review", "failed", "open", "decided", *BY_DAY_ALONE)
"""Counts that are kept by the day. `open` is by how much it changed on that day; the others are what came about."""


def add(session: Session, project_id: int, day: str | None = None, /, **counts: int) -> None:
    """Change counts by these amounts, in the transaction of the change itself; amounts of 0 are left out.

    `day`: to which they belong, where that is not today; NO_DAY where the days have them.
    """
    for _, row in rows(project_id, counts, day):
        session.execute(insert(Tally).values(row))


def rows(project_id: int, counts: Mapping[str, int], day: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """What `add` adds: one row of the table named, or none."""
    changed = {name: n for name, n in counts.items() if n}
    day = day_of(clock.now()) if day is None else day or None
    row = {"project_id": project_id, "day": day, "counts": changed}
    return [("tally", row)] if changed else []


def day_of(at: datetime) -> str:
    """The day of a time in UTC, as it is counted under."""
    return at.date().isoformat()


def answered(verdict: str, basis: str, predicted: str | None) -> Counter[str]:
    """What an answer counts as, beside being one more that is decided."""
    if predicted is None or basis not in ("routed", "drawn"):
        return Counter()
    return Counter({BY_DAY_ALONE[verdict != "accept"]: 1})


def band(confidence: float) -> int:
    """The tenth that a confidence falls into, 0 to 9."""
    return min(int(confidence * BANDS), BANDS - 1)


def read(session: Session, project_id: int) -> Counter[str]:
    """What the rows of a project sum up to; what was never counted is 0."""
    return _lasting(_sum(session.scalars(select(Tally.counts).where(Tally.project_id == project_id))))


def daily(session: Session, project_id: int, since: str, until: str) -> dict[str, Counter[str]]:
    """The counts of each day from `since` to `until`, both with it; days on which nothing happened are left out."""
    found: dict[str, Counter[str]] = {}
    kept = select(DailyTally.day, DailyTally.name, DailyTally.n).where(DailyTally.project_id == project_id)
    for day, name, n in session.execute(kept.where(DailyTally.day.between(since, until))).tuples():
        found.setdefault(day, Counter())[name] += n
    fresh = select(Tally.day, Tally.counts).where(Tally.project_id == project_id, Tally.day.between(since, until))
    for made, counts in session.execute(fresh).tuples():
        found.setdefault(made or since, Counter()).update(_by_day(counts))
    return dict(sorted(found.items()))


def first_day(session: Session, project_id: int) -> str | None:
    """The first day of which there are counts."""
    kept = session.scalar(select(func.min(DailyTally.day)).where(DailyTally.project_id == project_id))
    fresh = session.scalar(select(func.min(Tally.day)).where(Tally.project_id == project_id))
    return min((day for day in (kept, fresh) if day is not None), default=None)


def fold(session: Session, limit: int = BATCH) -> int:
    """Sum up to `limit` rows of each project into one; how many went. One process at a time does it, others pass by."""
    if session.get_bind().dialect.name == "postgresql" and not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
        return 0
    many = select(Tally.project_id).group_by(Tally.project_id).having(func.count() > FOLD_AT)
    return sum(_fold(session, project_id, limit) for project_id in session.scalars(many).all())


def _fold(session: Session, project_id: int, limit: int) -> int:
    oldest = select(Tally.id).where(Tally.project_id == project_id).order_by(Tally.id).limit(limit)
    gone = session.execute(
        delete(Tally).where(Tally.id.in_(oldest)).returning(Tally.day, Tally.counts),
        execution_options={"synchronize_session": False},
    ).all()
    for day in {day for day, _ in gone if day is not None}:
        keep(session, project_id, day, _by_day(_sum(counts for each, counts in gone if each == day)))
    if summed := {name: n for name, n in _lasting(_sum(counts for _, counts in gone)).items() if n}:
        session.execute(insert(Tally).values(project_id=project_id, day=None, counts=summed))
    return len(gone)


def keep(session: Session, project_id: int, day: str, counts: Mapping[str, int]) -> None:
    """Add to what is kept of a day."""
    new = [{"project_id": project_id, "day": day, "name": name, "n": n} for name, n in counts.items() if n]
    if not new:
        return
    lite = session.get_bind().dialect.name == "sqlite"
    row = (sqlite if lite else postgresql).insert(DailyTally).values(new)
    more = {"n": DailyTally.n + row.excluded.n}
    session.execute(row.on_conflict_do_update(index_elements=["project_id", "day", "name"], set_=more))


def _by_day(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({name: n for name, n in counts.items() if name in BY_DAY})


def _lasting(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({name: n for name, n in counts.items() if name not in BY_DAY_ALONE})


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

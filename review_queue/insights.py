"""Every "how is it going" answer, read by the desk, the API and the metrics alike; each figure with its denominator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Float, and_, case, cast, func, select
from sqlalchemy.orm import Session

from db.tables import Decision, Explanation, Item, ItemKey, Outcome, Person, Routing, Task, Work
from review_queue import clock
from review_queue.outcomes import ANSWERS

BANDS = 10


@dataclass(frozen=True, slots=True)
class Share:
    """A share with what it is a share of."""

    part: float
    of: float

    @property
    def value(self) -> float | None:
        return self.part / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits and what is in hand."""

    waiting: int
    waiting_for_leads: int
    held: int
    oldest: datetime | None
    overdue: int
    unscored: int
    unexplained: int
    decided: int


@dataclass(frozen=True, slots=True)
class Band:
    """One tenth of the confidences: `agreed` counts first human answers that match the prediction, each at 1/pi."""

    low: float
    high: float
    routed: int
    alone: int
    labelled: int
    agreed: Share


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label among human answers, each at 1/pi: precision of the prediction, recall of it."""

    label: str
    predicted: int
    answered: int
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Insight:
    """The page Insights."""

    routed: int
    automation: Share
    override: Share
    rejected: int
    decisions_last_hour: int
    decisions_per_hour: float | None
    seconds_median: float | None
    known_answers: Share
    bands: tuple[Band, ...]
    labels: tuple[LabelFigures, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One open task, for the page Queue. Says nothing of why it was made: that would unblind it."""

    task_id: int
    external_id: str
    since: datetime
    due_at: datetime | None
    audience: str
    state: str
    skips: int


def backlog(session: Session, project_id: int) -> Backlog:
    """Counts of the queue as it stands."""
    now = clock.now()
    row = session.execute(
        select(
            _count(Task.state == "pending"),
            _count(and_(Task.state == "pending", Task.audience == "leads")),
            _count(Task.state == "in_progress"),
            func.min(Task.made_at),
            _count(Task.due_at < now),
        ).where(Task.project_id == project_id, Task.state.in_(("pending", "in_progress")))
    ).one()
    unscored = _number(session, select(func.count()).where(Work.project_id == project_id, Work.kind == "score"))
    unexplained = _number(session, select(func.count()).where(Work.project_id == project_id, Work.kind == "explain"))
    decided = _number(
        session, select(func.count()).select_from(Task).where(Task.project_id == project_id, Task.state == "completed")
    )
    waiting, leads, held, oldest, overdue = row
    return Backlog(waiting or 0, leads or 0, held or 0, oldest, overdue or 0, unscored, unexplained, decided)


def waiting_tasks(session: Session, project_id: int, limit: int = 200) -> list[Waiting]:
    """Open tasks, oldest first."""
    query = (
        select(Task, ItemKey.external_id)
        .join(ItemKey, ItemKey.item_id == Task.item_id)
        .where(Task.project_id == project_id, Task.state.in_(("pending", "in_progress")))
        .order_by(Task.id)
        .limit(limit)
    )
    return [
        Waiting(t.id, external_id, t.made_at, t.due_at, t.audience, t.state, t.skips) for t, external_id in session.execute(query)
    ]


def explained_ahead(session: Session, project_id: int, ahead: int = 200) -> Share:
    """How many of the next waiting tasks have their reasons ready."""
    near = select(Task.item_id).where(Task.project_id == project_id, Task.state == "pending").order_by(Task.rank, Task.id)
    items = session.scalars(near.limit(ahead)).all()
    query = select(func.count(Explanation.item_id.distinct())).where(Explanation.item_id.in_(items))
    return Share(_number(session, query), len(items))


def insight(session: Session, project_id: int, known_answers_name: str) -> Insight:
    """Figures of a project over all its traffic."""
    routes = dict(
        session.execute(select(Routing.route, func.count()).where(Routing.project_id == project_id).group_by(Routing.route))
        .tuples()
        .all()
    )
    scored = routes.get("auto", 0) + routes.get("review", 0)
    judged = _judged(session, project_id)
    return Insight(
        routed=sum(routes.values()),
        automation=Share(routes.get("auto", 0), scored),
        override=_override(session, project_id),
        rejected=sum(1 for row in judged if row.answer is None),
        decisions_last_hour=_last_hour(session, project_id),
        decisions_per_hour=_pace(session, project_id),
        seconds_median=_median_seconds(session, project_id),
        known_answers=_played(session, project_id, known_answers_name),
        bands=tuple(_bands(session, project_id, judged)),
        labels=tuple(_labels(judged)),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A routed item with the first human answer to it."""

    predicted: str
    confidence: float
    pi: float
    answer: str | None

    @property
    def weight(self) -> float:
        return 1 / self.pi if self.pi > 0 else 0.0


def _judged(session: Session, project_id: int) -> list[_Judged]:
    """The earliest human answer to each scored item: the blind one where the task was blind."""
    answered = (
        select(func.min(Decision.id).label("id"))
        .join(Task, Task.id == Decision.task_id)
        .where(Decision.project_id == project_id, Decision.verdict.in_(ANSWERS), Task.kind.in_(("review", "audit")))
        .group_by(Decision.item_id)
        .subquery()
    )
    query = (
        select(Routing.label, Routing.confidence, Routing.pi, Decision.label.label("answer"))
        .join(answered, answered.c.id == Decision.id)
        .join(Task, Task.id == Decision.task_id)
        .join(Routing, and_(Routing.item_id == Decision.item_id, Routing.n == Task.routing_n))
        .where(Routing.label.is_not(None))
    )
    return [_Judged(r.label, r.confidence, r.pi, r.answer) for r in session.execute(query)]


def _override(session: Session, project_id: int) -> Share:
    """Final answers that are not the prediction, among final answers where there was one to accept."""
    query = (
        select(_count(Decision.verdict != "accept"), func.count())
        .join(Task, Task.id == Decision.task_id)
        .join(Routing, and_(Routing.item_id == Decision.item_id, Routing.n == Task.routing_n))
        .where(Decision.project_id == project_id, Decision.stage == "final", Decision.verdict.in_(ANSWERS))
        .where(Task.state == "completed", Routing.label.is_not(None), ~_superseded())
    )
    part, of = session.execute(query).one()
    return Share(part or 0, of or 0)


def _played(session: Session, project_id: int, name: str) -> Share:
    """How many of the final answers the known answers gave."""
    query = (
        select(_count(Person.name == name), func.count())
        .select_from(Decision)
        .join(Person, Person.id == Decision.person_id)
        .where(Decision.project_id == project_id, Decision.stage == "final", Decision.verdict.in_(ANSWERS), ~_superseded())
    )
    part, of = session.execute(query).one()
    return Share(part or 0, of or 0)


def _last_hour(session: Session, project_id: int) -> int:
    since = clock.now() - timedelta(hours=1)
    query = select(func.count()).where(Decision.project_id == project_id, Decision.decided_at >= since)
    return _number(session, query.where(Decision.stage == "final", Decision.verdict.in_(ANSWERS)))


def _pace(session: Session, project_id: int) -> float | None:
    """Decided cases per hour of work: 3600 over the mean time that people spent on a case."""
    query = select(func.avg(Decision.seconds), func.count(Decision.seconds))
    mean, n = session.execute(
        query.where(Decision.project_id == project_id, Decision.stage == "final", Decision.verdict.in_(ANSWERS))
    ).one()
    return 3600 / mean if n and mean else None


def _median_seconds(session: Session, project_id: int, among: int = 1000) -> float | None:
    query = select(Decision.seconds).where(Decision.project_id == project_id, Decision.seconds.is_not(None))
    held = sorted(s for s in session.scalars(query.order_by(Decision.id.desc()).limit(among)) if s is not None)
    return held[len(held) // 2] if held else None


def _bands(session: Session, project_id: int, judged: Sequence[_Judged]) -> list[Band]:
    tenth = func.floor(cast(Routing.confidence, Float) * BANDS)
    query = select(tenth, func.count(), _count(Routing.route == "auto"))
    rows = session.execute(query.where(Routing.project_id == project_id, Routing.confidence.is_not(None)).group_by(tenth))
    counts = {int(n): (0, 0) for n in range(BANDS)}
    for n, routed, alone in rows:
        held = counts[min(int(n), BANDS - 1)]
        counts[min(int(n), BANDS - 1)] = (held[0] + routed, held[1] + (alone or 0))
    return [_band(n, *counts[n], judged) for n in range(BANDS) if counts[n][0]]


def _band(n: int, routed: int, alone: int, judged: Sequence[_Judged]) -> Band:
    here = [row for row in judged if min(int(row.confidence * BANDS), BANDS - 1) == n]
    agreed = Share(sum(r.weight for r in here if r.answer == r.predicted), sum(r.weight for r in here))
    return Band(n / BANDS, (n + 1) / BANDS, routed, alone, len(here), agreed)


def _labels(judged: Sequence[_Judged]) -> list[LabelFigures]:
    names = sorted({row.predicted for row in judged} | {row.answer for row in judged if row.answer is not None})
    return [_label(name, judged) for name in names]


def _label(name: str, judged: Sequence[_Judged]) -> LabelFigures:
    predicted = [row for row in judged if row.predicted == name]
    answered = [row for row in judged if row.answer == name]
    right = sum(row.weight for row in predicted if row.answer == name)
    return LabelFigures(
        name,
        len(predicted),
        len(answered),
        Share(right, sum(row.weight for row in predicted)),
        Share(right, sum(row.weight for row in answered)),
    )


def _superseded() -> ColumnElement[bool]:
    later = Decision.__table__.alias("later")
    return select(later.c.id).where(later.c.supersedes_id == Decision.id).exists()


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _number(session: Session, query: object) -> int:
    return session.scalar(query) or 0  # type: ignore[call-overload]


def totals(session: Session, project_id: int) -> dict[str, int]:
    """Items, and outcomes by source: for stats and metrics."""
    items = _number(session, select(func.count()).select_from(Item).where(Item.project_id == project_id))
    latest = select(Outcome.item_id, func.max(Outcome.revision).label("revision")).group_by(Outcome.item_id).subquery()
    sources = session.execute(
        select(Outcome.source, func.count())
        .join(latest, and_(latest.c.item_id == Outcome.item_id, latest.c.revision == Outcome.revision))
        .where(Outcome.project_id == project_id)
        .group_by(Outcome.source)
    ).tuples()
    return {"items": items, **{f"outcomes_{source}": n for source, n in sources}}

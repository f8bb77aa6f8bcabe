"""Every "how is it going" answer, read by the desk, the API and the metrics alike; each figure with its denominator."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean

from sqlalchemy import Integer, Row, ScalarSelect, Select, func, select
from sqlalchemy.orm import Session

from db.tables import Decision, Explanation, Person, Task, Work
from review_queue import agreement, answers, clock, quality, states, stuck, tallies
from review_queue.agreement import Agreement
from review_queue.answers import Window
from review_queue.calendar import add_working_time
from review_queue.outcomes import ANSWERS
from review_queue.people import PLAYERS
from review_queue.projects import Setting, by_id
from review_queue.quality import Judged
from review_queue.tallies import BANDS

MOST = 10_000
"""As far as is counted by looking; one more stands for "more than that"."""


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
    """What waits and what is in hand.

    `waiting` leaves out what is held, parked or stuck; `open` is all four. Counted up to MOST, where MOST + 1 stands for more:
    `waiting_for_leads`, `held`, `parked`, `overdue`, `soon_due`, `stuck` (by why in `stuck_by`) and `unexplained`.
    """

    waiting: int
    waiting_for_leads: int
    held: int
    parked: int
    stuck: int
    stuck_by: dict[str, int]
    open: int
    oldest: datetime | None
    overdue: int
    soon_due: int
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
    """The page Insights. What acted is counted over all traffic; what people said, over the latest `decisions`.

    `whole`: these are all decisions there are. `judged`: first human answers among them; `rejected` is of these.
    """

    routed: int
    automation: Share
    decisions: int
    whole: bool
    override: Share
    judged: int
    rejected: int
    decisions_last_hour: int
    decisions_per_hour: float | None
    seconds_median: float | None
    known_answers: Share
    bands: tuple[Band, ...]
    labels: tuple[LabelFigures, ...]
    agreement: Agreement


def backlog(session: Session, project_id: int) -> Backlog:
    """Counts of the queue as it stands: from the tallies, and from small indexes up to MOST."""
    now, counted = clock.now(), tallies.read(session, project_id)
    seen = _seen(session, project_id, now, soon(by_id(session, project_id), now))
    apart = stuck.count(session, project_id)
    waiting = counted["open"] - seen.held - seen.parked - apart.total()
    return Backlog(
        waiting=max(waiting, 0),
        waiting_for_leads=seen.leads,
        held=seen.held,
        parked=seen.parked,
        stuck=apart.total(),
        stuck_by=dict(apart),
        open=counted["open"],
        oldest=_oldest(session, project_id),
        overdue=seen.overdue,
        soon_due=seen.soon_due,
        unscored=counted["unscored"],
        unexplained=seen.unexplained,
        decided=counted["decided"],
    )


def soon(setting: Setting, now: datetime) -> datetime:
    """Until when a due time is soon, by the project's calendar."""
    policy = setting.policy
    return add_working_time(now, policy.review.due_soon, policy.calendar, setting.project.zone)


def waiting(session: Session, project_id: int) -> int:
    """Tasks that wait for somebody, those that nobody present may take among them: for the counter at the desk."""
    of_project = Task.project_id == project_id
    row = session.execute(
        select(_up_to(select(Task.id).where(of_project, states.HELD)), _up_to(select(Task.id).where(of_project, states.PARKED)))
    ).one()
    return max(tallies.read(session, project_id)["open"] - sum(row), 0)


def _seen(session: Session, project_id: int, now: datetime, until: datetime) -> "Row[int, int, int, int, int, int]":
    of_project = select(Task.id).where(Task.project_id == project_id)
    due = of_project.where(states.DUE)
    unexplained = select(Work.item_id).where(Work.project_id == project_id, Work.kind == "explain")
    return session.execute(
        select(
            _up_to(of_project.where(states.HELD)).label("held"),
            _up_to(of_project.where(states.PARKED)).label("parked"),
            _up_to(of_project.where(Task.audience == "leads", states.PENDING)).label("leads"),
            _up_to(due.where(Task.due_at < now)).label("overdue"),
            _up_to(due.where(Task.due_at >= now, Task.due_at < until)).label("soon_due"),
            _up_to(unexplained).label("unexplained"),
        )
    ).one()


def _up_to(query: Select[int]) -> ScalarSelect[int]:
    """How many rows there are, counted to MOST + 1."""
    return select(func.count(type_=Integer)).select_from(query.limit(MOST + 1).subquery()).scalar_subquery()


def _oldest(session: Session, project_id: int) -> datetime | None:
    query = select(Task.made_at).where(Task.project_id == project_id, states.OPEN)
    return session.scalar(query.order_by(Task.made_at, Task.id).limit(1))


def explained_ahead(session: Session, project_id: int, ahead: int = 200) -> Share:
    """How many of the next waiting tasks have their reasons ready."""
    near = states.next_waiting(project_id, ahead)
    items = session.scalars(select(near.c.item_id)).all()
    query = select(func.count(Explanation.item_id.distinct())).where(Explanation.item_id.in_(items))
    return Share(session.scalar(query) or 0, len(items))


def insight(session: Session, project_id: int) -> Insight:
    """Figures of a project: traffic from the tallies, what people said from the latest decisions."""
    counted, window = tallies.read(session, project_id), answers.latest(session, project_id)
    judged = quality.judged(window)
    times = sorted(each.seconds for each in window.answers if each.seconds is not None)
    return Insight(
        routed=counted["auto"] + counted["review"] + counted["failed"],
        automation=Share(counted["auto"], counted["auto"] + counted["review"]),
        decisions=window.decisions,
        whole=window.whole,
        override=_override(window),
        judged=len(judged),
        rejected=sum(1 for row in judged if row.answer is None),
        decisions_last_hour=_last_hour(session, project_id),
        decisions_per_hour=_pace(window),
        seconds_median=times[len(times) // 2] if times else None,
        known_answers=played(session, window),
        bands=tuple(_bands(counted, judged)),
        labels=tuple(_labels(judged)),
        agreement=agreement.of(window),
    )


def _override(window: Window) -> Share:
    """Final answers that are not the prediction, among final answers where there was one to accept and nobody had asked."""
    seen = (each for each in window.standing() if each.by_chance_or_rule)
    held = [each for each in seen if each.state == "completed" and each.predicted is not None]
    return Share(sum(each.verdict != "accept" for each in held), len(held))


def played(session: Session, window: Window) -> Share:
    """How many of the final answers the known answers gave."""
    names, held = set(session.scalars(select(Person.id).where(Person.name.in_(PLAYERS)))), window.standing()
    return Share(sum(each.person_id in names for each in held), len(held))


def _last_hour(session: Session, project_id: int) -> int:
    """Final answers of the last hour, counted to MOST + 1."""
    since = clock.now() - timedelta(hours=1)
    query = select(Decision.id).where(Decision.project_id == project_id, Decision.decided_at >= since)
    return session.scalar(select(_up_to(query.where(Decision.stage == "final", Decision.verdict.in_(ANSWERS))))) or 0


def _pace(window: Window) -> float | None:
    """Decided cases per hour of work: 3600 over the mean time that people spent on a case."""
    times = [each.seconds for each in window.answers if each.stage == "final" and each.seconds is not None]
    return 3600 / mean(times) if times and mean(times) else None


def _bands(counted: Counter[str], judged: Sequence[Judged]) -> list[Band]:
    routes = {n: {route: counted[f"band/{n}/{route}"] for route in ("auto", "review", "failed")} for n in range(BANDS)}
    return [_band(n, sum(held.values()), held["auto"], judged) for n, held in routes.items() if sum(held.values())]


def _band(n: int, routed: int, alone: int, judged: Sequence[Judged]) -> Band:
    here = [row for row in judged if tallies.band(row.confidence) == n]
    agreed = Share(sum(r.weight for r in here if r.answer == r.predicted), sum(r.weight for r in here))
    return Band(n / BANDS, (n + 1) / BANDS, routed, alone, len(here), agreed)


def _labels(judged: Sequence[Judged]) -> list[LabelFigures]:
    names = sorted({row.predicted for row in judged} | {row.answer for row in judged if row.answer is not None})
    return [_label(name, judged) for name in names]


def _label(name: str, judged: Sequence[Judged]) -> LabelFigures:
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


def totals(session: Session, project_id: int) -> dict[str, int]:
    """Items, and standing outcomes by source: for stats and metrics."""
    counted = tallies.read(session, project_id)
    sources = {name.replace("/", "_"): n for name, n in sorted(counted.items()) if name.startswith("outcomes/") and n}
    return {"items": counted["items"], **sources}

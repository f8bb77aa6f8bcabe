"""The latest decisions of a project with what they answered: the window that figures of quality are taken over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, literal_column, select
from sqlalchemy.orm import Session

from db.tables import Decision, Routing, Task
from review_queue.outcomes import ANSWERS

WINDOW = 10_000
"""Decisions, the latest first, that figures look back over: reading more would take longer every day."""
GOLD: ColumnElement[bool] = literal_column("decision.basis = 'gold'")  # in words, as the index has it


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of a person, beside the prediction that routed the item; `label` is None where it was rejected.

    `predicted` and `confidence` are None where there was no score.
    """

    id: int
    item_id: int
    person_id: int
    stage: str
    verdict: str
    label: str | None
    blind: bool
    seconds: float | None
    supersedes_id: int | None
    basis: str
    task_id: int
    decided_at: datetime
    kind: str
    state: str
    routing_n: int
    predicted: str | None
    confidence: float | None
    pi: float

    @property
    def is_first(self) -> bool:
        """Whether it is what this person said before anything else of the case: blind where the task was."""
        return self.supersedes_id is None and (self.stage == "first" or not self.blind)

    @property
    def by_chance_or_rule(self) -> bool:
        """Whether the rule brought the case to people, or a draw: what somebody asked for stands for nothing but itself."""
        return self.basis in ("routed", "drawn")


@dataclass(frozen=True, slots=True)
class Window:
    """Answers, oldest first, among the latest `decisions`; `whole` where there are no older ones (of the time asked for)."""

    decisions: int
    whole: bool
    answers: tuple[Answered, ...]

    def standing(self) -> list[Answered]:
        """Final answers that nobody took back or changed."""
        changed = {each.supersedes_id for each in self.answers}
        return [each for each in self.answers if each.stage == "final" and each.id not in changed]


def latest(
    session: Session, project_id: int, among: int = WINDOW, *, since: datetime | None = None, before: datetime | None = None
) -> Window:
    """Read the window: by the index of decisions, then one row each of task and routing."""
    newest = _newest(project_id, among + 1)
    if since is not None:
        newest = newest.where(Decision.decided_at >= since)
    if before is not None:
        newest = newest.where(Decision.decided_at < before)
    return _window(session, newest, among)


def gold(session: Session, project_id: int, among: int = WINDOW, *, since: datetime | None = None, before: datetime) -> Window:
    """The latest decisions on cases whose answer is known, by their own index."""
    known = _newest(project_id, among + 1).where(GOLD, Decision.decided_at < before)
    known = known if since is None else known.where(Decision.decided_at >= since)
    return _window(session, known, among)


def _window(session: Session, newest: Select[*tuple[Any, ...]], among: int) -> Window:
    rows = session.execute(_beside(session, newest)).tuples().all()
    inside = sorted(rows, key=lambda row: row[0])[-among:]
    held = tuple(Answered(*row) for row in inside if row[4] in ANSWERS)
    return Window(len(inside), len(rows) <= among, held)


def _newest(project_id: int, limit: int) -> Select[*tuple[Any, ...]]:
    columns = (
        Decision.id,
        Decision.item_id,
        Decision.person_id,
        Decision.stage,
        Decision.verdict,
        Decision.label,
        Decision.blind,
        Decision.seconds,
        Decision.supersedes_id,
        Decision.basis,
        Decision.task_id,
        Decision.decided_at,
    )
    query: Select[*tuple[Any, ...]] = select(*columns).where(Decision.project_id == project_id)
    return query.order_by(Decision.decided_at.desc(), Decision.id.desc()).limit(limit)


def _beside(session: Session, newest: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Task and routing beside each decision, by their keys.

    PostgreSQL is kept from reading both tables whole for it, as it would where it takes the disk to be slow: a lateral
    query with a limit is not turned into another join. SQLite joins no other way.
    """
    made = newest.subquery()
    task = select(Task.kind, Task.state, Task.routing_n).where(Task.id == made.c.task_id)
    if session.get_bind().dialect.name == "sqlite":
        routed = and_(Routing.item_id == made.c.item_id, Routing.n == Task.routing_n)
        columns = (*made.c, Task.kind, Task.state, Task.routing_n, Routing.label, Routing.confidence, Routing.pi)
        return select(*columns).join_from(made, Task, Task.id == made.c.task_id).join(Routing, routed)
    at = task.limit(1).lateral()
    routing = select(Routing.label.label("predicted"), Routing.confidence, Routing.pi)
    by = routing.where(Routing.item_id == made.c.item_id, Routing.n == at.c.routing_n).limit(1).lateral()
    always = made.c.id.is_not(None)
    return select(*made.c, *at.c, *by.c).select_from(made).join(at, always).join(by, always)

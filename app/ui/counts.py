"""The three numbers beside the case."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.tables import Claim, Decision, Task
from review_queue import clock
from review_queue.activity import Actor
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting


@dataclass(frozen=True, slots=True)
class Counts:
    """`pace`: decisions of the last hour; None before there is one."""

    today: int
    waiting: int
    pace: int | None


def of(session: Session, setting: Setting, actor: Actor) -> Counts:
    """What this person did today (in the project's time zone), and what waits."""
    now = clock.now()
    mine = (
        select(func.count(Decision.task_id.distinct()))
        .join(Task, Task.id == Decision.task_id)
        .where(Decision.person_id == actor.id, Decision.project_id == setting.id, Task.state == "completed")
        .where(Decision.stage == "final", Decision.verdict.in_(ANSWERS))
    )
    waiting = select(func.count(Task.id)).where(Task.project_id == setting.id, Task.state == "pending")
    counted = select(
        mine.where(Decision.decided_at >= _midnight(now, setting)).scalar_subquery(),
        mine.where(Decision.decided_at >= now - timedelta(hours=1)).scalar_subquery(),
        waiting.scalar_subquery(),
    )
    today, hour, waits = session.execute(counted).one()
    return Counts(today, waits, hour or None)


def elsewhere(session: Session, setting: Setting, actor: Actor, session_name: str) -> list[str]:
    """Tokens of cases that this person holds in another tab, or held before a reload."""
    query = (
        select(Claim.token)
        .join(Task, Task.id == Claim.task_id)
        .where(Claim.person_id == actor.id, Claim.state == "held", Claim.session != session_name)
        .where(Task.project_id == setting.id)
    )
    return list(session.scalars(query))


def _midnight(now: datetime, setting: Setting) -> datetime:
    return now.astimezone(setting.project.zone).replace(hour=0, minute=0, second=0, microsecond=0)

"""The three numbers beside the case."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from db.tables import Claim, Decision, Task
from review_queue import clock, insights
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
    done = _done(setting, actor, _midnight(now, setting)).subquery()
    recent = case((done.c.latest >= now - timedelta(hours=1), 1))
    state = select(Task.state).where(Task.id == done.c.task_id).scalar_subquery()  # each looked up by its key
    today, hour = session.execute(select(func.count(), func.count(recent)).select_from(done).where(state == "completed")).one()
    return Counts(today, insights.waiting(session, setting.id), hour or None)


def _done(setting: Setting, actor: Actor, since: datetime) -> Select[int, datetime]:
    """Cases that this person answered since then."""
    said = select(Decision.task_id, func.max(Decision.decided_at).label("latest"))
    said = said.where(Decision.person_id == actor.id, Decision.decided_at >= since, Decision.project_id == setting.id)
    return said.where(Decision.stage == "final", Decision.verdict.in_(ANSWERS)).group_by(Decision.task_id)


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

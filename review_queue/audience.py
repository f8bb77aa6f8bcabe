"""For whom a task waits: reviewers; or leads, once it was escalated, skipped too often, or is overdue and the policy says so."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.tables import Claim, Decision, Task
from review_queue import activity, clock, projects, states
from review_queue.projects import Setting

BATCH = 200
"""Overdue tasks that one turn of the house-keeping hands on, by project."""


def skipped(session: Session, task: Task) -> None:
    """After a skip: the one that reaches the policy's `max_skips` leaves the task to leads."""
    if task.audience == "reviewers" and task.skips >= projects.by_id(session, task.project_id).policy.review.max_skips:
        task.audience = "leads"
        _tell(session, task.project_id, task.id, task.item_id, "skipped")


def restore(session: Session, task: Task) -> None:
    """After a skip or an escalation was taken back: whom the task is for by what still stands."""
    setting = projects.by_id(session, task.project_id)
    leads = task.skips >= setting.policy.review.max_skips or _is_late(setting, task) or _is_escalated(session, task)
    task.audience = "leads" if leads else "reviewers"
    session.flush()


def hand_on_overdue(session: Session, limit: int = BATCH) -> int:
    """Leave pending tasks past their due time to leads, of all kinds alike, where the policy says so; how many."""
    wished = [each.id for each in projects.everything(session) if each.policy.review.on_overdue == "leads"]
    return sum(_hand_on(session, project_id, limit) for project_id in wished)


def _hand_on(session: Session, project_id: int, limit: int) -> int:
    """Takes the index `task_late`: what leads have already is not looked at again."""
    late = (
        select(Task.id)
        .where(Task.project_id == project_id, states.LATE, Task.due_at < clock.now())
        .order_by(Task.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    moved = session.execute(
        update(Task).where(Task.id.in_(late)).values(audience="leads").returning(Task.id, Task.item_id),
        execution_options={"synchronize_session": False},
    ).all()
    for task_id, item_id in moved:
        _tell(session, project_id, task_id, item_id, "overdue")
    return len(moved)


def _is_late(setting: Setting, task: Task) -> bool:
    late = task.due_at is not None and task.due_at < clock.now()
    return late and setting.policy.review.on_overdue == "leads"


def _is_escalated(session: Session, task: Task) -> bool:
    said = select(Decision.claim_id).where(Decision.task_id == task.id, Decision.verdict == "escalate")
    return session.scalar(select(Claim.id).where(Claim.id.in_(said), Claim.state == "escalated").limit(1)) is not None


def _tell(session: Session, project_id: int, task_id: int, item_id: int, why: str) -> None:
    after = {"task": str(task_id), "why": why}
    activity.record(session, None, "task.to-leads", f"item:{item_id}", project_id=project_id, after=after)

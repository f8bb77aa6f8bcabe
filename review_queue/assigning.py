"""Leads give a waiting task to a person, and change when it is due."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Person, Task
from db.types import microseconds
from review_queue import activity, claims, clock, outcomes, parking, people, projects
from review_queue.activity import RANKS, Actor
from review_queue.errors import Forbidden, Invalid, NotFound, Refused

LONGEST = timedelta(days=366)
"""How far ahead a task may be due, or be one person's alone."""


def assign(session: Session, task_id: int, name: str | None, until: datetime | None = None, *, by: Actor) -> None:
    """A waiting task is this person's alone to take until a moment, a working day from now where none is given; None as the name:
    anybody's again. Raises Forbidden, NotFound, Invalid, Refused."""
    task = _waiting(session, task_id, by, "assigning")
    _check("until", until)
    before = {"person": task.assignee_id}
    person = _taker(session, task, name) if name is not None else None
    setting = projects.by_id(session, task.project_id)
    task.assignee_id = person.id if person else None
    task.assigned_until = (until or parking.first_until(setting)) if person else None
    session.flush()
    after = {"task": str(task.id), "person": task.assignee_id, "until": _iso(task.assigned_until)}
    activity.record(session, by, "task.assign", f"item:{task.item_id}", project_id=task.project_id, before=before, after=after)


def set_due(session: Session, task_id: int, due: datetime | None, *, by: Actor) -> None:
    """Another due time for an open task, or none; where the policy orders by due times its place follows. The time until which a
    drawn case counts as evidence is the policy's alone and stays. Raises Forbidden, NotFound, Invalid, Refused."""
    _check("due", due)
    task = _open(session, task_id, by, "setting due times")
    before = {"due": _iso(task.due_at)}
    task.due_at = due
    if projects.by_id(session, task.project_id).policy.review.order == "due" and due is not None:
        task.rank = microseconds(due)
    session.flush()
    after = {"task": str(task.id), "due": _iso(due)}
    activity.record(session, by, "task.due", f"item:{task.item_id}", project_id=task.project_id, before=before, after=after)


def _waiting(session: Session, task_id: int, by: Actor, what: str) -> Task:
    task = _open(session, task_id, by, what)
    if task.state != "pending":
        why = "is held by somebody; release it first" if task.state == "in_progress" else "is parked; bring it back first"
        raise Refused(f"task {task_id} {why}")
    return task


def _open(session: Session, task_id: int, by: Actor, what: str) -> Task:
    """The task, locked with the others of its item. A case whose answer is known is not there for anybody."""
    if not by.at_least("lead"):
        raise Forbidden(f"{what} is for leads")
    held = session.execute(select(Task.item_id, Task.kind).where(Task.id == task_id)).first()
    if held is None or held.kind == "gold":
        raise NotFound(f"there is no task {task_id}; `signoff queue list` shows those that are open")
    outcomes.lock(session, held.item_id)
    task = session.get_one(Task, task_id, populate_existing=True)
    if task.state in ("completed", "cancelled"):
        raise Refused(f"task {task_id} is {task.state} already")
    return task


def _taker(session: Session, task: Task, name: str) -> Person:
    person = session.scalar(select(Person).where(Person.name == name))
    if person is None or person.disabled_at is not None:
        raise NotFound(f"there is no person {name!r} here; `signoff user list` shows who there is")
    least = "lead" if task.audience == "leads" else "reviewer"
    known = people.actor(session, person.id, "worker")
    role = known.role_in(task.project_id) if known is not None else None
    if role is None:
        raise Refused(f"this project is not open to {name}; `signoff user grant` opens it, or name somebody else")
    if RANKS[role] < RANKS[least]:
        raise Refused(f"{name} is a {role} and this task is for a {least}; name somebody else")
    if claims.has_seat(session, task.item_id, person.id):
        raise Refused(f"{name} has had a part in this case already; name somebody else")
    return person


def _check(name: str, at: datetime | None) -> None:
    if at is not None and at.tzinfo is None:
        raise Invalid(f"{name} {at.isoformat()} names no time zone; write 2026-12-01T09:00+01:00")
    if at is not None and not clock.now() < at <= clock.now() + LONGEST:
        raise Invalid(f"{name} {at.isoformat()} is past, or more than a year ahead; name a moment between")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

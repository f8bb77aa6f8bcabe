"""Cases put aside until a date or until the item changes, for the person who parked them to go on with first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from db import bulk
from db.tables import Claim, ItemKey, Person, Project, Task
from review_queue import activity, claims, clock, decisions, names, outcomes, projects, states
from review_queue.activity import Actor
from review_queue.calendar import add_working_time
from review_queue.claims import Held
from review_queue.errors import Forbidden, Invalid, NotFound, Refused

LONGEST = timedelta(days=366)
"""How far ahead a case may be parked."""
FIRST_FOR = timedelta(days=1)
"""Working time for which a case that comes back is its person's alone; then anybody may take it."""
MAX_NOTE = 2000
BATCH = 200
"""Cases that one turn of the house-keeping wakes."""
FURTHEST = 20
"""Revisions that are looked through for the last one that was routed."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A case that is put aside. `until`: None is until the item changes; `person`: None where a lead put it aside for all."""

    task_id: int
    external_id: str
    person: str | None
    since: datetime
    until: datetime | None
    note: str | None


def park(
    session: Session, actor: Actor, task_id: int, token: str, until: datetime | None = None, note: str | None = None
) -> Parked:
    """Put a held case aside; a retry changes nothing. Raises Invalid, ClaimExpired, AlreadyDecided."""
    _check(until, note)
    if known := _parked_with(session, actor, task_id, token):
        return known
    held, task = claims.require(session, actor, task_id, token)
    if decisions.first_of_claim(session, token) is not None:
        raise Invalid("the first answer is stored; keep it or change it")
    claims.close(session, held, "released")
    task.parked_claim_id = held.id
    return _put(session, task, actor, until, note, actor.id)


def put_aside(session: Session, task_id: int, until: datetime | None = None, note: str | None = None, *, by: Actor) -> Parked:
    """A lead parks a case that waits and that nobody holds, for whoever comes. Raises Forbidden, NotFound, Refused, Invalid."""
    _check(until, note)
    if not by.at_least("lead"):
        raise Forbidden("parking what waits for anybody is for leads; you may park a case that you hold")
    task = _locked(session, task_id)
    if task.state != "pending":
        state = {"in_progress": "is held by somebody; release it first"}.get(task.state, f"is {task.state}")
        raise Refused(f"task {task_id} {state}")
    return _put(session, task, by, until, note, None)


def unpark(session: Session, task_id: int, *, by: Actor) -> None:
    """Back to the queue before its time: by its person, who gets it first, or by a lead, for all.

    Raises NotFound, Refused, Forbidden.
    """
    task = _locked(session, task_id)
    if task.state != "parked":
        raise Refused(f"task {task_id} is not parked")
    if task.assignee_id != by.id and not by.at_least("lead"):
        raise Forbidden("another person parked this case; a lead can bring it back for all")
    _bring_back(session, task, task.assignee_id if task.assignee_id == by.id else None, by)


def resume(session: Session, actor: Actor, task_id: int, *, session_name: str) -> Held:
    """Take a parking back: the hold that it ended goes on, in this session. Raises NotFound, Refused."""
    task = _locked(session, task_id)
    if task.state != "parked" or task.assignee_id != actor.id or claims.has_seat(session, task.item_id, actor.id):
        raise Refused("this can no longer be taken back: the case is not parked by you any more")
    row = session.get_one(Claim, task.parked_claim_id, populate_existing=True)
    lease = projects.by_id(session, task.project_id).policy.review.lease
    row.state, row.closed_at, row.session, row.expires_at = "held", None, session_name, clock.now() + lease
    task.state, task.assignee_id = "in_progress", task.assignee_id if task.kind == "gold" else None
    task.parked_at = task.parked_until = task.parked_claim_id = None
    session.flush()
    activity.record(session, actor, "task.resume", f"item:{task.item_id}", project_id=task.project_id)
    return Held(task.id, task.item_id, row.token, row.expires_at, row.taken_at)


def wake(session: Session, limit: int = BATCH) -> int:
    """Bring back the cases whose date has come, each to its person first; how many."""
    every = Task.project_id.in_(select(Project.id))  # the index begins with the project
    due = select(Task).where(every, states.PARKED, Task.parked_until <= clock.now()).order_by(Task.parked_until).limit(limit)
    rows = session.scalars(due.with_for_update(skip_locked=True).execution_options(populate_existing=True)).all()
    for task in rows:
        _bring_back(session, task, task.assignee_id, None)
    return len(rows)


def parked(session: Session, project_id: int, actor: Actor, limit: int = 200, *, own: bool = False) -> list[Parked]:
    """What is put aside, what comes back next first: one's own; for leads everybody's, unless they ask for their `own`."""
    query = _listed().where(Task.project_id == project_id)
    if own or not actor.at_least("lead"):
        query = query.where(Task.assignee_id == actor.id)
    rows = session.execute(query.order_by(Task.parked_until.is_(None), Task.parked_until, Task.id).limit(limit))
    return [Parked(*row) for row in rows]


def last_of(session: Session, actor: Actor, project_id: int) -> Parked | None:
    """What this person parked last and is parked still."""
    query = _listed().where(Task.project_id == project_id, Task.assignee_id == actor.id)
    row = session.execute(query.order_by(Task.parked_at.desc()).limit(1)).first()
    return Parked(*row) if row else None


def first_of(session: Session, project_id: int, revisions: Mapping[str, int]) -> dict[str, list[int]]:
    """Whose the reviews of new revisions are first, by external id and seat: those who had parked the last one routed."""
    earlier = [names.place(name, n) for name, new in revisions.items() for n in range(max(1, new - FURTHEST), new)]
    if not earlier:
        return {}
    query = (
        select(ItemKey.name, ItemKey.revision, Person.id, Task.state)
        .join(Task, Task.item_id == ItemKey.item_id)
        .outerjoin(Person, (Person.id == Task.assignee_id) & Person.disabled_at.is_(None))
        .where(ItemKey.project_id == project_id, bulk.among(session, ItemKey.external_id, earlier), Task.kind == "review")
        .order_by(ItemKey.revision, Task.seat)
    )
    rows = session.execute(query).tuples().all()
    last, first = {name: n for name, n, _, _ in rows}, dict[str, list[int]]()
    for name, n, person_id, state in rows:
        if n == last[name] and person_id is not None and state == "cancelled":
            first.setdefault(name, []).append(person_id)
    return first


def setting_of(session: Session, task_id: int) -> projects.Setting:
    """The project of a task. Raises NotFound."""
    return projects.by_id(session, _found(session, task_id).project_id)


def _check(until: datetime | None, note: str | None) -> None:
    if until is not None and until.tzinfo is None:
        raise Invalid(f"until {until.isoformat()} names no time zone; write 2026-12-01T09:00+01:00")
    if until is not None and not clock.now() < until <= clock.now() + LONGEST:
        raise Invalid(f"until {until.isoformat()} is past, or more than a year ahead; name a moment between")
    if note is not None and (len(note) > MAX_NOTE or not _storable(note)):
        raise Invalid(f"the note has {len(note):,} characters, a NUL or a lone surrogate; at most {MAX_NOTE:,} are taken")


def _storable(note: str) -> bool:
    return "\x00" not in note and not any("\ud800" <= character <= "\udfff" for character in note)


def _parked_with(session: Session, actor: Actor, task_id: int, token: str) -> Parked | None:
    """What this token parked, where it did and the case is parked still."""
    used = exists().where(Claim.token == token, Claim.task_id == task_id, Claim.person_id == actor.id, Claim.state == "released")
    row = session.execute(_listed().where(Task.id == task_id, Task.assignee_id == actor.id, used)).first()
    return Parked(*row) if row else None


def _put(session: Session, task: Task, by: Actor, until: datetime | None, note: str | None, assignee_id: int | None) -> Parked:
    task.state, task.assigned_until = "parked", None
    task.assignee_id = task.assignee_id if task.kind == "gold" else assignee_id
    if until is None and outcomes.is_closed(session, task.item_id):
        until = clock.now()  # it changed already
    task.parked_at, task.parked_until, task.parked_note = clock.now(), until, note or None
    session.flush()
    after = {"task": str(task.id), "until": until.isoformat() if until else None}
    activity.record(session, by, "task.park", f"item:{task.item_id}", project_id=task.project_id, after=after)
    return Parked(*session.execute(_listed().where(Task.id == task.id)).one())


def _bring_back(session: Session, task: Task, first: int | None, by: Actor | None) -> None:
    """The case waits again, for `first` alone at first, unless they cannot take it any more."""
    setting = projects.by_id(session, task.project_id)
    if task.kind == "gold":
        first = task.assignee_id  # nobody else's, whoever brings it back
    elif first is not None and (not _works(session, first) or claims.has_seat(session, task.item_id, first)):
        first = None
    task.state, task.assignee_id = "pending", first
    task.parked_at = task.parked_until = task.parked_claim_id = None
    task.assigned_until = first_until(setting) if first is not None and task.kind != "gold" else None
    session.flush()
    verb = "task.unpark" if by is not None else "task.wake"
    activity.record(session, by, verb, f"item:{task.item_id}", project_id=task.project_id, after={"task": str(task.id)})


def first_until(setting: projects.Setting) -> datetime:
    """Until when a case that comes back now is its person's alone: a working day by the project's calendar."""
    return add_working_time(clock.now(), FIRST_FOR, setting.policy.calendar, setting.project.zone)


def _works(session: Session, person_id: int) -> bool:
    person = session.get_one(Person, person_id)
    return person.disabled_at is None


def _found(session: Session, task_id: int) -> Task:
    task = session.get(Task, task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id}")
    return task


def _locked(session: Session, task_id: int) -> Task:
    outcomes.lock(session, _found(session, task_id).item_id)
    return session.get_one(Task, task_id, populate_existing=True)


def _listed() -> Select[*tuple[Any, ...]]:
    columns = Task.id, ItemKey.name, Person.name, Task.parked_at, Task.parked_until, Task.parked_note
    query = select(*columns).join(ItemKey, ItemKey.item_id == Task.item_id)
    return query.outerjoin(Person, Person.id == Task.assignee_id).where(states.PARKED)

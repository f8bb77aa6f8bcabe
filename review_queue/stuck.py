"""Tasks that nobody present may take: shown as such, counted apart, and given up by a lead where an answer stands.

Present are people to whom the project is open and who are not disabled, by role; a service or the known answers sign
nothing by themselves.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from db.tables import Claim, ItemKey, Outcome, Person, Task
from review_queue import activity, clock, members, outcomes, tallies
from review_queue.activity import Actor
from review_queue.claims import TAKEN
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.states import CONTESTED, PENDING

Why = Literal["second", "adjudication", "request", "seat", "skipped", "leads"]
SAYS: dict[Why, tuple[str, str]] = {
    "second": ("second opinion", "add a person (`signoff user add NAME`), or a lead gives it up and the answer stands"),
    "adjudication": ("dispute", "add a person (`signoff user add NAME`), or a lead gives it up where an answer stands already"),
    "request": (
        "requested look",
        "add a person (`signoff user add NAME`), or a lead gives it up or corrects the answer",
    ),
    "seat": ("further seat", "add a person (`signoff user add NAME`): everybody here has had a part in the case"),
    "skipped": ("skipped case", "add a person (`signoff user add NAME`), or whoever skipped it last takes that back"),
    "leads": ("leads' case", "nobody here is a lead: `signoff user add NAME --role lead`"),
}
"""What each is, and what to do."""
DROPPED: tuple[Why, ...] = ("second", "adjudication", "request")
"""What a lead may give up."""
MOST = 10_000
"""Tasks that are looked at, oldest first: those that somebody answered, skipped or settles, and those for leads."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A task that waits for somebody who is not there. `why` tells what kind of task it is: for leads."""

    task_id: int
    external_id: str
    since: datetime
    why: Why


def count(session: Session, project_id: int) -> Counter[str]:
    """How many are stuck, by why."""
    return Counter(why for _, why in _found(session, project_id))


def tasks(session: Session, project_id: int, limit: int = 200) -> list[Stuck]:
    """Which they are, oldest first."""
    found = dict(sorted(_found(session, project_id))[:limit])
    query = select(Task.id, ItemKey.name, Task.made_at).join(ItemKey, ItemKey.item_id == Task.item_id)
    rows = session.execute(query.where(Task.id.in_(found)).order_by(Task.id)).tuples()
    return [Stuck(task_id, name, since, found[task_id]) for task_id, name, since in rows]


def drop(session: Session, task_id: int, *, by: Actor) -> None:
    """Give up a second opinion, an adjudication or a requested look that nobody present may take; the answer that stands
    goes on standing.

    A draw that it would have resolved runs to its due time, and counts as an error then. Raises NotFound, Forbidden,
    Refused.
    """
    if not by.at_least("lead"):
        raise Forbidden("giving a task up is for leads")
    item_id = session.scalar(select(Task.item_id).where(Task.id == task_id))
    if item_id is None:
        raise NotFound(f"there is no task {task_id}; `signoff queue list --stuck` shows those that can be dropped")
    outcomes.lock(session, item_id)
    task = session.get_one(Task, task_id, populate_existing=True)
    _refuse(session, task)
    task.state, task.closed_at = "cancelled", clock.now()
    session.flush()
    tallies.add(session, task.project_id, open=-1)
    before = {"kind": task.kind}
    activity.record(session, by, "task.drop", f"item:{item_id}", project_id=task.project_id, before=before)


def _refuse(session: Session, task: Task) -> None:
    """What somebody here may take is refused first, whatever it is: they are not to learn that."""
    present = _present(session, task.project_id, task.audience)
    bound, had = session.execute(select(_bound(), _had(present)).where(Task.id == task.id)).one()
    if task.state == "pending" and not _nobody(present, bound, had):
        raise Refused(f"somebody here may still take task {task.id}; leave it to them")
    if task.state != "pending" or _why(task.kind, task.shared, task.requested) not in DROPPED:
        raise Refused(
            f"task {task.id} is no second opinion, dispute or requested look that waits; only such a one can be dropped"
        )
    if session.scalar(select(Outcome.item_id).where(Outcome.item_id == task.item_id).limit(1)) is None:
        raise Refused(f"no answer stands yet without task {task.id}; add a person who settles it: `signoff user add NAME`")


def _found(session: Session, project_id: int) -> list[tuple[int, Why]]:
    """Ids of stuck tasks with why."""
    found: list[tuple[int, Why]] = []
    leads = bool(_present(session, project_id, "leads"))
    if not leads:
        query = select(Task.id).where(Task.project_id == project_id, Task.audience == "leads", PENDING)
        found += [(task_id, "leads") for task_id in session.scalars(query.order_by(Task.rank, Task.id).limit(MOST + 1))]
    for audience in ("reviewers", *(["leads"] if leads else [])):
        found += _contested(session, project_id, audience)
    return found[: MOST + 1]


def _contested(session: Session, project_id: int, audience: str) -> list[tuple[int, Why]]:
    """Of the oldest tasks that somebody had to do with, those that nobody else may take."""
    present = _present(session, project_id, audience)
    columns = (Task.id, Task.kind, Task.shared, Task.requested, Task.audience, _bound(), _had(present))
    query = select(*columns).where(Task.project_id == project_id, CONTESTED).order_by(Task.made_at, Task.id)
    near = query.limit(MOST).subquery()
    rows = session.execute(select(near).where(near.c.audience == audience))
    return [(task_id, _why(*what)) for task_id, *what, _, bound, had in rows if _nobody(present, bound, had)]


def _nobody(present: set[int], bound: int | None, had: int) -> bool:
    """No person present may take a task: each has had a part of the case, or it is bound to somebody who is gone."""
    return had >= len(present) or (bound is not None and bound not in present)


def _bound() -> ColumnElement[int | None]:
    """Whose alone the task is, until they take it."""
    return case((Task.assigned_until.is_(None), Task.assignee_id)).label("bound")


def _had(present: set[int]) -> ColumnElement[int]:
    """How many of these people answered or skipped a part of the case; the index lets each count once. A hold may yet end."""
    theirs = select(func.count()).where(Claim.item_id == Task.item_id, Claim.state.in_(TAKEN), Claim.person_id.in_(present))
    theirs = theirs.where(Claim.state != "held")
    return theirs.correlate(Task).scalar_subquery().label("had")


def _present(session: Session, project_id: int, audience: str) -> set[int]:
    least = "lead" if audience == "leads" else "reviewer"
    return set(session.scalars(select(Person.id).where(*members.present(project_id, least=least))))


def _why(kind: str, shared: bool, requested: str | None) -> Why:
    known: dict[str, Why] = {"second": "second", "adjudication": "adjudication"}
    return known.get(kind, "request" if requested is not None else "seat" if shared else "skipped")

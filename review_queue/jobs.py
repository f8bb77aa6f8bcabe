"""Long work asked for on a page, over HTTP or by command; a worker runs it, the page shows its progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from db.tables import Job as JobRow
from review_queue import activity, clock, rules, waking
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Invalid, NotFound, Refused

Kind = Literal["export", "train", "compare", "retrain", "gate", "known-answers", "report", "erase"]
KINDS = ("export", "train", "compare", "retrain", "gate", "known-answers", "report", "erase")
ALONE = ("retrain",)
"""Kinds of which a project has one at a time."""
ENDED = ("done", "failed", "cancelled")
LEASE = timedelta(minutes=2)
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    project_id: int
    kind: str
    args: dict[str, Any]
    state: str
    progress: float
    step: str | None
    result: dict[str, Any] | None
    error: str | None
    asked_by: int | None
    asked_at: datetime
    ended_at: datetime | None


def ask(session: Session, project_id: int, kind: str, args: dict[str, Any], *, by: Actor) -> Job:
    """Write a job for a worker. Raises Invalid for an unknown kind, Forbidden below lead, Refused where one runs that is to be
    alone.

    An export over HTTP is for whoever has a key that reads: the key says what it may take.
    """
    if kind not in KINDS:
        raise Invalid(f"{kind!r} is no kind of job; known: {', '.join(KINDS)}")
    if not (kind == "export" and by.via == "api"):
        _require_lead(by)
    if kind in ALONE:
        _require_alone(session, project_id, kind)
    return put(session, project_id, kind, args, by=by)


def begin(session: Session, project_id: int, kind: str, args: dict[str, Any], worker: str, *, by: Actor) -> Job:
    """Ask for a job and take it at once, before any worker could. Raises what `ask` raises."""
    asked = ask(session, project_id, kind, args, by=by)
    return _taken(session, session.get_one(JobRow, asked.id), worker)


def put(session: Session, project_id: int, kind: str, args: dict[str, Any], *, by: Actor | None) -> Job:
    """The row of a job; None as `by`: a trigger asks."""
    now = clock.now()
    row = {"project_id": project_id, "kind": kind, "args": args, "state": "waiting", "progress": 0.0, "attempts": 0}
    job_id = session.scalars(
        insert(JobRow).returning(JobRow.id), {**row, "ready_at": now, "asked_at": now, "asked_by": by.id if by else None}
    ).one()
    activity.record(session, by, f"job.{kind}", f"job:{job_id}", project_id=project_id, after=args)
    waking.call(session, "jobs")
    return get(session, job_id)


def get(session: Session, job_id: int) -> Job:
    """Raises NotFound."""
    row = session.get(JobRow, job_id, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return _job(row)


def recent(session: Session, project_id: int, *, kinds: Sequence[str] = KINDS, limit: int = 20) -> list[Job]:
    """The latest jobs of a project, newest first."""
    query = select(JobRow).where(JobRow.project_id == project_id, JobRow.kind.in_(kinds)).order_by(JobRow.id.desc())
    return [_job(row) for row in session.scalars(query.limit(limit))]


def is_waiting(session: Session) -> bool:
    """Whether a job is there to be taken: a look that writes nothing."""
    return session.scalar(_ready(clock.now())) is not None


def lease(session: Session, worker: str) -> Job | None:
    """Take the next job; one whose worker died is taken again, and failed after three deaths."""
    now = clock.now()
    row = session.scalar(_ready(now).with_for_update(skip_locked=True))
    if row is None:
        return None
    if row.attempts == ATTEMPTS:
        row.worker, row.attempts = worker, row.attempts + 1
        row.state, row.error, row.ended_at = "failed", f"its worker died {ATTEMPTS} times", now
        return None
    return _taken(session, row, worker)


def _taken(session: Session, row: JobRow, worker: str) -> Job:
    row.attempts += 1
    row.worker, row.ready_at, row.state = worker, clock.now() + LEASE, "running"
    session.flush()
    return _job(row)


def open_of(session: Session, project_id: int, *kinds: str) -> int | None:
    """The job of these kinds that waits or runs."""
    theirs = (JobRow.project_id == project_id, JobRow.kind.in_(kinds), JobRow.state.in_(("waiting", "running")))
    return session.scalar(select(JobRow.id).where(*theirs).order_by(JobRow.id).limit(1))


def _ready(now: datetime) -> Select[JobRow]:
    pick = select(JobRow).where(JobRow.state.in_(("waiting", "running")), JobRow.ready_at <= now)
    return pick.order_by(JobRow.ready_at, JobRow.id).limit(1)


def progress(session: Session, job_id: int, worker: str, share: float, step: str) -> bool:
    """Say how far a job is, and keep the lease. False where it was cancelled or given to another worker: stop."""
    held = (JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running")
    values = {"progress": share, "step": step, "ready_at": clock.now() + LEASE}
    return session.execute(update(JobRow).where(*held).values(values).returning(JobRow.id)).first() is not None


def keep(session: Session, job_id: int, worker: str) -> None:
    """Hold on to a job while a long step says nothing."""
    held = (JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running")
    session.execute(update(JobRow).where(*held).values(ready_at=clock.now() + LEASE))


def finish(session: Session, job_id: int, worker: str, *, result: dict[str, Any] | None = None, error: str | None = None) -> None:
    """End a job that this worker still holds."""
    state = "failed" if error is not None else "done"
    values: dict[str, Any] = {"state": state, "result": result, "error": error, "ended_at": clock.now()}
    if error is None:
        values["progress"] = 1.0
    session.execute(update(JobRow).where(JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running").values(values))


def give_back(session: Session, job_id: int, worker: str) -> None:
    """Leave a job to whoever takes it next: its worker ends, and the job is not to blame."""
    held = (JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running")
    values = {"state": "waiting", "worker": None, "ready_at": clock.now(), "attempts": JobRow.attempts - 1}
    if session.execute(update(JobRow).where(*held).values(values).returning(JobRow.id)).first() is not None:
        waking.call(session, "jobs")


def drop(session: Session, job_id: int, worker: str) -> None:
    """End a job whose work was broken off by whoever ran it."""
    held = (JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running")
    session.execute(update(JobRow).where(*held).values(state="cancelled", ended_at=clock.now()))


def note(session: Session, job_id: int, worker: str, found: dict[str, Any]) -> None:
    """Keep what a job has reached so far, so that whoever takes it up again need not reach it again."""
    held = (JobRow.id == job_id, JobRow.worker == worker, JobRow.state == "running")
    session.execute(update(JobRow).where(*held).values(result=found))


def cancel(session: Session, job_id: int, *, by: Actor) -> None:
    """A waiting job will not run; a running one stops at its next step. Raises NotFound, Invalid, Forbidden below lead."""
    _require_lead(by)
    open_ = (JobRow.id == job_id, JobRow.state.in_(("waiting", "running")))
    ended = session.execute(update(JobRow).where(*open_).values(state="cancelled", ended_at=clock.now()).returning(JobRow.id))
    held = ended.first() is not None
    job = get(session, job_id)
    if not held:
        raise Invalid(f"job {job_id} is {job.state} already")
    activity.record(session, by, "job.cancel", f"job:{job_id}", project_id=job.project_id)


def _require_alone(session: Session, project_id: int, kind: str) -> None:
    rules.lock(session, project_id)
    held = open_of(session, project_id, kind)
    if held is not None:
        raise Refused(
            f"job {held} is at it already; `signoff job wait {held}` waits for its end, `signoff job cancel {held}` ends it"
        )


def _require_lead(by: Actor) -> None:
    if not by.at_least("lead"):
        raise Forbidden(f"{by.name} is a {by.role}; jobs are for leads and up")


def _job(row: JobRow) -> Job:
    return Job(**{name: getattr(row, name) for name in Job.__slots__})

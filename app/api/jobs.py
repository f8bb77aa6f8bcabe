"""Long work: asked for here, done by a worker."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from app.api import bodies, shapes
from app.api.access import Admin, Exporter, Here, named
from app.api.decisions import BigId
from app.api.problems import listed
from review_queue import jobs, projects
from review_queue.activity import Actor
from review_queue.jobs import Job

MOST_JOBS = 200
router = APIRouter(tags=["jobs"], route_class=bodies.StrictRoute)


@router.get("/jobs", summary="Recent jobs", responses=listed(404, 422))
def get_jobs(
    here: Here,
    actor: Exporter,
    project: Annotated[str | None, Query(description="Of this project alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 20,
) -> shapes.Jobs:
    """The latest jobs, newest first."""
    return here.database.read(_recent, actor, project, limit)


@router.post("/jobs", status_code=202, summary="Ask for a job", responses=listed(404, 409, 422))
def post_job(here: Here, actor: Admin, wish: shapes.JobIn, response: Response) -> shapes.JobOut:
    """Long work. The reply names the job; look at it again for its progress and result."""
    job = here.database.write(ask, actor, wish.project, wish.kind, wish.args.model_dump(exclude_none=True))
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get("/jobs/{job_id}", summary="One job", responses=listed(404))
def get_job(here: Here, actor: Exporter, job_id: BigId) -> shapes.JobOut:
    """How far it is, and its result or what went wrong."""
    return here.database.read(_one, job_id)


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job", responses=listed(404, 422))
def post_cancel(here: Here, actor: Admin, job_id: BigId) -> shapes.JobOut:
    """A waiting job will not run; a running one stops at its next step."""
    here.database.write(jobs.cancel, job_id, by=actor)
    return here.database.read(_one, job_id)


def ask(session: Session, actor: Actor, project: str, kind: str, args: Mapping[str, object]) -> shapes.JobOut:
    """Write a job. Raises NotFound."""
    held = named(session, project, actor)
    return _shown(jobs.ask(session, held.id, kind, dict(args), by=actor.within(held.id)), held.name)


def _one(session: Session, job_id: int) -> shapes.JobOut:
    job = jobs.get(session, job_id)
    return _shown(job, projects.by_id(session, job.project_id).name)


def _recent(session: Session, actor: Actor, project: str | None, limit: int) -> shapes.Jobs:
    every = [named(session, project, actor)] if project is not None else projects.everything(session, by=actor)
    found = [_shown(job, held.name) for held in every for job in jobs.recent(session, held.id, limit=limit)]
    return shapes.Jobs(jobs=sorted(found, key=lambda job: -int(job.id))[:limit])


def _shown(job: Job, project: str) -> shapes.JobOut:
    return shapes.JobOut.model_validate({**{name: getattr(job, name) for name in Job.__slots__}, "project": project})

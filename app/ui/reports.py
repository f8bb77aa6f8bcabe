"""Reports as files, for whoever sees the project; who took which is noted."""

import anyio
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.report.records import TYPE, name
from app.ui.door import Door
from db import blobs
from review_queue import activity, jobs, projects
from review_queue.activity import Actor
from review_queue.errors import NotFound


def routes(door: Door) -> list[BaseRoute]:
    """`/report/PROJECT/JOB`: the file that a job made."""

    async def give(request: Request) -> Response:
        actor = await door.who(request)
        if actor is None:
            return PlainTextResponse("Sign in first.", 401)
        wanted = request.path_params["project"], request.path_params["job"]
        try:
            called, body = await anyio.to_thread.run_sync(door.workspace.database.write, take, *wanted, actor)
        except NotFound as error:
            return PlainTextResponse(f"{error}.", 404)
        headers = {"Content-Disposition": f'attachment; filename="{called}"', "Cache-Control": "no-store"}
        return Response(body, media_type=TYPE, headers=headers)

    return [Route("/report/{project}/{job:int}", give)]


def take(session: Session, project: str, job_id: int, actor: Actor) -> tuple[str, bytes]:
    """The file's name and bytes. Raises NotFound, also for a project that is closed to them."""
    setting = projects.get(session, project, by=actor)
    job = jobs.get(session, job_id)
    made = job.result if job.project_id == setting.id and job.kind == "report" else None
    found = blobs.get(session, made["report"]) if made else None
    if made is None or found is None:
        raise NotFound(f"there is no report {job_id} of {setting.name}")
    taken = {"from": made["from"], "to": made["to"]}
    activity.record(session, actor.within(setting.id), "report.take", f"job:{job_id}", project_id=setting.id, after=taken)
    return name(setting.name, made["from"], made["to"]), found[0]

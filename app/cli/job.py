"""`signoff job`: long work that was asked for."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from app.workspace import Workspace
    from review_queue.jobs import Job

app = noun("Jobs: long work that was asked for on a page or over HTTP, and that a worker does.")

Number = Annotated[int, typer.Argument(metavar="JOB", help="The number of the job.")]


@app.command("list")
def list_(project: ProjectName = None, limit: Limit = 20, directory: Dir = None, as_json: AsJson = False) -> None:
    """The latest jobs, newest first."""
    from app.cli.console import opened, say, table

    with opened(directory) as workspace:
        jobs = _latest(workspace, project, limit)
    rows = [(str(j.id), j.kind, j.state, f"{j.progress:.0%}", j.step, j.asked_at, j.ended_at) for j in jobs]
    say(as_json, jobs, table(("job", "kind", "state", "done", "step", "asked", "ended"), rows) if rows else "no job yet")


@app.command()
def show(job: Number, directory: Dir = None, as_json: AsJson = False) -> None:
    """One job with its result or its error."""
    from app.cli.console import listed, opened, plain, say
    from review_queue import jobs

    with opened(directory) as workspace:
        found = workspace.database.read(jobs.get, job)
    say(as_json, found, listed((name, value) for name, value in plain(found).items() if value not in (None, {})))


@app.command()
def cancel(job: Number, directory: Dir = None) -> None:
    """A waiting job will not run; a running one stops at its next step."""
    from app.cli.console import opened, say
    from review_queue import jobs

    with opened(directory) as workspace:
        workspace.database.write(jobs.cancel, job, by=workspace.local_actor("cli"))
    say(False, None, f"job {job} is cancelled")


def _latest(workspace: "Workspace", project: str | None, limit: int) -> "list[Job]":
    from app.cli.console import chosen
    from review_queue import jobs, projects

    every = [chosen(workspace, project)] if project else workspace.database.read(projects.everything)
    found = [job for each in every for job in workspace.database.read(jobs.recent, each.id, limit=limit)]
    return sorted(found, key=lambda job: -job.id)[:limit]

"""`signoff job`: long work that was asked for."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import model_retrain
from app.cli.options import AsJson, Device, Dir, Limit, ProjectName, noun
from contract.weighing import WEIGHINGS

if TYPE_CHECKING:
    from app.workspace import Workspace
    from review_queue.jobs import Job

app = noun("Jobs: long work that was asked for on a page or over HTTP, and that a worker does.")

KINDS = {
    "export": ("format",),
    "train": ("trainer", "weights"),
    "compare": ("challenger",),
    "retrain": ("trainer", "weights"),
    "gate": ("challenger",),
    "report": ("days",),
}
"""What can be run here, and the arguments of each."""
WAIT_SECONDS = 0.5

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


@app.command()
def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="export, train, compare, retrain, gate or report.")],
    project: ProjectName = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(
            "--arg", envvar="SIGNOFF_ARG", metavar="NAME=VALUE", help="What the job takes, e.g. challenger=4; again for more."
        ),
    ] = None,
    device: Device = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Do a job here instead of leaving it to a worker. Exit 0: done; 1: failed; 4: not offered at the gate."""
    from app.cli.console import chosen, opened

    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is no kind of job that is run here; choose one of {', '.join(KINDS)}")
    given = _given(kind, arg or [])
    with opened(directory) as workspace:
        model_retrain.done(model_retrain.run(workspace, chosen(workspace, project), kind, given, device), as_json)


@app.command()
def wait(
    job: Number,
    timeout: Annotated[
        float | None, typer.Option("--timeout", envvar="SIGNOFF_TIMEOUT", min=0, metavar="SECONDS", help="How long at most.")
    ] = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a job has ended. Exit 0: done; 1: failed, cancelled or not ended in time; 4: not offered at the gate."""
    import time

    from app.cli.console import Problem, opened
    from review_queue import jobs

    until = None if timeout is None else time.monotonic() + timeout
    with opened(directory) as workspace:
        while (found := workspace.database.read(jobs.get, job)).state not in jobs.ENDED:
            if until is not None and time.monotonic() >= until:
                raise Problem(f"job {job} is {found.state} still after {timeout:g} s; a worker does it: `signoff worker run`")
            time.sleep(WAIT_SECONDS)
        model_retrain.done(found, as_json)


def _given(kind: str, pairs: list[str]) -> dict[str, str]:
    """Arguments as they stand on the line. Raises BadParameter for what a job of this kind does not take."""
    given = dict(pair.partition("=")[::2] for pair in pairs)
    for name, value in given.items():
        if name not in KINDS[kind] or not value:
            takes = ", ".join(f"{each}=..." for each in KINDS[kind]) or "nothing"
            raise typer.BadParameter(f"--arg {name}={value}: a job of kind {kind} takes {takes}")
    if "challenger" in KINDS[kind] and not given.get("challenger", "").isdecimal():
        raise typer.BadParameter(f"a job of kind {kind} needs --arg challenger=VERSION, the model that wants to act")
    if given.get("weights", "none") not in WEIGHINGS:
        raise typer.BadParameter(f"--arg weights={given['weights']}: choose one of {', '.join(WEIGHINGS)}")
    if not given.get("days", "1").isdecimal():
        raise typer.BadParameter(f"--arg days={given['days']}: give a whole number of days")
    return given


def _latest(workspace: "Workspace", project: str | None, limit: int) -> "list[Job]":
    from app.cli.console import chosen
    from review_queue import jobs, projects

    every = [chosen(workspace, project)] if project else workspace.database.read(projects.everything)
    found = [job for each in every for job in workspace.database.read(jobs.recent, each.id, limit=limit)]
    return sorted(found, key=lambda job: -job.id)[:limit]

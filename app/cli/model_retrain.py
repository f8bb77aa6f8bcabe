"""`signoff model retrain` and `signoff job run`: long work done here, for a scheduler to start and to read the end of."""

import signal
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Device, Dir, ProjectName, Trainer, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.workspace import Workspace
    from review_queue.jobs import Job
    from review_queue.projects import Setting

NOTHING_DUE, NOT_OFFERED = 3, 4
"""Exit codes beside 0 (done; offered for signing), 1 (a domain error) and 2 (misuse)."""


def retrain(
    project: ProjectName = None,
    if_due: Annotated[
        bool,
        typer.Option("--if-due", envvar="SIGNOFF_IF_DUE", help="Only where a trigger of the policy has gone off; else exit 3."),
    ] = False,
    trainer: Trainer = None,
    weights: Weights = "none",
    device: Device = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Train the next model, put it into shadow, look at the gate. Exit 0: offered for signing; 3: nothing due; 4: not offered."""
    from app.cli.console import chosen, opened, say
    from review_queue import triggers

    args: dict[str, Any] = {"weights": weights} | ({} if trainer is None else {"trainer": trainer})
    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        if if_due:
            found = workspace.database.read(triggers.retraining, setting)
            if found is None:
                say(as_json, {"ended": "nothing due"}, f"{setting.name}: no trigger of the policy has gone off")
                raise typer.Exit(NOTHING_DUE)
            args |= found.args
        done(run(workspace, setting, "retrain", args, device), as_json)


def run(workspace: "Workspace", setting: "Setting", kind: str, args: dict[str, Any], device: str | None) -> "Job":
    """Do a job in this process, as a worker would; stopped, it is cancelled. Raises what `jobs.ask` raises."""
    import logging
    import secrets

    from app import logs
    from app.cli.console import bar, settings_of
    from app.worker.work import Jobs
    from review_queue import jobs

    where, worker, database = settings_of(workspace.settings.dir, device=device), secrets.token_hex(8), workspace.database
    where.bound_threads()
    logs.configure(logging.ERROR)  # how it ended is said by the command
    with _stopping() as stop, bar(kind) as tell:
        job = database.write(jobs.begin, setting.id, kind, args, worker, by=workspace.local_actor("cli"))
        Jobs(workspace, where.device, stop, tell=tell, own=True).do(job, worker, leave=jobs.drop)
    return database.read(jobs.get, job.id)


def done(job: "Job", as_json: bool) -> None:
    """Say how a job ended, and exit with the code of it."""
    from app.cli.console import Problem, say

    if job.state == "failed":
        raise Problem(f"job {job.id} failed: {job.error}")
    if job.state == "cancelled":
        raise Problem(f"job {job.id} was cancelled")
    say(as_json, job, said(job))
    if (job.result or {}).get("ended") in ("not yet", "trained"):
        raise typer.Exit(NOT_OFFERED)


def said(job: "Job") -> str:
    """The end of a job in a sentence."""
    found = job.result or {}
    if "ended" not in found:
        return f"job {job.id} is done; `signoff job show {job.id}` shows its result"
    if found["ended"] != "offered":
        return f"model {found['model']} is not offered: {found['said']}"
    return f"model {found['model']} passed the gate; `signoff model promote {found['model']}` signs it"


@contextmanager
def _stopping() -> "Iterator[Event]":
    """An event that SIGTERM and Ctrl-C set, so that the work ends at its next step."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

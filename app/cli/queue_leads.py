"""`signoff queue` for leads: tasks given to a person, other due times, many cases decided at once and taken back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName

if TYPE_CHECKING:
    from app.workspace import Workspace
    from review_queue.bulk import Counted, Wish
    from review_queue.filters import Filter
    from review_queue.projects import Setting

Tasks = Annotated[list[int], typer.Argument(metavar="TASK...", help="Task numbers, as `signoff queue list` shows them.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        envvar="SIGNOFF_WHERE",
        metavar="NAME=VALUE",
        help="A part of a filter as the page Queue's address has it: state, label, least, most, why, older, newer, person, "
        "text, group.NAME. May be repeated.",
    ),
]
Verdict = Annotated[str, typer.Argument(metavar="accept|correct|reject", help="What is said of all.")]


def sifted(setting: "Setting", where: "list[str] | None", **given: str) -> "Filter":
    """The filter of a command line. Raises Invalid, BadParameter."""
    from review_queue import filters

    pairs: dict[str, list[str]] = {name: [value] for name, value in given.items()}
    for each in where or []:
        name, equals, value = each.partition("=")
        if not equals or (name not in filters.NAMES and not name.startswith(filters.GROUP)):
            known = ", ".join((*filters.NAMES, f"{filters.GROUP}NAME"))
            raise typer.BadParameter(f"--where {each!r} is no NAME=VALUE of a filter; the names are {known}")
        pairs.setdefault(name, []).append(value)
    return filters.read(setting, pairs)


def assign(
    tasks: Tasks,
    to: Annotated[
        str | None, typer.Option("--to", envvar="SIGNOFF_TO", metavar="NAME", help="Whose they are; left out: anybody's again.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", envvar="SIGNOFF_UNTIL", metavar="3d|DATE", help="How long theirs alone; a working day else."),
    ] = None,
    directory: Dir = None,
) -> None:
    """Give waiting tasks to a person, who alone may take them for a while."""
    from app.cli.console import opened, say
    from app.cli.queue import moment_of
    from review_queue import assigning

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            at = moment_of(workspace, task, until, "--until") if until else None
            workspace.database.write(assigning.assign, task, to, at, by=by)
            say(False, None, f"task {task} is {to}'s to take" if to else f"task {task} is anybody's to take")


def due(
    tasks: Tasks,
    at: Annotated[
        str | None, typer.Option("--at", envvar="SIGNOFF_AT", metavar="4h|DATE", help="When; left out: at no time.")
    ] = None,
    directory: Dir = None,
) -> None:
    """Give open tasks another due time."""
    from app.cli.console import cell, opened, say
    from app.cli.queue import moment_of
    from review_queue import assigning

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            moment = moment_of(workspace, task, at, "--at") if at else None
            workspace.database.write(assigning.set_due, task, moment, by=by)
            say(False, None, f"task {task} is due {cell(moment)}" if moment else f"task {task} is due at no time")


def decide(
    verdict: Verdict,
    where: Where = None,
    label: Annotated[str | None, typer.Option("--label", envvar="SIGNOFF_LABEL", help="What is right, with correct.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", envvar="SIGNOFF_REASON", help="One of the project's reasons.")] = None,
    project: ProjectName = None,
    yes: Annotated[bool, typer.Option("--yes", envvar="SIGNOFF_YES", help="Do it; else they are counted alone.")] = False,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Say one thing of all cases of a filter. Without --yes they are counted, and a few are shown."""
    import uuid

    from app import bulk
    from app.cli.console import bar, chosen, opened, say
    from review_queue.bulk import Wish

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        held, wish = sifted(setting, where), Wish(verdict, label, reason)  # type: ignore[arg-type]
        counted = bulk.preview(workspace.database, setting, by, held, wish)
        if not yes or not counted.fit:
            say(as_json, _plain(counted), _preview(counted, wish, setting))
            return
        said = {"asked": counted.fit, "upto": counted.upto}
        act = bulk.begin(workspace.database, setting, by, str(uuid.uuid4()), held, wish, **said)
        with bar("deciding") as tell:
            act = bulk.act(workspace.database, setting, by, act.id, lambda n: tell(n / counted.fit, f"{n:,}"))
        text = f"{act.done:,} of {act.asked:,} decided; `signoff queue undo {act.id}` takes them back"
        say(as_json, act, text)


def acts(project: ProjectName = None, limit: Limit = 20, directory: Dir = None, as_json: AsJson = False) -> None:
    """What was decided many at a time, newest first."""
    from app.cli.console import chosen, opened, say, table
    from review_queue import bulk

    with opened(directory) as workspace:
        found = workspace.database.read(bulk.recent, chosen(workspace, project), limit)
    names = ("id", "person", "verdict", "label", "asked", "done", "made_at", "undone_at", "query")
    rows = [[str(getattr(each, name)) if name == "id" else getattr(each, name) for name in names] for each in found]
    head = ["act", "by", "verdict", "label", "asked", "done", "when", "taken back", "filter"]
    say(as_json, found, table(head, rows) if rows else "nothing was decided many at a time")


def undo(
    act: Annotated[int, typer.Argument(metavar="ACT", help="Its number, as `signoff queue acts` shows it.")],
    project: ProjectName = None,
    directory: Dir = None,
) -> None:
    """Take back all that was decided at once."""
    from app import bulk
    from app.cli.console import chosen, opened, say

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        back = bulk.undo(workspace.database, setting, by, act)
    said = f"{back.back:,} taken back, {back.withdrawn:,} of them before anything had left the house"
    say(False, None, said + (f"; {back.kept:,} stay, answered or closed since" if back.kept else ""))


def _preview(counted: "Counted", wish: "Wish", setting: "Setting") -> str:
    from app.cli.console import table
    from review_queue.bulk import LEFT

    more = " or more" if counted.after is not None else ""
    lines = [f"{counted.fit:,}{more} would be decided: {wish.verdict}{f' as {wish.label}' if wish.label else ''}"]
    rows = [[each.external_id, each.label, each.confidence, each.since] for each in counted.sample]
    lines += [table([setting.project.noun, "predicted", "confidence", "since"], rows)] if rows else []
    lines += [f"left out: {n:,} {LEFT[why]}" for why, n in sorted(counted.left.items())]
    return "\n".join([*lines, "with --yes it is done"] if counted.fit else lines)


def _plain(counted: "Counted") -> dict[str, Any]:
    from app.cli.console import plain

    return {"fit": counted.fit, "left": dict(counted.left), "sample": plain(counted.sample), "whole": counted.after is None}


def listed(workspace: "Workspace", setting: "Setting", held: "Filter", limit: int) -> list[Any]:
    """The first open tasks of a filter, however many pages of it that takes."""
    from review_queue import lists

    by = workspace.local_actor("cli")
    found: list[Any] = []
    after: str | None = None
    while len(found) < limit:
        page = workspace.database.read(lists.page, setting, by, held, after=after, limit=limit - len(found))
        found += page.rows
        if (after := page.after) is None:
            break
    return found

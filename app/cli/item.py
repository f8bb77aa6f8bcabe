"""`signoff item`: what is to be decided."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from app.workspace import Workspace
    from contract.project import Project
    from review_queue.erasure import Erasing
    from review_queue.find import Record
    from review_queue.projects import Setting

app = noun("Items: what is to be decided.")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV, JSONL or Parquet file, or a folder of images.")],
    project: ProjectName = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", envvar="SIGNOFF_WAIT", help="Wait for room where the queue is full, or fail.")
    ] = True,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Take the rows of a file as items. Loading it again adds nothing; rows that cannot be taken go to a file beside it."""
    from app import loading
    from app.cli.console import bar, chosen, note, opened, say

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        with bar(f"loading {file.name}") as progress:
            actor = workspace.local_actor("cli")
            loaded = loading.load(workspace, setting, file, progress=progress, by=actor, wait=wait)
        unsigned = _unsigned(workspace, setting) if setting.project.external else ""
    said = f"{loaded.added:,} added, {loaded.known:,} known already, {loaded.rejected:,} rejected"
    say(as_json, loaded, f"{setting.name}: {said}")
    note(f"{file.name} was read as {loaded.said}")
    if loaded.left_out:
        note(f"left out, since the project names them nowhere: {', '.join(loaded.left_out)}")
    if unsigned:
        note(unsigned)
    if loaded.rejected:
        note(f"{loaded.rejected:,} rows could not be taken; each stands with its reason in {loaded.rejected_file}")
    if loaded.rejected and not loaded.added + loaded.known:
        raise typer.Exit(1)


@app.command()
def replace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file like those of `load`: one row for each item.")],
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Put other content under ids that are there: each a new revision, scored and asked about anew. The same content changes
    nothing, and a cancelled item is live again."""
    from app import loading
    from app.cli.console import bar, chosen, note, opened, say

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        with bar(f"replacing by {file.name}") as progress:
            by = workspace.local_actor("cli")
            loaded = loading.load(workspace, setting, file, progress=progress, by=by, replacing=True)
    said = f"{loaded.added:,} replaced or new, {loaded.known:,} as they were, {loaded.rejected:,} rejected"
    say(as_json, loaded, f"{setting.name}: {said}")
    if loaded.rejected:
        note(f"{loaded.rejected:,} rows could not be taken; each stands with its reason in {loaded.rejected_file}")
    if loaded.rejected and not loaded.added + loaded.known:
        raise typer.Exit(1)


@app.command()
def cancel(
    external_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The producer's ids of the items.")],
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Ask nobody about these items any more. What was answered stays on record."""
    from app.cli.console import chosen, opened, say
    from review_queue import withdrawal

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        receipts = []
        for external_id in external_ids:
            receipts.append(workspace.database.write(withdrawal.cancel, setting, external_id, by=by))
            if not as_json:
                say(False, None, f"{setting.project.noun} {external_id} is cancelled")
    if as_json:
        say(True, receipts, "")


@app.command()
def review(
    external_id: Annotated[str, typer.Argument(metavar="ID", help="The producer's id of the item.")],
    reason: Annotated[str, typer.Option("--reason", envvar="SIGNOFF_REASON", help="Why; whoever looks reads it.")],
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Have one more person look at an item that acted alone or was decided."""
    from app.cli.console import chosen, opened, say
    from review_queue import requests

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        asked = workspace.database.write(requests.request, setting, external_id, reason, by=by)
    already = "" if asked.new else f" already: {asked.reason}"
    say(as_json, asked, f"{setting.project.noun} {external_id} waits for a look as task {asked.task_id}{already}")


@app.command()
def truth(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV, JSONL or Parquet file with a row for each item.")],
    label: Annotated[
        str, typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COL", help="The column of the label.")
    ] = "label",
    at: Annotated[
        str | None,
        typer.Option(
            "--at", envvar="SIGNOFF_AT", metavar="COL", help="The column of when it turned out; else known_at, else now."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", envvar="SIGNOFF_SOURCE", metavar="TEXT", help="What it was seen by: chargeback.")
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Keep what later proved true beside what was decided. Telling it again adds nothing; what turned out last stands."""
    from app import loading
    from app.cli.console import bar, chosen, note, opened, say

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        with bar(f"reading {file.name}") as progress:
            told = loading.tell(workspace, setting, file, label=label, at=at, source=source, progress=progress, by=by)
    say(as_json, told, f"{setting.name}: {told.kept:,} kept, {told.known:,} known already, {told.rejected:,} rejected")
    for each in told.named:
        note(each)
    if told.conflicts > len(told.named):
        note(f"and {told.conflicts - len(told.named):,} more that were told otherwise before")
    if told.rejected:
        note(f"{told.rejected:,} rows could not be taken; each stands with its reason in {told.rejected_file}")
    if told.rejected and not told.kept + told.known:
        raise typer.Exit(1)


@app.command()
def erase(
    external_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The producer's ids of the items.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", envvar="SIGNOFF_SUBJECT", metavar="ID", help="All items of this subject.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", envvar="SIGNOFF_FILE", metavar="FILE", help="A text file with an id on each line.")
    ] = None,
    why: Annotated[str | None, typer.Option("--why", envvar="SIGNOFF_WHY", metavar="TEXT", help="Why; this is kept.")] = None,
    yes: Annotated[bool, typer.Option("--yes", envvar="SIGNOFF_YES", help="Do not ask.")] = False,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Erase the content of items for good, in datasets and models too. What was decided stays. Again, it ends what broke off."""
    from app.cli import erasing
    from app.cli.console import chosen, opened

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        wanted = erasing.named(workspace, setting, external_ids or [], subject, file)
        erasing.confirm(setting, wanted, yes=yes)
        erasing.run(workspace, setting, wanted, why, as_json=as_json)


@app.command()
def erased(project: ProjectName = None, limit: Limit = 1000, directory: Dir = None, as_json: AsJson = False) -> None:
    """What was erased, the latest first. Keep this list beside backups: whoever restores an older one erases these again."""
    from app.cli.console import chosen, opened, say, table
    from review_queue import erasure

    with opened(directory) as workspace:
        found = workspace.database.read(erasure.listed, chosen(workspace, project).id, limit=limit)
    rows = [(name, each.at, each.by, each.why) for name, each in found]
    told = [{"external_id": name, "at": at, "by": by, "why": reason} for name, at, by, reason in rows]
    say(as_json, told, table(("id", "erased", "by", "why"), rows) if rows else "nothing was erased")


def _unsigned(workspace: "Workspace", setting: "Setting") -> str:
    """Which version made the newest predictions, while none acts."""
    from retrain import registry

    versions = [each for each in workspace.database.read(registry.models, setting.id) if each.external]
    if not versions or any("champion" in each.aliases for each in versions):
        return ""
    return f"nobody signed version {versions[0].name} yet; `signoff model promote {versions[0].version}` lets it act"


@app.command()
def show(
    external_id: Annotated[str, typer.Argument(metavar="ID", help="The producer's id of the item.")],
    revision: Annotated[
        int | None, typer.Option("--revision", envvar="SIGNOFF_REVISION", min=1, help="As it was before it was replaced.")
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Everything that is known of one item."""
    from app.cli.console import chosen, opened, say
    from review_queue import openings

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        by = workspace.local_actor("cli")
        record = openings.record(workspace.database, setting, external_id, by=by, revision=revision)
    say(as_json, record, "\n".join(_page(record, setting.project)))


def _page(record: "Record", project: "Project") -> Iterator[str]:
    from app.cli.console import cell, listed

    closed = f", {cell(record.closed_at)}" if record.closed_at else ""
    yield f"{project.noun} {record.external_id}: {record.state}{closed}, received {cell(record.received_at)}"
    if record.erased is not None:
        yield _erased(record.erased)
    if record.earlier:
        yield f"revision {record.item_revision}; `--revision N` shows an earlier one"
    given = {name: record.input[name] for name in (*project.input.features, *record.input) if name in record.input}
    for title, values in (("input", given), ("shown", record.show), ("groups", record.groups)):
        if values:
            yield f"\n{title}"
            yield listed((f"  {name}", _short(value)) for name, value in values.items())
    for version, chances in record.predictions.items():
        yield f"\nprediction of model {version}"
        yield listed((f"  {label}", f"{p:.3f}") for label, p in sorted(chances.items(), key=lambda pair: -pair[1]))
    yield from _history(record)


def _erased(erased: "Erasing") -> str:
    from app.cli.console import cell

    said = f"its content was erased at {cell(erased.at)}" + (f" by {erased.by}" if erased.by else "")
    return said + (f": {erased.why}" if erased.why else "")


def _history(record: "Record") -> Iterator[str]:
    from app.cli.console import cell
    from review_queue.explanations import called

    lines = [(r.at, f"routed to {r.route}: {r.reason} (model {r.model_version}, pi {r.pi:g})") for r in record.routings]
    for d in record.decisions:
        said = " ".join(filter(None, (d.verdict, d.label, d.reason and f"({d.reason})")))
        lines.append((d.at, f"{d.person} said {said}{', blind' if d.blind else ''}"))
    lines += [
        (t.known_at, f"proved true: {t.label or 'no label'}" + (f" ({t.source})" if t.source else "")) for t in record.truths
    ]
    lines += [(o.at, f"answer {o.revision}: {o.label or 'rejected'} ({o.source})") for o in record.outcomes]
    if lines:
        yield "\nhistory"
    yield from (f"  {cell(at)}  {text}" for at, text in sorted(lines, key=lambda line: line[0]))
    if record.explanations:
        yield f"\nexplained by {', '.join(sorted({called(reason) for reason in record.explanations}))}"


def _short(value: Any) -> str:
    text = str(value) if value is not None else "-"
    return text if len(text) <= 300 else text[:299] + "…"

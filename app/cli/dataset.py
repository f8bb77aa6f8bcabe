"""`signoff dataset`: what people decided, as data to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.workspace import Workspace
    from retrain.records import DatasetInfo, DatasetVersion
    from review_queue.activity import Actor
    from review_queue.projects import Setting

app = noun("Datasets: what people decided, as files to train on.")


@app.command()
def export(
    project: ProjectName = None,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            envvar="SIGNOFF_FORMAT",
            metavar="FORMAT",
            help="parquet, jsonl, csv, huggingface, image-folder or label-studio.",
        ),
    ] = "parquet",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", envvar="SIGNOFF_OUT", metavar="DIR", help="The folder to write; default PROJECT-dataset-N."),
    ] = None,
    with_reasons: Annotated[
        bool,
        typer.Option(
            "--with-reasons", envvar="SIGNOFF_WITH_REASONS", help="Also the explanations that were on screen at each decision."
        ),
    ] = False,
    number: Annotated[
        int | None,
        typer.Option("--dataset", envvar="SIGNOFF_DATASET", metavar="N", help="Write this earlier version once more."),
    ] = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Write what people decided so far into a folder. The same decisions give the same bytes."""
    from app.cli.console import chosen, opened, plain, say
    from retrain import datasets

    if out is not None:
        _require_free(out)
    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        info = _made(workspace, setting, file_format, with_reasons) if number is None else _earlier(workspace, setting, number)
        _require_whole(info)
        folder = out or Path(f"{setting.name}-dataset-{info.id}")
        _require_free(folder)
        workspace.database.read(datasets.write_folder, info, folder)
        if number is not None:  # making a version is noted by itself
            workspace.database.write(_note, setting, info, workspace.local_actor("cli"))
    say(as_json, {**plain(info), "folder": str(folder)}, f"{folder}: dataset {info.id} with {info.rows:,} rows")


@app.command("list")
def list_(project: ProjectName = None, limit: Limit = 100, directory: Dir = None, as_json: AsJson = False) -> None:
    """The versions, newest first."""
    from app.cli.console import chosen, opened, say, table
    from retrain import datasets

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        every = workspace.database.read(datasets.versions, setting.id, limit=limit)
    rows = [(str(d.id), d.kind, d.rows, _worth(d.effective), d.watermark, d.content_hash[:12], d.made_at, _now(d)) for d in every]
    head = ("dataset", "kind", "rows", "worth", "watermark", "hash", "made", "")
    say(as_json, every, table(head, rows) if rows else "no dataset yet")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="N", help="The number of the version.")],
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """What one version holds, where its labels come from, and what its weights are worth."""
    from app.cli.console import chosen, opened, plain, say

    with opened(directory) as workspace:
        info = _earlier(workspace, chosen(workspace, project), number)
    say(as_json, plain(info), "\n".join(_told(info)))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, help="What was labelled elsewhere: a file, or a folder.")],
    project: ProjectName = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            envvar="SIGNOFF_FORMAT",
            metavar="FORMAT",
            help="label-studio, parquet, jsonl or csv; default by the file.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COLUMN", help="Of a table: the column of the labels."),
    ] = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Keep labels that were given elsewhere as a dataset of the kind `imported`. The same ones again change nothing."""
    from app.cli.console import Problem, bar, chosen, opened, plain, say
    from app.loading import LoadError, keep_imported
    from app.loading.imported import FORMATS

    if file_format is not None and file_format not in FORMATS:
        raise Problem(f"{file_format!r} is no format to import; choose one of {', '.join(FORMATS)}")
    with opened(directory) as workspace, bar("importing") as progress:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        try:
            kept = keep_imported(workspace, setting, file, format=file_format, label=label, progress=progress, by=by)
        except LoadError as error:
            raise Problem(str(error)) from None
    known = "" if kept.new else ", as before"
    bad = f"; {kept.rejected:,} could not be taken: {kept.rejected_file}" if kept.rejected else ""
    say(as_json, plain(kept), f"{file}: {kept.rows:,} labelled rows, now dataset {kept.dataset_id}{known}{bad}")


@app.command()
def verify(
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="An exported folder.")] = None,
    number: Annotated[
        int | None,
        typer.Option("--dataset", envvar="SIGNOFF_DATASET", metavar="N", help="The stored version, in place of a folder."),
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Hold every file against its hash; of a whole folder, say whether rows of it were erased since (where the workspace is)."""
    from app.cli.console import Problem, chosen, opened, say
    from retrain import datasets

    if (folder is None) == (number is None):
        raise Problem("name a FOLDER, or a stored version by --dataset N")
    problems, erased, named = list[str](), None, str(folder or f"dataset {number}")
    if folder is not None:
        problems = datasets.verify(folder)
        erased = None if problems else _replacement(directory, folder)
    elif number is not None:
        with opened(directory) as workspace:
            info = _earlier(workspace, chosen(workspace, project), number)
            problems, erased = workspace.database.read(datasets.verify_stored, info), info.replaced_by
    told = [
        *problems,
        *([f"rows of it were erased since; dataset {erased} has the others: keep no copy of this"] if erased else []),
    ]
    body = {"ok": not told, "problems": problems, "replaced_by": erased}
    say(as_json, body, "\n".join(f"{named}: {each}" for each in told) or f"{named}: ok")
    if told:
        raise typer.Exit(1)


def _replacement(directory: Path | None, folder: Path) -> int | None:
    """The version in place of a folder's, where the workspace is here and knows of one."""
    from app.cli.console import Problem, opened
    from retrain import datasets

    try:
        with opened(directory) as workspace:
            return workspace.database.read(datasets.replacement, folder)
    except Problem:
        return None


def _worth(effective: float | None) -> str:
    return "" if effective is None else f"{effective:,.0f}"


def _now(version: "DatasetVersion") -> str:
    return "" if version.replaced_by is None else f"rows erased; now {version.replaced_by}"


def _told(info: "DatasetInfo") -> list[str]:
    """A version in words."""
    held = info.manifest
    lines = [f"dataset {info.id}: {info.kind}, {info.rows:,} rows, {info.content_hash}"]
    if info.replaced_by is not None:
        lines.append(f"rows of it were erased; dataset {info.replaced_by} has the others")
    for name, counts in held.get("counts", {}).items():
        lines.append(f"  {name}: " + ", ".join(f"{each} {n:,} ({n / max(info.rows, 1):.1%})" for each, n in counts.items()))
    if weighed := held.get("weights"):
        cut = weighed["cut"]
        lines.append(
            f"  weights: {weighed['rows']:,} rows tell as much as {weighed['effective']:,.1f} of a random sample "
            f"({weighed['price']:.1%}); cut at {cut['at']:g}: {cut['effective']:,.1f}"
        )
    if erased := held.get("erased"):
        lines.append(f"  erased: {erased:,}")
    return lines


def _made(workspace: "Workspace", setting: "Setting", file_format: str, with_reasons: bool) -> "DatasetInfo":
    from app.cli.console import bar
    from retrain import datasets

    by = workspace.local_actor("cli")
    with bar("exporting") as progress:
        database = workspace.database
        return datasets.export(database, setting, format=file_format, with_reasons=with_reasons, by=by, progress=progress)


def _earlier(workspace: "Workspace", setting: "Setting", number: int) -> "DatasetInfo":
    from app.cli.console import Problem
    from retrain import datasets

    if number not in {each.id for each in workspace.database.read(datasets.versions, setting.id, before=number + 1, limit=1)}:
        raise Problem(f"{setting.name} has no dataset {number}; `signoff dataset list` shows them")
    return workspace.database.read(datasets.dataset, number)


def _note(session: "Session", setting: "Setting", info: "DatasetInfo", by: "Actor") -> None:
    """Who took all files of an earlier version out."""
    from review_queue import activity

    activity.record(session, by, "dataset.download", f"dataset:{info.id}", project_id=setting.id, after={"file": "all"})


def _require_whole(info: "DatasetInfo") -> None:
    from app.cli.console import Problem

    if info.replaced_by is not None:
        raise Problem(f"rows of dataset {info.id} were erased; `--dataset {info.replaced_by}` writes the others")


def _require_free(folder: Path) -> None:
    from app.cli.console import Problem

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem(f"{folder} is there already and not empty; name another with --out")

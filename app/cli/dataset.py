"""`signoff dataset`: what people decided, as data to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.workspace import Workspace
    from retrain.records import DatasetInfo
    from review_queue.activity import Actor
    from review_queue.projects import Setting

app = noun("Datasets: what people decided, as files to train on.")


@app.command()
def export(
    project: ProjectName = None,
    file_format: Annotated[
        str, typer.Option("--format", envvar="SIGNOFF_FORMAT", metavar="FORMAT", help="parquet, jsonl or csv.")
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
    rows = [(str(d.id), d.kind, d.rows, d.watermark, d.content_hash[:12], d.made_at) for d in every]
    head = ("dataset", "kind", "rows", "watermark", "hash", "made")
    say(as_json, every, table(head, rows) if rows else "no dataset yet")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An exported folder.")],
    as_json: AsJson = False,
) -> None:
    """Hold every file of an exported folder against its hash."""
    from app.cli.console import say
    from retrain import datasets

    problems = datasets.verify(folder)
    text = "\n".join(f"{folder}: {problem}" for problem in problems)
    say(as_json, {"ok": not problems, "problems": problems}, text or f"{folder}: ok")
    if problems:
        raise typer.Exit(1)


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


def _require_free(folder: Path) -> None:
    from app.cli.console import Problem

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem(f"{folder} is there already and not empty; name another with --out")

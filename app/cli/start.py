"""`signoff start`: cases on a desk from one's own file."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from app.cli.options import Device, Dir, ModelClass, OutputLabels, Port, TrustPickle

KINDS = ("tabular", "text", "image")
MANY = ("--predictions", "--drop", "--show", "--groups", "--keep")


class Start(TyperCommand):
    """Takes several columns behind one option: `start FILE --drop a b` is `start FILE --drop a --drop b`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _spread(args) if args and not args[0].startswith("-") else args)


def _spread(args: list[str]) -> list[str]:
    spread, option, many = list[str](), "", False
    for each in args:
        if each.startswith("-"):
            option, many = each, False
        elif option in MANY:
            spread += [option] if many else []
            many = True
        spread.append(each)
    return spread


def start(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="CSV, JSONL, Parquet, or a folder with a folder of images per label."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COLUMN", help="The column of the known answers.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", envvar="SIGNOFF_MODEL", metavar="PATH", help="Your own model; nothing is trained then."),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            "--predictions",
            envvar="SIGNOFF_PREDICTIONS",
            metavar="COLUMN…",
            help="Columns of probabilities that another system computed; repeat it, or separate them by commas.",
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", envvar="SIGNOFF_TYPE", metavar="|".join(KINDS), help="What an item is.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", envvar="SIGNOFF_ID", metavar="COLUMN", help="What names a row.")] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", envvar="SIGNOFF_TIME", metavar="COLUMN", help="When it arose; the newest rows are held out."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", envvar="SIGNOFF_DROP", metavar="COLUMN…", help="Leave these out.")
    ] = None,
    show: Annotated[
        list[str] | None,
        typer.Option("--show", envvar="SIGNOFF_SHOW", metavar="COLUMN…", help="For the person only; the model never sees them."),
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--groups", envvar="SIGNOFF_GROUPS", metavar="COLUMN…", help="For fairness figures.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", envvar="SIGNOFF_KEEP", metavar="COLUMN…", help="No leak, although it gives the label away."),
    ] = None,
    labels: OutputLabels = None,
    class_name: ModelClass = None,
    trust_pickle: TrustPickle = False,
    max_error: Annotated[
        float,
        typer.Option(
            "--max-error", envvar="SIGNOFF_MAX_ERROR", min=0.0001, max=0.5, help="The share of errors that may act alone."
        ),
    ] = 0.05,
    items: Annotated[
        int, typer.Option("--items", envvar="SIGNOFF_ITEMS", min=1, help="Held-out rows that become cases, at most.")
    ] = 1000,
    rows: Annotated[
        int | None,
        typer.Option("--rows", envvar="SIGNOFF_MOST_ROWS", min=50, help="Rows of FILE to use at most, drawn evenly."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", envvar="SIGNOFF_NAME", metavar="NAME", help="The project's name; else the file's.")
    ] = None,
    device: Device = None,
    directory: Dir = None,
    port: Port = 8501,
    no_ui: Annotated[bool, typer.Option("--no-ui", envvar="SIGNOFF_NO_UI", help="Do the work without opening the desk.")] = False,
) -> None:
    """Your own file as cases on a desk: with a model trained from it, your own model, or probabilities that it holds.

    Without FILE: opens the desk on the workspace that is there.
    """
    from app.cli.console import settings_of
    from app.starting import run

    settings = settings_of(directory, device=device)
    if file is None:
        run.open_desk(settings, port)
    wish = run.Wish(
        file=file,
        label=label,
        model=model,
        predictions=_columns(predictions),
        kind=_kind(kind),
        id=id_,
        time=time,
        drop=_columns(drop),
        show=_columns(show),
        groups=_columns(groups),
        keep=_columns(keep),
        labels=_columns([labels] if labels else None),
        class_name=class_name,
        trust_pickle=trust_pickle,
        max_error=max_error,
        items=items,
        rows=rows,
        name=name,
    )
    run.start(settings, wish, port=port, ui=not no_ui)


def _columns(given: list[str] | None) -> tuple[str, ...]:
    """Names given one by one or separated by commas; one that holds a comma stands in quotes."""
    return tuple(part for row in csv.reader(given or [], skipinitialspace=True) for part in row if part.strip())


def _kind(given: str | None) -> str | None:
    if given is not None and given not in KINDS:
        raise typer.BadParameter(f"--type is one of {', '.join(KINDS)}, not {given!r}")
    return given

"""`signoff model train` and `show`: the next version, and what became of one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Device, Dir, ProjectName, Trainer, Weights

if TYPE_CHECKING:
    from app.loading import Labelled
    from app.workspace import Workspace
    from retrain.records import ModelInfo
    from retrain.runs import RunInfo
    from review_queue.projects import Setting

Version = Annotated[int, typer.Argument(metavar="VERSION", help="The version, as `signoff model list` shows it.")]
SHOWN = 12
"""Epochs of a curve that are printed."""


def train(
    project: ProjectName = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            envvar="SIGNOFF_ROWS",
            metavar="FILE",
            help="Labelled rows to keep and learn from: CSV, JSONL or Parquet, or a folder with a folder of images per label.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COLUMN", help="The column of FILE that holds the labels."),
    ] = None,
    dataset: Annotated[
        int | None,
        typer.Option(
            "--dataset", envvar="SIGNOFF_DATASET", metavar="N", help="A dataset version to learn from alone; default all labels."
        ),
    ] = None,
    weights: Weights = "none",
    truth: Annotated[
        bool, typer.Option("--truth", envvar="SIGNOFF_TRUTH", help="Learn what later proved true, where that is known.")
    ] = False,
    warm: Annotated[
        bool, typer.Option("--warm", envvar="SIGNOFF_WARM", help="Begin at the champion instead of from nothing.")
    ] = False,
    trainer: Trainer = None,
    seed: Annotated[int, typer.Option("--seed", envvar="SIGNOFF_SEED", min=0, help="Another one gives another model.")] = 0,
    threads: Annotated[
        int,
        typer.Option(
            "--train-threads", envvar="SIGNOFF_TRAIN_THREADS", min=1, help="More are faster, and give another model to the bit."
        ),
    ] = 1,
    anew: Annotated[
        bool, typer.Option("--anew", envvar="SIGNOFF_ANEW", help="From the beginning, where the same training was cut off.")
    ] = False,
    device: Device = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Train the next version, on labelled rows and on what people decided. It plays no role until it is promoted."""
    from app.cli.console import bar, chosen, note, opened, plain, say, settings_of
    from retrain import registry, training

    if label is not None and rows is None:
        raise typer.BadParameter("--label names a column of the file that --rows gives; name both")
    with opened(directory) as workspace:
        setting, where = chosen(workspace, project), settings_of(directory, device=device).device
        by = workspace.local_actor("cli")
        kept = _keep(workspace, setting, rows, label) if rows is not None else None
        with bar("training") as progress:
            info = training.train(
                workspace.database,
                setting.name,
                by=by,
                device=where,
                trainer=trainer,
                dataset=dataset,
                weights=weights,
                labels="true" if truth else "decided",
                warm=warm,
                seed=seed,
                threads=threads,
                resume=not anew,
                own=True,
                progress=progress,
            )
        track(workspace, setting)
        acting = workspace.database.read(registry.champion, setting.id) is not None
    figures = judged(info.figures)
    said = f"model {info.version} ({info.trainer}){': ' if figures else ''}{figures}"
    text = f"{said}; {_next(info.version, acting)}"
    say(as_json, {**plain(info), "labelled": plain(kept)} if kept is not None else info, text)
    if setting.project.external:
        note(
            f"predictions come with the items here; before it can act, write `uri: registry:{setting.name}@champion` and apply it"
        )


def _next(version: int, acting: bool) -> str:
    """What lets a fresh version act."""
    if acting:
        return f"`signoff model compare {version}` holds it against the one that acts, and offers it where it passes"
    return f"`signoff model promote {version}` lets it act"


def show(version: Version, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """What a version learned from, how its training went, and how often it is right, by label and group."""
    from app.cli.console import chosen, opened, plain, say
    from retrain import registry, runs

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        info = workspace.database.read(registry.model, setting.id, version)
        run = workspace.database.read(runs.of_model, info.id)
    say(as_json, {**plain(info), "training": plain(run)}, "\n".join(_shown(info, run)))


def judged(figures: Any) -> str:
    """The few figures of a version that fit a line."""
    named = ("accuracy", "test_accuracy", "log_loss", "ece")
    figures = figures if isinstance(figures.get("accuracy"), float) else figures.get("held_out") or {}
    return ", ".join(f"{name.replace('_', ' ')} {figures[name]:.3f}" for name in named if isinstance(figures.get(name), float))


def track(workspace: "Workspace", setting: "Setting") -> None:
    """Tell MLflow, where it is there."""
    from app.cli.console import note
    from retrain import tracking

    told = tracking.sync(workspace.database, setting.id, workspace.settings.tracking)
    if told.problem is not None:
        note(told.problem)


def _shown(info: "ModelInfo", run: "RunInfo | None") -> Iterator[str]:
    yield f"model {info.called} ({info.trainer}) {', '.join(info.aliases)}".rstrip()
    yield from _learned(info, run)
    if run is not None:
        for kind, curve in run.curves.items():
            yield from ("", f"{kind}, {curve['ended']}; loss in nats by epoch, * is kept", _curve(curve))
    yield from _parts(info.figures)
    if run is not None and run.tracked is not None:
        yield from ("", f"MLflow: run {run.tracked.partition('/')[0]}, version {run.tracked.partition('/')[2]}")


def _learned(info: "ModelInfo", run: "RunInfo | None") -> Iterator[str]:
    counts = info.figures.get("rows") or {}
    named = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    sets = ", ".join(f"dataset {each}" for each in info.datasets)
    yield f"learned from {named or 'rows elsewhere'}{f' ({sets})' if sets else ''}"
    weights = info.figures.get("weights") or {}
    if weights.get("how", "none") != "none":
        yield (
            f"weights: {weights['how']}, {weights['cut']:,} of them cut to {weights['cut_at']:.4g}; "
            f"worth {weights['effective']:,.0f} rows"
        )
    if "warm" in info.figures:
        yield f"began {info.figures['warm']}"
    if run is not None:
        yield f"seed {run.spec['seed']}, {run.spec['threads']} thread(s), {run.spec['device']}"


def _curve(curve: Mapping[str, Any]) -> str:
    """Of a long curve the first, the last, the best, and epochs between at equal distance."""
    from app.cli.console import table

    count = len(curve["training"])
    step = -(-count // SHOWN) or 1
    epochs = sorted({*range(1, count + 1, step), count, curve["best"] or count} - {0})
    rows = [
        (f"{epoch}{' *' if epoch == curve['best'] else ''}", curve["training"][epoch - 1], curve["validation"][epoch - 1])
        for epoch in epochs
    ]
    return table(("epoch", "training", "validation"), rows)


def _parts(figures: Mapping[str, Any]) -> Iterator[str]:
    """How often it is right by label and group, on held-out rows and, where rows have weights, of all traffic."""
    from app.cli.console import table

    for title, held in (("held-out rows", figures.get("parts")), ("all traffic, by weights", figures.get("traffic"))):
        if not held:
            continue
        named = [("label", name, each) for name, each in held["labels"].items()]
        named += [(group, value, each) for group, values in held["groups"].items() for value, each in values.items()]
        rows = [(kind, name, each["n"], each["accuracy"]) for kind, name, each in named]
        yield from ("", f"{title}:", table(("of", "value", "rows", "right"), rows))


def _keep(workspace: "Workspace", setting: "Setting", rows: Path, label: str | None) -> "Labelled":
    """Labelled rows kept, and what became of them told beside the answer."""
    from app.cli.console import bar, note
    from app.loading import keep_labelled

    with bar(f"reading {rows.name}") as progress:
        kept = keep_labelled(workspace, setting, rows, label, progress=progress, by=workspace.local_actor("cli"))
    note(f"{rows.name} was read as {kept.said}")
    counts = ", ".join(f"{name} {count:,}" for name, count in kept.labels.items())
    note(f"{setting.name}: {kept.rows:,} labelled rows, {'now' if kept.new else 'already'} dataset {kept.dataset_id}: {counts}")
    if lacking := [name for name in setting.project.labels if name not in kept.labels]:
        note(f"no row is labelled {', '.join(lacking)}")
    if kept.left_out:
        note(f"left out, since the project names them nowhere: {', '.join(kept.left_out)}")
    if kept.rejected:
        note(f"{kept.rejected:,} rows could not be taken; each stands with its reason in {kept.rejected_file}")
    return kept

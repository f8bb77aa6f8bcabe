"""`signoff model add`: a model that was trained elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Device, Dir, ModelClass, OutputLabels, ProjectName, TrustPickle

if TYPE_CHECKING:
    from app.starting.bringing import Added
    from app.workspace import Workspace
    from review_queue.projects import Setting


def add(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="scikit-learn (.skops, .joblib, .pkl), torch (.pt, .safetensors with --class, .pt2), ONNX, a Hugging Face or "
            "MLflow folder, python:FILE.py:FUNCTION, mlflow:URI, or external:VERSION.",
        ),
    ],
    sample: Annotated[
        Path | None,
        typer.Option("--sample", envvar="SIGNOFF_SAMPLE", metavar="FILE", help="Rows such as will arrive, new to the model."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COLUMN", help="The column of FILE that holds the labels."),
    ] = None,
    project: ProjectName = None,
    labels: OutputLabels = None,
    class_name: ModelClass = None,
    trust_pickle: TrustPickle = False,
    device: Device = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Take a model that was trained elsewhere as the next version. Nothing is trained; it plays no role until it is promoted."""
    from app.cli.console import bar, chosen, note, opened, plain, say, settings_of
    from inference.own.engine import Options

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        if path.startswith("external:"):
            _external(workspace, setting, path.removeprefix("external:"), as_json)
            return
        if sample is None:
            raise typer.BadParameter("--sample FILE names rows to try the model on, such as will arrive; give one")
        from app.starting import bringing

        where = settings_of(directory, device=device).device
        options = Options(named(labels), class_name, trust_pickle, where)
        with bar("trying the model") as progress:
            added = bringing.add(workspace, setting, path, sample, label, options, by=by, progress=progress)
    say(as_json, {**plain(added.info), "problems": len(added.brought.problems)}, "\n".join(_page(added)))
    if added.strange:
        note(f"not judged, since the project has no such label: rows labelled {', '.join(added.strange[:5])}")
    if added.unusable:
        note(f"{len(added.unusable):,} rows of {sample} could not be used; the first: {added.unusable[0]}")


def named(labels: str | None) -> tuple[str, ...]:
    """`a,b` as its parts."""
    return tuple(part.strip() for part in (labels or "").split(",") if part.strip())


def _external(workspace: "Workspace", setting: "Setting", version: str, as_json: bool) -> None:
    from app.cli.console import say
    from retrain import registry

    by = workspace.local_actor("cli")
    if not setting.project.external:
        raise typer.BadParameter(f"{setting.name} has a model of its own; write `model: {{uri: external}}` and apply it first")
    info = workspace.database.write(registry.register_external, setting.id, version, list(setting.project.labels), by)
    say(as_json, info, f"model {info.version} is {version}, which answers elsewhere; `signoff model promote {info.version}`")


def _page(added: "Added") -> Iterator[str]:
    from app.starting.telling import problems
    from retrain import alone

    info, brought = added.info, added.brought
    yield f"model {info.version} ({info.trainer}): {brought.rows_per_second:,.0f} rows a second"
    yield from (f"  {sentence}" for sentence in brought.said)
    yield from problems(brought.problems)
    held = info.figures.get("held_out")
    if held is None:
        yield "No label of the sample is known, so nothing says how often it is right; name their column with --label."
    else:
        yield f"Right in {held['accuracy']:.1%} of the {held['answered']:,} labelled rows that it answers."
        yield ""
        yield from alone.lines(alone.Alone.from_dict(info.figures["alone"]))
    yield f"`signoff model promote {info.version}` lets it act."

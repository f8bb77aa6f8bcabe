"""A brought model and a file of rows: which columns it needs, how it does on them, and the version that it becomes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.loading.columns import check_header, check_label
from app.loading.errors import LoadError
from app.loading.labels import label_in, plain_label
from app.loading.sources import Progress
from app.starting import reading, rows
from app.starting.reading import Table
from app.starting.rows import Sampled, Taken
from app.workspace import Workspace
from contract.project import Project
from contract.records import Prediction
from inference.errors import ModelAddError
from retrain.records import ModelInfo
from review_queue.activity import Actor
from review_queue.projects import Setting

if TYPE_CHECKING:
    from inference.own.adding import Brought
    from inference.own.engine import Engine, Options, Sample

MOST = 20_000
"""Rows of a file on which a model is tried."""
MOST_IMAGES = 6_000
FEW = 50
"""Labelled rows below which nothing is said of the order of labels."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a brought model. `unusable`: rows of the sample that the project does not take, in words; `strange`: what
    stands in the column of labels and is none of the project's."""

    info: ModelInfo
    brought: "Brought"
    unusable: tuple[str, ...]
    strange: tuple[str, ...]


def add(
    workspace: Workspace,
    setting: Setting,
    source: str,
    path: Path,
    label: str | None,
    options: "Options",
    *,
    by: Actor | None,
    progress: Progress | None = None,
) -> Added:
    """Try a model on a file of rows and keep it as the next version. Raises ModelAddError, LoadError."""
    from inference.own import adding
    from retrain import adding as keeping

    table = reading.read(path, most=most(setting.project.input.type), progress=progress)
    held = _rows(table, setting.project, label)
    if not held.rows:
        raise LoadError(f"no row of {path} is one that {setting.name} takes; {held.rejected[0]}")
    brought = adding.add(source, sample(table, setting.project, held, held.rows), options)
    truth = [row.label for row in held.rows]
    require_order(brought, truth)
    info = keeping.register(workspace.database, setting, brought, truth, by=by)
    values = {label_in(value) for value in table.values(label) if _known(setting.project, value) is None} if label else set()
    return Added(info, brought, held.rejected, tuple(sorted(values - {""})))


def most(kind: str) -> int:
    """How many rows of a file are used for a project of this type, where nobody says otherwise."""
    return MOST_IMAGES if kind == "image" else MOST


def holds_images(table: Table) -> bool:
    """Whether rows of a file are images."""
    values = [value.get("bytes") if isinstance(value, Mapping) else value for value in table.rows[0].values.values()]
    return table.source.path.is_dir() or any(isinstance(value, bytes) for value in values)


def require(source: str, trust_pickle: bool, class_name: str | None, *, named: bool) -> None:
    """What can be told of a model before it is opened. Raises ModelAddError; LoadError where nothing says what it answers."""
    from inference.own import adding

    adding.require(source, trust_pickle, class_name)
    if not named:
        raise LoadError(
            "name the column of the known answers with --label; where there is none, say what the model's outputs stand for, in "
            "order, with --labels A,B"
        )


def require_order(brought: "Brought", truth: Sequence[str | None]) -> None:
    """Raises ModelAddError where two labels are told apart well, but the wrong way round."""
    labels = brought.predictor.labels
    known = [(a.label, t) for a, t in zip(brought.answers, truth, strict=True) if isinstance(a, Prediction) and t in labels]
    if len(labels) != 2 or len(known) < FEW:
        return
    right = sum(guess == label for guess, label in known) / len(known)
    common = max(Counter(label for _, label in known).values()) / len(known)
    if 1 - right > common + 3 * (common * (1 - common) / len(known)) ** 0.5:
        raise ModelAddError(
            f"the model is right in {right:.1%} of {len(known):,} labelled rows, and the other way round it would be in "
            f"{1 - right:.1%}: its outputs stand for {' and '.join(labels)}, in this order; name them in the other: "
            f"--labels {','.join(reversed(labels))}"
        )


def opened(source: str, held: "Sample", options: "Options") -> "Engine | None":
    """A model as it is found out what it needs; None where it is not to be opened so."""
    from inference.own import adding

    try:
        return adding.opened(source, held, options)
    except ModelAddError:  # it is opened again with the columns that are left, and then the error stands
        return None


def kept(engine: "Engine", source: str, folder: Path) -> str:
    """Where the model is to be opened from again: of a scikit-learn model, the file that it was turned into."""
    if engine.format != "sklearn":
        return source
    ((name, data),) = engine.files().items()
    (folder / name).write_bytes(data)
    return str(folder / name)


def sample(table: Table, project: Project, held: Sampled, some: Sequence[Taken]) -> "Sample":
    """Rows as a brought model is tried on them."""
    from inference.own.engine import Sample

    dtypes = {name: table.dtypes[name] for name in project.input.features if name in table.dtypes}
    return Sample(project, held.inputs(some), dtypes, tuple(row.label for row in some))


def _rows(table: Table, project: Project, label: str | None) -> Sampled:
    """The rows of a file that has the features, whatever else it lacks."""
    wanted = project.input.model_copy(update={"id": None if project.input.id not in table.columns else project.input.id})
    project = project.model_copy(update={"input": wanted})
    check_header(table.source.path, project, table.columns, label)
    if label is not None:
        check_label(project, label)
    values = table.values(label) if label is not None else [None] * len(table.rows)
    labels = [_known(project, value) for value in values]
    if label is not None and not any(labels):
        shown = ", ".join(sorted({label_in(value) for value in values if label_in(value)})[:5]) or "nothing"
        raise LoadError(
            f"{label} of {table.source.path} holds no label of {project.project} ({', '.join(project.labels)}), but {shown}"
        )
    return rows.sampled(table, project, labels, [True] * len(labels))


def _known(project: Project, value: object) -> str | None:
    text = label_in(value)
    return next((each for each in (text, plain_label(text)) if each in project.labels), None)

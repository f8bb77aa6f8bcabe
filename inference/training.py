"""Training a model from rows and labels: what is checked, how it is judged, and which of two candidates is kept."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from contract.canonical import content_hash, digest
from contract.files import nearest
from contract.predictors import Encoded, Floats
from contract.project import Project, Trainer
from contract.records import Row, Unscored
from inference import calibration, strange, tables
from inference.course import Course
from inference.errors import TrainingError
from inference.predictors import BuiltIn, Card, ImagePredictor, Kind, TablePredictor, TextPredictor, probabilities, read_text
from inference.splits import Integers, Progress, Task, split

if TYPE_CHECKING:
    from inference.warm import Former

logger = logging.getLogger(__name__)

TRAINERS: Mapping[str, tuple[Kind, ...]] = {
    "tabular": ("sklearn-linear", "sklearn-hgb", "torch-mlp"),
    "text": ("torch-text",),
    "image": ("torch-cnn",),
}
"""By the type of the input, the plainest first."""
BACKGROUND = 500
"""Training rows that are kept with a model of tables or texts, for explaining."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model fresh from training, and what validation says of it (JSON-ready)."""

    predictor: BuiltIn
    figures: Mapping[str, Any]


def train(
    project: Project,
    rows: Sequence[Row],
    labels: Sequence[str],
    *,
    trainer: str | None = None,
    device: str = "auto",
    weights: Sequence[float] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    course: Course | None = None,
    former: BuiltIn | None = None,
) -> Trained:
    """Fit and judge a model; `trainer` is the project's where it is not named. On a CPU the same seed and as many threads give
    the same model, to the bit.

    A fifth of the rows, stratified, judges: it stops the fitting, sets the temperature and gives the figures. Rows that cannot
    be read are left out and counted. `threads` bounds the threads of the process meanwhile. `course` follows the fitting, and
    says where one that was cut off goes on; `former` is a model to begin from. Raises TrainingError, DeviceError.
    """
    kinds = _kinds(project, trainer or project.model.trainer)
    data = _gather(project, rows, labels, weights, seed)
    report, course = progress or _silent, course or Course()
    with _limited(threads):
        tried = [
            _train_one(kind, data, device, seed, _part(report, n, len(kinds)), course, former) for n, kind in enumerate(kinds)
        ]
        report(1.0, "trained")
        best = tried[_chosen([losses for _, losses in tried])][0]
        ordinary = _ordinary(best.predictor, data, seed)
    figures = {**best.figures, "ordinary": len(ordinary.held) if ordinary is not None else 0}
    if len(tried) > 1:
        figures["candidates"] = {each.figures["trainer"]: dict(each.figures) for each, _ in tried}
    card = replace(best.predictor.card, figures=untimed(figures))
    return Trained(replace(best.predictor, card=card, ordinary=ordinary), figures)


def untimed(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without how long it took, so that the same model has the same files."""
    kept = {name: value for name, value in figures.items() if name != "seconds"}
    if "candidates" in kept:
        kept["candidates"] = {kind: untimed(each) for kind, each in kept["candidates"].items()}
    return kept


def _ordinary(predictor: BuiltIn, data: "_Data", seed: int) -> strange.Ordinary | None:
    """What is ordinary to a model: of tables any rows say it, of texts and images those that the network did not learn from."""
    if isinstance(predictor, TablePredictor):
        return strange.of_rows(data.project.input.features, data.rows, seed)
    generator = np.random.default_rng(seed)
    learned = np.sort(generator.permutation(data.task.training)[: strange.SAMPLE])
    held = np.sort(generator.permutation(data.task.validation)[: strange.HELD])
    return strange.of_inputs(predictor, _pick(data.inputs, learned), _pick(data.inputs, held))


def _chosen(losses: Sequence[Floats]) -> int:
    """Of models in order, each with its losses on the same validation rows, the first that is within two standard errors of the
    best: on few rows the plainest, which chance favours least, nor the validation rows, since they do not stop its fitting.

    After the rule of one standard error (Breiman et al. 1984, section 3.4.3), made stricter for that reason.
    """
    if not len(losses[0]):
        return 0
    best = min(losses, key=lambda each: float(each.mean()))
    gaps = [each - best for each in losses]
    error = [float(gap.std()) / len(gap) ** 0.5 for gap in gaps]
    return next(n for n, gap in enumerate(gaps) if float(gap.mean()) <= 2 * error[n])


@dataclass(frozen=True, slots=True)
class _Data:
    """Checked rows with their truth, the split, and what was left out. `inputs`: Encoded, texts or image arrays."""

    project: Project
    rows: tuple[Row, ...]
    inputs: Any
    columns: tuple[Any, ...]
    task: Task
    known: tuple[int, ...]
    unreadable: Mapping[str, Any]
    hash: str
    background: tuple[Row, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.project.labels)


def _limited(threads: int | None) -> AbstractContextManager[None]:
    from inference.devices import limited

    return limited(threads)


def _silent(share: float, doing: str) -> None:
    logger.debug("training: %.0f %%, %s", 100 * share, doing)


def _part(report: Progress, place: int, parts: int) -> Progress:
    return lambda share, doing: report((place + share) / parts, doing)


def _kinds(project: Project, trainer: str) -> tuple[Kind, ...]:
    fitting = TRAINERS[project.input.type]
    if trainer == "auto":
        return fitting
    if trainer not in fitting:
        known = [each for each in get_args(Trainer) if each in ("auto", *fitting)]
        raise TrainingError(f"{trainer!r} does not train {project.input.type} models{nearest(trainer, known)}")
    return tuple(kind for kind in fitting if kind == trainer)


def _gather(project: Project, rows: Sequence[Row], labels: Sequence[str], weights: Sequence[float] | None, seed: int) -> _Data:
    truth, shares = _truth(project, rows, labels), _shares(rows, weights)
    read = {"tabular": _read_table, "text": _read_texts, "image": _read_images}[project.input.type]
    inputs, columns, problems = read(project, rows)
    good = np.array([n for n in range(len(rows)) if n not in problems], dtype=np.int64)
    if not len(good):
        raise TrainingError(f"none of the {len(rows)} rows can be read; the first: {problems[0]}")
    kept = tuple(rows[n] for n in good)
    truth, shares = truth[good], shares[good]
    known = _known(tuple(project.labels), truth)
    hashes = [_row_hash(row, project.input.features) for row in kept]
    place = {label: n for n, label in enumerate(known)}
    local = np.array([place[label] for label in truth.tolist()], dtype=np.int64)
    groups = np.unique(hashes, return_inverse=True)[1]
    training, validation = split(local, groups.astype(np.int64), seed)
    task = Task(local, shares, training, validation)
    return _Data(
        project=project, rows=kept, inputs=_pick(inputs, good), columns=columns, task=task, known=known,
        unreadable={"n": len(problems), "first": problems[min(problems)] if problems else None},
        hash=digest("\n".join(f"{h} {t} {w!r}" for h, t, w in zip(hashes, truth.tolist(), shares.tolist(), strict=True))),
        background=() if project.input.type == "image" else _background(project, kept, training, seed),
    )  # fmt: skip


def _truth(project: Project, rows: Sequence[Row], labels: Sequence[str]) -> Integers:
    if not len(rows):
        raise TrainingError("there are no rows to learn from")
    if len(rows) != len(labels):
        raise TrainingError(f"there are {len(rows)} rows and {len(labels)} labels; each row needs one")
    places = {label: n for n, label in enumerate(project.labels)}
    for label in labels:
        if label not in places:
            raise TrainingError(f"the project has no label {label!r}{nearest(str(label), places)}")
    return np.array([places[label] for label in labels], dtype=np.int64)


def _shares(rows: Sequence[Row], weights: Sequence[float] | None) -> Floats:
    if weights is None:
        return np.ones(len(rows))
    if len(weights) != len(rows):
        raise TrainingError(f"there are {len(rows)} rows and {len(weights)} weights; each row needs one")
    shares = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(shares).all() or (shares <= 0).any():
        raise TrainingError("every weight must be a finite number above zero")
    return shares


def _known(labels: tuple[str, ...], truth: Integers) -> tuple[int, ...]:
    known = tuple(int(n) for n in np.unique(truth))
    if len(known) < 2:
        raise TrainingError(f"every row is labelled {labels[known[0]]!r}; a model needs at least two labels to tell apart")
    return known


def _read_table(project: Project, rows: Sequence[Row]) -> tuple[Any, tuple[Any, ...], dict[int, str]]:
    columns = tables.fit_columns(project.input.features, [row for row in rows if isinstance(row, Mapping)])
    encoded, problems = tables.read(columns, _optional(project), rows)
    return encoded, columns, problems


def _optional(project: Project) -> frozenset[str]:
    return frozenset(name for name, feature in project.input.features.items() if feature.optional)


def _read_texts(project: Project, rows: Sequence[Row]) -> tuple[Any, tuple[Any, ...], dict[int, str]]:
    read = [read_text(next(iter(project.input.features)), row) for row in rows]
    return read, (), {n: each.reason for n, each in enumerate(read) if isinstance(each, Unscored)}


def _read_images(project: Project, rows: Sequence[Row]) -> tuple[Any, tuple[Any, ...], dict[int, str]]:
    from inference import images

    feature = next(iter(project.input.features))
    opened: list[Any] = []
    problems: dict[int, str] = {}
    for n, row in enumerate(rows):
        try:
            opened.append(images.shrunk(row[feature]))
        except (ValueError, KeyError, TypeError) as error:
            opened.append(None)
            problems[n] = f"{feature}: {error}"
    found = [each for each in opened if each is not None]
    if not found:
        return [], (), problems
    side = images.choose_side([each.size for each in found])
    channels = 3 if any(map(images.has_colour, found)) else 1
    blank = np.zeros((side, side, channels), dtype=np.float32)
    squares = [blank if each is None else images.square(each, side, channels) for each in opened]
    return np.stack(squares).astype(np.float32), (), problems


def _pick(inputs: Any, good: Integers) -> Any:
    if isinstance(inputs, Encoded):
        return tables.take(inputs, good.tolist())
    return inputs[good] if isinstance(inputs, np.ndarray) else [inputs[n] for n in good.tolist()]


def _row_hash(row: Row, features: Mapping[str, Any]) -> str:
    return digest("\x1f".join(_value_text(row.get(name)) for name in features))


def _value_text(value: Any) -> str:
    return digest(bytes(value)) if isinstance(value, (bytes, bytearray, memoryview)) else ascii(value)


def _background(project: Project, rows: Sequence[Row], training: Integers, seed: int) -> tuple[Row, ...]:
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(training)[:BACKGROUND]
    return tuple({name: rows[n].get(name) for name in project.input.features} for n in sorted(chosen.tolist()))


def _train_one(
    kind: Kind, data: _Data, device: str, seed: int, progress: Progress, course: Course, former: BuiltIn | None
) -> tuple[Trained, Floats]:
    """A model, and its losses on the validation rows, each by its weight."""
    begun = time.monotonic()
    begin = _former(kind, data, former)
    engine = _fit(kind, data, device, seed, progress, course, begin)
    task = data.task
    held = task.validation
    scores = engine.scores(_pick(data.inputs, held))
    temperature = calibration.fit_temperature(scores, task.truth[held], task.weights[held])
    card = Card(kind, data.labels, data.known, data.project.input.features, temperature, data.hash)
    truth = np.array(data.known, dtype=np.int64)[task.truth[held]]
    chances = probabilities(card, scores)
    judged = calibration.figures(chances, truth, task.weights[held], data.labels)
    figures = {
        "trainer": kind,
        "n_train": len(task.training),
        "n_validation": len(held),
        **judged,
        "temperature": temperature,
        "labels_without_rows": [label for n, label in enumerate(data.labels) if n not in data.known],
        "unreadable": dict(data.unreadable),
        "seconds": round(time.monotonic() - begun, 3),
    } | _told(kind, data, former, begin)
    if kind == "sklearn-linear":
        from inference import linear

        engine = linear.whole(engine, data.inputs, task, len(data.known), seed)
    losses = calibration.losses(chances, truth) * task.weights[held]
    return Trained(_predictor(replace(card, figures=figures), engine, data.background), figures), losses


def _former(kind: Kind, data: _Data, model: BuiltIn | None) -> "Former | None":
    """Another model as one of this kind begins from it; None where it does not."""
    if model is None or model.card.kind != kind or kind == "sklearn-hgb":
        return None
    from inference.warm import Former

    there = {model.labels[known]: place for place, known in enumerate(model.card.known)}
    return Former(model.engine, np.array([there.get(data.labels[known], -1) for known in data.known], dtype=np.int64))


def _told(kind: Kind, data: _Data, model: BuiltIn | None, begin: "Former | None") -> dict[str, str]:
    """How a model began, where another was there to begin from."""
    if model is None:
        return {}
    if begin is None:
        why = "trees are grown anew" if kind == "sklearn-hgb" else f"that one is {model.card.kind}"
        return {"warm": f"not from model {model.version}: {why}"}
    anew = [data.labels[known] for known, place in zip(data.known, begin.places.tolist(), strict=True) if place < 0]
    return {"warm": f"from model {model.version}" + (f"; new to it: {', '.join(anew)}" if anew else "")}


def _fit(kind: Kind, data: _Data, device: str, seed: int, progress: Progress, course: Course, former: "Former | None") -> Any:
    labels, task = len(data.known), data.task
    if kind == "sklearn-hgb":
        from inference import boosting

        return boosting.train(data.columns, data.inputs, task, labels, seed=seed, progress=progress, course=course)
    if kind == "sklearn-linear":
        from inference import linear

        return linear.train(data.columns, data.inputs, task, labels, seed=seed, progress=progress, former=former)
    from inference import cnn, mlp, textbag
    from inference.devices import resolve

    wish: dict[str, Any] = {"seed": seed, "progress": progress, "course": course, "former": former}
    place = resolve(device)
    if kind == "torch-mlp":
        return mlp.train(data.columns, data.inputs, task, labels, device=place, **wish)
    fit = {"torch-text": textbag.train, "torch-cnn": cnn.train}[kind]
    return fit(data.inputs, task, labels, device=place, **wish)


def _predictor(card: Card, engine: Any, background: tuple[Row, ...]) -> BuiltIn:
    kinds = {"torch-text": TextPredictor, "torch-cnn": ImagePredictor}
    predictor: BuiltIn = kinds.get(card.kind, TablePredictor)(card, engine, background)
    return replace(predictor, version=f"unsaved-{content_hash([card.kind, card.data_hash])[:12]}")

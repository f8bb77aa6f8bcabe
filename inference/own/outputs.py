"""What a brought model answers: as one table of numbers, what the numbers mean, and which label each column is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np

from contract.predictors import Floats
from contract.project import Project, label_text
from inference.calibration import softmax
from inference.errors import ModelAddError, ModelLoadError
from inference.predictors import SUM

Meaning = Literal["probabilities", "log-odds", "second probability", "second log-odds"]
TRIED = 1_000
"""Rows of a sample that a model is tried on while it is taken."""
NAMES = ("logits", "probabilities", "probability", "probs", "scores", "output_probability")
"""What an output of several is looked for under, in this order; else it is the first."""
_SAID: Mapping[Meaning, str] = {
    "probabilities": "Its answers are probabilities: each row lies within 0 and 1 and sums to one.",
    "log-odds": "Its answers are log-odds; their softmax is taken.",
    "second probability": "It gives one number within 0 and 1 a row, taken as the probability of {label}, the second label.",
    "second log-odds": "It gives one number a row, taken as the log-odds of {label}, the second label; the sigmoid is taken.",
}


class WrongShape(ValueError):
    """Answers that are no table of numbers, of whichever rows."""


def said(meaning: Meaning, labels: Sequence[str]) -> str:
    """A sentence for the person who brings the model."""
    return _SAID[meaning].format(label=labels[1])


def of_labels(own: Sequence[str], labels: Sequence[str]) -> str:
    """A sentence on whose names the labels are; `own` are those that the model keeps."""
    if not own:
        return f"Its answers are, in order, {', '.join(labels)}, as --labels says."
    if tuple(own) == tuple(labels):
        return f"It names its answers itself: {', '.join(labels)}."
    return f"It names its answers {', '.join(own)}; these are {', '.join(labels)}, as --labels says."


def table(values: Any, rows: int) -> Floats:
    """n answers, one number or k each, to (n, k) or (n, 1). Raises WrongShape naming anything else."""
    try:
        found = np.asarray(values)
        numbers = found.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise WrongShape(f"the model's answers are no numbers: {error}") from error
    if found.dtype.kind not in "fO":
        raise WrongShape(f"the model's answers are of type {found.dtype}; give probabilities or log-odds, not labels")
    if numbers.ndim == 1:
        numbers = numbers[:, None]
    if numbers.ndim != 2 or len(numbers) != rows or numbers.shape[1] == 0:
        raise WrongShape(f"the model's answers have shape {found.shape} for {rows} rows; give one row of numbers for each")
    return numbers


def chosen(values: Any) -> tuple[str | int | None, Any]:
    """Of several outputs the one that answers, and its name or place; of one the one and None."""
    if isinstance(values, Mapping) and values:
        name = next((name for name in NAMES if name in values), next(iter(values)))
        return name, values[name]
    if isinstance(values, (tuple, list)) and values:
        return 0, values[0]
    return None, values


def meaning(values: Floats) -> Meaning:
    """What the answers of a sample are, from the rows that are numbers. Raises ModelAddError where it cannot be told."""
    sound = values[np.isfinite(values).all(axis=1)]
    if not len(sound):
        raise ModelAddError("the model answers no row of the sample with numbers (all are NaN or infinite); look at its inputs")
    within = bool(((sound >= 0) & (sound <= 1)).all())
    if sound.shape[1] == 1:
        return "second probability" if within else "second log-odds"
    if within and bool((np.abs(sound.sum(axis=1) - 1) <= SUM).all()):
        return "probabilities"
    if within:
        raise ModelAddError(
            "the model's answers lie within 0 and 1 but do not sum to one, so they are neither probabilities of labels of which "
            "one is right nor clearly log-odds; let it return its log-odds, or their softmax"
        )
    return "log-odds"


def probabilities(values: Floats, kind: Meaning) -> Floats:
    """(n, k) or (n, 1) answers to (n, k) probabilities, k at least two."""
    if kind == "probabilities":
        return values
    with np.errstate(invalid="ignore"):
        if kind == "log-odds":
            return softmax(values)
        second = values if kind == "second probability" else sigmoid(values)
    return np.hstack([1 - second, second])


def sigmoid(values: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1, small) / (1 + small))


def read_meaning(value: Any) -> Meaning:
    """A meaning as settings hold it. Raises ModelLoadError."""
    if value in _SAID:
        return cast(Meaning, value)
    raise ModelLoadError(f"the model's settings name the meaning {value!r}, which is unknown; add the model anew")


def as_label(value: Any) -> str:
    """A label of a model as its text: 1.0 and 1 are the same. Raises ValueError for what is none."""
    plain = value.item() if hasattr(value, "item") else value
    return label_text(int(plain) if isinstance(plain, float) and plain.is_integer() else plain)


def named(own: Sequence[str], asked: Sequence[str], project: Project, columns: int) -> tuple[str, ...]:
    """The labels of a model in the order of its answers: its own names, or those that the owner gives for them.

    `own`: names that the model keeps, empty where it keeps none. Raises ModelAddError where they do not fit the answers or the
    project, where neither names them, or where both do, differently.
    """
    count = max(columns, 2)
    _check_own(own, asked, project)
    labels = tuple(asked or own)
    if not labels:
        raise ModelAddError(f"the model gives {count} answers and names no labels; {_write(project)}")
    if len(labels) != count or len(set(labels)) != len(labels):
        raise ModelAddError(f"the model gives {count} answers, and the labels are {', '.join(labels)}; {_write(project)}")
    for label in labels:
        if label not in project.labels:
            raise ModelAddError(f"{label} is no label of the project, and the model knows {', '.join(labels)}; {_write(project)}")
    return labels


def _check_own(own: Sequence[str], asked: Sequence[str], project: Project) -> None:
    if own and asked and tuple(own) != tuple(asked) and set(own) <= set(project.labels):
        raise ModelAddError(
            f"--labels says {','.join(asked)}, and the model itself names its answers {','.join(own)}; leave --labels out"
        )


def _write(project: Project) -> str:
    return f"name them in the order of its answers: --labels A,B,... of the project's {', '.join(project.labels)}"


def tried(run: Callable[[Sequence[int]], Floats], rows: Sequence[int]) -> Floats:
    """The model's answers to the rows that it does not raise on.

    Raises ModelAddError with the reason where it raises on all, or where its answers have the wrong shape.
    """
    answers, first = list[Floats](), list[Exception]()
    for found in _halved(run, rows, first):
        answers.append(found)
    if not answers:
        reason = first_line(first[0]) if first else "there are no rows"
        raise ModelAddError(f"the model answers no row of the sample: {reason}")
    widths = {found.shape[1] for found in answers}
    if len(widths) > 1:
        raise ModelAddError(f"the model gives {' and '.join(map(str, sorted(widths)))} answers a row; it must always be as many")
    return np.concatenate(answers)


def _halved(run: Callable[[Sequence[int]], Floats], rows: Sequence[int], errors: list[Exception]) -> Iterator[Floats]:
    if not rows:
        return
    try:
        yield run(rows)
    except WrongShape as error:
        raise ModelAddError(f"the model cannot be taken: {error}") from error
    except Exception as error:
        errors.append(error)
        if len(rows) > 1 and len(errors) < TRIED:
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                yield from _halved(run, half, errors)


def first_line(error: BaseException) -> str:
    """An exception in one line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"[:300]


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names for a message, the first few."""
    held = list(names)
    return ", ".join(held[:most]) + (f" and {len(held) - most} more" if len(held) > most else "")

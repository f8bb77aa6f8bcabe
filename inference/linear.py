"""sklearn-linear: logistic regression over tables, the plain model that few rows are enough for.

Numbers enter scaled, with a flag where they are missing; categories one column each, a missing one among them; texts as signed
counts of hashed words. A category that was never seen has no weight.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from contract.inside import Last, Linear, Places
from contract.predictors import Column, Encoded, Floats
from inference import boosting, tables, weights
from inference.splits import Integers, Progress, Task
from inference.warm import Former

STRENGTH = 0.3
"""The inverse of the L2 penalty."""
FARTHEST = 10.0
"""Standard deviations at which a number is held."""


class Weights(nn.Module):
    """What is learned: centre and scale of each number, a weight for each column of the design and label, and a bias."""

    center: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, numbers: int, width: int, labels: int) -> None:
        super().__init__()
        for name, shape in {"center": (numbers,), "scale": (numbers,), "weight": (width, labels), "bias": (labels,)}.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))


class Engine:
    """The fitted weights with their columns."""

    def __init__(self, columns: tuple[Column, ...], held: Weights) -> None:
        self.columns = columns
        self.held = held
        self._values = {name: value.numpy() for name, value in held.named_buffers()}

    def scores(self, encoded: Encoded) -> Floats:
        """Encoded rows to (n, m) log-odds."""
        values = self._values
        matrix = design(self.columns, encoded, values["center"], values["scale"])
        return np.asarray(matrix @ values["weight"] + values["bias"])

    def inside(self, last: Last) -> Linear:
        """The weights over their design."""
        values = self._values
        return Linear(
            lambda encoded: design(self.columns, encoded, values["center"], values["scale"]).toarray(),
            owners(self.columns),
            values["weight"],
            values["bias"],
            last,
        )

    @property
    def hidden(self) -> None:
        """None: a linear model has no layer but the last."""

    def settings(self) -> dict[str, Any]:
        return {"known": len(self._values["bias"])}

    def files(self) -> dict[str, bytes]:
        return {weights.FILE: weights.dump(self.held)}


def design(columns: Sequence[Column], encoded: Encoded, center: Floats, scale: Floats) -> Any:
    """(n, d) encoded rows to the (n, e) sparse matrix of the regression: numbers, missing numbers, categories, words."""
    parts = tables.parts(columns, encoded.matrix)
    missing = np.isnan(parts.numbers)
    scaled = np.where(missing, 0.0, np.clip((parts.numbers - center) / scale, -FARTHEST, FARTHEST))
    dense = np.concatenate([scaled, missing, *_words(columns, encoded)], axis=1)
    return sparse.hstack([sparse.csr_matrix(dense), _categories(columns, parts.codes)], format="csr")


def _words(columns: Sequence[Column], encoded: Encoded) -> list[Floats]:
    places = [place for place, column in enumerate(columns) if column.kind == "text"]
    return [np.nan_to_num(boosting.word_counts(encoded.matrix[:, place], encoded.texts[place])) for place in places]


def _categories(columns: Sequence[Column], codes: NDArray[np.int64]) -> Any:
    """One column for each code; that of a category never seen stays empty."""
    sizes = np.array(tables.code_sizes(columns), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    seen = codes < sizes - 1
    rows, places = np.nonzero(seen)
    at = codes[rows, places] + starts[places]
    return sparse.csr_matrix((np.ones(len(rows)), (rows, at)), shape=(len(codes), int(starts[-1])))


def width(columns: Sequence[Column]) -> tuple[int, int]:
    """How many numbers there are, and how many columns `design` gives."""
    numbers = sum({"number": 1, "boolean": 1, "date": len(tables.DATE_PARTS)}.get(column.kind, 0) for column in columns)
    texts = sum(column.kind == "text" for column in columns)
    return numbers, 2 * numbers + texts * boosting.TEXT_BUCKETS + sum(tables.code_sizes(columns))


def owners(columns: Sequence[Column]) -> Places:
    """Which column each column of `design` belongs to."""
    held = tables.owners(columns)
    words = np.repeat(held.texts, boosting.TEXT_BUCKETS)
    return np.array([*held.numbers, *held.numbers, *words, *np.repeat(held.codes, tables.code_sizes(columns))], dtype=np.intp)


def train(
    columns: tuple[Column, ...],
    encoded: Encoded,
    task: Task,
    labels: int,
    *,
    seed: int,
    progress: Progress,
    former: Former | None = None,
) -> Engine:
    """Fit to the training rows; task.truth counts the known labels from 0.

    `former` changes how soon it is fitted, not to what: there is one best model.
    """
    progress(0.0, "fitting a linear model")
    engine = _fitted(columns, encoded, task, task.training, labels, seed, former)
    progress(1.0, "a linear model")
    return engine


def whole(engine: Engine, encoded: Encoded, task: Task, labels: int, seed: int) -> Engine:
    """The same model of all rows, once those that judged have judged: there is nothing that they stop."""
    return _fitted(engine.columns, encoded, task, np.arange(len(task.truth)), labels, seed)


def _fitted(
    columns: tuple[Column, ...],
    encoded: Encoded,
    task: Task,
    rows: Integers,
    labels: int,
    seed: int,
    former: Former | None = None,
) -> Engine:
    some = tables.take(encoded, rows.tolist())
    center, scale = _measured(tables.parts(columns, some.matrix).numbers)
    matrix = design(columns, some, center, scale)
    model = LogisticRegression(C=STRENGTH, max_iter=500, random_state=seed)
    if former is not None and begins(columns, former):
        _begin(model, former)
    model.fit(matrix, task.truth[rows], task.weights[rows] / task.weights[rows].mean())
    coefficients, bias = model.coef_.T, model.intercept_
    if labels == 2:
        coefficients, bias = np.hstack([np.zeros_like(coefficients), coefficients]), np.array([0.0, bias[0]])
    held = Weights(len(center), matrix.shape[1], labels)
    for name, value in {"center": center, "scale": scale, "weight": coefficients, "bias": bias}.items():
        held.get_buffer(name).copy_(torch.from_numpy(np.asarray(value)))
    return Engine(columns, held)


def begins(columns: tuple[Column, ...], former: Former) -> bool:
    """Whether the coefficients of another model are of the same columns, categories and labels."""
    return bool(former.engine.columns == columns and (former.places >= 0).all())


def _begin(model: LogisticRegression, former: Former) -> None:
    """Let a fit begin at the coefficients of another model."""
    values = dict(former.engine.held.named_buffers())
    weight, bias = (values[name].numpy()[..., former.places] for name in ("weight", "bias"))
    if len(bias) == 2:
        weight, bias = weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1]
    model.set_params(warm_start=True)
    model.coef_, model.intercept_ = weight.T.copy(), bias.copy()


def _measured(numbers: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each number; 0 and 1 where it has none."""
    there = ~np.isnan(numbers)
    count = np.maximum(there.sum(axis=0), 1)
    center = np.where(there, numbers, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, numbers - center, 0.0) ** 2).sum(axis=0) / count)
    return center, np.where(spread > 1e-12 * np.maximum(1.0, np.abs(center)), spread, 1.0)


def load(columns: tuple[Column, ...], settings: dict[str, Any], files: dict[str, bytes]) -> Engine:
    """The engine from its settings and files. Raises ModelLoadError."""
    held = Weights(*width(columns), int(settings["known"]))
    weights.fill(held, files[weights.FILE])
    return Engine(columns, held)

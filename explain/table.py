"""One row beside its background, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.predictors import Encoded, Floats, TableModel
from contract.records import Row
from explain.errors import ItemUnreadable, NotExplainable
from explain.sliced import Joined, Sliced
from explain.target import Target, named


@dataclass(frozen=True)
class Beside:
    """A row (d,) and its background (n, d), texts coded in one list for both. NaN is a missing value."""

    row: Floats
    background: Floats
    texts: dict[int, tuple[str, ...]]

    def target(self, model: TableModel, label: str) -> Target:
        """The label's probability as a function of an (n, d) matrix."""
        return Target(lambda matrix: model.table_probabilities(Encoded(matrix, self.texts)), model.labels, label)


@dataclass(frozen=True, slots=True)
class Asked:
    """(n, d) changed copies of a row, made slice by slice, and what their codes of texts stand for."""

    cells: Sliced
    texts: Mapping[int, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, part: slice) -> Floats:
        return np.asarray(self.cells[part])


def answered(model: TableModel, background: Encoded, questions: Sequence[Asked]) -> Floats:
    """(n, k) probabilities of what several rows ask; their own texts are put behind those of the background in one list."""
    known = {at: len(held) for at, held in background.texts.items()}
    texts, cells = dict(background.texts), list[Sliced]()
    for asked in questions:
        steps = {at: len(texts.get(at, ())) - known.get(at, 0) for at in asked.texts}
        cells.append(_Moved(asked.cells, steps, known) if any(steps.values()) else asked.cells)
        texts |= {at: (*texts.get(at, ()), *held[known.get(at, 0) :]) for at, held in asked.texts.items()}
    matrix: Any = Joined(cells)  # a chunked model reads it slice by slice
    return model.table_probabilities(Encoded(matrix, texts))


@dataclass(frozen=True, slots=True)
class _Moved:
    """Cells whose own codes of texts are so much larger, by column."""

    cells: Sliced
    steps: Mapping[int, int]
    known: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, part: slice) -> Floats:
        made = np.array(self.cells[part])
        for at, step in self.steps.items():
            made[:, at] += step * (made[:, at] >= self.known.get(at, 0))
        return made


def encoded_background(model: TableModel, rows: Sequence[Row]) -> Encoded:
    """The background in numbers. Raises NotExplainable where there is none or the model cannot encode it."""
    if not rows:
        raise NotExplainable("A table model needs background rows to compare an item with.")
    try:
        return model.encode(rows)
    except Exception as error:
        raise NotExplainable(f"The model cannot encode its background: {named(error)}") from error


def beside(model: TableModel, row: Row, background: Encoded) -> Beside:
    """One row in numbers, its text codes moved behind those of the background. Raises ItemUnreadable."""
    try:
        encoded = model.encode([row])
        values = np.array(encoded.matrix[0], dtype=np.float64)
    except Exception as error:
        raise ItemUnreadable(f"The model cannot read this item: {named(error)}") from error
    texts = dict(background.texts)
    for column, own in encoded.texts.items():
        if not np.isnan(values[column]):
            texts[column], values[column] = _coded(own[int(values[column])], texts.get(column, ()))
    return Beside(values, background.matrix, texts)


def _coded(text: str, known: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    return (known, known.index(text)) if text in known else ((*known, text), len(known))

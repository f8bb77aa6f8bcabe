"""A model's view that answers in chunks of a size found while working, with room for others between them."""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from contract.predictors import Encoded, Floats, ImageModel, TableModel, TextModel
from explain.pacing import Between, nothing

SECONDS = 0.1
"""A chunk takes about so long at most."""
FIRST = 8
MOST = 16_384
"""Rows of the first chunk and of the largest one."""
NUMBERS = 8_000_000
"""At most so many numbers of images in one chunk."""
TRIES = 3
"""A size counts by the best of so many chunks."""
RISE = 1.05
"""A larger size must answer so many times the rows a second."""
ENOUGH = 1.05
"""Of sizes whose rates differ by less, the smallest is taken: it fits caches, and others wait less for it."""
SETTLED = 500
"""After so many chunks a size that was found is looked for again."""

Model = TypeVar("Model", bound=TableModel | TextModel | ImageModel)


def chunked(model: Model, between: Between | None = None) -> Model:
    """The same view, whose probabilities are asked for in chunks; `between` is called after each and must not raise.

    Inputs need no more than a length and slices, so they may be made chunk by chunk. All views of one model learn its size
    together. A view that is chunked already, and gets no other `between`, stays as it is.
    """
    if isinstance(model, _View):
        return model if between is None else cast(Model, chunked(model.model, between))
    view = _Table if isinstance(model, TableModel) else _Text if isinstance(model, TextModel) else _Image
    return cast(Model, view(model, _pace_of(model), between or nothing))


class Pace:
    """How many rows a model is given at once: doubled while that answers more rows a second, halved where it takes too long."""

    def __init__(self, model: object) -> None:
        self.model, self.size = model, FIRST
        self._rates: dict[int, list[float]] = {}
        self._left = SETTLED

    def run(self, count: int, answer: Callable[[slice], Any], between: Between, most: int = MOST) -> Floats:
        """The answers to `count` rows, in order. Raises what `answer` raises."""
        answers, at = list[Floats](), 0
        while at < count or not answers:
            rows = min(self.size, most, count - at)
            begun = time.perf_counter()
            answers.append(np.asarray(answer(slice(at, at + rows)), dtype=np.float64))
            self.saw(rows, time.perf_counter() - begun)
            between()
            at += max(rows, 1)
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def saw(self, rows: int, seconds: float) -> None:
        """Learn from a chunk."""
        if seconds > SECONDS and rows > 1:
            self.size, self._rates = max(1, min(self.size, rows) // 2), {}
        elif rows == self.size:
            self._note(rows / max(seconds, 1e-9))

    def _note(self, rate: float) -> None:
        self._left -= 1
        if self._left <= 0:
            self._rates, self._left = {}, SETTLED
        rates = self._rates.setdefault(self.size, [])
        if len(rates) < TRIES:
            rates.append(rate)
            if len(rates) == TRIES:
                self._choose()

    def _choose(self) -> None:
        best = {size: max(rates) for size, rates in self._rates.items()}
        double = 2 * self.size
        rising = best[self.size] > RISE * best.get(self.size // 2, 0.0)
        if rising and double not in best and double <= MOST and double / best[self.size] < SECONDS:
            self.size = double
        else:
            self.size = min(size for size in best if best[size] * ENOUGH >= max(best.values()))


class _View:
    """What is not asked here passes through to the model."""

    def __init__(self, model: Any, pace: Pace, between: Between) -> None:
        self.model, self.labels, self._pace, self._between = model, model.labels, pace, between

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class _Table(_View):
    def __init__(self, model: Any, pace: Pace, between: Between) -> None:
        super().__init__(model, pace, between)
        self.columns, self.encode = model.columns, model.encode

    def table_probabilities(self, encoded: Encoded) -> Floats:
        return self._pace.run(len(encoded.matrix), lambda part: self._asked(encoded.matrix[part], encoded.texts), self._between)

    def _asked(self, matrix: Floats, texts: Any) -> Any:
        return self.model.table_probabilities(_with_own_texts(Encoded(matrix, texts)) if texts else Encoded(matrix, texts))


class _Text(_View):
    def __init__(self, model: Any, pace: Pace, between: Between) -> None:
        super().__init__(model, pace, between)
        self.feature = model.feature

    def text_probabilities(self, texts: Any) -> Floats:
        return self._pace.run(len(texts), lambda part: self.model.text_probabilities(texts[part]), self._between)


class _Image(_View):
    def __init__(self, model: Any, pace: Pace, between: Between) -> None:
        super().__init__(model, pace, between)
        self.feature, self.decode = model.feature, model.decode

    def image_probabilities(self, images: Any) -> Floats:
        most = max(1, NUMBERS // max(images[:1].size, 1))
        return self._pace.run(len(images), lambda part: self.model.image_probabilities(images[part]), self._between, most)


def _with_own_texts(encoded: Encoded) -> Encoded:
    """Only the texts that stand in the rows, so that a model reads no others again for each chunk."""
    matrix, texts = encoded.matrix.copy(), {}
    for column, known in encoded.texts.items():
        held = ~np.isnan(matrix[:, column])
        used, matrix[held, column] = np.unique(matrix[held, column], return_inverse=True)
        texts[column] = tuple(known[int(code)] for code in used)
    return Encoded(matrix, texts)


_lock = threading.Lock()
_paces: weakref.WeakValueDictionary[int, Pace] = weakref.WeakValueDictionary()
"""By the id of the model, which stays its own as long as its pace lives."""


def _pace_of(model: object) -> Pace:
    with _lock:
        pace = _paces.get(id(model)) or Pace(model)
        _paces[id(model)] = pace
    return pace

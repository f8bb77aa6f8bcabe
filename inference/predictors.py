"""Models of tables, texts and images behind one Predictor: what is checked, what a bad row gets, and the views for explaining."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.inputs import MAX_TEXT
from contract.inside import Hidden, Last, View
from contract.predictors import Column, Encoded, Floats
from contract.project import Feature
from contract.records import Prediction, Row, Scored, Unscored, Unshowable
from inference import images, tables
from inference.calibration import UNSEEN, softmax, spread
from inference.strange import Ordinary

logger = logging.getLogger(__name__)

Files = Mapping[str, bytes]
Kind = Literal["torch-mlp", "sklearn-hgb", "sklearn-linear", "torch-text", "torch-cnn"]


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model beside its weights. `known` are the places of the labels that had training rows."""

    kind: Kind
    labels: tuple[str, ...]
    known: tuple[int, ...]
    features: Mapping[str, Feature]
    temperature: float
    data_hash: str
    figures: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """The part of a model that is saved as weights."""

    def settings(self) -> dict[str, Any]:
        """What is needed to build it again, JSON-ready."""
        ...

    def files(self) -> Files:
        """Its weights by file name."""
        ...


class TableEngine(Engine, Protocol):
    columns: tuple[Column, ...]

    @property
    def hidden(self) -> Hidden | None: ...

    def inside(self, last: Last) -> View | None:
        """What is seen of the model by those who explain it."""
        ...

    def scores(self, encoded: Encoded) -> Floats:
        """Encoded rows to (n, m) log scores of the known labels."""
        ...


class TextEngine(Engine, Protocol):
    @property
    def hidden(self) -> Hidden | None: ...

    def seen(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """What strange texts are told by: see inference.strange.Familiar."""
        ...

    def scores(self, texts: Sequence[str]) -> Floats:
        """n texts to (n, m) log scores of the known labels."""
        ...


class ImageEngine(Engine, Protocol):
    side: int
    channels: int

    @property
    def hidden(self) -> Hidden | None: ...

    def inside(self, last: Last) -> View | None:
        """What is seen of the model by those who explain it."""
        ...

    def scores(self, images: Floats) -> Floats:
        """(n, side, side, channels) in 0..1 to (n, m) log scores of the known labels."""
        ...


def probabilities(card: Card, scores: Floats) -> Floats:
    """(n, m) log scores of the known labels to (n, k) calibrated probabilities of all."""
    return spread(softmax(scores, card.temperature), card.known, len(card.labels))


def last(card: Card) -> Last:
    """The same step, for those who explain it."""
    return Last(card.labels, card.known, card.temperature, UNSEEN)


@dataclass(frozen=True)
class TablePredictor:
    """A model of tables: a Predictor and a TableModel."""

    card: Card
    engine: TableEngine
    background: tuple[Row, ...] = ()
    version: str = ""
    ordinary: Ordinary | None = None
    modality: Literal["tabular"] = "tabular"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.engine.columns

    @cached_property
    def inside(self) -> View | None:
        return self.engine.inside(last(self.card))

    @property
    def hidden(self) -> Hidden | None:
        return self.engine.hidden

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; a row with a value of the wrong type gets Unscored."""
        encoded, problems = self._read(rows)
        bad = {n: Unscored(problem) for n, problem in problems.items()}
        return answers(self.labels, len(rows), bad, lambda some: self.table_probabilities(tables.take(encoded, some)))

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Rows as numbers. Raises ValueError for a value of the wrong type."""
        encoded, problems = self._read(rows)
        for n, problem in sorted(problems.items()):
            raise ValueError(f"row {n}: {problem}")
        return encoded

    def table_probabilities(self, encoded: Encoded) -> Floats:
        """(n, d) encoded rows to (n, k) probabilities. Raises ValueError where d is not the number of columns."""
        if encoded.matrix.ndim != 2 or encoded.matrix.shape[1] != len(self.columns):
            raise ValueError(f"the model has {len(self.columns)} columns; the matrix has shape {encoded.matrix.shape}")
        return probabilities(self.card, self.engine.scores(encoded))

    def _read(self, rows: Sequence[Row]) -> tuple[Encoded, tables.Problems]:
        optional = frozenset(name for name, feature in self.card.features.items() if feature.optional)
        return tables.read(self.columns, optional, rows)


@dataclass(frozen=True)
class TextPredictor:
    """A model of one text: a Predictor and a TextModel. A missing text is scored as an empty one."""

    card: Card
    engine: TextEngine
    background: tuple[Row, ...] = ()
    version: str = ""
    ordinary: Ordinary | None = None
    modality: Literal["text"] = "text"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def feature(self) -> str:
        return next(iter(self.card.features))

    @property
    def hidden(self) -> Hidden | None:
        return self.engine.hidden

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; a row without text, or with too much, gets Unscored."""
        checked = [read_text(self.feature, row) for row in rows]
        bad = {n: each for n, each in enumerate(checked) if isinstance(each, Unscored)}
        texts = [each if isinstance(each, str) else "" for each in checked]
        return answers(self.labels, len(rows), bad, lambda some: self.text_probabilities([texts[n] for n in some]))

    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        """n texts to (n, k) probabilities."""
        return probabilities(self.card, self.engine.scores(texts))

    def seen(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """What strange texts are told by: see inference.strange.Familiar."""
        return self.engine.seen(texts)


@dataclass(frozen=True)
class ImagePredictor:
    """A model of one image: a Predictor and an ImageModel. Rows carry the encoded bytes."""

    single: ClassVar[bool] = True
    card: Card
    engine: ImageEngine
    background: tuple[Row, ...] = ()
    version: str = ""
    ordinary: Ordinary | None = None
    modality: Literal["image"] = "image"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def feature(self) -> str:
        return next(iter(self.card.features))

    @cached_property
    def inside(self) -> View | None:
        return self.engine.inside(last(self.card))

    @property
    def hidden(self) -> Hidden | None:
        return self.engine.hidden

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; an image that cannot be decoded gets Unshowable, a row without one Unscored."""
        opened = [decoded(self.feature, row, self.decode) for row in rows]
        bad = {n: each for n, each in enumerate(opened) if isinstance(each, (Unscored, Unshowable))}
        return answers(
            self.labels, len(rows), bad, lambda some: self.image_probabilities(np.stack([np.asarray(opened[n]) for n in some]))
        )

    def decode(self, data: bytes) -> Floats:
        """Encoded bytes to (side, side, channels) in 0..1. Raises ValueError with what is wrong with the image."""
        return images.square(images.open_image(data, near=self.engine.side), self.engine.side, self.engine.channels)

    def image_probabilities(self, images: Floats) -> Floats:
        """(n, side, side, channels) in 0..1 to (n, k) probabilities. Raises ValueError for another shape."""
        expected = (self.engine.side, self.engine.side, self.engine.channels)
        if images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(f"the model sees images of shape {expected}; these have shape {images.shape[1:]}")
        return probabilities(self.card, self.engine.scores(images))


def decoded(feature: str, row: Row, decode: Callable[[bytes], Floats]) -> Floats | Unscored | Unshowable:
    """The image of a row, or why there is none."""
    data = row.get(feature) if isinstance(row, Mapping) else None
    if data is None:
        return Unscored(f"{feature}: there is no image")
    try:
        return decode(data)
    except ValueError as error:
        return Unshowable(f"{feature}: {error}")


BuiltIn = TablePredictor | TextPredictor | ImagePredictor


def read_text(feature: str, row: Row) -> str | Unscored:
    """The text of a row, empty where it is missing, or why there is none."""
    if not isinstance(row, Mapping) or feature not in row:
        return Unscored(f"{feature}: is not in the row, and the model needs it")
    text = row[feature]
    if text is None:
        return ""
    if not isinstance(text, str):
        return Unscored(f"{feature}: {type(text).__name__} is not text")
    if len(text) > MAX_TEXT:
        return Unscored(f"{feature}: has {len(text):,} characters; at most {MAX_TEXT:,} are scored")
    return text


Score = Callable[[Sequence[int]], Floats]
"""Row numbers to (n, k) probabilities; may raise."""
SUM = 1e-3
"""How far from one a row's probabilities may sum: half precision rounds so much."""
_ROUNDING = 1e-6


def answers(labels: tuple[str, ...], count: int, bad: Mapping[int, Scored], score: Score) -> list[Scored]:
    """One answer for each of `count` rows: what `bad` says of a row, else what the model says.

    Where a batch raises, each half is tried alone, so that only the rows at fault stay without an answer.
    """
    found: list[Scored] = [bad.get(n, _UNANSWERED) for n in range(count)]
    good = [n for n in range(count) if n not in bad] if bad else list(range(count))
    raised = Counter[str]()
    for n, answer in _scored(labels, good, score, raised):
        found[n] = answer
    for kind, times in raised.items():
        logger.warning("the model raised %s on %d of %d items", kind, times, count)
    return found


NOT_A_NUMBER = "the model gave a probability that is not a number"
_UNANSWERED = Unscored("the model gave no answer")


def _scored(labels: tuple[str, ...], rows: Sequence[int], score: Score, raised: Counter[str]) -> Iterator[tuple[int, Scored]]:
    if not rows:
        return
    try:
        found = _checked(score(rows), len(rows), len(labels))
    except Exception as error:
        if len(rows) == 1:
            raised[type(error).__name__] += 1
            yield rows[0], Unscored(f"the model failed on this item: {_line(error)}"[:300])
            return
        yield from _scored(labels, rows[: len(rows) // 2], score, raised)
        yield from _scored(labels, rows[len(rows) // 2 :], score, raised)
        return
    for n, values, sound in zip(rows, found.tolist(), _sound(found).tolist(), strict=True):
        yield n, Prediction(labels, tuple(values)) if sound else Unscored(_unsound(labels, values))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _checked(found: Floats, rows: int, labels: int) -> Floats:
    if found.shape != (rows, labels):
        raise ValueError(f"the model gave probabilities of shape {found.shape} for {rows} rows and {labels} labels")
    return found


def _sound(found: Floats) -> NDArray[np.bool_]:
    """(n,) whether a row's (k,) answers are probabilities that sum to one."""
    within = ((found >= -_ROUNDING) & (found <= 1 + _ROUNDING)).all(axis=1)
    return np.asarray(within & (np.abs(found.sum(axis=1) - 1) <= SUM))


def _unsound(labels: tuple[str, ...], values: Sequence[float]) -> str:
    if not np.isfinite(values).all():
        return NOT_A_NUMBER
    said = ", ".join(f"{label} {value:.6g}" for label, value in list(zip(labels, values, strict=True))[:5])
    return f"the model answered {said}{', …' if len(labels) > 5 else ''}; probabilities lie within 0 and 1 and sum to one"

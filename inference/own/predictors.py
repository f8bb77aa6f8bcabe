"""Brought models of tables, texts and images: a Predictor each, with the view that explaining needs, around any engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from contract.inside import View
from contract.predictors import Column, Encoded, Floats
from contract.project import Feature
from contract.records import Row, Scored, Unscored, Unshowable
from inference import images, tables
from inference.own import cells, inputs
from inference.own.engine import Engine, Opens, Sees, Shows, ShowsPixels, Table
from inference.predictors import NOT_A_NUMBER, answers, decoded, read_text
from inference.strange import Ordinary

Modality = Literal["tabular", "text", "image"]
TRIED = 500
"""Rows of the background that a model's inside is tried on, at most."""
SIDE = 256
"""The longer side at which images are explained, at most, where the model itself names no size."""


@dataclass(frozen=True, slots=True)
class OwnCard:
    """What is known of a brought model beside its engine. `dtypes`: of the columns in the file that it was tried on."""

    kind: str
    modality: Modality
    labels: tuple[str, ...]
    features: Mapping[str, Feature]
    dtypes: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Own:
    card: OwnCard
    engine: Engine
    background: tuple[Row, ...] = ()
    version: str = ""
    ordinary: Ordinary | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    @property
    def feature(self) -> str:
        return next(iter(self.card.features))

    def _asked(self, inputs: Any, count: int) -> Floats:
        """n inputs to (n, k) probabilities. Raises ValueError for answers of another shape."""
        if not count:
            return np.empty((0, len(self.labels)))
        found = np.asarray(self.engine.probabilities(inputs), dtype=np.float64)
        if found.shape != (count, len(self.labels)):
            raise ValueError(f"the model answered with shape {found.shape} for {count} rows and {len(self.labels)} labels")
        return found


@dataclass(frozen=True)
class OwnTable(_Own):
    """A brought model of tables: a Predictor and a TableModel. Categories keep their value, known to the sample or not."""

    modality: Literal["tabular"] = "tabular"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return tables.fit_columns(self.card.features, ())

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; a row with a value of the wrong type gets Unscored."""
        encoded, problems = self._read(rows)
        bad = {n: Unscored(problem) for n, problem in problems.items()}
        found = answers(
            self.labels, len(rows), bad, lambda some: self._asked(cells.of_rows(self.columns, encoded, rows, some), len(some))
        )
        return [each if n in bad else self._with_missing(each, rows[n]) for n, each in enumerate(found)]

    def _with_missing(self, answer: Scored, row: Row) -> Scored:
        """Where a model gives no number, what of the row was missing is most likely why."""
        missing = [name for name in self.card.features if row.get(name) is None] if isinstance(answer, Unscored) else []
        if not isinstance(answer, Unscored) or not missing or not answer.reason.endswith(NOT_A_NUMBER):
            return answer
        return Unscored(f"{answer.reason}; {', '.join(missing[:5])} {'is' if len(missing) == 1 else 'are'} missing")

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Rows as numbers. Raises ValueError for a value of the wrong type."""
        encoded, problems = self._read(rows)
        for n, problem in sorted(problems.items()):
            raise ValueError(f"row {n}: {problem}")
        return encoded

    def table_probabilities(self, encoded: Encoded) -> Floats:
        """(n, d) encoded rows to (n, k) probabilities, each distinct row asked for once.

        Raises ValueError where d is not the number of columns, and what the model raises.
        """
        if encoded.matrix.ndim != 2 or encoded.matrix.shape[1] != len(self.columns):
            raise ValueError(f"the model has {len(self.columns)} columns; the matrix has shape {encoded.matrix.shape}")
        chosen, places = _distinct(encoded.matrix)
        some = Encoded(encoded.matrix[chosen], encoded.texts)
        found: Floats = self._asked(cells.of_encoded(self.columns, self._forms, some), len(chosen))[places]
        return found

    @cached_property
    def inside(self) -> View | None:
        """What the engine shows, tried on up to 500 rows of the background; None where these cannot be read."""
        encoded, problems = self._read(self.background[:TRIED])
        good = [n for n in range(len(encoded.matrix)) if n not in problems]
        if not isinstance(self.engine, Shows) or not good:
            return None
        rows = tables.take(encoded, good)
        return self.engine.inside(
            Table(self.labels, self.columns, lambda given: cells.of_encoded(self.columns, self._forms, given), rows)
        )

    @cached_property
    def _forms(self) -> dict[str, cells.Form]:
        return cells.forms(self.columns, self.background)

    def _read(self, rows: Sequence[Row]) -> tuple[Encoded, tables.Problems]:
        optional = frozenset(name for name, feature in self.card.features.items() if feature.optional)
        return tables.read(self.columns, optional, rows, every_category=True)


def _distinct(matrix: Floats) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The places of a matrix's distinct rows, and for each row which of them it is."""
    whole = np.ascontiguousarray(matrix)
    if not whole.size:
        return np.arange(len(whole)), np.arange(len(whole))
    _, first, places = np.unique(
        whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    return first, places


@dataclass(frozen=True)
class OwnText(_Own):
    """A brought model of one text: a Predictor and a TextModel. A missing text is scored as an empty one."""

    modality: Literal["text"] = "text"

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; a row without text, or with too much, gets Unscored."""
        checked = [read_text(self.feature, row) for row in rows]
        bad = {n: each for n, each in enumerate(checked) if isinstance(each, Unscored)}
        texts = [each if isinstance(each, str) else "" for each in checked]
        return answers(self.labels, len(rows), bad, lambda some: self.text_probabilities([texts[n] for n in some]))

    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        """n texts to (n, k) probabilities. Raises what the model raises."""
        return self._asked(list(texts), len(texts))


@dataclass(frozen=True)
class OwnImage(_Own):
    """A brought model of one image: a Predictor and an ImageModel. Rows carry the encoded bytes."""

    modality: Literal["image"] = "image"

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row; an image that cannot be decoded gets Unshowable, a row without one Unscored."""
        opened = [decoded(self.feature, row, self.decode) for row in rows]
        bad = {n: each for n, each in enumerate(opened) if isinstance(each, (Unscored, Unshowable))}
        return answers(
            self.labels, len(rows), bad, lambda some: self._answered([rows[n] for n in some], [opened[n] for n in some])
        )

    def decode(self, data: bytes) -> Floats:
        """Encoded bytes to (height, width, channels) in 0..1. Raises ValueError with what is wrong with the image."""
        if isinstance(self.engine, Sees):
            return inputs.pixels(images.open_image(data), self.engine.size)
        image = images.open_image(data)
        scale = min(1.0, SIDE / max(image.size))
        channels = 3 if images.has_colour(image) else 1
        return inputs.pixels(image, (max(1, round(image.height * scale)), max(1, round(image.width * scale)), channels))

    @cached_property
    def inside(self) -> View | None:
        return self.engine.inside_pixels() if isinstance(self.engine, ShowsPixels) else None

    def image_probabilities(self, images: Floats) -> Floats:
        """(n, height, width, channels) in 0..1 to (n, k) probabilities. Raises what the model raises."""
        return self._asked(images, len(images))

    def _answered(self, rows: Sequence[Row], images: Sequence[Any]) -> Floats:
        if isinstance(self.engine, Opens):
            return np.asarray(self.engine.of_bytes([row[self.feature] for row in rows]), dtype=np.float64)
        return self.image_probabilities(np.stack(images))


Own = OwnTable | OwnText | OwnImage
_KINDS: Mapping[Modality, type[Own]] = {"tabular": OwnTable, "text": OwnText, "image": OwnImage}


def own(
    card: OwnCard, engine: Engine, background: tuple[Row, ...] = (), version: str = "", ordinary: Ordinary | None = None
) -> Own:
    """The predictor of a model, by the type of its inputs."""
    return _KINDS[card.modality](card, engine, background, version, ordinary)

"""What a model offers to those who score with it and to those who explain it, by modality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contract.records import Row, Scored

Floats = NDArray[np.float64]
ColumnKind = Literal["number", "category", "boolean", "date", "text"]


class Predictor(Protocol):
    """A loaded model. Image inputs carry the encoded bytes under their feature's name."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> str: ...
    @property
    def modality(self) -> Literal["tabular", "text", "image"]: ...
    @property
    def background(self) -> Sequence[Row]:
        """Training rows for explaining; empty for images."""
        ...

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        """One answer per row, same length, same order. A bad row gets Unscored or Unshowable; it takes no other down."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an encoded table."""

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as numbers: (n, d) float64. Numbers as they are, booleans 0 and 1, dates as days since 1970, categories as
    their code in `Column.categories`, texts as their code in `texts[column index]`; NaN is a missing value, and a
    category that the model never saw is the code `len(categories)`. A model of any category codes these like texts."""

    matrix: Floats
    texts: Mapping[int, tuple[str, ...]]


@runtime_checkable
class TableModel(Protocol):
    """A model of tables, seen column by column as a person knows them."""

    labels: tuple[str, ...]
    columns: tuple[Column, ...]

    def encode(self, rows: Sequence[Row]) -> Encoded: ...

    def table_probabilities(self, encoded: Encoded) -> Floats:
        """(n, d) encoded rows to (n, k) probabilities."""
        ...


@runtime_checkable
class TextModel(Protocol):
    labels: tuple[str, ...]
    feature: str

    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        """n texts to (n, k) probabilities."""
        ...


@runtime_checkable
class ImageModel(Protocol):
    """A model of images. One that reads them in single precision may say so by `single = True`."""

    labels: tuple[str, ...]
    feature: str

    def decode(self, data: bytes) -> Floats:
        """Encoded bytes to (height, width, channels) in 0..1, at the size the model sees. Raises ValueError."""
        ...

    def image_probabilities(self, images: Floats) -> Floats:
        """(n, height, width, channels) in 0..1 to (n, k) probabilities."""
        ...

"""What stands behind a brought model: one engine per format, made from the owner's file, and made again on a worker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from contract.inside import View
from contract.predictors import Column, Encoded, Floats
from contract.project import Project
from contract.records import Row

Format = Literal["sklearn", "torch-export", "onnx", "hf", "python"]
Cells = Mapping[str, Sequence[Any]]
"""A table by columns: feature name to its JSON values, None where one is missing; all of the same length."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that a brought model is tried on before it is taken.

    `rows`: checked inputs as a Predictor takes them (images as bytes). `dtypes`: the pandas dtype of each column in the file
    they come from, for the features that it has (`int64`, `float64`, `bool`, `str`, `object`, `category`, `datetime64[ns]`...).
    `truth`: the label of each row, None where it is not known.
    """

    project: Project
    rows: tuple[Row, ...]
    dtypes: Mapping[str, str] = field(default_factory=dict)
    truth: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What the owner said on the command line. `labels`: in the order of the model's outputs."""

    labels: tuple[str, ...] = ()
    class_name: str | None = None
    trust_pickle: bool = False
    device: str = "auto"


class Engine(Protocol):
    """A brought model, ready to answer."""

    @property
    def format(self) -> Format: ...

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of its answers; never guessed."""
        ...

    def probabilities(self, inputs: Any) -> Floats:
        """n inputs to (n, k) probabilities, as the model itself gives them.

        Inputs by the project's type: `Cells` for tables, a sequence of n texts, or images (n, height, width, channels) in 0..1.
        May raise; the caller then finds the row at fault.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """What `load` needs beside the files, JSON-ready."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """File name to content; names are plain, without folders."""
        ...

    def said(self) -> Sequence[str]:
        """What was found out about the model while it was taken, a sentence each, for the person who brings it."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """A brought model's table for those who look inside: rows to try it on, and how encoded rows become cells again."""

    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Callable[[Encoded], Cells]
    rows: Encoded


@runtime_checkable
class Shows(Protocol):
    """An engine of tables that may show its inside."""

    def inside(self, table: Table) -> View | None: ...


@runtime_checkable
class ShowsPixels(Protocol):
    """An engine of images that may show its inside."""

    def inside_pixels(self) -> View | None: ...


@runtime_checkable
class Sees(Protocol):
    """An engine of images, which are all brought to one size before it sees them."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels (1 or 3)."""
        ...


@runtime_checkable
class Opens(Protocol):
    """An engine that opens encoded images itself: items are scored through it, so that no resizing changes an answer."""

    def of_bytes(self, images: Sequence[bytes]) -> Floats:
        """n encoded images, as they were sent, to (n, k) probabilities."""
        ...


# Each format is a module with two functions:
#   add(source: Path, sample: Sample, options: Options) -> Engine     on the owner's machine; raises ModelAddError with the mend
#   load(labels: tuple[str, ...], settings: dict, files: Mapping[str, bytes], device: str) -> Engine
#                                                                      on a worker; raises ModelLoadError; unpickles nothing

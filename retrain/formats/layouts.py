"""What each format makes of the rows of a version: which files, under which names, and where the images lie."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from retrain.formats import tables

Row = dict[str, Any]
Open = Callable[[str], bytes]


class Layout(Protocol):
    """A folder that is being filled. `images`: where a file lies in it, to the image as the rows name it."""

    images: dict[str, str]

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one more row."""

    def end(self) -> list[str]:
        """Close what is open: the names of the data files, in order."""


class Table:
    """data.FORMAT, and images beside it as the rows name them."""

    def __init__(self, format: str, columns: Mapping[str, str], folder: Path) -> None:
        self._parts = tables.Parts(lambda: tables.WRITERS[format](columns), "data", format, folder)
        self._fields = [name for name, kind in columns.items() if kind == "image"]
        self.images: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        self._parts.add(row)
        self.images |= {path: path for name in self._fields if (path := row[name])}

    def end(self) -> list[str]:
        return self._parts.end()


def layout(format: str, columns: Mapping[str, str], folder: Path) -> Layout:
    """An empty folder of a format."""
    return Table(format, columns, folder)


def read(format: str, names: list[str], columns: Mapping[str, str], open: Open) -> Iterator[Row]:
    """The rows of a folder with these data files, as they were added."""
    for name in names:
        yield from tables.read(format, open(name), columns)

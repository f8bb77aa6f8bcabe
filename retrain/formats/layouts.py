"""What each format makes of the rows of a version: which files, under which names, and where the images lie."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from retrain.formats import hugging_face, image_folder, label_studio, tables

Row = dict[str, Any]
Open = Callable[[str], bytes]
FORMATS = ("parquet", "jsonl", "csv", "huggingface", "image-folder", "label-studio")


class Layout(Protocol):
    """A folder that is being filled. `images`: where a file lies in it, to the image as the rows name it."""

    images: dict[str, str]

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one more row."""

    def end(self) -> list[str]:
        """Close what is open: the names of the data files, in order."""


class Plain:
    """Files of rows, one or several, and images beside them as the rows name them."""

    def __init__(self, parts: tables.Parts, columns: Mapping[str, str]) -> None:
        self._parts = parts
        self._fields = tables.images(columns)
        self.images: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        self._parts.add(row)
        self.images |= {path: path for name in self._fields if (path := row[name])}

    def end(self) -> list[str]:
        return self._parts.end()


def layout(format: str, columns: Mapping[str, str], folder: Path) -> Layout:
    """An empty folder of a format."""
    if format == "huggingface":
        return (hugging_face.Pictures if tables.images(columns) else hugging_face.Splits)(columns, folder)
    if format == "image-folder":
        return image_folder.Folders(columns, folder)
    if format == "label-studio":
        return Plain(tables.Parts(lambda: label_studio.Tasks(columns), "tasks", "json", folder), columns)
    return Plain(tables.Parts(lambda: tables.WRITERS[format](columns), "data", format, folder), columns)


def read(format: str, names: list[str], columns: Mapping[str, str], open: Open) -> Iterator[Row]:
    """The rows of a folder with these data files, as they were added; first those of one split, then those of the other, where
    splits lie apart."""
    readers: dict[str, Callable[[bytes, Mapping[str, str]], Iterator[Row]]] = {
        "huggingface": hugging_face.read,
        "image-folder": image_folder.read,
        "label-studio": label_studio.read,
    }
    for name in names:
        data = open(name)
        yield from readers[format](data, columns) if format in readers else tables.read(format, data, columns)

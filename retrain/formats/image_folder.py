"""Images in folders by split and label, as torchvision and others read them, and a table beside them with all that is known."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from retrain.formats import cells, tables
from retrain.formats.tables import Lines

REJECTED = "rejected"
"""The folder of the images that no label fits."""


class Folders:
    """SPLIT/LABEL/name and SPLIT/metadata.csv; what was rejected apart, in rejected/SPLIT/name.

    A label that is no name of a folder is written with its odd characters as %XX; the table has it as it is. An image that stands
    twice has two names.
    """

    def __init__(self, columns: Mapping[str, str], folder: Path) -> None:
        self._field, self._folder = tables.images(columns)[0], folder
        self._columns = {"file_name": "text", **{name: kind for name, kind in columns.items() if name != self._field}}
        self._parts: dict[str, Lines] = {}
        self._taken = Counter[str]()
        self.images: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        above = REJECTED if row["label"] is None else row["split"]
        name = self._name(row["split"] if row["label"] is None else folder_of(row["label"]), row[self._field])
        self._parts.setdefault(above, tables.csv(self._columns)).add({**row, "file_name": name})
        self.images |= {f"{above}/{name}": row[self._field]} if name else {}

    def end(self) -> list[str]:
        for above, part in self._parts.items():
            (self._folder / above).mkdir()
            (self._folder / above / "metadata.csv").write_bytes(part.data())
        return [f"{above}/metadata.csv" for above in sorted(self._parts)]

    def _name(self, folder: str, path: str | None) -> str | None:
        if path is None:
            return None
        sha, _, ending = path.removeprefix("images/").partition(".")
        self._taken[sha] += 1
        return f"{folder}/{sha}{f'-{self._taken[sha]}' if self._taken[sha] > 1 else ''}.{ending}"


def folder_of(label: str) -> str:
    """A label as the name of a folder."""
    return quote(label, safe=" ") if label.strip(". ") else quote(label, safe="").replace(".", "%2E")


def read(data: bytes, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of one table."""
    field = tables.images(columns)[0]
    for row in cells.table(data.decode(), columns):
        name = row.pop("file_name")
        row[field] = f"images/{name.rpartition('/')[2][:64]}.{name.rpartition('.')[2]}" if name else None
        yield {name: row[name] for name in columns}

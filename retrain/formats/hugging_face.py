"""A folder that `datasets.load_dataset` opens: a split each for training and testing, images as such."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain.formats import tables
from retrain.formats.tables import Parquet, Parts

MARK = "_file_name"
"""By this ending of a column the library knows that it names an image."""


class Splits:
    """data/SPLIT.parquet, or several of each split."""

    def __init__(self, columns: Mapping[str, str], folder: Path) -> None:
        self._columns, self._folder = columns, folder
        self._parts: dict[str, Parts] = {}
        self.images: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        split = row["split"]
        if split not in self._parts:
            self._parts[split] = Parts(lambda: Parquet(self._columns), f"data/{split}", "parquet", self._folder)
        self._parts[split].add(row)

    def end(self) -> list[str]:
        return [name for split in sorted(self._parts) for name in self._parts[split].end()]


class Pictures:
    """SPLIT/metadata.parquet, and the images of a split beside it."""

    def __init__(self, columns: Mapping[str, str], folder: Path) -> None:
        self._fields, self._folder = tables.images(columns), folder
        self._columns = {_marked(name, kind): kind for name, kind in columns.items()}
        self._parts: dict[str, Parquet] = {}
        self.images: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        split, held = row["split"], dict(row)
        for name in self._fields:
            path = held.pop(name)
            held[name + MARK] = path and path.rpartition("/")[2]
            self.images |= {f"{split}/{held[name + MARK]}": path} if path else {}
        self._parts.setdefault(split, Parquet(self._columns)).add(held)

    def end(self) -> list[str]:
        for split, part in self._parts.items():
            (self._folder / split).mkdir()
            (self._folder / split / "metadata.parquet").write_bytes(part.data())
        return [f"{split}/metadata.parquet" for split in sorted(self._parts)]


def read(data: bytes, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of one file."""
    for row in tables.read("parquet", data, columns):
        yield {name: _unmarked(row, name) for name in columns}


def head(names: list[str]) -> str:
    """What the card begins with, so that the library knows which file is of which split."""
    splits = sorted({name.removeprefix("data/").replace("/", ".").partition(".")[0].partition("-")[0] for name in names})
    paths = {each: f"data/{each}*.parquet" if names[0].startswith("data/") else f"{each}/**" for each in splits}
    files = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in paths.items())
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"


def _marked(name: str, kind: str) -> str:
    return name + MARK if kind == "image" else name


def _unmarked(row: Mapping[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    return row[name + MARK] and f"images/{row[name + MARK]}"

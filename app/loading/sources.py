"""Files and folders that give rows: CSV, JSON lines, Parquet, and folders of images."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from app.loading import columns, lines
from app.loading.dialects import Dialect, detect
from app.loading.errors import LoadError
from app.loading.lines import LONGEST
from contract.project import Project

BATCH = 1_000
"""Rows of a Parquet file that are read at once."""
TYPES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
TYPES |= {".parquet": "parquet", ".pq": "parquet"}
KINDS = "CSV (.csv, .tsv), JSON lines (.jsonl), Parquet (.parquet), or a folder of images"

Progress = Callable[[float, str], None]
"""Told the share that is done, 0 to 1, and a word about it."""


@dataclass(frozen=True, slots=True)
class Found:
    """One row: where it stands, its number from 1, its values or what is wrong, and the share of the file it ends at."""

    place: int | str
    number: int
    values: Mapping[str, Any]
    share: float
    problem: str | None = None


class Source:
    """A file or folder. `text`: values are cells of text, to be read by the type of their column.

    `project` is what its columns are held against, None where there is none yet; `label` the column that holds the label,
    where one is wanted; `said` what was found out about the file, for a person.
    """

    text = False
    decimal_comma = False
    said = ""
    empty = ""

    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        self.path, self.project, self.label = path, project, label
        self.count = 0
        self.empty = f"{path} holds no rows"

    @property
    def folder(self) -> Path:
        """What paths of images and files in a row are relative to."""
        return self.path.parent

    def name_of(self, found: Found) -> str:
        """The id of a row that brings none: the file's SHA-256 and the row number."""
        raise NotImplementedError

    def label_of(self, found: Found) -> Any:
        """What stands where the label of a row should, None where nothing does."""
        return found.values.get(self.label) if self.label is not None else None

    def rows(self, progress: Progress | None = None) -> Iterator[Found]:
        """Every row. Raises LoadError where there is none."""
        for found in self._rows():
            self.count += 1
            yield found
            if progress is not None and found.number % 100 == 0:
                progress(found.share, f"{found.number:,} rows")
        if not self.count:
            raise LoadError(self.empty)
        if progress is not None:
            progress(1.0, f"{self.count:,} rows")

    def _rows(self) -> Iterator[Found]:
        raise NotImplementedError


def source_of(path: Path, project: Project | None = None, label: str | None = None) -> Source:
    """What gives the rows of a path. Raises LoadError where it is of no kind that can be loaded."""
    if not path.exists():
        raise LoadError(f"there is no file {path}")
    if path.is_dir():
        return Folder(path, project, label)
    kind = TYPES.get(path.suffix.lower())
    if kind is None:
        raise LoadError(f"{path} is none of the kinds that can be loaded: {KINDS}; save it as one of them")
    if path.stat().st_size == 0:
        raise LoadError(f"{path} is empty: there is not even a header in it")
    return {"csv": Csv, "jsonl": Jsonl, "parquet": Parquet}[kind](path, project, label)


class File(Source):
    """One file, whose content names rows without an id."""

    sha = ""

    def name_of(self, found: Found) -> str:
        return f"{self.sha[:12]}-{found.number}"


class TextFile(File):
    """Lines of text; one pass over the file finds encoding and SHA-256 before anything is taken."""

    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        super().__init__(path, project, label)
        self.size = path.stat().st_size
        self.scanned = lines.scan(path)
        self.sha = self.scanned.sha

    def _open(self, binary: BinaryIO) -> TextIO:
        return io.TextIOWrapper(binary, encoding=self.scanned.encoding, newline="")

    def _share(self, binary: BinaryIO) -> float:
        return min(binary.tell() / self.size, 1.0)


class Csv(TextFile):
    text = True

    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        super().__init__(path, project, label)
        csv.field_size_limit(LONGEST)
        self.empty = f"{path} has a header and no rows below it"
        self.dialect = self._dialect()
        self.decimal_comma = self.dialect.decimal_comma
        self.said = f"CSV, {self.scanned.said}, {self.dialect.said}"

    def _dialect(self) -> Dialect:
        known = columns.known(self.project) if self.project is not None else set()
        with self.path.open("rb") as binary, self._open(binary) as handle:
            return detect(lines.first(handle), known | ({self.label} if self.label else set()))

    def _rows(self) -> Iterator[Found]:
        with self.path.open("rb") as binary, self._open(binary) as handle:
            for _ in range(self.dialect.skip):
                handle.readline(LONGEST)
            rows = lines.guarded(self.dialect.reader(lines.read(handle)), self.dialect.skip)
            header = self._header(rows)
            for number, (line, cells) in enumerate(rows, 1):
                yield self._found(header, cells, line, number, self._share(binary))

    def _header(self, rows: Iterator[tuple[int, list[str] | str]]) -> list[str]:
        """The names of the columns. Raises LoadError where they do not suit the project, or cannot be read."""
        _, cells = next(rows, (1, "there is none"))
        if isinstance(cells, str):
            raise LoadError(
                f"the header of {self.path} cannot be read: {cells}; write the names of the columns on its first line"
            )
        names = [name.strip() for name in self.dialect.cells(cells)]
        columns.check_header(self.path, self.project, names, self.label)
        return names

    def _found(self, header: Sequence[str], cells: list[str] | str, line: int, number: int, share: float) -> Found:
        if isinstance(cells, str):
            return Found(line, number, {}, share, f"cannot be read: {cells}")
        cells = self.dialect.cells(cells, len(header))
        values = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            return Found(line, number, values, share, f"has {len(cells)} cells where the header has {len(header)}")
        return Found(line, number, values, share)


class Jsonl(TextFile):
    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        super().__init__(path, project, label)
        self.said = f"JSON lines, {self.scanned.said}"

    def _rows(self) -> Iterator[Found]:
        with self.path.open("rb") as binary, self._open(binary) as handle:
            number = 0
            for line, text in enumerate(lines.read(handle), 1):
                if not text.strip():
                    continue
                number += 1
                if number == 1 and text.lstrip().startswith("["):
                    raise LoadError(f"{self.path} is one JSON array; write one object a line, e.g. with `jq -c '.[]'`")
                yield self._found(text, line, number, self._share(binary))

    def _found(self, text: str, line: int, number: int, share: float) -> Found:
        cut = {"text": text.strip()[:1000]}
        if len(text) >= LONGEST:
            return Found(line, number, cut, share, f"is longer than {LONGEST:,} characters")
        try:
            values = json.loads(text)
        except ValueError as error:
            return Found(line, number, cut, share, f"is not JSON: {error}")
        except RecursionError:
            return Found(line, number, cut, share, "is nested too deep")
        if not isinstance(values, dict):
            return Found(line, number, cut, share, "is not a JSON object with a name for each value")
        return Found(line, number, values, share)


class Parquet(File):
    said = "Parquet"

    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        super().__init__(path, project, label)
        with path.open("rb") as handle:
            self.sha = hashlib.file_digest(handle, "sha256").hexdigest()

    def _rows(self) -> Iterator[Found]:
        import pyarrow
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self.path) as file:
                columns.check_header(self.path, self.project, list(file.schema_arrow.names), self.label)
                number, total = 0, max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield Found(number, number, row, number / total)
        except (pyarrow.ArrowException, OSError) as error:
            raise LoadError(f"{self.path} is not a Parquet file that can be read: {str(error).splitlines()[0]}") from error


class Folder(Source):
    """Every file below is one item: an image, named by its path. A label is the first folder of that path."""

    said = "a folder of images"

    def __init__(self, path: Path, project: Project | None, label: str | None) -> None:
        super().__init__(path, project, label)
        if project is not None and project.input.type != "image":
            raise LoadError(f"{path} is a folder of images, but {project.project} takes {project.input.type}; give a file")

    @property
    def folder(self) -> Path:
        return self.path

    def name_of(self, found: Found) -> str:
        return str(found.place)

    def label_of(self, found: Found) -> Any:
        first, _, rest = str(found.place).partition("/")
        return first if rest else None

    def _rows(self) -> Iterator[Found]:
        feature = next(iter(self.project.input.features)) if self.project is not None else "image"
        total = sum(1 for _ in self._files())
        for number, file in enumerate(self._files(), 1):
            place = file.relative_to(self.path).as_posix()
            yield Found(place, number, {feature: place}, number / total)

    def _files(self) -> Iterator[Path]:
        for folder, inner, names in os.walk(self.path):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))

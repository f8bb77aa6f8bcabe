"""A file of unknown shape as a table: a seeded sample of its rows, and what pandas would make of its columns."""

import csv
import io
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.loading.columns import check_header
from app.loading.errors import LoadError
from app.loading.sources import Csv, Folder, Found, Jsonl, Parquet, Progress, Source, source_of
from contract.files import nearest

MOST = 40_000
"""Rows of a sample."""
MOST_BYTES = 2**29
"""Bytes of images that a sample holds."""
TOLD = 5
"""Broken rows that are told one by one."""
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
_NESTED: Mapping[type, str] = {list: "lists", dict: "objects"}
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}


@dataclass(frozen=True, slots=True)
class Table:
    """A sample of a file, drawn evenly, in the order of the file.

    `rows`: as the loader finds them (`source.name_of` names one without an id); `total`: sound rows of the whole file;
    `dtypes`: pandas dtype of each column, as pandas would read this file; `unread`: columns that cannot be read, and why;
    `broken`: the first rows that cannot be read, `broken_count` of all.
    """

    source: Source
    columns: tuple[str, ...]
    rows: tuple[Found, ...]
    total: int
    dtypes: Mapping[str, str]
    unread: Mapping[str, str]
    broken: tuple[Found, ...] = ()
    broken_count: int = 0

    @property
    def said(self) -> str:
        """How the file is written, and how many of its rows were looked at."""
        part = f", of which {len(self.rows):,} drawn evenly are looked at" if len(self.rows) < self.total else ""
        return f"{self.source.said}; {self.total:,} rows{part}"

    def values(self, name: str) -> list[Any]:
        """A column as the file has it; None where a row lacks it."""
        return [found.values.get(name) for found in self.rows]

    def require(self, name: str, option: str) -> None:
        """Raises LoadError where there is no such column."""
        if name in self.unread:
            raise LoadError(f"{option} {name}: this column {self.unread[name]}, so it cannot be used")
        if name not in self.columns:
            raise LoadError(f"{option} {name}: {self.source.path} has no such column{nearest(name, self.columns)}")


def read(path: Path, *, time: str | None = None, most: int = MOST, seed: int = 0, progress: Progress | None = None) -> Table:
    """At most `most` rows of a file or folder, drawn evenly with this seed. Raises LoadError with the mend.

    Broken rows are counted, not fatal. Images that are held as bytes bound the sample to MOST_BYTES. `time` is a column that
    must be there.
    """
    source = source_of(path)
    table: Table = _readers[type(source)](source, most, random.Random(seed), progress)
    if not table.rows:
        first = table.broken[0]
        raise LoadError(f"no row of {path} can be read; the first, at {first.place}, {first.problem}")
    if time is not None:
        table.require(time, "--time")
    return table


@dataclass
class _Drawn:
    """Rows drawn evenly from a stream of unknown length (algorithm R), and those that are broken."""

    most: int
    chance: random.Random
    total: int = 0
    broken_count: int = 0

    def __post_init__(self) -> None:
        self.kept: list[Found] = []
        self.broken: list[Found] = []
        self.columns: dict[str, None] = {}

    def take(self, rows: Iterable[Found]) -> None:
        for found in rows:
            if found.problem is not None:
                self.broken_count += 1
                self.broken += [found][: TOLD - len(self.broken)]
                continue
            self.total += 1
            self.columns.update(dict.fromkeys(found.values))
            if len(self.kept) < self.most:
                self.kept.append(found)
            elif (place := self.chance.randrange(self.total)) < self.most:
                self.kept[place] = found

    def table(self, source: Source, dtypes: Mapping[str, str], unread: Mapping[str, str]) -> Table:
        columns = tuple(name for name in self.columns if name not in unread)
        return Table(source, columns, self.rows, self.total, dtypes, unread, tuple(self.broken), self.broken_count)

    @property
    def rows(self) -> tuple[Found, ...]:
        return tuple(sorted(self.kept, key=lambda found: found.number))


def _csv(source: Csv, most: int, chance: random.Random, progress: Progress | None) -> Table:
    drawn = _Drawn(most, chance)
    drawn.take(source.rows(progress))
    return drawn.table(source, _csv_dtypes(source, drawn), {"": "has no name"} if "" in drawn.columns else {})


def _csv_dtypes(source: Csv, drawn: _Drawn) -> dict[str, str]:
    """What `pandas.read_csv` would make of the columns."""
    if not drawn.kept:
        return {}
    import pandas as pd

    held = io.StringIO(newline="")
    writer = csv.writer(held)
    writer.writerow(drawn.columns)
    writer.writerows(found.values.values() for found in drawn.rows)
    held.seek(0)
    numbers: dict[str, Any] = {"decimal": ",", "thousands": "."} if source.decimal_comma else {}
    return _dtypes(pd.read_csv(held, low_memory=False, **numbers), drawn.columns)


def _jsonl(source: Jsonl, most: int, chance: random.Random, progress: Progress | None) -> Table:
    drawn = _Drawn(most, chance)
    drawn.take(source.rows(progress))
    if drawn.kept and all(isinstance(found.values.get("input"), Mapping) for found in drawn.kept):
        raise LoadError(
            f"{source.path} holds items as they are posted, with an `input` in each; write the fields of the input side by "
            f"side, the label among them, one flat object a line"
        )
    kinds = {(name, type(value)) for found in drawn.kept for name, value in found.values.items()}
    unread = {name: f"holds {_NESTED[kind]}" for name, kind in sorted(kinds, key=str) if kind in _NESTED}
    return drawn.table(source, _json_dtypes(drawn, unread), unread)


def _json_dtypes(drawn: _Drawn, unread: Mapping[str, str]) -> dict[str, str]:
    """What `pandas.read_json(lines=True)` would make of the columns; nothing where it cannot read them."""
    import pandas as pd

    flat = ({name: value for name, value in found.values.items() if name not in unread} for found in drawn.rows)
    try:
        frame = pd.read_json(io.StringIO("\n".join(json.dumps(row) for row in flat)), lines=True)
    except ValueError:
        return {}
    return _dtypes(frame, drawn.columns)


def _dtypes(frame: Any, columns: Iterable[str]) -> dict[str, str]:
    return {name: str(frame.dtypes[name]) for name in columns if name in frame.columns}


def _parquet(source: Parquet, most: int, chance: random.Random, progress: Progress | None) -> Table:
    """Row numbers are drawn first, so that only these rows leave Arrow's memory."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(source.path) as file:
            check_header(source.path, None, list(file.schema_arrow.names))
            unread = {field.name: why for field in file.schema_arrow if (why := _unread(field)) is not None}
            names = [name for name in file.schema_arrow.names if name not in unread]
            total = file.metadata.num_rows
            if not total or not names:
                raise LoadError(f"{source.path} holds no {'rows' if not total else 'columns that can be read'}")
            picked = sorted(chance.sample(range(total), min(total, most, _fitting(file, names))))
            taken = pyarrow.Table.from_batches(_taken(file, names, picked, progress))
            dtypes = _arrow_dtypes(taken, file)
    except (pyarrow.ArrowException, OSError) as error:
        raise LoadError(f"{source.path} is not a Parquet file that can be read: {str(error).splitlines()[0]}") from error
    rows = (Found(n + 1, n + 1, row, (n + 1) / total) for n, row in zip(picked, taken.to_pylist(), strict=True))
    return Table(source, tuple(names), tuple(rows), total, dtypes, unread)


def _unread(field: Any) -> str | None:
    """Why a Parquet column cannot be read, None where it can."""
    from pyarrow import types

    if re.fullmatch(r"__index_level_\d+__", field.name):
        return "is the row index that pandas wrote"
    if types.is_struct(field.type) and {inner.name for inner in field.type} == {"bytes", "path"}:
        return None
    return f"holds nested values ({field.type})"[:60] if types.is_nested(field.type) else None


def _fitting(file: Any, names: list[str]) -> int:
    """Rows whose images, or other bytes, fit into memory."""
    from pyarrow import types

    held = [file.schema_arrow.get_field_index(name) for name in names]
    heavy = {file.schema_arrow.names[n] for n in held if types.is_nested(t := file.schema_arrow.types[n]) or _is_binary(t)}
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    chunks = (group.column(n) for group in groups for n in range(group.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in heavy)
    return max(int(MOST_BYTES / (size / file.metadata.num_rows)), 1) if size else int(file.metadata.num_rows)


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _taken(file: Any, names: list[str], picked: list[int], progress: Progress | None) -> Iterator[Any]:
    """The picked rows, in batches; groups of rows in which none was picked are not read."""
    import numpy as np

    wanted, start = np.array(picked), 0
    for group in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        if np.searchsorted(wanted, start) < np.searchsorted(wanted, end):
            for batch in file.iter_batches(batch_size=16_384, row_groups=[group], columns=names):
                inside = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(batch))] - start
                start += len(batch)
                yield batch.take(inside)
        start = end
        if progress is not None:
            progress(end / file.metadata.num_rows, f"{end:,} rows")


def _arrow_dtypes(taken: Any, file: Any) -> dict[str, str]:
    """What `pandas.read_parquet` would make of the columns; a whole number that is missing anywhere makes a column of floats."""
    plain = [name for name, kind in zip(taken.schema.names, taken.schema.types, strict=True) if not _is_binary(kind)]
    frame = taken.select(plain).to_pandas()
    named = [name for name in frame.index.names if name in plain]
    dtypes = _dtypes(frame.reset_index(named) if named else frame, plain)
    return {name: "float64" if re.match("u?int", kind) and _misses(file, name) else kind for name, kind in dtypes.items()}


def _misses(file: Any, name: str) -> bool:
    groups = (file.metadata.row_group(n) for n in range(file.metadata.num_row_groups))
    chunks = (group.column(n) for group in groups for n in range(group.num_columns))
    return any(c.path_in_schema == name and c.statistics is not None and c.statistics.null_count for c in chunks)


def _folder(source: Folder, most: int, chance: random.Random, progress: Progress | None) -> Table:
    """Paths of images, with the folder that each lies in as its label."""
    drawn = _Drawn(most, chance)
    drawn.take(_labelled(source, found) for found in source.rows(progress))
    labels = {str(found.values["label"]).lower() for found in drawn.kept}
    if labels and labels <= _SPLITS:
        raise LoadError(f"the folders in {source.path} are {', '.join(sorted(labels))}, which are no labels; give one of them")
    return drawn.table(source, {}, {})


def _labelled(source: Folder, found: Found) -> Found:
    values = {**found.values, "label": source.label_of(found)}
    suffix = Path(str(found.place)).suffix.lower()
    problem = None if suffix in PICTURES else f"is no image ({suffix or 'no ending'})"
    return Found(found.place, found.number, values, found.share, problem)


_readers: Mapping[type[Source], Any] = {Csv: _csv, Jsonl: _jsonl, Parquet: _parquet, Folder: _folder}

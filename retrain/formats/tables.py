"""Rows as tables: Parquet, lines of JSON, CSV; one file, or several where one would be too long."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from retrain.formats import cells

ROWS = 100_000
"""Rows of one data file."""
BYTES = 24 * 2**20
"""Bytes of one data file, before they are compressed, after which a row begins another: a blob takes 32 MiB."""
BATCH = 1000
"""Rows that are put into columns at once."""


class Part(Protocol):
    """One data file that is being filled."""

    def add(self, row: Mapping[str, Any]) -> int:
        """Take one more row; how many bytes it is, before they are compressed."""

    def data(self) -> bytes:
        """The whole file."""


class Parts:
    """Rows as files STEM-00000.ENDING and so on, each closed before it is too long; STEM.ENDING where one holds them all."""

    def __init__(self, begin: Callable[[], Part], stem: str, ending: str, folder: Path) -> None:
        self._new, self._stem, self._ending, self._folder = begin, stem, ending, folder
        self._names: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._part, self._size, self._count = self._new(), 0, 0

    def add(self, row: Mapping[str, Any]) -> None:
        if self._count == ROWS or self._size >= BYTES:
            self._close()
            self._begin()
        self._size, self._count = self._size + self._part.add(row), self._count + 1

    def end(self) -> list[str]:
        """The names of all files, in order."""
        self._close()
        if len(self._names) == 1:
            (self._folder / self._names[0]).rename(self._folder / f"{self._stem}.{self._ending}")
            self._names = [f"{self._stem}.{self._ending}"]
        return self._names

    def _close(self) -> None:
        name = f"{self._stem}-{len(self._names):05}.{self._ending}"
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(self._part.data())
        self._names.append(name)


class Parquet:
    """One row group."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._columns = columns
        types = {"number": pa.float64(), "boolean": pa.bool_(), "time": pa.timestamp("us", tz="UTC")}
        self._schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in self._columns.items()])
        self._rows: list[Mapping[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Mapping[str, Any]) -> int:
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._batch()
        return sum(len(value.encode()) if isinstance(value, str) else 8 for value in row.values())

    def data(self) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._batch()
        table, buffer = pa.Table.from_batches(self._batches, self._schema).combine_chunks(), io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", store_schema=True)
        return buffer.getvalue()

    def _batch(self) -> None:
        import pyarrow as pa

        held = {name: [_number(row[name], kind) for row in self._rows] for name, kind in self._columns.items()}
        self._batches.append(pa.RecordBatch.from_pydict(held, schema=self._schema))
        self._rows = []


class Lines:
    """Lines of text."""

    def __init__(self, line: Callable[[Mapping[str, Any]], str], head: str = "") -> None:
        self._line, self._buffer = line, io.BytesIO()
        self._buffer.write(head.encode())

    def add(self, row: Mapping[str, Any]) -> int:
        return self._buffer.write(self._line(row).encode())

    def data(self) -> bytes:
        return self._buffer.getvalue()


def jsonl(columns: Mapping[str, str]) -> Lines:
    """Lines of JSON."""

    def line(row: Mapping[str, Any]) -> str:
        held = {name: cells.as_json(row[name], kind) for name, kind in columns.items()}
        return f"{json.dumps(held, ensure_ascii=False)}\n"

    return Lines(line)


def csv(columns: Mapping[str, str]) -> Lines:
    """CSV with a head."""
    return Lines(lambda row: cells.line(cells.as_text(row[name]) for name in columns), cells.line(columns))


WRITERS: dict[str, Callable[[Mapping[str, str]], Part]] = {"parquet": Parquet, "jsonl": jsonl, "csv": csv}


def images(columns: Mapping[str, str]) -> list[str]:
    """The columns that name images."""
    return [name for name, kind in columns.items() if kind == "image"]


def parted(columns: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The columns of the input fields and of the groups: those before `label` and those behind `revises_watermark`."""
    names = list(columns)
    return names[1 : names.index("label")], names[names.index("revises_watermark") + 1 :]


def read(format: str, data: bytes, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of one file, as they were written."""
    if format == "parquet":
        yield from _of_parquet(data)
    elif format == "jsonl":
        for line in data.decode().split("\n")[:-1]:
            yield {name: cells.of_json(value, columns[name]) for name, value in json.loads(line).items()}
    else:
        yield from cells.table(data.decode(), columns)


def _of_parquet(data: bytes) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(BATCH):
        yield from batch.to_pylist()


def _number(value: Any, kind: str) -> Any:
    return float(value) if kind == "number" and value is not None else value

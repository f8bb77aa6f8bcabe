"""An exported dataset as files: the same rows give the same bytes."""

import csv
import io
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from contract.project import Project
from retrain import rows
from retrain.rows import Labelled
from review_queue.projects import Setting

MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "json": "application/json",
    "md": "text/markdown",
}

ROWS = 100_000
"""Rows of one data file."""
BYTES = 24 * 2**20
"""Bytes of one data file, before they are compressed, after which a row begins another: a blob takes 32 MiB."""
BATCH = 1000
"""Rows that are put into columns at once."""

REASONS = {
    "external_id": "text",
    "item_revision": "number",
    "decision": "text",
    "opened": "boolean",
    "explanation": "text",
    "hash": "text",
    "method": "text",
    "label": "text",
    "body": "json",
}
"""The columns of what stood on screens, with their types: as those of the data, and JSON as text in Parquet."""

COUNTED = ("label", "label_basis", "label_source", "window", "split", "model_version", "policy_version", "revises_watermark")
"""Columns whose values the manifest counts."""


def media_type(name: str) -> str:
    """What a file of a dataset is, by its ending."""
    return MEDIA.get(name.rpartition(".")[2], "application/octet-stream")


@dataclass(slots=True)
class Written:
    """What was written: the data files in order, and what the rows were, without the rows."""

    names: list[str] = field(default_factory=list)
    count: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in (*COUNTED, "reviewers")})
    images: set[str] = field(default_factory=set)
    complete_through: datetime | None = None

    def add(self, project: Project, labelled: Labelled) -> None:
        """Count a row."""
        row = labelled.cells
        self.count += 1
        for name, counter in self.counts.items():
            counter[row[name] if row[name] is not None else "(none)"] += 1
        self.images.update(rows.named_images(project, row))
        if row["window"] == "closed":
            self.complete_through = max(filter(None, (self.complete_through, labelled.routed_at)))


def write(project: Project, table: Iterable[Labelled], format: str, folder: Path, ids: IO[bytes]) -> Written:
    """Write the data files into a folder, and the items' ids into a file: data.FORMAT, or data-00000.FORMAT and so on where
    one would be too long. Where a file ends depends on the rows alone."""
    parts, written = _Parts(columns(project), "data", format, folder), Written()
    for labelled in table:
        parts.add(labelled.cells)
        written.add(project, labelled)
        array("q", [labelled.item_id]).tofile(ids)
    written.names = parts.end()
    return written


def write_reasons(shown: Iterable[Mapping[str, Any]], format: str, folder: Path) -> tuple[list[str], int]:
    """Write what stood on screens beside the data files, in the same way, as reasons.FORMAT; as lines of JSON where the data are
    CSV. The names and how many rows."""
    parts, count = _Parts(REASONS, "reasons", "parquet" if format == "parquet" else "jsonl", folder), 0
    for row in shown:
        parts.add(row)
        count += 1
    return parts.end(), count


class _Parts:
    """Rows as files STEM-00000.FORMAT and so on, each closed before it is too long; STEM.FORMAT where one holds them all."""

    def __init__(self, columns: Mapping[str, str], stem: str, format: str, folder: Path) -> None:
        self._columns, self._stem, self._format, self._folder = columns, stem, format, folder
        self._names: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._part, self._size, self._count = _WRITERS[self._format](self._columns), 0, 0

    def add(self, row: Mapping[str, Any]) -> None:
        if self._count == ROWS or self._size >= BYTES:
            self._close()
            self._begin()
        self._size, self._count = self._size + self._part.add(row), self._count + 1

    def end(self) -> list[str]:
        """The names of all files, in order."""
        self._close()
        if len(self._names) == 1:
            (self._folder / self._names[0]).rename(self._folder / f"{self._stem}.{self._format}")
            self._names = [f"{self._stem}.{self._format}"]
        return self._names

    def _close(self) -> None:
        name = f"{self._stem}-{len(self._names):05}.{self._format}"
        (self._folder / name).write_bytes(self._part.data())
        self._names.append(name)


def columns(project: Project) -> dict[str, str]:
    """Every column in order, with its type: number, boolean, time or text."""
    kinds = {"number": "number", "boolean": "boolean"}
    inputs = {rows.column(name): kinds.get(feature.type, "text") for name, feature in project.input.features.items()}
    own = dict.fromkeys(("confidence", "review_probability", "weight", "agreement", "item_revision"), "number")
    meta = {
        name: own.get(name, {"blind": "boolean", "decided_at": "time", "true_at": "time"}.get(name, "text")) for name in rows.META
    }
    groups = {rows.column(name): "text" for name in project.input.groups if name not in project.input.features}
    return {"external_id": "text", **inputs, **meta, **groups}


def describe(setting: Setting, written: Written, watermark: int, format: str, reasons: int | None = None) -> dict[str, Any]:
    """What dataset.json says beside the hash of every file: what the rows are and where they end; how many reasons beside them
    stood on screens, where they were wanted."""
    project = setting.project
    beside = {} if reasons is None else {"reasons": {"rows": reasons, "columns": REASONS}}
    return {
        **beside,
        "project": setting.name,
        "title": project.heading,
        "format": format,
        "rows": written.count,
        "columns": columns(project),
        "labels": list(project.labels),
        "counts": {name: dict(sorted(written.counts[name].items())) for name in COUNTED},
        "reviewers": dict(sorted(written.counts["reviewers"].items())),
        "watermark": watermark,
        "complete_through": _iso(written.complete_through),
    }


def card(manifest: Mapping[str, Any], names: Sequence[str]) -> str:
    """README.md of the folder with these data files: what a reader must know before using the rows."""
    counts = manifest["counts"]
    closed, opened = counts["window"].get("closed", 0), counts["window"].get("open", 0)
    return f"""# {manifest["title"]}: decided cases

{manifest["rows"]} rows, one per item that people answered, up to position {manifest["watermark"]} of the event sequence.

| | |
| --- | --- |
| labels | {_listed(counts["label"])} |
| why a label exists | {_listed(counts["label_basis"])} |
| who gave it | {_listed(manifest["reviewers"])} |
| split, fixed per item | {_listed(counts["split"])} |
| models | {_listed(counts["model_version"])} |

{closed} rows are closed: every item that was to be answered by {manifest["complete_through"] or "then"} is, and each of them
stands for 1 / `review_probability` items of the traffic (`weight`). {opened} rows are open: only the most urgent part of the
queue was decided there, so they carry no weight; use them for training, not for estimates.

Rows without a label were rejected by a person; `verdict` says so. What people answered only because somebody asked for a look
(`label_basis` requested) has no weight, since no chance brought it to them. An id stands once for each of its revisions that
people answered (`item_revision`): a label belongs to the content beside it.

{_revised(counts["revises_watermark"])}

{_beside(manifest)}```python
{_loading(manifest["format"], names)}
```
"""


def _beside(manifest: Mapping[str, Any]) -> str:
    if "reasons" not in manifest:
        return ""
    count = manifest["reasons"]["rows"]
    return f"""Files named `reasons` hold the {count} explanations that were on a screen when somebody decided, a row each:
`decision` is the number of the decision, `opened` whether the person opened them, `body` the explanation as it was shown, `hash`
its SHA-256.

"""


def _loading(format: str, names: Sequence[str]) -> str:
    """The lines that read the rows with pandas."""
    reads = {"parquet": "pd.read_parquet({})", "jsonl": "pd.read_json({}, lines=True)", "csv": "pd.read_csv({})"}[format]
    if len(names) == 1:
        return f"import pandas as pd\ndf = {reads.format(json.dumps(names[0]))}"
    found = f'sorted(Path().glob("data-*.{format}"))'
    joined = f"df = pd.concat([{reads.format('part')} for part in {found}], ignore_index=True)"
    return f"from pathlib import Path\nimport pandas as pd\n{joined}"


class _Part(Protocol):
    """One data file that is being filled."""

    def add(self, row: Mapping[str, Any]) -> int:
        """Take one more row; how many bytes it is, before they are compressed."""

    def data(self) -> bytes:
        """The whole file."""


class _Parquet:
    """One row group."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._columns = columns
        types = {"number": pa.float64(), "boolean": pa.bool_(), "text": pa.string(), "json": pa.string()}
        types["time"] = pa.timestamp("us", tz="UTC")
        self._schema = pa.schema([(name, types[kind]) for name, kind in self._columns.items()])
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

        held = {name: [_cell(row[name], kind) for row in self._rows] for name, kind in self._columns.items()}
        self._batches.append(pa.RecordBatch.from_pydict(held, schema=self._schema))
        self._rows = []


class _Lines:
    """Lines of text."""

    def __init__(self, line: Callable[[Mapping[str, Any]], str], head: str = "") -> None:
        self._line, self._buffer = line, io.BytesIO()
        self._buffer.write(head.encode())

    def add(self, row: Mapping[str, Any]) -> int:
        return self._buffer.write(self._line(row).encode())

    def data(self) -> bytes:
        return self._buffer.getvalue()


def _jsonl(columns: Mapping[str, str]) -> _Lines:
    def line(row: Mapping[str, Any]) -> str:
        cells = {name: _json(row[name], kind) for name, kind in columns.items()}
        return f"{json.dumps(cells, ensure_ascii=False)}\n"

    return _Lines(line)


def _csv(columns: Mapping[str, str]) -> _Lines:
    names = list(columns)
    return _Lines(lambda row: _separated([_text(row[name]) for name in names]), _separated(names))


_WRITERS: dict[str, Callable[[Mapping[str, str]], _Part]] = {"parquet": _Parquet, "jsonl": _jsonl, "csv": _csv}


def _separated(values: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def _cell(value: Any, kind: str) -> Any:
    return float(value) if kind == "number" and value is not None else value


def _json(value: Any, kind: str = "text") -> Any:
    if kind == "json":
        return None if value is None else json.loads(value)
    return _iso(value) if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_json(value))


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z") if time is not None else None


def _revised(counts: Mapping[str, int]) -> str:
    """Which earlier versions held other labels for some of these rows."""
    changed = {name: n for name, n in counts.items() if name != "(none)"}
    if not changed:
        return "No row had another label in an earlier version."
    named = ", ".join(f"{n} since position {name}" for name, n in changed.items())
    return f"Rows that had another label in an earlier version (`revises_watermark`): {named}."


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {n}" for name, n in counts.items())

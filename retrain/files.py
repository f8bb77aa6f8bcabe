"""An exported dataset as files: the same rows give the same bytes."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

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


COUNTED = ("label", "label_basis", "label_source", "window", "split", "model_version", "policy_version", "revises_watermark")
"""Columns whose values the manifest counts."""


def media_type(name: str) -> str:
    """What a file of a dataset is, by its ending."""
    return MEDIA.get(name.rpartition(".")[2], "application/octet-stream")


def write(project: Project, table: Labelled, format: str) -> Iterator[tuple[str, bytes]]:
    """The data file in one of the formats: name and bytes."""
    writers = {"parquet": _parquet, "jsonl": _jsonl, "csv": _csv}
    yield f"data.{format}", writers[format](project, table)


def columns(project: Project) -> dict[str, str]:
    """Every column in order, with its type: number, boolean, time or text."""
    kinds = {"number": "number", "boolean": "boolean"}
    inputs = {rows.column(name): kinds.get(feature.type, "text") for name, feature in project.input.features.items()}
    own = dict.fromkeys(("confidence", "review_probability", "weight", "agreement", "item_revision"), "number")
    meta = {name: own.get(name, {"blind": "boolean", "decided_at": "time"}.get(name, "text")) for name in rows.META}
    groups = {rows.column(name): "text" for name in project.input.groups if name not in project.input.features}
    return {"external_id": "text", **inputs, **meta, **groups}


def describe(setting: Setting, table: Labelled, watermark: int, format: str) -> dict[str, Any]:
    """What dataset.json says beside the hash of every file: what the rows are and where they end."""
    project = setting.project
    return {
        "project": setting.name,
        "title": project.heading,
        "format": format,
        "rows": len(table.rows),
        "columns": columns(project),
        "labels": list(project.labels),
        "counts": {name: rows.counts(table, name) for name in COUNTED},
        "reviewers": rows.counts(table, "reviewers"),
        "watermark": watermark,
        "complete_through": _iso(table.complete_through),
    }


def card(manifest: Mapping[str, Any]) -> str:
    """README.md of the folder: what a reader must know before using the rows."""
    counts = manifest["counts"]
    closed, opened = counts["window"].get("closed", 0), counts["window"].get("open", 0)
    loads = {
        "parquet": 'pd.read_parquet("data.parquet")',
        "jsonl": 'pd.read_json("data.jsonl", lines=True)',
        "csv": 'pd.read_csv("data.csv")',
    }
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

```python
import pandas as pd
df = {loads[manifest["format"]]}
```
"""


def _parquet(project: Project, table: Labelled) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"number": pa.float64(), "boolean": pa.bool_(), "text": pa.string(), "time": pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in columns(project).items()])
    numbers = {name for name, kind in columns(project).items() if kind == "number"}
    held = {name: [_number(row[name]) if name in numbers else row[name] for row in table.rows] for name in columns(project)}
    buffer = io.BytesIO()
    pq.write_table(pa.table(held, schema=schema), buffer, compression="zstd", store_schema=True)
    return buffer.getvalue()


def _jsonl(project: Project, table: Labelled) -> bytes:
    names = list(columns(project))
    lines = (json.dumps({name: _json(row[name]) for name in names}, ensure_ascii=False) for row in table.rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(project: Project, table: Labelled) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(columns(project))
    writer.writerow(names)
    writer.writerows([_text(row[name]) for name in names] for row in table.rows)
    return buffer.getvalue().encode()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _json(value: Any) -> Any:
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

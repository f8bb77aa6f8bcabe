"""An exported dataset as files: the same rows give the same bytes."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from contract.project import Project
from retrain import rows, weights
from retrain.formats import layouts, tables
from retrain.formats.cells import iso
from retrain.rows import Labelled
from review_queue.projects import Setting

MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "json": "application/json",
    "md": "text/markdown",
    "xml": "application/xml",
}
MOST = 256 * 2**20
"""Bytes of one file: the table beside images lies in one for each folder."""

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
KINDS = {"number": "number", "boolean": "boolean", "image": "image"}
"""The types of input fields that are not written as text."""
OWN = {
    **dict.fromkeys(("confidence", "review_probability", "weight", "agreement", "item_revision"), "number"),
    "blind": "boolean",
    "decided_at": "time",
    "true_at": "time",
}


def media_type(name: str) -> str:
    """What a file of a dataset is, by its ending."""
    return MEDIA.get(name.rpartition(".")[2], "application/octet-stream")


@dataclass(slots=True)
class Written:
    """What was written: the data files in order, what lies beside them, and what the rows were, without the rows.

    `images`: where each lies in the folder, to the image as rows name it. `closed`: the weights of closed rows. `erased`: items
    without a row, since their content is gone.
    """

    names: list[str] = field(default_factory=list)
    count: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in (*COUNTED, "reviewers")})
    images: Mapping[str, str] = field(default_factory=dict)
    closed: Counter[float] = field(default_factory=Counter)
    complete_through: datetime | None = None
    erased: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row."""
        self.count += 1
        for name, counter in self.counts.items():
            counter[row[name] if row[name] is not None else "(none)"] += 1
        if row["weight"] is not None:
            self.closed[row["weight"]] += 1

    def said(self) -> dict[str, Any]:
        """What a manifest says of the rows."""
        return {
            "rows": self.count,
            "data": self.names,
            "counts": {name: dict(sorted(self.counts[name].items())) for name in COUNTED},
            "weights": weights.summary(self.closed),
            "reviewers": dict(sorted(self.counts["reviewers"].items())),
        }


def write(setting: Setting, table: Iterable[Labelled], format: str, folder: Path, ids: IO[bytes]) -> Written:
    """Write the data files into a folder, and the items' ids into a file. Where a file ends depends on the rows alone."""
    written = Written()

    def cells() -> Iterator[Mapping[str, Any]]:
        for labelled in table:
            yield labelled.cells
            array("q", [labelled.item_id]).tofile(ids)
            if labelled.cells["window"] == "closed":
                written.complete_through = max(filter(None, (written.complete_through, labelled.routed_at)))

    return lay_out(written, cells(), format, columns(setting.project), folder)


def lay_out(
    written: Written, table: Iterable[Mapping[str, Any]], format: str, columns: Mapping[str, str], folder: Path
) -> Written:
    """Write rows into a folder in a format, and count them."""
    layout = layouts.layout(format, columns, folder)
    for row in table:
        layout.add(row)
        written.add(row)
    written.names, written.images = layout.end(), layout.images
    return written


def write_reasons(shown: Iterable[Mapping[str, Any]], format: str, folder: Path) -> tuple[list[str], int]:
    """Write what stood on screens beside the data files, in the same way, as reasons.FORMAT: as lines of JSON, as Parquet where
    the data are. The names and how many rows."""
    kind, count = reasons_format(format), 0
    parts = tables.Parts(lambda: tables.WRITERS[kind](REASONS), "reasons", kind, folder)
    for row in shown:
        parts.add(row)
        count += 1
    return parts.end(), count


def reasons_format(format: str) -> str:
    """How the reasons beside data of a format are written."""
    return "parquet" if format in ("parquet", "huggingface") else "jsonl"


def columns(project: Project) -> dict[str, str]:
    """Every column in order, with its type: number, boolean, time, image or text."""
    inputs = {rows.column(name): KINDS.get(feature.type, "text") for name, feature in project.input.features.items()}
    meta = {name: OWN.get(name, "text") for name in rows.META}
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
        "columns": columns(project),
        "labels": list(project.labels),
        **written.said(),
        **({"erased": written.erased} if written.erased else {}),
        "watermark": watermark,
        "complete_through": iso(written.complete_through),
    }

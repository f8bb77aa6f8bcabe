"""Files to start from."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from app.starting.profile import Profile, profile
from app.starting.reading import Table, read

Columns = Mapping[str, Sequence[Any]]


def csv_file(path: Path, columns: Columns, **dialect: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, **dialect)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def jsonl_file(path: Path, columns: Columns) -> Path:
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def parquet_file(path: Path, columns: Columns, **more: Any) -> Path:
    parquet.write_table(pa.table(dict(columns)), path, **more)
    return path


def table(folder: Path, columns: Columns) -> Table:
    """A table of these columns out of a CSV file."""
    return read(csv_file(folder / "claims.csv", columns))


def shaped(folder: Path, columns: Columns, **wish: Any) -> Profile:
    """What a CSV file of these columns is taken for; every other row is labelled pay."""
    count = len(next(iter(columns.values())))
    labelled = {**columns, "outcome": [("pay", "deny")[n % 2] for n in range(count)]}
    return profile(table(folder, labelled), label="outcome", **wish)


def png(shade: int, size: int = 12) -> bytes:
    held = io.BytesIO()
    Image.new("L", (size, size), shade).save(held, "PNG")
    return held.getvalue()

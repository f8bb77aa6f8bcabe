"""Rows that could not be taken, each with its place and the reason."""

import json
import os
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from app.loading.sources import Found


class Rejected:
    """The file of rejected rows beside the input, made with the first of them; an older one is replaced."""

    def __init__(self, path: Path, otherwise: Path) -> None:
        self.input = path
        self.name = f"{path.resolve().name}.rejected.jsonl"
        self.places = (path.resolve().parent, otherwise)
        self.count = 0
        self.file: Path | None = None
        self._handle: TextIO | None = None

    def __enter__(self) -> "Rejected":
        for place in self.places:
            if os.access(place, os.W_OK):
                (place / self.name).unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.close()

    def add(self, found: Found, reason: str) -> None:
        self.count += 1
        if self._handle is None:
            self.file, self._handle = self._open()
        values = {name: repr(v) if isinstance(v, float) and not isfinite(v) else v for name, v in found.values.items()}
        row = {"line": found.place, "reason": reason, "row": values}
        self._handle.write(json.dumps(row, ensure_ascii=False, default=_readable) + "\n")

    def _open(self) -> tuple[Path, TextIO]:
        place = next((place for place in self.places if os.access(place, os.W_OK)), self.places[0])
        file = place / self.name
        return file, file.open("w", encoding="utf-8", errors="backslashreplace")


def _readable(value: Any) -> str:
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)

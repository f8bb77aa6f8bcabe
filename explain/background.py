"""The rows that an item is compared with: how many, which, and the hash that names them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contract.canonical import content_hash, digest
from contract.records import Row

NONE = content_hash([])
"""The hash of no background: methods for texts and images hide parts of the item itself."""


def drawn(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many of the rows, in their order; always the same ones."""
    if len(rows) <= most:
        return list(rows)
    places = np.random.default_rng(0).choice(len(rows), size=most, replace=False)
    return [rows[place] for place in np.sort(places)]


def background_hash(rows: Sequence[Row]) -> str:
    """The SHA-256 of the rows' canonical JSON; bytes stand in it by their own hash."""
    return content_hash([_plain(row) for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return digest(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | bool | float) else _whole(value)


def _whole(value: Any) -> Any:
    return value if isinstance(value, int) and abs(value) < 2**53 else str(value)

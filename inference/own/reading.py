"""Reading the file of a brought model whole, where it is of a size that is taken."""

from pathlib import Path

from inference import store
from inference.errors import ModelAddError

MAX_BYTES = store.MAX_BYTES - (1 << 28)
"""Bytes of a model's files: what an archive may hold, with room for the rows that are kept for explaining."""


def content(path: Path) -> bytes:
    """Raises ModelAddError where the file cannot be read or is too large."""
    try:
        check_size(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise ModelAddError(f"{path} cannot be read: {error.strerror}") from error


def check_size(path: Path, size: int) -> None:
    """Raises ModelAddError for more bytes than are taken."""
    if size > MAX_BYTES:
        raise ModelAddError(f"{path} has {size / (1 << 20):,.1f} MB; at most {MAX_BYTES >> 20:,} are taken")

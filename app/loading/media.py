"""Bytes of images and files that rows hold or name."""

import hashlib
import io
import mimetypes
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.inputs import InputError
from db import blobs

BATCH_BYTES = 32 * 2**20
"""Bytes that one transaction holds before it is written."""


@dataclass
class Media:
    """Images and files that the rows of a batch hold or name, to be stored with them."""

    folder: Path
    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    size: int = 0

    def keep(self, place: str, kind: str, value: Any) -> Any:
        """The blob that stands for bytes, or for a path below the folder. Raises InputError."""
        inner = value.get("bytes") if isinstance(value, Mapping) else value
        if inner is None or not isinstance(inner, (bytes, str)):
            return value
        data = inner if isinstance(inner, bytes) else self._read(place, inner)
        media_type = _image_type(place, data) if kind == "image" else _file_type(inner)
        sha = hashlib.sha256(data).hexdigest()
        if sha not in self.held:
            self.held[sha] = (data, media_type)
            self.size += len(data)
        return {"blob": f"sha256:{sha}"}

    @property
    def files(self) -> list[tuple[bytes, str]]:
        """Bytes and media type of each."""
        return list(self.held.values())

    def clear(self) -> None:
        self.held.clear()
        self.size = 0

    def _read(self, place: str, name: str) -> bytes:
        try:
            file = Path(os.path.normpath(self.folder / name))
            if not file.is_relative_to(os.path.normpath(self.folder)):
                raise InputError(place, f"{name!r} lies outside {self.folder}; put the file there")
            size = file.stat().st_size
            if size > blobs.MOST:
                raise InputError(place, f"{name!r} has {size:,} bytes; at most {blobs.MOST:,} are taken")
            return file.read_bytes()
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(place, f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _image_type(place: str, data: bytes) -> str:
    """The media type of an image that opens. Raises InputError with the reason where it does not."""
    from PIL import Image

    from inference.images import open_image

    try:
        open_image(data, near=64)
    except ValueError as error:
        raise InputError(place, str(error)) from error
    with Image.open(io.BytesIO(data)) as image:
        return image.get_format_mimetype() or "application/octet-stream"


def _file_type(name: bytes | str) -> str:
    guessed = mimetypes.guess_type(name)[0] if isinstance(name, str) else None
    return guessed or "application/octet-stream"

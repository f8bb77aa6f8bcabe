"""Pictures that come in: checked before they are kept, and taken out of data URIs."""

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from contract.inputs import InputError
from contract.project import Project
from inference.images import FORMATS, open_image

MOST_INLINE = 2**20
"""Bytes that a data URI may carry."""
Piece = tuple[bytes, str]
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
UNKNOWN = "application/octet-stream"


def media_type_of(data: bytes) -> str:
    """The media type of an image as its bytes say. Raises ValueError for what is none, is broken or has over 50 megapixels."""
    open_image(data, near=64)
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return Image.MIME.get(image.format or "", UNKNOWN)


def take_out(project: Project, raw: Mapping[str, Any], name_of: Callable[[bytes], str]) -> tuple[dict[str, Any], list[Piece]]:
    """An item with its data URIs replaced by blobs, and the bytes of these. Raises InputError."""
    features = {name: feature.type for name, feature in project.input.features.items()}
    shown = {name: field.type for name, field in project.input.show.items()}
    pieces: list[Piece] = []

    def replaced(place: str, kind: str, value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(f"{place}[{n}]", kind, each) for n, each in enumerate(value)]
        if not isinstance(value, str) or not value.startswith("data:"):
            return value
        data, media_type = _decode(place, kind, value)
        pieces.append((data, media_type))
        return {"blob": f"sha256:{name_of(data)}"}

    changed = dict(raw)
    for part, kinds in (("input", features), ("show", shown)):
        held = raw.get(part)
        if isinstance(held, Mapping):
            inline = {name: kinds[name] for name in held if kinds.get(name) in ("image", "file")}
            changed[part] = {**held, **{name: replaced(f"{part}.{name}", kind, held[name]) for name, kind in inline.items()}}
    return changed, pieces


def _decode(place: str, kind: str, uri: str) -> Piece:
    head, _, tail = uri.partition(",")
    if not head.endswith(";base64"):
        raise InputError(place, "is a data URI without ;base64; encode the bytes in base64, or post them to …/blobs")
    if len(tail) > MOST_INLINE * 4 // 3 + 4:
        raise InputError(place, f"is a data URI of {len(tail):,} characters; above 1 MB, post the bytes to …/blobs")
    try:
        data = base64.b64decode(tail, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(place, "is a data URI whose base64 cannot be read; encode the bytes again") from None
    if kind == "file":
        named = head.removeprefix("data:").partition(";")[0].lower()
        return data, named if MEDIA_TYPE.fullmatch(named) else UNKNOWN
    try:
        return data, media_type_of(data)
    except ValueError as error:
        raise InputError(place, f"{error}; send the image again, or null where there is none") from None

"""One text for one value: canonical JSON (RFC 8785) and its SHA-256, so bytes agree on every database and machine."""

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> str:
    """The RFC 8785 text of a JSON value. Raises ValueError for what JSON cannot hold (NaN, integers beyond 2^53)."""
    try:
        return rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def digest(data: bytes | str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 in hex of a value's canonical JSON."""
    return digest(canonical(value))

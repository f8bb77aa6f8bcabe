"""One text for one value: canonical JSON (RFC 8785) and its SHA-256, so bytes agree on every database and machine."""

import hashlib
from collections.abc import Iterable
from json.encoder import encode_basestring as _quoted  # as RFC 8785 escapes: controls, quotes and backslashes alone
from typing import Any

import rfc8785

_WHOLE = 2**53
_repr = float.__repr__


def canonical(value: Any) -> str:
    """The RFC 8785 text of a JSON value. Raises ValueError for what JSON cannot hold (NaN, integers beyond 2^53)."""
    text = _text(value)
    if not text.isascii():
        text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return text


def listed(texts: Iterable[str]) -> str:
    """The canonical text of a list from those of its values."""
    return f"[{','.join(texts)}]"


def digest(data: bytes | str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 in hex of a value's canonical JSON."""
    return digest(canonical(value))


def _text(value: Any) -> str:
    """By exact type; what is rare, or no JSON at all, is left to rfc8785."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is float:
        return _number(value)
    if kind is dict:
        return f"{{{','.join([f'{_quoted(name)}:{_text(value[name])}' for name in _sorted(value)])}}}"
    if kind is list:
        return listed([_text(each) for each in value])
    if kind is int and -_WHOLE < value < _WHOLE:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    return "null" if value is None else _by_the_book(value)


def _number(value: float) -> str:
    text = _repr(value)
    if "e" in text or "n" in text:  # an exponent is written otherwise there; inf and nan are refused
        return _by_the_book(value)
    if text[-2:] != ".0":
        return text
    return text[:-2] if value else "0"


def _sorted(names: dict[Any, Any]) -> list[str]:
    """By UTF-16 code units, which in ASCII is as Python sorts. Raises ValueError for a key that is no text."""
    try:
        return sorted(names, key=None if "".join(names).isascii() else _utf16)
    except TypeError:
        raise ValueError("object keys must be strings") from None


def _utf16(name: str) -> bytes:
    return name.encode("utf-16be")


def _by_the_book(value: Any) -> str:
    try:
        return rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error

"""One text for one value: canonical JSON (RFC 8785) and its SHA-256, so bytes agree on every database and machine."""

import hashlib
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring as _quoted  # as RFC 8785 escapes: controls, quotes and backslashes alone
from typing import Any

import rfc8785

_LARGEST = 2**53
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
    return _TEXTS.get(type(value), _by_the_book)(value)


def _object(value: dict[Any, Any]) -> str:
    held = [(name, value[name]) for name in _sorted(value)]
    return f"{{{','.join([f'{_quoted(name)}:{_TEXTS.get(type(each), _by_the_book)(each)}' for name, each in held])}}}"


def _list(value: list[Any]) -> str:
    return listed([_TEXTS.get(type(each), _by_the_book)(each) for each in value])


def _whole(value: int) -> str:
    return str(value) if -_LARGEST < value < _LARGEST else _by_the_book(value)


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


_TEXTS: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    float: _number,
    int: _whole,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    dict: _object,
    list: _list,
}
"""How a value of exactly this type is written; what is rare, or no JSON at all, is left to rfc8785."""

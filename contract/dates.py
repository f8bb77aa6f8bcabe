"""Spellings of dates in files that can be read in one way only, as ISO 8601 has them."""

import re
from datetime import UTC, datetime

_CLOCK = r"(?:[ T](?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?"
_MONTH = r"(?P<name>[A-Za-z]{3})[a-z]*\.?"
_SPELLINGS = tuple(
    re.compile(pattern + _CLOCK)
    for pattern in (
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
        rf"(?P<day>\d{{1,2}})[ -]{_MONTH}[ -](?P<year>\d{{4}})",
        rf"{_MONTH} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})",
    )
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = {10: 1, 13: 1_000}
"""Digits of a time since 1970, and how many of its unit make a second."""


def iso(text: str) -> str | None:
    """A date or time as ISO 8601: itself where it is that already, None where it is none or could be read in two ways.

    Taken beside ISO: 24.11.2026, 2026/11/24, 24 Nov 2026, Nov 24, 2026 (each with a time behind it), an ISO time that ends
    in UTC, and seconds (10 digits) or milliseconds (13 digits) since 1970. Not taken: 11/24/2026, whose parts may be
    turned around.
    """
    text = text.strip()
    if text.isdecimal() and len(text) in _EPOCH:
        return datetime.fromtimestamp(int(text) / _EPOCH[len(text)], UTC).isoformat()
    if _is_iso(text):
        return text
    if text.endswith(" UTC") and _is_iso(text.removesuffix(" UTC")):
        return f"{text.removesuffix(' UTC')}+00:00"
    return next((found for spelling in _SPELLINGS if (match := spelling.fullmatch(text)) and (found := _built(match))), None)


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _built(match: re.Match[str]) -> str | None:
    parts = match.groupdict()
    name = (parts.get("name") or "").lower()
    if name and name not in _MONTHS:
        return None
    month = _MONTHS.index(name) + 1 if name else int(parts["month"])
    date = f"{parts['year']}-{month:02}-{int(parts['day']):02}"
    hour, colon, rest = (parts["clock"] or "").partition(":")
    text = f"{date}T{int(hour):02}:{rest}" if colon else date
    return text if _is_iso(text) else None

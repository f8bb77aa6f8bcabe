"""Values as people read them. Knows no screen."""

import html
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from contract.reasons import METHODS
from review_queue.insights import MOST

MISSING = "not given"
_MARKDOWN = re.compile(r"([\\`*{}\[\]()#+.!|~<>$:&^=@]|(?<!\w)[_-]|[_-](?!\w))")


def text(value: Any) -> str:
    """Any text as HTML that shows exactly it."""
    return html.escape(str(value), quote=True)


def plain(value: Any) -> str:
    """Any text for places that read Markdown (buttons, captions): shown exactly as it is. Within a word `_` and `-` mean nothing
    there and stay bare: names for screen readers are read with the backslashes."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def percent(share: float | None, digits: int = 0) -> str:
    """0.642 as 64 %; never 0 % or 100 % for what is not exactly that."""
    if share is None:
        return "–"
    edge = 0.5 * 10 ** -(digits + 2)
    if 0 < share < edge:
        return f"< {10**-digits:g} %"
    if 1 - edge < share < 1:
        return f"> {100 - 10**-digits:g} %"
    return f"{share * 100:.{digits}f} %"


def number(value: float | int) -> str:
    """1234567.5 as 1 234 567.5: thin spaces, no digits that say nothing."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}".replace(",", "\u202f")
    digits = max(0, 5 - len(str(int(abs(value))))) if abs(value) >= 1 else 4
    shown = f"{value:,.{digits}f}" if abs(value) >= 0.001 else f"{value:.3g}"
    return (shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown).replace(",", "\u202f")


def upto(n: int) -> str:
    """A count that ends at some number: `10 000+` beyond it."""
    return f"{number(MOST)}+" if n > MOST else number(n)


def signed(value: float) -> str:
    """A contribution with its sign; the sign is what reads without colour."""
    if value == 0:
        return "0"
    digits = 2 if abs(value) >= 0.095 else 3
    shown = f"{abs(value):.{digits}f}"
    return ("+" if value > 0 else "−") + (shown if float(shown) else "0.000")


def value(given: Any, unit: str | None = None) -> str:
    """One value of a case as plain text with its unit."""
    if given is None:
        return MISSING
    if isinstance(given, bool):
        return "yes" if given else "no"
    shown = number(given) if isinstance(given, (int, float)) else str(given)
    return f"{shown}\u00a0{unit}" if unit else shown


def count(n: int, noun: str) -> str:
    """`1 claim`, `12 claims`."""
    return f"{number(n)} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def span(lapse: timedelta) -> str:
    """A time span in its largest sensible unit."""
    seconds = max(0, int(lapse.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """A time in the project's zone."""
    return "–" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def size(n: int) -> str:
    """Bytes as people say them."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if n >= 1000**power:
            return f"{n / 1000**power:.1f} {unit}"
    return f"{n} bytes"


def method(name: str) -> str:
    """The name of an explanation method as screens call it."""
    return METHODS[name].title if name in METHODS else name

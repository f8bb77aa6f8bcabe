"""Where a value lies among what the model learned from: a small strip, and the same in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.ui import formats
from app.ui.formats import percent, text
from contract.project import Feature
from review_queue import spreads
from review_queue.spreads import Counted, Named, Place, Spread

EDGE = 0.01
"""A number with a smaller share of the rows beyond it is said to be at the edge."""
ALIKE = 0.2
"""From this share on it is said that so many have the same number, and not how many have a smaller one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def strip(spread: Spread | None, name: str, feature: Feature, given: Any, *, words: bool = False) -> str:
    """What stands behind a value; empty where nothing is known. What is unusual is always said, the rest on `words`."""
    along = spread.of(name, feature) if spread is not None else None
    if spread is None or along is None:
        return ""
    drawn, odd, said = _strip(along, feature, given)
    beside = f'<small class="so-odd">{text(odd)}</small>' if odd else ""
    shown = f'<small class="so-rule" aria-hidden="true">{text(said.rstrip(","))}</small>' if words else ""
    said = f"{said} of {_rows(spread)}"
    return f'<span class="so-strip {drawn} role="img" aria-label="{text(said)}" title="{text(said)}"></span>{beside}{shown}'


def key(spread: Spread | None) -> str:
    """What the strips of a case say, once; empty where it has none."""
    if spread is None or not spread.features:
        return ""
    what = "a number lies with its line, the dark part holding the middle half; a category fills its share"
    return f'<p class="so-note">The strips hold each value against {_rows(spread)}: {what}.</p>'


def _rows(spread: Spread) -> str:
    rows = formats.number(spread.rows)
    return f"the {rows} rows that the model learned from" if spread.whole else f"a sample of {rows} rows"


def _strip(along: Counted | Named, feature: Feature, given: Any) -> tuple[str, str, str]:
    """Class and style of the strip up to its quotes, what is unusual, and where the value lies."""
    if isinstance(along, Named):
        name = spreads.name_of(feature.type, given)
        return _absent(along) if name is None else _named(along, name)
    value = spreads.number(feature.type, given)
    return _absent(along) if value is None else _counted(along, feature, value)


def _absent(along: Counted | Named) -> tuple[str, str, str]:
    share = along.missing / (along.n + along.missing)
    return (
        f'so-share" style="--at:{100 * share:.1f}%"',
        "" if along.missing else "never missing else",
        f"missing in {percent(share)}",
    )


def _named(along: Named, name: str) -> tuple[str, str, str]:
    share, (most, often) = along.share(name), along.most
    frequent = f"the most frequent is {_word(most)} with {percent(often)}" if most != name else "none is more frequent"
    drawn = f'so-share" style="--at:{100 * (share or 0):.1f}%"'
    if share is None or 0 < share < spreads.RARE:
        return drawn, "rarer than 1 %", f"like fewer than 1 %; {frequent},"
    return drawn, "" if share else "not seen before", f"like {percent(share) if share else 'none'}; {frequent},"


def _word(name: str) -> str:
    return {"true": "yes", "false": "no"}.get(name, name)


def _counted(along: Counted, feature: Feature, value: float) -> tuple[str, str, str]:
    place = along.place(value)
    low, high = _ends(along)
    shares = [_within(each, low, high) for each in (along.borders[25], along.borders[75], value)]
    style = "--from:{:.1f}%;--to:{:.1f}%;--at:{:.1f}%".format(*shares)
    return f'so-line-up" style="{style}"', _odd(place, feature), _lies(place, along, feature)


def _ends(along: Counted) -> tuple[float, float]:
    """What the strip spans: all but the outermost hundredths, or all where these are one value."""
    low, high = along.borders[1], along.borders[-2]
    return (low, high) if low < high else (along.borders[0], along.borders[-1])


def _within(value: float, low: float, high: float) -> float:
    return 100 * min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 50.0


def _odd(place: Place, feature: Feature) -> str:
    under, over = ("before", "after") if feature.type == "date" else ("below", "above")
    if place.below or place.above:
        return f"{under if place.below else over} all seen before"
    if place.same >= EDGE:
        return ""
    if place.smaller >= 1 - EDGE:
        return "among the latest 1 %" if feature.type == "date" else "among the highest 1 %"
    if place.smaller < EDGE:
        return "among the earliest 1 %" if feature.type == "date" else "among the lowest 1 %"
    return ""


def _lies(place: Place, along: Counted, feature: Feature) -> str:
    under, over = ("earlier than", "later than") if feature.type == "date" else ("below", "above")
    if place.below:
        return f"{under} all, from {_end(along.borders[0], feature)} on,"
    if place.above:
        return f"{over} all, up to {_end(along.borders[-1], feature)},"
    if place.same >= ALIKE:
        return f"the same as {percent(place.same)}"
    more = 1 - place.smaller - place.same
    return f"{over} {percent(place.smaller)}" if place.smaller >= more else f"{under} {percent(more)}"


def _end(value: float, feature: Feature) -> str:
    if feature.type == "date":
        return (_EPOCH + timedelta(days=value)).date().isoformat()
    return formats.value(value, feature.unit)

"""Pictures of errors with their limits."""

from collections.abc import Sequence

from app.ui.draw import charts, over_time
from app.ui.draw.charts import Chart, Spot
from app.ui.draw.numbers import Head, Table
from app.ui.formats import count, number, percent
from review_queue.acted import FEW, Stretch
from review_queue.periods import Period

HEAD: Head = (
    ("from", "text"), ("to", "text"), ("acted alone", "count"), ("checked", "count"), ("wrong", "count"), ("share", "share"),
    ("low", "share"), ("high", "share"),
)  # fmt: skip


def errors(stretches: Sequence[Stretch], most: float, link: str | None = None) -> Chart:
    """How often what acted alone was wrong, over time, with the line that it shall stay below."""
    x = charts.named([over_time.day(Period(each.period.first, each.period.first)) for each in stretches])
    y = charts.shares([2 * most, *(each.wrong.high for each in stretches)])
    spots = [Spot(k, each.wrong.share, each.wrong.low, each.wrong.high, _said(each)) for k, each in enumerate(stretches)]
    known = [each for each in stretches if each.wrong.known]
    rows = tuple(_row(each) for each in stretches)
    said = (
        f"Of {count(len(stretches), 'step')} of time, {number(len(known))} have {FEW} checks or more. Shaded: 95 % confidence "
        "(Wilson, for the effective number of checks)."
    )
    shapes = (charts.ruler([(x.low, most), (x.high, most)], x, y), charts.band(spots, x, y), charts.line(spots, x, y))
    aloud = "; ".join(spot.said for spot in spots if spot.said) or "No stretch of time has enough checks."
    table = Table("errors", "Wrong among what acted alone", HEAD, rows)
    return Chart("Wrong among what acted alone, over time", x, y, shapes, aloud, said, table, link)


def _row(each: Stretch) -> tuple[str, str, int, int, int, float | None, float | None, float | None]:
    found = each.wrong
    first, last = each.period.first.isoformat(), each.period.last.isoformat()
    return (first, last, found.alone, found.checked, found.wrong, found.share, found.low, found.high)


def _said(each: Stretch) -> str:
    found = each.wrong
    if found.share is None:
        return ""
    between = f"between {percent(found.low, 1)} and {percent(found.high, 1)}"
    return f"{over_time.day(each.period)}: {percent(found.share, 1)} of {count(found.checked, 'check')}, {between}"


def span(share: float, low: float, high: float, top: float, line: float) -> str:
    """A share with its limits on a scale up to `top`, and the line; the numbers stand beside it."""
    at, left, width, dashed = (100 * min(each / top, 1.0) for each in (share, low, high - low, line))
    return (
        f'<span class="so-span" aria-hidden="true"><i style="left:{left:.1f}%;width:{width:.1f}%"></i>'
        f'<b style="left:{at:.1f}%"></b><s style="left:{dashed:.1f}%"></s></span>'
    )

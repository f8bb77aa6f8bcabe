"""Pictures of numbers as HTML: shapes are masks, so that colours follow the page; every picture is told in words as well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from urllib.parse import quote

from app.ui.draw.numbers import Table
from app.ui.formats import number, percent, text

Words = Callable[[float], str]
SIDE = 1000
"""Units of a mask's own square, which is stretched over the picture."""
MANY = 32
"""Beyond so many points of a line they have no dots."""
NAMES = 5
"""Most names below a picture."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`; where to put which names."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> float:
        """0 to 1: where a value lies, values beyond the ends at the ends."""
        width = self.high - self.low
        return min(max((value - self.low) / width, 0.0), 1.0) if width else 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A value with its interval, and what is said of it; `y` None: nothing there, and a line has a gap."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its words and its numbers. `shapes` are drawn in their order."""

    title: str
    x: Axis
    y: Axis
    shapes: tuple[str, ...]
    aloud: str
    said: str
    table: Table
    link: str | None = None
    notes: tuple[str, ...] = field(default=())


def draw(chart: Chart) -> str:
    """The whole figure: title, picture, sentence, the numbers behind it, and where they are to be had as a file."""
    sides = "".join(
        f'<u style="bottom:{100 * chart.y.at(at):.2f}%"><small>{text(name)}</small></u>' for at, name in chart.y.ticks
    )
    feet = "".join(_foot(chart.x.at(at), name) for at, name in chart.x.ticks)
    notes = "".join(f'<p class="so-note">{text(note)}</p>' for note in chart.notes)
    return (
        f'<section class="so-chart"><h3 class="so-title">{text(chart.title)}</h3><figure>'
        f'<div class="so-plot" role="img" aria-label="{text(chart.aloud)}">{sides}{"".join(chart.shapes)}</div>'
        f'<div class="so-feet" aria-hidden="true">{feet}</div><figcaption>{text(chart.said)}</figcaption></figure>'
        f"{notes}{behind(chart.table, chart.link)}</section>"
    )


def behind(table: Table, link: str | None) -> str:
    """The numbers behind a picture, folded away, and the link to them as a file."""
    take = f'<a class="so-take" href="{text(link)}" download>{text(table.title)} as CSV</a>' if link else ""
    return f'<details class="so-behind"><summary>The numbers</summary>{table.html()}</details>{take}'


def _foot(at: float, name: str) -> str:
    side = " class=so-first" if at < 0.04 else " class=so-last" if at > 0.96 else ""
    return f'<small{side} style="left:{100 * at:.2f}%">{text(name)}</small>'


# Shapes


def line(spots: Sequence[Spot], x: Axis, y: Axis, kind: str = "pro") -> str:
    """A line through the spots, with gaps where there is nothing, and dots where they are few or stand alone."""
    runs = _runs(spots)
    path = " ".join("M" + " L".join(f"{_x(s.x, x)} {_y(s.y, y)}" for s in run) for run in runs if len(run) > 1)
    drawn = _mask(f'<path d="{path}" fill="none" stroke="#000" stroke-width="2" {_EVEN}/>', kind) if path else ""
    few = sum(map(len, runs)) <= MANY
    return drawn + "".join(_dot(s, x, y, kind) for run in runs for s in run if few or len(run) == 1)


def band(spots: Sequence[Spot], x: Axis, y: Axis, kind: str = "pro") -> str:
    """The intervals of a line as one area."""
    runs = [run for run in _runs(spots, "low") if len(run) > 1]
    path = " ".join(f"M{' L'.join([*_edge(run, 'high', x, y), *reversed(_edge(run, 'low', x, y))])} Z" for run in runs)
    alone = [run[0] for run in _runs(spots, "low") if len(run) == 1]
    return (_mask(f'<path d="{path}" fill="#000"/>', f"{kind} so-area") if path else "") + whiskers(alone, x, y, kind)


def whiskers(spots: Sequence[Spot], x: Axis, y: Axis, kind: str = "pro") -> str:
    """The interval of each spot as an upright bar."""
    held = [s for s in spots if s.low is not None and s.high is not None]
    path = " ".join(f"M{_x(s.x, x)} {_y(s.low, y)} V{_y(s.high, y)}" for s in held)
    return _mask(f'<path d="{path}" fill="none" stroke="#000" stroke-width="3" {_EVEN}/>', f"{kind} so-area") if path else ""


def bars(spots: Sequence[Spot], x: Axis, y: Axis, kind: str = "plain") -> str:
    """An upright bar for each spot; `x` has room for one more than the spots go."""
    width = 100 / max(x.high - x.low, 1)
    return "".join(
        f'<em class="so-{kind}" style="left:{100 * x.at(s.x - 0.5) + 0.12 * width:.2f}%;width:{0.76 * width:.2f}%;'
        f'height:{100 * y.at(s.y):.2f}%" title="{text(s.said)}"></em>'
        for s in spots
        if s.y
    )


def ruler(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    """A faint dashed line: what would be."""
    path = "M" + " L".join(f"{_x(a, x)} {_y(b, y)}" for a, b in points)
    return _mask(f'<path d="{path}" fill="none" stroke="#000" stroke-width="1.5" stroke-dasharray="5 5" {_EVEN}/>', "faint")


_EVEN = 'vector-effect="non-scaling-stroke" stroke-linejoin="round"'


def _mask(shape: str, kind: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}" '
        f'preserveAspectRatio="none">{shape}</svg>'
    )
    return f'<i class="so-ink so-{kind}" style="--shape:url(\'data:image/svg+xml,{quote(svg, safe="")}\')"></i>'


def _dot(spot: Spot, x: Axis, y: Axis, kind: str) -> str:
    place = f"left:{100 * x.at(spot.x):.2f}%;bottom:{100 * y.at(spot.y or 0.0):.2f}%"
    return f'<b class="so-{kind}" style="{place}" title="{text(spot.said)}"></b>'


def _runs(spots: Sequence[Spot], name: str = "y") -> list[list[Spot]]:
    """Stretches of spots that have a value, one after the other."""
    found: list[list[Spot]] = [[]]
    for spot in spots:
        if getattr(spot, name) is None:
            found.append([])
        else:
            found[-1].append(spot)
    return [run for run in found if run]


def _edge(run: Sequence[Spot], name: str, x: Axis, y: Axis) -> list[str]:
    return [f"{_x(s.x, x)} {_y(y.high if (v := getattr(s, name)) is None else v, y)}" for s in run]


def _x(value: float, axis: Axis) -> str:
    return f"{SIDE * axis.at(value):.1f}"


def _y(value: float | None, axis: Axis) -> str:
    return f"{SIDE * (1 - axis.at(value or 0.0)):.1f}"


# Axes


def shares(values: Sequence[float | None]) -> Axis:
    """From nothing to a little over the largest share, at most to all."""
    top = max((v for v in values if v is not None), default=0.0)
    return upto(min(max(1.08 * top, 0.05), 1.0) if top < 0.93 else 1.0, _share, most=1.0)


def _share(value: float) -> str:
    """With a place after the point where the step has one."""
    return percent(value, 0 if abs(100 * value - round(100 * value)) < 1e-6 else 1)


def counts(values: Sequence[float | None]) -> Axis:
    """From 0 to a round number over the largest."""
    return upto(max([1.0, *(v for v in values if v is not None)]), lambda v: number(round(v, 6)))


def upto(top: float, words: Words, most: float | None = None) -> Axis:
    """From 0 to a round end, with four or five round ticks."""
    size = _round(top / 4)
    steps = ceil(top / size - 1e-9)
    end = size * steps if most is None else min(size * steps, most)
    return Axis(0.0, end, tuple((k * size, words(k * size)) for k in range(steps + 1) if k * size <= end + 1e-9))


def _round(value: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten: the least that is not smaller."""
    power = 10.0 ** floor(log10(value))
    return float(next(step for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-9)) * power)


def named(names: Sequence[str]) -> Axis:
    """One place for each name, of which at most NAMES are written."""
    every = max(1, ceil(len(names) / NAMES))
    return Axis(-0.5, max(len(names), 1) - 0.5, tuple((float(k), name) for k, name in enumerate(names) if k % every == 0))

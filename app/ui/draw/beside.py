"""Two models side by side: how often they differ, who was right, what the gate found, how one learned."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from app.ui import formats
from app.ui.draw import charts
from app.ui.draw.charts import Axis, Chart, Spot
from app.ui.draw.figures import points
from app.ui.draw.numbers import Head, Table
from app.ui.formats import number, percent, text
from review_queue.challenges import Challenge
from review_queue.differences import Day, Figures, Part

ROLES = {"challenger": "challenger", "former": "former champion"}
GATE_HEAD = ("part", "cases", "differ", "right more often, points", "no worse", "worse")
GATE_CAPTION = "What it rests on: e-values, of which 20 and up show it. Few: there are too few cases to tell"
LOSSES: Head = (("epoch", "count"), ("training", "number"), ("validation", "number"))
SIDES = ("champion", "challenger")
MOST_E = 1_000_000
"""More evidence than this is not told apart."""
DECADES = 6
"""The picture of evidence reaches so many powers of ten to either side at most."""


def title(stood: Challenge, zone: ZoneInfo) -> str:
    """Who stands beside whom, as what, and until when."""
    until = f" until {formats.moment(stood.until, zone)}" if stood.until else ""
    return f"Version {stood.version}, the {ROLES[stood.kind]},{until} beside version {stood.against}, which acts"


def cards(stood: Challenge, found: Figures) -> list[tuple[str, str, str]]:
    """The figures in a row: number, what it is, what it is a share of."""
    alike = percent(found.agreed / found.n, 1) if found.n else "–"
    whole = found.whole
    judged = whole.acting + whole.beside + whole.neither
    return [
        (alike, "say the same", f"of {formats.count(found.n, 'case')}; {number(found.waiting)} still to be scored"),
        (number(whole.beside), f"version {stood.version} alone was right", f"of {number(judged)} judged where they differ"),
        (
            number(whole.acting),
            f"version {stood.against} alone was right",
            f"of {number(judged)}; neither in {number(whole.neither)}",
        ),
        (_difference(found), "difference in error, points", _limits(found)),
    ]


def _difference(found: Figures) -> str:
    return "–" if found.difference is None else points(found.difference)


def _limits(found: Figures) -> str:
    if found.difference is None:
        return "none is judged yet"
    return f"of all cases; between {points(found.low)} and {points(found.high)} at all times"


def said(stood: Challenge, found: Figures) -> str:
    """What is shown so far, and what is missing, in sentences."""
    shown = (
        f"It is shown that version {stood.version} is wrong less often."
        if found.better
        else f"It is shown that version {stood.version} is wrong more often."
        if found.worse
        else "Neither is shown to be wrong less often."
    )
    parts = [shown, f"People look at {percent(stood.share)} of the cases that act alone and on which the two differ."]
    if found.open:
        parts.append(
            f"{formats.count(found.open, 'case')} on which they differ {'waits' if found.open == 1 else 'wait'} for people."
        )
    if found.late:
        parts.append(f"At {number(found.late)} nobody looked in time: these count against version {stood.version}.")
    if found.unseen:
        parts.append(f"At {number(found.unseen)} nobody could look: these count against version {stood.version}.")
    if found.silent:
        parts.append(f"Version {stood.version} gave no answer to {number(found.silent)}.")
    return " ".join(parts)


def part_head(stood: Challenge) -> tuple[str, ...]:
    return ("by", "value", f"version {stood.against} alone right", f"version {stood.version} alone right", "neither")


def part_row(part: Part) -> tuple[str, ...]:
    return (text(part.by), text(part.value), number(part.acting), number(part.beside), number(part.neither))


def course(stood: Challenge, found: Figures) -> Chart | None:
    """The evidence that the model in shadow is wrong less often, day by day, as a power of ten; None before a second day."""
    days = found.days
    if len(days) < 2:
        return None
    heights = [min(max(_tens(day.log_e), -DECADES), DECADES) for day in days]
    line = _tens(found.line)
    top, bottom = max([line + 0.5, *heights]), min([-0.5, *heights])
    x = charts.named([f"{day.day:%d %b}" for day in days])
    y = Axis(bottom, top, ((0.0, "1"), (line, number(round(math.exp(found.line))))))
    spots = [Spot(k, height, said=_told(day)) for k, (height, day) in enumerate(zip(heights, days, strict=True))]
    shapes = (charts.ruler(((-0.5, line), (len(days) - 0.5, line)), x, y), charts.line(spots, x, y))
    head: Head = (("day", "text"), ("cases", "count"), ("alike", "count"), ("e-value", "number"))
    rows = tuple((f"{day.day:%Y-%m-%d}", day.n, day.agreed, _e(day.log_e)) for day in days)
    heading = f"Evidence that version {stood.version} is wrong less often"
    words = f"Above the dashed line it is shown; {percent(1 - math.exp(-found.line))} sure, at whatever moment one looks."
    return Chart(heading, x, y, shapes, _told(days[-1]), words, Table("shadow", f"{heading}, by day", head, rows))


def _told(day: Day) -> str:
    return (
        f"{day.day:%d %b}: e-value {number(round(_e(day.log_e), 3))}, {percent(day.agreed / day.n if day.n else None, 1)} alike"
    )


def _tens(log_e: float) -> float:
    return log_e / math.log(10)


def _e(log_e: float) -> float:
    return math.exp(min(log_e, 300.0))


def _evidence(log_e: float) -> str:
    """An e-value that can be read."""
    return f"over {number(MOST_E)}" if _e(log_e) > MOST_E else number(round(_e(log_e), 3))


def missing(lacking: Sequence[str]) -> str:
    """What keeps a challenger from being offered, as a list."""
    return f'<ul class="so-note">{"".join(f"<li>{text(each)}</li>" for each in lacking)}</ul>'


def gate_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for all cases, then one for each label and group."""
    for each in (figures["overall"], *figures["parts"]):
        called = "overall" if each["by"] == "overall" else f"{each['by']} {each['value']}"
        apart = each["difference"]
        difference = "–" if apart is None else f"{points(apart)} ({points(each['low'])} to {points(each['high'])})"
        shown = f"{_evidence(each['log_e'])}, {each['state']}"
        worse = _evidence(each["log_e_worse"])
        yield text(called), number(each["n"]), number(each["differ"]), text(difference), text(shown), worse


def cost(figures: Mapping[str, Any]) -> str:
    """Time and size of both, in a sentence."""
    size, speed = figures["size"], figures.get("speed")
    return f"{'; '.join(_costs(figures[name], size[name], speed and speed[f'{name}_ms']) for name in SIDES)}."


def _costs(version: int, size: int, milliseconds: float | None) -> str:
    time = f"{milliseconds:.3g} ms a case, " if milliseconds else ""
    return f"version {version}: {time}{formats.size(size)}"


def curves(name: str, held: Mapping[str, Any]) -> Chart | None:
    """How the losses of one training went, epoch by epoch; None where it has no epochs."""
    training, validation = list(held.get("training") or []), list(held.get("validation") or [])
    if len(training) < 2:
        return None
    x = charts.named([str(k + 1) for k in range(len(training))])
    y = charts.counts([*training, *validation])
    sides = [(training, "faint"), (validation, "pro")]
    shapes = tuple(charts.line([Spot(k, value) for k, value in enumerate(side)], x, y, kind) for side, kind in sides if side)
    rows = tuple((k + 1, loss, validation[k] if k < len(validation) else None) for k, loss in enumerate(training))
    best = f" Epoch {held['best']} was kept." if held.get("best") else ""
    ended = f" {held['ended'][:1].upper()}{held['ended'][1:]}." if held.get("ended") else ""
    words = f"Mean loss in nats: validation in colour, training in grey.{best}{ended}"
    heading = f"How {name} learned"
    return Chart(heading, x, y, shapes, words, words, Table("curves", f"{heading}, by epoch", LOSSES, rows))

"""The policy desk as HTML: risk against coverage, policies side by side, and how many looks a proof takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.ui import formats
from app.ui.draw import charts
from app.ui.draw.charts import Axis, Chart, Spot
from app.ui.draw.numbers import Head, Table, between
from app.ui.formats import number, percent, text
from review_queue import betting
from review_queue.logged import Log
from review_queue.simulate import Outcome, Wrong
from review_queue.trial import Point

ERRORS = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Rows of the table of looks needed."""
SHARES = (0.1, 0.25, 0.5)
LABELS = 12
"""Labels that are shown at first: the rest is folded away with the numbers."""


@dataclass(frozen=True, slots=True)
class Further:
    """How much is left to prove for one unit. `looks` None: no end in sight; 0: certified. `days` None: nothing comes."""

    called: str
    threshold: float | None
    looks: int | None
    days: float | None


def curve(found: Sequence[Point], in_force: Outcome, wanted: Outcome, max_error: float) -> Chart:
    """Risk against coverage, with the candidate, what is in force, and the error that is held to be fit."""
    top = max([*(spot.wrong.value or 0.0 for spot in found), max_error])
    reach = [min(spot.wrong.high or 0.0, 2.5 * top + 0.02) for spot in found if spot.share >= 0.1]
    x, y = Axis(0.0, 1.0, tuple((k / 4, f"{25 * k} %") for k in range(5))), charts.shares([top, *reach])
    spots = [Spot(s.share, s.wrong.value, s.wrong.low, s.wrong.high, _point(s)) for s in found]
    shapes = (
        charts.band(spots, x, y),
        charts.line(spots, x, y),
        charts.ruler([(0.0, max_error), (1.0, max_error)], x, y),
        _mark(in_force, x, y, "con"),
        _mark(wanted, x, y, "pro"),
    )
    head: Head = (
        ("confidence at least", "number"), ("acts alone", "share"), ("looks", "count"), ("wrong", "share"), ("low", "share"),
        ("high", "share"), ("not answerable", "count"),
    )  # fmt: skip
    rows = tuple((s.threshold, s.share, w.looks, w.value, w.low, w.high, w.unknown) for s in found for w in [s.wrong])
    said = (
        "If the surest acted alone: how many of them would be wrong (upwards), by how many they are (to the right). Blue dot: "
        f"the candidate. Orange dot: in force. Dashed: {percent(max_error, 1)}, the error held to be fit. Shaded: 95 % "
        "confidence (Wilson) for one threshold that was chosen beforehand; one that was chosen by this picture will look a "
        "little worse."
    )
    aloud = "; ".join(spot.said for spot in spots[:: max(1, len(spots) // 8)]) or "nobody has looked at a case yet"
    table = Table("policy-risk", "Risk against coverage", head, rows)
    return Chart("Risk against coverage", x, y, shapes, aloud, said, table)


def _mark(outcome: Outcome, x: Axis, y: Axis, kind: str) -> str:
    wrong = outcome.wrong
    if wrong.value is None:
        return ""
    spot = Spot(
        outcome.share,
        wrong.value,
        wrong.low,
        wrong.high,
        f"{outcome.called}: {percent(outcome.share, 1)} alone, {percent(wrong.value, 2)} wrong",
    )
    return charts.whiskers([spot], x, y, kind) + charts.line([spot], x, y, kind)


def _point(point: Point) -> str:
    found = point.wrong
    if found.value is None:
        return ""
    said = f"{percent(found.value, 1)} wrong, {between(found.low, found.high)}"
    return f"{percent(point.share)} alone from {point.threshold:.4g}: {said}"


def beside(outcomes: Sequence[Outcome], noun: str) -> str:
    """Policies side by side."""
    head = "".join(f'<th scope="col">{text(each.called)}</th>' for each in outcomes)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in (
            ("acts alone", [share(each) for each in outcomes]),
            ("of these wrong", [error(each.wrong) for each in outcomes]),
            ("not answerable from this log", [_unknown(each.wrong) for each in outcomes]),
            (f"{text(noun)} decisions a day", [number(round(each.load.per_day, 1)) for each in outcomes]),
            ("in the busiest hour of the day", [number(round(each.load.busiest, 1)) for each in outcomes]),
            ("hours of people's work a day", [amount(each.load.hours_per_day) for each in outcomes]),
            ("spot checks a day", [number(round(each.load.checks / max(each.load.days, 1), 1)) for each in outcomes]),
            ("cost of errors", [amount(each.cost.errors) for each in outcomes]),
            ("cost of decisions", [amount(each.cost.reviews) for each in outcomes]),
        )
    )
    return (
        '<div class="so-scroll" tabindex="0" role="region" aria-label="Policies side by side"><table class="so-grid so-beside">'
        f"<caption>Side by side</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def share(outcome: Outcome) -> str:
    return f"{percent(outcome.share, 1)} <small>{number(outcome.wrong.alone)} of {number(outcome.n)}</small>"


def error(wrong: Wrong) -> str:
    """A share of errors with its interval, and what it rests on."""
    if wrong.value is None:
        return "unknown" if wrong.alone else "–"
    looks = f"{number(wrong.errors)} in {number(wrong.looks)} looks"
    return f"{percent(wrong.value, 2)} <small>{between(wrong.low, wrong.high)}; {looks}</small>"


def _unknown(wrong: Wrong) -> str:
    return f"{number(wrong.unknown)} <small>of {number(wrong.alone)}</small>" if wrong.unknown else "–"


def amount(value: float | None) -> str:
    return "unknown" if value is None else number(round(value, 1))


def labels(outcome: Outcome, titles: Sequence[tuple[str, str]]) -> str:
    """The candidate by predicted label, the most frequent first."""
    named = dict(titles)
    head: Head = (
        ("label", "text"), ("cases", "count"), ("act alone", "share"), ("wrong of these", "share"), ("low", "share"),
        ("high", "share"), ("looks", "count"), ("not answerable", "count"),
    )  # fmt: skip
    rows = tuple(
        (named.get(p.name, p.name), p.n, p.share, p.wrong.value, p.wrong.low, p.wrong.high, p.wrong.looks, p.wrong.unknown)
        for p in outcome.labels
    )
    table = Table("policy-labels", "The candidate by predicted label", head, rows).html()
    return f'<details class="so-behind"{" open" if len(rows) <= LABELS else ""}><summary>By label</summary>{table}</details>'


def needed(max_error: float, most_missed: float, delta: float) -> str:
    """How many looks it takes to certify an error, by how wrong what acts is in truth."""
    fit = sorted({*ERRORS, max_error})
    head = ("error at most", "no error found", *(f"truth 1/{round(1 / each)} of it" for each in SHARES))
    rows = "".join(f"<tr{' class=so-acts' if each == max_error else ''}>{_looks(each, most_missed, delta)}</tr>" for each in fit)
    titles = "".join(f'<th scope="col">{name}</th>' for name in head)
    caption = "Looks until it is certified (median)"
    return (
        '<div class="so-scroll" tabindex="0" role="region" aria-label="Looks needed"><table class="so-grid">'
        f"<caption>{caption}</caption><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _looks(max_error: float, most_missed: float, delta: float) -> str:
    alpha = max_error * (1 - most_missed)
    cells = [betting.needed(alpha, delta), *(betting.needed_at(alpha, delta, each) for each in SHARES)]
    shown = "".join(f'<td class="so-num">{"beyond reach" if each is None else number(each)}</td>' for each in cells)
    return f'<th scope="row">{percent(max_error, 1)}</th>{shown}'


def further(found: Sequence[Further]) -> str:
    """What is left to prove before a candidate may act, in a sentence a unit."""
    return "".join(f'<p class="so-line so-note">{text(_left(each))}</p>' for each in found)


def _left(each: Further) -> str:
    if each.threshold is None:
        return f"{each.called}: the candidate lets nothing act that could be certified."
    if each.looks == 0:
        return f"{each.called}: certified from {each.threshold:g} on, as far as evidence goes."
    if each.looks is None:
        return f"{each.called}: at what was seen so far, {each.threshold:g} cannot be certified."
    days = (
        ""
        if each.days is None
        else f", about {formats.count(max(round(each.days), 1), 'day')} at this traffic if people answer them all"
    )
    return f"{each.called}: {number(each.looks)} more looks without an error until {each.threshold:g} is certified{days}."


def basis(log: Log) -> str:
    """What the figures rest on."""
    out = ", ".join(f"{number(n)} {why}" for why, n in sorted(log.left_out.items()))
    whole, days = "all there are" if log.whole else "the latest", formats.count(log.days, "day")
    read = f"{number(log.read)} were read, {whole}{f'; left out: {out}' if out else ''}"
    tried = f"Tried on {number(len(log.cases))} logged cases of model {log.version} over {days} ({read})."
    return f"{tried} Every look weighs one over its chance."

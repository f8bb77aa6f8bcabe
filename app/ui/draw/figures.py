"""Figures in words and bars, each with what it is a share of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.ui import formats
from app.ui.formats import number, percent, text
from retrain.alone import Alone, Level, Point, written
from review_queue.agreement import Agreement, Rate
from review_queue.insights import Band, Insight, LabelFigures, Share

WEIGHING = "Labelled cases count at one over their chance of being looked at, so that what acted alone is represented fairly."


def of(share: Share, noun: str) -> str:
    """`12 of 340 scored claims`."""
    return f"{number(round(share.part))} of {formats.count(round(share.of), noun)}"


def played(found: Insight) -> str:
    """How much of this the known answers said."""
    share = found.known_answers
    return f"{of(share, 'final answer')} were given by the known answers playing the operator, not by people."


def bands(found: Sequence[Band]) -> str:
    """Accuracy per tenth of confidence."""
    rows = "".join(_band(each) for each in reversed(found))
    return f'<h3 class="so-title">How sure it is, and how often it is right</h3>{rows or _nothing()}'


def _band(band: Band) -> str:
    name = f"{band.low * 100:.0f}–{band.high * 100:.0f} % sure"
    share = band.agreed.value
    width = 0 if share is None else share * 100
    note = f"{number(band.labelled)} labelled of {number(band.routed)}, {number(band.alone)} alone"
    return (
        f'<div class="so-band"><span>{name}</span><span class="so-track"><i style="width:{width:.1f}%"></i></span>'
        f'<span class="so-num">{percent(share)}</span><small>{note}</small></div>'
    )


def labels(found: Sequence[LabelFigures], title_of: Callable[[str], str]) -> str:
    """Precision and recall per label, as a table with denominators."""
    rows = "".join(
        f"<tr><td>{text(title_of(each.label))}</td><td>{percent(each.precision.value)} <small>of {number(each.predicted)}</small>"
        f"</td><td>{percent(each.recall.value)} <small>of {number(each.answered)}</small></td></tr>"
        for each in found
    )
    head = "<tr><th>label</th><th>right when predicted</th><th>found when true</th></tr>"
    table = f'<table class="so-grid"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    held = (
        f'<div class="so-scroll so-tall" tabindex="0" role="region" aria-label="Per label">{table}</div>' if rows else _nothing()
    )
    return f'<h3 class="so-title">Per label</h3>{held}'


def window(found: Insight) -> str:
    """What the figures of people's answers rest on, where that is not all there is; empty otherwise."""
    return "" if found.whole else f"What people said is taken over the latest {number(found.decisions)} decisions."


def agreement(found: Agreement, title_of: Callable[[str], str]) -> str:
    """How far people agree who did not see each other's answers, with what may be chance; empty where none did."""
    if not found.agreed.of:
        return ""
    rows = "".join(_agreed(_answer(each.label, title_of), each.both) for each in found.labels)
    return (
        f'<h3 class="so-title">How far people agree</h3>{_agreed("same answer", found.agreed)}{rows}'
        '<p class="so-note">Of cases that two people answered without sight of each other\'s answer; of a label: where either '
        f"gave it, both did. Bars: 95 % confidence. {_beyond_chance(found)}</p>"
    )


def _agreed(name: str, rate: Rate) -> str:
    low, high, share = (100 * (each or 0.0) for each in (rate.low, rate.high, rate.value))
    picture = (
        f'<span class="so-interval so-share"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b style="left:{share:.1f}%"></b></span>'
    )
    note = f"{number(rate.part)} of {number(rate.of)}, between {percent(rate.low)} and {percent(rate.high)}"
    return (
        f'<div class="so-band"><span class="so-clip">{text(name)}</span>{picture}'
        f'<span class="so-num">{percent(rate.value)}</span><small>{note}</small></div>'
    )


def _answer(label: str | None, title_of: Callable[[str], str]) -> str:
    return "no label fits" if label is None else title_of(label)


def _beyond_chance(found: Agreement) -> str:
    """Kappa in words."""
    if found.kappa is None:
        return "All gave one and the same label, so nothing can be said of agreement beyond chance."
    between = "" if found.kappa.low is None else f" (between {found.kappa.low:.2f} and {found.kappa.high:.2f})"
    return (
        f"Beyond chance: Cohen's kappa {found.kappa.value:.2f}{between}; 1 is full agreement, 0 no more than chance. Where "
        "nearly all cases have one label it is low whatever people do; then read the labels."
    )


def _nothing() -> str:
    return '<p class="so-note">No labelled cases yet.</p>'


SHOWN = 0.05
"""The error that stands for all where there is room for one."""
ALONE_HEAD = (
    "error at most",
    "confidence at least",
    "acts alone",
    f"people's cases per {number(1000)}",
    "wrong among those tested",
)
TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Errors that the picture may name at its side."""
APART = 0.09
"""Of the picture's height: closer than this, two of them would touch."""


def alone(found: Alone) -> list[tuple[str, ...]]:
    """A row for each error, of HTML."""
    return [_alone(level) for level in found.levels]


def _alone(level: Level) -> tuple[str, ...]:
    at_most = percent(level.max_error, _digits(level.max_error))
    if level.threshold is None:
        return (at_most, "off", "nothing", number(1000), "–")
    between = f"{100 * level.low:.0f} to {percent(level.high)}"
    share = f"<b>{percent(level.share)}</b> <small>{text(between)}</small>"
    tested = f"{number(level.errors)} of {number(level.n)} <small>at most {percent(level.upper, 1)}</small>"
    return (at_most, written(level.threshold), share, number(level.people), tested)


def _digits(share: float) -> int:
    return 0 if round(100 * share, 6).is_integer() else 1


def in_force(found: Alone, at_least: float | None) -> str:
    """What the threshold in force would have let through of the rows that the table rests on."""
    if at_least is None:
        return "In force: nothing acts alone."
    point = found.near(at_least)
    if point is None:
        return f"In force: confidence {written(at_least)} or more, which none of these rows reaches."
    error = f"{percent(point.error, 1)} of those are" if point.error else "none of those is"
    return (
        f"In force: confidence {written(at_least)} or more. About {percent(point.share)} of these rows reach it; {error} wrong."
    )


def risk(found: Alone, at_least: float | None) -> str:
    """The error among what acts alone against its share: a curve with its limit, the table's thresholds, and the one in force."""
    top = _top(found)
    over = [(point.share, min(point.upper, top)) for point in found.curve]
    line = [(point.share, point.error) for point in found.curve]
    area = ", ".join([*(_spot(x, y, top) for x, y in line), *(_spot(x, y, top) for x, y in reversed(over))])
    stroke = ", ".join(
        [*(_spot(x, y, top, "- 1.25px") for x, y in line), *(_spot(x, y, top, "+ 1.25px") for x, y in reversed(line))]
    )
    dots = [found.near(level.threshold) for level in found.levels if level.threshold is not None]
    acting = None if at_least is None else found.near(at_least)
    drawn = (
        f'<i class="so-limit" style="clip-path:polygon({area})"></i><i class="so-stroke" style="clip-path:polygon({stroke})"></i>'
        f"{''.join(_dot(point, top) for point in dots if point)}{_acting(acting)}"
    )
    sides = "".join(
        f'<u style="bottom:{100 * each / top:.2f}%"><small>{percent(each, _digits(each))}</small></u>' for each in _ticks(top)
    )
    feet = "".join(f'<small style="left:{each}%">{each} %</small>' for each in (0, 25, 50, 75, 100))
    said = (
        "How many of those that act alone are wrong, by how many act alone, surest first. Shaded: up to the limit that "
        f"{percent(found.confidence)} confidence sets to each.{' Dots: thresholds of the table.' if dots else ''}"
    )
    marked = " Upright line: in force." if acting else ""
    return (
        f'<figure class="so-risk"><div class="so-plot" role="img" aria-label="{text(_aloud(found))}">{sides}{drawn}</div>'
        f'<div class="so-feet" aria-hidden="true">{feet}</div><figcaption>{said}{marked}</figcaption></figure>'
    )


def _top(found: Alone) -> float:
    """The error at the upper edge: a little over the largest on the curve and the largest limit that something holds."""
    held = [level.max_error for level in found.levels if level.threshold is not None and level.share < found.curve[-1].share]
    return min(1.0, 1.2 * max([0.01, *(point.error for point in found.curve), *held]))


def _ticks(top: float) -> list[float]:
    """Errors to name, none too close to the next."""
    kept: list[float] = []
    for each in reversed(TICKS):
        if each < top and (each > APART * top) and (not kept or kept[-1] - each > APART * top):
            kept.append(each)
    return [0.0, *kept]


def _spot(share: float, error: float, top: float, shift: str = "") -> str:
    """A corner of a polygon, from the upper left."""
    down = 100 * (1 - error / top)
    return f"{100 * share:.2f}% {f'calc({down:.2f}% {shift})' if shift else f'{down:.2f}%'}"


def _dot(point: Point, top: float) -> str:
    return f'<b style="left:{100 * point.share:.2f}%;bottom:{100 * point.error / top:.2f}%"></b>'


def _acting(point: Point | None) -> str:
    if point is None:
        return ""
    side = "so-left" if point.share > 0.5 else "so-right"
    return f'<s class="{side}" style="left:{100 * point.share:.2f}%"><small>in force</small></s>'


def _aloud(found: Alone) -> str:
    spots = found.curve[:: max(1, len(found.curve) // 5)]
    return "; ".join(f"{percent(each.share)} acting alone: {percent(each.error, 1)} wrong" for each in spots)


def comparison(result: Mapping[str, Any]) -> str:
    """Champion against challenger: a picture and a sentence per view."""
    views = [_view(view) for view in result.get("views", [])]
    verdict = text(result.get("verdict", ""))
    head = f"Version {text(result.get('challenger', '?'))} against version {text(result.get('champion', '?'))}"
    return f'<h3 class="so-title">{head}</h3><p class="so-said">{verdict}</p>{"".join(views)}'


def _view(view: Mapping[str, Any]) -> str:
    """The difference with its interval around zero."""
    low, high, mid = (float(view.get(name) or 0.0) for name in ("low", "high", "difference"))
    reach = max(abs(low), abs(high), 0.01) * 1.15
    at, begin, end = (50 + 50 * each / reach for each in (mid, low, high))
    picture = (
        f'<span class="so-interval"><i style="left:{begin:.1f}%;width:{max(end - begin, 0.5):.1f}%"></i>'
        f'<b style="left:{at:.1f}%"></b></span>'
    )
    note = f" {text(view['note'])}" if view.get("note") else ""
    return (
        f'<div class="so-band so-view"><span>{text(view.get("name", ""))}</span>{picture}'
        f'<span class="so-num">{points(mid)}</span><small>{in_words(view)}{note}</small></div>'
    )


def in_words(view: Mapping[str, Any]) -> str:
    """`on 412 cases: 91.0 % against 89.6 %; between 0.2 points worse and 3.1 better`."""
    low, high = float(view.get("low") or 0.0), float(view.get("high") or 0.0)
    said = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return (
        f"on {formats.count(int(view.get('n', 0)), 'case')}: {percent(view.get('challenger'), 1)} against "
        f"{percent(view.get('champion'), 1)}; the difference lies between {points(low)} and {points(high)}: {said}."
    )


def points(difference: float) -> str:
    """A difference of shares in percentage points."""
    return f"{'+' if difference >= 0 else '−'}{abs(difference) * 100:.1f}"


def facts(figures: Mapping[str, Any]) -> str:
    """How a model version did on its own validation rows, and what it learned from, in one line."""
    said = []
    if (accuracy := figures.get("accuracy")) is not None:
        said.append(f"{percent(accuracy, 1)} right on {formats.count(int(figures.get('n_validation', 0)), 'validation row')}")
    if (loss := figures.get("log_loss")) is not None:
        said.append(f"log loss {loss:.3g}")
    if (held := figures.get("held_out")) and held["answered"]:
        said.append(f"{percent(held['accuracy'], 1)} on {formats.count(held['n'], 'labelled row')}")
    if found := figures.get("alone"):
        said.append(f"{percent(Alone.from_dict(found).at(SHOWN).share)} may act alone at {percent(SHOWN)} error")
    rows = figures.get("rows", {})
    if rows:
        said.append(f"learned from {formats.number(rows['base'])} given and {formats.number(rows['decided'])} decided rows")
    return " · ".join(map(text, said)) or "–"

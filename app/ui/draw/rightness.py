"""How right the predictions are, as pictures with numbers: sure and right, risk and coverage, and which labels are mixed up."""

from collections.abc import Callable, Sequence

from app.ui import formats
from app.ui.draw import charts
from app.ui.draw.charts import Axis, Chart, Spot
from app.ui.draw.numbers import Head, Table, between
from app.ui.formats import number, percent, text
from review_queue.quality import Mixed, Reliability
from review_queue.quality import Spot as Threshold

WEIGHED = "Cases count at one over their chance of being looked at."
WIDE = 12
"""Most labels of which a square of all pairs is drawn."""
PAIRS = 15
"""Pairs that are listed on the page; the file has them all."""

Title = Callable[[str], str]


def reliability(found: Reliability, *, probability: bool, window: str, link: str | None = None) -> Chart:
    """How sure, against how often right."""
    low = _floor([each.low for each in found.bins], [each.right.low for each in found.bins])
    ticks = tuple((k / 10, f"{10 * k} %") for k in range(10, round(10 * low) - 1, -1 if low > 0.55 else -2))
    x = y = Axis(low, 1.0, ticks)
    spots = [Spot(b.confidence, b.right.value, b.right.low, b.right.high, _said(b.confidence, b.right)) for b in found.bins]
    shapes = (
        charts.ruler([(low, low), (1.0, 1.0)], x, y) if probability else "",
        charts.whiskers(spots, x, y),
        charts.line(spots, x, y),
    )
    head: Head = (
        ("confidence from", "number"), ("to", "number"), ("mean", "number"), ("cases", "count"), ("weigh as", "number"),
        ("right", "share"), ("low", "share"), ("high", "share"),
    )  # fmt: skip
    rows = tuple(
        (b.low, b.high, b.confidence, b.right.n, b.right.effective, b.right.value, b.right.low, b.right.high) for b in found.bins
    )
    said = _calibrated(found) if probability else f"{formats.count(found.n, 'case')} with an answer."
    dashed = (
        " On the dashed line, as sure as right."
        if probability
        else " The policy's score is no probability, so there is no line to be on."
    )
    whole = f"{said}{dashed} Bars: 95 % confidence (Wilson). {WEIGHED} {window}"
    aloud = "; ".join(spot.said for spot in spots if spot.said) or "no answers in this period"
    return Chart(
        "How sure, and how often right", x, y, shapes, aloud, whole, Table("reliability", "Sure and right", head, rows), link
    )


def _floor(sure: Sequence[float], right: Sequence[float | None]) -> float:
    """The tenth below everything."""
    least = min([*sure, *(each for each in right if each is not None), 0.9])
    return int(least * 10 + 1e-9) / 10


def _said(confidence: float, right: object) -> str:
    value, low, high, n = (getattr(right, name) for name in ("value", "low", "high", "n"))
    if value is None:
        return ""
    return f"{percent(confidence)} sure: {percent(value)} of {formats.count(n, 'case')} right, {between(low, high)}"


def _calibrated(found: Reliability) -> str:
    if found.error is None:
        return f"{formats.count(found.n, 'case')} with an answer."
    range_ = between(found.low, found.high)
    said = f"{formats.count(found.n, 'case')} with an answer. Confidence and truth lie {percent(found.error, 1)} apart on average"
    return f"{said}{f' ({range_}, by 400 resamples)' if range_ else ''}; of few cases some of that is chance."


def risk(found: Sequence[Threshold], n: int, at_least: float | None, window: str, link: str | None = None) -> Chart:
    """How many would be wrong, by how many act alone."""
    top = max((spot.wrong.value or 0.0 for spot in found), default=0.0)
    reach = [min(spot.wrong.high or 0.0, 2.5 * top + 0.02) for spot in found if spot.coverage >= 0.1]
    x, y = Axis(0.0, 1.0, tuple((k / 4, f"{25 * k} %") for k in range(5))), charts.shares([top, *reach])
    spots = [Spot(s.coverage, s.wrong.value, s.wrong.low, s.wrong.high, _wrong(s)) for s in found]
    acting = _acting(found, at_least)
    mark = [Spot(acting.coverage, acting.wrong.value, said=f"in force: {_wrong(acting)}")] if acting else []
    shapes = (charts.band(spots, x, y), charts.line(spots, x, y), charts.line(mark, x, y, "con"))
    head: Head = (
        ("confidence at least", "number"), ("acts alone", "share"), ("cases", "count"), ("weigh as", "number"), 
        ("wrong", "share"), ("low", "share"), ("high", "share"),
    )  # fmt: skip
    rows = tuple((s.threshold, s.coverage, s.wrong.n, s.wrong.effective, s.wrong.value, s.wrong.low, s.wrong.high) for s in found)
    said = (
        f"Of {formats.count(n, 'case')} with an answer: if the surest acted alone, how many of those were wrong (upwards), by "
        f"how many they are (to the right). {_force(acting, at_least)} Shaded: 95 % confidence (Wilson), for one threshold "
        f"that was chosen beforehand. {WEIGHED} {window}"
    )
    aloud = "; ".join(spot.said for spot in spots[:: max(1, len(spots) // 8)]) or "no answers in this period"
    return Chart("Risk against coverage", x, y, shapes, aloud, said, Table("risk", "Risk against coverage", head, rows), link)


def _wrong(spot: Threshold) -> str:
    value = spot.wrong
    if value.value is None:
        return ""
    return (
        f"{percent(spot.coverage)} alone from confidence {spot.threshold:.3f} on: {percent(value.value, 1)} wrong, "
        f"{between(value.low, value.high)}"
    )


def _acting(found: Sequence[Threshold], at_least: float | None) -> Threshold | None:
    """The point of the threshold in force."""
    reached = [spot for spot in found if at_least is not None and spot.threshold >= at_least]
    return reached[-1] if reached else None


def _force(acting: Threshold | None, at_least: float | None) -> str:
    if at_least is None:
        return "Nothing acts alone now."
    if acting is None:
        return f"None of these cases reaches the threshold in force, {at_least:g}."
    return f"In force (orange): {_wrong(acting)}."


def confusion(found: Sequence[Mixed], title: Title, window: str, link: str | None = None) -> tuple[str, Table]:
    """The wrong pairs, worst first, and for few labels the square of all."""
    head: Head = (
        ("predicted", "text"), ("answer", "text"), ("cases", "count"), ("share of all", "share"), ("of this prediction", "share"),
        ("low", "share"), ("high", "share"), ("cases with this prediction", "count"),
    )  # fmt: skip
    rows = tuple(
        (
            m.predicted,
            m.answer or "no label fits",
            m.n,
            m.share,
            m.of_predicted.value,
            m.of_predicted.low,
            m.of_predicted.high,
            m.of_predicted.n,
        )
        for m in found
    )
    table = Table("confusion", "Predictions and answers", head, rows)
    wrong = [m for m in found if m.answer != m.predicted]
    n = sum(m.n for m in found)
    share = sum(m.share for m in wrong)
    said = (
        f"{formats.count(sum(m.n for m in wrong), 'case')} of {number(n)} were mixed up, {percent(share, 1)} of all that came "
        f"in. Bars: 95 % confidence (Wilson) of how often a prediction meets this answer. {WEIGHED} {window}"
        if found
        else f"No answers in this period. {window}"
    )
    more = f'<p class="so-note">{number(len(wrong) - PAIRS)} more pairs are in the numbers.</p>' if len(wrong) > PAIRS else ""
    body = (
        f'<section class="so-chart"><h3 class="so-title">What is taken for what</h3>{_square(found, title)}'
        f'{"".join(_pair(m, title) for m in wrong[:PAIRS])}{more}<p class="so-note">{text(said)}</p>'
        f"{charts.behind(table, link)}</section>"
    )
    return body, table


def _pair(mixed: Mixed, title: Title) -> str:
    held = mixed.of_predicted
    low, high, share = (100 * (each or 0.0) for each in (held.low, held.high, held.value))
    answer = "no label fits" if mixed.answer is None else title(mixed.answer)
    note = f"{number(mixed.n)} of {number(held.n)} with this prediction, {between(held.low, held.high)}"
    return (
        f'<div class="so-pair"><span class="so-taken"><b>{text(title(mixed.predicted))}</b> was <b>{text(answer)}</b></span>'
        f'<span class="so-interval so-share"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b style="left:{share:.1f}%"></b></span><span class="so-num">{percent(held.value)}</span><small>{note}</small></div>'
    )


def _square(found: Sequence[Mixed], title: Title) -> str:
    """All pairs of few labels: predictions down, answers across."""
    labels = sorted({m.predicted for m in found} | {m.answer for m in found if m.answer is not None})
    if not labels or len(labels) > WIDE:
        return ""
    answers: list[str | None] = [*labels, *([None] if any(m.answer is None for m in found) else [])]
    held = {(m.predicted, m.answer): m for m in found}
    names = "".join(f'<th scope="col">{text("no label fits" if each is None else title(each))}</th>' for each in answers)
    fields = {label: "".join(_field(held.get((label, each)), label == each) for each in answers) for label in labels}
    rows = "".join(f'<tr><th scope="row">{text(title(label))}</th>{row}</tr>' for label, row in fields.items())
    caption = "Predicted (down) and answered (across): cases seen, and of 100 with this prediction"
    return (
        f'<div class="so-scroll" tabindex="0" role="region" aria-label="Predictions and answers">'
        f'<table class="so-grid so-square">'
        f"<caption>{caption}</caption><thead><tr><td></td>{names}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _field(mixed: Mixed | None, right: bool) -> str:
    if mixed is None:
        return '<td class="so-num">–</td>'
    share = mixed.of_predicted.value or 0.0
    kind = "so-right" if right else "so-wrong"
    return f'<td class="so-num {kind}" style="--a:{100 * share:.0f}%">{number(mixed.n)} <small>{percent(share)}</small></td>'

"""Figures in words and bars, each with what it is a share of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.ui import formats
from app.ui.formats import number, percent, text
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
    table = f'<table class="so-grid"><thead>{head}</thead><tbody>{rows}</tbody></table>' if rows else _nothing()
    return f'<h3 class="so-title">Per label</h3>{table}'


def _nothing() -> str:
    return '<p class="so-note">No labelled cases yet.</p>'


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
    rows = figures.get("rows", {})
    if rows:
        said.append(f"learned from {formats.number(rows['base'])} given and {formats.number(rows['decided'])} decided rows")
    return " · ".join(map(text, said)) or "–"

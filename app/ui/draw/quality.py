"""How good the reasons of a model version are, as rows of a table."""

from collections.abc import Sequence

from app.ui import formats
from app.ui.formats import number, percent, text
from review_queue.reason_quality import Gain, Quality

HEAD = ("version", "method", "made", "unstable", "fit (R²)", "most missed", "same first five", "order against chance", "seconds")
MEANING = (
    "Unstable: not to be relied on, so the desk hides the order. Fit: of LIME's straight line; 1 is perfect. Most missed: the "
    "largest share of an answer that SHAP's parts left out; of LIME, how far a sample was from what the library itself finds. "
    "Same first five: their overlap when made again with other random draws; 1 is the same. Order against chance: how many times "
    "as far the answer falls when what weighs most is hidden first as in a random order; the reasons say something where the "
    "95 % interval lies above 1. These two are taken from a sample."
)
ALMOST_NONE = 5e-4
"""A share below what is shown."""


def rows(version: int, found: Sequence[Quality]) -> list[tuple[str, ...]]:
    """A row for each method. Cells are HTML."""
    return [(f"<b>{version}</b>", text(formats.method(each.method)), *_cells(each)) for each in found]


def _cells(each: Quality) -> tuple[str, ...]:
    made = number(each.made) + (f" <small>{number(each.failed)} without result</small>" if each.failed else "")
    good = each.made - each.failed
    unstable = f"{percent(each.doubted / good)} <small>{number(each.doubted)} of {number(good)}</small>" if good else "–"
    fit = "–" if each.fit is None else f"{each.fit:.2f}"
    return made, unstable, fit, _missed(each), _overlap(each), _gain(each.gain, each.checked), f"{each.seconds:.2g}"


def _missed(each: Quality) -> str:
    share = each.most_gap if each.method.startswith("shap") else each.apart
    if share is None:
        return "–"
    return "nothing" if share < ALMOST_NONE else percent(share, 1)


def _overlap(each: Quality) -> str:
    return "–" if each.stability is None else f"{each.stability:.2f} <small>of {number(each.checked)}</small>"


def _gain(gain: Gain | None, checked: int) -> str:
    if gain is None:
        return f"– <small>{number(checked)} tried</small>" if checked else "–"
    said = f"{gain.mean:.1f} times <small>{gain.low:.1f} to {gain.high:.1f}, of {number(checked)}</small>"
    return said if gain.low > 1 else f'<span class="so-late">{said}</span>'

"""How good the reasons of a model version are, as rows of a table."""

from collections.abc import Sequence

from app.ui import formats
from app.ui.formats import number, percent, text
from review_queue.reason_quality import Gain, Quality

HEAD = ("version", "method", "made", "unstable", "fit (R²)", "most missed", "same first five", "falls when hidden", "seconds")
MEANING = (
    "Unstable: not to be relied on, so the desk hides the order. Fit: of LIME's straight line; 1 is perfect. Most missed: the "
    "largest share of an answer that SHAP's parts left out; of LIME, how far a sample was from what the library itself finds. "
    "Same first five: their overlap when made again with other random draws; 1 is the same. Falls when hidden: how far the "
    "label's probability falls, on average, while all is hidden bit by bit, what weighs most first, and how far in a random "
    "order; the reasons say something where all of the 95 % interval of the difference is above 0. These two are of a sample."
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
    low, high = points(gain.low), points(gain.high)
    said = (
        f"{points(gain.own)} points, by chance {points(gain.chance)} <small>{low} to {high} further, of {number(checked)}</small>"
    )
    return said if gain.low > 0 else f'<span class="so-late">{said}</span>'


def points(share: float) -> str:
    """Hundredths, with a minus sign that reads as one."""
    return f"{100 * share:.0f}".replace("-", "−")

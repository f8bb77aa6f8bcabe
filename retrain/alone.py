"""What could act alone: thresholds whose error is held below a limit with stated confidence, from labelled rows.

The rows must be new to the model. A fifth of them, drawn by chance, plans: it fixes the grid of thresholds (those that let 1, 2,
... 100 % of it through) and, for each error, where testing begins. The other rows test, from a threshold towards lower ones,
each with the exact binomial test of H0: the error at or above it exceeds the limit, until one does not pass. The last that
passed is the answer. This is Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052) with the fallback procedure (Wiens
and Dmitrienko 2005): 0.6 of what may go wrong is spent where the planning rows make a pass most probable, 0.4 at the threshold
above it that lets 0.7 as many through, and a chain that arrives at the next start hands its part on. So in at most 5 of 100
draws of the rows (`confidence` 0.95) does a threshold come out whose true error is over the limit, whatever the model, its
confidences and their ties are like; the confidences need not order errors.

Mean share that acts alone at 5 % error, over that of the best threshold with a known truth, in four made-up worlds of 400 draws
each; the true error is over the limit in at most 4.8 % of the draws of each (`python -m tests.benchmarks.alone simulated`):

rows   this   0.8 where half the error is planned, 0.2 at the top   all at the top   Bonferroni   all at the bottom
 400   0.50                                                  0.28             0.19         0.18                0.03
1000   0.81                                                  0.57             0.20         0.61                0.02
8000   0.96                                                  0.96             0.26         0.92                0.02
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVELS = (0.01, 0.02, 0.05, 0.10)
"""The errors of the table."""
PLANNING = 0.2
EARLY, HEDGE = 0.7, 0.4
"""The earlier start lets this share of what the likely one does through, and may spend this share of what may go wrong."""
POINTS = 50
"""Most points of the curve, beside those of the levels."""
WIDTH = 100
"""Of a line in a terminal."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Level:
    """What may act alone at one error. `threshold` is None where nothing may: then the share is 0 and there is no limit.

    `share`: of all held-out rows at or above the threshold, with its exact two-sided interval. `errors` among `n`: the tested
    rows at or above it; `upper`: the exact one-sided limit that they set to the true error.
    """

    max_error: float
    threshold: float | None
    share: float
    low: float
    high: float
    errors: int
    n: int
    upper: float | None

    @property
    def people(self) -> int:
        """Cases out of 1,000 that go to people."""
        return round(1000 * (1 - self.share))


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold on all held-out rows: the share at or above it, the error among those, and its one-sided limit."""

    threshold: float
    share: float
    error: float
    upper: float


@dataclass(frozen=True, slots=True)
class Alone:
    """`n` held-out rows, of which the model answered `answered` and `planned` chose what to test; rows by error; a curve."""

    n: int
    answered: int
    planned: int
    confidence: float
    levels: tuple[Level, ...]
    curve: tuple[Point, ...]

    def at(self, max_error: float) -> Level:
        """The row of one error. Raises ValueError for one that was not asked for."""
        for level in self.levels:
            if np.isclose(level.max_error, max_error, rtol=1e-9, atol=0):
                return level
        known = ", ".join(f"{level.max_error:g}" for level in self.levels)
        raise ValueError(f"nothing was tested for an error of {max_error:g}; there are {known}")

    def threshold(self, max_error: float) -> float | None:
        """What `at_least` may be for this error; None: `off`. Raises ValueError as `at` does."""
        return self.at(max_error).threshold

    def near(self, threshold: float) -> Point | None:
        """The point of the curve with the lowest threshold at or above this one; None where no row is as sure."""
        reached = [point for point in self.curve if point.threshold >= threshold]
        return reached[-1] if reached else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the figures of a model."""
        kept = asdict(self)
        return {**kept, "levels": list(kept["levels"]), "curve": list(kept["curve"])}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "Alone":
        """What `as_dict` made; other keys are passed over. Raises KeyError, TypeError for what it did not make."""
        levels = tuple(Level(**each) for each in held["levels"])
        curve = tuple(Point(**each) for each in held["curve"])
        return cls(held["n"], held["answered"], held["planned"], held["confidence"], levels, curve)


def alone(
    confidences: ArrayLike,
    wrong: ArrayLike,
    *,
    confidence: float = 0.95,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
) -> Alone:
    """(n,) confidences on 0..1, NaN where the model gave no answer, and (n,) whether the answer was wrong.

    A row without an answer never acts alone, and counts among all rows. Raises ValueError for arrays that do not fit together
    or numbers out of range.
    """
    sure, faults = _checked(confidences, wrong, confidence, levels)
    order = np.random.default_rng(seed).permutation(len(sure))
    planned = round(PLANNING * len(sure))
    plan, test = (_Rows.of(sure[rows], faults[rows]) for rows in (order[:planned], order[planned:]))
    whole, grid, delta = _Rows.of(sure, faults), _grid(sure[order[:planned]]), 1 - confidence
    found = [_level(plan, test, whole, len(sure), grid, max_error, delta) for max_error in sorted(set(levels))]
    answered = int(np.isfinite(sure).sum())
    return Alone(len(sure), answered, planned, confidence, tuple(found), tuple(_curve(whole, len(sure), delta, found)))


def upper(errors: int, n: int, delta: float) -> float:
    """The exact one-sided limit of Clopper and Pearson: with probability 1 - delta or more, the true share lies below it."""
    from scipy.stats import beta

    return 1.0 if errors >= n else float(beta.ppf(1 - delta, errors + 1, n - errors))


def interval(count: int, n: int, delta: float) -> tuple[float, float]:
    """The exact two-sided interval of Clopper and Pearson for a share."""
    return 1 - upper(n - count, n, delta / 2), upper(count, n, delta / 2)


def p_values(errors: ArrayLike, n: ArrayLike, max_error: float) -> Floats:
    """P(Bin(n, max_error) <= errors): how probable so few errors are where the true share is max_error or more."""
    from scipy.special import bdtr

    return np.where(np.asarray(n) > 0, bdtr(np.asarray(errors, dtype=np.float64), np.maximum(n, 1), max_error), 1.0)


def passed(p: ArrayLike, budgets: ArrayLike) -> int | None:
    """The last of a fixed sequence of hypotheses that the fallback procedure rejects, or None.

    Each is tested at its own budget and what the one before it, if rejected, hands on; budgets sum to delta. With one budget,
    on the first hypothesis, this is fixed-sequence testing. The probability of rejecting any true one is at most delta.
    """
    last, handed = None, 0.0
    for place, (value, budget) in enumerate(zip(np.asarray(p), np.asarray(budgets), strict=True)):
        handed += budget
        if handed <= 0 or value > handed:
            handed = 0.0
            continue
        last = place
    return last


@dataclass(frozen=True, slots=True)
class _Rows:
    """Answered rows by falling confidence; `wrong[k]` counts errors among the first k."""

    confidences: Floats
    wrong: Integers

    @classmethod
    def of(cls, confidences: Floats, wrong: NDArray[np.bool_]) -> "_Rows":
        order = np.argsort(-confidences, kind="stable")
        order = order[np.isfinite(confidences[order])]
        return cls(confidences[order], np.concatenate([[0], np.cumsum(wrong[order])]))

    def above(self, thresholds: Floats) -> tuple[Integers, Integers]:
        """Rows at or above each threshold, and errors among them."""
        n = np.searchsorted(-self.confidences, -thresholds, side="right")
        return n, self.wrong[n]


def _checked(
    confidences: ArrayLike, wrong: ArrayLike, confidence: float, levels: Sequence[float]
) -> tuple[Floats, NDArray[np.bool_]]:
    sure, faults = np.asarray(confidences, dtype=np.float64), np.asarray(wrong, dtype=bool)
    if sure.ndim != 1 or sure.shape != faults.shape:
        raise ValueError(
            f"confidences of shape {sure.shape} and errors of shape {faults.shape} do not fit; give one of each a row"
        )
    answered = sure[~np.isnan(sure)]
    if answered.size and (answered.min() < 0 or answered.max() > 1):
        raise ValueError(f"a confidence lies from 0 to 1; these lie from {answered.min():g} to {answered.max():g}")
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence {confidence:g} must be over 0.5 and under 1")
    for max_error in levels:
        if not 0 < max_error < 1:
            raise ValueError(f"an error of {max_error:g} cannot be held; name one over 0 and under 1")
    return np.where(np.isnan(sure), -np.inf, sure), faults


def _grid(confidences: Floats) -> Floats:
    """Falling thresholds that let 1, 2, ... 100 % of the answered rows through, in three digits of what lacks to certainty."""
    answered = confidences[np.isfinite(confidences)]
    if not answered.size:
        return answered
    found = np.quantile(answered, 1 - np.arange(1, 101) / 100, method="higher")
    digits = np.clip(2 - np.floor(np.log10(np.maximum(1 - found, 1e-12))), 3, 12)
    return np.unique(np.floor(found * 10**digits) / 10**digits)[::-1]


def _level(plan: _Rows, test: _Rows, whole: _Rows, total: int, grid: Floats, max_error: float, delta: float) -> Level:
    n, errors = test.above(grid)
    last = passed(p_values(errors, n, max_error), _budgets(plan, test, grid, max_error, delta))
    if last is None:
        return Level(max_error, None, 0.0, 0.0, 0.0, 0, 0, None)
    count, tested, found = int(whole.above(grid)[0][last]), int(n[last]), int(errors[last])
    low, high = interval(count, total, delta)
    return Level(max_error, float(grid[last]), count / total, low, high, found, tested, upper(found, tested, delta))


def _budgets(plan: _Rows, test: _Rows, grid: Floats, max_error: float, delta: float) -> Floats:
    """What each threshold may spend of delta by itself, from the planning rows and the number of testing rows alone.

    The start is where the p-value comes out lowest if testing goes on as planning went, half an error added.
    """
    budgets = np.zeros(len(grid))
    if not len(grid):
        return budgets
    n, errors = plan.above(grid)
    expected = np.floor(n * len(test.confidences) / len(plan.confidences))
    outlook = p_values(np.floor((errors + 0.5) / (n + 1) * expected), expected, max_error)
    start = int(np.argmin(outlook))
    early = int(np.searchsorted(n, EARLY * n[start]))
    hedge = HEDGE if early < start and (1 - max_error) ** expected[early] <= HEDGE * delta else 0.0
    budgets[early] = hedge * delta
    budgets[start] += (1 - hedge) * delta
    return budgets


def _curve(whole: _Rows, total: int, delta: float, levels: Sequence[Level]) -> list[Point]:
    """Points evenly spaced over the rows, each at the end of its ties, and those of the levels."""
    n = len(whole.confidences)
    if not n:
        return []
    ends = np.append(np.flatnonzero(np.diff(whole.confidences)), n - 1) + 1
    wanted = np.ceil(np.arange(1, POINTS + 1) * n / POINTS)
    held = np.array([level.threshold for level in levels if level.threshold is not None], dtype=np.float64)
    kept = np.unique(np.concatenate([ends[np.searchsorted(ends, wanted)], whole.above(held)[0]]))
    return [_point(whole, int(k), total, delta) for k in kept]


def _point(whole: _Rows, k: int, total: int, delta: float) -> Point:
    errors = int(whole.wrong[k])
    figures = (round(each, 6) for each in (k / total, errors / k, upper(errors, k, delta)))
    return Point(float(whole.confidences[k - 1]), *figures)


# Words


def written(threshold: float | None) -> str:
    """A threshold as policy.yaml takes it: `0.873`, or `off`."""
    if threshold is None:
        return "off"
    text = f"{threshold:.12f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def grouped(count: int) -> str:
    """1234567 as 1,234,567."""
    return f"{count:,}"


def headline(found: Alone, max_error: float = 0.05, number: Callable[[int], str] = grouped) -> str:
    """`At 5 % error 58 % may act alone: confidence 0.873 or more.`"""
    level = found.at(max_error)
    if level.threshold is None:
        return f"At {_percent(max_error)} error nothing may act alone: {_why_not(found, max_error, number)}."
    return f"At {_percent(max_error)} error {_share(level.share)} may act alone: confidence {written(level.threshold)} or more."


def at_least(found: Alone, max_error: float) -> str:
    """The line of policy.yaml that lets this much act, with a comment that says where it comes from."""
    level, sure = found.at(max_error), f"with {_percent(found.confidence)} confidence"
    if level.threshold is None:
        reason = f"no threshold keeps errors to {_percent(max_error)} {sure} on {found.n:,} old rows"
    else:
        reached = f"{_share(level.share)} of {found.n:,} old rows reach it"
        reason = f"{reached}; {sure} at most {_percent(max_error)} of such are wrong"
    return f"at_least: {written(level.threshold):<24}# {reason}"


def caveat(found: Alone, number: Callable[[int], str] = grouped) -> str:
    """What the figures rest on."""
    return (
        f"Each row of the table holds with {_percent(found.confidence)} confidence. It rests on {number(found.n)} old, labelled "
        "rows, on the model not having learned from them, and on new cases being like them. Audits, spot checks of what acts "
        "alone, will prove or disprove it as cases come in."
    )


def lines(found: Alone, max_error: float = 0.05) -> list[str]:
    """The table for a terminal, with its sentence above and what it rests on below."""
    head = ("error at most", "confidence", "acts alone", "between", "people, of 1,000", "wrong, of those tested")
    rows = [head, *(_cells(level) for level in found.levels)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  " + "   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [headline(found, max_error), "", *table, "", *wrap(caveat(found), WIDTH)]


def _cells(level: Level) -> tuple[str, ...]:
    if level.threshold is None:
        return (_percent(level.max_error), "off", "nothing", "", "1,000", "")
    between = f"{100 * level.low:.0f} to {100 * level.high:.0f} %"
    found = f"{level.errors:,} of {level.n:,}"
    return (
        _percent(level.max_error), written(level.threshold), _share(level.share), between, f"{level.people:,}", found
    )  # fmt: skip


def _why_not(found: Alone, max_error: float, number: Callable[[int], str]) -> str:
    """Too few rows, where even none wrong among those that test would not do; else too many errors."""
    needed = int(np.ceil(np.log(1 - found.confidence) / np.log(1 - max_error)))
    tested = found.answered - round(found.answered * PLANNING)
    if tested < needed:
        there = f"beside the fifth of the rows that plans there are {number(tested)}"
        return f"it takes {number(needed)} answers without an error to show it, and {there}"
    return "too many of the surest answers are wrong, or too few rows are there to show otherwise"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _share(share: float) -> str:
    """In whole percent, never rounded to all."""
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"

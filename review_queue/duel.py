"""Bets on two models over the same cases: which one is wrong more often. Counts in, numbers out.

A case counts 1 where the new model alone is wrong, -1 where the old one alone is, 0 where they are alike; over its chance of a
look where it was looked at, 0 where it was not. So where both say the same nobody has to look. As in `betting`, the chance of
ever holding 1/delta while the claim is true is at most delta (Waudby-Smith and Ramdas 2024), however often it is looked at.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from review_queue.betting import Array, mixed

BETS = 40
LEAST_SHARE, MOST_SHARE = 1 / 256, 0.98
"""Of the highest stake that cannot lose everything: small ones pay where the models differ often and by little."""
HALVINGS = 45
TRIES = 400
"""Seeded tries of what two equal models would show."""
FURTHER = 1000
"""Times the data so far up to which is said how much more it takes."""
_SHARES: Array = np.geomspace(LEAST_SHARE, MOST_SHARE, BETS)


@dataclass(frozen=True, slots=True)
class Cell:
    """`n` cases that count alike. `p`: their chance of a look, `p_min`: the least one in their stage, which its bets rest on.

    `d`: 1, -1 or 0, of what was looked at; 0 of what was not. `assumed`: nobody could look, or did in time, so that the worst is
    taken to be true. Raises ValueError for chances, differences and counts that are none.
    """

    p_min: float
    p: float
    d: int
    n: float
    assumed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.p_min <= self.p <= 1 or self.d not in (-1, 0, 1) or not 0 <= self.n < math.inf:
            raise ValueError(
                f"{self.n} cases that count {self.d}, looked at with a chance of {self.p}, at least {self.p_min} in their stage, "
                "are no evidence: give 0 < p_min <= p <= 1, a difference of -1, 0 or 1, and a count of 0 or more"
            )


@dataclass(frozen=True, slots=True)
class _Held:
    """(cells,) arrays."""

    n: Array
    p_min: Array
    p: Array
    d: Array


def log_e(cells: Iterable[Cell], margin: float, *, looked: bool = False) -> float:
    """Logarithm of the e-value against "the new model is wrong more often than the old one, by `margin` or more".

    `looked`: the cells are cases that were looked at alone, and the claim is of all that are like them: those whose right label
    is one label. Raises ValueError for a margin that is no difference of shares.
    """
    held = _arrays(cells)
    return float(mixed(held.n @ _against(held.p_min, held.p, held.d, _margin(margin), looked)))


def log_e_worse(cells: Iterable[Cell], margin: float, *, looked: bool = False) -> float:
    """The same against "the new model is wrong more often by `margin` at most"."""
    held = _arrays(cells)
    return float(mixed(held.n @ _for(held.p_min, held.p, held.d, _margin(margin), looked)))


def upper(cells: Iterable[Cell], delta: float, *, looked: bool = False) -> float:
    """By how much more the new model is wrong at most, with 1 - `delta` confidence at all times at once."""
    held = list(cells)
    return _border(lambda margin: log_e(held, margin, looked=looked) < line(delta))


def lower(cells: Iterable[Cell], delta: float, *, looked: bool = False) -> float:
    """By how much more it is wrong at least; negative where it may be less."""
    held = list(cells)
    return _border(lambda margin: log_e_worse(held, margin, looked=looked) >= line(delta))


def estimate(cells: Iterable[Cell], *, looked: bool = False) -> tuple[float, float] | None:
    """By how much more the new model is wrong (Horvitz and Thompson; Hajek where `looked`), and its standard error."""
    held = _arrays(cells)
    weights = held.n / held.p if looked else held.n
    if not weights.sum():
        return None
    values = held.d if looked else held.d / held.p
    mean = float(np.average(values, weights=weights))
    spread = float((held.n * np.where(looked, 1 / held.p, 1.0) ** 2 * (values - mean) ** 2).sum())
    return mean, math.sqrt(spread) / float(weights.sum())


def chance(cells: Iterable[Cell], margin: float, delta: float, *, looked: bool = False, wins: float = 0.5) -> float:
    """How likely a new model would be shown to be wrong no more often by `margin` that wins this share of the cases on which one
    of the two is right: equal models win half. It looks at how many these are, never at who was right; seeded tries."""
    ties, ones = _split(cells)
    base = _arrays(ties)
    start = base.n @ _against(base.p_min, base.p, base.d, _margin(margin), looked)
    p_min, p, n = (np.array(side, dtype=np.float64) for side in zip(*ones, strict=True)) if ones else (np.empty(0),) * 3
    lost = np.random.default_rng(0).binomial(np.floor(n).astype(np.int64), 1 - wins, (TRIES, len(n)))
    worse, better = (_against(p_min, p, np.full(len(p), d), margin, looked) for d in (1.0, -1.0))
    return float((mixed(start + lost @ worse + (n - lost) @ better) >= line(delta)).mean())


def further(cells: Iterable[Cell], margin: float, delta: float, *, looked: bool = False) -> float | None:
    """How many times as much data it takes in all to refute `margin`, where it goes on as so far; None: no end in sight."""
    held = list(cells)

    def short(times: float) -> bool:
        return log_e([_times(cell, times) for cell in held], margin, looked=looked) < line(delta)

    low, high = 0.0, 1.0
    while short(high):
        low, high = high, 2 * high
        if high > FURTHER:
            return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return high


def line(delta: float) -> float:
    """Where a claim is refuted: the logarithm of 1 / delta. Raises ValueError."""
    if not 0 < delta < 1:
        raise ValueError(f"{delta} is no chance of being wrong: give one between 0 and 1")
    return -math.log(delta)


def _against(p_min: Array, p: Array, d: Array, margin: float, looked: bool) -> Array:
    """Logarithms of what one case of each cell multiplies each bet by, (cells, BETS)."""
    most = (1 - margin) / p_min if looked else 1 / p_min - margin
    gains = (margin - d) / p if looked else margin - d / p
    return np.asarray(np.log1p(_SHARES * (gains / most)[..., None]))


def _for(p_min: Array, p: Array, d: Array, margin: float, looked: bool) -> Array:
    """The same for bets that the new model is worse."""
    most = (1 + margin) / p_min if looked else 1 / p_min + margin
    gains = (d - margin) / p if looked else d / p - margin
    return np.asarray(np.log1p(_SHARES * (gains / most)[..., None]))


def _arrays(cells: Iterable[Cell]) -> _Held:
    """In one order, whatever that of the cells is."""
    held = sorted((cell.p_min, cell.p, cell.d, cell.n) for cell in cells if cell.n)
    p_min, p, d, n = (np.array(side, dtype=np.float64) for side in zip(*held, strict=True)) if held else (np.empty(0),) * 4
    return _Held(n, p_min, p, d)


def _split(cells: Iterable[Cell]) -> tuple[list[Cell], list[tuple[float, float, float]]]:
    """Cells whose difference is known before anybody looks, and the counts of all others by their chances."""
    ties, ones = list[Cell](), dict[tuple[float, float], float]()
    for cell in cells:
        if cell.assumed or not cell.d:
            ties.append(cell)
        else:
            ones[cell.p_min, cell.p] = ones.get((cell.p_min, cell.p), 0.0) + cell.n
    return ties, [(p_min, p, n) for (p_min, p), n in sorted(ones.items())]


def _times(cell: Cell, times: float) -> Cell:
    return Cell(cell.p_min, cell.p, cell.d, cell.n * times, cell.assumed)


def _border(below: Callable[[float], bool]) -> float:
    """Where `below` turns from true to false, on (-1, 1)."""
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _margin(margin: float) -> float:
    if not -1 < margin < 1:
        raise ValueError(f"{margin} is no difference between two shares: give one between -1 and 1")
    return margin

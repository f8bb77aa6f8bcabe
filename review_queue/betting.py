"""Bets against the claim that too much is wrong: evidence that holds however often it is looked at. Counts in, numbers out.

A bet starts with one unit. While the claim is true no way of betting is likely to win: the chance of ever holding 1/delta is at
most delta (Ville 1939; Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BETS = 40
POWER = 0.5
"""Weight of small alternatives: the prior of alternative / claim has the density POWER * u^(POWER - 1) on (0, 1)."""
HALVINGS = 45
_SHARES: Array = ((np.arange(1, BETS + 1) - 0.5) / BETS) ** (1 / POWER)
_TILTS: Array = np.array([1.5, 2.0, 3.0, 5.0, 10.0])
"""Error rates that the detector watches for, as multiples of the highest one that is fit."""
DETECTED = 1.34
"""Spot checks times max_error until the detector sees five times that error, half of the time."""
DETECTED_WITHIN = 14
"""Days within which that shall be."""
_TERMS = 100_000
_PRECISION = 1e-14
_PATIENCE = 400
"""Errors up to which the wait for a certificate is worked out."""


@dataclass(frozen=True, slots=True)
class Group:
    """`n` cases of one stage (a stretch under one routing rule) that count alike.

    `p_min`: the least chance of a look in that stage, which its bets rest on. `p`: theirs. `error`: they were looked at and are
    wrong; all others, looked at or not, count as right, which the weight 1 / p of the errors found makes up for.

    Raises ValueError for chances that are none, or a p below p_min.
    """

    stage: int
    p_min: float
    p: float
    error: bool
    n: int

    def __post_init__(self) -> None:
        if not 0 < self.p_min <= self.p <= 1 or self.n < 0:
            raise ValueError(
                f"a group of {self.n} cases drawn with a chance of {self.p}, at least {self.p_min} in its stage, "
                "is no evidence: give 0 < p_min <= p <= 1 and a count of 0 or more"
            )

    @property
    def z(self) -> float:
        """What one of them counts: an unbiased guess of whether it is wrong (Horvitz and Thompson 1952)."""
        return 1 / self.p if self.error else 0.0


def log_e(groups: Sequence[Group], alpha: float) -> float:
    """Logarithm of the e-value against "at least `alpha` of them are wrong". Stages multiply within each of the bets.

    Raises ValueError for an `alpha` that is no share.
    """
    return _summed(groups, _share(alpha), bets)


def log_e_above(groups: Sequence[Group], alpha: float) -> float:
    """The same against "at most `alpha` of them are wrong"."""
    return _summed(groups, _share(alpha), bets_above)


def upper(groups: Sequence[Group], delta: float) -> float:
    """The error that is not exceeded, with 1 - `delta` confidence at all times at once: the least `alpha` that is refuted."""
    return _border(lambda alpha: log_e(groups, alpha) < _line(delta))[1]


def lower(groups: Sequence[Group], delta: float) -> float:
    """The error that is reached, with 1 - `delta` confidence at all times at once."""
    return _border(lambda alpha: log_e_above(groups, alpha) >= _line(delta))[0]


def estimate(groups: Sequence[Group]) -> tuple[float, float] | None:
    """Share of errors by Horvitz and Thompson, and its standard error; None of no cases."""
    n = sum(group.n for group in groups)
    if n == 0:
        return None
    share = sum(group.n * group.z for group in groups) / n
    unseen = sum(group.n * (1 - group.p) * group.z**2 for group in groups) / n**2
    return share, math.sqrt(unseen + max(share * (1 - share), 0.0) / n)


def bets(alpha: float, p_min: Array, z: Array) -> Array:
    """Logarithms of what one case that counts `z` multiplies each of the bets by, (..., BETS): alternatives below `alpha`."""
    stakes = (1 - _SHARES) / (1 / p_min[..., None] - alpha)
    return np.log1p(stakes * (alpha - z[..., None]))


def bets_above(alpha: float, p_min: Array, z: Array) -> Array:
    """The same for alternatives above `alpha`: those of `bets` turned around. Each falls as `alpha` grows, so limits are one."""
    p = p_min[..., None]
    stakes = np.minimum(p * (1 / _SHARES - 1) / (1 - alpha * p), (1 - 1e-9) / alpha)
    return np.asarray(np.log1p(stakes * (z[..., None] - alpha)))


def mixed(products: Array) -> Array:
    """Logarithm of the mean of bets whose logarithms are `products` (..., BETS)."""
    most = np.asarray(products.max(axis=-1))
    return np.asarray(most + np.log(np.exp(products - most[..., None]).mean(axis=-1)))


def log_e_counts(errors: int, n: int, alpha: float) -> float:
    """`log_e` of `errors` among `n` cases that were all looked at, or drawn with one chance: the mixture in closed form."""
    _counts(errors, n)
    _share(alpha)
    return (
        math.log(POWER)
        - POWER * math.log(alpha)
        + _log_beta(errors + POWER, n - errors + 1)
        + _log_part(errors + POWER, n - errors + 1, alpha)
        - _log_likelihood(errors, n, alpha)
    )


def upper_counts(errors: int, n: int, delta: float) -> float:
    """`upper` in closed form."""
    _counts(errors, n)
    return _border(lambda alpha: log_e_counts(errors, n, alpha) < _line(delta))[1]


def vigilance(missed: int, n: int, most: float) -> float:
    """Logarithm of the e-value against "people miss at least `most` of the errors": `missed` of `n` known ones."""
    return log_e_counts(missed, n, most)


def mcnemar(only_old_right: int, only_new_right: int) -> float:
    """Logarithm of the e-value against "the new is right no more often than the old", over cases where one of them is."""
    _counts(only_new_right, only_old_right + only_new_right)
    old, new = only_old_right + 1, only_new_right + 1
    return (old + new - 1) * math.log(2) + _log_beta(new, old) + _log_part(old, new, 0.5)


def e_holm(log_es: Sequence[float], delta: float) -> set[int]:
    """Which of a family hold together, with 1 - `delta` confidence that all of them do (Holm 1979, with e-values)."""
    order = sorted(range(len(log_es)), key=lambda at: -log_es[at])
    certified = set()
    for rank, at in enumerate(order):
        if log_es[at] < math.log(len(order) - rank) + _line(delta):
            break
        certified.add(at)
    return certified


def detector(days: Sequence[tuple[int, int]], alpha: float) -> list[float]:
    """M after each day of (errors, spot checks), by Shiryaev and Roberts: "since some day more than `alpha` are wrong".

    While at most `alpha` are wrong its mean after t days is at most t, so M >= L is reached after L days at the earliest on
    average (Shin, Ramdas and Rinaldo 2023, "E-detectors").
    """
    held, seen = np.full(len(_TILTS), -np.inf), []
    for errors, n in days:
        _counts(errors, n)
        held = detect(held, np.array(float(errors)), np.array(float(n)), alpha)
        seen.append(float(np.exp(np.minimum(held, 700.0)).mean()))
    return seen


def detect(held: Array, errors: Array, n: Array, alpha: float) -> Array:
    """One day more: logarithms of M for each of the rates watched for, (..., rates), from those of the day before; -inf at
    the start."""
    rates = np.minimum(_TILTS * _share(alpha), (1 + alpha) / 2)
    wrong, right = np.log(rates / alpha), np.log((1 - rates) / (1 - alpha))
    return np.logaddexp(held, 0.0) + errors[..., None] * wrong + (n - errors)[..., None] * right


@lru_cache(maxsize=4096)
def needed(alpha: float, delta: float, errors: int = 0) -> int:
    """Spot checks, `errors` of them wrong, with which `alpha` is refuted."""
    line, low, high = _line(delta), errors, max(2 * errors, 1)
    while log_e_counts(errors, high, alpha) < line:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if log_e_counts(errors, middle, alpha) < line else (low, middle)
    return high


@lru_cache(maxsize=4096)
def needed_at(alpha: float, delta: float, share: float, chance: float = 0.5) -> int | None:
    """Spot checks until `alpha` is refuted with the given chance, where `share` * `alpha` are wrong in truth: the median.

    None: not within so many as hold 400 errors. Exact, by the distribution of the errors at each count that could refute it.
    Raises ValueError for shares and chances that are none.
    """
    if not 0 <= share * alpha < 1 or not 0 < chance < 1:
        raise ValueError(f"{share} times {alpha} within a chance of {chance} is no error that could be refuted")
    at, refuted, waiting = 0, 0.0, np.ones(1)
    for errors in range(_PATIENCE + 1):
        before, at = at, needed(alpha, delta, errors)
        waiting = np.convolve(waiting, _binomial(at - before, share * alpha))[: _PATIENCE + 1]
        refuted += float(waiting[errors])
        waiting[errors] = 0.0
        if refuted >= chance:
            return at
    return None


def floor_rate(alpha: float, per_day: float, least: float) -> float:
    """Share of what acts alone that is spot-checked at the floor, so that five times the error fit is seen within 14 days half
    of the time; `per_day` cases act alone."""
    checks = DETECTED / _share(alpha) / DETECTED_WITHIN
    return 1.0 if per_day <= checks else max(least, checks / per_day)


def _summed(groups: Sequence[Group], alpha: float, factors: Callable[[float, Array, Array], Array]) -> float:
    held = [group for group in groups if group.n]
    n = np.array([float(group.n) for group in held])
    p_min, z = np.array([group.p_min for group in held]), np.array([group.z for group in held])
    return float(mixed(n @ factors(alpha, p_min, z)))


def _border(below: Callable[[float], bool]) -> tuple[float, float]:
    """The two nearest values between which `below` turns from true to false, on (0, 1)."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low, high


def _line(delta: float) -> float:
    return -math.log(_share(delta))


def _share(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value} is no share between 0 and 1")
    return value


def _counts(errors: int, n: int) -> None:
    if not 0 <= errors <= n:
        raise ValueError(f"{errors} of {n} is no count of errors: give 0 <= errors <= n")


def _log_likelihood(errors: int, n: int, share: float) -> float:
    return errors * math.log(share) + (n - errors) * math.log1p(-share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_part(a: float, b: float, x: float) -> float:
    """Logarithm of the regularised incomplete beta function I_x(a, b)."""
    if x > (a + 1) / (a + b + 2):
        return math.log1p(-math.exp(_log_small_part(b, a, 1 - x)))
    return _log_small_part(a, b, x)


def _log_small_part(a: float, b: float, x: float) -> float:
    return a * math.log(x) + b * math.log1p(-x) - math.log(a) - _log_beta(a, b) + math.log(_fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction by Lentz's method (Press et al. 2007, "Numerical Recipes", 6.4). Raises ArithmeticError."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + part * d), 1 + part / c
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            return value
    raise ArithmeticError(f"the incomplete beta function of {a}, {b} at {x} did not settle in {_TERMS} terms")


def _binomial(n: int, share: float) -> Array:
    """P(Bin(n, share) = k) for k up to the patience."""
    k = np.arange(min(n, _PATIENCE) + 1)
    if share == 0:
        return np.asarray(k == 0, dtype=np.float64)
    ways = np.concatenate([[0.0], np.cumsum(np.log(n - k[:-1]) - np.log(k[1:]))])
    return np.asarray(np.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share)))

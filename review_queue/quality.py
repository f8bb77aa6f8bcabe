"""How right the predictions are by what people answered: by confidence, by share that acts alone, and which labels are mixed up.

Every case counts at one over its chance of being looked at, so that figures are of all that came in and not of the queue
(Horvitz and Thompson 1952; as a ratio, Hájek 1971). Intervals of such shares are Wilson's at the effective number of cases
(sum of weights)² / sum of squared weights (Kish 1965; compared by Franco et al. 2019, "Comparative Study of Confidence
Intervals for Proportions in Complex Sample Surveys").
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from review_queue import agreement
from review_queue.answers import Answered, Window

BINS = 10
"""Most groups of a reliability diagram; each has as many cases as the others, but for ties."""
LEAST = 5
"""Cases that a group has to have where there are enough."""
POINTS = 40
"""Most points of a curve of risk against coverage."""
DRAWS = 400
"""Resamples behind the interval of the calibration error."""
SEED = 7_318

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """A routed item with the first human answer to it."""

    predicted: str
    confidence: float
    pi: float
    answer: str | None

    @property
    def weight(self) -> float:
        return 1 / self.pi if self.pi > 0 else 0.0

    @property
    def right(self) -> bool:
        return self.answer == self.predicted


@dataclass(frozen=True, slots=True)
class Estimate:
    """A weighted share of `n` cases that weigh as much as `effective` alike ones, with its interval; all None of nothing."""

    n: int
    effective: float
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of alike confidence: the mean of it, and how many of them were right."""

    low: float
    high: float
    confidence: float
    right: Estimate


@dataclass(frozen=True, slots=True)
class Reliability:
    """`error`: how far confidence and truth lie apart on average (expected calibration error), with its bootstrap interval."""

    n: int
    bins: tuple[Bin, ...]
    error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Spot:
    """If cases from this confidence on acted alone: the share of all that they are, and how many of them would be wrong."""

    threshold: float
    coverage: float
    wrong: Estimate


@dataclass(frozen=True, slots=True)
class Mixed:
    """Cases with one predicted label and one answer: how many were seen, their share of all cases (weighted), and of those with
    this prediction. `answer` None: no label fits."""

    predicted: str
    answer: str | None
    n: int
    share: float
    of_predicted: Estimate


def judged(window: Window) -> list[Judged]:
    """The earliest human answer to each scored item: the blind one where the task was blind."""
    firsts: dict[int, Answered] = {}
    for each in window.answers:
        if each.is_first and each.by_chance_or_rule and each.kind in ("review", "audit"):
            firsts.setdefault(each.item_id, each)
    return [
        Judged(each.predicted, each.confidence, each.pi, each.label)
        for each in firsts.values()
        if each.predicted is not None and each.confidence is not None
    ]


def estimate(hits: Sequence[bool] | NDArray[np.bool_], weights: Sequence[float] | Floats) -> Estimate:
    """The weighted share of hits. Raises ValueError where there are not as many weights."""
    held, said = np.asarray(weights, dtype=np.float64), np.asarray(hits, dtype=np.float64)
    if held.shape != said.shape:
        raise ValueError(f"{len(said)} cases and {len(held)} weights do not fit; give one of each a case")
    total = float(held.sum())
    if total <= 0:
        return Estimate(len(said), 0.0, None, None, None)
    effective = total**2 / float((held**2).sum())
    share = min(max(float(held @ said) / total, 0.0), 1.0)
    return Estimate(len(said), effective, share, *agreement.interval(share, effective))


def reliability(cases: Sequence[Judged]) -> Reliability:
    """Groups of rising confidence of as many cases each, ties kept together; how far off they are on average, by weight."""
    if not cases:
        return Reliability(0, (), None, None, None)
    sure, right, weights = _arrays(sorted(cases, key=lambda each: each.confidence))
    groups = _groups(sure)
    bins = [_bin(sure[each], right[each], weights[each]) for each in groups]
    spread = _resampled(groups, sure, right, weights)
    return Reliability(len(cases), tuple(bins), _apart(bins, [weights[each].sum() for each in groups]), *spread)


def _arrays(cases: Sequence[Judged]) -> tuple[Floats, NDArray[np.bool_], Floats]:
    sure = np.array([each.confidence for each in cases], dtype=np.float64)
    return sure, np.array([each.right for each in cases]), np.array([each.weight for each in cases], dtype=np.float64)


def _groups(sure: Floats) -> list[slice]:
    """Cuts of sorted confidences into groups of as many cases, none between equal ones, none of fewer than LEAST."""
    most = max(1, min(BINS, len(sure) // LEAST))
    ends = np.flatnonzero(np.append(np.diff(sure) > 0, True)) + 1
    cuts, begin = [0], 0
    for k in range(1, most):
        end = int(ends[np.searchsorted(ends, round(len(sure) * k / most))])
        if end - begin >= LEAST and len(sure) - end >= LEAST:
            cuts.append(end)
            begin = end
    return [slice(a, b) for a, b in zip(cuts, [*cuts[1:], len(sure)], strict=True)]


def _bin(sure: Floats, right: NDArray[np.bool_], weights: Floats) -> Bin:
    mean = float(weights @ sure / weights.sum()) if weights.sum() > 0 else float(sure.mean())
    return Bin(float(sure[0]), float(sure[-1]), mean, estimate(right, weights))


def _apart(bins: Sequence[Bin], weights: Sequence[float]) -> float | None:
    total = sum(weights)
    if total <= 0:
        return None
    return float(sum(w * abs(each.confidence - (each.right.value or 0.0)) for each, w in zip(bins, weights, strict=True)) / total)


def _resampled(
    groups: Sequence[slice], sure: Floats, right: NDArray[np.bool_], weights: Floats
) -> tuple[float | None, float | None]:
    """The interval of the calibration error: cases drawn again with replacement, the groups as they are."""
    if weights.sum() <= 0 or len(sure) < 2 * LEAST:
        return None, None
    which = np.repeat(np.arange(len(groups)), [each.stop - each.start for each in groups])
    generator = np.random.default_rng(SEED)
    off = weights * (sure - right)
    found = []
    for _ in range(DRAWS):
        drawn = generator.integers(0, len(sure), len(sure))
        sums = np.bincount(which[drawn], off[drawn], len(groups))
        found.append(np.abs(sums).sum() / max(weights[drawn].sum(), 1e-12))
    low, high = np.quantile(found, [(1 - agreement.CONFIDENCE) / 2, (1 + agreement.CONFIDENCE) / 2])
    return float(low), float(high)


def risk(cases: Sequence[Judged]) -> list[Spot]:
    """How many would be wrong of those that act alone, by falling threshold: at most POINTS of them, evenly over the weight."""
    if not cases:
        return []
    sure, right, weights = _arrays(sorted(cases, key=lambda each: -each.confidence))
    summed = np.cumsum(weights)
    if summed[-1] <= 0:
        return []
    ends = np.flatnonzero(np.append(np.diff(sure) < 0, True)) + 1
    wanted = np.searchsorted(summed, summed[-1] * np.arange(1, POINTS + 1) / POINTS - 1e-9 * summed[-1]) + 1
    kept = np.unique(ends[np.minimum(np.searchsorted(ends, wanted), len(ends) - 1)])
    return [
        Spot(float(sure[k - 1]), float(summed[k - 1] / summed[-1]), estimate(~right[:k], weights[:k]))
        for k in kept
        if summed[k - 1]
    ]


def confusion(cases: Sequence[Judged]) -> list[Mixed]:
    """Every pair of prediction and answer that occurs: first the wrong ones, by how much of all they are, then the right ones."""
    by_predicted: defaultdict[str, list[Judged]] = defaultdict(list)
    for each in cases:
        by_predicted[each.predicted].append(each)
    total = sum(each.weight for each in cases)
    found = [_mixed(predicted, answer, held, total) for predicted, held in by_predicted.items() for answer in _answers(held)]
    return sorted(found, key=lambda m: (m.answer == m.predicted, -m.share, -m.n, m.predicted, m.answer or ""))


def _answers(cases: Sequence[Judged]) -> list[str | None]:
    return list(dict.fromkeys(each.answer for each in cases))


def _mixed(predicted: str, answer: str | None, held: Sequence[Judged], total: float) -> Mixed:
    hits = [each.answer == answer for each in held]
    weight = sum(each.weight for each, hit in zip(held, hits, strict=True) if hit)
    return Mixed(predicted, answer, sum(hits), weight / total if total else 0.0, estimate(hits, [each.weight for each in held]))

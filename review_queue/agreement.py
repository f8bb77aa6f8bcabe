"""How far people agree who did not see each other's answers: Cohen's kappa, and agreement label by label.

Kappa says how much they agree beyond chance. Where nearly all cases have one label it is low whatever people do, so the
agreement on each label stands beside it (Feinstein and Cicchetti 1990, "High agreement but low kappa").
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from review_queue.answers import Answered, Window

CONFIDENCE = 0.95
TINY = 1e-12
"""A variance that is 0 but for rounding."""
INDEPENDENT = ("review", "second")
"""Kinds of tasks whose first answers are given without sight of each other's."""

Pair = tuple[str | None, str | None]
"""Two answers to one item, the earlier first; None is a rejection."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of a whole number with its interval; all None of nothing."""

    part: int
    of: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance, at most 1. No interval where its formula gives a width of 0: all agree, or one person says
    the same of every case."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Of the pairs in which either says the label, those in which both do; `label` None: no label fits."""

    label: str | None
    both: Rate


@dataclass(frozen=True, slots=True)
class Agreement:
    """`agreed`: pairs that say the same. `kappa` is None where there is nothing beyond chance to agree on."""

    agreed: Rate
    kappa: Kappa | None
    labels: tuple[LabelAgreement, ...]


def of(window: Window) -> Agreement:
    """The agreement of the answers in a window."""
    return figures(pairs(window.answers))


def pairs(answers: Sequence[Answered]) -> list[Pair]:
    """One pair an item: the two earliest first answers that different people gave of one routing, each for itself.

    A review and the second opinion on it, or two seats of one item. One pair each, so that pairs are independent.
    """
    said: dict[tuple[int, int], dict[int, Answered]] = {}
    for each in sorted(answers, key=lambda each: each.id):
        if each.is_first and each.by_chance_or_rule and each.kind in INDEPENDENT:
            said.setdefault((each.item_id, each.routing_n), {}).setdefault(each.person_id, each)
    two = (list(by_person.values())[:2] for by_person in said.values() if len(by_person) > 1)
    return [(earlier.label, later.label) for earlier, later in two]


def figures(found: Sequence[Pair]) -> Agreement:
    """The figures of some pairs."""
    names = sorted({label for pair in found for label in pair}, key=lambda label: (label is None, label or ""))
    return Agreement(rate(sum(a == b for a, b in found), len(found)), kappa(found), tuple(_label(each, found) for each in names))


def kappa(found: Sequence[Pair]) -> Kappa | None:
    """Cohen's kappa (p_o - p_e) / (1 - p_e) with its large-sample interval.

    Source: Cohen (1960), "A coefficient of agreement for nominal scales"; the standard error under no hypothesis of Fleiss,
    Cohen and Everitt (1969), "Large sample standard errors of kappa and weighted kappa", formula 13 with weights 1 and 0.
    """
    n, joint = len(found), Counter(found)
    rows, columns = Counter(a for a, _ in found), Counter(b for _, b in found)
    expected = sum(rows[label] * columns[label] for label in rows) / n**2 if n else 1.0
    if expected == 1.0:
        return None
    observed = sum(count for (a, b), count in joint.items() if a == b) / n
    value = (observed - expected) / (1 - expected)
    spread = sum(count / n * (_weight(a, b, rows, columns, value, n)) ** 2 for (a, b), count in joint.items())
    variance = (spread - (value - expected * (1 - value)) ** 2) / (n * (1 - expected) ** 2)
    if variance < TINY:
        return Kappa(value, None, None)
    reach = _z() * sqrt(variance)
    return Kappa(value, max(value - reach, -1.0), min(value + reach, 1.0))


def _weight(a: str | None, b: str | None, rows: Counter[str | None], columns: Counter[str | None], value: float, n: int) -> float:
    marginal = (columns[a] + rows[b]) / n * (1 - value)
    return 1 - marginal if a == b else marginal


def rate(part: int, of: int) -> Rate:
    """A share with its interval."""
    if not of:
        return Rate(0, 0, None, None, None)
    return Rate(part, of, part / of, *interval(part / of, of))


def interval(share: float, of: float) -> tuple[float, float]:
    """The score interval of Wilson (1927) for a share of `of` cases, which holds near 0 and 1 and for small numbers too."""
    z = _z()
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    reach = z / (1 + z**2 / of) * sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _label(label: str | None, found: Sequence[Pair]) -> LabelAgreement:
    either = [pair for pair in found if label in pair]
    return LabelAgreement(label, rate(sum(a == b for a, b in either), len(either)))


def _z() -> float:
    return NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

"""Does an explanation stay when its draws change?

Visani et al. 2020, "Statistical stability indices for LIME" (VSI): the overlap of the features that a repeated explanation
selects, here the mean Jaccard index of the five strongest over all pairs of seeds.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import fmean

from contract.records import Explanation, Row
from explain.errors import ExplainError
from explain.explainer import Ask, Explainer

STRONGEST = 5


def stability(explainer: Explainer, row: Row, *, label: str, seeds: Sequence[int] = (0, 1, 2)) -> float:
    """0 to 1; 1 where every seed names the same features. Raises ExplainError where a seed gives none."""
    chosen = [strongest(found) for found in explainer.explain_all([Ask(row, label, seed) for seed in seeds])]
    return fmean(_jaccard(one, other) for one, other in combinations(chosen, 2))


def strongest(explanation: Explanation, count: int = STRONGEST) -> frozenset[int]:
    """The places of the largest contributions, zeros left out. Raises ExplainError where the explanation has a problem."""
    if explanation.problem is not None:
        raise ExplainError(explanation.problem)
    sizes = [(abs(weight), -place) for place, weight in enumerate(_weights(explanation)) if weight]
    return frozenset(-place for _, place in sorted(sizes, reverse=True)[:count])


def _weights(explanation: Explanation) -> Iterator[float]:
    if explanation.modality == "image":
        return iter(explanation.contributions["weights"])
    return (part["contribution"] for part in explanation.contributions)


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0

"""Does an explanation stay when its draws change?

Visani et al. 2020, "Statistical stability indices for LIME" (VSI): the overlap of the features that a repeated explanation
selects, here the mean Jaccard index of the five strongest over all pairs of seeds.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from contract.records import Explanation
from explain.deletion import weights_of
from explain.errors import ExplainError

STRONGEST = 5


def overlap(made: Sequence[Explanation]) -> float:
    """Of two or more explanations of one row, 0 to 1. Raises ExplainError where one has a problem."""
    return fmean(_jaccard(one, other) for one, other in combinations(map(strongest, made), 2))


def strongest(explanation: Explanation, count: int = STRONGEST) -> frozenset[int]:
    """The places of the largest contributions, zeros left out. Raises ExplainError where the explanation has a problem."""
    if explanation.problem is not None:
        raise ExplainError(explanation.problem)
    sizes = [(abs(weight), -place) for place, weight in enumerate(weights_of(explanation)) if weight]
    return frozenset(-place for _, place in sorted(sizes, reverse=True)[:count])


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0

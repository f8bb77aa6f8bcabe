"""Is an explanation any good? The bars below which the desk calls it unstable and hides its order."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.reasons import swaying
from contract.records import Explanation, Row
from explain import deletion
from explain.explainer import Ask, Explainer
from explain.stability import overlap

LEAST_FIT = 0.5
"""R² of a surrogate around the item."""
MOST_GAP = 0.05
"""Share of |f - base| by which contributions may miss it."""


def doubt(explanation: Explanation) -> str | None:
    """Why the order of the contributions is not to be relied on; None where nothing speaks against it."""
    quality = explanation.quality
    fit, gap, stability = quality.get("local_r2"), quality.get("relative_gap"), quality.get("stability")
    if fit is not None and fit < LEAST_FIT:
        return f"a straight line fits the model badly around this item (R² {fit:.2f}, at least {LEAST_FIT} is asked)"
    if gap is not None and gap > MOST_GAP:
        return f"the contributions miss the model's answer by {gap:.0%} of what they share out (at most {MOST_GAP:.0%} is asked)"
    return swaying(stability)


@dataclass(frozen=True, slots=True)
class Check:
    """What was seen when an explanation was made again: overlap over three seeds; areas of its own and of random orders; of LIME
    how far the library's own weights are apart from it, as a share of the largest."""

    stability: float
    area: float
    random_area: float
    apart: float | None = None


def checked(model: object, background: Sequence[Row], explainer: Explainer, row: Row, *, label: str, seed: int) -> Check:
    """Explain a row with its own seed and two more, hide its units in the order that was found, and for LIME ask the library.

    Raises UnknownLabel, and ExplainError where one of them has a problem.
    """
    from explain.lime_itself import apart

    own = explainer.explain(row, label=label, seed=seed)
    others = explainer.explain_all([Ask(row, label, (seed + step) % 2**32) for step in (1, 2)])
    area, random_area = deletion.areas(model, background, row, own)
    return Check(overlap([own, *others]), area, random_area, apart(model, background, row, own))

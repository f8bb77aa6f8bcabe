"""Is an explanation any good? The bars below which the desk calls it unstable and hides its order."""

from contract.records import Explanation

LEAST_FIT = 0.5
"""R² of a surrogate around the item."""
MOST_GAP = 0.05
"""Share of |f - base| by which contributions may miss it."""
LEAST_STABILITY = 0.6
"""Mean Jaccard index of the five strongest over three seeds."""


def doubt(explanation: Explanation) -> str | None:
    """Why the order of the contributions is not to be relied on; None where nothing speaks against it."""
    quality = explanation.quality
    fit, gap, stability = quality.get("local_r2"), quality.get("relative_gap"), quality.get("stability")
    if fit is not None and fit < LEAST_FIT:
        return f"a straight line fits the model badly around this item (R² {fit:.2f}, at least {LEAST_FIT} is asked)"
    if gap is not None and gap > MOST_GAP:
        return f"the contributions miss the model's answer by {gap:.0%} of what they share out (at most {MOST_GAP:.0%} is asked)"
    if stability is not None and stability < LEAST_STABILITY:
        return f"other random draws name other reasons (overlap {stability:.2f}, at least {LEAST_STABILITY} is asked)"
    return None

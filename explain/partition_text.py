"""Owen values of the units of a text, shared along a tree of neighbouring units.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"; Owen 1977, "Values of games with a priori
unions". By `shap.PartitionExplainer`.
"""

from typing import Any

import numpy as np
import shap
from numpy.typing import NDArray

from contract.predictors import Floats, TextModel
from contract.records import Explanation, Row
from explain.background import NONE
from explain.finding import Finding, Heading, explained, steadied
from explain.randomness import seeded
from explain.target import CLIP
from explain.words import Units, text_of, text_target, units

CHARACTERS = 10_000_000
"""About so many characters are given to the model for one explanation."""
FEWEST = 200


class PartitionText:
    """Log-odds of a label shared among the words of a text; the base is the answer to the text without any.

    `evaluations` changed texts are asked for; fewer, and sentences or stretches of words instead of words, for long texts.
    Where they do not reach down to each word, neighbours share what is known of them together.
    """

    method = "shap.partition"

    def __init__(self, model: TextModel, *, evaluations: int = 500) -> None:
        self._model, self._evaluations = model, evaluations

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "text", "log-odds", label, seed, NONE, {"clip": CLIP, "hidden": "removed"})
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        target = text_target(self._model, label)
        parts = units(text_of(row, self._model.feature))
        evaluations = min(self._evaluations, max(FEWEST, CHARACTERS // len(parts.text)))
        seen: list[Floats] = []

        def log_odds(texts: NDArray[Any]) -> Floats:
            seen.append(target.log_odds(texts.tolist()))
            return seen[-1]

        base, weights = _owen(log_odds, parts, evaluations, seed)
        weights, note = steadied(weights, np.concatenate(seen))
        gap = abs(base + float(weights.sum()) - float(target.log_odds([parts.text])[0]))
        params = {"evaluations": evaluations, "explained": parts.kind, "units": len(parts.spans), **note}
        return Finding(base, weights.tolist(), parts.contributions(weights), {"additivity_gap": gap}, params)


class Removal(shap.maskers.Text):  # type: ignore[misc]  # shap's maskers have no types
    """shap's text masker and its tree of phrases over our own units; hidden ones are left out, nothing is put in their place."""

    def __init__(self, parts: Units) -> None:
        self._parts = parts
        super().__init__(self._tokens, mask_token="...")

    def __call__(self, mask: NDArray[np.bool_], s: str) -> tuple[NDArray[Any]]:
        return (np.array([self._parts.kept(np.flatnonzero(mask))], dtype=object),)

    def _tokens(self, s: str, return_offsets_mapping: bool = True) -> dict[str, Any]:
        if s != self._parts.text:
            return {"input_ids": [s] * bool(s), "offset_mapping": [(0, len(s))] * bool(s)}
        return {"input_ids": list(self._parts.segments), "offset_mapping": list(self._parts.spans)}


def _owen(function: Any, parts: Units, evaluations: int, seed: int) -> tuple[float, Floats]:
    """The answer to nothing, and (n,) Owen values. One unit alone has no tree and takes the whole difference."""
    if len(parts.spans) == 1:
        empty, whole = function(np.array(["", parts.text], dtype=object))
        return float(empty), np.array([whole - empty])
    with seeded(seed):
        explainer = shap.PartitionExplainer(function, Removal(parts))
        found = explainer([parts.text], max_evals=evaluations, batch_size=32, silent=True)
    return float(np.ravel(found.base_values)[0]), np.array(found.values[0], dtype=np.float64)

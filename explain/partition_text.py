"""Owen values of the units of a text, shared along a tree of neighbouring units.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"; Owen 1977, "Values of games with a priori
unions". The numbers are those of `shap.PartitionExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence

from contract.predictors import Floats, TextModel
from explain.background import NONE
from explain.chunked import chunked
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, steadied
from explain.owen import Tree, shared
from explain.phrases import phrases
from explain.pooling import Pooled, Search
from explain.target import CLIP, log_odds
from explain.words import Left, Units, answered, text_of, units

CHARACTERS = 10_000_000
"""About so many characters are given to the model for one explanation."""
FEWEST = 200


class PartitionText(Pooled[Left]):
    """Log-odds of a label shared among the words of a text; the base is the answer to the text without any.

    `evaluations` changed texts are asked for; fewer, and sentences or stretches of words instead of words, for long texts.
    Where they do not reach down to each word, neighbours share what is known of them together.
    """

    method = "shap.partition"

    def __init__(self, model: TextModel, *, evaluations: int = 500) -> None:
        super().__init__(model.labels)
        self._model, self._evaluations = chunked(model), evaluations

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "text", "log-odds", ask.label, ask.seed, NONE, {"clip": CLIP, "hidden": "removed"})

    def _find(self, ask: Ask) -> Search[Left]:
        parts = units(text_of(ask.row, self._model.feature))
        evaluations = min(self._evaluations, max(FEWEST, CHARACTERS // len(parts.text)))
        found = yield from shared(_tree(parts), evaluations, ask.seed, lambda shown: Left(parts, shown), log_odds)
        weights, note = steadied(found.values, found.seen)
        params = {"evaluations": evaluations, "explained": parts.kind, "units": len(parts.spans), **note}
        quality = gaps(found.base, weights, found.whole)
        return Finding(found.base, weights.tolist(), parts.contributions(weights), quality, params)

    def _answer(self, questions: Sequence[Left]) -> Floats:
        return answered(self._model, questions)


def _tree(parts: Units) -> Tree:
    """Over the units as they stand in the text, each with what follows it; one alone has no tree."""
    if len(parts.spans) == 1:
        return Tree(1, ())
    ends = [*(start for start, _ in parts.spans[1:]), 0]
    return phrases([parts.text[start : max(end, behind)] for (start, end), behind in zip(parts.spans, ends, strict=True)])

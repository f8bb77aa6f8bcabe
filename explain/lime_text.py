"""A linear model fitted on a text with units left out.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. By `lime.lime_text.LimeTextExplainer`.
"""

from collections.abc import Sequence

import numpy as np
from lime.lime_text import LimeTextExplainer

from contract.predictors import Floats, TextModel
from contract.records import Explanation, Row
from explain.background import NONE
from explain.finding import Finding, Heading, explained, steadied
from explain.target import Target
from explain.words import Units, text_of, text_target, units

CHARACTERS = 5_000_000
"""About so many characters are given to the model for one explanation."""
FEWEST = 500
LETTER = 0xE000
"""LIME reads the text as one letter per unit, from here on (private use), so that its own splitting cannot misplace a mark
and the same word in two places has two weights."""


class LimeText:
    """Weights of a ridge regression on "this word is there", unit probability, for every occurrence of a word.

    `samples` changed texts are asked for; fewer, and sentences or stretches of words instead of words, for long texts.
    """

    method = "lime.text"

    def __init__(self, model: TextModel, *, samples: int = 5000) -> None:
        self._model, self._samples = model, samples

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "text", "probability", label, seed, NONE, {"hidden": "removed"})
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        target = text_target(self._model, label)
        parts = units(text_of(row, self._model.feature))
        samples = min(self._samples, max(FEWEST, CHARACTERS // len(parts.text)))
        asked = Asked(target, parts)
        lime = LimeTextExplainer(char_level=True, bow=True, feature_selection="none", random_state=np.random.RandomState(seed))
        found = lime.explain_instance(asked.letters, asked, labels=(1,), num_features=len(parts.spans), num_samples=samples)
        weights = np.zeros(len(parts.spans))
        for place, weight in found.local_exp[1]:
            weights[place] = weight
        weights, note = steadied(weights, asked.answers)
        own = float(asked.answers[0])
        surrogate = own if note else float(found.local_pred[0])
        quality = {"local_r2": 1.0 if note else float(found.score), "prediction_gap": abs(surrogate - own)}
        base = own if note else float(found.intercept[1])
        params = {"samples": samples, "explained": parts.kind, "units": len(parts.spans), **note}
        return Finding(base, weights.tolist(), parts.contributions(weights), quality, params)


class Asked:
    """LIME's predict function: n strings of letters to (n, 2) probabilities; the label's are kept in `answers`."""

    def __init__(self, target: Target, parts: Units) -> None:
        self._target, self._parts = target, parts
        self.letters = "".join(chr(LETTER + place) for place in range(len(parts.spans)))
        self.answers: Floats = np.empty(0)

    def __call__(self, strings: Sequence[str]) -> Floats:
        both = self._target.against([self._parts.kept(ord(letter) - LETTER for letter in string) for string in strings])
        self.answers = both[:, 1]
        return both

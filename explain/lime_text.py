"""A linear model fitted on a text with units left out.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. The numbers are those of
`lime.lime_text.LimeTextExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats, TextModel
from explain.background import NONE
from explain.chunked import chunked
from explain.explainer import Ask
from explain.finding import Heading
from explain.kept import DRAWN
from explain.pooling import Pooled, Search
from explain.surrogate import line
from explain.target import CLIP, log_odds
from explain.words import Left, answered, text_of, units

CHARACTERS = 5_000_000
"""About so many characters are given to the model for one explanation."""
FEWEST = 500
WIDTH = 0.25
"""The width of the kernel over cosine distances."""


class LimeText(Pooled[Left]):
    """Weights of a ridge regression on "this word is there", unit log-odds, for every occurrence of a word.

    `samples` changed texts are asked for; fewer, and sentences or stretches of words instead of words, for long texts.
    """

    method = "lime.text"

    def __init__(self, model: TextModel, *, samples: int = 5000) -> None:
        super().__init__(model.labels)
        self._model, self._samples = chunked(model), samples

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "text", "log-odds", ask.label, ask.seed, NONE, {"hidden": "removed", "clip": CLIP})

    def _find(self, ask: Ask) -> Search[Left]:
        parts = units(text_of(ask.row, self._model.feature))
        samples = min(self._samples, max(FEWEST, CHARACTERS // len(parts.text)))
        shown = _drawn(ask.seed, samples, len(parts.spans))
        distinct, places = _distinct(shown)
        answers = log_odds((yield Left(parts, shown[distinct])))[places]
        found = line(shown.astype(np.float64), answers, _nearness(shown))
        params = {"samples": samples, "explained": parts.kind, "units": len(parts.spans)}
        return found.finding(answers, parts.contributions, params)

    def _answer(self, questions: Sequence[Left]) -> Floats:
        return answered(self._model, questions)


def _drawn(seed: int, samples: int, count: int) -> NDArray[np.bool_]:
    """(samples, count) of which units are there, all of them at first: of each copy 1 to `count` are left out, any of them."""

    def draw() -> NDArray[np.uint8]:
        stream = np.random.RandomState(seed)
        sizes = stream.randint(1, count + 1, samples - 1)
        orders = np.tile(np.arange(count), (samples - 1, 1))
        for order in orders:
            stream.shuffle(order)
        gone = np.zeros((samples, count), dtype=bool)
        np.put_along_axis(gone[1:], orders, np.arange(count) < sizes[:, None], axis=1)
        return np.packbits(~gone, axis=1)

    return np.unpackbits(DRAWN.of(("text", seed, samples, count), draw), axis=1, count=count).astype(bool)


def _distinct(shown: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each distinct row first is, and which of those each row is; the first row stays the first."""
    seen: dict[bytes, int] = {}
    packed = np.packbits(shown, axis=1)
    places = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in packed])
    return np.unique(places, return_index=True)[1], places


def _nearness(shown: NDArray[np.bool_]) -> Floats:
    """(n,) weights by the cosine distance from the whole text; nothing at all is at distance 1."""
    distance = 1 - np.sqrt(shown.mean(axis=1))
    return np.asarray(np.exp(-((distance / WIDTH) ** 2) / 2))

"""Expected gradients: a network's slopes along the way from rows of the background to the row.

Erion et al. 2021, "Improving performance of deep learning models with axiomatic attribution priors and expected gradients"; the
numbers of `shap.GradientExplainer` with the same seed, for the one label that is explained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.inside import Smooth
from contract.predictors import Floats, ImageModel, TableModel
from contract.records import Explanation, Row
from explain.draws import pairs
from explain.explainer import Ask, Explainer
from explain.finding import Finding
from explain.image_look import ImageLook, Pixels
from explain.looking import ROWS, Each, TableLook
from explain.pacing import Between, nothing
from explain.quality import MOST_GAP

Singles = NDArray[np.float32]
SAMPLES = 200
FARTHEST_TABLE, FARTHEST_IMAGE = 3_200, 800
"""At most so many samples are drawn of a table's row and of an image, where fewer miss the model's answer by too much."""
PART, NUMBERS = 200, 2_000_000
"""Samples in one pass at most, and their numbers: large images get fewer at once."""


def expected(view: Smooth, point: Singles, behind: Singles, label: str, seed: int, samples: range, between: Between) -> Floats:
    """(e,) the sum over some of the samples of slope × way, for a point (e,) and a background (r, e)."""
    total = np.zeros(point.shape)
    chosen, shares = pairs(seed, samples.stop, len(behind))
    size = max(1, min(PART, NUMBERS // max(point.size, 1)))
    for start in range(samples.start, samples.stop, size):
        part = slice(start, min(start + size, samples.stop))
        near, far = (each[part, None].astype(np.float32) for each in (shares, 1 - shares))
        others = behind[chosen[part]]
        _, slopes = view.gradient(near * point + far * others, label)
        total += (slopes * (point - others).astype(np.float64)).sum(axis=0)
        between()
    return total


def steps(samples: int, farthest: int) -> list[range]:
    """First so many samples, then four times as many, and again, as long as they are no more than `farthest`."""
    stops = [samples]
    while stops[-1] * 4 <= farthest:
        stops.append(stops[-1] * 4)
    return [range(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def sampled(
    add: Callable[[range], Floats], found: Callable[[Floats, Mapping[str, Any]], Finding], samples: int, farthest: int
) -> Finding:
    """What is found from as few samples as miss the model's answer by no more than MOST_GAP of what is shared out."""
    total: Any = 0.0
    finding: Finding | None = None
    for step in steps(samples, farthest):
        total = total + add(step)
        finding = found(total / step.stop, {"samples": step.stop})
        if finding.quality["relative_gap"] <= MOST_GAP:
            break
    assert finding is not None
    return finding


class Instead(Each):
    """Where the contributions miss the model's answer by too much, another method's; its `params` then say instead of which
    one it stands (`instead_of`) and by what share of |f - base| that one missed (`missed_by`, None where it gave nothing)."""

    fallback: Explainer | None

    def _timed(self, asks: Sequence[Ask]) -> list[Explanation]:
        made = super()._timed(asks)
        missed = [place for place, each in enumerate(made) if asks[place].label in self.labels and not _near(each)]
        if self.fallback is None or not missed:
            return made
        for place, other in zip(missed, self.fallback.explain_all([asks[place] for place in missed]), strict=True):
            made[place] = self._noted(other, made[place])
        return made

    def _noted(self, other: Explanation, own: Explanation) -> Explanation:
        note = {"instead_of": self.method, "missed_by": own.quality.get("relative_gap")}
        return replace(other, params={**other.params, **note}, seconds=other.seconds + own.seconds)


def _near(made: Explanation) -> bool:
    gap = made.quality.get("relative_gap")
    return gap is not None and gap <= MOST_GAP


class GradientShap(TableLook[Smooth], Instead):
    """Log-odds of a label shared among the features of the project: over the numbers that a network makes of them first (codes,
    embeddings, bags), summed for each feature. See TableLook.

    `samples` are drawn, and up to `farthest` where these miss the model's answer by more than 5 % of what is shared out; where
    that is not enough either, `fallback` explains.
    """

    method = "shap.gradient"
    kind = Smooth

    def __init__(
        self,
        model: TableModel,
        background: Sequence[Row],
        *,
        rows: int = ROWS,
        samples: int = SAMPLES,
        farthest: int = FARTHEST_TABLE,
        fallback: Explainer | None = None,
        between: Between = nothing,
    ) -> None:
        self._samples, self._farthest, self.fallback = samples, farthest, fallback
        super().__init__(model, background, rows=rows, between=between)

    def _prepare(self) -> None:
        self._singles = self.background.astype(np.float32)

    def _answer(self, points: Floats, label: str) -> Floats:
        return self.view.answer(points, label)

    def _find(self, asks: Sequence[Ask]) -> list[Finding]:
        """One by one: in single precision, what a network says of a row depends in its last digits on the rows beside it."""
        return [finding for ask in asks for finding in super(GradientShap, self)._find([ask])]

    def _found(self, asks: Sequence[Ask], points: Floats, due: Sequence[float]) -> list[Finding]:
        return [self._explained(*each) for each in zip(asks, points, due, strict=True)]

    def _explained(self, ask: Ask, point: Floats, due: float) -> Finding:
        single = point.astype(np.float32)

        def add(samples: range) -> Floats:
            return expected(self.view, single, self._singles, ask.label, ask.seed, samples, self.between)

        def found(shares: Floats, params: Mapping[str, Any]) -> Finding:
            return self._finding(ask, self.fold(shares[None])[0], due, params)

        return sampled(add, found, self._samples, self._farthest)


class GradientImage(ImageLook, Instead):
    """See ImageLook and GradientShap."""

    method = "shap.gradient"

    def __init__(
        self,
        model: ImageModel,
        *,
        samples: int = SAMPLES,
        farthest: int = FARTHEST_IMAGE,
        fallback: Explainer | None = None,
        between: Between = nothing,
    ) -> None:
        self._samples, self._farthest, self.fallback = samples, farthest, fallback
        super().__init__(model, between)

    def _explained(self, ask: Ask, pixels: Pixels) -> Finding:
        point, behind = (each.astype(np.float32) for each in (pixels.point, pixels.behind[None]))

        def add(samples: range) -> Floats:
            return expected(self.view, point, behind, ask.label, ask.seed, samples, self.between)

        return sampled(add, pixels.finding, self._samples, self._farthest)

"""LIME as the library makes it, called alone: what our batches are held against, in tests and on a worker's sample.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?". The library is given our bins, units and pieces, and a label's
log-odds; draws, kernel and fit are its own. Slow: it is for checking.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from lime.discretize import QuartileDiscretizer
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from numpy.typing import NDArray

from contract.predictors import Encoded, Floats, ImageModel, TableModel, TextModel
from contract.records import Explanation, Row
from explain.background import drawn
from explain.chunked import chunked
from explain.deletion import pieces_of, weights_of
from explain.lime_tabular import ROWS
from explain.neighbours import OWN_SHARE, POINT
from explain.scale import Scale
from explain.segments import image_of, image_target
from explain.table import beside, encoded_background
from explain.target import Target, log_odds
from explain.words import text_of, text_target, units

LETTER = 0xE000
"""The library reads a text as one letter per unit, from here on (private use), so that its own splitting cannot misplace one."""


def apart(model: object, background: Sequence[Row], row: Row, made: Explanation) -> float | None:
    """The largest difference between an explanation's weights and the library's, as a share of the largest weight.

    None for other methods than LIME's. Raises ExplainError where the item or the model fails.
    """
    if made.method == "lime.tabular" and isinstance(model, TableModel):
        found = table(model, drawn(background, ROWS), row, made)
    elif made.method == "lime.text" and isinstance(model, TextModel):
        found = text(model, row, made)
    elif made.method == "lime.image" and isinstance(model, ImageModel):
        found = image(model, row, made)
    else:
        return None
    own = weights_of(made)
    due = np.zeros(len(own))
    for place, weight in found.local_exp[1]:
        due[place] = weight
    most = float(np.abs(due).max(initial=0.0))
    return float(np.abs(own - due).max(initial=0.0)) / most if most and own.any() else 0.0


def table(model: TableModel, background: Sequence[Row], row: Row, made: Explanation) -> Any:
    """The library's explanation of a row beside all of these background rows, with seed, label and parameters of one of ours."""
    pair = beside(model, row, encoded_background(model, background))
    scale = Scale(model.columns, pair.background)
    features = made.params.get("features")
    lime = _of_table(scale, model, made.seed, "none" if features is None else "auto")
    filled = scale.filled(pair.row[None])[0]
    for place, value in enumerate(lime.discretizer.discretize(filled)):
        _raise(lime, place, value)
    asked = chunked(model)

    def answer(samples: Floats) -> Floats:
        matrix = np.column_stack([scale.restored(place, column) for place, column in enumerate(samples.T)])
        matrix[0] = pair.row
        return asked.table_probabilities(Encoded(matrix, pair.texts))

    function = _log_odds(Target(answer, model.labels, made.label))
    samples = made.params["samples"]
    return lime.explain_instance(filled, function, labels=(1,), num_features=features or len(filled), num_samples=samples)


def text(model: TextModel, row: Row, made: Explanation) -> Any:
    """The library's explanation of a text, over our units."""
    parts = units(text_of(row, model.feature))
    target = text_target(model, made.label)
    letters = "".join(chr(LETTER + place) for place in range(len(parts.spans)))
    lime = LimeTextExplainer(char_level=True, bow=True, feature_selection="none", random_state=np.random.RandomState(made.seed))
    kept = _log_odds(target, lambda strings: [parts.kept(ord(letter) - LETTER for letter in each) for each in strings])
    return lime.explain_instance(letters, kept, labels=(1,), num_features=len(letters), num_samples=made.params["samples"])


def image(model: ImageModel, row: Row, made: Explanation) -> Any:
    """The library's explanation of an image, over our pieces."""
    seen, numbers = image_of(model, row), pieces_of(made.contributions["segments"])
    function = _log_odds(image_target(model, made.label, seen, numbers))
    lime = _Pieces(feature_selection="none", random_state=np.random.RandomState(made.seed))
    return lime.explain_instance(
        seen,
        function,
        labels=(1,),
        top_labels=None,
        hide_color=0,  # not used: what stands behind a piece is the target's
        num_samples=made.params["samples"],
        segmentation_fn=lambda _: numbers,
    )


def _log_odds(target: Target, inputs: Callable[[Any], Any] = lambda given: given) -> Callable[[Any], Floats]:
    """A predict function of two columns that sum to one, as the library wants them; the second is the label's log-odds."""

    def answer(given: Any) -> Floats:
        found = log_odds(target.probability(inputs(given)))
        return np.column_stack([1 - found, found])

    return answer


def _of_table(scale: Scale, model: TableModel, seed: int, selection: str) -> Any:
    names = [column.name for column in model.columns]
    lime = LimeTabularExplainer(
        scale.background,
        feature_names=names,
        categorical_features=scale.named,
        feature_selection=selection,
        discretizer=_Quarters(scale, names),
        random_state=np.random.RandomState(seed),
    )
    lime.discretizer.random_state = lime.random_state
    return lime


def _raise(lime: Any, place: int, own: float) -> None:
    """The row's own value is drawn often enough."""
    values, shares = list(lime.feature_values[place]), lime.feature_frequencies[place]
    if own not in values:
        values, shares = [*values, own], np.append(shares, 0.0)
    at = values.index(own)
    if shares[at] < OWN_SHARE:
        shares = shares * ((1 - OWN_SHARE) / (1 - shares[at]))
        shares[at] = OWN_SHARE
    lime.feature_values[place], lime.feature_frequencies[place] = values, shares


class _Quarters(QuartileDiscretizer):  # type: ignore[misc]  # lime has no types
    """The library's quartile bins with the differences of `neighbours.Bins`."""

    def __init__(self, scale: Scale, names: list[str]) -> None:
        self._scale = scale
        data = scale.background
        super().__init__(data, scale.named, names)
        for place in self.to_discretize:
            self._mend(place, np.bincount(self.lambdas[place](data[:, place]), minlength=len(self.means[place])))

    def bins(self, data: Floats, labels: object) -> list[Floats]:
        return [self._borders(data[:, place], self._scale.low[place]) for place in self.to_discretize]

    def get_undiscretize_values(self, feature: int, values: Any) -> Floats:
        drawn_values = super().get_undiscretize_values(feature, values)
        means, stds = np.array(self.means[feature])[values], np.array(self.stds[feature])[values]
        return np.asarray(np.where(stds < 2 * POINT, means, drawn_values))

    def _borders(self, column: Floats, low: float) -> Floats:
        known = column[column >= low]
        quarters = np.unique(np.percentile(known, [25, 50, 75])) if known.size else np.zeros(1)
        return np.array([np.nextafter(low, -np.inf), *quarters])

    def _mend(self, place: int, counts: NDArray[np.intp]) -> None:
        mins, maxs, means, stds = self.mins[place], self.maxs[place], self.means[place], self.stds[place]
        mins[0] = maxs[0] = means[0] = self._scale.absent[place]
        mins[1], stds[0] = self._scale.low[place], POINT
        for empty in np.flatnonzero(counts[1:] == 0) + 1:
            maxs[empty] = max(mins[empty], maxs[empty])
            means[empty] = (mins[empty] + maxs[empty]) / 2
            stds[empty] = max(maxs[empty] - mins[empty], POINT)


class _Pieces(LimeImageExplainer):  # type: ignore[misc]  # lime has no types
    """Asks for all copies at once, by the pieces that they show, and draws no progress bar. The draws are the library's."""

    def data_labels(
        self,
        image: Floats,
        fudged_image: Floats,
        segments: NDArray[np.intp],
        classifier_fn: Any,
        num_samples: int,
        batch_size: int = 10,
    ) -> tuple[NDArray[Any], Floats]:
        count = int(segments.max()) + 1
        data = self.random_state.randint(0, 2, num_samples * count).reshape((num_samples, count))
        data[0, :] = 1
        return data, classifier_fn(data.astype(bool))

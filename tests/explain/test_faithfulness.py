"""Do the reasons matter to the model? Deletion curves (Petsiuk et al. 2018, "RISE", section 4.2) against a random order."""

import numpy as np
import pytest
from explained_models import cancer, digits

from contract.predictors import Encoded
from explain.catalog import explainers_for
from explain.segments import image_target, squares

RNG = np.random.default_rng(0)


def deletion(answer, shown_count: int, order: np.ndarray) -> float:
    """The mean answer while parts are hidden one after another, in this order; lower is more faithful."""
    shown = np.ones((shown_count + 1, shown_count), dtype=bool)
    for step, part in enumerate(order, start=1):
        shown[step:, part] = False
    return float(answer(shown).mean())


@pytest.mark.parametrize("method", ["shap.permutation", "lime.tabular"])
def test_breast_cancer(method: str) -> None:
    model, rows = cancer()
    means = model.encode(rows[100:]).matrix.mean(axis=0)
    explainer = next(one for one in explainers_for(model, rows[100:]) if one.method == method)
    explained, random = [], []
    for row in rows[:12]:
        values = model.encode([row]).matrix[0]
        p = model.table_probabilities(Encoded(values[None], {}))[0]
        place = int(p.argmax())

        def answer(shown: np.ndarray, values=values, place=place) -> np.ndarray:
            return model.table_probabilities(Encoded(np.where(shown, values, means), {}))[:, place]

        found = explainer.explain(row, label=model.labels[place], seed=0)
        weights = np.array([part["contribution"] for part in found.contributions])
        explained.append(deletion(answer, 30, np.argsort(-weights)))
        random += [deletion(answer, 30, RNG.permutation(30)) for _ in range(5)]
    assert np.mean(explained) < np.mean(random) - 0.1


@pytest.mark.parametrize("method", ["shap.partition", "lime.image"])
def test_digits(method: str) -> None:
    model, rows, labels = digits()
    explainer = next(one for one in explainers_for(model, []) if one.method == method)
    explained, random = [], []
    for row, label in list(zip(rows, labels, strict=True))[:10]:
        image = model.decode(row["image"])

        def answer(shown: np.ndarray, image=image, label=label) -> np.ndarray:
            return image_target(model, label, image, squares(8, 8).numbers).probability(shown)

        weights = np.array(explainer.explain(row, label=label, seed=0).contributions["weights"])
        explained.append(deletion(answer, 64, np.argsort(-weights)))
        random += [deletion(answer, 64, RNG.permutation(64)) for _ in range(5)]
    assert np.mean(explained) < np.mean(random) - 0.1

"""When the order of an explanation is not to be relied on, and what a check sees."""

import numpy as np
import pytest
from explained_models import cancer

from contract.records import Explanation
from explain import quality
from explain.catalog import explainers_for
from explain.errors import UnknownLabel


def with_quality(**figures: float) -> Explanation:
    return Explanation("any", "yes", "probability", 0.5, [], {}, 1, "", figures, 0.1)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, None),
        ({"local_r2": 0.5, "prediction_gap": 0.3}, None),
        ({"local_r2": 0.31}, "R² 0.31"),
        ({"local_r2": float("-inf")}, "R²"),
        ({"relative_gap": 0.05}, None),
        ({"relative_gap": 0.09, "additivity_gap": 0.2}, "by 9%"),
        ({"stability": 0.6}, None),
        ({"stability": 0.41}, "overlap 0.41"),
    ],
)
def test_bars(figures: dict[str, float], said: str | None) -> None:
    found = quality.doubt(with_quality(**figures))
    assert found is None if said is None else said in str(found)


def test_a_check_tries_other_seeds_and_hides() -> None:
    model, rows = cancer()
    explainer = explainers_for(model, rows[3:200])[0]
    label = model.labels[int(model.table_probabilities(model.encode(rows[:1]))[0].argmax())]
    found = quality.checked(model, rows[3:200], explainer, rows[0], label=label, seed=2**32 - 1)
    assert 0.6 <= found.stability <= 1
    assert np.isfinite([found.area, found.random_area]).all()
    assert found == quality.checked(model, rows[3:200], explainer, rows[0], label=label, seed=2**32 - 1)
    with pytest.raises(UnknownLabel):
        quality.checked(model, rows[3:200], explainer, rows[0], label="none", seed=1)

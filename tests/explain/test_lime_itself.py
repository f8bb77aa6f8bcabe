"""Our batches held against the library on the items of a worker's sample."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_models import cancer, digits, mixed, reviews

from explain import lime_itself
from explain.catalog import explainers_for

BACKGROUND = 40


def case(modality: str) -> tuple[Any, list[dict[str, Any]], str]:
    if modality == "text":
        return reviews(), [{"text": "a boring and slow film"}, {"text": "w " * 300}], "good"
    if modality == "image":
        return *digits()[:2], "3"
    return *(cancer() if modality == "wide" else mixed()), "benign" if modality == "wide" else "yes"


@pytest.mark.parametrize("modality", ["wide", "mixed", "text", "image"])
def test_nothing_is_apart(modality: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, rows, label = case(modality)
    shap, lime = explainers_for(model, rows[-BACKGROUND:])
    for seed, row in enumerate(rows[:2]):
        made = lime.explain(row, label=label, seed=seed)
        difference = lime_itself.apart(model, rows[-BACKGROUND:], row, made)
        assert difference is not None
        assert difference < 1e-6
        assert lime_itself.apart(model, rows[-BACKGROUND:], row, shap.explain(row, label=label, seed=seed)) is None
    assert capsys.readouterr().err == ""


def test_what_is_apart_is_seen() -> None:
    model, rows = cancer()
    made = explainers_for(model, rows[100:])[1].explain(rows[0], label="benign", seed=1)
    parts = [dict(part) for part in made.contributions]
    most = max(abs(part["contribution"]) for part in parts)
    parts[3]["contribution"] += most / 100
    found = lime_itself.apart(model, rows[100:], rows[0], replace(made, contributions=parts))
    assert found == pytest.approx(0.01, rel=1e-3)
    assert lime_itself.apart(model, rows[100:], rows[0], replace(made, seed=2)) > 1e-3  # type: ignore[operator]


def test_the_librarys_draws_touch_nobody_else() -> None:
    np.random.seed(11)
    due = np.random.rand()
    np.random.seed(11)
    model, rows = mixed()
    made = explainers_for(model, rows[20:])[-1].explain(rows[0], label="yes", seed=1)
    lime_itself.apart(model, rows[20:], rows[0], made)
    assert np.random.rand() == due

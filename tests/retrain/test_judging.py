"""How a model does on held-out rows: every figure by hand, rows without an answer, and what training keeps."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from contract.confidence import confidence
from contract.records import Prediction, Row, Scored, Unscored, Unshowable
from db.engine import Database
from retrain import judging, training
from retrain.alone import Alone
from retrain.examples import Examples
from tests import factories, real_models

LABELS = ("deny", "pay")


class Model:
    """Says `pay` with the probability that the row holds; nothing where it holds none."""

    labels = LABELS
    version = "1"
    modality = "tabular"
    background: tuple[Row, ...] = ()

    def __init__(self) -> None:
        self.parts: list[int] = []

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        self.parts.append(len(rows))
        return [self._one(row["pay"]) for row in rows]

    def _one(self, pay: float | None) -> Scored:
        if pay is None:
            return Unscored("there is no amount")
        return Unshowable("broken") if pay < 0 else Prediction(LABELS, (1 - pay, pay))


def examples(pays: Sequence[float | None], labels: Sequence[str]) -> Examples:
    return Examples(tuple({"pay": pay} for pay in pays), tuple(labels), (None,) * len(labels))


def test_figures_by_hand() -> None:
    held = examples([0.9, 0.2, 0.6, None, -1.0], ["pay", "deny", "deny", "pay", "pay"])
    figures = judging.judge(Model(), held)  # type: ignore[arg-type]
    assert figures["held_out"] == {
        "n": 5,
        "answered": 3,
        "accuracy": pytest.approx(2 / 3),
        "log_loss": pytest.approx(-(math.log(0.9) + math.log(0.8) + math.log(0.4)) / 3),
    }
    assert figures["parts"]["labels"] == {"pay": {"n": 3, "accuracy": 0.333333}, "deny": {"n": 2, "accuracy": 0.5}}
    assert (figures["alone"]["n"], figures["alone"]["answered"]) == (5, 3)
    assert json.loads(json.dumps(figures)) == figures


def test_a_label_that_the_model_does_not_know_is_an_error_with_a_finite_loss() -> None:
    figures = judging.judge(Model(), examples([0.9], ["inspect"]))  # type: ignore[arg-type]
    assert (figures["held_out"]["accuracy"], figures["held_out"]["log_loss"]) == (0.0, pytest.approx(-math.log(1e-15)))


def test_no_rows_give_no_figures_and_no_answers_none_of_them() -> None:
    assert judging.judge(Model(), examples([], [])) == {}  # type: ignore[arg-type]
    figures = judging.judge(Model(), examples([None] * 3, ["pay"] * 3))  # type: ignore[arg-type]
    assert figures["held_out"] == {"n": 3, "answered": 0, "accuracy": None, "log_loss": None}
    assert figures["alone"]["curve"] == []


@pytest.mark.parametrize("score", ["max_probability", "margin", "entropy"])
def test_the_threshold_is_one_of_the_score_that_routes(score: Any) -> None:
    rng = np.random.default_rng(3)
    pays = rng.beta(0.15, 0.15, 1500).round(6)
    labels = [LABELS[int(rng.random() < pay)] for pay in pays]
    model = Model()
    figures = judging.judge(model, examples(pays.tolist(), labels), score=score)  # type: ignore[arg-type]
    assert figures["alone"]["score"] == score
    level = Alone.from_dict(figures["alone"]).at(0.05)
    assert level.threshold is not None
    routed = [float(confidence((1 - pay, pay), score)) >= level.threshold for pay in pays]
    assert level.share == pytest.approx(np.mean(routed))
    assert max(model.parts) <= judging.CHUNK
    assert sum(model.parts) == 1500


def test_a_policys_own_error_joins_the_table() -> None:
    wanted = judging.wished(factories.policy(score="margin", evidence={"max_error": 0.03, "confidence": 0.9}))
    assert wanted == {"score": "margin", "confidence": 0.9, "levels": [0.01, 0.02, 0.03, 0.05, 0.1]}


def test_training_judges_by_the_rows_that_came_with_the_project_and_that_it_did_not_learn_from(database: Database) -> None:
    held = real_models.setting(database)
    info = training.train(database, held.name, by=None, device="cpu")
    assert info.figures["held_out"]["n"] == real_models.ASIDE
    assert info.figures["held_out"]["answered"] == real_models.ASIDE
    found = Alone.from_dict(info.figures["alone"])
    assert found.n == real_models.ASIDE
    assert [level.max_error for level in found.levels] == [0.01, 0.02, 0.05, 0.1]
    assert found.curve[-1].error == pytest.approx(1 - info.figures["held_out"]["accuracy"], abs=1e-6)

import time
from collections.abc import Sequence
from typing import Any

import pytest

from contract.records import Prediction, Row, Scored
from inference.batching import predict_in_batches, probe
from inference.training import Trained
from tests.inference import data


class Paced:
    """Takes a fixed time per batch, and more per row beyond `wide`."""

    labels = ("a", "b")
    version = "1"
    modality: Any = "tabular"
    background: Sequence[Row] = ()

    def __init__(self, wide: int) -> None:
        self.wide = wide
        self.sizes: list[int] = []

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        self.sizes.append(len(rows))
        time.sleep(0.004 + max(0, len(rows) - self.wide) * 0.001)
        return [Prediction(self.labels, (float(row["n"]), 0.0)) for row in rows]


def test_best_throughput_wins() -> None:
    assert probe(Paced(wide=64), [{"n": 1}]) == 64


def test_budget_is_kept() -> None:
    begun = time.monotonic()
    probe(Paced(wide=8), [{"n": 1}], budget_seconds=0.2)
    assert time.monotonic() - begun < 1


def test_order_is_kept_over_batches() -> None:
    paced = Paced(wide=64)
    answers = predict_in_batches(paced, [{"n": n} for n in range(23)], 10)
    assert [answer.probabilities[0] for answer in answers] == list(range(23))  # type: ignore[union-attr]
    assert paced.sizes == [10, 10, 3]
    assert predict_in_batches(paced, [], 10) == []


def test_what_makes_no_batch() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        predict_in_batches(Paced(1), [{"n": 1}], 0)
    with pytest.raises(ValueError, match="at least one row"):
        probe(Paced(1), [])


def test_real_model_is_probed_within_its_budget(models: dict[str, Trained]) -> None:
    _, (rows, _) = data.digits()
    begun = time.monotonic()
    assert probe(models["torch-cnn"].predictor, rows[:64], budget_seconds=1.0) >= 8
    assert time.monotonic() - begun < 5

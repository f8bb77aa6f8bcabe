"""A small seeded part of the figures of docs/benchmarks.md: the error by closed rows and their weights is the true one."""

import numpy as np
import pytest

from contract.records import Prediction
from tests.benchmarks import rounds

TRIES = 3


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> rounds.Stored:
    """Two labels; the surest half errs in 4 of 100 cases, the others in 30."""
    monkeypatch.setitem(rounds.AT_LEAST, "made up", 0.9)
    monkeypatch.setattr(rounds, "LOADS", 3)
    rng = np.random.default_rng(5)
    sure = np.where(np.arange(2_000) % 2, 0.97, 0.6)
    wrong = rng.random(2_000) < np.where(sure > 0.9, 0.04, 0.3)
    answers = [Prediction(("no", "yes"), (1 - share, share)) for share in sure.tolist()]
    return rounds.Stored("made up", ("no", "yes"), answers, ["no" if each else "yes" for each in wrong])


def test_closed_rows_tell_the_error_and_the_queue_does_not(made_up: rounds.Stored) -> None:
    tries = [rounds.cover(made_up, seed) for seed in range(TRIES)]
    true, said = made_up.wrong, np.array([each["weighted"] for each in tries])
    assert np.sum((said[:, 1] <= true) & (true <= said[:, 2])) >= TRIES - 1
    assert abs(said[:, 0].mean() - true) < 0.05
    assert np.mean([each["queue"] for each in tries]) > true + 0.08
    assert np.mean([each["labels"] for each in tries]) > true + 0.05
    assert all(each["closed"] < each["rows"] for each in tries), "what people left open must have no weight"


def test_the_tables_and_the_picture_say_what_was_found() -> None:
    arms = {"unweighted": [0.5, 0.6, 0.7, 0.8], "weighted": [0.5, 0.61, 0.69, 0.8], "random": [0.5, 0.55, 0.6, 0.7]}
    runs = [{"set": "adult", "seed": seed, "arrived": 9, **arms} for seed in range(2)]
    told = list(rounds.tables(runs))
    assert "| `adult`, 2 seeds | 0 | 50.0 % | 50.0 % | 50.0 % |  |  |" in told
    assert "|  | 500 | 60.0 % | 61.0 % | 55.0 % | +1.0 (+1.0 to +1.0) | +5.0 (+5.0 to +5.0) |" in told
    tries = [{"set": "adult", "true": 0.2, "weighted": [0.2, low, 0.3], "labels": 0.3, "queue": 0.4} for low in (0.1, 0.25)]
    assert "| `adult` | 2 | 20.0% | 20.0% | 1 (50.0%) | 6.2 points | 30.0% | 40.0% |" in list(rounds.tables(tries))
    drawn = rounds.curves.picture(runs)
    assert drawn.startswith("<svg ")
    assert drawn.count("<polyline") == 3

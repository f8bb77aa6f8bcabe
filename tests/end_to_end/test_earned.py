"""A deployment on real data through the product itself, in small: API in, known answers at the desk, an owner who signs."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import earned


@pytest.mark.slow
def test_a_run_on_real_data_keeps_its_promise_and_counts_its_cost(shared_data: Path) -> None:
    data = earned.sms_spam()
    with earned.prepared("sms_spam", data) as held:
        assert len(held.traffic.labels) == len(data.rows) - data.learn - data.aside
        found = earned.run(held, 0.05, 0, arrive=900, loads=15)
    assert found["arrived"] == 900
    assert 0 < found["first_labels"] < found["labels"] <= 1000
    assert 0 < found["acted"] < 900
    assert found["last_fifth"] > 0.05
    assert not found["above"]
    assert found["acted_wrong"] / found["acted"] <= 0.05
    assert next(step[1:3] for step in found["steps"]) == ["assist", "audited"]
    assert "sms_spam` | 5% | 1 |" in "\n".join(earned.table([found]))
    assert earned.ever_above([found]).startswith("0 of 1 runs ever let something act above its target")


SURE = np.array([0.9, 0.9, 0.9, 0.8, 0.8, 0.7, 0.6])
WRONG = np.array([False, False, False, False, False, True, True])


@pytest.mark.parametrize(("error", "threshold"), [(0.3, 0.6), (0.2, 0.7), (0.1, 0.75), (0.0, 0.75)])
def test_a_split_names_the_lowest_threshold_that_errs_at_most_so_often(error: float, threshold: float) -> None:
    found = earned.validated(SURE, WRONG, [0.6, 0.7, 0.75, 0.85], error, earned.VALIDATED["estimate"])
    assert found == threshold


def test_its_exact_limit_asks_for_more() -> None:
    grid = [0.6, 0.7, 0.75, 0.85]
    assert earned.validated(SURE, WRONG, grid, 0.3, earned.VALIDATED["limit"]) is None  # 5 without an error: up to 45 %
    assert earned.validated(SURE, WRONG, grid, 0.46, earned.VALIDATED["limit"]) == 0.75


def test_what_reaches_a_threshold_is_all_that_counts() -> None:
    traffic = earned.Traffic([{}] * 7, ["x"] * 7, SURE, WRONG)
    assert traffic.error(0.7) == pytest.approx(1 / 6)
    assert traffic.error(0.95) == 0.0
    assert traffic.coverage(0.8) == pytest.approx(5 / 7)
    assert traffic.coverage(None) == 0.0

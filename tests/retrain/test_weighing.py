import numpy as np
import pytest

from retrain.examples import Examples
from retrain.weighing import weigh


def held(*weights: float | None, arrived: tuple[bool, ...] = ()) -> Examples:
    return Examples(({},) * len(weights), ("a",) * len(weights), weights, arrived=arrived)


def test_without_weights_every_row_weighs_the_same() -> None:
    assert weigh(held(1.0, 20.0), "none") == (None, {"how": "none"})
    assert weigh(held(), "full") == (None, {"how": "none"})


def test_weights_keep_their_ratio_and_have_the_mean_one() -> None:
    shares, told = weigh(held(1.0, 4.0, None), "full")
    assert shares == pytest.approx([0.5, 2.0, 0.5])
    assert (told["weighted"], told["cut"], told["largest"]) == (2, 0, pytest.approx(2.0))
    assert told["effective"] == pytest.approx(9 / 4.5)
    rooted, _ = weigh(held(1.0, 4.0, None), "sqrt")
    assert rooted == pytest.approx([0.75, 1.5, 0.75])


def test_an_item_whose_chance_is_not_known_weighs_the_mean_and_a_row_that_came_one() -> None:
    shares, told = weigh(held(1.0, 5.0, None, None, arrived=(True, True, True, False)), "full")
    assert shares == pytest.approx([0.4, 2.0, 1.2, 0.4])
    assert told["weighted"] == 2
    assert weigh(held(None, None, arrived=(True, False)), "full")[0] == [1.0, 1.0]


def test_the_largest_hundredth_is_cut_and_told() -> None:
    shares, told = weigh(held(*[1.0] * 198, 2.0, 1000.0), "full")
    assert shares is not None
    assert (told["cut"], told["cut_at"]) == (2, 1.0)
    assert np.ptp(shares) == 0

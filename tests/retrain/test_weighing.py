import numpy as np
import pytest

from retrain.examples import Examples
from retrain.weighing import weigh


def held(*weights: float | None, least: tuple[float, ...] = ()) -> Examples:
    return Examples(({},) * len(weights), ("a",) * len(weights), weights, least=least)


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


def test_an_open_row_weighs_the_least_that_it_can() -> None:
    shares, told = weigh(held(1.0, None, None, least=(1.0, 10.0, 1.0)), "full")
    assert shares == pytest.approx([0.25, 2.5, 0.25])
    assert told["weighted"] == 1


def test_the_largest_hundredth_is_cut_and_told() -> None:
    shares, told = weigh(held(*[1.0] * 198, 2.0, 1000.0), "full")
    assert shares is not None
    assert (told["cut"], told["cut_at"]) == (2, 1.0)
    assert np.ptp(shares) == 0

import numpy as np
import pytest

from explain.draws import pairs


@pytest.mark.parametrize("rows", [1, 2, 3, 33, 64, 65, 100, 2000])
@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**32 - 1])
def test_they_are_numpys(seed: int, rows: int) -> None:
    state = np.random.RandomState(seed)
    due = [(state.choice(rows), state.uniform()) for _ in range(700)]
    chosen, shares = pairs(seed, 700, rows)
    assert list(zip(chosen.tolist(), shares.tolist(), strict=True)) == due


def test_fewer_are_the_first_of_more() -> None:
    few, many = pairs(5, 200, 63), pairs(5, 3200, 63)
    assert (few[0] == many[0][:200]).all()
    assert (few[1] == many[1][:200]).all()


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(3)
    due = np.random.rand()
    np.random.seed(3)
    pairs(11, 50, 10)
    assert np.random.rand() == due

import numpy as np
import pytest

from explain.explainer import seed_for
from explain.randomness import seeded


def test_the_global_generator_is_put_back() -> None:
    np.random.seed(5)
    due = np.random.rand()
    np.random.seed(5)
    with seeded(1):
        first = np.random.rand(3)
    assert np.random.rand() == due
    with seeded(1):
        assert (np.random.rand(3) == first).all()


def test_the_global_generator_is_put_back_after_an_error() -> None:
    np.random.seed(5)
    due = np.random.rand()
    np.random.seed(5)
    with pytest.raises(KeyError), seeded(1):
        raise KeyError
    assert np.random.rand() == due


def test_seeds_of_items() -> None:
    seeds = {seed_for(str(item)) for item in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_for("7") == 1015100621

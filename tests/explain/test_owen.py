import numpy as np
import pytest

from explain.halves import halves
from explain.owen import Shared, Tree, shared

FOUR = Tree(4, ((0, 1), (2, 3), (4, 5)))


def found(tree: Tree, evaluations: int, answer) -> tuple[Shared, list[np.ndarray]]:
    """Runs the search with `answer`, and what it asked for."""
    search = shared(tree, evaluations, 3, lambda shown: shown, lambda answers: 2 * answers)
    asked = [next(search)]
    try:
        while True:
            asked.append(search.send(answer(asked[-1].astype(float))))
    except StopIteration as end:
        return end.value, asked


def test_what_is_linear_is_shared_as_it_is() -> None:
    weights = np.array([1.0, -2.0, 0.5, 0.0])
    result, _ = found(FOUR, 100, lambda shown: shown @ weights + 1)
    np.testing.assert_allclose(result.values, 2 * weights, atol=1e-12)
    assert (result.base, result.whole) == (2.0, pytest.approx(1.0))


def test_what_two_give_together_is_halved_and_no_coalition_is_asked_twice() -> None:
    result, asked = found(FOUR, 100, lambda shown: shown[:, 1] * shown[:, 3])
    np.testing.assert_allclose(result.values, [0, 1, 0, 1], atol=1e-12)
    every = [tuple(each) for batch in asked for each in batch.tolist()]
    assert len(every) == len(set(every)) == len(result.seen)


def test_neighbours_share_what_there_are_no_evaluations_for() -> None:
    result, _ = found(FOUR, 4, lambda shown: shown @ np.array([4.0, 0.0, 0.0, 2.0]))
    np.testing.assert_allclose(result.values, [4, 4, 2, 2], atol=1e-12)


def test_one_leaf_takes_all() -> None:
    result, asked = found(Tree(1, ()), 100, lambda shown: shown[:, 0] * 3)
    assert (result.values.tolist(), result.base, len(asked)) == ([6.0], 0.0, 1)


def test_wide_trees_are_told_apart_by_more_than_64_leaves() -> None:
    weights = np.arange(100.0)
    result, _ = found(halves(10, 10), 30_000, lambda shown: shown @ weights)
    np.testing.assert_allclose(result.values, 2 * weights, atol=1e-9)

import numpy as np

from explain.kept import Kept


def test_what_was_drawn_is_drawn_once() -> None:
    kept = Kept(1000)
    first = kept.of(("a", 1), lambda: np.zeros(10))
    assert kept.of(("a", 1), lambda: np.ones(10)) is first
    assert kept.of(("a", 2), lambda: np.ones(10))[0] == 1


def test_the_longest_unused_go_first_and_the_bound_holds() -> None:
    kept = Kept(250)
    for name in "abcd":
        kept.of(name, lambda: np.zeros(10))
        kept.of("a", lambda: np.ones(10))
    assert kept.held == 240
    assert kept.of("a", lambda: np.ones(10))[0] == 0
    assert kept.of("c", lambda: np.ones(10))[0] == 0
    assert kept.of("b", lambda: np.ones(10))[0] == 1


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    kept = Kept(100)
    assert len(kept.of("large", lambda: np.zeros(50))) == 50
    assert kept.held == 0

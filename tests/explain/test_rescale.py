import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.inside import Last
from explain.rescale import multipliers

LABELS = ("a", "b", "c", "d")
Score = st.floats(-200, 200, allow_nan=False)


@given(
    scores=st.lists(st.tuples(*[Score] * 6), min_size=1, max_size=5),
    known=st.sampled_from([(0, 1, 2), (0, 2, 3), (1, 2, 3)]),
    temperature=st.floats(0.5, 5),
    label=st.sampled_from(LABELS),
)
def test_weighted_moves_of_the_scores_add_up(
    scores: list[tuple[float, ...]], known: tuple[int, ...], temperature: float, label: str
) -> None:
    last = Last(LABELS, known, temperature, 1e-6)
    held = np.array(scores)
    one, other = held[:, :3], held[:, 3:]
    moved = (multipliers(last, one, other, label) * (one - other)).sum(axis=1)
    np.testing.assert_allclose(moved, last.log_odds(one, label) - last.log_odds(other, label), atol=1e-8)


def test_of_two_known_labels_they_are_what_the_scores_count_for() -> None:
    last = Last(("no", "yes"), (0, 1), 2.0)
    scores = np.random.default_rng(0).normal(size=(6, 2))
    np.testing.assert_allclose(multipliers(last, scores[:3], scores[3:], "yes"), np.tile([-0.5, 0.5], (3, 1)), atol=1e-12)
    assert last.straight


def test_the_same_scores_have_the_slope() -> None:
    last = Last(("a", "b", "c"), (0, 1, 2))
    scores = np.array([[0.3, -1.0, 2.0]])
    step = np.eye(3) * 1e-6
    slope = [(last.log_odds(scores + each, "b") - last.log_odds(scores - each, "b"))[0] / 2e-6 for each in step]
    np.testing.assert_allclose(multipliers(last, scores, scores, "b")[0], slope, atol=1e-6)


def test_a_label_without_a_score_and_scores_beyond_all_measure() -> None:
    last = Last(("a", "b", "c"), (0, 1), 1.0, 1e-6)
    assert not multipliers(last, np.ones((2, 2)), np.zeros((2, 2)), "c").any()
    far = multipliers(last, np.array([[900.0, -900.0]]), np.array([[-900.0, 900.0]]), "a")
    assert np.isfinite(far).all()
    with pytest.raises(ValueError, match="not in tuple"):
        multipliers(last, np.ones((1, 2)), np.ones((1, 2)), "d")

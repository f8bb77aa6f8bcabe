"""Bets on the difference of two models: their level, their power, their limits, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_queue import duel
from review_queue.duel import Cell


def counted(rng: np.random.Generator, n: int, differ: float, worse: float, p: float = 1.0, *, looked: bool = False) -> list[Cell]:
    """`n` cases of which a share `differ` is right by one model alone, and `worse` more by the old one."""
    lost, won = rng.binomial(n, (differ + worse) / 2), rng.binomial(n, (differ - worse) / 2)
    seen, gone = rng.binomial(lost, p), rng.binomial(won, p)
    ties = rng.binomial(n - lost - won, p) if looked else n - seen - gone
    return [Cell(p, p, 1, seen), Cell(p, p, -1, gone), Cell(p, p, 0, ties)]


@pytest.mark.parametrize("p", [1.0, 0.25])
@pytest.mark.parametrize("looked", [False, True])
def test_what_is_worse_by_the_margin_is_let_through_at_the_rate_said(p: float, looked: bool) -> None:
    rng = np.random.default_rng(5)
    tries = [duel.log_e(counted(rng, 800, 0.1, 0.02, p, looked=looked), 0.02, looked=looked) for _ in range(600)]
    assert np.mean(np.array(tries) >= math.log(20)) <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
    assert np.mean(np.exp(tries)) < 1.5


def test_looked_at_after_every_case_it_still_holds() -> None:
    rng, n, margin, differ = np.random.default_rng(6), 1000, 0.02, 0.2
    d = rng.choice([1, -1, 0], size=(400, n), p=[(differ + margin) / 2, (differ - margin) / 2, 1 - differ])
    stakes = np.geomspace(duel.LEAST_SHARE, duel.MOST_SHARE, duel.BETS) / (1 - margin)
    ever = [(np.exp(np.cumsum(np.log1p(stakes * (margin - row)[:, None]), axis=0)).mean(axis=1) >= 20).any() for row in d]
    assert np.mean(ever) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_what_is_better_is_seen_and_what_is_worse_is_told() -> None:
    rng = np.random.default_rng(7)
    better, worse = counted(rng, 2000, 0.15, -0.06), counted(rng, 2000, 0.15, 0.06)
    assert duel.log_e(better, 0.002) > math.log(20) > duel.log_e_worse(better, 0.01)
    assert duel.log_e_worse(worse, 0.01) > math.log(20) > duel.log_e(worse, 0.002)


def test_a_case_is_worth_what_a_bet_makes_of_it() -> None:
    """One case by hand: the mean over the stakes of 1 + stake * (margin - d / p)."""
    p, margin = 0.5, 0.1
    stakes = np.geomspace(duel.LEAST_SHARE, duel.MOST_SHARE, duel.BETS) / (1 / p - margin)
    for d in (1, -1, 0):
        assert duel.log_e([Cell(p, p, d, 1)], margin) == pytest.approx(math.log(np.mean(1 + stakes * (margin - d / p))))


def test_a_case_that_nobody_can_look_at_counts_against_the_new_model() -> None:
    fair = [Cell(1.0, 1.0, -1, 60), Cell(1.0, 1.0, 0, 400)]
    assert duel.log_e(fair, 0.01) > math.log(20)
    assert duel.log_e([*fair, Cell(1.0, 1.0, 1, 60, assumed=True)], 0.01) < math.log(20)


def test_the_limits_hold_the_truth_and_close_in_on_it() -> None:
    rng, inside, widths = np.random.default_rng(8), 0, []
    for n in (500, 5000) * 40:
        cells = counted(rng, n, 0.1, -0.03)
        low, high = duel.lower(cells, 0.05), duel.upper(cells, 0.05)
        inside += low <= -0.03 <= high
        widths.append(high - low)
    assert inside >= 75
    assert max(widths[1::2]) < min(widths[::2])
    mean, error = duel.estimate(counted(rng, 100_000, 0.1, -0.03, 0.5)) or (0.0, 0.0)
    assert abs(mean + 0.03) < 4 * error < 0.02


def test_enough_to_tell_looks_at_no_answer() -> None:
    won = [Cell(1.0, 1.0, -1, 500), Cell(1.0, 1.0, 1, 0), Cell(1.0, 1.0, 0, 9500)]
    lost = [Cell(1.0, 1.0, -1, 0), Cell(1.0, 1.0, 1, 500), Cell(1.0, 1.0, 0, 9500)]
    assert duel.chance(won, 0.01, 0.05) == duel.chance(lost, 0.01, 0.05)
    assert duel.chance(won, 0.05, 0.05) > 0.9 > duel.chance(won, 0.002, 0.05)


def test_the_chance_of_an_equal_model_is_that_of_equal_models() -> None:
    rng = np.random.default_rng(9)
    passed = np.mean([duel.log_e(counted(rng, 3000, 0.1, 0.0), 0.02) >= math.log(20) for _ in range(300)])
    assert duel.chance(counted(rng, 3000, 0.1, 0.0), 0.02, 0.05) == pytest.approx(passed, abs=0.12)


def test_how_much_more_it_takes() -> None:
    cells = [Cell(1.0, 1.0, -1, 30), Cell(1.0, 1.0, 1, 20), Cell(1.0, 1.0, 0, 450)]
    times = duel.further(cells, 0.0, 0.05)
    assert times is not None
    grown = [Cell(1.0, 1.0, cell.d, cell.n * times * 1.001) for cell in cells]
    assert duel.log_e(cells, 0.0) < math.log(20) <= duel.log_e(grown, 0.0)
    assert duel.further([Cell(1.0, 1.0, 1, 30), Cell(1.0, 1.0, 0, 100)], 0.0, 0.05) is None


_CELLS = st.lists(
    st.builds(
        lambda p_min, more, d, n: Cell(p_min, min(p_min + more, 1.0), d, n),
        st.floats(0.01, 1.0), st.floats(0.0, 0.5), st.sampled_from([-1, 0, 1]), st.integers(0, 300),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(_CELLS, st.floats(-0.5, 0.5), st.booleans())
def test_order_and_splitting_change_nothing_and_a_wider_margin_is_refuted_sooner(
    cells: list[Cell], margin: float, looked: bool
) -> None:
    whole = duel.log_e(cells, margin, looked=looked)
    assert math.isfinite(whole)
    assert duel.log_e(cells[::-1], margin, looked=looked) == whole
    halves = [Cell(cell.p_min, cell.p, cell.d, cell.n / 2) for cell in cells for _ in range(2)]
    assert duel.log_e(halves, margin, looked=looked) == pytest.approx(whole, abs=1e-6)
    assert duel.log_e(cells, margin + 0.1, looked=looked) >= whole - 1e-9
    assert duel.log_e_worse(cells, margin + 0.1, looked=looked) <= duel.log_e_worse(cells, margin, looked=looked) + 1e-9


@pytest.mark.parametrize("bad", [{"p": 0.0}, {"p": 0.1}, {"p": 1.5}, {"d": 2}, {"n": -1}, {"n": math.inf}, {"p_min": 0.0}])
def test_what_is_no_evidence_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are no evidence"):
        Cell(**{"p_min": 0.5, "p": 0.5, "d": 0, "n": 1, **bad})


def test_what_is_no_margin_and_no_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="no difference between two shares"):
        duel.log_e([], 1.0)
    with pytest.raises(ValueError, match="no chance of being wrong"):
        duel.line(0.0)
    assert duel.log_e([], 0.1) == pytest.approx(0.0)
    assert duel.estimate([]) is None

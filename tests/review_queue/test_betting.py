"""Bets: golden values, the same by other ways, what holds of every count, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from review_queue import betting, exact
from review_queue.betting import Group
from tests.review_queue.naive import selective_guarantee

ALPHA, DELTA = 0.01, 0.05


def looked_at(errors: int, n: int, p: float = 1.0, stage: int = 0, p_min: float | None = None) -> list[Group]:
    least = p if p_min is None else p_min
    return [Group(stage, least, p, True, errors), Group(stage, least, p, False, n - errors)]


WORKED = [*looked_at(3, 9_300, 0.1), *looked_at(11, 1_200, 1.0, p_min=0.1)]
"""9,300 cases of which a tenth is spot-checked, 3 errors found; 1,200 of the band below, all reviewed, 11 errors."""


@pytest.mark.parametrize(("errors", "n", "e"), [(0, 377, 20.04), (5, 1_500, 29.98)])
def test_e_values_in_closed_form(errors: int, n: int, e: float) -> None:
    assert math.exp(betting.log_e_counts(errors, n, ALPHA)) == pytest.approx(e, abs=0.005)


@pytest.mark.parametrize(
    ("errors", "n", "alpha"), [(0, 1, 0.3), (0, 377, 0.01), (5, 1_500, 0.01), (90, 2_000, 0.01), (7, 7, 0.9)]
)
def test_the_closed_form_is_that_of_scipy(errors: int, n: int, alpha: float) -> None:
    a, b = errors + 0.5, n - errors + 1
    part = stats.beta.logcdf(alpha, a, b)
    likelihood = errors * math.log(alpha) + (n - errors) * math.log1p(-alpha)
    by_scipy = math.log(0.5) - 0.5 * math.log(alpha) + special.betaln(a, b) + part - likelihood
    assert betting.log_e_counts(errors, n, alpha) == pytest.approx(by_scipy, abs=1e-7)


def test_the_anytime_limit() -> None:
    assert round(betting.upper_counts(3, 900, DELTA), 5) == 0.01198
    assert betting.upper_counts(0, 0, DELTA) == 1.0


@pytest.mark.parametrize(("errors", "n"), [(0, 377), (5, 1_500), (3, 900)])
def test_looking_at_all_gives_the_closed_form(errors: int, n: int) -> None:
    assert betting.log_e(looked_at(errors, n), ALPHA) == pytest.approx(betting.log_e_counts(errors, n, ALPHA), abs=1e-4)


def test_the_worked_example() -> None:
    share, error = betting.estimate(WORKED) or (0.0, 0.0)
    assert share == pytest.approx((3 / 0.1 + 11) / 10_500)
    assert error == pytest.approx(math.sqrt(3 * 0.9 / 0.1**2 / 10_500**2 + share * (1 - share) / 10_500))
    assert math.exp(betting.log_e(WORKED, ALPHA)) == pytest.approx(7.6, abs=0.05)
    low, high = betting.lower(WORKED, DELTA), betting.upper(WORKED, DELTA)
    assert 0 < low < share < ALPHA < high  # not yet: 20 are needed


def test_limits_are_where_the_bets_reach_their_line() -> None:
    low, high = betting.lower(WORKED, DELTA), betting.upper(WORKED, DELTA)
    assert betting.log_e(WORKED, high) == pytest.approx(math.log(1 / DELTA), abs=1e-6)
    assert betting.log_e_above(WORKED, low) == pytest.approx(math.log(1 / DELTA), abs=1e-6)


@pytest.mark.parametrize("groups", [WORKED, looked_at(0, 200), looked_at(4, 4), looked_at(2, 40, 0.05, p_min=0.02)])
def test_evidence_moves_one_way_with_the_claim(groups: list[Group]) -> None:
    claims = np.geomspace(1e-4, 0.999, 300)
    below = [betting.log_e(groups, float(alpha)) for alpha in claims]
    above = [betting.log_e_above(groups, float(alpha)) for alpha in claims]
    assert (np.diff(below) >= -1e-9).all()
    assert (np.diff(above) <= 1e-9).all()


def test_the_order_of_rows_is_nothing() -> None:
    stages = [*WORKED, *looked_at(2, 4_000, 0.05, stage=1), *looked_at(4, 300, 1.0, stage=1, p_min=0.05)]
    orders = itertools.islice(itertools.permutations(stages), 0, 40_000, 1_000)
    first = betting.log_e(stages, ALPHA)
    assert all(betting.log_e(order, ALPHA) == pytest.approx(first, abs=1e-9) for order in orders)
    split = [Group(g.stage, g.p_min, g.p, g.error, part) for g in stages for part in (g.n // 2, g.n - g.n // 2)]
    assert betting.log_e(split, ALPHA) == pytest.approx(first, abs=1e-9)


@pytest.mark.parametrize(("p_min", "p"), [(1.0, 1.0), (0.25, 0.25), (0.25, 1.0), (0.05, 0.05), (0.05, 0.3)])
def test_a_bet_is_fair_where_the_claim_is_just_true(p_min: float, p: float) -> None:
    """Its mean over one case is 1 at R = alpha, whatever the chance of a look."""
    wrong, right = np.array([1 / p]), np.array([0.0])
    for factors in (betting.bets, betting.bets_above):
        mean = p * ALPHA * np.exp(factors(ALPHA, np.array([p_min]), wrong))
        mean += (1 - p * ALPHA) * np.exp(factors(ALPHA, np.array([p_min]), right))
        assert mean == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("errors", "n"), [(0, 377), (1, 663), (2, 883), (3, 1_079), (5, 1_436), (10, 2_234), (20, 3_666)])
def test_spot_checks_until_a_certificate(errors: int, n: int) -> None:
    assert betting.needed(ALPHA, DELTA, errors) == n
    assert betting.log_e_counts(errors, n - 1, ALPHA) < math.log(1 / DELTA) <= betting.log_e_counts(errors, n, ALPHA)


MEDIANS = [
    *((0.005, share, n, late) for share, n, late in [(0.1, 756, 1_769), (0.25, 1_329, 3_212), (0.5, 3_856, 9_756)]),
    *((0.01, share, n, late) for share, n, late in [(0.1, 377, 883), (0.25, 663, 1_604), (0.5, 1_925, 4_742)]),
    *((0.02, share, n, late) for share, n, late in [(0.1, 188, 440), (0.25, 330, 800), (0.5, 960, 2_366)]),
    *((0.05, share, n, late) for share, n, late in [(0.1, 74, 174), (0.25, 131, 317), (0.5, 381, 941)]),
]


@pytest.mark.parametrize(("alpha", "share", "median", "late"), MEDIANS)
def test_the_wait_for_a_certificate(alpha: float, share: float, median: int, late: int) -> None:
    assert betting.needed_at(alpha, DELTA, share) == median
    assert betting.needed_at(alpha, DELTA, share, 0.9) == late
    assert betting.needed_at(alpha, DELTA, 0.0) == betting.needed(alpha, DELTA)


def test_the_wait_beside_the_claim() -> None:
    assert (betting.needed_at(ALPHA, DELTA, 0.75, 0.44) or 0) == pytest.approx(90 / ALPHA, rel=0.05)
    assert betting.needed_at(ALPHA, DELTA, 1.0) is None


@pytest.mark.parametrize(("missed", "n"), [(0.05, 31), (0.10, 68), (0.15, 172)])
def test_known_errors_until_people_are_held_to_see_them(missed: float, n: int) -> None:
    assert betting.needed_at(0.25, 0.01, missed / 0.25) == n
    assert betting.vigilance(0, betting.needed(0.25, 0.01), 0.25) >= math.log(100)


def test_a_new_model_against_the_old() -> None:
    assert math.exp(betting.mcnemar(12, 30)) == pytest.approx(18.4, abs=0.05)
    by_scipy = 43 * math.log(2) + special.betaln(31, 13) + math.log(special.betaincc(31, 13, 0.5))
    assert betting.mcnemar(12, 30) == pytest.approx(by_scipy, abs=1e-9)
    assert betting.mcnemar(30, 12) < 0 == pytest.approx(betting.mcnemar(0, 0), abs=1e-12)


def test_a_family_holds_together() -> None:
    line = [math.log(each) for each in (61, 5, 41, 19)]
    assert betting.e_holm(line[:1], DELTA) == {0}
    assert betting.e_holm(line, DELTA) == set()  # the best of four needs 80
    assert betting.e_holm([math.log(90), *line], DELTA) == set()  # of five 100
    assert betting.e_holm([math.log(121), math.log(101), *line], DELTA) == {0, 1}
    assert betting.e_holm([math.log(41), math.log(61)], DELTA) == {0, 1}
    assert betting.e_holm([], DELTA) == set()


def test_the_detector_day_by_day() -> None:
    """Against its definition, a rate at a time."""
    days, rates = [(0, 10), (1, 12), (0, 0), (3, 9)], [0.015, 0.02, 0.03, 0.05, 0.1]
    held, seen = dict.fromkeys(rates, 0.0), []
    for k, n in days:
        held = {p: (m + 1) * (p / ALPHA) ** k * ((1 - p) / (1 - ALPHA)) ** (n - k) for p, m in held.items()}
        seen.append(sum(held.values()) / len(rates))
    assert betting.detector(days, ALPHA) == pytest.approx(seen)
    assert betting.detector([(10_000, 10_000)], ALPHA)[0] > 1e300


@pytest.mark.parametrize(("times", "n"), [(2, 788), (3, 340), (5, 134), (10, 54)])
def test_spot_checks_until_the_detector_sees_it(times: int, n: int) -> None:
    """The median with a restart at each check and the line at 10,000; 2,000 seeded runs."""
    wrong = np.random.default_rng(times).random((4 * n, 2_000)) < times * ALPHA
    held, at = np.full((2_000, 5), -np.inf), np.full(2_000, np.inf)
    for count, each in enumerate(wrong.astype(float), start=1):
        held = betting.detect(held, each, np.ones(2_000), ALPHA)
        at[(np.exp(held).mean(axis=1) >= 10_000) & np.isinf(at)] = count
    assert np.median(at) == pytest.approx(n, rel=0.08)


def test_spot_checks_at_the_floor() -> None:
    assert betting.floor_rate(0.01, 200, 0.0) == pytest.approx(134 / 2_800)
    assert betting.floor_rate(0.01, 200, 0.05) == 0.05
    assert betting.floor_rate(0.01, 5, 0.05) == betting.floor_rate(0.01, 0, 0.05) == 1.0


def promoted(bounds: list[int], rate: float, last: int) -> float:
    """Chance that errors at `rate` are ever few enough: at most k among the first bounds[k] looked at, up to `last`. Exact."""
    at, waiting, reached = 0, np.ones(1), 0.0
    for errors, bound in enumerate(bounds):
        if bound > last:
            break
        waiting = np.convolve(waiting, stats.binom.pmf(np.arange(bound - at + 1), bound - at, rate))[: len(bounds)]
        reached, at = reached + waiting[errors], bound
        waiting[errors] = 0.0
    return reached


def test_looking_again_and_again_is_what_the_bets_are_for() -> None:
    """At R = alpha, at every check up to 30 times those that one look needs: a limit for one look promotes in 26.9 %."""
    first = math.ceil(math.log(DELTA) / math.log(1 - ALPHA))
    counts = np.arange(1, 40 * first)
    peeking = [int(counts[np.argmax(stats.binom.cdf(k, counts, ALPHA) <= DELTA)]) for k in range(80)]
    assert all(exact.upper(k, n, DELTA) <= ALPHA < exact.upper(k, n - 1, DELTA) for k, n in enumerate(peeking[:20]))
    assert peeking[0] == first == 299
    assert promoted(peeking, ALPHA, 30 * first) == pytest.approx(0.269, abs=0.002)
    assert promoted([betting.needed(ALPHA, DELTA, k) for k in range(80)], ALPHA, 30 * first) == pytest.approx(0.043, abs=0.002)


def test_known_errors_seldom_prove_people_who_miss_too_many() -> None:
    bounds = [betting.needed(0.25, 0.01, k) for k in range(400)]
    assert promoted(bounds, 0.25, bounds[-1]) == pytest.approx(0.008, abs=0.001)


def test_the_printed_selective_classifier() -> None:
    """Geifman and El-Yaniv 2017 as rerun: 4,205 of 5,000 kept, 51 of them wrong, 13 steps at 0.001."""
    confidence = np.arange(5_000)[::-1] / 5_000
    wrong = np.zeros(5_000, dtype=bool)
    wrong[np.linspace(3_700, 4_204, 51).astype(int)] = True
    wrong[4_205:] = True
    threshold, bound = selective_guarantee(confidence, wrong, 0.02, 0.001)
    kept = confidence >= threshold
    assert (kept.sum(), wrong[kept].sum()) == (4_205, 51)
    assert round(bound, 4) == 0.0199


@pytest.mark.parametrize(("p_min", "p", "n"), [(0.0, 0.5, 3), (0.2, 0.1, 3), (0.5, 1.2, 3), (0.5, 0.5, -1), (math.nan, 0.5, 1)])
def test_a_group_without_a_chance_is_refused(p_min: float, p: float, n: int) -> None:
    with pytest.raises(ValueError, match="is no evidence"):
        Group(0, p_min, p, True, n)


def test_nothing_says_nothing() -> None:
    assert betting.log_e([], ALPHA) == betting.log_e_above([], ALPHA) == 0.0
    assert (betting.lower([], DELTA), betting.upper([], DELTA), betting.estimate([])) == (0.0, 1.0, None)
    assert betting.detector([], ALPHA) == []
    assert betting.log_e([Group(0, 0.1, 0.1, True, 0)], ALPHA) == 0.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_what_is_no_share_is_refused(alpha: float) -> None:
    for call in (betting.log_e, betting.log_e_above, betting.upper, betting.lower, betting.detector):
        with pytest.raises(ValueError, match="no share"):
            call([(1, 2)] if call is betting.detector else WORKED, alpha)
    with pytest.raises(ValueError, match="no share"):
        betting.needed(alpha, DELTA)


@pytest.mark.parametrize(("errors", "n"), [(-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_refused(errors: int, n: int) -> None:
    for call in (lambda: betting.log_e_counts(errors, n, ALPHA), lambda: betting.detector([(errors, n)], ALPHA)):
        with pytest.raises(ValueError, match="no count of errors"):
            call()
    with pytest.raises(ValueError, match="no error that could be refuted"):
        betting.needed_at(ALPHA, DELTA, 200.0)

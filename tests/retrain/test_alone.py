"""What could act alone: the exact numbers, the promise over many draws, what small, tied and broken samples give."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import binom

from retrain import alone as module
from retrain.alone import Alone, alone, interval, p_values, passed, upper

DRAWS = 600
SPLITS = 0.001
"""What Geifman and El-Yaniv (2017) spend in all; each of their ceil(log2 m) steps gets an equal part."""

# Golden values: SGR, half of the test set chooses (m rows), with the bound of their Lemma 3.1.
SGR = [
    (5000, 0.0079, 0.7822, 0.0148),
    (5000, 0.0160, 0.8482, 0.0246),
    (5000, 0.0260, 0.8988, 0.0362),
    (5000, 0.0454, 0.9610, 0.0578),
    (5000, 0.0119, 0.2010, 0.0308),
    (5000, 0.0425, 0.4286, 0.0614),
    (5000, 0.0927, 0.5736, 0.1148),
    (5000, 0.1872, 0.7650, 0.2120),
    (25000, 0.0462, 0.4292, 0.0544),
    (25000, 0.0181, 0.5360, 0.0229),
]


def drawn(error: Callable[[Any], Any], n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Confidences 1 - u, u uniform, and errors with the probability `error(u)`."""
    u = rng.random(n)
    return 1 - u, rng.random(n) < error(u)


def test_the_limit_of_a_run_that_others_published() -> None:
    assert upper(51, 4205, SPLITS / 13) == pytest.approx(0.0199, abs=5e-5)


@pytest.mark.parametrize(("m", "risk", "coverage", "bound"), SGR)
def test_the_limits_of_the_published_table_by_its_own_lemma(m: int, risk: float, coverage: float, bound: float) -> None:
    n = round(m * coverage)
    assert upper(round(n * risk), n, SPLITS / math.ceil(math.log2(m))) == pytest.approx(bound, abs=1e-4)


def test_the_limit_is_where_the_p_value_is_delta() -> None:
    for errors, n in ((0, 59), (3, 200), (40, 900)):
        assert p_values(errors, n, upper(errors, n, 0.05)) == pytest.approx(0.05)
        assert p_values(errors, n, 0.03) == pytest.approx(binom.cdf(errors, n, 0.03))
    assert upper(0, 59, 0.05) <= 0.05 < upper(0, 58, 0.05)
    assert (upper(4, 4, 0.05), upper(0, 0, 0.05)) == (1.0, 1.0)
    assert p_values([0, 0], [0, 10], 0.5).tolist() == [1.0, 0.5**10]


def test_the_interval_of_a_share() -> None:
    low, high = interval(36, 100, 0.05)
    assert (low, high) == (pytest.approx(0.2664, abs=1e-4), pytest.approx(0.4621, abs=1e-4))
    assert interval(0, 10, 0.05)[0] == 0
    assert interval(10, 10, 0.05)[1] == 1


@pytest.mark.parametrize(
    ("p", "budgets", "last"),
    [
        ([0.01, 0.04, 0.06, 0.01], [0.05, 0, 0, 0], 1),  # a fixed sequence stops at the first that does not pass
        ([0.06, 0.01, 0.01], [0.05, 0, 0], None),
        ([0.5, 0.02, 0.02], [0.02, 0.03, 0], 2),  # what the first could spend is lost, what the second has is not
        ([0.5, 0.04, 0.02], [0.02, 0.03, 0], None),
        ([0.01, 0.04, 0.05], [0.02, 0.03, 0], 2),  # one that passes hands its part on
        ([0.0, 0.0], [0.0, 0.0], None),  # nothing to spend, nothing passes
        ([], [], None),
    ],
)
def test_the_fallback_procedure(p: list[float], budgets: list[float], last: int | None) -> None:
    assert passed(p, budgets) == last


def brink(u: Any) -> Any:
    """Error at most 5 % up to a share of 0.6, and a hair above it for every larger one."""
    return np.select([u < 0.5, u < 0.6], [0.015, 0.226], 0.05)


def confident_and_wrong(u: Any) -> Any:
    """A tenth of the surest twentieth is wrong, more than of what is less sure."""
    return np.where(u < 0.05, 0.10, 0.002 + 0.3 * u**5)


def just_over(u: Any) -> Any:
    return np.full_like(u, 0.0501)


@pytest.mark.parametrize("error", [brink, confident_and_wrong, just_over])
@pytest.mark.parametrize("n", [150, 2000])
def test_a_threshold_over_the_limit_is_rarer_than_promised(error: Callable[[Any], Any], n: int) -> None:
    ranks = (np.arange(200_000) + 0.5) / 200_000
    truth = np.cumsum(error(ranks)) / np.arange(1, len(ranks) + 1)
    rng = np.random.default_rng(5)
    over = 0
    for seed in range(DRAWS):
        threshold = alone(*drawn(error, n, rng), levels=[0.05], seed=seed).threshold(0.05)
        over += threshold is not None and np.interp(1 - threshold, ranks, truth) > 0.05
    assert over / DRAWS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)


def test_the_test_of_the_promise_bites() -> None:
    """Taking the largest share whose own rows show at most 5 % breaks the promise that the one above keeps."""
    rng, over = np.random.default_rng(5), 0
    for _ in range(DRAWS):
        confidences, wrong = drawn(brink, 2000, rng)
        shown = np.cumsum(wrong[np.argsort(-confidences)]) / np.arange(1, 2001)
        over += (np.flatnonzero(shown <= 0.05)[-1] + 1) / 2000 > 0.61
    assert over / DRAWS > 0.3


def test_most_of_what_may_act_does() -> None:
    rng = np.random.default_rng(3)
    shares = [alone(*drawn(lambda u: 0.4 * u**4 + 0.002, 2000, rng), levels=[0.05]).at(0.05).share for _ in range(60)]
    assert np.mean(shares) > 0.9 * 0.88  # of the 0.88 that a known truth would allow
    assert min(shares) > 0.5


def test_thresholds_are_those_of_mapie_on_the_same_grid() -> None:
    """Its fixed sequence from the surest threshold down is ours with all of delta on the first."""
    from mapie.risk_control import BinaryClassificationController

    confidences, wrong = drawn(lambda u: 0.002 + 0.3 * u**2, 20_000, np.random.default_rng(8))
    grid = np.round(np.arange(0.8, 0.02, -0.06), 2)
    for max_error in (0.02, 0.05, 0.1):
        oracle = BinaryClassificationController(
            predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
            risk="precision",
            target_level=1 - max_error,
            confidence_level=0.95,
            list_predict_params=grid,
            fwer_method="fixed_sequence",
        ).calibrate(confidences[:, None], (~wrong).astype(int))
        n = [(confidences >= each).sum() for each in grid]
        errors = [(wrong & (confidences >= each)).sum() for each in grid]
        last = passed(p_values(errors, n, max_error), [0.05, *[0.0] * (len(grid) - 1)])
        assert last is not None
        assert grid[: last + 1].tolist() == sorted(np.ravel(oracle.valid_predict_params).tolist(), reverse=True)


def test_what_acts_is_counted_at_and_above_the_threshold() -> None:
    rng = np.random.default_rng(1)
    confidences = rng.choice([0.99, 0.9, 0.7, 0.5], 1200, p=[0.4, 0.3, 0.2, 0.1])
    wrong = rng.random(1200) < np.where(confidences > 0.8, 0.01, 0.4)
    found = alone(confidences, wrong)
    level = found.at(0.05)
    assert level.threshold == 0.9
    assert level.share == (confidences >= 0.9).mean()
    assert level.low < level.share < level.high
    assert level.people == round(1000 * (confidences < 0.9).mean())
    tested = np.random.default_rng(0).permutation(1200)[found.planned :]
    sure = confidences[tested] >= 0.9
    assert (level.n, level.errors) == (sure.sum(), (wrong[tested] & sure).sum())
    assert level.upper == upper(level.errors, level.n, 0.05) <= 0.05
    assert [(p.threshold, p.share) for p in found.curve] == [
        (each, pytest.approx((confidences >= each).mean(), abs=1e-6)) for each in (0.99, 0.9, 0.7, 0.5)
    ]


def test_the_labels_that_test_a_threshold_do_not_choose_what_is_tested() -> None:
    """Turning labels of testing rows turns neither grid nor budgets."""
    rng = np.random.default_rng(2)
    confidences, wrong = drawn(confident_and_wrong, 500, rng)
    order = np.random.default_rng(0).permutation(500)
    plan, test = order[:100], order[100:]
    rows = module._Rows.of
    before = module._budgets(rows(confidences[plan], wrong[plan]), rows(confidences[test], wrong[test]), grid := module._grid(
        confidences[plan]), 0.05, 0.05)  # fmt: skip
    after = module._budgets(rows(confidences[plan], wrong[plan]), rows(confidences[test], ~wrong[test]), grid, 0.05, 0.05)
    assert before.tolist() == after.tolist()
    assert before.sum() == pytest.approx(0.05)
    assert (before > 0).sum() == 2


def test_a_row_without_an_answer_never_acts_and_counts_among_all() -> None:
    confidences = np.concatenate([np.linspace(0.6, 1, 900), np.full(100, np.nan)])
    found = alone(confidences, np.zeros(1000))
    assert (found.n, found.answered) == (1000, 900)
    assert found.curve[-1].share == 0.9
    level = found.at(0.05)
    assert 0.88 < level.share <= 0.9
    assert level.upper is not None
    assert alone([np.nan] * 200, [True] * 200).at(0.05).threshold is None


@pytest.mark.parametrize("n", [0, 1, 3, 60])
def test_too_few_rows_certify_nothing(n: int) -> None:
    found = alone([0.9] * n, [False] * n)
    assert [level.threshold for level in found.levels] == [None, None, None, found.at(0.1).threshold]
    level = found.at(0.05)
    assert (level.share, level.people, level.upper) == (0.0, 1000, None)
    assert "59 answers without an error" in module.headline(found)


def test_the_fewest_rows_that_certify() -> None:
    """59 tested rows without an error at 5 %; with the fifth that plans, 74."""
    assert alone([0.9] * 73, [False] * 73).threshold(0.05) is None
    assert alone([0.9] * 74, [False] * 74).threshold(0.05) == 0.9


def test_thresholds_stay_apart_near_certainty_and_read_well() -> None:
    doubt = 10.0 ** -np.linspace(0.5, 9, 4000)
    found = alone(1 - doubt, np.random.default_rng(4).random(4000) < doubt)
    thresholds = [level.threshold for level in found.levels]
    assert thresholds == sorted(thresholds, reverse=True)  # type: ignore[type-var]
    for threshold in thresholds:
        assert threshold is not None
        assert yaml.safe_load(module.written(threshold)) == threshold
        assert len(module.written(threshold).rstrip("0")) < 14
    assert alone([1.0] * 500, [False] * 500).threshold(0.01) == 1.0
    assert [module.written(each) for each in (0.0, 1.0, 1e-5, 0.873, None)] == ["0.0", "1.0", "0.00001", "0.873", "off"]


def test_the_same_rows_give_the_same_figures_and_they_keep_as_json() -> None:
    rows = drawn(confident_and_wrong, 3000, np.random.default_rng(6))
    found = alone(*rows)
    assert found == alone(*rows)
    assert Alone.from_dict({**json.loads(json.dumps(found.as_dict())), "score": "margin"}) == found
    assert 50 <= len(found.curve) <= 50 + 4
    with pytest.raises(KeyError):
        Alone.from_dict({})


def test_the_nearest_point_of_the_curve() -> None:
    found = alone(np.linspace(0.5, 1, 600), np.zeros(600))
    near = found.near(0.75)
    assert near is not None
    assert near.share == pytest.approx(0.5, abs=0.02)
    assert found.near(1.01) is None


def test_the_curve_goes_through_every_threshold_of_the_table() -> None:
    found = alone(*drawn(lambda u: 0.4 * u**4 + 0.002, 3000, np.random.default_rng(9)))
    for level in found.levels:
        assert level.threshold is not None
        near = found.near(level.threshold)
        assert near is not None
        assert near.share == pytest.approx(level.share, abs=1e-6)


def test_the_words() -> None:
    found = alone(*drawn(lambda u: 0.4 * u**4 + 0.002, 2000, np.random.default_rng(7)))
    level = found.at(0.05)
    said = module.lines(found)
    assert said[0] == f"At 5 % error {100 * level.share:.0f} % may act alone: confidence {level.threshold} or more."
    assert [line.split()[0] for line in said if line.strip()[:2] in ("1 ", "2 ", "5 ", "10")] == ["1", "2", "5", "10"]
    assert "2,000 old, labelled rows" in " ".join(said)
    assert "Audits" in " ".join(said)
    assert max(map(len, said)) <= module.WIDTH
    kept = yaml.safe_load(module.at_least(found, 0.05))
    assert kept == {"at_least": level.threshold}
    none = alone([0.9] * 400, [True] * 400)
    assert module.headline(none).startswith("At 5 % error nothing may act alone: too many")
    assert module.at_least(none, 0.05).startswith("at_least: off ")
    assert sum("nothing" in line for line in module.lines(none)) == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([0.9, 0.8], [False]), "do not fit"),
        (([[0.9]], [[False]]), "do not fit"),
        (([1.2], [False]), "lies from 0 to 1"),
        (([-0.1], [False]), "lies from 0 to 1"),
    ],
)
def test_rows_that_do_not_fit_are_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        alone(*given)


def test_limits_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="over 0 and under 1"):
        alone([0.9], [False], levels=[0.0])
    with pytest.raises(ValueError, match=r"over 0\.5 and under 1"):
        alone([0.9], [False], confidence=1.0)
    with pytest.raises(ValueError, match=r"nothing was tested for an error of 0\.03; there are 0\.01, 0\.02, 0\.05, 0\.1"):
        alone([0.9], [False]).at(0.03)

"""How right predictions are, against what was worked out by hand, and against samples whose truth is known."""

import numpy as np
import pytest

from review_queue import agreement, quality
from review_queue.quality import Judged, estimate


def case(sure: float, right: bool, pi: float = 1.0, predicted: str = "pay", answer: str | None = "deny") -> Judged:
    return Judged(predicted, sure, pi, predicted if right else answer)


def test_a_weighted_share_and_what_its_cases_weigh() -> None:
    """Three reviewed cases, one wrong; one audited at 1/4, right: 6 of 7 right, worth 49/19 alike cases."""
    found = estimate([True, True, False, True], [1, 1, 1, 4])
    assert found.n == 4
    assert found.value == pytest.approx(6 / 7)
    assert found.effective == pytest.approx(7**2 / 19)
    assert (found.low, found.high) == pytest.approx(agreement.interval(6 / 7, 49 / 19))


def test_equal_weights_give_the_interval_of_wilson() -> None:
    """8 of 10: 0.490 to 0.943, as in Wilson's tables."""
    found = estimate([True] * 8 + [False] * 2, [3.0] * 10)
    assert found.effective == pytest.approx(10)
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_nothing_and_no_weight_give_no_share() -> None:
    assert estimate([], []).value is None
    assert estimate([True], [0.0]).value is None
    with pytest.raises(ValueError, match="2 cases and 1 weights do not fit"):
        estimate([True, False], [1.0])


def test_the_interval_of_audited_shares_holds_its_truth() -> None:
    """True share of wrong 10 %, half of the cases audited at 1/10: 95 % intervals hold it in at least 92 % of 400 draws."""
    generator, held = np.random.default_rng(7), 0
    for _ in range(400):
        pi = np.where(generator.random(3000) < 0.5, 1.0, 0.1)
        wrong, seen = generator.random(3000) < 0.1, generator.random(3000) < pi
        found = estimate(wrong[seen], (1 / pi)[seen])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high
    assert held >= 368


def test_reliability_by_hand() -> None:
    """Ten cases near 0.6 of which 6 are right, ten near 0.9 of which 7 are: 0.2 apart in half of them, 0.1 on average."""
    low = [case(0.6, n < 6) for n in range(10)]
    high = [case(0.9, n < 7) for n in range(10)]
    found = quality.reliability([*high, *low])
    assert found.n == 20
    assert [(each.low, each.high, each.right.n, each.right.value) for each in found.bins] == [
        (0.6, 0.6, 10, pytest.approx(0.6)),
        (0.9, 0.9, 10, pytest.approx(0.7)),
    ]
    assert found.error == pytest.approx(0.1)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.1 < found.high < 0.4


def test_reliability_counts_what_acted_alone_at_one_over_its_chance() -> None:
    """Five reviewed at 0.6, all right; five audits at 0.9 with pi 0.2, 3 right: groups weigh 5 and 25."""
    found = quality.reliability([case(0.6, True) for _ in range(5)] + [case(0.9, n < 3, 0.2) for n in range(5)])
    assert found.error == pytest.approx((5 * 0.4 + 25 * 0.3) / 30)


def test_groups_have_as_many_cases_and_keep_ties_together() -> None:
    generator = np.random.default_rng(1)
    sure = np.round(generator.random(500) * 0.5 + 0.5, 2)
    found = quality.reliability([case(float(each), True) for each in sure])
    assert len(found.bins) == quality.BINS
    assert sum(each.right.n for each in found.bins) == 500
    for before, after in zip(found.bins, found.bins[1:], strict=False):
        assert before.high < after.low
    assert all(30 <= each.right.n <= 75 for each in found.bins)


@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_few_cases_are_one_group_without_an_interval_of_the_error(n: int) -> None:
    found = quality.reliability([case(0.5 + k / 100, True) for k in range(n)])
    assert len(found.bins) == min(n, 1)
    assert (found.low, found.high) == (None, None)
    assert (found.error is None) == (n == 0)


def test_a_calibrated_model_has_an_error_near_nothing() -> None:
    generator = np.random.default_rng(2)
    sure = generator.random(4000) * 0.5 + 0.5
    found = quality.reliability([case(float(p), bool(generator.random() < p)) for p in sure])
    assert found.error is not None
    assert found.error < 0.03


def test_risk_by_hand() -> None:
    """0.9 right, 0.8 wrong, 0.8 right (one step), 0.7 audited at 1/2 wrong."""
    found = quality.risk([case(0.8, False), case(0.9, True), case(0.7, False, 0.5), case(0.8, True)])
    assert [(each.threshold, each.coverage, each.wrong.n, each.wrong.value) for each in found] == [
        (0.9, pytest.approx(1 / 5), 1, pytest.approx(0.0)),
        (0.8, pytest.approx(3 / 5), 3, pytest.approx(1 / 3)),
        (0.7, pytest.approx(1.0), 4, pytest.approx(3 / 5)),
    ]


def test_risk_has_few_points_and_ends_with_all() -> None:
    generator = np.random.default_rng(3)
    cases = [case(float(p), bool(generator.random() < p)) for p in generator.random(1000)]
    found = quality.risk(cases)
    assert len(found) == quality.POINTS
    assert found[-1].coverage == pytest.approx(1.0)
    assert found[-1].wrong.value == pytest.approx(sum(not each.right for each in cases) / 1000)
    assert [each.coverage for each in found] == sorted(each.coverage for each in found)
    assert quality.risk([]) == []
    assert quality.risk([case(0.9, True, 0.0)]) == []


def test_confusion_puts_the_worst_pairs_first() -> None:
    cases = [
        *[case(0.9, True)] * 6,
        *[case(0.9, False)] * 2,
        case(0.9, False, 0.25, "deny", None),
        case(0.9, True, 1.0, "deny"),
    ]
    found = quality.confusion(cases)
    said = [(m.predicted, m.answer, m.n, m.share, m.of_predicted.value, m.of_predicted.n) for m in found]
    assert said == [
        ("deny", None, 1, pytest.approx(4 / 13), pytest.approx(4 / 5), 2),
        ("pay", "deny", 2, pytest.approx(2 / 13), pytest.approx(2 / 8), 8),
        ("pay", "pay", 6, pytest.approx(6 / 13), pytest.approx(6 / 8), 8),
        ("deny", "deny", 1, pytest.approx(1 / 13), pytest.approx(1 / 5), 2),
    ]
    assert sum(m.share for m in found) == pytest.approx(1.0)
    assert quality.confusion([]) == []

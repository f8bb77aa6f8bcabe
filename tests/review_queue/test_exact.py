"""Exact limits of a share, against scipy's and against printed ones."""

import pytest
from scipy.stats import beta

from review_queue import exact


@pytest.mark.parametrize(
    ("part", "of"), [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (7, 9), (51, 4205), (499, 500), (9_000, 20_000)]
)
def test_the_interval_is_that_of_clopper_and_pearson(part: int, of: int) -> None:
    low, high = exact.interval(part, of)
    assert low == pytest.approx(beta.ppf(0.025, part, of - part + 1) if part else 0.0, abs=1e-9)
    assert high == pytest.approx(beta.ppf(0.975, part + 1, of - part) if part < of else 1.0, abs=1e-9)


def test_the_printed_limit_of_a_selective_classifier() -> None:
    """51 errors of 4,205 at 0.001 / 13: .0199 (Geifman and El-Yaniv 2017, as rerun and printed)."""
    assert round(exact.upper(51, 4205, 0.001 / 13), 4) == 0.0199


@pytest.mark.parametrize(("part", "of"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(part: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        exact.interval(part, of)

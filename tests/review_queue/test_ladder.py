"""Verdicts of the ladder on facts alone: what is said, and which fall goes before another."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from review_queue import betting, ladder
from review_queue.audits import Day, Seen
from review_queue.betting import Group
from review_queue.evidence import Band, Ledger, Vigilance
from review_queue.ladder import Facts
from review_queue.permits import ASSIST, Standing

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TODAY = (NOW - datetime(1970, 1, 1, tzinfo=UTC)).days


def band(threshold: float, n: int, errors: int, *, certified: bool) -> Band:
    groups = (Group(1, 1.0, 1.0, False, n - errors), Group(1, 1.0, 1.0, True, errors))
    log_e = betting.log_e(groups, 0.01)
    return Band(1, threshold, n, n, errors, errors / n, 0.0, log_e, NOW if certified else None, 0.05, groups)


def facts(standing: Standing = ASSIST, **changes: Any) -> Facts:
    bands = (band(0.9, 500, 0, certified=True), band(0.8, 300, 0, certified=False))
    held = Facts(
        now=NOW,
        standing=standing,
        ledger=Ledger("", "all cases", 0.01, 0.05, bands, 1, 0),
        vigilance=Vigilance(50, 2, 10.0, 4.6, 0.25),
        wish=0.8,
        why_none="",
        again=band(0.9, 300, 0, certified=False),
        checks=[],
        m=1.0,
        seen=[],
        units=1,
        max_error=0.01,
        least_rate=0.05,
        frozen=False,
    )
    return replace(held, **changes)


def acting(level: Any = "floor", days: int = 30, rate: float = 0.05) -> Standing:
    since = NOW - timedelta(days=days)
    return Standing(level, 0.9, rate, since, since)


def unmet(found: ladder.Rise) -> set[str]:
    return {each.name for each in found.conditions if not each.met}


def test_the_lowest_certified_threshold_is_taken_and_never_one_below_the_wish() -> None:
    found = ladder.rise(facts())
    assert (found.to_level, found.threshold, found.rate, found.ready) == ("audited", 0.9, 0.25, True)
    assert unmet(ladder.rise(facts(wish=0.95))) == {"certified"}
    assert unmet(ladder.rise(facts(wish=None, why_none="off"))) == {"asked", "certified"}
    assert ladder.rise(facts(least_rate=0.5)).rate == 0.5


def test_more_looks_are_as_many_as_the_certificate_takes() -> None:
    assert ladder.more(band(0.8, 300, 0, certified=False), 1.0, 0.01, 0.05) == betting.needed(0.01, 0.05) - 300
    assert ladder.more(band(0.8, 300, 290, certified=False), 1.0, 0.01, 1e-300) is not None


def test_how_long_more_looks_take_is_said_at_the_pace_so_far() -> None:
    waiting = facts()
    ledger = replace(waiting.ledger, bands=(band(0.9, 100, 0, certified=False),))
    begun = replace(waiting, ledger=ledger, begun=waiting.now - timedelta(days=10))
    (found,) = (each.said for each in ladder.rise(begun).conditions if each.name == "certified")
    further = ladder.more(ledger.bands[0], 1.0, ledger.alpha, ledger.delta)
    assert further is not None
    assert f"about {math.ceil(further / 10)} days at the pace so far" in found
    (fresh,) = (each.said for each in ladder.rise(replace(begun, begun=waiting.now)).conditions if each.name == "certified")
    assert "pace" not in fresh


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"frozen": True}, "not frozen"),
        ({"vigilance": Vigilance(10, 5, -1.0, 4.6, 0.25)}, "eyes"),
        ({"seen": [Seen("", "sex", "f", 20, 9, 10.0, (100, 0))]}, "labels and groups"),
    ],
)
def test_each_condition_alone_stops_a_rise(changes: dict[str, Any], name: str) -> None:
    assert unmet(ladder.rise(facts(**changes))) == {name}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"again": band(0.9, 30, 0, certified=False)}, "seen again"),
        ({"again": None}, "seen again"),
        ({"m": 50.0}, "detector"),
        ({"standing": acting("audited", days=13)}, "two weeks"),
    ],
)
def test_each_condition_alone_keeps_from_the_floor(changes: dict[str, Any], name: str) -> None:
    assert ladder.rise(facts(acting("audited"))).ready
    assert unmet(ladder.rise(facts(**{"standing": acting("audited"), **changes}))) == {name}


def test_the_floor_checks_as_much_as_shows_a_change_and_never_more_than_before() -> None:
    busy = [Day(TODAY - n, 0.25, 500, 500, 0, 0) for n in range(1, 15)]
    quiet = [Day(TODAY - n, 0.25, 2, 2, 0, 0) for n in range(1, 15)]
    assert ladder.rise(facts(acting("audited"), checks=busy)).rate == 0.05
    assert ladder.rise(facts(acting("audited"), checks=quiet)).rate == 0.25


@pytest.mark.parametrize(
    ("m", "level", "units", "to"),
    [
        (364.9, "audited", 1, None),
        (365.0, "audited", 1, "assist"),
        (365.0, "floor", 2, "audited"),
        (99.0, "floor", 2, None),
        (50.0, "floor", 1, "audited"),
        (730.0, "floor", 2, "assist"),
        (1e9, "assist", 1, None),
    ],
)
def test_the_lines_of_the_detector_are_for_each_unit(m: float, level: Any, units: int, to: str | None) -> None:
    standing = ASSIST if level == "assist" else acting(level)
    found = ladder.fall(facts(standing, m=m, units=units))
    assert (found.to_level if found else None) == to


def test_staleness_needs_ninety_days_and_counts_what_was_answered() -> None:
    few = [Day(TODAY - 5, 0.05, 500, 399, 0, 0)]
    assert ladder.fall(facts(acting(days=89), checks=few)) is None
    found = ladder.fall(facts(acting(days=91), checks=few))
    assert found is not None
    assert (found.kind, found.to_level) == ("stale", "audited")
    assert "399 answered spot checks in 90 days, and 400 make evidence" in found.said
    assert ladder.fall(facts(acting(days=91), checks=[Day(TODAY - 5, 0.05, 500, 400, 0, 0)])) is None


def test_a_label_goes_alone_where_the_others_are_right_and_all_go_where_they_are_not() -> None:
    one = Seen("", "label", "deny", 30, 9, 5.0, (1000, 5))
    assert ladder.fall(facts(acting(), seen=[one])) is None
    (found,) = ladder.harms(facts(acting(), seen=[one]))
    assert found.condition == 'label == "deny"'
    for whole in (replace(one, others=(1000, 50)), replace(one, others=(0, 0)), replace(one, value="both ' and \"")):
        fallen = ladder.fall(facts(acting(), seen=[whole]))
        assert fallen is not None
        assert (fallen.kind, fallen.to_level, ladder.harms(facts(acting(), seen=[whole]))) == ("unsafe", "assist", [])

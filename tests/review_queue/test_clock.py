"""The clock: it can be set for a replay, goes one way only, and nothing else in the product sets it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from review_queue import clock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
PRODUCT = ("app", "contract", "db", "explain", "inference", "retrain", "review_queue")
MAY_SET = ("app/demo/replay.py",)


def test_it_stands_still_until_moved_and_is_let_go_afterwards() -> None:
    with clock.at(NOON) as hands:
        assert clock.now() == clock.now() == NOON
        hands.move(NOON + timedelta(days=1))
        assert clock.now() == NOON + timedelta(days=1)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_every_thread_of_the_process_has_the_same_time() -> None:
    with clock.at(NOON), ThreadPoolExecutor(1) as pool:
        assert pool.submit(clock.now).result() == NOON


def test_it_is_told_in_utc() -> None:
    with clock.at(NOON.astimezone(timezone(timedelta(hours=5)))):
        assert clock.now().isoformat() == "2026-03-01T12:00:00+00:00"


def test_it_does_not_go_back() -> None:
    with clock.at(NOON) as hands, pytest.raises(ValueError, match="cannot go back to 2026-03-01T11:00:00"):
        hands.move(NOON - timedelta(hours=1))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"), clock.at(NOON.replace(tzinfo=None)):
        pass
    with clock.at(NOON) as hands, pytest.raises(ValueError, match="has no time zone"):
        hands.move(NOON.replace(tzinfo=None))


def test_it_is_set_once_at_a_time() -> None:
    with clock.at(NOON):
        with pytest.raises(ValueError, match="is set to 2026-03-01T12:00:00"), clock.at(NOON):
            pass
        assert clock.now() == NOON


def test_a_failure_within_lets_it_go() -> None:
    with pytest.raises(RuntimeError), clock.at(NOON):
        raise RuntimeError
    assert clock.now() > NOON


def test_nothing_else_in_the_product_sets_it() -> None:
    files = [path for part in PRODUCT for path in (ROOT / part).rglob("*.py")]
    setting = re.compile(r"clock\.(at|Hands|_moved)\b|import .*\b(Hands|_moved)\b|from review_queue\.clock import")
    found = {str(path.relative_to(ROOT)) for path in files if setting.search(path.read_text(encoding="utf-8"))}
    assert len(files) > 100
    assert found <= set(MAY_SET)

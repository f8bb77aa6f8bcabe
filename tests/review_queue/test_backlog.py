"""A queue that is full takes nothing new, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from contract.records import Unscored
from db.engine import Database
from db.tables import Blob, Item, ItemKey
from review_queue import backlog, tallies
from review_queue.errors import Full
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move
from tests.review_queue.test_intake import count


def limited(database: Database, most: Any) -> Setting:
    return factories.setting(database, wished=factories.policy(intake={"most_waiting": most}))


def send(database: Database, held: Setting, *names: str) -> list[str]:
    return [receipt.state for receipt in factories.submit(database, held, [factories.raw(name) for name in names])]


def test_items_and_open_tasks_wait_and_what_is_answered_does_not(database: Database) -> None:
    held = limited(database, 3)
    factories.routed(database, held, {"auto": factories.says("pay", 0.97), "person": Unscored("NaN")})
    send(database, held, "unscored", "and this")
    assert database.read(backlog.waiting, held.id) == 3
    with pytest.raises(Full, match=r"3 items and tasks of claims wait, and its policy takes new ones below 3 .*send it again in"):
        send(database, held, "new")
    with pytest.raises(Full):
        send(database, held, "auto", "new")
    assert send(database, held, "auto", "person", "unscored") == ["decided", "waiting", "received"]
    assert [count(database, table) for table in (ItemKey, Item)] == [4, 4]
    assert not database.read(tallies.astray, held.id)


def test_nothing_of_a_refused_request_stays(database: Database) -> None:
    held = factories.setting(
        database,
        factories.project(model={"uri": "external"}, reasons={}),
        factories.policy(intake={"most_waiting": 1}),
    )
    said = {"probabilities": {"deny": 0.4, "pay": 0.6}, "model_version": "7"}
    factories.submit(database, held, [{**factories.raw("1"), "prediction": said}])
    blobs = count(database, Blob)
    with pytest.raises(Full):
        factories.submit(database, held, [{**factories.raw("2"), "prediction": {**said, "model_version": "8"}}])
    assert [count(database, table) for table in (ItemKey, Item, Blob)] == [1, 1, blobs]


def test_a_batch_that_finds_room_is_taken_whole_and_off_never_refuses(database: Database) -> None:
    held = limited(database, 1)
    assert send(database, held, *map(str, range(50))) == ["received"] * 50
    held = limited(database, "off")
    assert send(database, held, *map(str, range(40, 60))) == ["received"] * 20


def test_the_pause_is_told_from_the_pace_of_the_latest_answers(database: Database, move: Move) -> None:
    held = limited(database, "off")
    factories.routed(database, held, {str(n): factories.says("pay", 0.97) for n in range(30)})
    send(database, held, *(f"waits {n}" for n in range(20)))
    held = limited(database, 20)

    def told() -> int:
        with pytest.raises(Full) as refused:
            send(database, held, "new")
        return refused.value.retry_after or 0

    assert told() == 1  # 30 answers in the last second, and one must go
    move(timedelta(minutes=5))
    assert told() in (10, 11)  # 30 in 300 seconds
    move(timedelta(days=1))
    assert told() == backlog.LONGEST

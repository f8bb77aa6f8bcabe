"""Counts as a sum of rows: nothing is lost while many add and others fold."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from contract.records import Unscored
from db.engine import Database
from db.tables import Tally
from review_queue import tallies
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import at_once


def rows(database: Database, project_id: int) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).where(Tally.project_id == project_id))) or 0


def test_what_was_added_is_read(database: Database, held: Setting) -> None:
    other = factories.setting(database, factories.project(project="other"))
    before = database.read(tallies.read, held.id)
    database.write(tallies.add, held.id, items=3, **{"band/9/auto": 2})
    database.write(tallies.add, held.id, items=-1, open=0)
    added = database.read(tallies.read, held.id)
    added.subtract(before)
    assert +added == Counter({"items": 2, "band/9/auto": 2})
    assert database.read(tallies.read, other.id) == Counter()


def test_nothing_to_count_adds_no_row(database: Database, held: Setting) -> None:
    before = rows(database, held.id)
    database.write(tallies.add, held.id, items=0)
    assert rows(database, held.id) == before


def test_folding_keeps_the_sums_and_is_bounded(database: Database, held: Setting) -> None:
    for n in range(tallies.FOLD_AT + 8):
        database.write(tallies.add, held.id, items=n, open=1 if n % 2 else -1)
    stands, before = database.read(tallies.read, held.id), rows(database, held.id)
    assert database.write(tallies.fold, 5) == 5
    assert rows(database, held.id) == before - 4
    assert database.write(tallies.fold) == before - 4
    assert rows(database, held.id) == 1
    assert database.write(tallies.fold) == 0
    assert +database.read(tallies.read, held.id) == +stands


def test_folding_while_many_add_loses_nothing(database: Database, held: Setting) -> None:
    before = database.read(tallies.read, held.id)["items"]

    def adds() -> None:
        for _ in range(30):
            database.write(tallies.add, held.id, items=1)

    def folds() -> None:
        for _ in range(30):
            database.write(tallies.fold)

    seen: list[int] = []

    def reads() -> None:
        seen.extend(database.read(tallies.read, held.id)["items"] - before for _ in range(30))

    assert at_once([adds] * 6 + [folds] * 3 + [reads]) == []
    assert seen == sorted(seen)
    assert database.read(tallies.read, held.id)["items"] - before == 180
    database.write(tallies.fold)
    assert database.read(tallies.read, held.id)["items"] - before == 180


def test_one_folds_while_others_pass_by(database: Database, held: Setting) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("there is one writer at a time, and nobody to pass by")
    for _ in range(tallies.FOLD_AT + 1):
        database.write(tallies.add, held.id, items=1)
    with database.engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(tallies.LOCK)))
        assert database.write(tallies.fold) == 0
    assert database.write(tallies.fold) > tallies.FOLD_AT


def test_recounting_is_the_truth_of_the_tables(database: Database, held: Setting) -> None:
    answers = {
        "a": factories.says("pay", 0.95),
        "b": factories.says("deny", 1.0),
        "c": factories.says("pay", 0.6),
        "d": Unscored("NaN"),
    }
    factories.routed(database, held, answers)
    factories.submit(database, held, [factories.raw("new")])
    assert database.read(tallies.recount, held.id) == Counter(
        {"items": 5, "unscored": 1, "open": 2, "auto": 2, "review": 2, "band/9/auto": 2, "band/6/review": 1, "outcomes/auto": 2}
    )


def test_what_went_astray_is_what_mends_it(database: Database, held: Setting) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.95)})
    database.write(tallies.add, held.id, items=7, **{"outcomes/human": 1})
    database.write(tallies.add, held.id, **database.read(tallies.astray, held.id))
    assert database.read(tallies.astray, held.id) == Counter()
    assert +database.read(tallies.read, held.id) == database.read(tallies.recount, held.id)

"""Items in: once each, whoever sends them and however often."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from contract.inputs import InputError
from db import blobs
from db.engine import Database
from db.tables import Item, ItemKey, Work
from review_queue import batches, decisions, intake, waking
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import at_once, take

PHOTOS = {
    "type": "tabular",
    "features": {"amount": {"type": "number"}, "region": {"type": "category"}},
    "show": {"photos": {"type": "image", "many": True}},
}


def count(database: Database, table: type[Any]) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table))) or 0


def test_the_same_item_twice_is_one_and_other_content_a_conflict(database: Database, held: Setting) -> None:
    first = factories.submit(database, held, [factories.raw("b"), factories.raw("a")])
    assert [(r.external_id, r.state, r.new) for r in first] == [("b", "received", True), ("a", "received", True)]
    again = factories.submit(
        database,
        held,
        [factories.raw("a"), factories.raw("c"), factories.raw("b", amount=9), {**factories.raw("a"), "subject": "x"}],
    )
    assert [(r.external_id, r.state, r.new) for r in again] == [
        ("a", "received", False), ("c", "received", True), ("b", "conflict", False), ("a", "conflict", False),
    ]  # fmt: skip
    assert "send a new id" in (again[2].problem or "")
    assert [count(database, table) for table in (ItemKey, Item, Work)] == [3, 3, 3]


def test_duplicates_inside_a_batch(database: Database, held: Setting) -> None:
    sent = [factories.raw("1"), factories.raw("1"), factories.raw("1", amount=7), factories.raw("2")]
    receipts = factories.submit(database, held, sent)
    assert [(r.external_id, r.state) for r in receipts] == [
        ("1", "received"),
        ("1", "received"),
        ("1", "conflict"),
        ("2", "received"),
    ]
    assert count(database, Item) == 2


def test_receipts_tell_what_became_of_each(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"auto": factories.says("pay", 0.97), "person": factories.says("pay", 0.6)})
    factories.submit(database, held, [factories.raw("new")])
    case = take(database, held, ann)[0]

    def told() -> dict[str, tuple[str, str | None, str | None]]:
        found = database.read(intake.standing, held.id, ["auto", "person", "new", "never"])
        return {name: (r.state, r.route, r.label) for name, r in found.items()}

    assert told() == {"auto": ("decided", "auto", "pay"), "person": ("waiting", "review", "pay"), "new": ("received", None, None)}
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
    assert told()["person"][0] == "decided"
    database.write(decisions.undo, ann, stored.id)
    assert told()["person"][0] == "waiting"


def test_overlapping_batches_at_once_add_each_item_once(database: Database, held: Setting) -> None:
    def send(begin: int, step: int) -> None:
        ids = list(range(begin, begin + 120))[::step]
        receipts = factories.submit(database, held, [factories.raw(str(n)) for n in ids])
        assert [r.external_id for r in receipts] == [str(n) for n in ids]
        assert {r.state for r in receipts} == {"received"}

    assert at_once([lambda b=b, s=s: send(b, s) for b in (0, 40, 80) for s in (1, -1)]) == []
    assert [count(database, table) for table in (ItemKey, Item, Work)] == [200, 200, 200]


def test_a_thousand_known_items_are_answered_in_one_statement(database: Database, held: Setting) -> None:
    names = [f"{n} ä 'quoted'" for n in range(1_000)]
    sent = [factories.raw(name) for name in names]
    assert {r.new for r in factories.submit(database, held, sent)} == {True}
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    again = factories.submit(database, held, sent)
    assert [(r.external_id, r.state, r.new) for r in again] == [(name, "received", False) for name in names]
    assert len([statement for statement in said if statement.startswith(("SELECT", "INSERT", "WITH"))]) == 2


def test_bytes_come_before_the_items_that_name_them(database: Database) -> None:
    held = factories.setting(database, factories.project(input=PHOTOS))
    sha = database.write(blobs.put, b"picture", "image/png")
    there = {**factories.raw("1"), "show": {"photos": [{"blob": f"sha256:{sha}"}]}}
    lacking = {**factories.raw("2"), "show": {"photos": [{"blob": f"sha256:{sha}"}, {"blob": "sha256:" + "0" * 64}]}}
    receipts = factories.submit(database, held, [there, lacking, factories.raw("3")])
    assert [r.state for r in receipts] == ["received", "invalid", "received"]
    assert receipts[1].problem == f"the bytes of sha256:{'0' * 64} were never sent; post them to …/blobs first"
    assert count(database, Item) == 2


def test_every_blob_of_a_text_is_found() -> None:
    one, two = "a" * 64, "b" * 64
    assert list(intake.blobs_in(f'{{"x":[{{"blob":"sha256:{one}"}},{{"blob":"sha256:{two}"}}]}}')) == [one, two]
    assert list(intake.blobs_in(None)) == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"input": {}}, "external_id"),
        ({"external_id": "1"}, "input: must be an object"),
        ({**factories.raw("1"), "prediction": {}}, "prediction: is taken only where project.yaml says"),
        ({**factories.raw("1"), "predicted": {}}, "predicted: is no part of an item; send external_id, .*, prediction"),
        ({**factories.raw("1"), "subject": {"a": 1}}, "subject: .* is no id"),
        ({**factories.raw("1"), "subject": "\ud800"}, "subject: holds a lone surrogate"),
        ({**factories.raw("1"), "groups": {"age": 1}}, r"groups\.age"),
        ("text", "item: must be an object"),
        ([], "item: must be an object"),
    ],
)
def test_what_is_no_item_names_the_place(raw: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        intake.check(factories.project(), raw)


def test_the_subject_is_kept_as_a_hash_of_its_project(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    factories.submit(
        sqlite, held, [{**factories.raw(str(n)), "subject": subject} for n, subject in enumerate(["ann", "ann", 7, None])]
    )
    hashes = sqlite.read(lambda s: list(s.scalars(select(Item.subject_hash).order_by(Item.id))))
    assert hashes[0] == hashes[1] != hashes[2] is not None
    assert hashes[3] is None
    assert "ann" not in str(hashes)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["external_id", "input", "show", "groups", "subject"]), st.none() | st.text() | st.floats() | st.just({})
    )
)
def test_whatever_is_sent_is_refused_or_taken(raw: dict[str, Any]) -> None:
    with contextlib.suppress(InputError):
        intake.check(factories.project(), raw)


def test_only_the_first_into_an_idle_queue_calls_whoever_scores(database: Database, held: Setting) -> None:
    """Transactions that call commit one after the other."""
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no line to call on")
    other = factories.setting(database, factories.project(project="other"))
    with database.engine.connect() as connection:
        line: Any = connection.connection.driver_connection
        line.rollback()
        line.autocommit = True
        line.execute(f"LISTEN {waking.CHANNEL}")

        def calls(*names: str, of: Setting = held) -> int:
            factories.submit(database, of, [factories.raw(name) for name in names])
            return len(list(line.notifies(timeout=0.3)))

        assert [calls("a", "b"), calls("c"), calls("c"), calls("a", of=other)] == [1, 0, 0, 1]
        leased = database.write(batches.lease, held.id, "score", "w", limit=9, seconds=60)
        assert [len(leased), calls("d"), calls("e")] == [3, 1, 0]
        line.execute("UNLISTEN *")
        line.autocommit = False

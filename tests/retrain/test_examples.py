"""What a training learns from: what was decided, or what proved true of it, through which item, and what came beside it."""

from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import ItemKey
from retrain import datasets, examples, rows
from review_queue import truths
from review_queue.decisions import Said
from review_queue.projects import Setting
from review_queue.truths import Told
from tests import factories
from tests.retrain.test_datasets import decide, later


def base(name: str, split: str = "train") -> dict[str, Any]:
    return {"external_id": name, "input": factories.raw(name)["input"], "label": "pay", "split": split}


def named(side: str, count: int) -> list[str]:
    """Ids of items of one split."""
    every = (f"i{n}" for n in range(1_000))
    return [name for name in every if rows.split_of("claims", name) == side][:count]


@pytest.fixture
def held(database: Database, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Three decided items to learn from, one that judges, one that nobody decided, and a row that came with the project."""
    held = factories.setting(database)
    ids = [*named("train", 4), *named("test", 1)]
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in ids})
    ann = factories.person(database, "ann")
    decide(database, held, ann, {name: Said(name, "accept") for name in (*ids[:3], ids[4])})
    database.write(datasets.add_base, held, [base("came"), base("aside", "test")], by=None)
    later(monkeypatch)
    return held


def test_a_lesson_is_what_was_decided_beside_what_came(database: Database, held: Setting) -> None:
    lesson = examples.lesson(database, held)
    assert lesson.examples.labels == ("pay",) * 4
    assert (lesson.counts, len(lesson.held)) == ({"base": 1, "decided": 3}, 1)
    assert lesson.examples.weights[0] is None
    assert {info.kind for info in lesson.datasets} == {"base", "export"}
    assert lesson.learned_through == _item(database, named("train", 3)[-1])


def test_a_named_export_stands_as_it_was(database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    before = examples.lesson(database, held)
    export = next(info for info in before.datasets if info.kind == "export")
    later(monkeypatch)
    database.write(datasets.add_base, held, [base("came"), base("more")], by=None)
    decide(database, held, factories.person(database, "bob"), {named("train", 4)[-1]: Said("x", "correct", "deny")})
    later(monkeypatch)
    assert examples.lesson(database, held).counts == {"base": 2, "decided": 4}
    again = examples.lesson(database, held, export.id)
    assert (again.counts, again.watermark) == ({"base": 1, "decided": 3}, before.watermark)
    assert [info.id for info in again.datasets] == [info.id for info in before.datasets]
    assert again.examples == before.examples


def test_what_proved_true_is_learned_only_where_it_is_asked_for(
    database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.write(truths.keep, held, [Told(named("train", 1)[0], "deny")], by=None)
    later(monkeypatch)
    assert examples.lesson(database, held).examples.labels.count("deny") == 0
    assert examples.lesson(database, held, labels="true").examples.labels.count("deny") == 1


def _item(database: Database, name: str) -> int:
    found = database.read(lambda session: session.scalar(select(ItemKey.item_id).where(ItemKey.external_id == name)))
    assert found is not None
    return found

"""Which rows judge models: for good, by item, by person or by time; gold and what was looked at too late always."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from contract.project import Split
from db.engine import Database
from db.tables import Draw, Gold, ItemKey
from retrain import datasets, examples, rows
from review_queue import clock, intake, projects
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Refused
from review_queue.projects import Setting
from tests import factories
from tests.retrain.test_datasets import decide, later

BY_SUBJECT = factories.project(split={"by": "subject", "test": 0.5})


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


def splits(database: Database, held: Setting, watermark: int = 10**9) -> dict[str, str]:
    return {each.cells["external_id"]: each.cells["split"] for each in rows.stream(database, held, watermark)}


def test_all_of_one_person_are_on_one_side(database: Database) -> None:
    held = factories.setting(database, BY_SUBJECT)
    sent = [{**factories.raw(f"i{n}"), **({"subject": f"p{n % 20}"} if n < 100 else {})} for n in range(140)]
    factories.submit(database, held, sent)
    ids = {
        name: id for id, name in database.read(lambda s: s.execute(select(ItemKey.item_id, ItemKey.external_id)).tuples().all())
    }
    found = database.read(rows.sides, held, list(ids.values()))
    for person in range(20):
        assert len({found[ids[f"i{n}"]] for n in range(person, 100, 20)}) == 1
    assert 40 < list(found.values()).count("test") < 100
    assert {found[ids[f"i{n}"]] for n in range(100, 140)} == {"train", "test"}
    assert rows.side(held, "x", intake.hash_subject(held.project, "p1"), {}, None) == found[ids["i1"]]


def by_person(database: Database) -> tuple[Setting, dict[str, str]]:
    """A project whose cases stand by person, and the sides of cases that arrived."""
    held = factories.setting(database, BY_SUBJECT)
    factories.submit(database, held, [{**factories.raw(f"i{n}"), "subject": f"p{n % 20}"} for n in range(60)])
    names = dict(database.read(lambda s: s.execute(select(ItemKey.item_id, ItemKey.external_id)).tuples().all()))
    return held, {names[item_id]: side for item_id, side in database.read(rows.sides, held, list(names)).items()}


def test_known_answers_judge_by_the_side_of_the_person(database: Database) -> None:
    held, sides = by_person(database)
    database.write(datasets.add_answers, held, dict.fromkeys(sides, "pay"), by=None)
    judging = sum(side == "test" for side in sides.values())
    assert 0 < judging < len(sides)
    assert len(database.read(examples.judges, held)) == judging
    learned = next(name for name, side in sides.items() if side == "train")
    item = database.read(lambda s: s.scalars(select(ItemKey.item_id).where(ItemKey.external_id == learned)).one())
    gold = {"item_id": item, "project_id": held.id, "label": "pay", "source": "named", "made_at": clock.now()}
    database.write(lambda s: s.execute(insert(Gold), [gold]))
    assert len(database.read(examples.judges, held)) == judging  # it may have been learned from before


def test_nobody_learns_from_what_was_imported_of_a_case_that_judges(database: Database) -> None:
    held, sides = by_person(database)
    given = factories.raw("x")["input"]
    lines = [{"external_id": name, "input": given, "label": "pay", "split": "train", "basis": "imported"} for name in sides]
    base = {"external_id": "b", "input": given, "label": "deny", "split": "test"}
    database.write(datasets.add_base, held, [base], by=None)
    database.write(datasets.add_imported, held, [*lines, {**lines[0], "external_id": "b"}], by=None)
    learned = [name for name, side in sides.items() if side == "train"]
    assert 0 < len(learned) < len(sides)
    assert len(examples.lesson(database, held).examples) == len(learned)


def test_the_newest_import_stands_in_place_of_an_earlier_one(database: Database) -> None:
    held, given = factories.setting(database), factories.raw("x")["input"]
    lines = [{"external_id": f"r{n}", "input": given, "label": "pay", "split": "train", "basis": "imported"} for n in range(5)]
    database.write(datasets.add_base, held, lines[:1], by=None)
    for count in (2, 3, 5):
        database.write(datasets.add_imported, held, lines[:count], by=None)
    assert examples.lesson(database, held).counts == {"base": 1, "imported": 5, "decided": 0}


@pytest.mark.parametrize("kind", ["base", "imported"])
def test_an_item_whose_label_came_from_elsewhere_is_learned_from(database: Database, kind: str) -> None:
    held, given = factories.setting(database), factories.raw("x")["input"]
    factories.submit(database, held, [factories.raw(f"i{n}") for n in range(4)])
    row = {"external_id": "x", "input": given, "label": "pay", "split": "train", "basis": kind}
    lines = [row, {**row, "external_id": "i2", "split": "train"}, {**row, "external_id": "i3", "split": "test"}]
    database.write(datasets.add_base if kind == "base" else datasets.add_imported, held, lines, by=None)
    item = database.read(lambda s: s.scalars(select(ItemKey.item_id).where(ItemKey.external_id == "i2")).one())
    assert examples.lesson(database, held).learned_through == item


def test_what_was_learned_from_elsewhere_is_not_known_anew(database: Database) -> None:
    held, sides = by_person(database)
    name, other = list(sides)[:2]
    line = {"external_id": name, "input": factories.raw("x")["input"], "label": "pay", "split": "train"}
    database.write(datasets.add_base, held, [line], by=None)
    database.write(datasets.add_answers, held, {name: "pay", other: "deny"}, by=None)
    assert examples.known(database, held, 0).labels == ("deny",)


@pytest.mark.parametrize(
    ("arose", "received", "side"),
    [
        ("2026-03-01", None, "test"),
        ("2026-02-28", None, "train"),
        ("2026-02-28T23:30:00+00:00", None, "test"),  # in Berlin it is March
        ("2026-02-28T22:30:00Z", None, "train"),
        (None, datetime(2026, 2, 28, 23, 30, tzinfo=UTC), "test"),
        (None, datetime(2026, 2, 28, 22, 30, tzinfo=UTC), "train"),
        (None, None, "train"),
    ],
)
def test_by_time_what_arose_from_a_day_on_judges(arose: str | None, received: Any, side: str) -> None:
    split, plain = Split(by="time", start=date(2026, 3, 1)), factories.project()
    given = plain.input.model_copy(update={"time": "opened"})
    project = plain.model_copy(update={"split": split, "timezone": "Europe/Berlin", "input": given})
    held = Setting(1, "claims", project, "", factories.policy(), 1, 1, None)
    assert rows.side(held, "a", None, {"opened": arose}, received) == side


def test_another_split_is_refused_once_something_rests_on_it(database: Database, held: Setting) -> None:
    key = factories.keys(database).draw_key_id
    with pytest.raises(Refused, match=r"split cannot turn from by item, test 0.3 to by subject, test 0.5: a model rests on it"):
        database.write(projects.apply, BY_SUBJECT, factories.policy(), "Read the file.", key, by=None)
    fresh = factories.project(project="fresh")
    database.write(projects.apply, fresh, factories.policy(), "", key, by=None)
    other = fresh.model_copy(update={"split": BY_SUBJECT.split})
    database.write(projects.apply, other, factories.policy(), "", key, by=None)
    standing = database.read(projects.get, "fresh")
    assert standing.project.split == BY_SUBJECT.split
    database.write(datasets.add_base, standing, [{"external_id": "a", "input": {}, "label": "pay", "split": "train"}], by=None)
    with pytest.raises(Refused, match=r"to by item, test 0.3: a dataset version rests on it"):
        database.write(projects.apply, fresh, factories.policy(), "", key, by=None)


def learned(held: Setting, count: int) -> list[str]:
    """Ids that are learned from."""
    return [name for n in range(100) if rows.split_of(held.name, name := f"i{n}") == "train"][:count]


def test_what_is_gold_judges_from_then_on_and_earlier_versions_stay(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = learned(held, 3)
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in names})
    decide(database, held, ann, {name: Said(name, "accept") for name in names[:2]})
    later(monkeypatch)
    first = datasets.export(database, held, format="csv", by=ann)
    later(monkeypatch)
    gold = select(ItemKey.item_id).where(ItemKey.external_id == names[0])
    item_id = database.read(lambda s: s.scalars(gold).one())
    row = {"item_id": item_id, "project_id": held.id, "label": "pay", "source": "named", "made_at": clock.now()}
    database.write(lambda s: s.execute(insert(Gold), [row | {"ended_at": clock.now()}]))
    assert datasets.export_at(database, held, first.watermark or 0, format="csv", by=None).id == first.id
    later(monkeypatch)
    decide(database, held, ann, {names[2]: Said("2", "accept")})
    later(monkeypatch)
    datasets.latest(database, held.id)
    assert splits(database, held) == {names[0]: "test", names[1]: "train", names[2]: "train"}
    assert database.read(rows.sides, held, [item_id]) == {item_id: "test"}


def test_an_audit_that_was_answered_after_it_counted_as_an_error_judges(
    database: Database, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.9}))
    names = learned(held, 12)
    factories.routed(database, held, {name: factories.says("pay", 0.97) for name in names})
    drawn = {task.item_id for task in factories.tasks(database, kind="audit")}
    known = dict(database.read(lambda s: s.execute(select(ItemKey.external_id, ItemKey.item_id)).tuples().all()))
    late, in_time = [name for name in names if known[name] in drawn][:2]
    decide(database, held, ann, {in_time: Said("1", "accept")})
    overdue = update(Draw).where(Draw.item_id.in_([known[late], known[in_time]]))
    told = {"resolved_as": "overdue", "resolved_at": clock.now() + timedelta(seconds=1), "loss": 1}
    database.write(lambda s: s.execute(overdue.values(told)))
    later(monkeypatch)
    decide(database, held, ann, {late: Said("2", "accept")})
    later(monkeypatch)
    datasets.latest(database, held.id)
    assert splits(database, held) == {late: "test", in_time: "train"}

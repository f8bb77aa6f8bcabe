"""What people decided, as files: exactly those decisions, the same bytes for the same watermark."""

import contextlib
import json
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from contract.records import Explanation, Unscored
from db.engine import Database
from db.tables import Dataset, DatasetItem, Event, ItemKey, Person, PolicyVersion
from retrain import datasets, rows, sifting
from retrain.formats import layouts, tables
from review_queue import cases, claims, clock, decisions, events, explanations, gold, intake, mixing, requests, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Invalid, NotFound, Refused
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta = timedelta(seconds=16)) -> None:
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + by)


def decide(database: Database, held: Setting, actor: Actor, wanted: dict[str, Said]) -> None:
    """Decide the named cases; what else comes up is given back."""
    left = dict(wanted)
    taken = database.write(cases.take, held, actor, "s", 10)
    for case in taken:
        said = left.pop(case.external_id, None)
        if said is None:
            continue
        if case.blind:
            label = said.label if said.verdict != "accept" else "pay"
            database.write(decisions.answer, actor, case.task_id, case.token, f"{said.key}-first", label)
        database.write(decisions.decide, actor, case.task_id, case.token, said)
    database.write(claims.release, actor, [case.token for case in taken])
    assert not left


def frame(database: Database, info: Any, folder: Path) -> pd.DataFrame:
    database.read(datasets.write_folder, info, folder)
    assert datasets.verify(folder) == []
    form = info.manifest["format"]
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "jsonl": lambda p: pd.read_json(p, lines=True)}[form]
    return read(folder / f"data.{form}")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_the_file_holds_exactly_the_decisions(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    answers = {"a": factories.says("pay", 0.6), "b": factories.says("pay", 0.7), "c": factories.says("deny", 0.5)}
    factories.routed(database, held, {**answers, "d": Unscored("NaN"), "e": factories.says("pay", 0.8)}, region="süd, „x“")
    said = {
        "a": Said("1", "accept", seconds=3.5),
        "b": Said("2", "correct", "deny"),
        "c": Said("3", "reject", reason="no label fits"),
        "d": Said("4", "correct", "pay"),
    }
    decide(database, held, ann, said)
    later(monkeypatch)
    got = frame(database, datasets.export(database, held, format=form, by=ann), tmp_path).set_index("external_id")
    assert list(got.index) == ["a", "b", "c", "d"]
    assert got["label"].fillna("").tolist() == ["pay", "deny", "", "pay"]
    assert got["verdict"].tolist() == ["accept", "correct", "reject", "correct"]
    assert got["predicted_label"].fillna("").tolist() == ["pay", "pay", "deny", ""]
    assert got["region"].tolist() == ["süd, „x“"] * 4
    assert got["amount"].tolist() == [120.5] * 4
    assert set(got["label_basis"]) == {"routed"}
    assert got["reviewers"].tolist() == ["ann"] * 4


def test_the_same_watermark_gives_the_same_bytes_whatever_came_since(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "abc"})
    decide(database, held, ann, {"a": Said("1", "accept"), "b": Said("2", "correct", "deny")})
    later(monkeypatch)
    first = datasets.export(database, held, format="parquet", by=ann)
    decide(database, held, ann, {"c": Said("3", "accept")})
    factories.routed(database, held, {k: factories.says("deny", 0.6) for k in "xyz"})
    stored = database.read(lambda s: [d.id for d in decisions.of_item(s, 2)])
    database.write(decisions.undo, ann, stored[-1])
    later(monkeypatch)
    database.write(events.sequence)
    again = datasets.export_at(database, held, first.watermark or 0, format="parquet", by=ann)
    assert (again.id, again.content_hash, again.files) == (first.id, first.content_hash, first.files)
    newer = datasets.export(database, held, format="parquet", by=ann)
    assert newer.id != first.id
    assert newer.rows == 3


def test_both_databases_give_the_same_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    held, ann = (
        factories.setting(database, wished=factories.policy(review={"undo_window": "0s"})),
        factories.person(database, "ann"),
    )
    database.write(lambda s: s.execute(factories.Model.__table__.update().values(version=1)))
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "cabü"})
    decide(database, held, ann, {k: Said(k, "accept") for k in "abcü"})
    info = datasets.export(database, held, format="parquet", by=ann)
    hashes = {name: details["sha256"] for name, details in info.files.items()}
    known = _HASHES.setdefault("first", hashes)
    assert hashes == known


_HASHES: dict[str, dict[str, str]] = {}


def test_audits_carry_the_inverse_of_their_probability_and_open_rows_none(
    database: Database, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}))
    sure = {f"s{n:02}": factories.says("pay", 0.97) for n in range(40)}
    factories.routed(database, held, sure)
    drawn = [t.item_id for t in factories.tasks(database, kind="audit")]
    assert 5 < len(drawn) < 35
    later(monkeypatch, timedelta(seconds=1))
    factories.routed(database, held, {"u1": factories.says("pay", 0.2), "u2": factories.says("pay", 0.6)})
    assert list(rows.stream(database, held, 10**9)) == []
    while taken := database.write(cases.take, held, ann, "s", 10):
        if {case.external_id for case in taken} <= {"u2"}:
            break
        for case in taken:
            if case.external_id == "u2":
                continue
            if case.blind:
                database.write(decisions.answer, ann, case.task_id, case.token, f"f{case.token}", "pay")
            accept = Said(case.token, "accept") if case.external_id != "u1" else Said(case.token, "correct", "pay")
            database.write(decisions.decide, ann, case.task_id, case.token, accept)
    later(monkeypatch)
    info = datasets.export(database, held, format="parquet", by=ann)
    got = frame(database, info, tmp_path).set_index("external_id")
    audits = got[got["label_basis"] == "drawn"]
    assert len(audits) == len(drawn)
    assert set(audits["weight"]) == {2.0}
    assert set(audits["blind"]) == {True}
    assert set(audits["first_label"]) == {"pay"}
    assert got.loc["u1", "window"] in ("open", "closed")
    opened = got[got["window"] == "open"]
    assert opened["weight"].isna().all()
    assert info.manifest["counts"]["label_basis"]["drawn"] == len(drawn)


def test_images_come_along_and_a_changed_byte_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from db import blobs

    wanted = factories.project(project="pictures", input={"type": "image"}, labels=["cat", "dog"], noun="picture")
    held = factories.setting(database, wanted)
    sha = database.write(blobs.put, b"\x89PNG not really", "image/png")
    items = [{"external_id": "p1", "input": {"image": {"blob": f"sha256:{sha}"}}}]
    assert factories.submit(database, held, items)[0].state == "received"
    bad = [{"external_id": "p2", "input": {"image": {"blob": f"sha256:{'0' * 64}"}}}]
    assert factories.submit(database, held, bad)[0].state == "invalid"
    from review_queue import batches, rules

    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=5, seconds=60)
    said = factories.says("cat", 0.6, ("cat", "dog"))
    database.write(batches.write, held.id, "w", [(leased[0], said)], model_id=rule.model_id, keys=factories.keys(database))
    decide(database, held, factories.person(database, "bob"), {"p1": Said("1", "accept")})
    later(monkeypatch)
    info = datasets.export(database, held, format="jsonl", by=None)
    got = frame(database, info, tmp_path)
    path = tmp_path / got.loc[0, "image"]
    assert path.name == f"{sha}.png"
    assert path.read_bytes() == b"\x89PNG not really"
    path.write_bytes(b"\x89PNG not Really")
    assert datasets.verify(tmp_path) == [f"images/{sha}.png was changed: its SHA-256 is not the one in dataset.json"]
    (tmp_path / "README.md").write_text("other words")
    assert any("README.md was changed" in problem for problem in datasets.verify(tmp_path))
    database.read(datasets.write_folder, info, tmp_path)
    sound = (tmp_path / "dataset.json").read_bytes()
    for at in range(0, len(sound), max(len(sound) // 60, 1)):
        (tmp_path / "dataset.json").write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert datasets.verify(tmp_path), f"byte {at} was changed"
    (tmp_path / "dataset.json").write_bytes(sound)
    assert datasets.verify(tmp_path) == []
    path.unlink()
    assert datasets.verify(tmp_path) == [f"images/{sha}.png is missing"]
    (tmp_path / "dataset.json").write_text("{")
    assert "cannot be read" in datasets.verify(tmp_path)[0]
    (tmp_path / "dataset.json").write_text("{}")
    assert "names no files" in datasets.verify(tmp_path)[0]


def test_what_cannot_be_exported_is_refused_in_words(database: Database, held: Setting, ann: Actor) -> None:
    with pytest.raises(Invalid, match="no format"):
        datasets.export(database, held, format="xlsx", by=ann)
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    decide(database, held, ann, {"a": Said("1", "accept")})
    with pytest.raises(Refused, match="15 seconds"):
        datasets.export(database, held, format="csv", by=ann)
    with pytest.raises(NotFound):
        database.read(datasets.dataset, 77)


def test_a_field_named_like_a_column_keeps_both(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    features = {"label": {"type": "text"}, "weight": {"type": "number"}}
    held = factories.setting(database, factories.project(input={"type": "tabular", "features": features}))
    factories.submit(database, held, [{"external_id": "a", "input": {"label": "mine", "weight": 3}}])
    from review_queue import batches, rules

    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=5, seconds=60)
    said = [(leased[0], factories.says("pay", 0.6))]
    database.write(batches.write, held.id, "w", said, model_id=rule.model_id, keys=factories.keys(database))
    decide(database, held, factories.person(database, "bob"), {"a": Said("1", "accept")})
    later(monkeypatch)
    got = frame(database, datasets.export(database, held, format="parquet", by=None), tmp_path)
    assert got.loc[0, ["input_label", "input_weight", "label"]].tolist() == ["mine", 3.0, "pay"]


def test_splits_never_change_and_have_their_share() -> None:
    sides = [rows.split_of("claims", f"id-{n}") for n in range(10_000)]
    assert sides == [rows.split_of("claims", f"id-{n}") for n in range(10_000)]
    assert abs(sides.count("test") / 10_000 - rows.TEST_SHARE) < 0.02


def test_base_rows_come_back_as_given(database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifting, "PART", 300)
    given = [
        {"external_id": f"b{n}", "input": {"amount": n / 3, "region": "ü"}, "label": "pay", "split": "train"} for n in range(20)
    ]
    info = database.write(datasets.add_base, held, given, by=None)
    assert len(info.files) > 3
    back = database.read(lambda s: list(datasets.lines(s, info)))
    assert back == given
    assert database.write(datasets.add_base, held, given, by=None).id == info.id


def test_nothing_new_decided_is_no_new_version(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "ab"})
    decide(database, held, ann, {"a": Said("1", "accept")})
    later(monkeypatch)
    first = datasets.export(database, held, format="csv", by=ann)
    factories.routed(database, held, {"c": factories.says("pay", 0.99)})
    assert datasets.export(database, held, format="csv", by=ann).id == first.id


# What was revised, replaced, cancelled or asked for


def export(database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, pd.DataFrame]:
    later(monkeypatch)
    info = datasets.export(database, held, format="csv", by=None)
    return info, frame(database, info, folder).set_index("external_id")


def correct(database: Database, held: Setting, external_id: str, label: str, key: str) -> None:
    lead_id = database.read(lambda s: s.scalars(select(Person.id).where(Person.name == "lea")).one())
    lead = Actor(lead_id, "lea", "lead", "desk")
    database.write(decisions.revise, held, lead, external_id, Said(key, "correct", label))


def test_a_label_that_an_earlier_version_held_otherwise_is_marked(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    factories.person(database, "lea", "lead")
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "abc"})
    decide(database, held, ann, {"a": Said("1", "accept"), "b": Said("2", "accept")})
    first, got = export(database, held, monkeypatch, tmp_path)
    assert got["revises_watermark"].isna().all()
    assert "No row had another label" in database.read(datasets.file, first, "README.md").decode()
    correct(database, held, "a", "deny", "3")
    decide(database, held, ann, {"c": Said("4", "correct", "deny")})
    second, got = export(database, held, monkeypatch, tmp_path)
    assert got["revises_watermark"].fillna(0).astype(int).to_dict() == {"a": first.watermark, "b": 0, "c": 0}
    assert second.manifest["counts"]["revises_watermark"] == {"(none)": 2, str(first.watermark): 1}
    assert f"1 since position {first.watermark}" in database.read(datasets.file, second, "README.md").decode()
    correct(database, held, "a", "pay", "5")
    third, got = export(database, held, monkeypatch, tmp_path)
    assert got["revises_watermark"].fillna(0).astype(int)["a"] == second.watermark
    for earlier in (first, second, third):  # whatever versions there are by now
        again = datasets.export_at(database, held, earlier.watermark or 0, format="csv", by=None)
        assert again.content_hash == earlier.content_hash
    between = (second.watermark or 0) - 1
    datasets.export_at(database, held, between, format="jsonl", by=None)
    assert datasets.export_at(database, held, third.watermark or 0, format="csv", by=None).id == third.id


def test_an_answer_that_had_left_stays_a_label_of_the_content_it_was_given_for(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "abcd"})
    decide(database, held, ann, {"a": Said("1", "accept"), "b": Said("2", "accept")})
    before, _ = export(database, held, monkeypatch, tmp_path)
    decide(database, held, ann, {"c": Said("3", "accept")})
    wanted = intake.check(held.project, factories.raw("a", amount=7))
    database.write(withdrawal.replace, held, wanted, by=ann)
    for external_id in "bc":
        database.write(withdrawal.cancel, held, external_id, by=ann)
    factories.routed(database, held, {"a": factories.says("pay", 0.6)}, amount=7)
    decide(database, held, ann, {"a": Said("4", "correct", "deny"), "d": Said("5", "accept")})
    _, got = export(database, held, monkeypatch, tmp_path)
    rows_ = got.reset_index()[["external_id", "item_revision", "amount", "label"]].values.tolist()
    assert rows_ == [["a", 1.0, 120.5, "pay"], ["a", 2.0, 7.0, "deny"], ["b", 1.0, 120.5, "pay"], ["d", 1.0, 120.5, "pay"]]
    assert set(got["window"]) == {"closed"}  # what was taken back unanswered is not waited for
    again = datasets.export_at(database, held, before.watermark or 0, format="csv", by=ann)
    assert again.content_hash == before.content_hash


def test_what_somebody_asked_for_has_no_weight(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from review_queue import requests

    bob = factories.person(database, "bob")
    factories.routed(database, held, {"a": factories.says("pay", 0.97), "b": factories.says("pay", 0.6)})
    decide(database, held, ann, {"b": Said("1", "accept")})
    for external_id in "ab":
        database.write(requests.request, held, external_id, "they complain", by=ann)
    decide(database, held, bob, {"a": Said("2", "correct", "deny"), "b": Said("3", "correct", "deny")})
    _, got = export(database, held, monkeypatch, tmp_path)
    assert got["label"].to_dict() == {"a": "deny", "b": "deny"}
    assert set(got["label_basis"]) == {"requested"}
    assert got["weight"].fillna(0).to_dict() == {"a": 0, "b": 1}  # b was answered by rule before


# Many rows: several files, readings of any size, short writes


POLICY = "1698f15296a1fb4972e5981b21578d76598b66a5faffb4ce6c6db1dd44f67564"
"""The hash of the policy when these bytes were written first: one with other settings has another."""


def many(database: Database, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Answers at one fixed time, which is all that rows hold beside what is put here."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    held = factories.setting(database, wished=factories.policy(review={"undo_window": "0s"}))
    database.write(lambda s: s.execute(factories.Model.__table__.update().values(version=1)))
    database.write(lambda s: s.execute(PolicyVersion.__table__.update().values(content_hash=POLICY)))
    ann = factories.person(database, "ann")
    names = [f"{letter}{n}" for letter in "Zaüz" for n in range(3)]
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in (*names, "open")}, region="süd, „x“")
    said = {name: Said(name, "accept") if n % 3 else Said(name, "correct", "deny") for n, name in enumerate(names)}
    while said:
        taken = database.write(cases.take, held, ann, "s", 10)
        for case in taken:
            if case.external_id in said:
                database.write(decisions.decide, ann, case.task_id, case.token, said.pop(case.external_id))
            else:
                database.write(claims.release, ann, [case.token])
    return held


@pytest.mark.parametrize("form", ["parquet", "csv", "huggingface", "label-studio"])
def test_how_many_are_read_at_once_changes_no_byte(database: Database, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    held = many(database, monkeypatch)
    whole = datasets.export(database, held, format=form, by=None)
    for at_once in (1, 2, 5):
        monkeypatch.setattr(rows, "CHUNK", at_once)
        monkeypatch.setattr(tables, "BATCH", at_once)
        monkeypatch.setattr(datasets, "ITEMS", at_once)
        again = datasets.export(database, held, format=form, by=None)
        assert (again.id, again.content_hash) == (whole.id, whole.content_hash)


GOLDEN = {
    "jsonl": "36071b4c90918ac794c3bfbf16d542506771e7d7da9db13be0bc6a0a3b85493f",
    "csv": "d756ded40405aa326226667e96404489f14d89f56b824872d3a9f5dab7e8718e",
}
"""SHA-256 of what was written of these rows when all of them were gathered at once."""


@pytest.mark.parametrize("form", list(GOLDEN))
def test_the_bytes_are_those_of_before(database: Database, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    info = datasets.export(database, many(database, monkeypatch), format=form, by=None)
    assert info.files[f"data.{form}"]["sha256"] == GOLDEN[form]


@pytest.mark.parametrize("form", list(tables.WRITERS))
@pytest.mark.parametrize(("name", "most", "parts"), [("ROWS", 5, 3), ("BYTES", 1, 12)])
def test_long_data_are_several_files_that_read_as_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, name: str, most: int, parts: int
) -> None:
    held = many(database, monkeypatch)
    whole = frame(database, datasets.export(database, held, format=form, by=None), tmp_path / "one")
    monkeypatch.setattr(tables, name, most)
    info = datasets.export(database, held, format=form, by=None)
    assert [each for each in info.files if each.startswith("data-")] == [f"data-{n:05}.{form}" for n in range(parts)]
    database.read(datasets.write_folder, info, tmp_path / "many")
    assert datasets.verify(tmp_path / "many") == []
    read = loaded(tmp_path / "many")
    assert read["external_id"].tolist() == sorted(read["external_id"]) == whole["external_id"].tolist()
    assert read["label"].tolist() == whole["label"].tolist()
    (tmp_path / "many" / f"data-00001.{form}").unlink()
    assert datasets.verify(tmp_path / "many") == [f"data-00001.{form} is missing"]


def loaded(folder: Path) -> pd.DataFrame:
    """The rows, read as the card of the folder says."""
    said = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    held: dict[str, Any] = {}
    with contextlib.chdir(folder):
        exec(said, held)
    found: pd.DataFrame = held["df"]
    return found


@pytest.mark.parametrize("step", ["_put", "_begin", "_remember", "_finish"])
def test_an_export_that_breaks_off_shows_nothing_and_is_made_whole_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    held = many(database, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr(datasets, step, fail)
        with pytest.raises(RuntimeError, match="the worker dies"):
            datasets.export(database, held, format="csv", by=None)
    assert list(tmp_path.glob("signoff-*")) == []
    assert database.read(datasets.versions, held.id) == []
    assert database.read(datasets.newest, held.id, "export") is None
    for dataset_id in database.read(lambda s: s.scalars(select(Dataset.id)).all()):
        with pytest.raises(NotFound):
            database.read(datasets.dataset, dataset_id)
        for info in database.read(datasets.infos, [dataset_id]):
            assert all(database.read(datasets.holds, each["sha256"]) for each in info.files.values())
    assert told(database) == []
    info = datasets.export(database, held, format="csv", by=None)
    assert datasets.export(database, held, format="csv", by=None).id == info.id
    assert told(database) == [str(info.id)]
    noted = select(ItemKey.external_id).join(DatasetItem, DatasetItem.item_id == ItemKey.item_id)
    assert database.read(lambda s: len(s.scalars(noted.where(DatasetItem.dataset_id == info.id)).all())) == info.rows == 12


def fail(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("the worker dies")


def told(database: Database) -> list[str]:
    """The datasets that were announced."""
    while database.write(events.sequence):
        pass
    made = select(Event.body).where(Event.kind == "dataset.created").order_by(Event.seq)
    return [body["dataset"] for body in database.read(lambda s: s.scalars(made).all())]


def test_people_decide_while_rows_are_gathered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held = many(database, monkeypatch)
    bob, waits, shares = factories.person(database, "bob"), list[float](), list[float]()
    monkeypatch.setattr(rows, "CHUNK", 2)
    present = rows._rows

    def slowly(*args: Any) -> Any:
        time.sleep(0.3)
        return present(*args)

    def decide_one() -> None:
        begun = time.perf_counter()
        case = database.write(cases.take, held, bob, "b", 1)[0]
        database.write(decisions.decide, bob, case.task_id, case.token, Said("meanwhile", "accept"))
        waits.append(time.perf_counter() - begun)

    def progress(share: float, step: str) -> None:
        shares.append(share)
        if len(shares) == 2:
            beside.start()

    monkeypatch.setattr(rows, "_rows", slowly)
    beside = threading.Thread(target=decide_one)
    info = datasets.export(database, held, format="csv", by=None, progress=progress)
    beside.join()
    assert waits[0] < 1
    assert shares == sorted(shares) == [0.0, *(n / 6 for n in range(1, 7))]
    assert info.rows == 12  # not what was decided meanwhile


def test_the_position_is_that_of_the_last_answer_of_a_person(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert datasets.latest(database, held.id) == 0
    factories.routed(database, held, {"sure": factories.says("pay", 0.99), "a": factories.says("pay", 0.6)})
    assert datasets.latest(database, held.id) == 0
    decide(database, held, ann, {"a": Said("1", "accept")})
    later(monkeypatch)
    factories.routed(database, held, {f"later{n}": factories.says("pay", 0.99) for n in range(3)})
    position = datasets.latest(database, held.id)
    said = database.read(lambda s: s.scalars(select(Event.body).where(Event.seq == position)).one())
    assert (said["external_id"], said["source"]) == ("a", "human")
    assert position < database.read(events.head)


def test_more_images_than_a_manifest_lists_are_refused(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    decide(database, held, ann, {"a": Said("1", "accept")})
    later(monkeypatch)
    monkeypatch.setattr(layouts.Plain, "end", lambda self: self.images.update({"images/1.png": "images/1.png"}) or [])
    monkeypatch.setattr(datasets, "MOST_IMAGES", 0)
    with pytest.raises(Refused, match="name 1 images, and a dataset version lists up to 0"):
        datasets.export(database, held, format="csv", by=ann)


# What stood on screens


def explain(database: Database, external_id: str, method: str = "lime.tabular", size: int = 1, **changes: Any) -> str:
    """Keep an explanation of an item; its name as the desk gives it."""
    key = select(ItemKey.item_id).where(ItemKey.external_id == external_id)
    item_id = database.read(lambda s: s.scalars(key).one())
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    parts = [{"feature": "amount", "value": 120.5, "contribution": 0.7 + n} for n in range(size)]
    made = Explanation(method, aimed[1], "probability", 0.1, parts, changes, 1, "0", {}, 0.1)
    database.write(explanations.store, item_id, aimed[0], [made])
    reason = database.read(explanations.of_prediction, item_id, aimed[0])[-1]
    return f"{reason.id}:{reason.hash}"


def shown(info: Any, database: Database, folder: Path) -> list[dict[str, Any]]:
    database.read(datasets.write_folder, info, folder)
    assert datasets.verify(folder) == []
    name = next(name for name in info.files if name.startswith("reasons"))
    if name.endswith("jsonl"):
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]
    rows = pq.read_table(folder / name).to_pylist()
    return [{**row, "body": json.loads(row["body"]) if row["body"] is not None else None} for row in rows]


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_the_reasons_that_were_on_screens_come_beside_the_rows_on_request(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "abcd"})
    lime, shap = explain(database, "b"), explain(database, "b", "shap.tree")
    other = explain(database, "a").partition(":")[2]
    said = {
        "b": Said("1", "accept", reasons_shown=(lime, shap), reasons_opened=True),
        "a": Said("2", "correct", "deny", reasons_shown=(other, "made up"), reasons_opened=False),
        "c": Said("3", "accept", reasons_shown=()),
    }
    decide(database, held, ann, said)
    explain(database, "a", "shap.tree")  # nobody saw it
    later(monkeypatch)
    plain = datasets.export(database, held, format=form, by=ann)
    assert not [name for name in plain.files if name.startswith("reasons")]
    info = datasets.export(database, held, format=form, with_reasons=True, by=ann)
    assert info.id != plain.id
    assert (info.watermark, info.rows) == (plain.watermark, 3)
    rows = shown(info, database, tmp_path)
    assert [(r["external_id"], r["method"], r["opened"]) for r in rows] == [
        ("a", "lime.tabular", False), ("a", None, False), ("b", "lime.tabular", True), ("b", "shap.tree", True),
    ]  # fmt: skip
    assert [str(r["hash"]) for r in rows] == [other, "made up", lime.partition(":")[2], shap.partition(":")[2]]
    assert rows[0]["body"]["contributions"][0]["contribution"] == 0.7
    assert rows[1]["body"] is None
    assert info.manifest["reasons"]["rows"] == 4
    assert "4 explanations" in (tmp_path / "README.md").read_text()
    again = datasets.export(database, held, format=form, with_reasons=True, by=ann)
    assert (again.id, again.content_hash) == (info.id, info.content_hash)


def test_reasons_as_of_a_watermark_stay_whatever_is_decided_and_made_since(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    factories.routed(database, held, {k: factories.says("pay", 0.6) for k in "ab"})
    name = explain(database, "a")
    decide(database, held, ann, {"a": Said("1", "accept", reasons_shown=(name,))})
    later(monkeypatch)
    first = datasets.export(database, held, format="jsonl", with_reasons=True, by=ann)
    lea = factories.person(database, "lea", "lead")
    database.write(
        decisions.revise, held, lea, "a", Said("2", "correct", "deny", reasons_shown=(name, explain(database, "a", "shap.tree")))
    )
    later(monkeypatch)
    assert datasets.latest(database, held.id) > (first.watermark or 0)
    again = datasets.export_at(database, held, first.watermark or 0, format="jsonl", with_reasons=True, by=ann)
    assert (again.id, again.files) == (first.id, first.files)
    newer = datasets.export(database, held, format="jsonl", with_reasons=True, by=ann)
    assert [row["method"] for row in shown(newer, database, tmp_path)] == ["lime.tabular", "lime.tabular", "shap.tree"]


def test_many_long_reasons_stand_in_several_files(sqlite: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "BYTES", 20_000)
    monkeypatch.setattr(rows, "FEW", 2)
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {f"{n}": factories.says("pay", 0.6) for n in range(6)})
    names = {f"{n}": explain(sqlite, f"{n}", size=100) for n in range(6)}
    decide(sqlite, held, ann, {key: Said(key, "accept", reasons_shown=(name,)) for key, name in names.items()})
    later(monkeypatch)
    info = datasets.export(sqlite, held, format="jsonl", with_reasons=True, by=ann)
    parts = sorted(name for name in info.files if name.startswith("reasons"))
    assert parts == ["reasons-00000.jsonl", "reasons-00001.jsonl"]
    sqlite.read(datasets.write_folder, info, tmp_path)
    lines = [json.loads(line) for part in parts for line in (tmp_path / part).read_text().splitlines()]
    assert [line["external_id"] for line in lines] == [f"{n}" for n in range(6)]


def test_what_was_said_of_known_answers_is_in_no_row(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    factories.person(database, "lea", "lead")
    own, bob = factories.person(database, "own", "owner"), factories.person(database, "bob")
    factories.routed(database, held, {"alone": factories.says("pay", 0.97), "asked": factories.says("pay", 0.6)})
    decide(database, held, ann, {"asked": Said("1", "accept")})
    first, before = export(database, held, monkeypatch, tmp_path)
    factories.routed(database, held, {"waits": factories.says("pay", 0.6)})
    for name in ("alone", "asked"):
        database.write(gold.add, held, name, "deny", by=own)
        assert database.write(mixing.put, held, bob.id)
    decide(database, held, bob, {name: Said(f"g{name}", "correct", "deny") for name in ("alone", "asked")})
    again = datasets.export_at(database, held, first.watermark or 0, format="csv", by=None)
    assert again.content_hash == first.content_hash
    correct(database, held, "asked", "deny", "2")
    database.write(requests.request, held, "alone", "they complain", by=ann)
    decide(database, held, ann, {"alone": Said("3", "accept")})
    _, got = export(database, held, monkeypatch, tmp_path)
    assert list(before.index) == ["asked"]
    assert got["reviewers"].to_dict() == {"alone": "ann", "asked": "ann;lea"}
    assert got["weight"].fillna(0).to_dict() == {"alone": 0, "asked": 1}
    assert "gold" not in set(got["label_basis"]) | set(got["task_kind"])

"""Erasing as a whole: blobs, datasets and models lose the rows, and what breaks off is taken up again."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from db import blobs
from db.engine import Database
from db.tables import Item, Job, Model
from inference import store
from inference.training import train
from retrain import datasets, erasing, registry, stored, training
from review_queue import erasure, jobs
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.inference.conftest import rows_of
from tests.retrain import lessons
from tests.retrain.test_datasets import decide, later
from tests.retrain.test_registry import register
from tests.review_queue.test_erasure import leaks

CANARY = "Zaunkönig-4711"


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


def archive(rows: list[dict[str, Any]]) -> bytes:
    """The parts of a model's archive that matter here."""
    background = "".join(json.dumps(row) + "\n" for row in rows)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as held:
        held.writestr("background.jsonl", background)
        held.writestr("model.json", json.dumps({"files": {"background.jsonl": "x", "weights.safetensors": "y"}}))
        held.writestr("weights.safetensors", b"weights")
    return target.getvalue()


def files(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        return {name: held.read(name) for name in held.namelist()}


def everything(database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decided items in an export, a base dataset and a model."""
    for name in "abc":
        factories.routed(database, held, {name: factories.says("pay", 0.6)}, region=CANARY if name == "b" else "north")
    decide(database, held, ann, {name: Said(name, "accept") for name in "abc"})
    later(monkeypatch)
    datasets.export(database, held, format="csv", by=ann)
    rows = [
        {"external_id": n, "input": {"region": CANARY if n == "b" else "n", "amount": 1}, "label": "pay", "split": "train"}
        for n in "abx"
    ]
    base = database.write(datasets.add_base, held, rows, by=None)
    lines = [{"amount": 120.5, "region": CANARY, "opened": None}, {"amount": 120.5, "region": "north", "opened": None}] * 2
    info = register(database, held, archive(lines))
    database.write(lambda s: setattr(s.get_one(Model, info.id), "datasets", [str(base.id)]))


def erase(database: Database, held: Setting, by: Actor, *names: str) -> dict[str, Any]:
    begun = database.write(erasing.begin, held, names, why=None, by=by)
    assert begun.job is not None
    return erasing.follow(database, held, database.read(jobs.get, begun.job).args, by=by)


@pytest.mark.parametrize("images", [False, True])
def test_bytes_go_that_nothing_names_and_each_item_is_looked_at_once(database: Database, held: Setting, images: bool) -> None:
    shas = [database.write(blobs.put, f"canary {n}".encode(), "image/png") for n in range(6)]
    info = register(database, held, archive([]))
    database.write(lambda s: setattr(s.get_one(Model, info.id), "sha256", shas[0]))
    with_item = {"note": f"sha256:{shas[1]}", "show": {"x": {"blob": f"sha256:{shas[2]}"}}}
    factories.submit(database, held, [factories.raw("n")])
    database.write(lambda s: s.execute(update(Item).values(show=json.dumps(with_item, separators=(",", ":")))))
    looks = list[str]()

    def letting(session: Any) -> None:
        event.listen(session.get_bind(), "before_cursor_execute", listen := lambda *told: looks.append(told[2]))
        stored.let_go(session, shas, images=images)
        event.remove(session.get_bind(), "before_cursor_execute", listen)

    database.write(letting)
    left = [n for n, sha in enumerate(shas) if database.read(blobs.get, sha) is not None]
    assert left == ([0, 1, 2] if images else [0])
    assert len([statement for statement in looks if "item.input" in statement]) == images


def test_a_training_under_way_begins_anew_without_what_is_erased(sqlite: Database) -> None:
    held, olga = lessons.setting(sqlite, "sklearn-linear", 60), factories.person(sqlite, "olga", "owner")
    _, (rows, _) = rows_of("sklearn-linear")
    factories.submit(sqlite, held, [{"external_id": "r1", "input": rows[1]}])
    begun = list[float]()

    def report(share: float, step: str) -> None:
        begun.append(share)
        if step == "registering" and begun.count(share) == 1:
            erase(sqlite, held, olga, "r1")

    info = training.train(sqlite, "p", by=None, device="cpu", trainer="sklearn-linear", progress=report)
    assert (begun.count(0.97), info.figures["rows"]["base"]) == (2, 47)
    assert len(sqlite.read(registry.models, held.id)) == 1
    gone = erasure.row_hash(held.project, rows[1])
    assert erasing.without_rows(sqlite.read(registry.archive, info), held.project, {gone})[1] == 0


def test_datasets_and_models_lose_the_rows(
    database: Database, held: Setting, ann: Actor, olga: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(database, held, ann, monkeypatch)
    model = database.read(registry.models, held.id)[0]
    assert "blob.bytes" in leaks(database)
    found = erase(database, held, olga, "b")
    assert leaks(database) == set()
    assert len(found["datasets"]) == 2
    assert (found["models"], found["learned"], found["items"]) == ([model.version], [model.version], 1)
    after = database.read(registry.models, held.id)[0]
    assert (after.id, after.figures["erased"]) == (model.id, 2)
    parts = files(database.read(registry.archive, after))
    assert [json.loads(line)["region"] for line in parts["background.jsonl"].decode().splitlines()] == ["north", "north"]
    assert parts["weights.safetensors"] == b"weights"
    assert json.loads(parts["model.json"])["files"]["weights.safetensors"] == "y"
    assert database.read(blobs.get, model.sha256) is None
    assert database.read(lambda s: s.scalars(select(Job.args)).one()) == {"items": ["2"], "rows": []}


@pytest.mark.parametrize("step", ["_holding", "_models", "_forget"])
def test_what_breaks_off_is_ended_by_erasing_again(
    database: Database, held: Setting, ann: Actor, olga: Actor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    everything(database, held, ann, monkeypatch)

    def dies(*_: Any) -> None:
        raise RuntimeError("the worker dies")

    with monkeypatch.context() as broken:
        broken.setattr(erasing, step, dies)
        with pytest.raises(RuntimeError):
            erase(database, held, olga, "b")
    assert "item.input" not in leaks(database)
    erase(database, held, olga, "b", "a")
    assert leaks(database) == set()
    assert database.read(lambda s: [args["rows"] for args in s.scalars(select(Job.args))]) == [[], []]


def test_bytes_go_unless_something_else_names_them(database: Database, olga: Actor) -> None:
    shown = {"type": "tabular", "features": {"amount": {"type": "number"}}, "show": {"scan": {"type": "image"}}}
    held = factories.setting(database, factories.project(input=shown))
    own, shared = (database.write(blobs.put, data, "image/png") for data in (b"own", b"shared"))

    def item(name: str, sha: str) -> dict[str, Any]:
        return {"external_id": name, "input": {"amount": 1}, "show": {"scan": {"blob": f"sha256:{sha}"}}}

    factories.submit(database, held, [item("a", own), item("b", shared), item("c", shared)])
    erase(database, held, olga, "a", "b")
    assert database.read(blobs.get, own) is None
    assert database.read(blobs.get, shared) is not None
    erase(database, held, olga, "c")
    assert database.read(blobs.get, shared) is None


def test_all_or_none_and_by_owners_alone(database: Database, held: Setting, ann: Actor, olga: Actor) -> None:
    factories.submit(database, held, [factories.raw("a")])
    with pytest.raises(NotFound):
        database.write(erasing.begin, held, ["a", "nobody"], why=None, by=olga)
    with pytest.raises(Forbidden):
        database.write(erasing.begin, held, ["a"], why=None, by=ann)
    with pytest.raises(Invalid, match="more than the 1,000"):
        database.write(erasing.begin, held, [str(n) for n in range(1001)], why=None, by=olga)
    assert database.read(erasure.listed, held.id, limit=9) == []
    assert database.write(erasing.begin, held, [], why=None, by=olga) == erasing.Begun((), None)


@pytest.mark.parametrize("kind", ["sklearn-linear", "torch-text"])
def test_a_model_without_a_row_answers_as_before(tmp_path: Path, kind: str) -> None:
    project, (rows, labels) = rows_of(kind)
    store.save(train(project, rows[:80], labels[:80], trainer=kind, device="cpu", threads=1), tmp_path / "before")
    before = store.load(tmp_path / "before", device="cpu")
    gone = erasure.row_hash(project, before.background[0])
    data, count = erasing.without_rows(store.pack(tmp_path / "before"), project, {gone})
    assert count >= 1
    store.unpack(data, tmp_path / "after")
    after = store.load(tmp_path / "after", device="cpu")
    assert len(after.background) == len(before.background) - count
    assert before.background[0] not in after.background
    assert [str(each) for each in after.predict(rows[80:100])] == [str(each) for each in before.predict(rows[80:100])]
    assert erasing.without_rows(data, project, {gone}) == (data, 0)

"""A dataset version without what was erased: another version, and nothing left of the old one but its hash."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from db import blobs
from db.engine import Database
from db.tables import Blob, Dataset, DatasetItem, Erased, Item, ItemKey
from retrain import datasets, stored
from review_queue import batches, clock, rules
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import NotFound, Refused
from review_queue.projects import Setting
from tests import factories
from tests.retrain.test_datasets import decide, frame, later

FORMATS = ("parquet", "csv")


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


def answered(database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
    for name in names:
        factories.routed(database, held, {name: factories.says("pay", 0.6)}, region=f"canary-{name}")
    decide(database, held, ann, {name: Said(name, "accept") for name in names})
    later(monkeypatch)


def ids(database: Database, *names: str) -> set[int]:
    query = select(ItemKey.item_id).where(ItemKey.external_id.in_(names))
    return set(database.read(lambda session: session.scalars(query).all()))


def erase(database: Database, held: Setting, *names: str) -> set[int]:
    """What erasing does to the item itself."""
    gone = ids(database, *names)
    rows = [{"item_id": each, "project_id": held.id, "erased_at": clock.now()} for each in gone]
    database.write(lambda s: s.execute(insert(Erased), rows))
    database.write(lambda s: s.execute(update(Item).where(Item.id.in_(gone)).values(input=None, groups=None, show=None)))
    return gone


def kept_bytes(database: Database) -> bytes:
    return b"".join(database.read(lambda s: [data for data in s.scalars(select(Blob.bytes)) if data]))


@pytest.mark.parametrize("form", FORMATS)
def test_a_version_is_made_anew_without_what_was_erased(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    old = datasets.export(database, held, format=form, with_reasons=True, by=ann)
    before = frame(database, old, tmp_path / "before").set_index("external_id")
    new = datasets.rewrite(database, old.id, erase(database, held, "b"), ann)
    assert new is not None
    assert (new.kind, new.rows, new.watermark, new.made_at) == ("export", 2, old.watermark, old.made_at)
    assert (new.manifest["replaces"], new.manifest["erased"]) == (old.content_hash, 1)
    after = frame(database, new, tmp_path / "after").set_index("external_id")
    assert after.equals(before.drop("b"))
    assert "erased: 1" in (tmp_path / "after" / "README.md").read_text()
    assert form == "parquet" or b"canary-b" not in kept_bytes(database)
    assert not stale(database, old)
    assert database.read(datasets.newest, held.id, "export") == new
    gone = database.read(datasets.dataset, old.id)
    assert (gone.replaced_by, gone.files, gone.rows) == (new.id, {}, 3)
    noted = select(DatasetItem.dataset_id, DatasetItem.item_id)
    assert set(database.read(lambda s: s.execute(noted).tuples().all())) == {(new.id, each) for each in ids(database, "a", "c")}


def stale(database: Database, old: Any) -> list[str]:
    """Bytes that an old version alone named and that are still there."""
    named = {each["sha256"] for info in database.read(datasets.infos, [old.id + 1]) for each in info.files.values()}
    return [name for name, each in old.files.items() if each["sha256"] not in named and there(database, each["sha256"])]


def there(database: Database, sha: str) -> bool:
    return database.read(lambda session: session.get(Blob, sha)) is not None


def test_once_more_changes_nothing_more(database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    old = datasets.export(database, held, format="csv", by=ann)
    new = datasets.rewrite(database, old.id, erase(database, held, "b"), ann)
    assert new is not None
    assert datasets.rewrite(database, old.id, ids(database, "b"), ann) is None
    assert datasets.rewrite(database, new.id, ids(database, "b"), ann) is None
    again = datasets.rewrite(database, old.id, erase(database, held, "a"), ann)
    assert again is not None
    assert (again.rows, again.manifest["erased"], again.manifest["replaces"]) == (1, 2, new.content_hash)
    assert len(database.read(datasets.versions, held.id)) == 3
    with pytest.raises(NotFound, match="no dataset 77"):
        datasets.rewrite(database, 77, {1}, ann)


def test_a_later_export_leaves_erased_items_out_and_counts_them(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    erase(database, held, "b")
    info = datasets.export(database, held, format="csv", by=ann)
    assert (info.rows, info.manifest["erased"]) == (2, 1)
    assert list(frame(database, info, tmp_path)["external_id"]) == ["a", "c"]


@pytest.mark.parametrize("kind", ["base", "answers"])
def test_rows_that_came_with_labels_go_by_their_id(database: Database, held: Setting, ann: Actor, kind: str) -> None:
    factories.routed(database, held, {"b": factories.says("pay", 0.6)})
    rows = [{"external_id": n, "input": {"region": f"canary-{n}\u2028\u0085"}, "label": "pay", "split": "train"} for n in "abc"]
    answers = {n: f"canary-{n}" for n in "abc"}

    def keep() -> Any:
        if kind == "base":
            return database.write(datasets.add_base, held, rows, by=None)
        return database.write(datasets.add_answers, held, answers, by=None)

    old = keep()
    new = datasets.rewrite(database, old.id, ids(database, "b"), ann)
    assert new is not None
    assert new.rows == 2
    assert [row["external_id"] for row in database.read(lambda s: list(datasets.lines(s, new)))] == ["a", "c"]
    assert b"canary-b" not in kept_bytes(database)
    assert database.read(datasets.newest, held.id, kind) == new
    with pytest.raises(Refused, match=f"dataset {old.id}, of which some were erased; dataset {new.id} has the others"):
        keep()


def test_the_rows_that_are_left_may_be_a_version_already(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"b": factories.says("pay", 0.6)})
    rows = [{"external_id": n, "input": {"region": n}, "label": "pay", "split": "train"} for n in "abc"]
    first = database.write(datasets.add_imported, held, [rows[0], rows[2]], by=None)
    second = database.write(datasets.add_imported, held, rows, by=None)
    new = datasets.rewrite(database, second.id, ids(database, "b"), ann)
    assert new is not None
    assert (new.rows, new.manifest["replaces"]) == (2, second.content_hash)
    assert new.content_hash not in (first.content_hash, second.content_hash)
    assert database.read(datasets.newest, held.id, "imported") == new
    assert database.read(datasets.dataset, first.id) == first


@pytest.mark.parametrize("step", ["_begin", "_put", "_describe", "_remember", "_replace"])
def test_two_that_erase_at_once_leave_neither(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    old = datasets.export(database, held, format="csv", by=ann)
    erase(database, held, "a", "b")
    real, begun = getattr(datasets, step), list[str]()

    def between(session: Any, *args: Any) -> Any:
        if not begun:
            begun.append(step)
            raise _Again
        return real(session, *args)

    def write(verb: Any, *args: Any) -> Any:
        try:
            return writing(verb, *args)
        except _Again:
            every = database.read(lambda s: s.scalars(select(Dataset.id).where(Dataset.replaced_by.is_(None))).all())
            for each in every:
                datasets.rewrite(database, each, ids(database, "b"), ann)
            return writing(real, *args)

    writing = database.write
    monkeypatch.setattr(datasets, step, between)
    monkeypatch.setattr(database, "write", write)
    datasets.rewrite(database, old.id, ids(database, "a"), ann)
    assert begun
    newest = database.read(datasets.newest, held.id, "export")
    assert newest is not None
    assert newest.rows == 1
    assert not any(name in kept_bytes(database) for name in (b"canary-a", b"canary-b"))


class _Again(Exception):
    """Another erasure comes first."""


def test_an_export_begins_again_where_erasing_cleared_it_away(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    real, dropped = datasets._images, list[int]()

    def meanwhile(*args: Any) -> Any:
        if not dropped:
            dropped.extend(database.read(lambda s: s.scalars(select(Dataset.id).where(Dataset.kind == stored.UNFINISHED)).all()))
            assert datasets.rewrite(database, dropped[0], erase(database, held, "b"), ann) is None
        return real(*args)

    monkeypatch.setattr(datasets, "_images", meanwhile)
    assert datasets.export(database, held, format="csv", by=ann).rows == 2
    assert dropped


def test_one_that_is_finished_while_it_is_dropped_is_made_anew(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(database, held, ann, monkeypatch, "ab")
    finish, made = datasets._finish, list[Any]()

    def meanwhile(session: Any, setting: Setting, draft: int, *args: Any) -> Any:
        made.append((setting, draft, *args))
        raise _Again

    monkeypatch.setattr(datasets, "_finish", meanwhile)
    with pytest.raises(_Again):
        datasets.export(database, held, format="csv", by=ann)
    gone, forget = erase(database, held, "b"), datasets._forget

    def late(session: Any, dataset_id: int) -> Any:
        if made:
            finish(session, *made.pop())
        return forget(session, dataset_id)

    monkeypatch.setattr(datasets, "_forget", late)
    new = datasets.rewrite(database, made[0][1], gone, ann)
    assert new is not None
    assert new.rows == 1
    assert b"canary-b" not in kept_bytes(database)


def test_a_rewrite_that_breaks_off_is_done_by_the_next(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    old = datasets.export(database, held, format="csv", by=ann)
    gone = erase(database, held, "b")
    for step in ("_put", "_describe", "_remember", "_replace"):
        with monkeypatch.context() as broken:
            broken.setattr(datasets, step, fail)
            with pytest.raises(RuntimeError):
                datasets.rewrite(database, old.id, gone, ann)
        assert database.read(datasets.newest, held.id, "export") == old
    monkeypatch.setattr(datasets, "ABANDONED", clock.now() - clock.now())
    new = datasets.rewrite(database, old.id, gone, ann)
    assert new is not None
    kinds = database.read(lambda s: sorted(s.scalars(select(Dataset.kind))))
    assert kinds == ["export", "export"]


def fail(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("the worker dies")


def test_what_is_erased_while_it_is_exported_is_in_no_version(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(database, held, ann, monkeypatch, "abc")
    begin, erased = datasets._begin, list[set[int]]()

    def meanwhile(session: Any, *args: Any) -> int:
        if not erased:
            erased.append(ids(database, "b"))
            session.execute(insert(Erased), [{"item_id": n, "project_id": held.id, "erased_at": clock.now()} for n in erased[0]])
        return begin(session, *args)

    monkeypatch.setattr(datasets, "_begin", meanwhile)
    info = datasets.export(database, held, format="csv", by=ann)
    assert info.rows == 2
    assert b"canary-b" not in kept_bytes(database)


def test_one_that_is_still_made_is_dropped(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(database, held, ann, monkeypatch, "ab")
    with monkeypatch.context() as broken:
        broken.setattr(datasets, "_finish", fail)
        with pytest.raises(RuntimeError):
            datasets.export(database, held, format="csv", by=ann)
    draft = database.read(lambda s: s.scalars(select(Dataset.id).where(Dataset.kind == stored.UNFINISHED)).one())
    assert datasets.rewrite(database, draft, erase(database, held, "b"), ann) is None
    assert database.read(lambda s: s.get(Dataset, draft)) is None
    assert b"canary-b" not in kept_bytes(database)


@pytest.mark.parametrize("form", ["image-folder", "label-studio"])
def test_images_go_with_the_rows_that_named_them(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    wanted = factories.project(project="pictures", input={"type": "image"}, labels=["cat", "dog"], noun="picture")
    held, ann = factories.setting(database, wanted), factories.person(database, "ann")
    shas = [database.write(blobs.put, f"\x89PNG canary-{name}".encode(), "image/png") for name in "abb"]
    sent = zip("abc", shas, strict=True)
    factories.submit(database, held, [{"external_id": n, "input": {"image": {"blob": f"sha256:{sha}"}}} for n, sha in sent])
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=5, seconds=60)
    said = [(each, factories.says("cat", 0.6, ("cat", "dog"))) for each in leased]
    database.write(batches.write, held.id, "w", said, model_id=rule.model_id, keys=factories.keys(database))
    decide(
        database,
        held,
        ann,
        {"a": Said("1", "accept"), "b": Said("2", "accept"), "c": Said("3", "reject", reason="no label fits")},
    )
    later(monkeypatch)
    old = datasets.export(database, held, format=form, by=ann)
    gone = erase(database, held, "a", "b")
    new = datasets.rewrite(database, old.id, gone, ann)
    assert new is not None
    assert (there(database, shas[0]), there(database, shas[1])) == (False, True)  # c has the image of b too
    database.read(datasets.write_folder, new, tmp_path)
    assert datasets.verify(tmp_path) == []
    pictures = [path for path in tmp_path.rglob("*.png")]
    assert [path.read_bytes() for path in pictures] == [b"\xc2\x89PNG canary-b"]
    assert {name for name in new.files if name.endswith("xml")} == ({"label_config.xml"} if form == "label-studio" else set())
    assert form != "image-folder" or pictures[0].parts[-3] == "rejected"

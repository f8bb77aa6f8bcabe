"""Rows into items on both databases: the next batch is taken while one is written, and a full queue is waited for."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app import loading
from app.loading import loader
from app.settings import Settings
from app.workspace import Workspace
from db.engine import Database
from db.tables import ItemKey
from review_queue.errors import Full
from review_queue.projects import Setting
from tests import factories

FULL = "30 rows; the queue is full, waiting for room"


@pytest.fixture
def workspace(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(loader, "BATCH", 10)
    return Workspace(Settings(dir=tmp_path), database, factories.keys(database))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, [factories.raw(str(n)) for n in range(30)])


def written(folder: Path, items: list[dict[str, Any]]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def limit(database: Database, most: Any) -> Setting:
    return factories.setting(database, wished=factories.policy(intake={"most_waiting": most}))


def kept(database: Database) -> list[str]:
    return database.read(lambda s: list(s.scalars(select(ItemKey.external_id).order_by(ItemKey.item_id))))


def test_every_batch_is_counted_and_what_is_refused_stands_with_its_reason(workspace: Workspace, tmp_path: Path) -> None:
    held = factories.setting(workspace.database)
    items = [factories.raw(f"{n:02}") for n in range(25)]
    items[3] = {"external_id": "bad", "input": {}}
    items[14] = factories.raw("01", amount=7)  # conflicts with a batch before its own
    items[24] = factories.raw("00")
    done = loading.load(workspace, held, written(tmp_path, items))
    assert (done.added, done.known, done.rejected) == (22, 1, 2)
    assert done.rejected_file is not None
    reasons = [json.loads(line)["reason"] for line in done.rejected_file.read_text().splitlines()]
    assert "is not there" in reasons[0]
    assert "came with other content before" in reasons[1]
    assert len(kept(workspace.database)) == 22


def test_it_waits_for_room_and_says_so(workspace: Workspace, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "LOOK_AGAIN", 0.01)
    seen: list[str] = []

    def told(_: float, said: str) -> None:
        seen.append(said)
        if seen.count(FULL) == 2:
            limit(workspace.database, 100)

    done = loading.load(workspace, limit(workspace.database, 20), file, progress=told)
    assert (done.added, len(kept(workspace.database))) == (30, 30)
    assert seen.count(FULL) == 2
    assert seen[-1] == "30 rows"


def test_broken_off_while_it_waits_it_ends(workspace: Workspace, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "LOOK_AGAIN", 600)

    def told(_: float, said: str) -> None:
        if said == FULL:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loading.load(workspace, limit(workspace.database, 20), file, progress=told)
    assert kept(workspace.database) == sorted(map(str, range(10))) + sorted(map(str, range(10, 20)))


def test_without_waiting_it_is_refused_and_goes_on_when_loaded_again(workspace: Workspace, file: Path) -> None:
    with pytest.raises(Full):
        loading.load(workspace, limit(workspace.database, 20), file, wait=False)
    assert len(kept(workspace.database)) == 20
    done = loading.load(workspace, limit(workspace.database, 21), file, wait=False)
    assert (done.added, done.known) == (10, 20)

"""The worker looks at every window that is full, in each project, whatever becomes of another."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.settings import Settings
from app.worker.drifting import Drifting
from app.workspace import Workspace
from db.engine import Database
from review_queue import drift
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


def project(database: Database, name: str, every: int = 100) -> Setting:
    wished = factories.policy(drift={"every": every})
    held = factories.setting(database, factories.project(project=name), wished)
    for begin in range(0, 250, 50):
        factories.routed(database, held, {f"{name}-{n}": factories.says("pay", 0.95) for n in range(begin, begin + 50)})
    return held


def looks(workspace: Workspace, held: Setting) -> int:
    return len(workspace.database.read(drift.latest, held.id))


def test_every_full_window_is_looked_at_once(workspace: Workspace) -> None:
    one, other = project(workspace.database, "one"), project(workspace.database, "other", every=300)
    drifting = Drifting(workspace, Event())
    assert drifting.turn() == 2
    assert (looks(workspace, one), looks(workspace, other)) == (2, 0)
    assert drifting.turn() == 0


def test_a_project_that_fails_holds_no_other_up(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = project(workspace.database, "one"), project(workspace.database, "other")
    real = drift.read

    def read(session: Any, window: Any) -> Any:
        if window.setting.id == one.id:
            raise ValueError("strange input")
        return real(session, window)

    monkeypatch.setattr(drift, "read", read)
    assert Drifting(workspace, Event()).turn() == 2
    assert (looks(workspace, one), looks(workspace, other)) == (0, 2)


def test_told_to_stop_it_looks_at_nothing_more(workspace: Workspace) -> None:
    held, over = project(workspace.database, "one"), Event()
    over.set()
    assert Drifting(workspace, over).turn() == 0
    assert looks(workspace, held) == 0

"""`signoff start` in a process of its own, and what then stands in the database."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from db.engine import Database
from db.tables import Explanation, ItemKey, Prediction
from retrain import registry
from retrain.records import ModelInfo
from review_queue import insights, projects
from review_queue.projects import Setting
from tests.end_to_end import processes


def signoff(folder: Path, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command run in a folder, whose workspace is `signoff-data` in it."""
    env = {**processes.plain(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "app.cli.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@dataclass(frozen=True)
class Desk:
    """A project of a workspace."""

    database: Database
    setting: Setting

    @property
    def champion(self) -> ModelInfo | None:
        return self.database.read(registry.champion, self.setting.id)

    @property
    def totals(self) -> dict[str, int]:
        return self.database.read(insights.totals, self.setting.id)

    @property
    def waiting(self) -> int:
        return self.database.read(insights.backlog, self.setting.id).waiting

    def arrived(self) -> set[str]:
        query = select(ItemKey.external_id).where(ItemKey.project_id == self.setting.id)
        return set(self.database.read(lambda session: list(session.scalars(query))))

    def predictions(self) -> dict[str, dict[str, float]]:
        """External id to label to probability, of every item that the champion scored."""
        assert self.champion is not None
        query = select(ItemKey.external_id, Prediction.probabilities).where(
            ItemKey.item_id == Prediction.item_id, Prediction.model_id == self.champion.id
        )
        found = self.database.read(lambda session: list(session.execute(query).tuples()))
        return {name: dict(zip(self.champion.labels, held, strict=True)) for name, held in found}

    def explained(self) -> dict[str, set[str]]:
        """External id to the methods by which it was explained."""
        query = select(ItemKey.external_id, Explanation.method).where(
            ItemKey.item_id == Explanation.item_id, ItemKey.project_id == self.setting.id
        )
        found: dict[str, set[str]] = {}
        for name, method in self.database.read(lambda session: list(session.execute(query).tuples())):
            found.setdefault(name, set()).add(method)
        return found


@contextmanager
def desk(folder: Path, name: str) -> Iterator[Desk]:
    """The project of this name in the folder's workspace."""
    database = Database(f"sqlite:///{folder / 'signoff-data' / 'signoff.db'}")
    yield Desk(database, database.read(projects.get, name))
    database.close()

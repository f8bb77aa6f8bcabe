"""The command line on a workspace of its own, in this process; a few tests start real ones."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from app.settings import Settings
from app.workspace import Workspace, open_workspace

KEPT = ("SIGNOFF_TEST_PG", "SIGNOFF_MLFLOW")
PROJECT = """\
project: claims
title: Motor claims
noun: claim
input:
  type: tabular
  id: claim_id
  time: opened_at
  features:
    amount: {type: number, unit: EUR}
    region: {type: category}
    fraud: {type: boolean, optional: true}
    note: {type: text, optional: true, was: remark}
  show:
    page: {type: link}
    pages: {type: link, many: true}
  groups: [sex]
  subject: person_id
labels: {pay: {key: y}, deny: {key: d}}
model: {uri: "registry:claims@champion", trainer: sklearn-hgb}
guidelines: guidelines.md
"""
POLICY = """\
autonomy: set
automate: {at_least: 0.9, never: ["amount > 50000"]}
review: {undo_window: 0s}
"""


@dataclass
class Signoff:
    """`signoff` in a workspace: `signoff("queue", "stats")` gives what was printed and the exit code."""

    folder: Path
    runner: CliRunner = field(default_factory=CliRunner)

    def __call__(
        self, *args: str | Path, code: int | None = 0, env: dict[str, str] | None = None, given: str | None = None
    ) -> Result:
        told = {"SIGNOFF_DIR": str(self.folder), **(env or {})}
        result = self.runner.invoke(app, [str(each) for each in args], env=told, input=given)
        assert code in (None, result.exit_code), (result.output, result.exception)
        return result

    def json(self, *args: str | Path, code: int = 0, env: dict[str, str] | None = None) -> Any:
        return json.loads(self(*args, "--json", code=code, env=env).stdout)

    def refused(self, *args: str | Path, env: dict[str, str] | None = None) -> str:
        """The one sentence of an error of the domain."""
        result = self(*args, code=1, env=env)
        assert "Traceback" not in result.output
        assert result.stderr.startswith("signoff: ")
        return result.stderr.removeprefix("signoff: ").strip()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNOFF_") and name not in KEPT]:
        monkeypatch.delenv(name)


@pytest.fixture
def signoff(tmp_path: Path, sqlite_template: Path) -> Signoff:
    """An empty workspace."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "signoff.db")
    return Signoff(folder)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the files of a project."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "project.yaml").write_text(PROJECT)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "guidelines.md").write_text("Read the file.")
    return folder


@pytest.fixture
def claims(signoff: Signoff, files: Path) -> Signoff:
    """A workspace in which the project is in force."""
    signoff("project", "apply", files)
    return signoff


@pytest.fixture
def workspace(claims: Signoff) -> Iterator[Workspace]:
    """The same workspace, opened."""
    held = open_workspace(Settings(dir=claims.folder))
    yield held
    held.database.close()


@pytest.fixture
def workspace_of() -> Iterator[Callable[[Signoff], Workspace]]:
    """Opens the workspace of a command line, once."""
    held: dict[Path, Workspace] = {}

    def opened(signoff: Signoff) -> Workspace:
        if signoff.folder not in held:
            held[signoff.folder] = open_workspace(Settings(dir=signoff.folder))
        return held[signoff.folder]

    yield opened
    for each in held.values():
        each.database.close()

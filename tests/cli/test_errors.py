"""Errors: one sentence and exit 1; misuse: exit 2; a traceback only for who asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import console, errors
from tests.cli.conftest import Signoff


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("SIGNOFF_")}
    return subprocess.run([sys.executable, "-m", "app.cli.main", *args], capture_output=True, text=True, env={**told, **env})


def test_exit_codes_of_a_real_process(tmp_path: Path) -> None:
    lacking = run("queue", "stats", SIGNOFF_DIR=str(tmp_path / "none"))
    assert (lacking.returncode, lacking.stdout) == (1, "")
    assert lacking.stderr.startswith("signoff: there is no workspace in ")
    assert lacking.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()
    assert run("queue", "fly").returncode == 2
    assert run("queue", "stats", "--fly").returncode == 2
    assert run("item", "load").returncode == 2
    assert run("policy", "schema").returncode == 0


@pytest.mark.parametrize(("args", "env"), [(["--debug"], {}), ([], {"SIGNOFF_DEBUG": "1"})])
def test_the_traceback_is_for_who_asks(tmp_path: Path, args: list[str], env: dict[str, str]) -> None:
    done = run("queue", "stats", *args, SIGNOFF_DIR=str(tmp_path / "none"), **env)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "there is no workspace" in done.stderr


def test_debug_after_a_double_dash_is_an_argument(claims: Signoff) -> None:
    assert "has no claim '--debug'" in claims.refused("item", "show", "--", "--debug")


def test_a_bad_setting_is_named(signoff: Signoff) -> None:
    assert "SIGNOFF_THREADS = '0'" in signoff.refused("queue", "stats", env={"SIGNOFF_THREADS": "0"})


def test_a_database_that_cannot_be_reached_is_told(signoff: Signoff, tmp_path: Path) -> None:
    assert "no database URL" in signoff.refused("queue", "stats", env={"SIGNOFF_DATABASE_URL": "nonsense"})
    url = f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}"
    assert "unable to open database file" in signoff.refused("queue", "stats", env={"SIGNOFF_DATABASE_URL": url})
    (tmp_path / "x.db").write_text("this is no database, and long enough to be taken for one" * 50)
    url = f"sqlite:///{tmp_path / 'x.db'}"
    assert "file is not a database" in signoff.refused("queue", "stats", env={"SIGNOFF_DATABASE_URL": url})


def test_a_strange_key_is_told(claims: Signoff) -> None:
    said = claims.refused("queue", "stats", env={"SIGNOFF_SECRET_KEY": "another"})
    assert "not the one this database was used with" in said


def test_an_unknown_device_is_told(claims: Signoff) -> None:
    assert "is no device" in claims.refused("worker", "run", "--drain", "--device", "abacus")


def test_faults_of_the_program_keep_their_traceback() -> None:
    assert errors.sentence(KeyError("x")) is None
    assert errors.sentence(PermissionError(13, "Permission denied", "/x")) == "/x: Permission denied"


def test_tables_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = console.table(("name", "n", "words"), [("a" * 100, 1, "b\nb" * 100), ("b", 12_000, None)])
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[2].split() == ["b", "12,000", "-"]

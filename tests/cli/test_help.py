"""Help is there for everything, and at once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from app.cli.main import app

HEAVY = ("torch", "shap", "lime", "sklearn", "streamlit", "sqlalchemy", "pandas", "fastapi", "numpy")
OWN = {"--help", "--version", "--install-completion", "--show-completion"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = dict(commands(get_command(app)))
VERBS = {path: command for path, command in ALL.items() if not hasattr(command, "commands")}


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def test_help_comes_at_once() -> None:
    """Half a second beyond what the interpreter itself takes; the best of three, for other work on the machine."""
    bare = min(seconds(sys.executable, "-c", "pass") for _ in range(3))
    helped = min(seconds(sys.executable, "-m", "app.cli.main", "--help") for _ in range(3))
    assert helped - bare < 0.5


@pytest.mark.parametrize("args", [["--help"], ["item", "load", "--help"], ["model", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    script = f"""
import sys
from app.cli.main import app
try:
    app({args!r}, prog_name="signoff")
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Usage: signoff" in done.stdout


def test_every_promised_command_is_there() -> None:
    promised = """
    demo; start; up; doctor; report; ui run; api run; worker run; project apply; project list; project show; project schema;
    project drift; policy check; policy apply; policy show; policy schema; policy simulate; policy costs; item load; item show;
    item replace; item cancel; item review; item truth; item erase; item erased;
    queue stats; queue list; queue release; queue drop; queue park; queue unpark; queue soak; queue assign; queue due;
    queue decide; queue acts; queue undo; gold add; gold list; gold end;
    dataset export; dataset list; dataset show; dataset import; dataset verify; model add; model train; model list; model show;
    model compare; model card; model promote;
    model rollback; model shadow;
    job list; job show; job cancel; job run; job wait; model retrain;
    autonomy show; autonomy freeze; autonomy unfreeze; autonomy raise;
    autonomy sign; autonomy withdraw; autonomy lower; autonomy regrant; autonomy history; evidence show; user add; user list;
    user disable; user enable; user grant; user withdraw; user role; user password;
    user email; key add; key list; key revoke; webhook add; webhook list; webhook show; webhook test; webhook resend;
    webhook drop; webhook remove; db upgrade; db check
    """
    assert {tuple(each.split()) for each in promised.split(";")} == set(VERBS)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_everything_has_help(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert command.help.strip().endswith(".")
    for parameter in command.params:
        assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_has_an_environment_variable(path: tuple[str, ...]) -> None:
    for parameter in ALL[path].params:
        if parameter.param_type_name == "option" and not OWN & set(parameter.opts):
            assert str(parameter.envvar).startswith("SIGNOFF_"), (path, parameter.opts)


@pytest.mark.parametrize(
    "path", [path for path in VERBS if path[-1] in ("list", "show", "stats", "check", "compare")], ids=" ".join
)
def test_every_read_offers_json(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in VERBS[path].params)


def test_module_starts_as_well() -> None:
    done = subprocess.run([sys.executable, "-m", "app.cli.main", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("signoff 0.")

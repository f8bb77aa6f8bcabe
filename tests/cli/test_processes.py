"""Commands that start something long: what they hand on, and a real worker."""

from typing import Any

import pytest

from app.workspace import NotReady
from tests.cli.conftest import Signoff


class Seen:
    """Stands in for what would run until Ctrl-C."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()
    monkeypatch.setattr("app.web.serve", seen)
    return seen


def test_ui_run(signoff: Signoff, served: Seen) -> None:
    signoff("ui", "run", env={"SIGNOFF_PORT": "9000"})
    assert served.kwargs == {"host": "127.0.0.1", "port": 9000, "api": False, "desk": True}


def test_api_run(signoff: Signoff, served: Seen) -> None:
    signoff("api", "run", "--host", "0.0.0.0")
    assert served.kwargs == {"host": "0.0.0.0", "port": 8000, "api": True, "desk": False}


def test_nothing_listens_to_others_before_somebody_can_sign_in(signoff: Signoff) -> None:
    assert "signoff user add" in signoff.refused("api", "run", "--host", "0.0.0.0")


def test_up(signoff: Signoff, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    monkeypatch.setattr("app.up.run", seen)
    signoff("up", "--device", "cpu")
    assert seen.args[0].dir == signoff.folder
    assert seen.kwargs == {"host": "127.0.0.1", "port": 8501, "device": "cpu"}


def test_demo(signoff: Signoff, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    monkeypatch.setattr("app.demo.run", seen)
    signoff("demo", "--no-ui", "--decide", "5")
    assert seen.kwargs == {"port": 8501, "ui": False, "decide": 5}
    assert "Invalid value for '--decide'" in signoff("demo", "--decide", "0", code=2).stderr
    assert "Invalid value for '--port'" in signoff("demo", "--port", "99999", code=2).stderr


def test_worker_run(signoff: Signoff, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    monkeypatch.setattr("app.worker.loop.run", seen)
    signoff("worker", "run", "--drain", env={"SIGNOFF_DEVICE": "cpu"})
    assert seen.kwargs == {"drain": True, "device": "cpu"}
    signoff("worker", "run", env={"SIGNOFF_DRAIN": "1"})
    assert seen.kwargs == {"drain": True, "device": "auto"}


def test_an_installation_that_is_not_ready_says_so(signoff: Signoff, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotReady("not yet")

    monkeypatch.setattr("app.worker.loop.run", refuse)
    assert signoff.refused("worker", "run") == "not yet"

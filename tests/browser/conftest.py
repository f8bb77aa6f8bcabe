"""A real desk in a process of its own, and a real Chromium before it."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.workspace import Workspace
from review_queue import preferences
from tests import factories
from tests.browser import filling

CHROMIUM = "/usr/bin/chromium"
ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ROOT = Path(__file__).parents[2]


@dataclass
class Desk:
    """A running desk."""

    url: str
    workspace: Workspace
    process: "subprocess.Popen[bytes]"


@dataclass
class Seen:
    """What a page asked for and was told."""

    urls: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


Start = Callable[..., Desk]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(folder: Path, workspace: Workspace, port: int | None = None) -> Desk:
    """Run the web process until it answers, on a free port where none is named."""
    port = port or free_port()
    environment = {**os.environ, "SIGNOFF_SECRET_KEY": factories.SECRET}
    process = subprocess.Popen([sys.executable, "-m", "tests.browser.serving", str(folder), str(port)], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=1).close()
            return Desk(url, workspace, process)
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    process.kill()
    raise RuntimeError("the desk did not start")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Start]:
    """Starts a desk on a workspace that `fill` fills; `chosen`: the page in Streamlit alone, or the deck."""
    running: list[Desk] = []

    def begin(fill: Callable[[Workspace], Any], chosen: preferences.Desk = "page") -> Desk:
        workspace = filling.workspace(tmp_path / "desk")
        filling.choose(workspace, chosen)
        fill(workspace)
        running.append(start(tmp_path / "desk", workspace))
        return running[-1]

    yield begin
    for each in running:
        each.process.terminate()
        each.process.wait(10)
        each.workspace.database.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no playwright: pip install -e '.[dev]'")
    if not shutil.which(CHROMIUM):
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    yield opened
    context.close()


@pytest.fixture
def seen(page: Any) -> Seen:
    """Everything that passes between the page and the world."""
    noted = Seen()

    def listen(socket_: Any) -> None:
        def keep(payload: Any) -> None:
            noted.frames.append(payload if isinstance(payload, bytes) else str(payload).encode())

        socket_.on("framereceived", keep)

    page.on("request", lambda request: noted.urls.append(request.url))
    page.on("websocket", listen)
    page.on("pageerror", lambda error: noted.errors.append(str(error)))
    return noted

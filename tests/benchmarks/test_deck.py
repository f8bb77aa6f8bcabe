"""From a key to the next case painted in the deck, and to what a blind case reveals, beside the prototype and a plain page."""

import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.workspace import Workspace
from tests.browser import filling
from tests.browser.conftest import chromium, desk, page  # noqa: F401
from tests.browser.test_deck import TITLE, open_deck

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS = 24
WARM = 2
PLAIN = b"""<p id=n>0</p><script>window.next = async () => { const began = performance.now();
document.getElementById('n').innerHTML = await (await fetch('/next')).text();
await new Promise(requestAnimationFrame); return performance.now() - began; }</script>"""
OFF: dict[str, Any] = {"automate": {"at_least": "off"}}
PROTOTYPE = Path(__file__).parents[3] / "shared" / "perf" / "ui" / "app_deck.py"
AFTER = """const painted = () => new Promise((done) => requestAnimationFrame(() => {
  const channel = new MessageChannel(); channel.port1.onmessage = done; channel.port2.postMessage(0); }));"""
"""The first task after the frame that holds what was changed: it is on the screen by then."""
KEY = f"""async ([key, there]) => {{ {AFTER}
  const title = () => document.querySelector(there)?.textContent, before = title(), began = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
  while (title() === before) await painted();
  await painted();
  return performance.now() - began; }}"""
REVEAL = f"""async (key) => {{ {AFTER}
  const began = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
  while (!document.querySelector(".so-deck .so-chance")) await painted();
  await painted();
  return performance.now() - began; }}"""
CLICK = f"""async () => {{ {AFTER}
  const shown = () => document.querySelector("#m").dataset.cur, before = shown(), began = performance.now();
  document.querySelector("#acc").click();
  while (shown() === before) await painted();
  await painted();
  return performance.now() - began; }}"""


class Plain(BaseHTTPRequestHandler):
    """A page that fetches its next case as one piece of HTML."""

    def do_GET(self) -> None:
        body = PLAIN if self.path == "/" else b"<b>case</b>" * 300
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def figures(name: str, times: list[float]) -> float:
    kept = sorted(times[WARM:])
    p50, p95 = statistics.median(kept), kept[int(len(kept) * 0.95)]
    print(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, n={len(kept)}")
    return p50


@pytest.mark.parametrize(
    ("project", "fill"), [("claims", filling.table), ("messages", filling.texts), ("digits", filling.pictures)], ids=str
)
def test_a_key_to_the_next_case(desk: Any, page: Any, project: str, fill: Callable[..., Any]) -> None:  # noqa: F811
    held = desk(lambda workspace: fill(workspace, 2 * ROUNDS + 10, True, **OFF), "deck")
    open_deck(page, held, project)
    paused, gap = [], []
    for times, pause in ((paused, 500), (gap, 100)):
        for _ in range(ROUNDS):
            times.append(page.evaluate(KEY, ["a", TITLE]))
            page.wait_for_timeout(pause)
    assert figures(f"\n{project}: a key to the next case", paused) <= 16
    figures(f"{project}: ten keys a second", gap)


def test_a_blind_answer_to_what_the_model_said(desk: Any, page: Any) -> None:  # noqa: F811
    def fill(workspace: Workspace) -> None:
        filling.pictures(workspace, ROUNDS + 8, True, review={"blind_first": "all"}, **OFF)

    open_deck(page, desk(fill, "deck"), "digits")
    times = []
    for _ in range(ROUNDS):
        times.append(page.evaluate(REVEAL, "3"))
        page.wait_for_timeout(150)
        page.keyboard.press("a")
        page.wait_for_timeout(350)
    assert figures("\na blind answer to the model's", times) <= 100


@pytest.fixture
def prototype() -> Iterator[str]:
    if not PROTOTYPE.exists():
        pytest.skip("no prototype here to measure beside")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none"]
    run = [sys.executable, "-m", "streamlit", "run", str(PROTOTYPE), *options, "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    time.sleep(4)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def test_the_prototype_and_the_least_that_this_browser_can_do(page: Any, prototype: str) -> None:  # noqa: F811
    page.goto(prototype)
    page.wait_for_selector("#m img")
    page.wait_for_timeout(1000)
    times = []
    for _ in range(ROUNDS):
        times.append(page.evaluate(CLICK))
        page.wait_for_timeout(500)
    figures("\nprototype, a press to the next", times)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    figures("a plain page that fetches", [page.evaluate("window.next()") for _ in range(ROUNDS)])
    server.shutdown()

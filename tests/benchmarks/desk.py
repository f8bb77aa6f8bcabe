"""`python -m tests.benchmarks.desk`: from a key to the next case painted, in a real Chromium with real data, page and deck, on
SQLite and PostgreSQL, beside the pages of ../shared/perf/ui; and the same with nineteen others at work on the process.

Times are taken inside the page, from the key's event to the frame after the next case stands there.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.ui import resources
from app.workspace import Workspace, open_workspace
from review_queue import people, preferences
from review_queue.preferences import Desk, Preferences
from tests.benchmarks import ground
from tests.benchmarks.operators import Operator, crowd
from tests.browser.conftest import ARGS, CHROMIUM, free_port
from tests.browser.test_review import TITLE, settled

DATA = Path(__file__).parents[3] / "shared" / "data" / "adult" / "data.parquet"
PROJECT = "adult"
PLAINS = ("mode=full&page=lean&pattern=callback&chart=html", "mode=full&page=lean&pattern=callback&chart=shap_mpl")
REST = 0.35
"""Seconds between two presses: nobody is slower to read a case."""
PAINTED = """(key) => new Promise((done, lost) => {
  const standing = () => [document.querySelector('.so-title bdi')?.textContent, !!document.querySelector('.so-chances')].join();
  const before = standing(), began = performance.now();
  const look = new MutationObserver(() => {
    if (document.querySelector('.so-title bdi') && standing() !== before) {
      look.disconnect(); requestAnimationFrame(() => done(performance.now() - began)); }
  });
  look.observe(document.body, {subtree: true, childList: true, characterData: true});
  setTimeout(() => { look.disconnect(); lost(new Error('nothing came')); }, 5000);
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code: 'Key' + key.toUpperCase(), bubbles: true}));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--operators", type=int, default=20)
    parser.add_argument("--pace", type=float, default=5.0, help="seconds between two decisions of one of the others")
    parser.add_argument("--databases", nargs="*", default=list(ground.KINDS), choices=ground.KINDS)
    asked = parser.parse_args()
    with ground.server() as postgres, tempfile.TemporaryDirectory(prefix="signoff-bench-", dir="/tmp") as folder:
        for kind in asked.databases:
            with ground.empty(kind, postgres, Path(folder)) as url:
                measure(kind, url, Path(folder) / kind, asked)


def measure(kind: str, url: str, folder: Path, asked: argparse.Namespace) -> None:
    environment = {**os.environ, "SIGNOFF_DATABASE_URL": url, "SIGNOFF_DIR": str(folder)}
    begin = ("start", str(DATA), "--label", "income", "--no-ui", "--items", str(asked.items))
    for command in (begin, ("worker", "run", "--drain")):
        subprocess.run([sys.executable, "-m", "app.cli.main", *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    workspace = open_workspace(Settings(dir=folder, database_url=url))
    with served(environment) as address, plain_pages() as plain, browser() as chromium:
        for desk in ("page", "deck"):
            cookie = sign_in(workspace, f"me-{desk}", desk)
            told(f"{kind}, {desk}", *keyed(chromium, address, cookie, asked.rounds))
        for query in PLAINS if plain else ():
            told(f"plain Streamlit page, {query.rpartition('=')[2]}", clicked(chromium, f"{plain}/?{query}", asked.rounds))
        alone = memory(address)
        others = [
            Operator(address, sign_in(workspace, f"op-{n}", "page"), f"project={PROJECT}") for n in range(asked.operators - 1)
        ]
        working = threading.Thread(target=crowd, args=(others, asked.rounds * 0.7 + 15, asked.pace))
        working.start()
        time.sleep(5)
        for desk in ("page", "deck"):
            cookie = sign_in(workspace, f"me-{desk}", desk)
            told(f"{kind}, {desk}, beside {len(others)} others", *keyed(chromium, address, cookie, asked.rounds))
        each = (memory(address) - alone) / (len(others) + 1)
        working.join()
        said = [time_ for other in others for time_ in other.times]
        told(f"{kind}, the others over the websocket", [1000 * time_ for time_ in said])
        print(f"{kind}, memory of the process: {alone:.0f} MB, and {each:.1f} MB for each person more", flush=True)
    workspace.database.close()


def keyed(chromium: Any, address: str, cookie: str, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from a key to the next case, and from the first answer of a blind one to what the model says."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    name, _, value = cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": address}])
    page = context.new_page()
    page.goto(f"{address}/?project={PROJECT}")
    page.wait_for_selector(TITLE)
    settled(page)
    time.sleep(1)
    nexts, reveals = [], []
    for _ in range(rounds):
        open_ = page.query_selector(".so-chances") is not None
        (nexts if open_ else reveals).append(page.evaluate(PAINTED, "a" if open_ else first_label(page)))
        time.sleep(REST * random.uniform(0.8, 1.6))
        settled(page)
    context.close()
    return nexts[2:], reveals


def first_label(page: Any) -> str:
    """The key of some label."""
    found: str = page.evaluate(
        "() => document.querySelector('[class*=st-key-label-] button kbd, .so-deck-labels kbd')?.textContent ?? '1'"
    )
    return found.lower()


def clicked(chromium: Any, address: str, rounds: int) -> list[float]:
    """The same of a plain page, by its own script of ../shared/perf/ui."""
    source = (ground.PERF / "ui" / "d_ui.py").read_text(encoding="utf-8")
    found = re.search(r'JS = r"""(.*?)"""', source, re.DOTALL)
    assert found is not None
    page = chromium.new_page()
    page.goto(address)
    page.get_by_role("button", name="Accept").first.wait_for()
    time.sleep(2)
    page.evaluate(found.group(1))
    chart = address.rpartition("=")[2]
    page.evaluate("chart => { window.__chart = chart }", chart)
    times = []
    for _ in range(max(12, rounds // 2)):
        page.evaluate("() => { window.__r = null }")
        page.get_by_role("button", name="Accept").first.click()
        page.wait_for_function("() => window.__r", polling=20)
        times.append(page.evaluate("() => window.__r.all"))
        time.sleep(REST)
    page.close()
    return [time_ for time_ in times[2:] if time_ < 1e6]


def told(name: str, times: Sequence[float], reveals: Sequence[float] = ()) -> None:
    if len(times) > 1:
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"{name}: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms (n={len(times)})", flush=True)
    if reveals:
        print(
            f"{name}, reveal of a blind case: median {statistics.median(reveals):.0f}, most {max(reveals):.0f} (n={len(reveals)})"
        )


def sign_in(workspace: Workspace, name: str, desk: Desk) -> str:
    """A person with a cookie, before the kind of desk that is asked for."""
    known = {account.name: account for account in workspace.database.read(people.accounts)}
    account = known.get(name) or workspace.database.write(people.add_person, name, role="reviewer")
    actor = workspace.database.read(people.actor, account.id, "desk")
    assert actor is not None
    workspace.database.write(preferences.choose, actor, Preferences(desk))
    return f"{resources.COOKIE}={resources.signer(workspace.keys.link).dumps(account.id)}"


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    run = [sys.executable, "-m", "app.cli.main", "ui", "run", "--port", str(port)]
    with running(run, f"http://127.0.0.1:{port}", "/healthz", environment) as address:
        yield address


@contextmanager
def plain_pages() -> Iterator[str | None]:
    """The pages of ../shared/perf/ui, where that is."""
    app, port = ground.PERF / "ui" / "app.py", free_port()
    if not app.exists():
        yield None
        return
    options = ("--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false")
    run = [sys.executable, "-m", "streamlit", "run", str(app), *options]
    with running(run, f"http://127.0.0.1:{port}", "/_stcore/health", dict(os.environ)) as address:
        yield address


@contextmanager
def running(command: list[str], address: str, health: str, environment: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    PROCESSES[address] = process.pid
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(address + health, timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


PROCESSES: dict[str, int] = {}


def memory(address: str) -> float:
    """Megabytes that a process holds."""
    status = Path(f"/proc/{PROCESSES[address]}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        held = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield held
        held.close()


if __name__ == "__main__":
    main()

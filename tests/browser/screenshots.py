"""A picture of every screen of the demo, light and dark, wide and narrow: `python -m tests.browser.screenshots [FOLDER]`."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.conftest import ARGS, CHROMIUM
from tests.browser.test_review import settled
from tests.end_to_end import processes

READY = ".so-title, .so-empty"
DECK = ".so-deck .so-title bdi"
ACCEPT = '.so-deck button[aria-keyshortcuts="a"]'
SCREENS = {
    "review-image": "?project=digits",
    "review-table": "?project=diagnosis",
    "queue": "queue?project=digits",
    "insights-traffic": "insights?project=digits",
    "insights-model": "insights?project=digits&section=Model",
    "insights-pace": "insights?project=digits&section=Pace",
    "insights-people": "insights?project=digits&section=People",
    "autonomy-now": "autonomy?project=digits",
    "autonomy-policy": "autonomy?project=digits&section=Policy",
    "autonomy-history": "autonomy?project=digits&section=History",
    "data": "data?project=digits",
    "models": "models?project=digits",
    "activity": "activity?project=digits",
    "settings": "settings?project=digits",
}
VARIANTS = [(scheme, width, height) for scheme in ("light", "dark") for width, height in ((1440, 900), (390, 844))]
MOST = 80
"""Cases decided in search of one that is blind, or that is not."""


def shoot(address: str, folder: Path) -> None:
    """All screens in all variants, into a folder."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page()
        for name, path in SCREENS.items():
            page.goto(f"{address}/{path}")
            if name.startswith("review"):
                _until(page, blind=False)
            _all_variants(page, folder, name)
        page.goto(f"{address}/?project=digits")
        _until(page, blind=False)
        decided = page.inner_text(DECK)
        _all_variants(page, folder, "review-why", _open)
        page.keyboard.press("a")
        _until(page, blind=True)
        _all_variants(page, folder, "review-blind")
        page.goto(f"{address}/find?project=digits&id={decided}")
        _all_variants(page, folder, "find")
        page.goto(f"{address}/signin")
        _all_variants(page, folder, "sign-in", lambda _: None)
        browser.close()


def _until(page: Any, *, blind: bool) -> None:
    """Decide cases until one of the wanted kind is on the page."""
    for _ in range(MOST):
        page.wait_for_selector(DECK)
        page.wait_for_timeout(300)
        if (page.query_selector(ACCEPT) is None) == blind:
            return
        page.keyboard.press("a" if page.query_selector(ACCEPT) else "s")
        page.wait_for_timeout(300)
        if page.query_selector(".so-deck-step"):
            page.keyboard.press("1")


def _open(page: Any) -> None:
    """Why, in full, with the runner-up; a page that was loaded anew may show another case."""
    _until(page, blind=False)
    page.keyboard.press("w")
    page.get_by_role("button", name="Less").wait_for()
    page.keyboard.press("y")
    page.wait_for_timeout(3000)


def _all_variants(page: Any, folder: Path, name: str, act: Callable[[Any], None] = settled) -> None:
    for scheme, width, height in VARIANTS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        page.reload()
        page.wait_for_selector(f"{READY}, h1")
        act(page)
        page.wait_for_timeout(1200)
        page.screenshot(path=folder / f"{name}-{scheme}-{width}.png")


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as kept:
        command = [sys.executable, "-m", "app.cli.main", "demo", "--no-ui", "--decide", "120", "--dir", kept]
        subprocess.run(command, check=True, env=processes.plain())
        drained = [sys.executable, "-m", "app.cli.main", "worker", "run", "--drain", "--dir", kept]
        subprocess.run(drained, check=True, env=processes.plain(), stderr=subprocess.DEVNULL)  # every case with its reasons
        port = processes.free_port()
        with processes.running(["up", "--dir", kept, "--port", str(port)], processes.plain(), gently=True):
            processes.wait_until_up(port)
            shoot(f"http://127.0.0.1:{port}", folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))

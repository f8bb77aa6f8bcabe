"""What an operator does on the first day: open the demo, decide by keyboard, take one back, export."""

import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sqlalchemy import select

from app.settings import Settings
from app.workspace import Workspace, open_workspace
from db.tables import Decision, ItemKey
from tests.browser.test_deck import TITLE
from tests.browser.test_review import settled
from tests.end_to_end import processes

MAIN = '.so-deck button[aria-keyshortcuts="a"]'
TODAY = "today => document.querySelector('[data-count=today]')?.textContent === today"
MIDDLES = "each => each.map(one => { const box = one.getBoundingClientRect(); return box.x + box.width / 2; })"
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo set up by its command."""
    path = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "app.cli.main", "demo", "--no-ui", "--dir", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=processes.plain())
    assert done.returncode == 0, done.stderr
    assert "1,400 arrived" in done.stdout
    assert done.stdout.count("At 5 % error ") == 2
    return path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """Web process and worker, as `signoff up` runs them."""
    port = processes.free_port()
    arguments = ["up", "--dir", str(folder), "--port", str(port), "--device", "cpu"]
    with processes.running(arguments, processes.plain(), gently=True):
        processes.wait_until_up(port)
        yield f"http://127.0.0.1:{port}"


def test_ten_cases_one_taken_back_and_the_export_holds_exactly_those(folder: Path, address: str, page: Any) -> None:
    workspace = open_workspace(Settings(dir=folder))
    page.goto(f"{address}/?project=digits")
    page.wait_for_selector(TITLE)
    said: dict[str, str] = {}
    blind = 0
    while len(said) < 10 or not blind:
        external_id, answer, was_blind = decide(page)
        said[external_id] = answer
        blind += was_blind
        assert len(said) < 150, "a blind case must come"
        page.wait_for_function(TODAY, arg=str(len(said)))
    page.keyboard.press("u")
    page.wait_for_function(TODAY, arg=str(len(said) - 1))
    external_id, answer, _ = decide(page)
    said[external_id] = answer
    page.wait_for_function(TODAY, arg=str(len(said)))
    assert stored(workspace) == said
    time.sleep(17)  # until nothing can be taken back
    got = exported(page, address)
    assert dict(zip(got["external_id"], got["label"], strict=True)) == said
    assert got["first_label"].notna().sum() == blind
    assert set(got["label_basis"]) <= {"routed", "drawn"}


def decide(page: Any) -> tuple[str, str, bool]:
    """Answer the case on the page: its id, the answer given, and whether it was blind."""
    external_id = page.inner_text(TITLE)
    blind = page.query_selector(MAIN) is None
    if blind:
        page.keyboard.press("3")
        page.wait_for_selector(MAIN)
        page.wait_for_timeout(60)
    main = page.inner_text(MAIN).split("\n")[0]
    page.keyboard.press("a")
    page.wait_for_function("before => document.querySelector('.so-title bdi')?.textContent !== before", arg=external_id)
    page.wait_for_timeout(60)
    return external_id, main.partition(": ")[2].split()[0], blind


def stored(workspace: Workspace) -> dict[str, str]:
    """The standing final answer of each decided item."""
    query = select(ItemKey.external_id, Decision.label).join(Decision, Decision.item_id == ItemKey.item_id)
    rows = workspace.database.read(
        lambda s: s.execute(query.where(Decision.stage == "final").order_by(Decision.id)).tuples().all()
    )
    return {external_id: label or "" for external_id, label in rows}


def exported(page: Any, address: str) -> pd.DataFrame:
    """Ask for a dataset version on the page, wait for it, and download it as the page offers it."""
    page.goto(f"{address}/data?project=digits")
    page.get_by_role("button", name="Make a dataset version").click()
    link = page.wait_for_selector('a[href$="/data.parquet"]', timeout=60_000)
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    answer = httpx.get(address + link.get_attribute("href"), cookies=cookies)
    assert answer.status_code == 200
    return pd.read_parquet(io.BytesIO(answer.content))


def test_the_demo_goes_on_from_where_it_was(folder: Path) -> None:
    before, files = stored(open_workspace(Settings(dir=folder))), written(folder)
    command = [sys.executable, "-m", "app.cli.main", "demo", "--no-ui", "--dir", str(folder)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=processes.plain())
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 120
    assert stored(open_workspace(Settings(dir=folder))) == before
    assert written(folder) == files


def written(folder: Path) -> dict[str, str]:
    """Every file of its projects."""
    return {str(path): path.read_text(encoding="utf-8") for path in (folder / "projects").rglob("*.*")}


def test_what_held_out_rows_allow_is_in_force_and_shown(folder: Path, address: str, page: Any) -> None:
    policy = (folder / "projects" / "digits" / "policy.yaml").read_text(encoding="utf-8")
    found = re.search(r"at_least: (\S+) +# .* of 337 old rows reach it", policy)
    assert found, policy
    page.goto(f"{address}/insights?project=digits&section=Model")
    page.wait_for_selector(".so-plot")
    settled(page)
    assert f"may act alone: confidence {found[1]} or more." in page.inner_text("body")
    line, dots = (page.eval_on_selector_all(f".so-plot > {each}", MIDDLES) for each in ("s", "b"))
    assert any(abs(line[0] - dot) < 1 for dot in dots)  # the line in force goes through a threshold of the table

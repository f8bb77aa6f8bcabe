"""A picture of every screen, light and dark, wide and narrow: `python -m tests.browser.screenshots [FOLDER]`."""

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.ui import sitting
from app.ui.sitting import Seat
from app.workspace import Workspace
from retrain import registry
from review_queue import jobs, people
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.browser.conftest import ARGS, CHROMIUM, Desk, start

READY = ".so-title, .so-empty"
SCREENS = {
    "review-table": "?project=claims",
    "review-text": "?project=messages",
    "review-image": "?project=digits",
    "review-blind": "?project=drawn",
    "queue": "queue?project=claims",
    "insights": "insights?project=claims",
    "data": "data?project=claims",
    "models": "models?project=claims",
    "find": "find?project=claims&id=M-1040",
}
VIEW = {
    "name": "all held-out cases",
    "n": 412,
    "champion": 0.896,
    "challenger": 0.914,
    "difference": 0.018,
    "low": 0.002,
    "high": 0.034,
}
THIN = {
    "name": "drawn cases, weighted",
    "n": 87,
    "champion": 0.89,
    "challenger": 0.9,
    "difference": 0.01,
    "low": -0.03,
    "high": 0.05,
}
COMPARED: dict[str, Any] = {"views": [VIEW, THIN], "verdict": "The challenger is better on held-out cases."}


def prepare(workspace: Workspace) -> None:
    """Cases of every kind, some of them decided, a second model version and its comparison."""
    setting = filling.table(workspace, 120, True, audit={"rate": 0.3})
    filling.texts(workspace, 12, True, automate={"at_least": "off"})
    filling.pictures(workspace, 14, True, automate={"at_least": "off"})
    drawn = factories.setting(
        workspace.database,
        factories.project(project="drawn", title="Drawn claims"),
        factories.policy(review={"blind_first": "all"}, automate={"at_least": "off"}),
    )
    filling.route(workspace, drawn, [factories.raw("C-20416")], [factories.says("pay", 0.8)])
    _decide(workspace, setting, 60)
    _compare(workspace, setting)


def _decide(workspace: Workspace, setting: Setting, count: int) -> None:
    """Somebody decides, mostly as the model says."""
    ann = factories.person(workspace.database, "ann", "lead")
    known = factories.person(workspace.database, people.KNOWN_ANSWERS)
    rng = random.Random(5)
    for n in range(count):
        seat = Seat(setting, known if n % 6 == 0 else ann, f"seat-{n % 6 == 0}")
        held = workspace.database.write(sitting.sit, seat)
        if held.case is None:
            return
        turn = sitting.turn_of(held.case)
        if turn.blind:
            workspace.database.write(sitting.answer, seat, turn, rng.choice(list(setting.project.labels)))
            held = workspace.database.write(sitting.sit, seat)
            assert held.case is not None
            turn = sitting.turn_of(held.case)
        label = turn.predicted if rng.random() < 0.8 else rng.choice(list(setting.project.labels))
        assert label is not None
        workspace.database.write(
            sitting.decide, seat, turn, sitting.said_of(turn, sitting.verdict_for(turn, label), label, None, None)
        )


def _compare(workspace: Workspace, setting: Setting) -> None:
    actor = workspace.local_actor("desk")
    versions = [each.version for each in workspace.database.read(registry.models, setting.id)]
    acting = workspace.database.write(factories.champion, setting, workspace.keys.draw_key_id)
    result = {**COMPARED, "champion": workspace.database.read(registry.model_by_id, acting).version, "challenger": versions[0]}
    for kind, found in (("compare", result), ("export", None)):
        workspace.database.write(jobs.ask, setting.id, kind, {}, by=actor)
        job = workspace.database.write(jobs.lease, "pictures")
        if job is not None and found is not None:
            workspace.database.write(jobs.finish, job.id, "pictures", result=found)
        elif job is not None:
            workspace.database.write(jobs.progress, job.id, "pictures", 0.4, "writing the data file")


def shoot(desk: Desk, folder: Path) -> None:
    """All screens in all variants, into a folder."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for scheme in ("light", "dark"):
            for width, height in ((1440, 900), (390, 844)):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                _all(context.new_page(), desk, folder, f"{scheme}-{width}")
                context.close()
        browser.close()


def _all(page: Any, desk: Desk, folder: Path, suffix: str) -> None:
    for name, path in SCREENS.items():
        page.goto(f"{desk.url}/{path}")
        page.wait_for_selector(READY)
        page.wait_for_timeout(1200)
        page.screenshot(path=folder / f"{name}-{suffix}.png")


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as kept:
        workspace = filling.workspace(Path(kept))
        prepare(workspace)
        desk = start(Path(kept), workspace)
        try:
            shoot(desk, folder)
        finally:
            desk.process.terminate()
            desk.process.wait(10)
            workspace.database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screens"))

"""What the demo writes into its policies, without running it whole."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.demo import data
from app.demo.run import HERE, _let_act
from contract.policy import read_policy
from contract.project import read_project
from db.engine import Database
from retrain.alone import Alone, alone
from review_queue import projects
from review_queue.projects import Setting
from tests import factories


@pytest.fixture(params=["digits", "diagnosis"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files of one project, as the demo copies them."""
    return Path(shutil.copytree(HERE / request.param, tmp_path / request.param))


@pytest.fixture
def setting(folder: Path, sqlite: Database) -> Setting:
    project = read_project(folder / "project.yaml")
    policy = read_policy(folder / "policy.yaml", project)
    return sqlite.write(projects.apply, project, policy, "", factories.keys(sqlite).draw_key_id, by=None).setting


def judged(right: bool) -> Alone:
    return alone(np.linspace(0.6, 1, 300), np.full(300, not right))


def test_what_may_act_is_written_before_anything_acts(folder: Path, setting: Setting) -> None:
    assert setting.policy.automate.at_least == "off"
    assert setting.policy.evidence.max_error == 0.05
    before = (folder / "policy.yaml").read_text()
    _let_act(folder, setting, judged(True))
    after = (folder / "policy.yaml").read_text()
    policy = read_policy(folder / "policy.yaml", setting.project)
    assert policy.automate.at_least == judged(True).threshold(0.05)
    (old,), (new,) = (set(a.splitlines()) - set(b.splitlines()) for a, b in ((before, after), (after, before)))
    assert "at_least: off" in old
    assert "of 300 old rows reach it; with 95 % confidence at most 5 % of such are wrong" in new
    _let_act(folder, setting, judged(False))
    assert (folder / "policy.yaml").read_text() == after


def test_where_nothing_may_act_the_file_says_why(folder: Path, setting: Setting) -> None:
    _let_act(folder, setting, judged(False))
    assert read_policy(folder / "policy.yaml", setting.project).automate.at_least == "off"
    assert "no threshold keeps errors to 5 % with 95 % confidence on 300 old rows" in (folder / "policy.yaml").read_text()


def test_enough_is_held_out_to_certify_and_enough_arrives_to_work_on() -> None:
    for source in data.sources():
        assert source.aside * 0.8 > 2 * 59
        assert len(source.items) - source.learn - source.aside >= 300

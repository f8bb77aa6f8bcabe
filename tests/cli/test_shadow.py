"""`signoff model shadow`, and the way back, on the command line."""

import pytest

from app.workspace import Workspace
from review_queue import projects
from review_queue.projects import Setting
from tests.cli.conftest import Signoff
from tests.cli.test_models import registered


@pytest.fixture
def held(claims: Signoff, workspace: Workspace) -> Setting:
    return workspace.database.read(projects.get, "claims")


def test_a_version_goes_into_shadow_and_out_of_it(claims: Signoff, workspace: Workspace, held: Setting) -> None:
    assert "no model is in shadow" in claims("model", "shadow").stdout
    first, second = (registered(workspace, held) for _ in range(2))
    assert "no model acts yet" in claims.refused("model", "shadow", str(second))
    claims("model", "promote", str(first))
    begun = claims("model", "shadow", str(second), "--share", "0.2").stdout
    assert "model 2 predicts beside model 1, which acts; people look at 20%" in begun
    (shown,) = claims.json("model", "shadow")["shadows"]
    assert (shown["version"], shown["kind"], shown["share"]) == (2, "challenger", 0.2)
    assert "model 2 (challenger) beside model 1" in claims("model", "shadow").stdout
    assert "is the champion" in claims.refused("model", "shadow", str(first))
    assert "no model version 9" in claims.refused("model", "shadow", "9")
    assert "is in shadow no more" in claims("model", "shadow", "--stop").stdout
    assert "no model is in shadow" in claims.refused("model", "shadow", "--stop")


def test_what_makes_no_sense_is_misuse(claims: Signoff) -> None:
    assert "leave VERSION out" in claims("model", "shadow", "2", "--stop", code=2).stderr
    assert "name it" in claims("model", "shadow", "--share", "0.1", code=2).stderr


def test_the_former_champion_comes_back_at_once(claims: Signoff, workspace: Workspace, held: Setting) -> None:
    first, second = (registered(workspace, held) for _ in range(2))
    assert "no former champion" in claims.refused("model", "rollback")
    claims("model", "promote", str(first))
    claims("model", "promote", str(second), "--force", "--why", "a test")
    assert "model 1 (former champion) beside model 2" in claims("model", "shadow").stdout
    assert "model 1 acts from the next batch on" in claims("model", "rollback").stdout
    assert claims.json("model", "shadow") == {"shadows": []}

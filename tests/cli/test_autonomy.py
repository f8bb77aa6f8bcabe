"""`signoff evidence` and `autonomy`: how it stands, raised, signed and taken back at the command line."""

import pytest

from app.workspace import Workspace
from review_queue import autonomy, people, projects
from review_queue.projects import Setting
from tests import factories
from tests.cli.conftest import Signoff
from tests.review_queue import earning

EARNED = """\
autonomy: earned
automate: {at_least: 0.5}
evidence: {max_error: 0.05, most_missed: 0%s}
"""


@pytest.fixture
def held(claims: Signoff, workspace: Workspace, files: object) -> Setting:
    return _earned(claims, workspace, files, "")


def _earned(claims: Signoff, workspace: Workspace, files: object, more: str) -> Setting:
    from pathlib import Path

    assert isinstance(files, Path)
    (files / "policy.yaml").write_text(EARNED % more)
    claims("project", "apply", files)
    setting = workspace.database.read(projects.get, "claims")
    workspace.database.write(factories.champion, setting, workspace.keys.draw_key_id)
    return setting


def test_without_a_model_there_is_no_evidence(claims: Signoff) -> None:
    assert "no model acts yet" in claims.refused("evidence", "show")


def test_it_climbs_and_is_taken_back(claims: Signoff, workspace: Workspace, held: Setting) -> None:
    shown = claims("autonomy", "show").stdout
    assert "all cases: assist, nothing acts alone" in shown
    assert "no   from 0.95: 74 more looks without an error" in shown
    first = claims("evidence", "show").stdout.split("certified", 1)[1].splitlines()[1].split()
    assert first[1:6] == ["0", "0", "0", "-", "100.00%"], "no look, no share"
    said = claims.refused("autonomy", "raise")
    assert "cannot rise from assist to audited yet" in said
    earning.traffic(workspace.database, held, 120)
    assert "ready to be signed: `signoff autonomy raise`" in claims("autonomy", "show").stdout
    assert "0.5" in claims("evidence", "show").stdout
    found = claims.json("evidence", "show")
    assert found["units"][0]["certified_from"] == 0.3
    assert claims.refused("evidence", "show", "--unit", "small").startswith("the project has no unit 'small'")
    step = claims.json("autonomy", "raise", "--threshold", "0.9")
    assert (step["state"], step["to_level"], step["counts"]["drawn"]) == ("applied", "audited", 120)
    assert claims.json("autonomy", "show")["units"][0]["threshold"] == 0.9
    assert "from 0.9 (asked for 0.5); 25.0% is spot-checked" in claims("autonomy", "show").stdout
    assert "applied; all cases: audited -> assist" in claims("autonomy", "lower").stdout
    assert [each["kind"] for each in claims.json("autonomy", "history")] == ["fall", "rise", "fall", "rise"]
    told = claims("autonomy", "history", env={"COLUMNS": "200"}).stdout
    assert "took it back" in told
    assert "  -  " not in told, "whoever took it back by hand is named"


def test_where_two_sign_this_line_is_none_of_them(claims: Signoff, workspace: Workspace, files: object) -> None:
    held = _earned(claims, workspace, files, ", signers: 2")
    earning.traffic(workspace.database, held, 120)
    step = claims.json("autonomy", "raise")
    assert (step["state"], step["signed_by"]) == ("open", [])
    assert "waits for 2 of 2 signatures" in claims("autonomy", "show").stdout
    assert "2 people sign here" in claims.refused("autonomy", "sign", step["id"])
    assert claims.refused("autonomy", "sign", "999") == "there is no step 999"
    owners = [workspace.database.write(people.add_person, name, role="owner") for name in ("one", "two")]
    for each in owners:
        by = autonomy.Actor(each.id, each.name, each.role, "api")
        workspace.database.write(autonomy.sign, int(step["id"]), by=by, draw_key_id=workspace.keys.draw_key_id)
    claims("autonomy", "freeze")
    assert "2 people sign here" in claims.refused("autonomy", "unfreeze")
    assert workspace.database.read(projects.get, "claims").frozen_at is not None


def test_an_offer_is_withdrawn(claims: Signoff, workspace: Workspace, files: object) -> None:
    held = _earned(claims, workspace, files, ", signers: 2")
    earning.traffic(workspace.database, held, 120)
    step = claims.json("autonomy", "raise")["id"]
    assert "withdrawn" in claims("autonomy", "withdraw", step).stdout
    assert "withdrawn already" in claims.refused("autonomy", "withdraw", step)


def test_nothing_is_withheld_under_set(claims: Signoff, workspace: Workspace) -> None:
    workspace.database.write(factories.champion, workspace.database.read(projects.get, "claims"), workspace.keys.draw_key_id)
    assert "nothing that the policy asks for is withheld" in claims.refused("autonomy", "regrant")
    assert "as written" in claims.refused("autonomy", "raise")
    claims("autonomy", "lower")
    assert claims.json("autonomy", "regrant")["state"] == "applied"

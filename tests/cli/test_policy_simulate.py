"""`signoff policy simulate` and `signoff policy costs`."""

from pathlib import Path

import yaml

from app.workspace import Workspace
from review_queue import projects
from tests import factories
from tests.cli.conftest import Signoff

LABELS = ("pay", "deny")


def filled(workspace: Workspace, **answers: float) -> None:
    """Cases with a prediction of `pay` of each confidence, routed."""
    held = workspace.database.read(projects.get, "claims")
    key = workspace.keys.draw_key_id
    workspace.database.write(factories.champion, held, key)
    factories.submit(workspace.database, held, [factories.raw(name, fraud=False) for name in answers])
    from review_queue import batches, rules

    rule = workspace.database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = workspace.database.write(batches.lease, held.id, "score", "w", limit=99, seconds=60)
    scored = [(item, factories.says("pay", answers[item.external_id], LABELS)) for item in leased]
    workspace.database.write(batches.write, held.id, "w", scored, model_id=rule.model_id, keys=workspace.keys)


def wish(files: Path, name: str, **changes: object) -> Path:
    path = files / name
    path.write_text(yaml.safe_dump({"autonomy": "set", **changes}))
    return path


def test_a_file_is_tried(claims: Signoff, workspace: Workspace, files: Path) -> None:
    filled(workspace, a=0.97, b=0.93, c=0.7)
    tried = wish(files, "wider.yaml", automate={"at_least": 0.6}, costs={"review": 1})
    said = claims("policy", "simulate", tried).stdout
    assert "3 cases of model" in said
    assert "all there are" in said
    assert "3 (100.0%)" in said
    assert "1 newly alone" in said
    assert "unknown" in said
    found = claims.json("policy", "simulate", tried)
    assert [each["wrong"]["alone"] for each in found["outcomes"]] == [2, 2, 3]
    assert found["outcomes"][-1]["cost"]["total"] is None
    assert found["outcomes"][-1]["load"]["per_day"] == 3 * 0.05
    assert workspace.database.read(projects.get, "claims").policy.automate.at_least == 0.9


def test_against_another_and_over_the_last(claims: Signoff, workspace: Workspace, files: Path) -> None:
    filled(workspace, a=0.97, b=0.93, c=0.7)
    one, other = wish(files, "one.yaml"), wish(files, "two.yaml", automate={"at_least": 0.95})
    found = claims.json("policy", "simulate", one, "--against", other, "--last", "2")
    assert [(each["called"], each["n"]) for each in found["outcomes"]] == [("as it was", 2), ("against", 2), ("candidate", 2)]
    assert (found["read"], found["whole"]) == (2, False)
    assert "the latest" in claims("policy", "simulate", one, "--last", "2").stdout


def test_what_cannot_be_tried_is_refused(claims: Signoff, workspace: Workspace, files: Path) -> None:
    assert "no model acts in claims yet" in claims.refused("policy", "simulate", files)
    filled(workspace, a=0.97)
    (files / "policy.yaml").write_text("autonomy: sett\n")
    assert "policy.yaml:1: autonomy" in claims.refused("policy", "simulate", files)
    assert "cannot be read" in claims.refused("policy", "simulate", files / "nowhere.yaml")
    assert "ask for 1 to 200,000" in claims.refused("policy", "simulate", wish(files, "fit.yaml"), "--last", "999999")


def test_costs_print_a_block_to_paste(claims: Signoff, workspace: Workspace, files: Path) -> None:
    filled(workspace, a=0.97, b=0.6)
    assert "costs.review is 0" in claims.refused("policy", "costs")
    kept = {"automate": {"at_least": 0.9, "per_label": {"deny": 0.95}}, "costs": {"review": 0.5}}
    claims("policy", "apply", wish(files, "policy.yaml", **kept))
    said = claims("policy", "costs")
    assert yaml.safe_load(said.stdout) == {"automate": {"per_label": {"deny": 0.95}}}
    assert "too few looks" in said.stderr
    assert "never lower, what is certified" in said.stderr
    found = claims.json("policy", "costs")
    assert [each["few"] for each in found["labels"]] == [True, True]
    assert found["now"]["reviews"] == found["then"]["reviews"]

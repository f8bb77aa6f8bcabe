"""`signoff project` and `signoff policy`."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import PROJECT, Signoff


def test_apply_puts_the_files_in_force_once(signoff: Signoff, files: Path) -> None:
    first = signoff.json("project", "apply", files)
    assert first["project_changed"]
    assert first["policy_changed"]
    assert first["project_version_id"] == "1"
    assert not signoff.json("project", "apply", files / "project.yaml")["project_changed"]
    assert "unchanged" in signoff("project", "apply", files).stdout


def test_apply_makes_a_workspace(tmp_path: Path, files: Path) -> None:
    Signoff(tmp_path / "new")("project", "apply", files)
    assert (tmp_path / "new" / "signoff.db").exists()


def test_list_and_show(claims: Signoff) -> None:
    (row,) = claims.json("project", "list")
    assert row == {"project": "claims", "title": "Motor claims", "items": 0, "frozen_at": None}
    assert "Motor claims" in claims("project", "list").stdout
    shown = claims.json("project", "show", "claims")
    assert shown["noun"] == "claim"
    assert shown["guidelines_text"] == "Read the file."
    assert yaml.safe_load(claims("project", "show").stdout)["project"] == "claims"


def test_order_of_features_and_labels_is_kept(claims: Signoff) -> None:
    """`project.yaml` names features and labels in order; it decides keys and what the desk shows first."""
    shown = claims.json("project", "show")
    assert list(shown["input"]["features"]) == ["amount", "region", "fraud", "note"]
    assert list(shown["labels"]) == ["pay", "deny"]


def test_schemas_are_published(signoff: Signoff) -> None:
    assert "labels" in json.loads(signoff("project", "schema").stdout)["properties"]
    assert "automate" in json.loads(signoff("policy", "schema").stdout)["properties"]


def test_a_wrong_file_is_told_by_line(signoff: Signoff, files: Path) -> None:
    (files / "project.yaml").write_text(PROJECT.replace("noun: claim", "nuon: claim"))
    said = signoff.refused("project", "apply", files)
    assert f"{files / 'project.yaml'}:3: nuon" in said
    assert "nearest is noun" in said


def test_missing_files_are_told(signoff: Signoff, files: Path, tmp_path: Path) -> None:
    assert "cannot be read" in signoff.refused("project", "apply", tmp_path / "nowhere")
    (files / "guidelines.md").unlink()
    assert "project.yaml:20: guidelines = 'guidelines.md': cannot be read" in signoff.refused("project", "apply", files)
    (files / "guidelines.md").write_bytes(b"\xff\xfe\xff")
    assert "it is not UTF-8" in signoff.refused("project", "apply", files)
    (files / "policy.yaml").unlink()
    assert "policy: write one; `autonomy: set` in it is enough" in signoff.refused("project", "apply", files)


def test_policy_check_says_everything_wrong(signoff: Signoff, files: Path) -> None:
    assert signoff("policy", "check", files).stdout.strip().endswith("policy.yaml: ok")
    (files / "policy.yaml").write_text("autonomy: set\nautomat: {}\naudit: {rate: 2}\n")
    said = signoff.refused("policy", "check", files / "policy.yaml")
    assert "policy.yaml:2: automat" in said
    assert "policy.yaml:3: audit.rate = 2" in said
    problems = signoff.json("policy", "check", files, code=1)["problems"]
    assert [problem["line"] for problem in problems] == [2, 3]


def test_policy_check_holds_it_against_the_project(signoff: Signoff, files: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.yaml"
    alone.write_text("autonomy: set\nautomate: {never: ['amont > 3']}\n")
    assert "project.yaml:1: cannot be read" in signoff.refused("policy", "check", alone)
    said = signoff.refused("policy", "check", alone, "--project", files / "project.yaml")
    assert "nearest is amount" in said
    assert "nearest is amount" in signoff.refused(
        "policy", "check", alone, env={"SIGNOFF_PROJECT_FILE": str(files / "project.yaml")}
    )


def test_policy_apply_and_show(claims: Signoff, files: Path) -> None:
    assert "unchanged" in claims("policy", "apply", files, "--project", "claims").stdout
    (files / "policy.yaml").write_text("autonomy: set\nautomate: {at_least: 0.8}\n")
    assert claims.json("policy", "apply", files / "policy.yaml")["policy_changed"]
    assert claims.json("policy", "show")["automate"]["at_least"] == 0.8
    assert yaml.safe_load(claims("policy", "show").stdout)["automate"]["at_least"] == 0.8


def test_what_lets_more_act_alone_says_who_signs(claims: Signoff, files: Path) -> None:
    (files / "policy.yaml").write_text("autonomy: set\nautomate: {at_least: 0.7}\n")
    said = claims("policy", "apply", files).stdout
    assert "granted: everything acts alone from 0.7" in said
    (files / "policy.yaml").write_text("autonomy: set\nautomate: {at_least: 0.7}\nevidence: {signers: 2}\n")
    claims("policy", "apply", files)
    (files / "policy.yaml").write_text("autonomy: set\nautomate: {at_least: 0.6}\nevidence: {signers: 2}\n")
    assert "not granted yet: everything acts alone from 0.6 instead of 0.7" in claims("policy", "apply", files).stdout
    (files / "policy.yaml").write_text("autonomy: set\nautomate: {at_least: 0.5}\nevidence: {signers: 2}\n")
    step = claims.json("project", "apply", files)["step"]
    assert (step["state"], step["signers"], step["signed_by"]) == ("open", 2, [])


def test_earned_autonomy_is_taken(claims: Signoff, files: Path) -> None:
    (files / "policy.yaml").write_text("autonomy: earned\n")
    assert "ok" in claims("policy", "check", files).stdout
    assert claims.json("policy", "apply", files)["policy_changed"]
    assert claims.json("policy", "show")["autonomy"] == "earned"


@pytest.mark.parametrize("verb", ["show", "freeze", "unfreeze"])
def test_an_unknown_project_is_named(claims: Signoff, verb: str) -> None:
    said = claims.refused("autonomy", verb, "--project", "clams")
    assert said == "there is no project 'clams'; known: claims"


def test_which_project_must_be_said_where_there_are_several(claims: Signoff, files: Path) -> None:
    (files / "project.yaml").write_text(PROJECT.replace("claims", "other"))
    claims("project", "apply", files)
    assert "name one with --project: claims, other" in claims("autonomy", "show", code=2).stderr
    assert claims.json("autonomy", "show", env={"SIGNOFF_PROJECT": "other"})["project"] == "other"


def test_freeze_and_unfreeze(claims: Signoff) -> None:
    assert "no model acts yet" in claims("autonomy", "show").stdout
    assert claims.json("autonomy", "freeze") == {"project": "claims", "frozen": True, "changed": True}
    assert "was frozen already" in claims("autonomy", "freeze").stdout
    assert claims.json("autonomy", "show")["frozen_at"]
    assert claims.json("autonomy", "unfreeze")["changed"]


def test_drift_tells_the_looks(claims: Signoff) -> None:
    assert claims.json("project", "drift") == []
    assert "no look yet" in claims("project", "drift", "claims").stdout

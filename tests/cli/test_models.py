"""`signoff model`, `dataset` and a real worker: from the first labels to the second model."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import Activity
from review_queue import cases, decisions, people, projects
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests.cli.conftest import Signoff


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Claims whose answer hangs on the amount, with some noise."""
    chance = random.Random(seed)
    made = []
    for n in range(count):
        amount = chance.uniform(0, 100)
        label = "pay" if amount + chance.gauss(0, 15) < 50 else "deny"
        made.append({"id": f"{seed}-{n}", "amount": amount, "region": chance.choice(["north", "south"]), "label": label})
    return made


def train_first(workspace: Workspace, setting: Setting) -> None:
    from retrain import datasets

    labelled = [
        {
            "external_id": row["id"],
            "input": {"amount": row["amount"], "region": row["region"], "fraud": None, "note": None},
            "label": row["label"],
            "split": "test" if n % 4 == 0 else "train",
        }
        for n, row in enumerate(rows(240, 1))
    ]
    workspace.database.write(datasets.add_base, setting, labelled, by=None)


def registered(workspace: Workspace, setting: Setting) -> int:
    """A version without weights behind it."""
    from retrain import registry

    info = workspace.database.write(
        registry.register,
        setting.id,
        os.urandom(8),
        trainer="test",
        labels=("pay", "deny"),
        schema_hash="0",
        figures={"accuracy": 0.9},
        datasets=[],
        by=None,
    )
    return info.version


def test_from_the_first_labels_to_the_second_model(
    claims: Signoff, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing is labelled yet" in claims.refused("model", "train")
    setting = workspace.database.read(projects.get, "claims")
    train_first(workspace, setting)
    assert claims.json("model", "train", "--device", "cpu")["version"] == 1
    assert "acts from the next batch on" in claims("model", "promote", "1").stdout
    file = tmp_path / "claims.csv"
    lines = [f"{r['id']},{r['amount']},{r['region']}" for r in rows(6, 2)]
    file.write_text("\n".join(("claim_id,amount,region", *lines)))
    assert claims.json("item", "load", file)["added"] == 6
    subprocess.run(
        [sys.executable, "-m", "app.cli.main", "worker", "run", "--drain", "--device", "cpu"],
        check=True,
        env={**os.environ, "SIGNOFF_DIR": str(claims.folder)},
        capture_output=True,
    )
    (stats,) = claims.json("queue", "stats")
    assert stats["unscored"] == 0
    assert stats["waiting"] > 0
    answer(workspace, setting, {row["id"]: row["label"] for row in rows(6, 2)})
    monkeypatch.chdir(tmp_path)
    exported = claims.json("dataset", "export", "--format", "jsonl")
    assert exported["folder"] == f"claims-dataset-{exported['id']}"
    assert "is there already" in claims.refused("dataset", "export", "--out", exported["folder"])
    assert "dataset" in claims("dataset", "export", "--dataset", exported["id"], "--out", "again").stdout
    assert claims("dataset", "verify", "again").stdout == "again: ok\n"
    taken = select(Activity.subject).where(Activity.verb == "dataset.download")
    assert workspace.database.read(lambda s: list(s.scalars(taken))) == [f"dataset:{exported['id']}"]
    assert [row["kind"] for row in claims.json("dataset", "list")] == ["export", "base"]
    beside = claims.json("dataset", "export", "--format", "csv", "--with-reasons", "--out", "beside")
    assert {"data.csv", "reasons.jsonl"} <= set(beside["files"])
    assert claims.json("dataset", "verify", "beside") == {"ok": True, "problems": [], "replaced_by": None}
    assert "export" in claims("dataset", "list").stdout
    (tmp_path / "again" / "data.jsonl").write_text("changed")
    assert not claims.json("dataset", "verify", "again", code=1)["ok"]
    assert "model 2 (sklearn-hgb)" in claims("model", "train", env={"SIGNOFF_DEVICE": "cpu"}).stdout
    compared = claims.json("model", "compare", "2", "--device", "cpu")
    assert (compared["champion"], compared["challenger"]) == (1, 2)
    told = claims("model", "compare", "2").stdout
    assert "difference (95 %)" in told
    assert "at the gate" in told
    assert compared["gate"]["passed"] == (compared["gate"]["proposal"] is not None)
    card = claims.json("model", "card", "2")
    assert (card["model"], card["gate"]["champion"], card["datasets"][0]["kind"]) == (2, 1, "base")
    assert "## At the gate" in claims("model", "card", "2").stdout
    assert claims.json("item", "show", "2-0")["routings"]
    assert "history" in claims("item", "show", "2-0").stdout


def answer(workspace: Workspace, setting: Setting, truth: dict[str, str]) -> None:
    """Somebody decides all that waits."""
    account = workspace.database.write(people.add_person, "anna", role="reviewer")
    anna = Actor(account.id, account.name, account.role, "cli")
    while taken := workspace.database.write(cases.take, setting, anna, "s", 1):
        (case,) = taken
        label = truth[case.external_id]
        if case.blind and not case.first_given:
            workspace.database.write(decisions.answer, anna, case.task_id, case.token, f"{case.token}-first", label)
            continue
        right = case.prediction is not None and case.prediction.label == label
        said = Said(case.token, "accept") if right else Said(case.token, "correct", label)
        workspace.database.write(decisions.decide, anna, case.task_id, case.token, said)


def test_promote_and_roll_back(claims: Signoff, workspace: Workspace) -> None:
    assert claims("model", "list").stdout.startswith("no model yet")
    setting = workspace.database.read(projects.get, "claims")
    for _ in range(2):
        registered(workspace, setting)
    assert "no former champion" in claims.refused("model", "rollback")
    claims("model", "promote", "1")
    assert "champion already" in claims.refused("model", "promote", "1")
    assert "nothing has held it against model 1" in claims.refused("model", "promote", "2")
    assert "say why" in claims.refused("model", "promote", "2", "--force")
    forced = claims.json("model", "promote", "2", "--force", "--why", "the other is wrong on Mondays")
    assert (forced["state"], forced["why"]) == ("applied", "the other is wrong on Mondays")
    assert "past the gate: the other is wrong on Mondays" in claims("model", "card", "2").stdout
    assert [row["aliases"] for row in claims.json("model", "list")] == [["champion"], ["previous"]]
    assert "accuracy 0.900" in claims("model", "list").stdout
    assert "model 1 acts from the next batch on" in claims("model", "rollback").stdout
    assert "7" in claims.refused("model", "promote", "7")


def test_a_promotion_waits_for_all_its_signatures(claims: Signoff, workspace: Workspace, files: Path, monkeypatch: Any) -> None:
    (files / "policy.yaml").write_text("autonomy: set\nevidence: {signers: 2}\n")
    claims("policy", "apply", files)
    setting = workspace.database.read(projects.get, "claims")
    registered(workspace, setting)
    assert "1 more must sign before it acts" in claims("model", "promote", "1").stdout
    assert "1 more must sign" in claims("model", "promote", "1").stdout
    monkeypatch.setattr("app.workspace.local_name", lambda: "second")
    signed = claims.json("model", "promote", "1")
    assert signed["state"] == "applied"
    assert len(signed["signed_by"]) == 2
    assert signed["id"] == "1"


def test_a_proposal_that_another_promotion_overtook_is_made_anew(
    claims: Signoff, workspace: Workspace, files: Path, monkeypatch: Any
) -> None:
    (files / "policy.yaml").write_text("autonomy: set\nevidence: {signers: 2}\n")
    claims("policy", "apply", files)
    setting = workspace.database.read(projects.get, "claims")
    for version in ("1", "2"):
        registered(workspace, setting)
        claims("model", "promote", version)
    monkeypatch.setattr("app.workspace.local_name", lambda: "second")
    assert claims.json("model", "promote", "1")["state"] == "applied"
    anew = claims.json("model", "promote", "2", "--force", "--why", "a test")
    assert (anew["state"], anew["signed_by"], anew["against"]) == ("open", ["second"], 1)


def test_nothing_to_export_or_compare(claims: Signoff, workspace: Workspace, tmp_path: Path) -> None:
    assert "nothing decided" in claims.refused("dataset", "export")
    assert "is no format" in claims.refused("dataset", "export", "--format", "xlsx")
    assert "has no dataset 9" in claims.refused("dataset", "export", "--dataset", "9")
    assert "no dataset yet" in claims("dataset", "list").stdout
    assert "cannot be read" in claims("dataset", "verify", tmp_path, code=1).stdout
    registered(workspace, workspace.database.read(projects.get, "claims"))
    assert "no champion to compare with" in claims.refused("model", "compare", "1")

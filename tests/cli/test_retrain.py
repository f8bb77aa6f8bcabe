"""`signoff model retrain`, `job run` and `job wait`: what a scheduler reads of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.workspace import Workspace
from retrain import gate
from review_queue import jobs, projects
from tests.cli.conftest import POLICY, Signoff
from tests.cli.test_models import train_first


@pytest.fixture
def champion(claims: Signoff, workspace: Workspace) -> Iterator[Workspace]:
    """A project whose first model acts."""
    train_first(workspace, workspace.database.read(projects.get, "claims"))
    claims("model", "train")
    claims("model", "promote", "1")
    return workspace


def triggered(claims: Signoff, files: Path, wish: str) -> None:
    (files / "policy.yaml").write_text(f"{POLICY}retrain: {wish}\n")
    claims("policy", "apply", files / "policy.yaml")


def test_the_first_model_is_trained_and_not_offered(claims: Signoff, workspace: Workspace) -> None:
    assert "nothing is labelled yet" in claims.refused("model", "retrain")
    train_first(workspace, workspace.database.read(projects.get, "claims"))
    said = claims("model", "retrain", code=4)
    assert said.stdout.startswith("model 1 is not offered: no model acts yet")
    assert workspace.database.read(jobs.recent, 1)[0].state == "done"


def test_nothing_due_is_a_code_of_its_own(champion: Workspace, claims: Signoff, files: Path) -> None:
    assert claims.json("model", "retrain", "--if-due", code=3) == {"ended": "nothing due"}
    triggered(claims, files, "{every: 1d}")
    assert "no trigger" in claims("model", "retrain", "--if-due", code=3).stdout
    assert champion.database.read(jobs.recent, 1) == []


def test_what_is_due_is_trained_and_judged(
    champion: Workspace, claims: Signoff, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triggered(claims, files, "{every: 1s, rest: 0s}")
    import time

    time.sleep(1.1)
    told = claims.json("model", "retrain", "--if-due", "--weights", "full", code=4)
    assert (told["kind"], told["state"], told["result"]["ended"], told["result"]["cause"]) == (
        "retrain",
        "done",
        "not yet",
        "every",
    )
    assert told["args"]["weights"] == "full"
    shown = claims.json("model", "list")
    assert [(each["version"], each["aliases"]) for each in shown] == [(2, ["challenger"]), (1, ["champion"])]
    again = claims("job", "run", "gate", "--arg", "challenger=2", code=4)
    assert again.stdout.startswith("model 2 is not offered: ")
    real = gate.judge
    monkeypatch.setattr(gate, "judge", lambda *given: {**real(*given), "passed": True, "missing": []})
    assert claims("job", "run", "gate", "--arg", "challenger=2").stdout.startswith(
        "model 2 passed the gate; `signoff model promote 2`"
    )
    assert claims("job", "wait", str(champion.database.read(jobs.recent, 1)[0].id)).exit_code == 0
    claims("model", "promote", "2")
    assert "model 2 is the champion" in claims.refused("job", "run", "gate", "--arg", "challenger=2")
    assert claims("job", "run", "gate", "--arg", "challenger=2", code=1).stdout == ""


def test_a_job_that_is_waited_for_says_how_it_ended(champion: Workspace, claims: Signoff) -> None:
    by, setting = champion.local_actor("cli"), champion.database.read(projects.get, "claims")
    job = champion.database.write(jobs.ask, setting.id, "retrain", {}, by=by)
    assert f"job {job.id} is waiting still after 0 s" in claims.refused("job", "wait", str(job.id), "--timeout", "0")
    assert f"job {job.id} is at it already" in claims.refused("model", "retrain")
    claims("job", "cancel", str(job.id))
    assert f"job {job.id} was cancelled" in claims.refused("job", "wait", str(job.id))
    assert "no job 99" in claims.refused("job", "wait", "99")
    made = claims.json("job", "run", "report", "--arg", "days=7")
    assert made["state"] == "done"
    assert claims.json("job", "wait", made["id"]) == made


@pytest.mark.parametrize(
    "args",
    [
        ("job", "run", "explode"),
        ("job", "run", "known-answers"),
        ("job", "run", "gate"),
        ("job", "run", "gate", "--arg", "challenger=x"),
        ("job", "run", "retrain", "--arg", "challenger=2"),
        ("job", "run", "retrain", "--arg", "weights=heavy"),
        ("job", "run", "report", "--arg", "days=many"),
        ("job", "run", "report", "--arg", "days"),
        ("job", "wait", "1", "--timeout", "-1"),
        ("model", "retrain", "--weights", "heavy"),
    ],
)
def test_misuse_is_named(claims: Signoff, args: Any) -> None:
    assert "Traceback" not in claims(*args, code=2).output

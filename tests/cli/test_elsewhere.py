"""`signoff` on a project whose predictions come along: in columns of a file, or in rows that are items already."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import select

from app.workspace import Workspace
from db.tables import Item, ItemKey
from tests.cli.conftest import POLICY, PROJECT, Signoff
from tests.cli.test_loading import record, rejected, written

MODEL = 'model: {uri: external, version: "2026-11", probabilities: {pay: p_pay, deny: p_deny}}'
HEAD = "claim_id,amount,region,p_pay,p_deny"


@pytest.fixture
def files(files: Path) -> Path:
    """The project's files, with predictions from elsewhere."""
    body = PROJECT.replace('model: {uri: "registry:claims@champion", trainer: sklearn-hgb}', MODEL)
    (files / "project.yaml").write_text(body)
    (files / "policy.yaml").write_text(POLICY + "audit: {rate: 0}\n")
    return files


def kept(workspace: Workspace) -> dict[str, Any]:
    query = select(ItemKey.external_id, Item.prediction).join(Item, Item.id == ItemKey.item_id)
    rows = workspace.database.read(lambda s: s.execute(query).tuples().all())
    return {name: text and json.loads(text) for name, text in rows}


def test_columns_of_a_file_are_predictions(claims: Signoff, workspace: Workspace, files: Path) -> None:
    rows = ["c1,12,north,0.97,0.03,,", "c2,1,north,0.6,0.4,2026-12,", "c3,1,south,,,,", "c4,2,south,1,0,,x"]
    file = written(files, f"{HEAD},model_version,rest\n" + "\n".join(rows) + "\n")
    result = claims("item", "load", file)
    assert "left out, since the project names them nowhere: rest" in result.stderr
    assert "nobody signed version 2026-12 yet; `signoff model promote 2` lets it act" in result.stderr
    assert kept(workspace) == {
        "c1": {"model_version": "2026-11", "probabilities": {"pay": 0.97, "deny": 0.03}},
        "c2": {"model_version": "2026-12", "probabilities": {"pay": 0.6, "deny": 0.4}},
        "c3": None,
        "c4": {"model_version": "2026-11", "probabilities": {"pay": 1}},
    }
    assert claims.json("item", "load", file)["known"] == 4


def test_a_bad_probability_rejects_its_row(claims: Signoff, workspace: Workspace, files: Path) -> None:
    rows = [
        "c1,1,north,much,0.1",
        "c2,1,north,0.6,",
        "c3,1,north,0.6,0.3",
        "c4,1,north,-0.1,1.1",
        "c5,1,north,NaN,1",
        "c6,1,north,1,0",
    ]
    file = written(files, f"{HEAD}\n" + "\n".join(rows) + "\n")
    assert claims.json("item", "load", file)["added"] == 1
    reasons = {row["line"]: row["reason"] for row in rejected(file)}
    assert reasons[2] == "p_pay: 'much' is no probability of pay; it must be a number from 0 to 1"
    assert reasons[3] == "p_deny: an empty cell is no probability of deny; it must be a number from 0 to 1"
    assert (
        reasons[4] == "prediction.probabilities: sum to 0.9, not to 1; send one for every label that can be meant (absent is 0)"
    )
    assert reasons[5] == "p_pay: -0.1 is no probability of pay; it must be a number from 0 to 1"
    assert "p_pay: " in reasons[6]


def test_a_file_without_the_named_columns_is_refused_whole(claims: Signoff, files: Path) -> None:
    file = written(files, "claim_id,amount,region,p_pya,p_deny\nc1,1,north,0.5,0.5\n")
    said = claims.refused("item", "load", file)
    assert "has no column 'p_pay', which model.probabilities names for pay; nearest is p_pya" in said


def test_of_two_labels_one_column_is_enough(claims: Signoff, workspace: Workspace, files: Path) -> None:
    body = (files / "project.yaml").read_text().replace("{pay: p_pay, deny: p_deny}", "{deny: score}")
    (files / "project.yaml").write_text(body)
    claims("project", "apply", files)
    claims("item", "load", written(files, "claim_id,amount,region,score\nc1,1,north,0.125\n"))
    assert kept(workspace)["c1"]["probabilities"] == {"pay": 0.875, "deny": 0.125}


def test_parquet_and_rows_that_are_items_bring_predictions_too(claims: Signoff, workspace: Workspace, files: Path) -> None:
    table = {"claim_id": ["a", "b"], "amount": [1.0, 2.0], "region": ["n", "n"], "p_pay": [0.25, None], "p_deny": [0.75, None]}
    parquet.write_table(pa.table(table), files / "a.parquet")
    claims("item", "load", files / "a.parquet")
    said = {"probabilities": {"pay": 1}, "model_version": "v3", "reasons": [{"feature": "amount", "contribution": 1}]}
    item = {"external_id": "c", "input": {"amount": 1, "region": "n"}, "prediction": said}
    claims("item", "load", written(files, json.dumps(item), "items.jsonl"))
    held = kept(workspace)
    assert held["a"]["probabilities"] == {"pay": 0.25, "deny": 0.75}
    assert held["b"] is None
    assert held["c"]["model_version"] == "v3"


def test_from_a_file_to_the_queue(claims: Signoff, workspace: Workspace, files: Path) -> None:
    rows = "".join(f"c{n},{n},north,{p},{1 - p}\n" for n, p in enumerate((0.97, 0.6, 0.02)))
    claims("item", "load", written(files, f"{HEAD}\n{rows}"))
    assert "1 (2026-11)" in claims("model", "list").stdout
    claims("worker", "run", "--drain")
    assert claims.json("queue", "stats")[0]["unscored"] == 3
    assert "acts from the next batch on" in claims("model", "promote", "1").stdout
    claims("worker", "run", "--drain")
    stats = claims.json("queue", "stats")[0]
    assert (stats["unscored"], stats["waiting"], stats["unexplained"]) == (0, 1, 0)
    assert [r.model_version for r in record(workspace, "c1").routings] == ["2026-11"]
    shown = claims("item", "show", "c1").stdout
    assert "prediction of model 2026-11" in shown
    assert "confidence 0.600 is below 0.9 (model 2026-11, pi 1)" in shown


def test_the_command_line_says_how_predictions_come(signoff: Signoff, files: Path) -> None:
    assert "acts once `signoff model promote 1` is signed" in signoff("project", "apply", files).stderr
    assert signoff("project", "apply", files).stderr == ""
    assert "probabilities:\n    pay: p_pay" in signoff("project", "show").stdout

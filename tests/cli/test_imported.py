"""`signoff dataset import`: labels from elsewhere; `show` and `verify` of what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.loading.imported import of_task
from app.loading.sources import Found
from app.workspace import Workspace
from contract.inputs import InputError
from retrain import datasets
from review_queue import projects
from tests import factories
from tests.cli.conftest import Signoff
from tests.cli.test_labelled import table
from tests.cli.test_loading import written

INPUT = {"amount": 12.5, "region": "north", "fraud": None, "note": "ü"}


def annotation(label: str | None, who: Any = 1, **more: Any) -> dict[str, Any]:
    result = [{"from_name": "label", "to_name": "case", "type": "choices", "value": {"choices": [label]}}] if label else []
    made = {"created_at": "2026-01-02T03:04:05Z", "completed_by": who, "was_cancelled": label is None}
    return {"result": result, **made, **more}


def task(*annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"external_id": "c1", "input": INPUT, **data}, "annotations": list(annotations)}


def kept(workspace: Workspace, project: str = "claims") -> list[dict[str, Any]]:
    setting = workspace.database.read(projects.get, project)

    def read(session: Any) -> list[dict[str, Any]]:
        newest = datasets.newest(session, setting.id, "imported")
        return list(datasets.lines(session, newest)) if newest else []

    return workspace.database.read(read)


def test_finished_tasks_are_kept_and_the_others_told(claims: Signoff, workspace: Workspace, files: Path) -> None:
    theirs = {"id": 9, "data": {"claim_id": "c3", **INPUT, "region": "west"}, "annotations": [annotation("deny")]}
    plain = {"id": 11, "data": INPUT, "annotations": [annotation("pay")]}
    tasks = [
        task(annotation("pay", {"email": "ann@example.org"}), annotation("deny", 2), annotation("pay", 3)),
        theirs,
        plain,
        task(annotation("pay"), annotation("deny"), external_id="tie"),
        task(annotation(None), external_id="skipped"),
        task(annotation("maybe"), external_id="other"),
        {"id": 12},
        task(annotation("pay"), external_id="bad", input={"amount": "much"}),
        "no task",
    ]
    file = written(files, json.dumps(tasks), "finished.json")
    told = claims.json("dataset", "import", file)
    assert (told["rows"], told["labels"], told["new"], told["rejected"]) == (3, {"pay": 2, "deny": 1}, True, 6)
    first, second, third = kept(workspace)
    assert first["external_id"] == "c1"
    assert first["input"] == INPUT
    assert (first["label"], first["basis"], first["annotators"]) == ("pay", "imported", ["ann@example.org", "3"])
    assert (first["annotated_at"], round(first["agreement"], 3)) == ("2026-01-02T03:04:05Z", 0.667)
    assert (second["external_id"], second["input"]["region"], third["external_id"]) == ("c3", "west", "11")
    lines = [json.loads(line) for line in Path(told["rejected_file"]).read_text().splitlines()]
    assert [line["line"] for line in lines] == ["task 7"] * 3 + ["task 12", "task 7", "task 9"]
    reasons = " ".join(line["reason"] for line in lines)
    for word in ("1 say 'deny', 1 say 'pay'; mark one", "nobody has finished", "'maybe' is no label", "input.amount"):
        assert word in reasons
    assert claims.json("dataset", "import", file)["new"] is False
    assert "dataset 1, as before" in claims("dataset", "import", file).stdout
    assert "imported, 3 rows" in claims("dataset", "show", "1").stdout


def test_an_annotation_that_is_the_truth_stands() -> None:
    said = task(annotation("pay"), annotation("pay"), annotation("deny", ground_truth=True))
    given = of_task(factories.project(), Found("task 7", 1, said, 1.0))
    assert (given.label, given.agreement) == ("deny", pytest.approx(1 / 3))
    two = annotation("pay") | {"result": [{"type": "choices", "value": {"choices": ["pay", "deny"]}}]}
    with pytest.raises(InputError, match="'pay', 'deny' was chosen where one label is wanted"):
        of_task(factories.project(), Found("task 7", 1, task(two), 1.0))


def test_a_table_is_imported_by_the_column_of_its_labels(claims: Signoff, workspace: Workspace, files: Path) -> None:
    told = claims.json("dataset", "import", written(files, table(40), "known.csv"), "--label", "answer")
    assert told["rows"] == 40
    assert {row["basis"] for row in kept(workspace)} == {"imported"}
    assert "no format to import" in claims.refused("dataset", "import", files / "known.csv", "--format", "xlsx")


@pytest.mark.parametrize("text", ["[", "[]", '[{"data": {}}]'])
def test_what_holds_nothing_is_refused(claims: Signoff, files: Path, text: str) -> None:
    refused = claims.refused("dataset", "import", written(files, text, "none.json"))
    assert "cannot be read as JSON" in refused or "no row of" in refused


@pytest.mark.parametrize("form", ["parquet", "csv", "huggingface", "label-studio"])
def test_a_version_of_one_workspace_is_imported_by_another(
    claims: Signoff, workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    from tests.retrain.test_rewriting import answered, erase

    monkeypatch.setattr(factories, "SECRET", workspace.settings.secrets[0])
    held = factories.setting(workspace.database, factories.project(project="other"))
    answered(workspace.database, held, factories.person(workspace.database, "ann"), monkeypatch, "abc")
    folder = files / form
    said = claims.json("dataset", "export", "--project", "other", "--format", form, "--out", folder)
    told = claims.json("dataset", "import", folder, "--project", "other")
    assert (told["rows"], told["labels"]) == (3, {"pay": 3})
    assert claims.json("dataset", "verify", folder)["ok"]
    assert claims.json("dataset", "verify", "--dataset", said["id"], "--project", "other")["ok"]
    new = datasets.rewrite(workspace.database, said["id"], erase(workspace.database, held, "b"), None)
    assert new is not None
    erased = claims("dataset", "verify", folder, code=1).stdout
    assert f"rows of it were erased since; dataset {new.id} has the others" in erased
    assert f"`--dataset {new.id}`" in claims.refused("dataset", "export", "--dataset", said["id"], "--project", "other")
    assert f"rows erased; now {new.id}" in claims("dataset", "list", "--project", "other").stdout
    name = folder / json.loads((folder / "dataset.json").read_text())["data"][0]
    name.write_bytes(name.read_bytes()[:-1] + b"?")
    damaged = claims("dataset", "verify", folder, code=1).stdout
    assert "was changed" in damaged
    assert "erased" not in damaged

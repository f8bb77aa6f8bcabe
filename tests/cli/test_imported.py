"""`signoff dataset import`: labels from elsewhere; `show` and `verify` of what is stored."""

import json
from collections.abc import Mapping
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
    assert f"rows erased; now {new.id}" in claims("dataset", "list", "--project", "other", env={"COLUMNS": "200"}).stdout
    name = folder / json.loads((folder / "dataset.json").read_text())["data"][0]
    name.write_bytes(name.read_bytes()[:-1] + b"?")
    damaged = claims("dataset", "verify", folder, code=1).stdout
    assert "was changed" in damaged
    assert "erased" not in damaged


def with_value(value: Any) -> dict[str, Any]:
    return annotation("pay") | {"result": [{"type": "choices", "value": value}]}


def test_one_odd_task_keeps_no_other_out(claims: Signoff, files: Path) -> None:
    odd: list[Any] = [
        {"id": 1, "data": {"external_id": "a", "input": INPUT}, "annotations": held}
        for held in (5, [None], {"x": 1}, [annotation("pay") | {"result": [3]}], [with_value(None)], [with_value({"choices": 7})])
    ]
    told = claims.json("dataset", "import", written(files, json.dumps([*odd, task(annotation("pay"))]), "odd.json"))
    assert (told["rows"], told["rejected"]) == (1, len(odd))
    assert "not written as one of label-studio is" in Path(told["rejected_file"]).read_text()


@pytest.mark.parametrize("content", [b"[" * 100_000, '[{"data": "\u00fc"}]'.encode("utf-16"), b"[{}, \xff]"])
def test_what_is_no_json_is_told(claims: Signoff, files: Path, content: bytes) -> None:
    (files / "odd.json").write_bytes(content)
    assert "Traceback" not in claims.refused("dataset", "import", files / "odd.json", "--format", "label-studio")
    assert "Traceback" not in claims.refused("dataset", "import", files / "odd.json")


def version(files: Path, names: Any, more: Mapping[str, Any] | None = None) -> Path:
    folder = files / "theirs"
    folder.mkdir()
    row = {
        "external_id": "a",
        "amount": 1.5,
        "region": "north",
        "label": "pay",
        "reviewers": "ann",
        "agreement": 1,
        "decided_at": None,
    }
    (files / "outside.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "data.jsonl").write_text(json.dumps(row) + "\n")
    columns = {"external_id": "text", "amount": "number", "region": "text", "label": "text", "reviewers": "text"}
    columns |= {"agreement": "number", "decided_at": "time"}
    manifest = {"format": "jsonl", "data": names, "columns": columns, "rows": 1, "files": {}, **(more or {})}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


def test_a_version_reads_nothing_outside_its_folder(claims: Signoff, files: Path) -> None:
    assert claims.json("dataset", "import", version(files, ["data.jsonl"]))["rows"] == 1
    for name in ("../outside.jsonl", str(files / "outside.jsonl")):
        manifest = json.loads((files / "theirs" / "dataset.json").read_text()) | {"data": [name]}
        (files / "theirs" / "dataset.json").write_text(json.dumps(manifest))
        assert "lies outside" in claims.refused("dataset", "import", files / "theirs")


@pytest.mark.parametrize(
    "odd",
    [
        {"columns": ["external_id"]},
        {"format": "image-folder"},
        {"format": "csv", "data": ["empty.csv"]},
        {"format": "parquet"},
        {"files": {"data.jsonl": 3}},
        {"columns": {"external_id": "text"}},
        {"format": "label-studio"},
    ],
)
def test_an_odd_version_is_told_in_a_sentence(claims: Signoff, files: Path, odd: dict[str, Any]) -> None:
    folder = version(files, ["data.jsonl"], odd)
    (folder / "empty.csv").write_text("")
    told = claims.refused("dataset", "import", folder)
    assert "cannot be read" in told or "no row of" in told
    claims("dataset", "verify", folder, code=1 if odd.get("files") else 0)


def test_an_image_that_is_named_by_a_long_address_is_told(
    claims: Signoff, workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factories, "SECRET", workspace.settings.secrets[0])
    wanted = factories.project(project="pictures", input={"type": "image"}, labels=["cat", "dog"], noun="picture")
    factories.setting(workspace.database, wanted)
    tasks = [{"id": 1, "data": {"image": "https://x.example/" + "a" * 400}, "annotations": [annotation("cat")]}]
    file = written(files, json.dumps(tasks), "far.json")
    assert "no row of" in claims.refused("dataset", "import", file, "--project", "pictures")
    assert "put the image there" in (files / "far.json.rejected.jsonl").read_text()

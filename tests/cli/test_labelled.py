"""`signoff model train --rows`: from labelled rows that exist already to a model that acts."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from sqlalchemy import select

from app.loading import keep_labelled, labelled
from app.workspace import Workspace
from db.tables import Activity
from retrain import datasets, examples
from retrain.rows import split_of
from review_queue import projects
from tests.cli.conftest import Signoff
from tests.cli.test_loading import rejected, written
from tests.cli.test_models import rows

HEAD = "claim_id,amount,region,fraud,answer,rest\n"


def table(count: int = 240, seed: int = 1) -> str:
    lines = (f"{row['id']},{row['amount']},{row['region']},no,{row['label']},x" for row in rows(count, seed))
    return HEAD + "\n".join(lines) + "\n"


def base(workspace: Workspace, project: str = "claims") -> list[dict[str, Any]]:
    """The rows of the newest base dataset."""
    setting = workspace.database.read(projects.get, project)

    def read(session: Any) -> list[dict[str, Any]]:
        newest = datasets.newest(session, setting.id, "base")
        return list(datasets.lines(session, newest)) if newest else []

    return workspace.database.read(read)


def drain(signoff: Signoff) -> None:
    """A worker of its own process, until nothing is left."""
    command = [sys.executable, "-m", "app.cli.main", "worker", "run", "--drain", "--device", "cpu"]
    subprocess.run(command, check=True, env={**os.environ, "SIGNOFF_DIR": str(signoff.folder)}, capture_output=True)


def train(signoff: Signoff, file: Path, *more: str) -> Any:
    return signoff.json("model", "train", "--rows", file, "--device", "cpu", *more)


def refused(signoff: Signoff, file: Path, *more: str) -> str:
    return signoff.refused("model", "train", "--rows", file, *more)


def test_from_a_table_to_a_queue(claims: Signoff, workspace: Workspace, files: Path) -> None:
    file = written(files, table(), "known.csv")
    result = claims("model", "train", "--rows", file, "--label", "answer", "--device", "cpu")
    assert result.stdout.startswith("model 1 (sklearn-hgb): accuracy 0.")
    assert result.stdout.endswith("`signoff model promote 1` lets it act\n")
    assert "claims: 240 labelled rows, now dataset 1: pay " in result.stderr
    assert "left out, since the project names them nowhere: rest\n" in result.stderr
    first = base(workspace)[0]
    assert first["external_id"] == "1-0"
    assert set(first["input"]) == {"amount", "region", "fraud", "note"}
    assert {row["split"] for row in base(workspace)} == {"train", "test"}
    assert all(row["split"] == split_of("claims", row["external_id"]) for row in base(workspace))
    assert [(d["kind"], d["rows"]) for d in claims.json("dataset", "list")] == [("base", 240)]
    assert "base" in claims("dataset", "list").stdout
    assert "acts from the next batch on" in claims("model", "promote", "1").stdout
    arriving = written(files, table(6, 2), "arriving.csv")
    assert claims.json("item", "load", arriving)["added"] == 6
    drain(claims)
    (stats,) = claims.json("queue", "stats")
    assert stats["unscored"] == 0
    assert stats["waiting"] > 0


def test_the_same_rows_again_change_nothing(claims: Signoff, workspace: Workspace, files: Path) -> None:
    file = written(files, table())
    assert train(claims, file, "--label", "answer")["labelled"]["new"]
    again = train(claims, file, "--label", "answer")
    assert (again["version"], again["labelled"]["new"], again["labelled"]["dataset_id"]) == (2, False, "1")
    assert len(claims.json("dataset", "list")) == 1
    query = select(Activity.after).where(Activity.verb == "dataset.base")
    assert workspace.database.read(lambda session: list(session.scalars(query))) == [{"file": "claims.csv", "rows": 240}]
    assert train(claims, written(files, table(100, 5)), "--label", "answer")["labelled"]["dataset_id"] == "2"
    assert len(base(workspace)) == 100
    assert "are dataset 1 already, which dataset 2 replaced" in refused(claims, written(files, table()), "--label", "answer")


def test_bad_rows_are_told_one_by_one(claims: Signoff, workspace: Workspace, files: Path) -> None:
    bad = (
        "b1,1,north,no,pai,x\n"
        "b2,1,north,no,,x\n"
        "b3,one,north,no,pay,x\n"
        "b4,1,north,no,pay\n"
        ",1,north,no,pay,x\n"
        "1-0,99999,north,no,deny,x\n"
        "b5,1,north,no,something else,x\n"
        "b6,1,north,no,pay,x\n"
        "b6,1,north,no,pay,x\n"
    )
    file = written(files, table() + bad)
    told = train(claims, file, "--label", "answer")["labelled"]
    assert (told["rows"], told["rejected"], told["repeated"]) == (241, 7, 1)
    assert told["rejected_file"] == f"{file}.rejected.jsonl"
    reasons = {row["line"]: row["reason"] for row in rejected(file)}
    assert reasons[242] == "answer: 'pai' is no label of claims; nearest is pay"
    assert reasons[243] == "answer: holds nothing; a row needs its label"
    assert reasons[244] == "input.amount: must be a number, not text 'one'"
    assert reasons[245] == "has 5 cells where the header has 6"
    assert reasons[246].startswith("external_id: None is no id")
    assert reasons[247].startswith("external_id: '1-0' came with another input or label before, at 2;")
    assert reasons[248] == "answer: 'something else' is no label of claims; known: pay, deny"
    assert "7 rows could not be taken" in claims("model", "train", "--rows", file, "--label", "answer").stderr
    written(files, table())
    train(claims, file, "--label", "answer")
    assert not (files / "claims.csv.rejected.jsonl").exists()


def test_a_file_that_gives_no_model_is_told_why(claims: Signoff, workspace: Workspace, files: Path, tmp_path: Path) -> None:
    file = written(files, table(20))
    assert "which column of" in refused(claims, file)
    assert refused(claims, file, "--label", "anwser").endswith("has no column 'anwser' to take labels from; nearest is answer")
    assert "'amount' is a feature of claims: the model would be shown the answer" in refused(claims, file, "--label", "amount")
    assert "'remark' is a feature" in refused(claims, file, "--label", "remark")
    assert "'claim_id' is the id of claims" in refused(claims, file, "--label", "claim_id")
    assert refused(claims, file, "--label", "rest").endswith("has no label of claims, but 'x'; known: pay, deny")
    assert "is empty" in refused(claims, written(files, "", "empty.csv"), "--label", "answer")
    assert "has a header and no rows" in refused(claims, written(files, HEAD, "head.csv"), "--label", "answer")
    assert "is none of the kinds that can be loaded: CSV" in refused(claims, written(files, "x", "a.xlsx"), "--label", "answer")
    assert "there is no file" in refused(claims, files / "none.csv", "--label", "answer")
    one = written(files, HEAD + "".join(f"c{n},1,north,no,pay,x\n" for n in range(30)), "one.csv")
    assert "is labelled 'pay'; a model needs at least two labels" in refused(claims, one, "--label", "answer")
    unlabelled = written(files, HEAD + "c1,1,north,no,,x\n", "unlabelled.csv")
    assert "has a label; each row stands with its reason in" in refused(claims, unlabelled, "--label", "answer")
    broken = written(files, HEAD + "c1,one,north,no,pay,x\nc2,two,north,no,deny,x\n", "broken.csv")
    assert "can be learned from; each row stands with its reason in" in refused(claims, broken, "--label", "answer")
    few = [f"f{n}" for n in range(40)]
    some = {split: next(name for name in few if split_of("claims", name) == split) for split in ("train", "test")}
    pair = written(files, HEAD + f"{some['train']},1,north,no,pay,x\n{some['test']},9,north,no,deny,x\n", "few.csv")
    assert "has too few rows (2)" in refused(claims, pair, "--label", "answer")
    assert "is a folder: the folders within it name the labels" in refused(claims, tmp_path, "--label", "answer")
    assert "takes tabular; give a file" in refused(claims, tmp_path)
    assert claims("model", "train", "--label", "answer", code=2).exit_code == 2
    assert base(workspace) == []


def test_json_lines_and_parquet(claims: Signoff, workspace: Workspace, files: Path) -> None:
    made = rows(120, 3)
    lines = [{"claim_id": r["id"], "amount": r["amount"], "region": r["region"], "answer": r["label"]} for r in made]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert train(claims, written(files, text, "known.jsonl"), "--label", "answer")["labelled"]["rows"] == 120
    told = refused(claims, files / "known.jsonl", "--label", "anser")
    assert told.endswith("has no column 'anser' to take labels from; nearest is answer")
    items = [{"external_id": r["id"], "input": {"amount": r["amount"], "region": r["region"]}, "label": r["label"]} for r in made]
    text = "".join(json.dumps(item) + "\n" for item in items)
    told = train(claims, written(files, text, "items.jsonl"), "--label", "label")["labelled"]
    assert (told["rows"], told["new"], told["left_out"]) == (120, False, [])
    columns = {name: [line[name] for line in lines] for name in lines[0]}
    parquet.write_table(pa.table({**columns, "answer": [None, *columns["answer"][1:]]}), files / "known.parquet")
    told = train(claims, files / "known.parquet", "--label", "answer")["labelled"]
    assert (told["rows"], told["rejected"]) == (119, 1)
    assert "to take labels from" in refused(claims, files / "known.parquet", "--label", "label")


IMAGES = """\
project: digits
input: {type: image}
labels: ["0", "1"]
model: {uri: "registry:digits@champion"}
"""
YES_NO = """\
project: sure
input: {type: tabular, features: {x: {type: number}}}
labels: ["true", "false", "1", "2"]
model: {uri: "registry:sure@champion", trainer: sklearn-hgb}
"""


@pytest.mark.parametrize("held", [[True, False], [1, 2], [1.0, 2.0], ["1.0", "2.0"], ["True", "False"], [" 1", "2 "]])
def test_labels_as_tables_write_them(
    signoff: Signoff, files: Path, workspace_of: Callable[..., Workspace], held: list[Any]
) -> None:
    written(files, YES_NO, "project.yaml")
    written(files, "autonomy: set\n", "policy.yaml")
    signoff("project", "apply", files)
    values = held * 30
    parquet.write_table(pa.table({"x": [float(n) for n in range(60)], "y": values}), files / "sure.parquet")
    workspace = workspace_of(signoff)
    told = keep_labelled(workspace, workspace.database.read(projects.get, "sure"), files / "sure.parquet", "y")
    named = {True: "true", False: "false"} if isinstance(held[0], bool) or "True" in held else {0: "1", 1: "2"}
    assert told.labels == dict.fromkeys(named.values(), 30)


# Images


def png(pixels: Any) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


@pytest.fixture
def digits(signoff: Signoff, files: Path) -> Signoff:
    """A workspace of a project that tells zeros from ones."""
    written(files, IMAGES, "project.yaml")
    written(files, "autonomy: set\n", "policy.yaml")
    signoff("project", "apply", files)
    return signoff


def test_a_folder_of_images_per_label(digits: Signoff, workspace_of: Callable[..., Workspace], tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    known = load_digits(n_class=2)
    folder = tmp_path / "images"
    for n, (pixels, label) in enumerate(zip(known.images[:120], known.target[:120], strict=True)):
        place = folder / str(label) / ("late" if n > 100 else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{n:03}.png").write_bytes(png((pixels * 15).astype("uint8")))
    (folder / "0" / "note.txt").write_text("no image")
    (folder / "loose.png").write_bytes(png((known.images[0] * 15).astype("uint8")))
    (folder / "2").mkdir()
    (folder / "2" / "other.png").write_bytes(png((known.images[0] * 15).astype("uint8")))
    told = train(digits, folder)["labelled"]
    assert (told["rows"], told["rejected"], told["left_out"]) == (120, 3, [])
    reasons = {row["line"]: row["reason"] for row in rejected(folder)}
    assert "input.image" in reasons["0/note.txt"]
    assert reasons["loose.png"] == "folder: lies in none; put it into a folder that is named as its label"
    assert reasons["2/other.png"] == "folder: '2' is no label of digits; known: 0, 1"
    assert {row["label"] for row in base(workspace_of(digits), "digits") if row["external_id"].startswith("1/")} == {"1"}
    digits("model", "promote", "1")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.png").write_bytes(png((known.images[130] * 15).astype("uint8")))
    digits("item", "load", tmp_path / "new")
    drain(digits)
    assert digits.json("queue", "stats")[0]["unscored"] == 0
    wrong = tmp_path / "wrong"
    (wrong / "zero").mkdir(parents=True)
    (wrong / "zero" / "a.png").write_bytes(png((known.images[0] * 15).astype("uint8")))
    assert refused(digits, wrong).endswith("has no label of digits, but 'zero'; known: 0, 1")


def test_an_image_named_by_a_hash_must_be_there(digits: Signoff, tmp_path: Path) -> None:
    lines = [{"external_id": f"i{n}", "input": {"image": {"blob": f"sha256:{n:064x}"}}, "label": str(n % 2)} for n in range(4)]
    file = written(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "digits.jsonl")
    assert "can be learned from" in refused(digits, file, "--label", "label")
    assert "are not in the store; name the file of the image" in rejected(file)[0]["reason"]


def test_bytes_are_stored_as_they_come(
    digits: Signoff, workspace_of: Callable[..., Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.datasets import load_digits

    monkeypatch.setattr(labelled, "BATCH_BYTES", 1)
    known = load_digits(n_class=2)
    images = [png((pixels * 15).astype("uint8")) for pixels in known.images[:30]]
    parquet.write_table(pa.table({"image": images, "y": known.target[:30]}), tmp_path / "digits.parquet")
    workspace = workspace_of(digits)
    setting = workspace.database.read(projects.get, "digits")
    assert keep_labelled(workspace, setting, tmp_path / "digits.parquet", "y").rows == 30
    held = workspace.database.read(examples.base, setting, "train") + workspace.database.read(examples.base, setting, "test")
    assert {row["image"] for row in held.rows} == set(images)


# Real data


def test_german_credit(signoff: Signoff, files: Path, shared_data: Path) -> None:
    table = parquet.read_table(shared_data / "german_credit" / "data.parquet")
    numbers = ("duration_months", "credit_amount", "installment_rate_pct", "age")
    words = ("checking_status", "credit_history", "purpose", "savings", "employment_since", "housing")
    features = {**{name: {"type": "number"} for name in numbers}, **{name: {"type": "category"} for name in words}}
    project = {
        "project": "credit",
        "input": {"type": "tabular", "id": "row_id", "features": features, "groups": ["sex"]},
        "labels": ["good", "bad"],
        "model": {"uri": "registry:credit@champion", "trainer": "sklearn-hgb"},
    }
    written(files, json.dumps(project), "project.yaml")
    written(files, "autonomy: set\nautomate: {at_least: 0.9}\n", "policy.yaml")
    signoff("project", "apply", files)
    parquet.write_table(table.slice(0, 400), files / "known.parquet")
    parquet.write_table(table.slice(400, 8), files / "arriving.parquet")
    info = train(signoff, files / "known.parquet", "--label", "credit_risk")
    assert sum(info["labelled"]["labels"].values()) == 400
    assert info["figures"]["accuracy"] > 0.6
    signoff("model", "promote", str(info["version"]))
    assert signoff.json("item", "load", files / "arriving.parquet")["added"] == 8
    drain(signoff)
    (stats,) = signoff.json("queue", "stats")
    assert stats["unscored"] == 0
    assert stats["waiting"] > 0

"""A brought model beside a file of rows: which rows count, which label they have, and what is kept of the model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.loading import LoadError
from app.settings import Settings
from app.starting import bringing
from app.starting.reading import read
from app.workspace import Workspace, open_workspace
from contract.project import Project
from contract.records import Prediction
from inference.errors import ModelAddError
from inference.own.engine import Options
from retrain import registry
from review_queue import projects
from review_queue.projects import Setting
from tests import factories
from tests.app.starting.making import csv_file, parquet_file, png

ROWS = 60
FUNCTION = """\
def score(rows):
    return [min(0.9, row["amount"] / 60) for row in rows]
"""
OPTIONS = Options(("no", "yes"), device="cpu")


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    held = open_workspace(Settings(dir=tmp_path / "data", device="cpu"))
    yield held
    held.database.close()


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(FUNCTION)
    return f"python:{tmp_path / 'own.py'}:score"


def setting(workspace: Workspace, labels: tuple[str, ...] = ("no", "yes")) -> Setting:
    given = {"type": "tabular", "id": "claim_id", "features": {"amount": {"type": "number"}}}
    made = Project.model_validate(
        {"project": "claims", "input": given, "labels": labels, "model": {"uri": "registry:claims@champion"}}
    )
    key = workspace.keys.draw_key_id
    return workspace.database.write(projects.apply, made, factories.policy(), "", key, by=None).setting


def columns(**more: Any) -> dict[str, Any]:
    return {"claim_id": [f"c{n}" for n in range(ROWS)], "amount": list(range(ROWS)), **more}


def test_a_model_is_kept_with_what_the_labels_say_of_it(tmp_path: Path, workspace: Workspace, source: str) -> None:
    truth = [("no", "yes")[n > 30] for n in range(ROWS)]
    file = csv_file(tmp_path / "claims.csv", columns(outcome=[*truth[:50], *[""] * 10]))
    held = setting(workspace)
    added = bringing.add(workspace, held, source, file, "outcome", OPTIONS, by=None)
    assert added.unusable == ()
    assert added.info == workspace.database.read(registry.model, held.id, 1)
    assert (added.info.figures["sample"], added.info.figures["held_out"]["n"]) == (ROWS, 50)
    assert added.info.figures["held_out"]["accuracy"] == pytest.approx(1.0)
    assert added.info.labels == ("no", "yes")


@pytest.mark.parametrize("truth", [[1.0, 0.0] * 30, [1, 0] * 30, ["1", "0"] * 30])
def test_numbers_are_labels_however_they_are_written(tmp_path: Path, workspace: Workspace, source: str, truth: Any) -> None:
    file = parquet_file(tmp_path / "claims.parquet", columns(outcome=truth))
    held = setting(workspace, ("0", "1"))
    added = bringing.add(workspace, held, source, file, "outcome", Options(("0", "1"), device="cpu"), by=None)
    assert added.info.figures["held_out"]["n"] == ROWS


def test_a_label_that_the_project_does_not_have_counts_as_none(tmp_path: Path, workspace: Workspace, source: str) -> None:
    file = csv_file(tmp_path / "claims.csv", columns(outcome=["no", "maybe"] * 30))
    added = bringing.add(workspace, setting(workspace), source, file, "outcome", OPTIONS, by=None)
    assert added.info.figures["held_out"]["n"] == 30


def test_labels_that_are_all_others(tmp_path: Path, workspace: Workspace, source: str) -> None:
    file = csv_file(tmp_path / "claims.csv", columns(outcome=["maybe", "never"] * 30))
    with pytest.raises(LoadError, match=r"holds no label of claims \(no, yes\), but maybe, never"):
        bringing.add(workspace, setting(workspace), source, file, "outcome", OPTIONS, by=None)


def test_no_row_that_the_project_takes(tmp_path: Path, workspace: Workspace, source: str) -> None:
    file = csv_file(tmp_path / "claims.csv", {"claim_id": ["a", "b"], "amount": ["much", "more"]})
    with pytest.raises(LoadError, match=r"no row of .*claims\.csv is one that claims takes; row 2: .*must be a number"):
        bringing.add(workspace, setting(workspace), source, file, None, OPTIONS, by=None)
    assert workspace.database.read(registry.models, setting(workspace).id) == []


def test_a_sample_needs_no_ids(tmp_path: Path, workspace: Workspace, source: str) -> None:
    file = csv_file(tmp_path / "claims.csv", {"amount": list(range(ROWS))})
    added = bringing.add(workspace, setting(workspace), source, file, None, OPTIONS, by=None)
    assert added.info.figures["answered"] == ROWS


def test_images_are_told_from_tables(tmp_path: Path) -> None:
    assert not bringing.holds_images(read(csv_file(tmp_path / "claims.csv", columns())))
    held = [{"bytes": png(n), "path": None} for n in range(3)]
    assert bringing.holds_images(read(parquet_file(tmp_path / "p.parquet", {"image": held, "label": ["a", "b", "a"]})))
    (tmp_path / "cats" / "cat").mkdir(parents=True)
    (tmp_path / "cats" / "cat" / "1.png").write_bytes(png(1))
    assert bringing.holds_images(read(tmp_path / "cats"))
    assert bringing.most("image") < bringing.most("text") == bringing.most("tabular")


@pytest.mark.parametrize(("swapped", "refused"), [(True, True), (False, False)])
def test_two_labels_the_wrong_way_round_are_told(swapped: bool, refused: bool) -> None:
    chance = np.random.default_rng(0)
    truth = chance.choice(["deny", "pay"], 200, p=[0.4, 0.6]).tolist()
    other = {"deny": "pay", "pay": "deny"}
    said = [other[label] if (chance.random() < 0.1) != swapped else label for label in truth]
    answers = tuple(Prediction(("deny", "pay"), (0.9, 0.1) if label == "deny" else (0.1, 0.9)) for label in said)
    brought: Any = SimpleNamespace(predictor=SimpleNamespace(labels=("deny", "pay")), answers=answers)
    if refused:
        with pytest.raises(ModelAddError, match=r"name them in the other: --labels pay,deny"):
            bringing.require_order(brought, truth)
    else:
        bringing.require_order(brought, truth)

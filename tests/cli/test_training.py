"""`signoff model train` and `show`: which rows, by which weights, by whose function, and what is told of it."""

import re
from pathlib import Path

import pytest

from app.workspace import Workspace
from review_queue import projects
from tests.cli.conftest import Signoff
from tests.cli.test_models import train_first

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "train-your-own.md"


@pytest.fixture
def taught(claims: Signoff, workspace: Workspace) -> Signoff:
    """A project with labelled rows."""
    train_first(workspace, workspace.database.read(projects.get, "claims"))
    return claims


def test_a_version_shows_what_it_learned_from_and_how(taught: Signoff) -> None:
    made = taught.json("model", "train", "--device", "cpu", "--dataset", "1", "--weights", "sqrt", "--seed", "3")
    assert (made["datasets"], made["figures"]["taught_with"]["weights"]) == (["1"], "sqrt")
    page = taught("model", "show", "1").stdout
    assert page.startswith("model 1 (sklearn-hgb)\nlearned from 180 base (dataset 1)\nweights: sqrt, 0 of them cut to 1")
    assert "seed 3, 1 thread(s), cpu" in page
    assert re.search(r"sklearn-hgb, after round \d+ of 300: no better for 12 rounds; loss in nats by epoch, \* is kept", page)
    assert re.search(r"label +deny +\d+ +0\.\d+", page)
    whole = taught.json("model", "show", "1")
    assert whole["training"]["spec"]["seed"] == 3
    again = taught.json("model", "train", "--device", "cpu", "--dataset", "1", "--weights", "sqrt", "--seed", "3")
    assert (again["version"], again["sha256"]) == (2, made["sha256"])


def test_what_cannot_be_is_refused_in_a_sentence(taught: Signoff) -> None:
    assert taught.refused("model", "train", "--dataset", "7").startswith("there is no dataset 7 in this project")
    assert "leave out --warm" in taught.refused("model", "train", "--warm")
    assert "mine.py is not there" in taught.refused("model", "train", "--trainer", "python:mine.py:train")
    assert taught("model", "train", "--weights", "heavy", code=2).exit_code == 2


def test_the_function_of_the_how_to_trains(taught: Signoff, tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    path = tmp_path / "mine.py"
    path.write_text(code[1], encoding="utf-8")
    made = taught.json("model", "train", "--trainer", f"python:{path}:boosted", "--weights", "full", "--device", "cpu")
    assert made["trainer"] == "own:sklearn"
    assert made["figures"]["held_out"]["accuracy"] > 0.75
    assert f"python:{path}:boosted" in str(taught.json("model", "show", "1")["figures"])
    assert taught("model", "promote", "1").exit_code == 0


def test_an_mlflow_that_is_down_is_a_note_beside_the_answer(taught: Signoff) -> None:
    pytest.importorskip("mlflow", reason="MLflow is an extra: pip install -e '.[mlflow]'")
    told = taught("model", "train", "--device", "cpu", env={"SIGNOFF_MLFLOW": "http://127.0.0.1:9"})
    assert "model 1 (sklearn-hgb)" in told.stdout
    assert "MLflow at http://127.0.0.1:9 was not told of every training and will be later" in told.stderr

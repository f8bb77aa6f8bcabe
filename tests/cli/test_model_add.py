"""`signoff model add` through the command line: what it says of a model, what it refuses and how to mend it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sqlalchemy import select

from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace
from db.tables import ItemKey, Prediction, Routing, Work
from retrain import registry
from review_queue import projects
from tests.cli.conftest import Signoff

PROJECT = """\
project: claims
noun: claim
input:
  type: tabular
  id: claim_id
  features:
    amount: {type: number}
    age: {type: number, optional: true}
    region: {type: category}
labels: [pay, deny]
model: {uri: "registry:claims@champion", trainer: sklearn-hgb}
policy: policy.yaml
guidelines: guidelines.md
"""
POLICY = "autonomy: set\nautomate: {at_least: 0.9}\n"
ROWS = 80
FUNCTION = """\
import math


def score(rows):
    return [1 / (1 + math.exp((row["amount"] - 500) / 100)) for row in rows]


def nans(rows):
    return [[float("nan")] * 2 for row in rows]


def three(rows):
    return [[0.2, 0.3, 0.5] for row in rows]


def fewer(rows):
    return [[0.5, 0.5] for row in rows[1:]]


def words(rows):
    return [["much", "little"] for row in rows]


def above(rows):
    return [[0.7, 0.7] for row in rows]


def raises_on_one(rows):
    if any(row["amount"] == 7 for row in rows):
        raise RuntimeError("seven is not for me")
    return score(rows)


def nan_on_one(rows):
    return [float("nan") if row["amount"] == 7 else p for row, p in zip(rows, score(rows))]


def raises(rows):
    raise RuntimeError("out of order")
"""


@pytest.fixture
def files(files: Path) -> Path:
    (files / "project.yaml").write_text(PROJECT)
    (files / "policy.yaml").write_text(POLICY)
    return files


def frame(begin: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Claims, every 17th without an age; high amounts are denied."""
    n = np.arange(begin, begin + rows)
    amount = (n * 7919 % 997) + 10.5
    return pd.DataFrame(
        {
            "claim_id": [f"c{each}" for each in n],
            "amount": amount,
            "age": np.where(n % 17 == 0, np.nan, 20 + n % 50),
            "region": np.array(["north", "south", "west"])[n % 3],
            "outcome": np.where(amount + 200 * ((n % 5) == 0) > 500, "deny", "pay"),
        }
    )


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    frame().to_csv(tmp_path / "sample.csv", index=False)
    return tmp_path / "sample.csv"


def fitted(*steps: Any, labels: Callable[[Any], Any] = lambda labels: labels) -> Pipeline:
    """A pipeline of amount and region that learned from other rows."""
    known = frame(1000, 200)
    columns = make_column_transformer((OneHotEncoder(), ["region"]), ("passthrough", ["amount"]))
    return make_pipeline(columns, *steps, LogisticRegression(max_iter=2000)).fit(
        known[["amount", "region"]], labels(known["outcome"])
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    skops.io.dump(fitted(), tmp_path / "model.skops")
    return tmp_path / "model.skops"


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(FUNCTION)
    return f"python:{tmp_path / 'own.py'}"


def drained(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Every item scored and routed: external id to its route and the reason."""
    import threading

    models = Models(workspace.database, workspace.settings, "cpu")
    Scoring(workspace, models, threading.Event()).turn()
    query = select(ItemKey.external_id, Routing.route, Routing.reason).where(Routing.item_id == ItemKey.item_id)
    found = workspace.database.read(lambda session: list(session.execute(query).tuples()))
    assert not workspace.database.read(lambda session: list(session.scalars(select(Work.item_id).where(Work.kind == "score"))))
    return {name: (route, reason) for name, route, reason in found}


# What it says of a model that it takes


def test_a_model_becomes_the_next_version_and_acts_once_it_is_promoted(
    claims: Signoff, workspace: Workspace, sample: Path, model: Path, tmp_path: Path
) -> None:
    printed = claims("model", "add", model, "--sample", sample, "--label", "outcome").stdout
    assert printed.startswith("model 1 (own:sklearn): ")
    right = np.mean(fitted().predict(frame()[["amount", "region"]]) == frame()["outcome"])
    assert f"Right in {right:.1%} of the 80 labelled rows that it answers." in printed
    assert "error at most" in printed
    assert printed.rstrip().endswith("`signoff model promote 1` lets it act.")
    setting = workspace.database.read(projects.get, "claims")
    assert workspace.database.read(registry.champion, setting.id) is None
    claims("model", "promote", "1")
    frame(300, 30).drop(columns="outcome").to_csv(tmp_path / "new.csv", index=False)
    claims("item", "load", tmp_path / "new.csv")
    assert len(drained(workspace)) == 30
    own = dict(zip(frame(300, 30)["claim_id"], fitted().predict_proba(frame(300, 30)[["amount", "region"]]), strict=True))
    query = select(ItemKey.external_id, Prediction.probabilities).where(Prediction.item_id == ItemKey.item_id)
    stored = workspace.database.read(lambda session: dict(session.execute(query).tuples().all()))
    assert stored == {name: pytest.approx(own[name], abs=1e-6) for name in own}


def test_as_json(claims: Signoff, sample: Path, model: Path) -> None:
    told = claims.json("model", "add", model, "--sample", sample, "--label", "outcome")
    assert (told["version"], told["trainer"], told["labels"], told["problems"]) == (1, "own:sklearn", ["deny", "pay"], 0)
    assert told["figures"]["held_out"]["answered"] == ROWS
    assert told["figures"]["alone"]["n"] == ROWS


def test_without_labels_it_says_that_nothing_is_known(claims: Signoff, sample: Path, model: Path) -> None:
    printed = claims("model", "add", model, "--sample", sample).stdout
    assert "nothing says how often it is right; name their column with --label" in printed
    assert "error at most" not in printed


def test_rows_of_the_sample_that_the_project_refuses_are_counted(claims: Signoff, sample: Path, model: Path) -> None:
    lines = sample.read_text().splitlines()
    lines[1] = lines[1].replace(lines[1].split(",")[1], "much")
    sample.write_text("\n".join(lines) + "\n")
    told = claims("model", "add", model, "--sample", sample, "--label", "outcome")
    assert "1 rows of" in told.stderr
    assert "could not be used; the first: row 2: input.amount: must be a number, not text 'much'" in told.stderr
    assert "of the 79 labelled rows" in told.stdout


def test_two_models_are_two_versions(claims: Signoff, sample: Path, model: Path, code: str) -> None:
    claims("model", "add", model, "--sample", sample)
    told = claims.json("model", "add", f"{code}:score", "--sample", sample, "--labels", "deny,pay")
    assert (told["version"], told["trainer"], told["labels"]) == (2, "own:python", ["deny", "pay"])


# What is refused


def test_without_a_sample(claims: Signoff, model: Path) -> None:
    assert "--sample FILE names rows to try the model on" in claims("model", "add", model, code=2).stderr


def test_a_lambda_is_named_and_the_ways_on(claims: Signoff, sample: Path, tmp_path: Path) -> None:
    made = fitted(FunctionTransformer(lambda rows: rows * 2))
    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(made))
    said = claims.refused("model", "add", tmp_path / "model.pkl", "--trust-pickle", "--sample", sample)
    assert "<lambda> in the step functiontransformer" in said
    assert "python:FILE.py:FUNCTION" in said


def test_a_pickle_is_not_opened_unless_it_is_trusted(claims: Signoff, sample: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    joblib.dump(Harm(), tmp_path / "model.joblib")
    assert "--trust-pickle" in claims.refused("model", "add", tmp_path / "model.joblib", "--sample", sample)
    assert not (tmp_path / "ran").exists()


def test_another_scikit_learn(claims: Signoff, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.4.2")
        joblib.dump(fitted(), tmp_path / "model.joblib")
        skops.io.dump(fitted(), tmp_path / "model.skops")
    for name in ("model.joblib", "model.skops"):
        said = claims.refused("model", "add", tmp_path / name, "--trust-pickle", "--sample", sample)
        assert f"saved with scikit-learn 1.4.2, and {sklearn.__version__}" in said
        assert "scikit-learn==1.4.2" in said


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A model whose classes are 0 for deny and 1 for pay, in another order than the project's labels."""
    made = fitted(labels=lambda labels: (labels == "pay").astype(int))
    skops.io.dump(made, tmp_path / "numbered.skops")
    return tmp_path / "numbered.skops"


def test_classes_of_other_names_are_never_guessed(claims: Signoff, sample: Path, numbered: Path) -> None:
    said = claims.refused("model", "add", numbered, "--sample", sample)
    assert "0, 1" in said
    assert "pay, deny" in said
    assert "--labels" in said


@pytest.mark.parametrize("given", ["deny", "deny,pay,other", "deny,deny", "deny,paid", "pay,"])
def test_labels_that_do_not_fit(claims: Signoff, sample: Path, numbered: Path, given: str) -> None:
    said = claims.refused("model", "add", numbered, "--sample", sample, "--labels", given)
    assert "--labels" in said
    assert claims.json("model", "list") == []


def test_labels_say_what_numbers_stand_for(claims: Signoff, sample: Path, numbered: Path) -> None:
    told = claims.json("model", "add", numbered, "--sample", sample, "--label", "outcome", "--labels", "deny,pay")
    assert told["labels"] == ["deny", "pay"]
    assert told["figures"]["held_out"]["accuracy"] > 0.7


def test_labels_against_what_the_model_says_itself(claims: Signoff, sample: Path, model: Path) -> None:
    said = claims.refused("model", "add", model, "--sample", sample, "--labels", "pay,deny")
    assert "deny,pay" in said
    assert "leave --labels out" in said


def test_a_column_that_the_sample_lacks(claims: Signoff, sample: Path, model: Path) -> None:
    frame().drop(columns="amount").to_csv(sample, index=False)
    said = claims.refused("model", "add", model, "--sample", sample)
    assert "amount" in said
    assert str(sample) in said


def test_a_column_that_the_project_lacks(claims: Signoff, sample: Path, tmp_path: Path) -> None:
    known = frame(1000, 200).assign(weight=1.0)
    made = make_pipeline(LogisticRegression()).fit(known[["amount", "weight"]], known["outcome"])
    skops.io.dump(made, tmp_path / "model.skops")
    said = claims.refused("model", "add", tmp_path / "model.skops", "--sample", sample)
    assert "weight" in said
    assert "project" in said


def test_a_label_column_that_holds_other_labels(claims: Signoff, sample: Path, model: Path) -> None:
    frame().rename(columns={"outcome": "place"}).assign(place=frame()["region"]).to_csv(sample, index=False)
    said = claims.refused("model", "add", model, "--sample", sample, "--label", "place")
    assert "place of" in said
    assert "holds no label of claims (pay, deny), but north, south, west" in said


def test_a_file_that_is_not_there(claims: Signoff, sample: Path, model: Path) -> None:
    assert "nearest is model.skops" in claims.refused("model", "add", model.with_name("modell.skops"), "--sample", sample)
    assert "there is no file" in claims.refused("model", "add", model, "--sample", sample.with_name("none.csv"))


def test_a_file_of_a_kind_that_is_not_known(claims: Signoff, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"none")
    said = claims.refused("model", "add", tmp_path / "model.h5", "--sample", sample)
    assert "is of a kind that is not known (.h5)" in said
    assert "python:FILE.py:FUNCTION" in said


@pytest.mark.parametrize("suffix", [".skops", ".joblib", ".onnx", ".pt2", ".safetensors"])
def test_bytes_that_are_no_model(claims: Signoff, sample: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x00" * 200)
    said = claims.refused("model", "add", path, "--trust-pickle", "--labels", "pay,deny", "--class", "a:B", "--sample", sample)
    assert path.name in said


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nans", "all are NaN"), ("three", "3"), ("fewer", "79"), ("words", "numbers"), ("above", "do not sum to one"),
        ("raises", "out of order"), ("absent", "absent"),
    ],
)  # fmt: skip
def test_functions_that_answer_otherwise(claims: Signoff, sample: Path, code: str, function: str, said: str) -> None:
    assert said in claims.refused("model", "add", f"{code}:{function}", "--sample", sample, "--labels", "deny,pay")
    assert claims.json("model", "list") == []


@pytest.mark.parametrize(
    ("function", "why"), [("raises_on_one", "seven is not for me"), ("nan_on_one", "a probability that is not a number")]
)
def test_the_one_bad_row_goes_to_a_person_and_the_rest_on(
    claims: Signoff, workspace: Workspace, sample: Path, code: str, tmp_path: Path, function: str, why: str
) -> None:
    bad = frame()
    bad.loc[11, "amount"] = 7
    bad.to_csv(sample, index=False)
    printed = claims("model", "add", f"{code}:{function}", "--sample", sample, "--labels", "deny,pay").stdout
    assert "It gives no answer for 1 row, which goes to people; row 12" in " ".join(printed.split())
    assert why in " ".join(printed.split())
    claims("model", "promote", "1")
    claims("item", "load", sample)
    routes = drained(workspace)
    assert len(routes) == ROWS
    assert routes["c11"][0] == "review"
    assert routes["c11"][1].startswith("not scored: the model ")
    assert why in routes["c11"][1]
    assert not any(reason.startswith("not scored") for name, (_, reason) in routes.items() if name != "c11")
    assert {route for name, (route, _) in routes.items() if name != "c11"} == {"auto", "review"}
    (waiting,) = claims.json("queue", "stats")
    assert waiting["waiting"] >= sum(route != "auto" for route, _ in routes.values())


# A model that answers elsewhere


def test_external_versions_need_a_project_without_a_model(claims: Signoff) -> None:
    assert "write `model: {uri: external}`" in claims("model", "add", "external:2026-11", code=2).stderr


def test_a_version_that_answers_elsewhere(claims: Signoff, files: Path) -> None:
    (files / "project.yaml").write_text(
        PROJECT.replace('{uri: "registry:claims@champion", trainer: sklearn-hgb}', "{uri: external, version: old}")
    )
    claims("project", "apply", files)
    printed = claims("model", "add", "external:2026-11").stdout
    assert "is 2026-11, which answers elsewhere; `signoff model promote" in printed
    again = claims.json("model", "add", "external:2026-11")
    assert again["trainer"] == "external"
    assert [each["trainer"] for each in claims.json("model", "list")].count("external") == again["version"]

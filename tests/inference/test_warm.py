"""Beginning at another model: by the names of columns, categories, n-grams and labels."""

from typing import Any

import numpy as np
import pytest

from contract.project import Project
from inference import training
from inference.course import Course
from inference.training import Trained, train
from tests.inference import data
from tests.inference.conftest import rows_of

NETWORKS = ("torch-mlp", "torch-text", "torch-cnn")


def begun(kind: str, trained: Trained, project: Project, rows: Any, labels: Any, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Trained from another for no epoch at all: what it begins as."""
    for module in ("cnn", "mlp", "textbag"):
        monkeypatch.setattr(f"inference.{module}.fit", lambda *args, **how: args[0].eval())
    return train(project, rows, labels, trainer=kind, device="cpu", former=trained.predictor)


@pytest.mark.parametrize("kind", NETWORKS)
def test_from_the_same_rows_it_begins_as_it_ended(kind: str, models: dict[str, Trained], monkeypatch: pytest.MonkeyPatch) -> None:
    project, (rows, labels) = rows_of(kind)
    warm = begun(kind, models[kind], project, rows[:150], labels[:150], monkeypatch)
    for one, other in zip(warm.predictor.predict(rows[150:200]), models[kind].predictor.predict(rows[150:200]), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)  # type: ignore[union-attr]
    assert warm.figures["warm"].startswith("from model ")


def test_columns_in_another_order_and_a_new_label_keep_what_is_known(
    models: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, (rows, labels) = data.mixed()
    whole = project.model_dump(mode="json")
    whole["input"]["features"] = dict(reversed(whole["input"]["features"].items())) | {
        "more": {"type": "number", "optional": True}
    }
    whole["labels"] = {"unclear": {}, **whole["labels"]}
    wider = Project.model_validate(whole)
    warm = begun("torch-mlp", models["torch-mlp"], wider, rows[:150], [*labels[:148], "unclear", "unclear"], monkeypatch)
    assert warm.figures["warm"].endswith("new to it: unclear")
    right = [a.probabilities for a in warm.predictor.predict(rows[150:250])]  # type: ignore[union-attr]
    guess = [wider_labels(wider)[1:][int(np.argmax(p[1:]))] for p in right]
    assert np.mean([a == b for a, b in zip(guess, labels[150:250], strict=True)]) > 0.8


def wider_labels(project: Project) -> list[str]:
    return list(project.labels)


def test_a_linear_model_begun_at_another_is_the_same_model(models: dict[str, Trained]) -> None:
    project, (rows, labels) = data.mixed()
    cold = train(project, rows[:150], labels[:150], trainer="sklearn-linear", device="cpu")
    warm = train(project, rows[:150], labels[:150], trainer="sklearn-linear", device="cpu", former=cold.predictor)
    for one, other in zip(cold.predictor.predict(rows[150:]), warm.predictor.predict(rows[150:]), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=5e-4)  # type: ignore[union-attr]


def test_what_does_not_begin_at_another_says_so(models: dict[str, Trained]) -> None:
    project, (rows, labels) = data.mixed()
    linear = models["sklearn-linear"].predictor
    trees = train(project, rows[:150], labels[:150], trainer="sklearn-hgb", device="cpu", former=models["sklearn-hgb"].predictor)
    other = train(project, rows[:60], labels[:60], trainer="sklearn-hgb", device="cpu", former=linear)
    assert trees.figures["warm"].endswith("trees are grown anew")
    assert other.figures["warm"].startswith(f"not from model {linear.version}")


def test_a_course_names_each_kind_that_has_epochs() -> None:
    project, (rows, labels) = data.wine()
    course = Course()
    train(project, rows[:60], labels[:60], device="cpu", course=course)
    assert set(course.curves) == {"sklearn-hgb", "torch-mlp"}
    assert training.TRAINERS["tabular"] == ("sklearn-linear", "sklearn-hgb", "torch-mlp")

"""What the built-in models show of their inside answers as they do, and each column of the design has its owner."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from contract.inside import Last, Linear, Smooth, Trees
from contract.predictors import Encoded, Floats
from inference import boosting, trees
from inference.own import forests
from inference.predictors import ImagePredictor, TablePredictor, TextPredictor
from inference.training import Trained, train
from tests.inference import data

TABLES = ("torch-mlp", "sklearn-hgb", "sklearn-linear")
STRANGE = {"radius": 14.0, "size": "unheard", "smooth": None, "seen": None, "note": "a word that none of them held"}
NOTHING = dict.fromkeys(data.MIXED)


def log_odds(probabilities: Floats) -> Floats:
    return np.asarray(np.log(probabilities) - np.log1p(-probabilities))


def answers(view: Any, points: Floats, label: str) -> Floats:
    """What a view says of a label."""
    if isinstance(view, Smooth):
        return view.answer(points, label)
    if isinstance(view, Linear):
        return view.last.log_odds(points @ view.weights + view.bias, label)
    assert view.last is not None
    return view.last.log_odds(forests.leaves(view.trees, points) + view.base, label)


def seen(model: Any, rows: list[dict[str, Any]]) -> tuple[Any, Floats, Floats]:
    """The view, the points of the rows and their probabilities."""
    given = model.encode(rows) if isinstance(model, TablePredictor) else np.stack([model.decode(row["image"]) for row in rows])
    ask = model.table_probabilities if isinstance(model, TablePredictor) else model.image_probabilities
    assert model.inside is not None
    return model.inside, model.inside.design(given), ask(given)


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_every_type_of_column(models: dict[str, Trained], kind: str) -> None:
    model = models[kind].predictor
    rows = [*data.mixed()[1][0][150:250], STRANGE, NOTHING]
    view, points, due = seen(model, rows)
    assert points.shape == (102, len(view.owners))
    for place, label in enumerate(model.labels):
        assert np.abs(answers(view, points, label) - log_odds(due[:, place])).max() < 1e-4


@pytest.mark.parametrize("kind", TABLES)
def test_a_column_moves_only_what_it_owns(models: dict[str, Trained], kind: str) -> None:
    model = models[kind].predictor
    assert isinstance(model, TablePredictor)
    rows = data.mixed()[1][0][:40]
    view, points, _ = seen(model, rows)
    moved = np.zeros(len(view.owners), dtype=bool)
    for place, column in enumerate(model.columns):
        changed = [{**row, column.name: other[column.name]} for row, other in zip(rows, rows[1:] + rows[:1], strict=True)]
        after = view.design(model.encode(changed))
        differs = ~((after == points) | (np.isnan(after) & np.isnan(points))).all(axis=0)
        assert set(view.owners[differs]) == {place}
        moved |= differs
    assert moved.sum() > len(model.columns)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("labels", [["class_0", "class_1", "class_2"], ["class_0", "class_1", "class_2", "class_3"]])
def test_more_labels_and_one_without_training_rows(kind: str, labels: list[str]) -> None:
    project, (rows, truth) = data.wine()
    wider = project.model_copy(update={"labels": tuple(labels)})
    model = train(wider, rows[:120], truth[:120], trainer=kind, device="cpu").predictor
    view, points, due = seen(model, rows[120:])
    for place, label in enumerate(labels):
        found, expected = answers(view, points, label), log_odds(due[:, place])
        told = np.abs(expected) < 14  # beyond, 1 - p has few digits left
        assert told.any()
        assert np.abs(found - expected)[told].max() < 1e-4


def test_the_temperature_is_part_of_it(models: dict[str, Trained]) -> None:
    for kind in TABLES:
        model = models[kind].predictor
        assert isinstance(model, TablePredictor)
        warm = replace(model, card=replace(model.card, temperature=3.0))
        view, points, due = seen(warm, data.mixed()[1][0][:20])
        assert np.abs(answers(view, points, "benign") - log_odds(due[:, 1])).max() < 1e-4


def test_the_slopes_of_a_network_are_its_slopes(models: dict[str, Trained]) -> None:
    model = models["torch-mlp"].predictor
    view, points, _ = seen(model, data.mixed()[1][0][:20])
    assert isinstance(view, Smooth)
    parameters = list(model.engine.network.parameters())  # type: ignore[attr-defined]
    left = [None if each.grad is None else each.grad.clone() for each in parameters]
    values, slopes = view.gradient(points, "benign")
    step = np.zeros(points.shape[1], dtype=np.float32)
    step[12] = 1e-2
    rise = (view.answer(points + step, "benign") - view.answer(points - step, "benign")) / 2e-2
    assert np.median(np.abs(slopes[:, 12] - rise)) < 1e-3
    assert np.abs(values - view.answer(points, "benign")).max() < 1e-5
    for before, parameter in zip(left, parameters, strict=True):
        assert (before is None and parameter.grad is None) or torch.equal(before, parameter.grad)  # type: ignore[arg-type]


def test_images_by_pixels(models: dict[str, Trained]) -> None:
    model = models["torch-cnn"].predictor
    assert isinstance(model, ImagePredictor)
    view, points, due = seen(model, data.digits()[1][0][150:160])
    side, channels = model.engine.side, model.engine.channels
    assert view.owners.tolist() == [pixel for pixel in range(side**2) for _ in range(channels)]
    for place, label in enumerate(model.labels):
        told = (due[:, place] > 1e-5) & (due[:, place] < 1 - 1e-5)
        assert np.abs(answers(view, points, label) - log_odds(due[:, place]))[told].max(initial=0) < 1e-4


def test_a_copy_for_hooks_answers_as_the_network(models: dict[str, Trained]) -> None:
    for kind, rows in (("torch-mlp", data.mixed()[1][0][:9]), ("torch-cnn", data.digits()[1][0][:9])):
        model: Any = models[kind].predictor
        view, points, due = seen(model, rows)
        deep = view.deep()
        scores = deep.module(deep.tensor(points)).detach().numpy()
        assert np.abs(deep.last.log_odds(scores, model.labels[1]) - log_odds(due[:, 1])).max() < 1e-3
        assert deep.module is not view.deep().module
        assert not {id(each) for each in deep.module.parameters()} & {id(each) for each in model.engine.network.parameters()}


def test_what_lies_before_the_scores(models: dict[str, Trained]) -> None:
    texts: Any = models["torch-text"].predictor
    assert isinstance(texts, TextPredictor)
    found = texts.hidden.of(["a transfer is missing", ""])
    with torch.no_grad():
        scores = texts.engine.network.last(torch.from_numpy(found)).double().numpy()
    assert np.abs(scores - texts.engine.scores(["a transfer is missing", ""])).max() < 1e-5
    table: Any = models["torch-mlp"].predictor
    encoded = table.encode(data.mixed()[1][0][:5])
    with torch.no_grad():
        scores = table.engine.network.layers[-1](torch.from_numpy(table.hidden.of(encoded))).numpy()
    assert np.abs(scores - table.engine.scores(encoded)).max() < 1e-5
    image: Any = models["torch-cnn"].predictor
    pixels = np.stack([image.decode(row["image"]) for row in data.digits()[1][0][:3]])
    with torch.no_grad():
        scores = image.engine.network.last(torch.from_numpy(image.hidden.of(pixels))).numpy()
    assert np.abs(scores - image.engine.scores(pixels)).max() < 1e-4
    assert {each.hidden.words for each in (texts, table, image)} == {"the network's last hidden layer"}
    assert models["sklearn-hgb"].predictor.hidden is None
    assert models["sklearn-linear"].predictor.hidden is None


def test_sets_of_categories_stand_beside_the_design() -> None:
    """Codes that are known, missing, or that no row had go where the model sends them."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, size=(400, 2)).astype(float)
    codes[rng.random((400, 2)) < 0.1] = np.nan
    truth = np.isin(np.nan_to_num(codes[:, 0], nan=3), [1, 3, 8]) ^ (codes[:, 1] > 6)
    model = boosting._estimator(400, 2, judged=False, seed=0).fit(codes, truth)
    grown, sets = trees.boosted(model, 2)
    assert sets.keys
    asked = np.vstack([codes, [[np.nan, 13.0], [40.0, 0.0], [0.0, np.nan]]])
    points = sets.beside(model._preprocess_X(asked, reset=False))
    found = forests.leaves(grown, points)[:, 1] + float(model._baseline_prediction[0, 0])
    np.testing.assert_allclose(found, model.decision_function(asked), atol=1e-12)
    assert sets.owners(np.array([0, 1]))[2:].tolist() == [column for column, _, _ in sets.keys]


def test_a_step_of_no_score_is_flat() -> None:
    last = Last(("a", "b", "c"), (0, 2), 1.0, 1e-6)
    scores = np.array([[3.0, -1.0], [0.0, 9.0]])
    assert last.place("b") is None
    assert np.ptp(last.log_odds(scores, "b")) == 0
    assert not last.straight
    with pytest.raises(ValueError, match="not in tuple"):
        last.place("d")
    held = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) * (1 - 1e-6)
    np.testing.assert_allclose(last.log_odds(scores, "a"), log_odds(held[:, 0]), atol=1e-9)


def test_an_empty_table(models: dict[str, Trained]) -> None:
    for kind in TABLES:
        model = models[kind].predictor
        assert isinstance(model, TablePredictor)
        assert isinstance(model.inside, Trees | Linear | Smooth)
        empty = Encoded(np.empty((0, 5)), {4: ()})
        assert len(model.table_probabilities(empty)) == 0

"""Gradients of brought programs: whatever their answers mean, they are those of the log-odds that are reported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from contract.inside import Smooth
from explain.catalog import explainer_for, explainers_for
from explain.errors import NotExplainable
from inference.own import exported
from inference.own.engine import Sample
from inference.own.predictors import OwnCard, OwnImage, OwnTable, own
from tests.inference.own import kit
from tests.inference.own.test_exported import LABELS, WAYS, Answering, archive, seeing, written

__all__ = ["seeing"]
Fitted = tuple[Any, Sample]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    """A network over scaled columns of breast cancer, with two to eight rows at once."""
    torch.manual_seed(0)
    sample, matrix, _ = kit.breast_cancer()
    scale = nn.BatchNorm1d(6)
    net = nn.Sequential(scale, nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    net(torch.from_numpy(matrix))
    scale.running_mean, scale.running_var = torch.from_numpy(matrix.mean(0)), torch.from_numpy(matrix.var(0))
    return net.eval(), sample


def brought(module: nn.Module, sample: Sample, folder: Path, *labels: str, **shapes: Any) -> Any:
    example = torch.rand(3, 6) if sample.project.input.type == "tabular" else torch.rand(3, 1, 8, 8)
    engine = exported.add(written(folder, archive(module, example, **shapes)), sample, kit.options(*labels))
    card = OwnCard("torch-export", sample.project.input.type, engine.labels, sample.project.input.features)
    return own(card, engine, sample.rows)


@pytest.mark.parametrize("way", WAYS)
def test_a_program_shows_the_slopes_of_what_it_reports(fitted: Fitted, tmp_path: Path, way: str) -> None:
    net, sample = fitted
    model = brought(Answering(net, WAYS[way][0]).eval(), sample, tmp_path, *LABELS)
    assert isinstance(model, OwnTable)
    view = model.inside
    assert isinstance(view, Smooth)
    encoded = model.encode(sample.rows)
    points, due = view.design(encoded), model.table_probabilities(encoded)
    assert view.owners.tolist() == list(range(6))
    for place, label in enumerate(LABELS):
        answers, slopes = view.gradient(points, label)
        assert np.abs(answers - np.log(due[:, place] / due[:, 1 - place])).max() < 1e-4
        assert np.abs(view.answer(points, label) - answers).max() < 1e-5
        step = np.zeros(6)
        step[2] = 0.5
        rise = (view.answer(points + step, label) - view.answer(points - step, label)) / 1.0
        assert np.abs(slopes[:, 2] - rise).max() < 0.02 * np.abs(rise).max()


def test_reasons_of_a_program_and_what_it_does_not_show(fitted: Fitted, tmp_path: Path) -> None:
    net, sample = fitted
    model = brought(net, sample, tmp_path, *LABELS)
    shap, _ = explainers_for(model, model.background, samples=400)
    assert shap.method == "shap.gradient"
    found = shap.explain(sample.rows[0], label="benign", seed=3)
    assert found.problem is None
    assert [each["feature"] for each in found.contributions] == list(sample.project.input.features)
    with pytest.raises(NotExplainable, match="shows none of its layers"):
        explainer_for(model, model.background, "shap.deep")


@pytest.mark.parametrize("size", [1, 5])
def test_a_program_of_a_fixed_number_of_rows(fitted: Fitted, tmp_path: Path, size: int) -> None:
    net, sample = fitted
    engine = exported.add(written(tmp_path, archive(net, torch.rand(size, 6), shapes=None)), sample, kit.options(*LABELS))
    model = OwnTable(OwnCard("torch-export", "tabular", LABELS, sample.project.input.features), engine, sample.rows)
    assert isinstance(model.inside, Smooth)
    points = model.inside.design(model.encode(sample.rows[:7]))
    answers, slopes = model.inside.gradient(points, "benign")
    alone = [model.inside.gradient(point[None], "benign") for point in points]
    assert np.abs(answers - np.concatenate([each[0] for each in alone])).max() < 1e-5
    assert np.abs(slopes - np.concatenate([each[1] for each in alone])).max() < 1e-5


def test_a_program_without_slopes_shows_nothing(fitted: Fitted, tmp_path: Path) -> None:
    net, sample = fitted
    model = brought(Answering(net, lambda out: out.detach()).eval(), sample, tmp_path, *LABELS)
    assert model.inside is None
    assert explainers_for(model, model.background)[0].method == "shap.exact"


def test_a_background_with_gaps_is_used_without_them(fitted: Fitted, tmp_path: Path) -> None:
    net, sample = fitted
    model = brought(net, sample, tmp_path, *LABELS)
    holes = [{**row, "mean_area": None} if n % 2 else row for n, row in enumerate(sample.rows)]
    found = explainer_for(model, holes, "shap.gradient").explain(sample.rows[0], label="benign", seed=0)
    assert found.problem is None
    assert found.params["background_rows"] == 30
    assert "not numbers" in str(explainer_for(model, holes, "shap.gradient").explain(holes[1], label="benign", seed=0).problem)
    empty = [{**row, "mean_area": None} for row in sample.rows]
    with pytest.raises(NotExplainable, match="answers no row of its background"):
        explainer_for(model, empty, "shap.gradient")


def test_pixels(seeing: Any, tmp_path: Path) -> None:
    net, sample = seeing
    model = brought(Answering(net, lambda out: out).eval(), sample, tmp_path, *"0123456789")
    assert isinstance(model, OwnImage)
    assert isinstance(model.inside, Smooth)
    images = np.stack([model.decode(row["image"]) for row in sample.rows[:5]])
    points, due = model.inside.design(images), model.image_probabilities(images)
    assert points.shape == (5, 64)
    assert np.abs(model.inside.answer(points, "3") - np.log(due[:, 3] / (1 - due[:, 3]))).max() < 1e-4
    shap, _ = explainers_for(model, ())
    found = shap.explain(sample.rows[0], label=str(sample.truth[0]), seed=0)
    assert (shap.method, found.problem) == ("shap.gradient", None)

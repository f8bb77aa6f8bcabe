from typing import Any

import numpy as np
import pytest
import shap
import torch
from explained_models import png
from shown_models import fitted, network, weights_of
from torch import nn

from explain.background import drawn
from explain.deep_shap import DeepImage, DeepShap
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.segments import blurred, image_of, squares

NAMES = ["x0", "x1", "x2"]
ROWS = [dict(zip(NAMES, map(float, row), strict=True)) for row in np.random.default_rng(0).normal(size=(30, 3))]


def test_the_numbers_are_the_librarys() -> None:
    model, rows = fitted("torch-mlp", "mixed")
    explainer, view = DeepShap(model, model.background), model.inside
    module = model.engine.network.layers
    before = {name: value.clone() for name, value in module.state_dict().items()}
    behind = torch.from_numpy(view.design(model.encode(drawn(model.background, 64)))).float()
    points = torch.from_numpy(view.design(model.encode(rows[:5]))).float()
    made = explainer.explain_all([Ask(row, "benign", 0) for row in rows[:5]])
    own = view.deep().module.float()
    due = shap.DeepExplainer(own, behind).shap_values(points)
    for found, values in zip(made, (due[..., 1] - due[..., 0]) / model.card.temperature, strict=True):
        folded = np.bincount(view.owners, values, minlength=5)
        assert np.abs(weights_of(found) - folded).max() < 1e-5
        assert found.quality["additivity_gap"] < 1e-4
    assert (found.method, found.unit) == ("shap.deep", "log-odds")
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("labels", [(), ("class_0", "class_1", "class_2", "class_3")])
def test_more_labels_and_one_without_rows(labels: tuple[str, ...]) -> None:
    model, rows = fitted("torch-mlp", "wine", 120, labels=labels)
    explainer = DeepShap(model, model.background, rows=12)
    for label in model.labels:
        found = explainer.explain(rows[0], label=label, seed=0)
        assert found.quality["additivity_gap"] < 1e-4
        assert weights_of(found).any() == (label != "class_3")


def test_images() -> None:
    model, rows = fitted("torch-cnn", "digits", 130)
    explainer, view = DeepImage(model), model.inside
    for row in rows[:3]:
        image = image_of(model, row)
        pieces, deep = squares(*image.shape[:2]), view.deep()
        point, behind = view.design(np.stack([image, blurred(image)]))
        found = explainer.explain(row, label="4", seed=0)
        assert found.quality["additivity_gap"] < 1e-4
        alone = shap.DeepExplainer(deep.module, deep.tensor(behind[None])).shap_values(deep.tensor(point[None]))[0]
        scores = deep.module(deep.tensor(np.stack([point, behind]))).detach().numpy()
        folded = np.array([np.bincount(pieces.numbers.ravel()[view.owners], each, minlength=pieces.count) for each in alone.T])
        np.testing.assert_allclose(folded.sum(axis=1), scores[0] - scores[1], atol=1e-6)
        assert len(weights_of(found)) == pieces.count
    blank = explainer.explain({"image": png(np.zeros((8, 8)))}, label="4", seed=0)
    assert blank.problem is None
    assert not weights_of(blank).any()


class Halved(nn.Module):
    def forward(self, rows: torch.Tensor) -> Any:
        return rows / 2


@pytest.mark.parametrize("layer", [nn.LayerNorm(8), Halved()], ids=["LayerNorm", "Halved"])
def test_a_layer_without_a_rule_is_named(layer: nn.Module) -> None:
    torch.manual_seed(0)
    model = network(nn.Sequential(nn.Linear(3, 8), layer, nn.ReLU(), nn.Linear(8, 2)), NAMES)
    with pytest.raises(NotExplainable, match=f"no rule for the layer {type(layer).__name__}"):
        DeepShap(model, ROWS)


def test_a_network_that_shows_no_layers_is_refused() -> None:
    model = network(nn.Sequential(nn.Linear(3, 2)), NAMES, layers=False)
    with pytest.raises(NotExplainable, match="none of its layers"):
        DeepShap(model, ROWS)

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shap
import torch
from explained_models import png
from shown_models import LogOdds, fitted, network, weights_of
from torch import nn

from explain import gradient_shap
from explain.background import background_hash, drawn
from explain.errors import NotExplainable, UnknownLabel
from explain.explainer import Ask, seed_for
from explain.gradient_shap import GradientImage, GradientShap, steps
from explain.permutation_shap import PermutationShap
from explain.segments import blurred, image_of, squares

NAMES = [f"x{place}" for place in range(5)]
RNG = np.random.default_rng(0)
ROWS = [dict(zip(NAMES, map(float, row), strict=True)) for row in RNG.normal(size=(60, 5))]


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))


def by_library(module: nn.Module, view: Any, behind: Any, point: Any, label: int, seed: int, samples: int) -> Any:
    """The library's own numbers, over the design."""
    alone = shap.GradientExplainer(module, torch.as_tensor(behind, dtype=torch.float32))
    return alone.shap_values(torch.as_tensor(point[None], dtype=torch.float32), nsamples=samples, rseed=seed)[0][..., label]


@pytest.mark.parametrize(("name", "labels"), [("mixed", 2), ("wine", 3)])
def test_the_numbers_are_the_librarys(name: str, labels: int) -> None:
    model, rows = fitted("torch-mlp", name, 130)
    explainer, used = GradientShap(model, model.background), drawn(model.background, 64)
    view = model.inside
    behind, points = view.design(model.encode(used)), view.design(model.encode(rows[:4]))
    library = LogOdds(model.engine.network.layers, view.deep().last)
    for place, (row, point) in enumerate(zip(rows, points, strict=False)):
        label, seed = place % labels, seed_for(str(place))
        found = explainer.explain(row, label=model.labels[label], seed=seed)
        due = by_library(library, view, behind, point, label, seed, found.params["samples"])
        folded = np.bincount(view.owners, due, minlength=len(model.columns))
        assert np.abs(weights_of(found) - folded).max() < 1e-6 * max(1.0, np.abs(folded).max())
        answers = view.answer(behind, model.labels[label])
        assert found.base == pytest.approx(answers.mean(), abs=1e-6)
    assert (found.method, found.unit, found.modality) == ("shap.gradient", "log-odds", "tabular")
    assert found.background_hash == background_hash(used)


def test_images_are_the_librarys_against_a_blurred_copy() -> None:
    model, rows = fitted("torch-cnn", "digits", 130)
    explainer, view = GradientImage(model), model.inside
    library = LogOdds(view.deep().module.float(), view.deep().last)
    for place, row in enumerate(rows[:1], start=3):
        image = image_of(model, row)
        pieces = squares(*image.shape[:2])
        point, behind = view.design(np.stack([image, blurred(image)]))
        found = explainer.explain(row, label=str(place), seed=place)
        due = by_library(library, view, behind[None], point, place, place, found.params["samples"])
        folded = np.bincount(pieces.numbers.ravel()[view.owners], due, minlength=pieces.count)
        assert np.abs(weights_of(found) - folded).max() < 1e-5 * max(1.0, np.abs(folded).max())
    assert (found.method, found.unit, found.modality) == ("shap.gradient", "log-odds", "image")


def test_more_samples_are_drawn_where_the_gap_is_large() -> None:
    assert steps(200, 3200) == [range(0, 200), range(200, 800), range(800, 3200)]
    assert steps(5000, 3200) == [range(0, 5000)]
    explainer = GradientShap(network(small(), NAMES), ROWS)
    made = explainer.explain_all([Ask(row, "yes", seed_for(str(n))) for n, row in enumerate(ROWS)])
    counts = {each.params["samples"] for each in made}
    assert counts == {200, 800, 3200}
    for each in made:
        assert each.quality["relative_gap"] <= 0.05 or each.params["samples"] == 3200


def test_where_that_is_not_enough_another_method_explains() -> None:
    model = network(small(), NAMES)
    other = PermutationShap(model, ROWS)
    explainer = GradientShap(model, ROWS, fallback=other, samples=3000)
    asks = [Ask(row, "yes", n) for n, row in enumerate(ROWS)]
    alone = GradientShap(model, ROWS, samples=3000).explain_all(asks)
    missed = [place for place, each in enumerate(alone) if each.quality["relative_gap"] > 0.05]
    assert 0 < len(missed) < len(asks)
    for place, (made, own) in enumerate(zip(explainer.explain_all(asks), alone, strict=True)):
        if place not in missed:
            assert (made.method, weights_of(made).tolist()) == ("shap.gradient", weights_of(own).tolist())
            continue
        assert made.method == "shap.permutation"
        assert made.params["instead_of"] == "shap.gradient"
        assert made.params["missed_by"] == own.quality["relative_gap"]
        assert made.quality["additivity_gap"] < 1e-4
        again = other.explain(ROWS[place], label="yes", seed=place)
        np.testing.assert_allclose(weights_of(made), weights_of(again), atol=1e-9)
    assert all(each.doubt for place, each in enumerate(alone) if place in missed)


def test_what_gradients_cannot_explain_another_method_does_or_says_why_not() -> None:
    model = network(small(), NAMES)
    explainer = GradientShap(model, ROWS, fallback=PermutationShap(model, ROWS))
    row = {**ROWS[0], "x1": float("nan")}
    found = explainer.explain(row, label="yes", seed=0)
    assert found.problem
    assert (found.params["instead_of"], found.params["missed_by"]) == ("shap.gradient", None)
    with pytest.raises(UnknownLabel):
        explainer.explain(ROWS[0], label="maybe", seed=0)
    assert "maybe" in str(explainer.explain_all([Ask(ROWS[0], "maybe", 0)])[0].problem)


def test_an_ignored_feature_has_nothing() -> None:
    module = small()
    with torch.no_grad():
        module[0].weight[:, 3] = 0  # type: ignore[index, operator]
    found = GradientShap(network(module, NAMES), ROWS).explain(ROWS[0], label="no", seed=0)
    assert weights_of(found)[3] == 0
    assert np.abs(weights_of(found)).max() > 0.01


def test_each_is_as_alone_and_others_get_their_turn_between_passes() -> None:
    model, rows = fitted("torch-mlp", "mixed")
    turns = list[int]()
    explainer = GradientShap(model, model.background, between=lambda: turns.append(1))
    asks = [Ask(row, model.labels[n % 2], seed_for(str(n))) for n, row in enumerate(rows[:12])]
    made = explainer.explain_all(asks)
    assert len(turns) >= 12
    for ask, each in zip(asks[::-1], made[::-1], strict=True):
        alone = explainer.explain(ask.row, label=ask.label, seed=ask.seed)
        np.testing.assert_allclose(weights_of(each), weights_of(alone), atol=1e-9)
        assert each.params == alone.params
    np.random.seed(5)
    due = np.random.rand()
    np.random.seed(5)
    explainer.explain(rows[0], label="benign", seed=1)
    assert np.random.rand() == due


def test_strange_rows_and_images() -> None:
    model, _ = fitted("torch-mlp", "mixed")
    explainer = GradientShap(model, model.background)
    nothing: dict[str, Any] = dict.fromkeys(("radius", "size", "smooth", "seen", "note"))
    for row in (nothing, {**nothing, "size": "unheard", "note": "never said"}):
        assert explainer.explain(row, label="benign", seed=0).problem is None
    assert "cannot read" in str(explainer.explain({"radius": "wide"}, label="benign", seed=0).problem)
    pictures, _ = fitted("torch-cnn", "digits", 130)
    blank = GradientImage(pictures).explain({"image": png(np.zeros((8, 8)))}, label="3", seed=0)
    assert blank.problem is None
    assert not weights_of(blank).any()
    assert "same answer" in blank.params["note"]
    assert "cannot be read" in str(GradientImage(pictures).explain({"image": b"?"}, label="3", seed=0).problem)


def test_large_images_are_followed_a_few_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = fitted("torch-cnn", "digits", 130)
    view, seen, turns = model.inside, list[int](), list[int]()
    due = weights_of(GradientImage(model).explain(rows[0], label="3", seed=0))

    def gradient(points: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
        seen.append(points.size)
        return view.gradient(points, label)

    shown = replace(model)
    monkeypatch.setitem(vars(shown), "inside", replace(view, gradient=gradient))
    monkeypatch.setattr(gradient_shap, "NUMBERS", 1_000)
    found = GradientImage(shown, between=lambda: turns.append(1)).explain(rows[0], label="3", seed=0)
    assert max(seen) <= 1_000
    assert len(turns) >= len(seen) > 10
    np.testing.assert_allclose(weights_of(found), due, rtol=1e-4, atol=1e-5)


def test_three_hundred_features() -> None:
    names = [f"x{place}" for place in range(300)]
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(300, 8), nn.ReLU(), nn.Linear(8, 2))
    rows = [dict(zip(names, map(float, row), strict=True)) for row in RNG.normal(size=(40, 300))]
    found = GradientShap(network(module, names), rows).explain(rows[0], label="yes", seed=0)
    assert len(weights_of(found)) == 300


def test_a_model_that_shows_no_slopes_is_refused() -> None:
    model, _ = fitted("sklearn-hgb", "mixed")
    with pytest.raises(NotExplainable, match="shows no gradients"):
        GradientShap(model, model.background)

"""Items that are hard to explain, under every method that there is: a sensible explanation, or a sentence that says why not."""

import io
import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits

from contract.project import Project
from contract.reasons import suiting
from contract.records import Explanation, Row
from explain import catalog, deletion
from explain.errors import NotExplainable
from inference import training

WORDS = ("boring slow story", "brilliant cast loved it", "dull plot bad acting", "wonderful film great fun")


def project(given: dict[str, Any], labels: list[str]) -> Project:
    return Project.model_validate(
        {"project": "hard", "input": given, "labels": labels, "model": {"uri": "registry:hard@champion"}}
    )


@cache
def table(kind: str, labels: int = 2, width: int = 6) -> tuple[Any, list[Row]]:
    """A built-in model of numbers, a category, a date, a text and `noise`, which is always the same and so moves nothing."""
    data = load_breast_cancer()
    draw = np.random.default_rng(1)
    names = [f"n{n}" for n in range(width)]
    columns = data.data[:, np.arange(width) % 30] + draw.normal(0, 1e-3, (len(data.data), width))
    rows: list[Row] = [
        {
            **{name: float(value) if draw.random() > 0.05 else None for name, value in zip(names, values, strict=True)},
            "c": ["a", "b"][int(draw.random() < 0.2 + 0.6 * bad)],
            "d": f"2025-0{1 + int(bad)}-1{int(draw.integers(10))}",
            "t": WORDS[2 * int(draw.integers(2)) + int(bad)],
            "noise": 3.0,
        }
        for values, bad in zip(columns, data.target, strict=True)
    ]
    kinds = {**dict.fromkeys([*names, "noise"], "number"), "c": "category", "d": "date", "t": "text"}
    features = {name: {"type": kind, "optional": True} for name, kind in kinds.items()}
    truth = [["no", "yes", "maybe"][int(bad) if labels == 2 or draw.random() < 0.7 else 2] for bad in data.target]
    made = project({"type": "tabular", "features": features}, ["no", "yes", "maybe"][:labels])
    return training.train(made, rows[50:350], truth[50:350], trainer=kind, device="cpu", seed=0).predictor, rows[:50]


@cache
def texts() -> Any:
    draw = np.random.default_rng(0)
    places = draw.integers(4, size=200)
    rows = [{"text": f"{WORDS[place]} number {int(draw.integers(30))}"} for place in places]
    made = project({"type": "text"}, ["bad", "good"])
    return training.train(made, rows, [["bad", "good"][place % 2] for place in places], device="cpu", seed=0).predictor


@cache
def images() -> Any:
    data = load_digits()
    rows = [{"image": png(image / 16)} for image in data.images[:300]]
    made = project({"type": "image"}, [str(digit) for digit in range(10)])
    return training.train(made, rows, [str(digit) for digit in data.target[:300]], device="cpu", seed=0).predictor


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.round(np.asarray(pixels) * 255).astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def explained(model: Any, row: Row, label: str) -> list[Explanation]:
    """Under what is chosen for the model, and under every other method that suits it."""
    found = [each.explain(row, label=label, seed=1) for each in catalog.explainers_for(model, model.background)]
    for method in suiting(model.modality):
        try:
            explainer = catalog.explainer_for(model, model.background, method)
        except NotExplainable:
            continue
        found.append(explainer.explain(row, label=label, seed=1))
    assert len(found) > 2
    return found


def sensible(found: Explanation) -> None:
    """Whole and JSON-ready, or with a sentence for people."""
    json.dumps(found.as_dict(), allow_nan=False)
    if found.problem is not None:
        assert found.problem[0].isupper()
        assert "Error" not in found.problem
        return
    assert np.isfinite(deletion.weights_of(found)).all()
    assert all(math.isfinite(figure) for figure in found.quality.values())
    exact = found.method in ("shap.tree", "shap.linear", "shap.exact", "shap.permutation", "shap.partition", "shap.deep")
    if exact and found.unit == "log-odds":
        assert found.quality["additivity_gap"] < 1e-4


KINDS = ["sklearn-hgb", "sklearn-linear", "torch-mlp"]


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_missing_values(kind: str, labels: int) -> None:
    model, rows = table(kind, labels)
    for found in explained(model, dict.fromkeys(rows[0]), "yes"):
        assert found.problem is None
        sensible(found)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_ignored_feature_gets_nothing(kind: str, labels: int) -> None:
    """A column of one value is ignored by trees and by nobody hidden; what cannot differ from the background gets nothing."""
    model, rows = table(kind, labels)
    for found in explained(model, {**rows[0], "c": "never seen"}, "no"):
        sensible(found)
        ignored = next(part for part in found.contributions if part["feature"] == "noise")
        if found.method.startswith("shap"):
            assert abs(ignored["contribution"]) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_three_hundred_features(kind: str) -> None:
    model, rows = table(kind, width=300)
    for explainer in catalog.explainers_for(model, model.background):
        found = explainer.explain(rows[0], label="yes", seed=1)
        assert found.problem is None
        assert len(found.contributions) == 304
        sensible(found)


def test_one_label_alone_had_rows() -> None:
    data = load_breast_cancer()
    rows = [{"a": float(row[0]), "b": float(row[1])} for row in data.data[:60]]
    made = project({"type": "tabular", "features": {"a": {"type": "number"}, "b": {"type": "number"}}}, ["no", "yes"])
    for kind in KINDS:
        try:
            model = training.train(made, rows, ["yes"] * 60, trainer=kind, device="cpu", seed=0).predictor
        except training.TrainingError:
            continue
        for found in explained(model, rows[0], "yes"):
            assert found.problem is None
            assert np.abs(deletion.weights_of(found)).max() < 1e-6


@pytest.mark.parametrize(
    "text",
    [
        "zzqq xkcd",
        "😀",
        "Straße 東京で 12:30",
        pytest.param("boring " * 10_000, marks=pytest.mark.slow, id="boring"),
        "a. " * 3_000,
        "x" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_texts(text: str) -> None:
    for found in explained(texts(), {"text": text}, "bad"):
        assert found.problem is None
        sensible(found)


@pytest.mark.parametrize("text", ["", "   \n", None])
def test_no_text_is_a_sentence(text: str | None) -> None:
    for found in explained(texts(), {"text": text}, "bad"):
        assert found.problem is not None
        sensible(found)


@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_a_blank_image(shade: float) -> None:
    for found in explained(images(), {"image": png(np.full((8, 8), shade))}, "3"):
        assert found.problem is None
        sensible(found)
        assert np.abs(deletion.weights_of(found)).max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (3, 3), (640, 480, 3)])
def test_images_of_odd_sizes(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(shape)
    for found in explained(images(), {"image": png(image)}, "3"):
        assert found.problem is None
        sensible(found)


@pytest.mark.parametrize("data", [b"no image", b"", None])
def test_what_is_no_image_is_a_sentence(data: bytes | None) -> None:
    for found in explained(images(), {"image": data}, "3"):
        assert found.problem is not None
        sensible(found)

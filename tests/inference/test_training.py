import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from contract.confidence import confidence
from inference.errors import TrainingError
from inference.splits import split
from inference.training import Trained, _chosen, train
from tests.inference import data
from tests.inference.conftest import rows_of


def test_figures_are_json_ready_and_whole(trained: Trained, kind: str) -> None:
    figures = trained.figures
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["trainer"] == kind
    assert figures["n_train"] + figures["n_validation"] <= 150
    assert 0.15 < figures["n_validation"] / 150 < 0.3
    assert 0.5 <= figures["temperature"] <= 5
    assert set(figures["per_label"]) == set(trained.predictor.labels)
    assert sum(each["n_true"] for each in figures["per_label"].values()) == figures["n_validation"]
    assert set(figures["grids"]) == {"max_probability", "margin", "entropy"}
    assert all(grid == sorted(grid) and grid for grid in figures["grids"].values())


def test_rows_never_seen_are_told_apart(trained: Trained, kind: str) -> None:
    _, (rows, labels) = rows_of(kind)
    bar = {"torch-mlp": 0.80, "sklearn-hgb": 0.83, "sklearn-linear": 0.80, "torch-text": 0.95, "torch-cnn": 0.90}[kind]
    assert data.accuracy(trained.predictor, rows[150:], labels[150:]) >= bar


@pytest.mark.parametrize(("make", "bar"), [(data.breast_cancer, 0.94), (data.wine, 0.92)])
@pytest.mark.parametrize("trainer", ["torch-mlp", "sklearn-hgb", "sklearn-linear"])
def test_tables_of_numbers(make: Any, bar: float, trainer: str) -> None:
    project, (rows, labels) = make()
    half = len(rows) * 6 // 10
    trained = train(project, rows[:half], labels[:half], trainer=trainer, device="cpu")
    assert data.accuracy(trained.predictor, rows[half:], labels[half:]) >= bar


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([0.0, 0.3, 0.3], 0),
        ([0.5, 0.0, 0.5], 1),  # clearly better
        ([0.02, 0.0, 0.5], 0),  # better by less than chance makes of it: the plainer
        ([0.5, 0.02, 0.0], 1),
    ],
)
def test_of_equals_the_plainest_is_kept(gaps: list[float], expected: int) -> None:
    swings = np.tile([[0.4, -0.4], [-0.4, 0.4], [0.4, -0.4]], 100)
    losses = [0.5 + gap + swing for gap, swing in zip(gaps, swings, strict=True)]
    assert _chosen(losses) == expected


def test_auto_tries_all_that_fit_tables() -> None:
    project, (rows, labels) = data.wine()
    trained = train(project, rows, labels, device="cpu")
    losses = {name: each["log_loss"] for name, each in trained.figures["candidates"].items()}
    assert set(losses) == {"torch-mlp", "sklearn-hgb", "sklearn-linear"}
    assert trained.figures["log_loss"] == losses[trained.predictor.card.kind]
    assert losses[trained.predictor.card.kind] <= 2 * min(losses.values()) + 0.1


def test_same_seed_same_model_and_another_seed_another(trained: Trained, kind: str) -> None:
    project, (rows, labels) = rows_of(kind)
    torch.manual_seed(99)
    again = train(project, rows[:150], labels[:150], trainer=kind, device="cpu")
    assert again.predictor.predict(rows[:20]) == trained.predictor.predict(rows[:20])
    assert again.predictor.engine.files() == trained.predictor.engine.files()
    other = train(project, rows[:150], labels[:150], trainer=kind, device="cpu", seed=1)
    assert other.predictor.predict(rows[:20]) != trained.predictor.predict(rows[:20])


def test_global_state_is_left_as_it_was() -> None:
    project, (rows, labels) = data.messages()
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()  # type: ignore[index]
    train(project, rows[:40], labels[:40], device="cpu")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
    assert torch.get_num_threads() == before[2]


def test_progress_rises_to_the_end() -> None:
    project, (rows, labels) = data.wine()
    seen: list[float] = []
    train(project, rows[:60], labels[:60], device="cpu", progress=lambda share, doing: seen.append(share) if doing else None)
    assert seen == sorted(seen)
    assert 0 <= seen[0] < 0.1
    assert seen[-1] == 1.0


@pytest.mark.parametrize("trainer", ["torch-mlp", "sklearn-hgb", "sklearn-linear"])
def test_weights_matter(trainer: str) -> None:
    project, (rows, labels) = data.mixed()
    heavy = [20.0 if label == "malignant" else 1.0 for label in labels[:250]]
    means = []
    for weights in (None, heavy):
        model = train(project, rows[:250], labels[:250], trainer=trainer, device="cpu", weights=weights).predictor
        means.append(np.mean([answer.of("malignant") for answer in model.predict(rows[250:])]))  # type: ignore[union-attr]
    assert means[1] > means[0] + 0.02


def test_weights_of_a_text_model_matter() -> None:
    project, _ = data.messages()
    rows, labels = [{"text": "the same words"}, {"text": "the same  words"}] * 20, ["card", "money"] * 20
    model = train(project, rows, labels, device="cpu", weights=[9.0, 1.0] * 20).predictor
    assert model.predict(rows[:1])[0].of("card") == pytest.approx(0.9, abs=0.05)  # type: ignore[union-attr]


def test_label_without_rows_keeps_a_tiny_probability() -> None:
    project, (rows, labels) = data.messages()
    wider = data.project("text", ["nobody", *project.labels])
    trained = train(wider, rows[:60], labels[:60], device="cpu")
    answer = trained.predictor.predict(rows[:1])[0]
    assert trained.figures["labels_without_rows"] == ["nobody"]
    assert trained.predictor.labels == ("nobody", "card", "money")
    assert answer.of("nobody") == pytest.approx(1e-6)  # type: ignore[union-attr]
    assert sum(answer.probabilities) == pytest.approx(1)  # type: ignore[union-attr]


def test_label_with_one_row_is_learnt_from_and_never_judges(kind: str) -> None:
    project, (rows, labels) = rows_of(kind)
    chosen = [n for n in range(80) if labels[n] != labels[0]]
    picked = [0, *chosen]
    trained = train(project, [rows[n] for n in picked], [labels[n] for n in picked], trainer=kind, device="cpu")
    assert trained.figures["per_label"][labels[0]]["n_true"] == 0
    assert labels[0] not in trained.figures["labels_without_rows"]


@pytest.mark.parametrize("trainer", ["torch-mlp", "sklearn-hgb", "sklearn-linear"])
def test_two_rows_of_two_labels_are_enough(trainer: str) -> None:
    project, (rows, labels) = data.mixed()
    pair = [labels.index("malignant"), labels.index("benign")]
    trained = train(project, [rows[n] for n in pair], [labels[n] for n in pair], trainer=trainer, device="cpu")
    assert trained.figures["n_validation"] == 0
    assert trained.figures["accuracy"] is None
    assert trained.figures["temperature"] == 1.0
    assert trained.figures["grids"]["margin"] == []
    assert math.isfinite(trained.predictor.predict(rows[:1])[0].probabilities[0])  # type: ignore[union-attr]


@pytest.mark.parametrize("trainer", ["torch-mlp", "sklearn-hgb", "sklearn-linear"])
def test_rare_label_is_found(trainer: str) -> None:
    project, (rows, labels) = data.breast_cancer()
    rare = [n for n, label in enumerate(labels) if label == "malignant"][:20]
    common = [n for n, label in enumerate(labels) if label == "benign"]
    picked = [*rare, *common[:250]]
    model = train(project, [rows[n] for n in picked], [labels[n] for n in picked], trainer=trainer, device="cpu").predictor
    others = [n for n, label in enumerate(labels) if label == "malignant"][20:]
    assert data.accuracy(model, [rows[n] for n in others], ["malignant"] * len(others)) > 0.6
    assert data.accuracy(model, [rows[n] for n in common[250:]], ["benign"] * len(common[250:])) > 0.95


@pytest.mark.parametrize("trainer", ["torch-mlp", "sklearn-hgb", "sklearn-linear"])
def test_constant_and_empty_columns_do_no_harm(trainer: str) -> None:
    _, (rows, labels) = data.mixed()
    dull = {"same": {"type": "number"}, "none": {"type": "number"}, "gone": {"type": "category"}, "one": {"type": "category"}}
    features = {**data.MIXED, **dull, "never": {"type": "date"}, "mute": {"type": "text"}}
    extra = {"same": 3.0, "none": None, "gone": None, "one": "x", "never": None, "mute": None}
    project = data.project("tabular", ["malignant", "benign"], features)
    rows = [{**row, **extra} for row in rows]
    model = train(project, rows[:250], labels[:250], trainer=trainer, device="cpu").predictor
    assert data.accuracy(model, rows[250:], labels[250:]) > 0.85


def test_rows_that_cannot_be_read_are_left_out_and_counted() -> None:
    project, (rows, labels) = data.mixed()
    broken = [{**rows[0], "radius": "wide"}, *rows[1:100]]
    figures = train(project, broken, labels[:100], trainer="sklearn-hgb").figures
    assert figures["unreadable"] == {"n": 1, "first": "radius: 'wide' is not a number"}
    assert figures["n_train"] + figures["n_validation"] == 99


def test_equal_rows_stay_on_one_side() -> None:
    truth = np.array([0] * 40 + [1] * 40)
    groups = np.array([n // 4 for n in range(80)])
    training, validation = split(truth, groups, seed=0)
    assert not set(groups[training]) & set(groups[validation])
    assert sorted([*training, *validation]) == list(range(80))
    assert len(validation) == 16


@pytest.mark.parametrize(
    ("rows", "labels", "options", "says"),
    [
        ([], [], {}, "no rows"),
        ([{"text": "a"}], ["card", "money"], {}, "1 rows and 2 labels"),
        ([{"text": "a"}, {"text": "b"}], ["card", "card"], {}, "every row is labelled 'card'"),
        ([{"text": "a"}, {"text": "b"}], ["card", "mony"], {}, "no label 'mony'; nearest is money"),
        ([{"text": "a"}, {"text": "b"}], ["card", "money"], {"weights": [1.0]}, "2 rows and 1 weights"),
        ([{"text": "a"}, {"text": "b"}], ["card", "money"], {"weights": [1.0, -1.0]}, "above zero"),
        ([{"text": "a"}, {"text": "b"}], ["card", "money"], {"weights": [1.0, math.nan]}, "above zero"),
        ([{"text": 1}, {}], ["card", "money"], {}, "none of the 2 rows can be read; the first: text: int is not text"),
        ([{"text": "a"}, {"text": "b"}], ["card", "money"], {"trainer": "torch-mlp"}, "does not train text models"),
        ([{"text": "a"}, {"text": "b"}], ["card", "money"], {"trainer": "tourch-text"}, "nearest is torch-text"),
    ],
)
def test_what_cannot_be_trained_is_named(rows: Any, labels: Any, options: Any, says: str) -> None:
    project, _ = data.messages()
    with pytest.raises(TrainingError, match=says):
        train(project, rows, labels, device="cpu", **options)


def test_grid_is_that_of_validation_confidences() -> None:
    project, (rows, labels) = data.messages()
    trained = train(project, rows, labels, device="cpu")
    every = confidence([answer.probabilities for answer in trained.predictor.predict(rows)], "margin")  # type: ignore[union-attr]
    grid = trained.figures["grids"]["margin"]
    assert all(np.isclose(every, threshold, atol=1e-6).any() for threshold in grid)


def test_texts_without_a_character_train() -> None:
    project, _ = data.messages()
    rows = [{"text": text} for text in ("", "   ", None, "\n", "🙂🙂", "🙃")]
    model = train(project, rows, ["card", "card", "card", "money", "money", "money"], device="cpu").predictor
    assert all(math.isfinite(answer.probabilities[0]) for answer in model.predict(rows))  # type: ignore[union-attr]


def test_hash_of_training_data_follows_rows_labels_and_weights() -> None:
    project, (rows, labels) = data.messages()
    first = train(project, rows[:20], labels[:20], device="cpu").predictor.card.data_hash
    assert train(project, rows[:20], labels[:20], device="cpu", seed=3).predictor.card.data_hash == first
    assert train(project, rows[:20], labels[:20], device="cpu", weights=[2.0] * 20).predictor.card.data_hash != first
    assert train(project, rows[1:21], labels[1:21], device="cpu").predictor.card.data_hash != first


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bar"), [("banking77", 0.87), ("sms_spam", 0.98), ("tweets_offensive", 0.87)])
def test_real_texts(name: str, bar: float) -> None:
    project, (rows, labels) = data.shared_texts(name)
    cut = len(rows) * 8 // 10
    trained = train(project, rows[:cut], labels[:cut], device="cpu")
    assert data.accuracy(trained.predictor, rows[cut:], labels[cut:]) >= bar
    assert trained.figures["ece"] < 0.06


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "bar"),
    [("adult", "income", 0.86), ("german_credit", "credit_risk", 0.70), ("credit_default", "default_next_month", 0.81)],
)
def test_real_tables(name: str, target: str, bar: float) -> None:
    project, (rows, labels) = data.shared_table(name, target)
    cut = len(rows) * 8 // 10
    trained = train(project, rows[:cut], labels[:cut], device="cpu")
    assert data.accuracy(trained.predictor, rows[cut:], labels[cut:]) >= bar
    assert all(each["seconds"] < 60 for each in trained.figures["candidates"].values())


@pytest.mark.slow
def test_real_images() -> None:
    project, (rows, labels) = data.shared_images("fashion_mnist")
    trained = train(project, rows[:4000], labels[:4000], device="cpu")
    assert data.accuracy(trained.predictor, rows[4000:6000], labels[4000:6000]) >= 0.84
    assert trained.figures["seconds"] < 60

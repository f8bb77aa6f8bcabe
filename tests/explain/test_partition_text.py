import numpy as np
import pytest
import shap
from explained_models import Text, reviews, sigmoid
from shap_reference import Removal, partition

from explain.explainer import Ask
from explain.partition_text import PartitionText
from explain.words import units

REVIEW = "a boring and slow film with a brilliant cast"


def test_the_numbers_are_the_librarys() -> None:
    model = reviews()

    def log_odds(texts: np.ndarray) -> np.ndarray:
        p = model.text_probabilities(list(texts))[:, 1].clip(1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    np.random.seed(3)
    alone = shap.PartitionExplainer(log_odds, shap.maskers.Text(r"\W+"))([REVIEW], max_evals=500, batch_size=32, silent=True)
    found = PartitionText(model).explain({"text": REVIEW}, label="good", seed=3)
    np.testing.assert_allclose([part["contribution"] for part in found.contributions], alone.values[0], atol=1e-6)
    assert found.base == pytest.approx(float(np.ravel(alone.base_values)[0]), abs=1e-6)


LONGER = (
    "(We) saw it, and the cast wasn't good: boring, slow... but the end (a wonderful story!) is brilliant. It's moving, or not?"
)


@pytest.mark.parametrize("evaluations", [10, 60, 200, 500])
@pytest.mark.parametrize("text", [LONGER, " brilliant cast !", "slow slow slow slow and brilliant and slow and brilliant"])
def test_the_numbers_are_the_librarys_whatever_the_text_and_the_evaluations(text: str, evaluations: int) -> None:
    model = Text(lambda texts: sigmoid([hash_of(each) for each in texts]))
    for seed in range(3):
        found = PartitionText(model, evaluations=evaluations).explain({"text": text}, label="yes", seed=seed)
        base, values = partition(lambda texts: clipped(model, texts), Removal(units(text)), text, evaluations, seed)
        got = [part["contribution"] for part in found.contributions]
        np.testing.assert_allclose(got, values, rtol=1e-6, atol=1e-9)
        assert found.base == pytest.approx(base, rel=1e-6)


def hash_of(text: str) -> float:
    """A score in which all words act on each other."""
    return 3 * np.sin(sum((place + 1) * ord(letter) for place, letter in enumerate(text)) / 999)


def clipped(model: Text, texts: np.ndarray) -> np.ndarray:
    p = model.text_probabilities(list(texts))[:, 1].clip(1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def test_many_texts_together_are_each_as_alone() -> None:
    explainer = PartitionText(Text(lambda texts: sigmoid([hash_of(each) for each in texts])), evaluations=60)
    asks = [Ask({"text": text}, "yes", seed) for seed, text in enumerate([LONGER, "one", REVIEW, "", LONGER])]
    together = explainer.explain_all(asks)
    assert [each.problem is None for each in together] == [True, True, True, False, True]
    for ask, found in zip(asks, together, strict=True):
        assert found.contributions == explainer.explain(ask.row, label=ask.label, seed=ask.seed).contributions


@pytest.mark.parametrize("text", [REVIEW, "brilliant", "?!", "  brilliant…\n film ", "映画は brilliant 👍"])
def test_contributions_add_up(text: str) -> None:
    model = reviews()
    found = PartitionText(model).explain({"text": text}, label="good", seed=0)
    p = model.text_probabilities([text])[0, 1]
    total = found.base + sum(part["contribution"] for part in found.contributions)
    assert total == pytest.approx(np.log(p / (1 - p)), abs=1e-4)
    assert found.quality["additivity_gap"] < 1e-4
    assert all(text[part["start"] : part["end"]] == part["text"] for part in found.contributions)


def test_white_space_counts_for_models_that_see_it() -> None:
    model = Text(lambda texts: sigmoid([text.count("\n") / 3 for text in texts]))
    found = PartitionText(model).explain({"text": "one\n\ntwo   three\n"}, label="yes", seed=0)
    assert [round(part["contribution"], 6) for part in found.contributions] == [0.666667, 0.0, 0.333333]


def test_a_linear_models_words_come_first_at_each_place() -> None:
    weights = {"great": 2.0, "awful": -3.0, "film": 0.1}
    model = Text(lambda texts: sigmoid([sum(weights.get(word, 0) for word in text.split()) for text in texts]))
    found = PartitionText(model).explain({"text": "great film great cast awful film"}, label="yes", seed=0)
    assert [round(part["contribution"], 6) for part in found.contributions] == [2.0, 0.1, 2.0, 0.0, -3.0, 0.1]


def test_no_known_word_is_the_truth_of_zeros() -> None:
    found = PartitionText(reviews()).explain({"text": "xyzzy plugh"}, label="good", seed=0)
    assert [part["contribution"] for part in found.contributions] == [0.0, 0.0]
    assert "same answer" in found.params["note"]
    assert found.problem is None


@pytest.mark.parametrize("text", ["", "  ", None])
def test_no_text_is_a_problem(text: str | None) -> None:
    found = PartitionText(reviews()).explain({"text": text}, label="good", seed=0)
    assert found.problem
    assert found.contributions == []


def test_long_texts_are_explained_in_stretches() -> None:
    text = "slow " * 5000 + "brilliant wonderful " * 100 + "film " * 5000
    found = PartitionText(reviews()).explain({"text": text}, label="good", seed=0)
    assert found.params["explained"] == "stretch"
    best = max(found.contributions, key=lambda part: part["contribution"])
    assert "brilliant" in best["text"]

import numpy as np
import pytest
from explained_models import Text, reviews, sigmoid
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.lime_text import LimeTextExplainer

from explain.lime_text import LimeText

REVIEW = "a boring and slow film with a brilliant cast"


def test_the_numbers_are_the_librarys() -> None:
    model = reviews()
    alone = LimeTextExplainer(bow=False, mask_string="", feature_selection="none", random_state=3).explain_instance(
        REVIEW, model.text_probabilities, labels=(1,), num_features=99, num_samples=5000
    )
    due = dict(alone.local_exp[1])
    found = LimeText(model).explain({"text": REVIEW}, label="good", seed=3)
    got = [part["contribution"] for part in found.contributions]
    np.testing.assert_allclose(got, [due[place] for place in range(9)], atol=1e-6)
    assert found.quality["local_r2"] == pytest.approx(alone.score, abs=1e-6)


def test_the_same_word_has_a_weight_at_each_place() -> None:
    model = Text(lambda texts: sigmoid([3.0 * text.startswith("good") for text in texts]))
    found = LimeText(model).explain({"text": "good or not good"}, label="yes", seed=0)
    first, *_, last = [part["contribution"] for part in found.contributions]
    assert first > 0.3
    assert abs(last) < 0.1


@settings(max_examples=15, deadline=None)
@given(st.text(alphabet="ab é漢かगी😀!. \n\0", min_size=1, max_size=20))
def test_marks_are_where_the_words_are(text: str) -> None:
    model = Text(lambda texts: sigmoid([float(len(item)) for item in texts]))
    found = LimeText(model, samples=50).explain({"text": text}, label="yes", seed=0)
    assert (found.problem is None) == bool(text.strip())
    assert all(text[part["start"] : part["end"]] == part["text"] for part in found.contributions)


@pytest.mark.parametrize("text", ["", "  ", None])
def test_no_text_is_a_problem(text: str | None) -> None:
    found = LimeText(reviews()).explain({"text": text}, label="good", seed=0)
    assert found.problem
    assert found.contributions == []


def test_no_known_word_is_the_truth_of_zeros() -> None:
    found = LimeText(reviews()).explain({"text": "xyzzy plugh"}, label="good", seed=0)
    assert [part["contribution"] for part in found.contributions] == [0.0, 0.0]
    assert (found.problem, found.quality["local_r2"]) == (None, 1.0)


def test_ten_thousand_words() -> None:
    text = "slow " * 5000 + "brilliant wonderful " * 1000 + "film " * 3000
    found = LimeText(reviews()).explain({"text": text}, label="good", seed=0)
    assert found.params["samples"] == 500
    assert found.seconds < 20
    best = max(found.contributions, key=lambda part: part["contribution"])
    assert "brilliant" in best["text"]

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from explained_models import Text, in_log_odds, reviews, sigmoid
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.lime_text import LimeTextExplainer

from explain.explainer import Ask
from explain.lime_text import LimeText

REVIEW = "a boring and slow film with a brilliant cast"


def test_the_numbers_are_the_librarys() -> None:
    model = reviews()
    alone = LimeTextExplainer(bow=False, mask_string="", feature_selection="none", random_state=3).explain_instance(
        REVIEW, in_log_odds(model.text_probabilities), labels=(1,), num_features=99, num_samples=5000
    )
    due = dict(alone.local_exp[1])
    found = LimeText(model).explain({"text": REVIEW}, label="good", seed=3)
    got = [part["contribution"] for part in found.contributions]
    np.testing.assert_allclose(got, [due[place] for place in range(9)], atol=1e-6)
    assert found.quality["local_r2"] == pytest.approx(alone.score, abs=1e-6)


@pytest.mark.parametrize("text", ["one", "one two", " ".join(f"w{place}" for place in range(60))])
def test_every_length_and_seed_is_the_librarys(text: str) -> None:
    model = Text(lambda texts: sigmoid([np.sin(sum(map(ord, each)) / 99) + len(each) / 200 for each in texts]))
    for seed in range(3):
        lime = LimeTextExplainer(bow=False, mask_string="", feature_selection="none", random_state=seed)
        alone = lime.explain_instance(text, in_log_odds(spaceless(model)), labels=(1,), num_features=99, num_samples=700)
        found = LimeText(Text(spaceless(model)), samples=700).explain({"text": text}, label="yes", seed=seed)
        got, due = [part["contribution"] for part in found.contributions], dict(alone.local_exp[1])
        np.testing.assert_allclose(got, [due[place] for place in range(len(got))], rtol=1e-6, atol=1e-9)
        assert found.base == pytest.approx(alone.intercept[1], rel=1e-6)


def spaceless(model: Text) -> Callable[[Sequence[str]], np.ndarray]:
    """The library leaves the space behind a word where it is."""
    return lambda texts: model.text_probabilities(["".join(each.split()) for each in texts])


def test_no_text_is_asked_twice() -> None:
    seen: list[str] = []
    model = Text(lambda texts: seen.extend(texts) or sigmoid([float(len(each)) for each in texts]))
    assert LimeText(model).explain({"text": "three short words"}, label="yes", seed=0).problem is None
    assert len(seen) == len(set(seen)) <= 8


def test_many_texts_together_are_each_as_alone() -> None:
    explainer = LimeText(reviews(), samples=200)
    asks = [Ask({"text": text}, "good", seed) for seed, text in enumerate([REVIEW, "", "boring", "a wonderful film"])]
    for ask, found in zip(asks, explainer.explain_all(asks), strict=True):
        alone = explainer.explain(ask.row, label=ask.label, seed=ask.seed)
        got, due = ([part["contribution"] for part in each.contributions] for each in (found, alone))
        np.testing.assert_allclose(got, due, rtol=1e-9, atol=1e-12)
        assert (found.problem is None) == bool(ask.row["text"])


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

import numpy as np
import pytest

from inference import ngrams


def bag(texts: list[str], place: int = 0, *, characters: bool = True) -> dict[int, float]:
    held = ngrams.bags(texts, characters=characters)
    part = slice(held.starts[place], held.starts[place + 1])
    return dict(zip(held.buckets[part].tolist(), held.counts[part].tolist(), strict=True))


def test_words_and_pairs() -> None:
    assert sum(bag(["a b a"], characters=False).values()) == 5
    assert sorted(bag(["a b a"], characters=False).values()) == [1, 1, 1, 2]


def test_characters_inside_a_word_with_its_edges() -> None:
    # " ab ": three 2-grams, two 3-grams, one 4-gram, and the word.
    assert sum(bag(["ab"]).values()) == 7


def test_case_blanks_and_neighbours_do_not_matter() -> None:
    alone = bag(["Lost card"])
    assert bag(["  lost\u00a0\n card"]) == alone
    assert bag(["something else", "Lost card", ""], 1) == alone
    assert bag(["x" * 1_100_000, "Lost card"], 1) == alone


def test_order_of_words_matters_by_pairs() -> None:
    assert bag(["man bites dog"]) != bag(["dog bites man"])


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_blank_texts_are_empty(text: str) -> None:
    assert bag([text]) == {}


@pytest.mark.parametrize("text", ["🙂🙃", "€ 5,00!!", "日本語", "\ud800 lone", "a\u0301", "\x00"])
def test_every_visible_character_counts(text: str) -> None:
    assert len(bag([text])) > 2


def test_no_texts() -> None:
    held = ngrams.bags([])
    assert held.starts.tolist() == [0]
    assert len(held.buckets) == 0


def test_buckets_stay_below_the_limit_and_are_written_down() -> None:
    held = ngrams.bags(["Is my card on its way?"])
    assert held.buckets.min() >= 0
    assert held.buckets.max() < ngrams.BUCKETS
    # A saved model relies on these hashes: they may never change.
    assert np.array_equal(ngrams.bags(["card"], characters=False).buckets, [943_321])

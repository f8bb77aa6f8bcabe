from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from explain.errors import ItemUnreadable
from explain.words import STRETCHES, WORDS, text_of, units


@given(st.text(max_size=300) | st.text(alphabet="ab éñ漢字かなगी😀👩‍🚀🏽!.,£\n\t\0'", max_size=60))
@example("naïve café — 漢字 हिन्दी 👩🏽‍🚀!")
@example("!\0")
@example(" \u0301x")
def test_every_mark_is_where_the_unit_stands(text: str) -> None:
    try:
        cut = units(text)
    except ItemUnreadable:
        assert not text.strip()
        return
    marks = cut.contributions([0.0] * len(cut.spans))
    assert all(text[mark["start"] : mark["end"]] == mark["text"] != "" for mark in marks)
    assert all(one["end"] <= other["start"] for one, other in pairwise(marks))
    assert cut.kept(range(len(cut.spans))) == "".join(cut.segments) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Win £100 now!", ["Win", "£", "100", "now"]),
        ("naïve café, don't", ["naïve", "café", "don", "t"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("我很高兴。", ["我", "很", "高", "兴"]),
        ("ok 👍🏽👍", ["ok", "👍", "🏽", "👍"]),
        ("?! ...", ["?!", "..."]),
        ("word", ["word"]),
        ("snake_case x2", ["snake_case", "x2"]),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert [text[a:b] for a, b in units(text).spans] == words


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_blank_text_is_told(text: str) -> None:
    with pytest.raises(ItemUnreadable, match="empty"):
        units(text)


def test_missing_text_is_told() -> None:
    with pytest.raises(ItemUnreadable, match="no text"):
        text_of({"text": None}, "text")


def test_long_texts_become_sentences_or_stretches() -> None:
    sentences = " ".join(f"Sentence {place} says twelve words and says them all of a sudden." for place in range(30))
    assert units(sentences).kind == "sentence"
    assert len(units(sentences).spans) == 30
    stretches = units("word " * 10_000)
    assert stretches.kind == "stretch"
    assert STRETCHES / 2 < len(stretches.spans) <= STRETCHES
    assert units("word " * WORDS).kind == "word"
    assert "".join(stretches.segments) == "word " * 10_000

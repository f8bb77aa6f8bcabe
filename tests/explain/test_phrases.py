from hypothesis import given, settings
from hypothesis import strategies as st
from shap_reference import Removal, halves_of

from explain.partition_text import _tree
from explain.words import units

PIECES = [
    "a",
    "the ",
    "bad ",
    "(",
    ") ",
    "( ",
    ")",
    ", ",
    ",",
    ". ",
    "! ",
    "?",
    "and ",
    "but ",
    "'",
    "t ",
    "s ",
    "it",
    "[x] ",
    "$ ",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "é", "漢", "  ", "\n", "film "]), min_size=2, max_size=40))
def test_the_tree_is_the_librarys(pieces: list[str]) -> None:
    text = "".join(pieces)
    if not text.strip():
        return
    parts = units(text)
    if len(parts.spans) > 1:
        assert list(_tree(parts).halves) == halves_of(Removal(parts).clustering(text))


def test_a_unit_alone_has_no_tree() -> None:
    assert _tree(units("film")).halves == ()

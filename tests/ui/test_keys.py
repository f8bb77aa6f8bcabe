"""Which key does what: a person's choice, the labels' keys, and what is refused."""

import pytest

from app.ui import keys
from tests import factories


def test_everything_has_its_usual_key_where_nobody_chose() -> None:
    held = keys.keymap(factories.project(labels=["deny", "pay"]), {})
    assert held == {action.name: action.key for action in keys.ACTIONS}


def test_a_chosen_key_stands_unless_a_label_has_it() -> None:
    chosen = {"accept": "j", "skip": "n"}
    assert keys.keymap(factories.project(), chosen)["accept"] == "j"
    taken = factories.project(labels={"yes": {"key": "j"}, "no": {"key": "o"}})
    held = keys.keymap(taken, chosen)
    assert (held["accept"], held["skip"], held["overlay"]) == ("a", "n", None)


def test_no_key_does_two_things_where_a_label_takes_a_chosen_one() -> None:
    taken = factories.project(labels={"yes": {"key": "j"}, "no": {"key": "o"}})
    held = keys.keymap(taken, {"accept": "j", "reject": "a"})
    assert (held["accept"], held["reject"]) == (None, "a")
    given = [key for key in held.values() if key is not None]
    assert len(set(given)) == len(given)


def test_a_choice_keeps_only_what_was_moved() -> None:
    typed = {action.name: action.key for action in keys.MOVABLE} | {"accept": " J "}
    assert keys.check(typed) == {"accept": "j"}


def test_two_acts_may_change_their_keys_for_one_another() -> None:
    assert keys.check({"accept": "x", "reject": "a"}) == {"accept": "x", "reject": "a"}


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("accept", "c", "'c' cannot accept"),
        ("accept", "1", "choose a letter"),
        ("accept", "ä", "choose a letter"),
        ("accept", "x", "'x' would both"),
        ("skip", "", "'' cannot skip"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_the_mend(name: str, key: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        keys.check({name: key})


def test_no_usual_key_is_streamlits_or_twice() -> None:
    usual = [action.key for action in keys.ACTIONS]
    assert len(set(usual)) == len(usual)
    assert not keys.STREAMLIT & set(usual)

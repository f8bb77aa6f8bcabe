"""The deck on the page Review: what Streamlit is told of it, and when the page stands in its place."""

from typing import Any

from app.workspace import Workspace
from tests.browser import filling
from tests.ui.conftest import Screen

OFF: dict[str, Any] = {"automate": {"at_least": "off"}}


def test_streamlit_gets_a_deck_and_no_case(workspace: Workspace, screen: Screen) -> None:
    filling.choose(workspace, "deck")
    filling.table(workspace, 3, True, **OFF)
    at = screen("review")
    assert not at.exception
    (mounted,) = at.get("bidi_component")
    told = str(mounted.proto)
    assert 'component_name: "signoff.deck"' in told
    assert "deck-entry.js" in told
    assert 'js_content: ""' in told
    assert "claims" in told
    assert "M-100" not in told + str(at.main)
    assert not any(button.label.startswith("Accept") for button in at.button)


def test_where_nothing_waits_the_page_says_what_is_going_on(workspace: Workspace, screen: Screen) -> None:
    filling.choose(workspace, "deck")
    filling.table(workspace, 1, True, automate={"at_least": 0.0})
    at = screen("review")
    assert not at.exception
    assert at.get("bidi_component") == []
    assert [button.label for button in at.button][:2] == ["Look again", "Undo"]

"""The deck as a Streamlit component: where its script comes from, and what it is told at the start. No case is in it."""

from typing import Any

import streamlit as st
from streamlit.components.v2 import component
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from app.ui import answers, frame, keys
from app.ui.deck.dealing import DEEP
from app.ui.deck.trees import tree
from app.ui.draw import desk
from app.ui.sitting import Seat
from app.ui.widgets import Place
from contract.project import Project

FAMILY, NAME = "signoff", "deck"


def mount(place: Place, seat: Seat) -> None:
    """Put the deck on the page. It talks to its own route; here it only says that nothing is left."""
    render = component(_declared(), js="deck-entry.js", isolate_styles=False)
    render(key=NAME, data=_told(place, seat), on_dry_change=_dry)


def _declared() -> str:
    """The component's name, with the folder of its script known to Streamlit: files are served, inline script is not."""
    manager, name = get_bidi_component_manager(), f"{FAMILY}.{NAME}"
    if manager.get_component_asset_root(name) is None:
        config = ComponentConfig(NAME, str(frame.KEPT.name))
        manager.register_from_manifest(ComponentManifest(FAMILY, frame.build(), [config]), frame.KEPT.parent)
    return name


def _dry() -> None:
    """Nothing is left in the deck: the page looks whether anything waits, and says what else is going on."""
    st.session_state["deck.dry"] = True
    st.session_state["deck.round"] = st.session_state.get("deck.round", 0) + 1


def _told(place: Place, seat: Seat) -> dict[str, Any]:
    project = place.setting.project
    verdicts = ("correct", "reject", "skip")
    return {
        "project": project.project,
        "heading": project.heading,
        "noun": project.noun,
        "person": place.actor.id,
        "seat": seat.name,
        "round": st.session_state.get("deck.round", 0),
        "build": frame.build(),
        "deep": DEEP,
        "lease": place.setting.policy.review.lease.total_seconds(),
        "labels": [_label(project, each) for each in answers.everything(project)],
        "reasons": {each: list(project.reasons_for(each)) for each in verdicts},
        "keys": place.keys,
        "left": sorted(keys.STREAMLIT),
        "help": tree(desk.keys_help(project, place.keys)),
        "below": project.input.type != "tabular",
    }


def _label(project: Project, each: answers.Answer) -> dict[str, Any]:
    return {"label": each.label, "title": each.title, "key": each.key, "guideline": project.labels[each.label].guideline}

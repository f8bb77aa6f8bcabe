"""Settings: what a person chooses for their own desk. Nothing of it is seen by others."""

from zoneinfo import available_timezones

import streamlit as st

from app.ui import answers, keys, widgets
from app.ui.formats import text
from app.ui.keys import MOVABLE
from app.ui.widgets import Place
from review_queue import preferences
from review_queue.preferences import Desk, Preferences

DESKS: dict[Desk, str] = {
    "deck": "Deck: the next cases wait in the page, each key shows the next at once",
    "page": "Page: every key asks the server, plain and without the deck's script",
}
BROWSER = "as the browser has it"
ROWS = 3
"""Fields for keys that stand side by side."""


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Settings</h2>')
    st.html(f'<p class="so-note">For {text(place.actor.name)} alone, on every project and every machine.</p>')
    with st.form("settings", border=False):
        _desk(place)
        _keys(place)
        st.form_submit_button("Keep these settings", on_click=_keep, args=(place,))
    widgets.said("settings")
    st.button("Everything as usual", key="settings-usual", on_click=_usual, args=(place,))


def _desk(place: Place) -> None:
    names = list(DESKS)
    st.radio("Desk", names, names.index(place.chosen.desk), format_func=DESKS.__getitem__, key="settings-desk")
    zones = [BROWSER, *sorted(available_timezones())]
    held = place.chosen.zone or BROWSER
    st.selectbox("Time zone", zones, zones.index(held), key="settings-zone", width=360)


def _keys(place: Place) -> None:
    st.html('<h3 class="so-title">Keys</h3>')
    st.html(f'<p class="so-note">{_taken(place)}</p>')
    for start in range(0, len(MOVABLE), ROWS):
        for column, action in zip(st.columns(ROWS), MOVABLE[start : start + ROWS], strict=False):
            held = place.chosen.keys.get(action.name, action.key)
            column.text_input(action.says.capitalize(), held, max_chars=1, key=f"settings-key-{action.name}")


def _taken(place: Place) -> str:
    """Which keys the labels of this project have: there they come first."""
    named = ", ".join(
        f"<kbd>{text(key)}</kbd> {text(place.setting.project.title_of(label))}"
        for label, key in list(answers.keys(place.setting.project).items())[: answers.MOST]
    )
    first = f" In this project they have {named}." if named else ""
    return f"One letter each. A label's key stays the label's: whoever chose it for an act has the usual key there.{first}"


def _keep(place: Place) -> None:
    state = st.session_state
    typed = {action.name: state[f"settings-key-{action.name}"] or action.key for action in MOVABLE}
    try:
        moved = keys.check(typed)
    except ValueError as error:
        state["settings.said"] = (widgets.sentence(str(error)), "trouble")
        return
    zone = None if state["settings-zone"] == BROWSER else state["settings-zone"]
    chosen = Preferences(state["settings-desk"], zone, moved)
    widgets.tried(lambda: place.database.write(preferences.choose, place.actor, chosen), "Kept.", at="settings")


def _usual(place: Place) -> None:
    for action in MOVABLE:
        st.session_state[f"settings-key-{action.name}"] = action.key
    st.session_state["settings-desk"], st.session_state["settings-zone"] = Preferences().desk, BROWSER
    said = "As usual again."
    widgets.tried(lambda: place.database.write(preferences.choose, place.actor, Preferences()), said, at="settings")

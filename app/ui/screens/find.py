"""Find: everything that is known of one case, on one page that prints."""

import streamlit as st

from app.ui import formats, resources, widgets
from app.ui.draw import record as record_html
from app.ui.widgets import Place
from review_queue import find
from review_queue.errors import Refused


def draw() -> None:
    """The screen."""
    place = widgets.place()
    noun = place.setting.project.noun
    st.html('<h2 class="so-title">Find</h2>')
    with st.container(key="noprint-search"):
        typed = st.text_input(f"Id of the {noun}", value=st.query_params.get("id", ""), key="find-id", max_chars=500).strip()
    if not typed:
        widgets.line("Type an id, or how it begins.", "note")
        return
    _show(place, typed)


def _show(place: Place, typed: str) -> None:
    found = place.database.read(find.search, place.setting.id, typed)
    if typed not in found:
        _choices(place, typed, found)
        return
    if st.query_params.get("id") != typed:
        st.query_params["id"] = typed
    try:
        record = place.database.read(find.record, place.setting, typed, by=place.actor)
    except Refused as error:
        widgets.line(widgets.sentence(str(error)), "note")
        return
    st.html(record_html.page(record, place.setting, resources.picture))


def _choices(place: Place, typed: str, found: list[str]) -> None:
    if not found:
        widgets.line(f"No {place.setting.project.noun} has an id that begins with {typed}.", "note")
        return
    with st.container(horizontal=True):
        for each in found:
            st.button(formats.plain(each), key=f"find-{each}", on_click=_open, args=(each,))


def _open(external_id: str) -> None:
    st.session_state["find-id"] = external_id

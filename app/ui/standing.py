"""Notices above every page, for owners: what they should know of, until one of them closes it."""

import streamlit as st

from app.ui import formats, resources, widgets
from app.ui.resources import Here
from app.ui.widgets import Place
from review_queue import notices
from review_queue.notices import Notice

SHOWN = 3
"""Notices that stand above a page; the page Autonomy has them all."""


def draw(here: Here) -> None:
    """Those of the project that somebody is at."""
    if here.actor is None or here.setting is None or not here.actor.at_least("owner"):
        return
    place = Place(resources.workspace(), here.setting, here.actor, here.chosen)
    held = place.database.read(notices.standing, here.setting.id)
    widgets.said("notices")
    for notice in held[:SHOWN]:
        line(place, notice)
    if (left := len(held) - SHOWN) > 0:
        widgets.line(f"{formats.count(left, 'more notice')} on the page Autonomy.", "note")


def line(place: Place, notice: Notice) -> None:
    """One notice and the way to close it, which asks once more."""
    opened = formats.moment(notice.opened_at, place.zone)
    with st.container(key=f"notice-{notice.id}", horizontal=True, vertical_alignment="center"):
        st.html(f'<p class="so-notice" role="status"><small>{opened}</small> {formats.text(notice.said)}</p>')
        question = "It then stands above no page any more; History keeps it. Close it for everybody?"
        widgets.twice("Close", question, name=f"close-{notice.id}", on_click=_close, args=(place, notice.id), yes="Yes, close it")


def _close(place: Place, notice_id: int) -> None:
    widgets.tried(lambda: place.database.write(notices.close, notice_id, by=place.actor), "The notice is closed.", at="notices")

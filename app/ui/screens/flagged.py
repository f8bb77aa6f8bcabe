"""What is flagged: one's own, or for leads everybody's, to be looked at and put down."""

import streamlit as st

from app.ui import formats, widgets
from app.ui.draw import waiting
from app.ui.screens.sifting import AT
from app.ui.widgets import Place
from review_queue import flags
from review_queue.flags import Flagged


def draw(place: Place) -> None:
    """The list, the oldest first."""
    found = place.database.read(flags.listed, place.setting.id, place.actor)
    if not found.shown:
        widgets.line("Nothing is flagged.", "note")
    for each in found.shown:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-flag-{each.id}"):
            st.html(waiting.flag(each, place.setting, place.zone))
            st.button("Put the flag down", key=f"queue-unflag-{each.id}", on_click=_down, args=(place, each))
    if found.kept_back:
        noun = formats.count(found.kept_back, place.setting.project.noun)
        widgets.line(f"Not shown: {noun} that you may still have to answer blind.", "note")


def _down(place: Place, each: Flagged) -> None:
    def act() -> None:
        if place.actor.at_least("lead"):
            place.database.write(flags.put_down, place.setting, each.item_id, by=place.actor)
        else:
            place.database.write(flags.unflag, place.setting, place.actor, each.item_id)

    widgets.tried(act, f"The flag is down: {each.external_id}", at=AT)

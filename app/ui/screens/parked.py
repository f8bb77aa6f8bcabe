"""What is put aside: a list with a button to bring each case back, on the pages Queue and Review."""

from collections.abc import Sequence

import streamlit as st

from app.ui import formats, widgets
from app.ui.formats import text
from app.ui.widgets import Place
from review_queue import parking
from review_queue.parking import Parked

SHOWN = 15


def draw(place: Place, *, own: bool, at: str) -> None:
    """One's own, or for leads everybody's; nothing where nothing is put aside. `at`: the page that tells what was done."""
    found = place.database.read(parking.parked, place.setting.id, place.actor, SHOWN + 1, own=own)
    if found:
        everybody = place.actor.at_least("lead") and not own
        st.html(f'<h3 class="so-title">{"Parked" if everybody else "Parked by you"}, what comes back next first</h3>')
        _rows(place, found[:SHOWN], everybody, at)
    if len(found) > SHOWN:
        widgets.line(f"And more: these are the first {SHOWN}.", "note")


def _rows(place: Place, found: Sequence[Parked], everybody: bool, at: str) -> None:
    for each in found:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-parked-{each.task_id}"):
            st.html(f"<span><bdi>{text(each.external_id)}</bdi> <small>{_said(place, each, everybody)}</small></span>")
            st.button("Bring it back", key=f"unpark-{each.task_id}", on_click=_back, args=(place, each, at))


def _said(place: Place, each: Parked, everybody: bool) -> str:
    noun = place.setting.project.noun
    until = formats.moment(each.until, place.zone) if each.until else f"the {text(noun)} changes"
    whose = f"by {text(each.person or 'a lead')} " if everybody else ""
    note = f" · <bdi>{text(each.note)}</bdi>" if each.note else ""
    return f"{whose}until {until}{note}"


def _back(place: Place, each: Parked, at: str) -> None:
    said = f"Waits again: {each.external_id}"
    widgets.tried(lambda: place.database.write(parking.unpark, each.task_id, by=place.actor), said, at=at)

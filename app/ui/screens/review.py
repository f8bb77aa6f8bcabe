"""Review: the case, why the model thinks so, and the keys that decide."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.ui import calm, resources, sitting, widgets
from app.ui.calm import AWAY
from app.ui.deck import mounting
from app.ui.draw import desk
from app.ui.screens import deciding, idle, why
from app.ui.sitting import Held, Seat, Turn
from app.ui.widgets import Place
from review_queue import lost
from review_queue.cases import Case

IDLE_LEASES = 3
"""Leases after which a page that nobody touches lets its cases go."""


def draw() -> None:
    """The screen."""
    place = widgets.place()
    if not place.actor.at_least("reviewer"):
        widgets.empty("Looking on", "A viewer decides no cases: that is for reviewers and up. The other pages are yours to read.")
        return
    seat = Seat(place.setting, place.actor, resources.seat(place.actor.id))
    if place.chosen.desk == "deck" and resources.served():
        _deck(place, seat)
    else:
        _page(place, seat)


def _deck(place: Place, seat: Seat) -> None:
    """The deck asks for its cases itself; where it has none, the page looks once more and says what is going on instead."""
    if st.session_state.get("deck.open") != place.setting.id or st.session_state.get("deck.dry"):
        held = _held(place, seat)
        st.session_state["deck.dry"] = held.case is None
        st.session_state["deck.open"] = place.setting.id
        if held.case is None:
            idle.draw(place, seat, held.counts)
            return
    mounting.mount(place, seat)
    if message := st.session_state.pop("review.said", None):
        widgets.line(*message)
    _guidelines(place)


def _page(place: Place, seat: Seat) -> None:
    """The case on the page, in Streamlit alone: every key asks the server."""
    held = _held(place, seat)
    case = held.case
    if case is None:
        st.session_state["review.turn"] = None
        idle.draw(place, seat, held.counts)
        return
    turn = st.session_state["review.turn"] = sitting.kept(st.session_state.get("review.turn"), case, full=why.full(case))
    left, right = st.columns([1.75, 1], gap="large")
    with left:
        why.draw(place, case, turn)
        below = st.container()
    with right:
        beside = _side(place, seat, case, turn, held)
    _keep_alive(place, seat, held)
    if len(held.tokens) < sitting.AHEAD and held.counts.waiting:
        place.database.write(sitting.ahead, seat)
    with below if why.leaves_room(place, case) else beside:  # last, so that nothing of it holds the keys up
        why.more(place, seat, case, turn)


def _held(place: Place, seat: Seat) -> Held:
    """What the last act brought along, else what this tab holds, else new cases."""
    fresh: Held | None = st.session_state.pop("review.held", None)
    st.session_state["review.touched"] = time.monotonic()
    return fresh or place.database.read(sitting.look, seat) or place.database.write(sitting.sit, seat)


def _side(place: Place, seat: Seat, case: Case, turn: Turn, held: Held) -> DeltaGenerator:
    """The prediction, the keys and the counters; the place for what else may be known about why."""
    project = place.setting.project
    st.html(desk.said(project, case, turn))
    deciding.draw(place, seat, case, turn, flagged=held.flagged)
    message, kind = st.session_state.pop("review.said", ("", "said"))
    widgets.line(message, kind)
    st.html(desk.counters(held.counts, project.noun))
    beside = st.container()
    _guidelines(place)
    if st.session_state.get("review.help"):
        st.html(desk.keys_help(project, place.keys))
    return beside


def _guidelines(place: Place) -> None:
    details = desk.label_guidelines(place.setting.project)
    if not details and not place.setting.guidelines.strip():
        return
    with st.expander("Guidelines"):
        if details:
            st.html(details)
        st.markdown(place.setting.guidelines)


def _keep_alive(place: Place, seat: Seat, held: Held) -> None:
    lease = place.setting.policy.review.lease.total_seconds()
    tokens = held.tokens

    def beat() -> None:
        if time.monotonic() - st.session_state.get("review.touched", 0.0) > IDLE_LEASES * lease:
            return
        try:
            gone = place.database.write(sitting.beat, seat, tokens)
        except AWAY:
            widgets.line(calm.AWAY_SAYS, "trouble")
            return
        if tokens[0] in gone:
            widgets.line(place.database.read(lost.why, place.actor, tokens[0], place.setting.project.noun), "trouble")
            st.button("Go on with the next case", key=f"go-on-{tokens[0][:10]}", on_click=_forget)

    st.fragment(beat, run_every=min(60.0, lease / 3))()


def _forget() -> None:
    st.session_state["review.turn"] = None

"""Review with nothing in hand: why, and what to do next."""

from dataclasses import replace

import streamlit as st

from app.ui import counts, formats, sitting, widgets
from app.ui.counts import Counts
from app.ui.draw import desk, waiting
from app.ui.screens import deciding, parked
from app.ui.sitting import Seat
from app.ui.widgets import Place
from review_queue import insights, jobs, people, rules
from review_queue.insights import Backlog

KNOWN = 200


def draw(place: Place, seat: Seat, counted: Counts) -> None:
    """What is going on instead of a case."""
    backlog = place.database.read(insights.backlog, place.setting.id)
    widgets.empty(*_why(place, backlog))
    if backlog.stuck:
        widgets.line(f"Not counted: {formats.upto(backlog.stuck)} that wait for somebody who is not here.", "note")
        st.html(waiting.stuck_list(backlog.stuck_by))
    if message := st.session_state.pop("review.said", None):
        widgets.line(*message)
    with st.container(horizontal=True):
        mine = place.database.read(counts.elsewhere, place.setting, place.actor, seat.name)
        if mine:
            st.button(
                f"Take the {formats.count(len(mine), 'case')} you hold in another tab", on_click=_gather, args=(place, seat)
            )
        st.button("Look again", key="idle-look", shortcut="l", on_click=lambda: None)
        st.button("Undo", key="idle-undo", shortcut=place.keys["undo"], on_click=_undo, args=(place, seat))
    parked.draw(place, own=True, at="review")
    st.html(desk.counters(replace(counted, waiting=backlog.waiting), place.setting.project.noun))
    known_answers(place)


def _why(place: Place, backlog: Backlog) -> tuple[str, str]:
    """Title and sentence, the latter as HTML. What waits is not this person's to take: they were just looked for a case."""
    noun = formats.plural(place.setting.project.noun)
    acts = place.database.read(rules.in_force, place.setting.id, place.setting.policy) is not None
    if not acts and place.setting.project.external:
        return (
            "No version acts yet",
            f"Predictions come with the {noun}. An owner signs their version on the page Models, or by "
            "<code>signoff model promote 1</code>; then the queue fills.",
        )
    if not acts:
        return "No model yet", "Train one on the page Models, or run <code>signoff model train</code>; then the queue fills."
    if backlog.waiting:
        return (
            f"{formats.count(backlog.waiting, 'case')} {'wait' if backlog.waiting > 1 else 'waits'} for somebody else",
            "You answered or skipped them before, or they are for leads or kept for another. Nothing else waits for you now.",
        )
    if backlog.unscored:
        return (
            f"{formats.count(backlog.unscored, place.setting.project.noun)} still being scored",
            "They come here by themselves.",
        )
    if backlog.held:
        held = formats.upto(backlog.held)
        return "All that waits is in other hands", f"{held} held by others at this moment; the page Queue shows by whom."
    if backlog.stuck:
        return "Nothing waits for you", "What is left is for people who are not here."
    if backlog.parked:
        return "Nothing waits for you", f"{formats.upto(backlog.parked)} parked; they come back by themselves."
    return (
        "Nothing waits",
        f"All {formats.text(noun)} are decided. New ones come with <code>signoff item load FILE</code> or over HTTP.",
    )


def known_answers(place: Place) -> None:
    """Where the project has known answers, they may play the operator."""
    try:
        from retrain import datasets
    except ImportError:
        return
    if not place.actor.at_least("lead") or not place.database.read(datasets.has, place.setting.id, "answers"):
        return
    with st.expander("Practice"):
        st.caption(f"Decided so, cases are marked as decided by {people.KNOWN_ANSWERS} wherever they are shown.")
        st.button("Let the known answers play the operator", key="play", on_click=_play, args=(place,))
        widgets.said("play")
        widgets.follow(place, ("known-answers",))


def _play(place: Place) -> None:
    def ask() -> None:
        place.database.write(jobs.ask, place.setting.id, "known-answers", {"count": KNOWN}, by=place.actor)

    widgets.tried(ask, f"Asked: the known answers decide up to {KNOWN} cases.", at="play")


def _gather(place: Place, seat: Seat) -> None:
    def act() -> None:
        st.session_state["review.held"] = place.database.write(sitting.gather, seat)

    widgets.tried(act, "Here they are.", at="review")


def _undo(place: Place, seat: Seat) -> None:
    deciding.undo(place, seat)

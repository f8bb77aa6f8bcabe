"""Review with nothing in hand: why, and what to do next."""

import streamlit as st

from app.ui import counts, formats, sitting, widgets
from app.ui.counts import Counts
from app.ui.draw import desk
from app.ui.screens import deciding
from app.ui.sitting import Seat
from app.ui.widgets import Place
from review_queue import claims, insights, jobs, people, rules

KNOWN = 200


def draw(place: Place, seat: Seat, counted: Counts) -> None:
    """What is going on instead of a case."""
    widgets.empty(*_why(place, seat))
    if message := st.session_state.pop("review.said", None):
        widgets.line(*message)
    with st.container(horizontal=True):
        mine = place.database.read(counts.elsewhere, place.setting, place.actor, seat.name)
        if mine:
            st.button(
                f"Take the {formats.count(len(mine), 'case')} you hold in another tab", on_click=_gather, args=(place, seat)
            )
        st.button("Look again", key="idle-look", shortcut="l", on_click=lambda: None)
        st.button("Undo", key="idle-undo", shortcut="u", on_click=_undo, args=(place, seat))
    st.html(desk.counters(counted, place.setting.project.noun))
    known_answers(place)


def _why(place: Place, seat: Seat) -> tuple[str, str]:
    """Title and sentence, the latter as HTML."""
    noun = formats.plural(place.setting.project.noun)
    backlog = place.database.read(insights.backlog, place.setting.id)
    apart = place.database.read(claims.beyond_reach, place.setting.id, place.actor)
    if place.database.read(rules.in_force, place.setting.id, place.setting.policy) is None and place.setting.project.external:
        return (
            "No version acts yet",
            f"Predictions come with the {noun}. An owner signs their version on the page Models, or by "
            "<code>signoff model promote 1</code>; then the queue fills.",
        )
    if place.database.read(rules.in_force, place.setting.id, place.setting.policy) is None:
        return "No model yet", "Train one on the page Models, or run <code>signoff model train</code>; then the queue fills."
    if apart:
        return (
            f"{formats.count(apart, 'case')} wait for somebody else",
            "You answered or skipped them before, or they are for leads. Nothing else waits for you now.",
        )
    if backlog.unscored:
        return (
            f"{formats.count(backlog.unscored, place.setting.project.noun)} still being scored",
            "They come here by themselves.",
        )
    if backlog.held:
        return "All that waits is in other hands", f"{backlog.held} held by others at this moment; the page Queue shows by whom."
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
    if not place.actor.at_least("lead") or place.database.read(datasets.known_answers, place.setting.id) is None:
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
    st.session_state["review.held"] = place.database.write(sitting.gather, seat)


def _undo(place: Place, seat: Seat) -> None:
    deciding.undo(place, seat)

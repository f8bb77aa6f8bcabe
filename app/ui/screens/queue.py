"""Queue: what is late, what waits and how old it is, who holds what, what nobody may take. Says not why a case is there."""

import streamlit as st

from app.ui import formats, widgets
from app.ui.draw import waiting
from app.ui.formats import text
from app.ui.screens import parked
from app.ui.widgets import Place
from review_queue import claims, clock, insights, stuck
from review_queue.claims import Holder
from review_queue.insights import Backlog
from review_queue.stuck import Stuck

SHOWN, LATE = 50, 20
BUTTONS = 15
"""Rows that have a button of their own."""


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Queue</h2>')
    widgets.said("queue")
    backlog = place.database.read(insights.backlog, place.setting.id)
    now = clock.now()
    due = place.database.read(insights.due_tasks, place.setting.id, insights.soon(place.setting, now), LATE)
    _figures(place, waiting.cards(backlog, now, worst=due[0] if due else None))
    _stuck(place, backlog)
    if due:
        head = (place.setting.project.noun, *waiting.LATE_HEAD)
        widgets.grid(head, waiting.late(due, now), caption=f"Overdue or due soon, the latest first (at most {LATE} shown)")
    _holders(place)
    parked.draw(place, own=False, at="queue")
    _open(place)


def _figures(place: Place, cards: list[tuple[str, str, str]]) -> None:
    ready = place.database.read(insights.explained_ahead, place.setting.id)
    name = "came with reasons" if place.setting.project.external else "have their reasons"
    widgets.figures([*cards, (formats.percent(ready.value), name, f"of the next {int(ready.of)} waiting")])


def _stuck(place: Place, backlog: Backlog) -> None:
    """What nobody here may take, and what to do; for leads each of them, to be given up where that may be."""
    if not backlog.stuck:
        return
    st.html('<h3 class="so-title">Stuck: nobody here may take them</h3>')
    st.html(waiting.stuck_list(backlog.stuck_by))
    if not place.actor.at_least("lead"):
        return
    for each in place.database.read(stuck.tasks, place.setting.id, BUTTONS):
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-stuck-{each.task_id}"):
            age = formats.span(clock.now() - each.since)
            st.html(f"<span><bdi>{text(each.external_id)}</bdi> <small>{stuck.SAYS[each.why][0]}, for {age}</small></span>")
            if each.why in stuck.DROPPED:
                st.button("Give it up", key=f"queue-drop-{each.task_id}", on_click=_drop, args=(place, each))


def _drop(place: Place, each: Stuck) -> None:
    said = f"Given up; the answer stands: {each.external_id}"
    widgets.tried(lambda: place.database.write(stuck.drop, each.task_id, by=place.actor), said, at="queue")


def _holders(place: Place) -> None:
    holders = place.database.read(claims.holders, place.setting.id, SHOWN)
    if not holders:
        widgets.line("Nobody holds a case at this moment.", "note")
        return
    buttons = holders[:BUTTONS] if place.actor.at_least("lead") else []
    if buttons:
        st.html('<h3 class="so-title">Held now, longest first</h3>')
    for each in buttons:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-held-{each.task_id}"):
            st.html(f"<span><bdi>{text(each.external_id)}</bdi> <small>{_held(place, each)}</small></span>")
            st.button("Release", key=f"queue-release-{each.task_id}", on_click=_give_back, args=(place, each))
    if rest := holders[len(buttons) :]:
        rows = [(f"<bdi>{text(each.external_id)}</bdi>", _held(place, each)) for each in rest]
        widgets.grid((place.setting.project.noun, "held"), rows, caption="Held now, longest first")


def _held(place: Place, each: Holder) -> str:
    span, until = formats.span(clock.now() - each.since), formats.moment(each.expires_at, place.setting.project.zone)
    return f"by {text(each.person)} for {span}, until {until}"


def _give_back(place: Place, each: Holder) -> None:
    said = f"Back in the queue: {each.external_id}, held by {each.person}"
    widgets.tried(lambda: place.database.write(claims.release_of, each.task_id, by=place.actor), said, at="queue")


def _open(place: Place) -> None:
    tasks = place.database.read(insights.waiting_tasks, place.setting.id, SHOWN)
    if tasks:
        rows = waiting.open_(tasks, clock.now(), place.setting.project)
        head = (place.setting.project.noun, *waiting.OPEN_HEAD)
        widgets.grid(head, rows, caption=f"Open, oldest first (at most {SHOWN} shown)")

"""Queue: what waits and how old it is, who holds what. Says nothing of why a case is there."""

import streamlit as st

from app.ui import formats, widgets
from app.ui.formats import text
from app.ui.widgets import Place
from review_queue import claims, clock, insights
from review_queue.claims import Holder

SHOWN = 50


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Queue</h2>')
    widgets.said("queue")
    _figures(place)
    _holders(place)
    _waiting(place)


def _figures(place: Place) -> None:
    held = place.database.read(insights.backlog, place.setting.id)
    ready = place.database.read(insights.explained_ahead, place.setting.id)
    age = formats.span(clock.now() - held.oldest) if held.oldest else "–"
    widgets.figures(
        [
            (formats.number(held.waiting), "waiting", f"{formats.number(held.waiting_for_leads)} of them for leads"),
            (formats.number(held.held), "held by somebody", "being looked at now"),
            (age, "the oldest", "since it was routed"),
            (formats.number(held.overdue), "overdue", "past their due time"),
            (formats.number(held.unscored), "not scored yet", "they come by themselves"),
            (
                formats.percent(ready.value),
                "came with reasons" if place.setting.project.external else "have their reasons",
                f"of the next {int(ready.of)} waiting",
            ),
        ]
    )


def _holders(place: Place) -> None:
    holders = place.database.read(claims.holders, place.setting.id, SHOWN)
    zone, now = place.setting.project.zone, clock.now()
    rows = [
        (
            f"<bdi>{text(each.external_id)}</bdi>",
            text(each.person),
            formats.span(now - each.since),
            formats.moment(each.expires_at, zone),
        )
        for each in holders
    ]
    if not rows:
        widgets.line("Nobody holds a case at this moment.", "note")
        return
    widgets.grid((place.setting.project.noun, "held by", "for", "until"), rows, caption="Held now, longest first")
    if place.actor.at_least("lead"):
        _release(place, holders)


def _release(place: Place, holders: list[Holder]) -> None:
    by_task = {each.task_id: f"{each.external_id}, held by {each.person}" for each in holders}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = st.selectbox(
            "Give back to the queue", list(by_task), format_func=by_task.__getitem__, key="queue-release", width=420
        )
        st.button("Release it", on_click=_give_back, args=(place, task, by_task[task]), key="queue-release-now")


def _give_back(place: Place, task: int, named: str) -> None:
    widgets.tried(
        lambda: place.database.write(claims.release_of, task, by=place.actor), f"Back in the queue: {named}", at="queue"
    )


def _waiting(place: Place) -> None:
    tasks = place.database.read(insights.waiting_tasks, place.setting.id, SHOWN)
    zone, now = place.setting.project.zone, clock.now()
    states = {"pending": "waits", "in_progress": "held"}
    rows = [
        (
            f"<bdi>{text(each.external_id)}</bdi>",
            formats.span(now - each.since),
            formats.moment(each.due_at, zone),
            states[each.state] + (" for a lead" if each.audience == "leads" else ""),
            str(each.skips or "–"),
        )
        for each in tasks
    ]
    if rows:
        head = (place.setting.project.noun, "age", "due", "state", "skipped")
        widgets.grid(head, rows, caption=f"Open, oldest first (at most {SHOWN} shown)")

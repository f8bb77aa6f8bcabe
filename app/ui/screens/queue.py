"""Queue: how much waits, what is late, in dispute, left to leads, held, parked, flagged or stuck; and what to do about it."""

import streamlit as st

from app.ui import formats, widgets
from app.ui.draw import waiting
from app.ui.formats import text
from app.ui.screens import flagged, listing, many, parked, sifting
from app.ui.widgets import Place
from review_queue import clock, flags, insights, lists, stuck
from review_queue.filters import Filter
from review_queue.insights import Backlog
from review_queue.stuck import Stuck

BUTTONS = 15
"""Stuck tasks that have a button of their own."""
VIEWS = {
    "open": "All",
    "overdue": "Overdue",
    "soon": "Due soon",
    "escalated": "For leads",
    "disputed": "Disputes",
    "held": "Held",
    "parked": "Parked",
    "flagged": "Flagged",
    "stuck": "Stuck",
    "waiting": "Waiting",
}
"""What the page shows, as the address names it."""
FOR_LEADS = ("disputed", "escalated")


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Queue</h2>')
    widgets.said(sifting.AT)
    backlog = place.database.read(insights.backlog, place.setting.id)
    _figures(place, backlog)
    view = _views(place, backlog)
    if view == "flagged":
        flagged.draw(place)
    elif view == "stuck":
        _stuck(place, backlog)
    elif (held := sifting.of_address(place)) is not None:
        _list(place, held)


def _list(place: Place, held: Filter) -> None:
    sifting.draw(place, held)
    if held == Filter("parked"):
        parked.draw(place, own=False, at=sifting.AT)
        return
    many.draw(place, held)
    listing.draw(place, held)
    many.recent(place)


def _figures(place: Place, backlog: Backlog) -> None:
    late = place.database.read(lists.page, place.setting, place.actor, Filter("overdue"), limit=1).rows
    cards = waiting.cards(backlog, clock.now(), worst=late[0] if late else None)
    ready = place.database.read(insights.explained_ahead, place.setting.id)
    name = "came with reasons" if place.setting.project.external else "have their reasons"
    with st.container(key="queue-figures"):
        widgets.figures([*cards, (formats.percent(ready.value), name, f"of the next {int(ready.of)} waiting")])


def _views(place: Place, backlog: Backlog) -> str:
    """The choice of what is shown, which stands in the address."""
    asked = st.query_params.get("state", "open")
    lead = place.actor.at_least("lead")
    names = [name for name in VIEWS if (lead or name not in FOR_LEADS) and (name != "waiting" or asked == name)]
    counts = {
        "overdue": backlog.overdue,
        "soon": backlog.soon_due,
        "escalated": backlog.waiting_for_leads,
        "held": backlog.held,
        "parked": backlog.parked,
        "flagged": place.database.read(flags.count, place.setting.id) if lead else 0,
        "stuck": backlog.stuck,
    }

    def titled(name: str) -> str:
        return f"{VIEWS[name]} {formats.upto(counts[name])}" if counts.get(name) else VIEWS[name]

    chosen = st.segmented_control(
        "Show",
        names,
        default=asked if asked in names else None,
        format_func=titled,
        key=f"queue-view-{asked}",
        label_visibility="collapsed",
        on_change=_show,
        args=(f"queue-view-{asked}",),
    )
    return chosen or asked


def _show(key: str) -> None:
    view = st.session_state.get(key) or "open"
    sifting.lead_to({} if view == "open" else {"state": [view]})


def _stuck(place: Place, backlog: Backlog) -> None:
    """What nobody here may take, and what to do; for leads each of them, to be given up where that may be."""
    if not backlog.stuck:
        widgets.line("Nothing is stuck.", "note")
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
    widgets.tried(lambda: place.database.write(stuck.drop, each.task_id, by=place.actor), said, at=sifting.AT)

"""A page of open tasks, and what a lead does with those that they choose: release, give to somebody, make due."""

from collections.abc import Callable, Sequence
from datetime import datetime

import streamlit as st

from app.ui import formats, glimpses, resources, widgets
from app.ui.draw import waiting
from app.ui.screens.sifting import AT, PAGE
from app.ui.widgets import Place
from review_queue import assigning, calendar, claims, clock, lists, members, parking
from review_queue.errors import Invalid, Refused
from review_queue.filters import Filter
from review_queue.lists import Page, Row

SHOWN = 25
NOTHING = {
    "open": "Nothing is open.",
    "waiting": "Nothing waits.",
    "held": "Nobody holds a case at this moment.",
    "escalated": "Nothing waits for leads.",
    "disputed": "Nothing is in dispute.",
    "overdue": "Nothing is overdue.",
    "soon": "Nothing is due soon.",
    "parked": "Nothing is parked.",
}


def draw(place: Place, held: Filter) -> None:
    """The page of a filter that the address names."""
    after = st.query_params.get(PAGE)
    try:
        page = place.database.read(lists.page, place.setting, place.actor, held, after=after, limit=SHOWN)
    except Refused as error:
        widgets.line(widgets.sentence(str(error)), "trouble")
        st.button("To the first page", key="queue-first-bad", on_click=_to, args=(None,))
        return
    if page.rows:
        _rows(place, held, page)
    elif not page.sparse:
        said = NOTHING[held.state] if held == Filter(held.state) else "No open case fits this filter."
        widgets.line(said if after is None else "That was all.", "note")
    if held.by_prediction:
        _left_out(place, held)
    _turns(page, after)


def _left_out(place: Place, held: Filter) -> None:
    left = place.database.read(lists.left_out, place.setting, place.actor, held)
    if left.count:
        least = "" if left.whole else "at least "
        noun = formats.count(left.count, place.setting.project.noun)
        widgets.line(f"Left out, whatever was predicted: {least}{noun} that somebody may still answer blind.", "note")


def _turns(page: Page, after: str | None) -> None:
    if page.sparse:
        widgets.line("Few fit: this is as far as one page looks.", "note")
    with st.container(horizontal=True, key="queue-turns"):
        if after is not None:
            st.button("First page", key="queue-first", on_click=_to, args=(None,))
        if page.after is not None:
            st.button("Look further" if page.sparse else "Next page", key="queue-next", on_click=_to, args=(page.after,))


def _to(after: str | None) -> None:
    if after is None:
        st.query_params.pop(PAGE, None)
    else:
        st.query_params[PAGE] = after


def _rows(place: Place, held: Filter, page: Page) -> None:
    lead, now = place.actor.at_least("lead"), clock.now()
    said = place.database.read(lists.words, page.rows) if lead and held.state == "escalated" else {}
    if not lead:
        lines = "".join(f"<li>{waiting.row(each, place.setting, place.zone, now)}</li>" for each in page.rows)
        st.html(f'<ul class="so-list so-queue">{lines}</ul>')
        return
    _bar(place, page.rows)
    seen = glimpses.of(place, [each.item_id for each in page.rows])
    for each in page.rows:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-open-{each.task_id}"):
            st.checkbox(formats.plain(f"Choose {each.external_id}"), key=_box(each), label_visibility="collapsed")
            words = waiting.words(said[each.task_id], place.zone) if each.task_id in said else ""
            st.html(waiting.row(each, place.setting, place.zone, now) + seen.get(each.item_id, "") + words)


def _box(each: Row) -> str:
    return f"queue-box-{each.task_id}"


def _bar(place: Place, rows: Sequence[Row]) -> None:
    """What can be done with the chosen ones."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="queue-bar"):
        st.button("Choose all shown", key="queue-all", on_click=_choose, args=(rows,), type="tertiary")
        st.button("Release", key="queue-release", on_click=_release, args=(place, rows))
        with st.popover("Give to", key="queue-give"), st.form("queue-assign", border=False):
            names = place.database.read(members.who_may, place.setting.id)
            st.selectbox("Person", names, index=None, key="queue-assign-name", placeholder="anybody")
            st.text_input("Theirs alone for", key="queue-assign-until", placeholder="1d")
            st.form_submit_button("Give the chosen ones", on_click=_assign, args=(place, rows))
        with st.popover("Due", key="queue-due"), st.form("queue-due-form", border=False):
            st.text_input("Due in, or on", key="queue-due-at", placeholder="4h, 2026-12-01 or 2026-12-01T14:00")
            st.form_submit_button("Set for the chosen ones", on_click=_due, args=(place, rows))


def _choose(rows: Sequence[Row]) -> None:
    every = all(st.session_state.get(_box(each)) for each in rows)
    for each in rows:
        st.session_state[_box(each)] = not every


def _chosen(rows: Sequence[Row]) -> list[Row]:
    return [each for each in rows if st.session_state.get(_box(each))]


def _release(place: Place, rows: Sequence[Row]) -> None:
    def act(each: Row) -> None:
        if each.state == "parked":
            place.database.write(parking.unpark, each.task_id, by=place.actor)
        else:
            place.database.write(claims.release_of, each.task_id, by=place.actor)

    _each(rows, act, "back in the queue")


def _assign(place: Place, rows: Sequence[Row]) -> None:
    name = st.session_state.get("queue-assign-name")
    said = f"given to {name}" if name else "anybody's again"

    def act(each: Row) -> None:
        until = _moment(place, "queue-assign-until") if name else None
        place.database.write(assigning.assign, each.task_id, name, until, by=place.actor)

    _each(rows, act, said)


def _due(place: Place, rows: Sequence[Row]) -> None:
    def act(each: Row) -> None:
        place.database.write(assigning.set_due, each.task_id, _moment(place, "queue-due-at"), by=place.actor)

    _each(rows, act, "have another due time" if st.session_state.get("queue-due-at") else "are due at no time")


def _moment(place: Place, key: str) -> datetime | None:
    """What was typed for a moment. Raises Invalid."""
    typed = str(st.session_state.get(key) or "").strip()
    try:
        return calendar.moment(typed, place.setting.policy.calendar, place.zone) if typed else None
    except ValueError as error:
        raise Invalid(f"{typed!r} {error}") from None


def _each(rows: Sequence[Row], act: Callable[[Row], None], said: str) -> None:
    """Do it to each of the chosen; say how many it was done to, and why not to the first that refused."""
    chosen, done, trouble = _chosen(rows), 0, list[str]()
    for each in chosen:
        try:
            resources.require_current()
            act(each)
            done += 1
            st.session_state[_box(each)] = False
        except Refused as error:
            trouble.append(f"{each.external_id}: {error}")
    if not chosen:
        st.session_state[f"{AT}.said"] = ("Choose some cases first.", "trouble")
    elif trouble:
        rest = f" And {len(trouble) - 1} more." if len(trouble) > 1 else ""
        st.session_state[f"{AT}.said"] = (f"{done} of {len(chosen)} {said}. {widgets.sentence(trouble[0])}{rest}", "trouble")
    else:
        st.session_state[f"{AT}.said"] = (f"{formats.count(done, 'case')} {said}", "said")

"""Find: everything that is known of one case, on one page that prints; asking for a look at it, and correcting it."""

import uuid

import streamlit as st

from app.ui import formats, resources, widgets
from app.ui.draw import record as record_html
from app.ui.widgets import Place
from review_queue import decisions, find, openings, requests
from review_queue.decisions import MAX_COMMENT, Said, Verdict
from review_queue.errors import Refused
from review_queue.find import Record

NONE = "no label fits"


def draw() -> None:
    """The screen."""
    place = widgets.place()
    noun = place.setting.project.noun
    st.html('<h2 class="so-title">Find</h2>')
    with st.container(key="noprint-search"):
        typed = st.text_input(f"Id of the {noun}", value=st.query_params.get("id", ""), key="find-id", max_chars=500).strip()
    if not typed:
        widgets.line("Type an id, or how it begins.", "note")
        return
    _show(place, typed)


def _show(place: Place, typed: str) -> None:
    found = place.database.read(find.search, place.setting.id, typed)
    if typed not in found:
        _choices(place, typed, found)
        return
    if st.query_params.get("id") != typed:
        st.query_params["id"] = typed
    try:
        record = _record(place, typed)
        shown = _revision(place, record)
    except Refused as error:
        widgets.line(widgets.sentence(str(error)), "note")
        return
    widgets.said("find")
    _acts(place, record)
    st.html(record_html.page(shown, place.setting, resources.picture, place.zone))


def _revision(place: Place, record: Record) -> Record:
    """The record, or that of an earlier revision where one is chosen."""
    if not record.earlier:
        return record
    numbers = [record.item_revision, *(each.revision for each in record.earlier)]
    with st.container(key="noprint-revision"):
        named = {n: f"revision {n}" + (", as it stands" if n == numbers[0] else "") for n in numbers}
        key = f"find-revision-{record.item_id}"
        chosen = st.selectbox("As it was sent", numbers, format_func=named.__getitem__, key=key, width=280)
    return record if chosen == numbers[0] else _record(place, record.external_id, chosen)


def _record(place: Place, external_id: str, revision: int | None = None) -> Record:
    """The record; where openings are noted, once for as long as it stays on the page."""
    opened: set[tuple[int, str, int | None]] = st.session_state.setdefault("find.opened", set())
    what = (place.setting.id, external_id, revision)
    if what in opened:
        return place.database.read(find.record, place.setting, external_id, by=place.actor, revision=revision)
    found = openings.record(place.database, place.setting, external_id, by=place.actor, revision=revision)
    st.session_state["find.opened"] = {what, *(each for each in opened if each[:2] == what[:2])}
    return found


def _acts(place: Place, record: Record) -> None:
    """What may be done about a case that is answered."""
    if not record.outcomes or record.closed_at is not None or not place.actor.at_least("reviewer"):
        return
    with st.container(key="noprint-acts"):
        if place.actor.at_least("lead"):
            with st.expander("Correct the answer"):
                _correction(place, record)
        if record.erased is None:
            with st.expander("Ask for a look"):
                _request(place, record)


def _correction(place: Place, record: Record) -> None:
    project, at = place.setting.project, record.item_id
    with st.form(f"correction-{at}", border=False):
        titles = {**{label: project.title_of(label) for label in project.labels}, NONE: NONE}
        key = f"correct-label-{at}"
        st.selectbox("What is right", list(titles), index=None, format_func=titles.__getitem__, key=key, placeholder="choose")
        reasons = sorted({*project.reasons_for("correct"), *project.reasons_for("reject")})
        st.selectbox("Reason", reasons, index=None, key=f"correct-reason-{at}", placeholder="none")
        st.text_input("Comment (optional)", key=f"correct-comment-{at}", max_chars=MAX_COMMENT)
        st.form_submit_button("Correct it", type="primary", on_click=_correct, args=(place, record))


def _correct(place: Place, record: Record) -> None:
    chosen, reason, comment = (
        st.session_state.get(f"correct-{name}-{record.item_id}") for name in ("label", "reason", "comment")
    )
    if chosen is None:
        st.session_state["find.said"] = ("Choose what is right first.", "trouble")
        return
    verdict: Verdict = "reject" if chosen == NONE else "correct"
    said = Said(str(uuid.uuid4()), verdict, None if chosen == NONE else chosen, reason, (comment or "").strip() or None)
    widgets.tried(
        lambda: place.database.write(decisions.revise, place.setting, place.actor, record.external_id, said),
        f"Corrected to {chosen if chosen == NONE else place.setting.project.title_of(chosen)}; it goes out as a revision.",
        at="find",
    )


def _request(place: Place, record: Record) -> None:
    with st.form(f"request-{record.item_id}", border=False):
        st.text_input("Why? Whoever looks reads it", key=f"request-{record.item_id}-why", max_chars=requests.MAX_REASON)
        st.form_submit_button("Ask somebody to look", on_click=_ask, args=(place, record))


def _ask(place: Place, record: Record) -> None:
    why = (st.session_state.get(f"request-{record.item_id}-why") or "").strip()
    widgets.tried(
        lambda: place.database.write(requests.request, place.setting, record.external_id, why, by=place.actor),
        "It waits for somebody who has not answered it yet.",
        at="find",
    )


def _choices(place: Place, typed: str, found: list[str]) -> None:
    if not found:
        widgets.line(f"No {place.setting.project.noun} has an id that begins with {typed}.", "note")
        return
    with st.container(horizontal=True):
        for each in found:
            st.button(formats.plain(each), key=f"find-{each}", on_click=_open, args=(each,))


def _open(external_id: str) -> None:
    st.session_state["find-id"] = external_id

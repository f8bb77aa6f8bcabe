"""One verdict on all cases of a filter: counted, shown, confirmed, followed and taken back."""

import uuid
from dataclasses import dataclass

import streamlit as st

from app import bulk as acting
from app.ui import formats, glimpses, resources, widgets
from app.ui.draw import waiting
from app.ui.screens.sifting import AT
from app.ui.widgets import Place
from review_queue import bulk, clock, filters
from review_queue.bulk import Act, Counted, Verdict, Wish
from review_queue.errors import Refused
from review_queue.filters import Filter

SAYS: dict[Verdict, str] = {"accept": "Accept what is predicted", "correct": "Correct to one label", "reject": "Reject"}
DOES: dict[str, str] = {"accept": "Accept", "correct": "Correct", "reject": "Reject"}


@dataclass(frozen=True, slots=True)
class Preview:
    """What is about to be done, with the key under which it is done once."""

    query: str
    wish: Wish
    counted: Counted
    key: str


def draw(place: Place, held: Filter) -> None:
    """For leads: begin, confirm and follow an act."""
    if not place.actor.at_least("lead"):
        return
    _under_way(place)
    preview: Preview | None = st.session_state.get("queue.preview")
    counted = preview if preview is not None and preview.query == filters.write(held) else None
    with st.expander("Decide all of these at once", expanded=counted is not None):
        if counted is not None:
            _confirm(place, counted)
        else:
            _wish(place, held)


def _wish(place: Place, held: Filter) -> None:
    """What is to be said of all; nothing is chosen before."""
    project = place.setting.project
    st.html('<p class="so-note">They are counted first. Cases that are to be answered blind are never among them.</p>')
    verdict: Verdict | None = st.radio(
        "Say of all", list(SAYS), index=None, format_func=SAYS.__getitem__, key="queue-many-verdict", horizontal=True
    )
    if verdict == "correct":
        st.selectbox("to", list(project.labels), index=None, format_func=project.title_of, key="queue-many-label")
    if verdict is not None and (reasons := project.reasons_for(verdict)):
        st.selectbox(
            "Reason", reasons, index=None, key="queue-many-reason", placeholder="none" if verdict != "reject" else "choose"
        )
    if verdict is not None:
        st.button("Count them", key="queue-many-count", on_click=_count, args=(place, held, verdict))


def _count(place: Place, held: Filter, verdict: Verdict) -> None:
    label = st.session_state.get("queue-many-label") if verdict == "correct" else None
    wish = Wish(verdict, label, st.session_state.get("queue-many-reason"))
    try:
        resources.require_current()
        counted = acting.preview(place.database, place.setting, place.actor, held, wish)
        st.session_state["queue.preview"] = Preview(filters.write(held), wish, counted, str(uuid.uuid4()))
    except Refused as error:
        st.session_state[f"{AT}.said"] = (widgets.sentence(str(error)), "trouble")


def _confirm(place: Place, preview: Preview) -> None:
    """The exact count, a sample, what is left out; then a second button."""
    counted, most = preview.counted, bulk.MOST
    seen = glimpses.of(place, [each.item_id for each in counted.sample])
    st.html(waiting.preview(counted, preview.wish, place.setting, clock.now(), seen))
    with st.container(horizontal=True):
        if 0 < counted.fit <= most:
            noun = formats.count(counted.fit, place.setting.project.noun)
            st.button(f"{DOES[preview.wish.verdict]} {noun}", key="queue-many-do", on_click=_begin, args=(place, preview))
        elif counted.fit > most:
            widgets.line(f"More than {formats.number(most)} at once are not taken; narrow the filter.", "trouble")
        st.button("Not now", key="queue-many-not", on_click=lambda: st.session_state.pop("queue.preview", None))


def _begin(place: Place, preview: Preview) -> None:
    held, counted = filters.read(place.setting, preview.query), preview.counted
    try:
        resources.require_current()
        said = {"asked": counted.fit, "upto": counted.upto}
        act = acting.begin(place.database, place.setting, place.actor, preview.key, held, preview.wish, **said)
        _go_on(act, "act")
    except Refused as error:
        st.session_state[f"{AT}.said"] = (widgets.sentence(str(error)), "trouble")
    st.session_state.pop("queue.preview", None)


def _go_on(act: Act, what: str) -> None:
    st.session_state["queue.under-way"] = (act.id, act.asked, act.done, what)


def _under_way(place: Place) -> None:
    """Do what was asked for, batch by batch, with a bar; a page that is left in between leaves the rest to be gone on with."""
    under_way = st.session_state.get("queue.under-way")
    if under_way is None:
        return
    act_id, asked, done, what = under_way
    bar = st.progress(0.0, text="Deciding" if what == "act" else "Taking back")

    def progress(n: int) -> None:
        whole = asked if what == "act" else max(done, 1)
        bar.progress(min(n / whole, 1.0), text=f"{formats.number(n)} of {formats.number(whole)}")

    try:
        said = _act(place, act_id, progress) if what == "act" else _undo(place, act_id, progress)
        st.session_state[f"{AT}.said"] = (said, "said")
    except Refused as error:
        st.session_state[f"{AT}.said"] = (widgets.sentence(str(error)), "trouble")
    st.session_state.pop("queue.under-way", None)
    st.rerun()


def _act(place: Place, act_id: int, progress: acting.Progress) -> str:
    act = acting.act(place.database, place.setting, place.actor, act_id, progress)
    rest = f"; {formats.number(act.asked - act.done)} were taken by somebody meanwhile" if act.done < act.asked else ""
    return f"Decided: {formats.count(act.done, place.setting.project.noun)}{rest}"


def _undo(place: Place, act_id: int, progress: acting.Progress) -> str:
    back = acting.undo(place.database, place.setting, place.actor, act_id, progress)
    left = back.back - back.withdrawn
    said = f"Taken back: {formats.count(back.back, place.setting.project.noun)}"
    said += f"; of {formats.number(left)} the answer had left the house and stands until somebody answers anew" if left else ""
    return said + (f"; {formats.number(back.kept)} stay, answered or closed since" if back.kept else "")


def recent(place: Place) -> None:
    """For leads: the latest acts, to go on with and to take back."""
    acts = place.database.read(bulk.recent, place.setting) if place.actor.at_least("lead") else []
    if acts:
        st.html('<h3 class="so-title">Decided many at a time</h3>')
    for each in acts:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-act-{each.id}"):
            st.html(waiting.act(each, place.setting, place.zone, clock.now()))
            if each.undone_at is None and each.done < each.asked and each.person_id == place.actor.id:
                st.button("Go on", key=f"queue-act-on-{each.id}", on_click=_go_on, args=(each, "act"))
            theirs = each.person_id == place.actor.id or place.actor.at_least("owner")
            if theirs and (each.undone_at is None or each.is_half_undone):
                st.button("Take it all back", key=f"queue-act-undo-{each.id}", on_click=_go_on, args=(each, "undo"))

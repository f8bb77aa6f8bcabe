"""Why: the case with its reasons; in full on request, with the runner-up, other methods and similar cases."""

import time

import streamlit as st

from app.ui import further, resources, sitting
from app.ui.draw import asked as asked_html
from app.ui.draw import case as case_html
from app.ui.draw import desk, prediction
from app.ui.draw.reasons import View
from app.ui.formats import number, plain
from app.ui.sitting import Reasons, Seat, Turn
from app.ui.widgets import Place, button, sentence, tail
from contract.reasons import METHODS, suiting
from review_queue.cases import Case
from review_queue.errors import Invalid, Refused

LOOK = 1.0
"""Seconds between two looks for what is being made."""
PATIENCE = 900
"""Seconds without a press after which nobody looks any more."""
ROOM = 600
"""Characters up to which a text leaves room below it."""


def full(case: Case) -> bool:
    """Whether this case is open in full."""
    opened: bool = st.session_state.get("why.keep") or st.session_state.get("why.open") == case.token
    return opened


def turn_to(case: Case, *, full: bool) -> None:
    """Open this case in full, or close it; closing ends that every case opens. A press that is heard twice changes nothing."""
    st.session_state["why.open"] = case.token if full else None
    if not full:
        st.session_state["why.keep"] = False


def draw(place: Place, case: Case, turn: Turn) -> None:
    """The case with its reasons."""
    project = place.setting.project
    view = View(full(case) and further.offered(case), turn.late, resources.spread(place.setting))
    beside = case_html.shown(project, case.show, resources.picture_uri, case.item_id)
    body = desk.body(project, case, resources.picture, view)
    keys = desk.case_keys(project, place.keys)
    st.html(desk.title(case, place.setting) + desk.about(case) + desk.past(project, case) + body + beside + keys)


def leaves_room(place: Place, case: Case) -> bool:
    """Whether what else may be known is in sight below the case: below a picture and a short text, not below a table."""
    modality = place.setting.project.input.type
    first = case.input.get(next(iter(place.setting.project.input.features)))
    return modality == "image" or (modality == "text" and len(str(first or "")) <= ROOM)


def more(place: Place, seat: Seat, case: Case, turn: Turn) -> None:
    """What else may be known about why, where the case is open in full; and what is being made comes by itself."""
    said = case.prediction
    if said is None or said.label is None:
        return
    stand = _stand(place, case)
    if full(case):
        _in_full(place, seat, case, turn, stand)
    if sitting.awaited(case) or any(each.state == "waiting" for each in stand.asked):
        _watch(place, case, stand)
    if turn.late:
        _hurry(place, seat, case)


def _stand(place: Place, case: Case) -> Reasons:
    """What is on the page, and what was asked for; what came since the case was read is drawn at once."""
    drawn = Reasons(tuple(reason.id for reason in case.explanations), ())
    if not full(case) or case.prediction is None or case.prediction.external:
        return drawn
    found = place.database.read(sitting.reasons, case)
    if found.made != drawn.made:
        st.rerun()
    return found


def _in_full(place: Place, seat: Seat, case: Case, turn: Turn, stand: Reasons) -> None:
    with st.container(horizontal=True, key="why-acts", vertical_alignment="center"):
        if other := further.runner_up(case):
            name = f"Why not {plain(place.setting.project.title_of(other[1]))}?"
            button(name, "runner-up", turn, place.keys["runner_up"], _ask, (place, seat, case, *other))
        kept = bool(st.session_state.get("why.keep"))
        st.checkbox("Open every case in full", value=kept, key=f"why-keep-{tail(turn)}", on_change=_keep, args=(turn,))
    if said := asked_html.states(stand.asked, place.setting.project.title_of):
        st.html(said)
    if known := further.asked(place.setting, case) + further.similar(place.database, place.setting, case):
        st.html(known)
    if further.asks(case):
        with st.expander("Another method, label or number"):
            _ask_for(place, seat, case, turn)


def _keep(turn: Turn) -> None:
    st.session_state["why.keep"] = st.session_state[f"why-keep-{tail(turn)}"]


def _ask_for(place: Place, seat: Seat, case: Case, turn: Turn) -> None:
    """What may be asked for: a method, a label, how many samples."""
    assert case.prediction is not None
    project, labels = place.setting.project, [label for label, _ in prediction.ranked(case.prediction)]
    with st.container(horizontal=True, key="ask", vertical_alignment="bottom"):
        methods = suiting(project.input.type)
        method = st.selectbox("Another method", methods, format_func=lambda m: METHODS[m].title, key=f"ask-method-{tail(turn)}")
        label = st.selectbox("for", labels, format_func=project.title_of, key=f"ask-label-{tail(turn)}")
        asks = further.counted(method)
        count = None
        if asks is not None:
            count = st.selectbox(asks.capitalize(), (None, *further.NUMBERS), format_func=_count, key=f"ask-{asks}-{tail(turn)}")
        params = {asks: count} if asks is not None and count is not None else {}
        button("Ask", "ask", turn, None, _ask, (place, seat, case, method, label, params))


def _count(count: int | None) -> str:
    return "as usual" if count is None else number(count)


def _ask(place: Place, seat: Seat, case: Case, method: str, label: str, params: dict[str, int] | None = None) -> None:
    try:
        resources.require_current()
        place.database.write(sitting.ask, seat, case, method, label, params or {})
    except (Invalid, Refused) as error:
        st.session_state["review.said"] = (sentence(str(error)), "trouble")


def _watch(place: Place, case: Case, stand: Reasons) -> None:
    """Look for what is being made until something of it is there; then the page is drawn anew."""

    def look() -> None:
        idle = time.monotonic() - st.session_state.get("review.touched", 0.0)
        if idle > PATIENCE:
            return
        found = place.database.read(sitting.reasons, case)
        if found.made != stand.made or (stand.asked and found.asked != stand.asked):
            st.rerun()

    st.fragment(look, run_every=LOOK)()


def _hurry(place: Place, seat: Seat, case: Case) -> None:
    """Tell the worker, once a case."""
    if sitting.awaited(case) and st.session_state.get("why.hurried") != case.token:
        st.session_state["why.hurried"] = case.token
        place.database.write(sitting.hurry, seat, case)

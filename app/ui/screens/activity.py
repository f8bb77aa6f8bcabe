"""Activity: who did what, filtered; the filters stand in the address."""

import json
import re
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from app.ui import formats, resources, widgets
from app.ui.formats import text
from app.ui.widgets import Place
from review_queue import acts, members
from review_queue.acts import Page, Row, Wanted
from review_queue.errors import Refused

FIELDS = ("person", "verb", "subject", "since", "until")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
EVERYBODY, EVERYTHING = "everybody", "every act"


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Activity</h2>')
    try:
        wanted = Wanted.read(st.query_params)
        before = _number(st.query_params.get("before"))
        _filters(place, wanted)
        found = place.database.read(acts.page, place.setting, place.actor, wanted, place.zone, before=before)
    except Refused as error:
        widgets.line(widgets.sentence(str(error)), "trouble")
        st.button("Without filters", key="activity-clear", on_click=_clear)
        return
    _page(place, wanted, found, before)


def _filters(place: Place, wanted: Wanted) -> None:
    """What is looked for; leads choose whose acts."""
    people, verbs = place.database.read(_choices, place)
    with st.container(key="activity-filters", horizontal=True, vertical_alignment="bottom"):
        if place.actor.at_least("lead"):
            names = [EVERYBODY, *dict.fromkeys([*people, *([wanted.person] if wanted.person else [])])]
            _select("person", "Who", names, wanted.person or EVERYBODY)
        kinds = [EVERYTHING, *dict.fromkeys([*verbs, *([wanted.verb] if wanted.verb else [])])]
        _select("verb", "Act", kinds, wanted.verb or EVERYTHING)
        noun = place.setting.project.noun
        _say("subject", wanted.subject)
        st.text_input(f"On ({noun} id, or such as model:3)", key="activity-subject", max_chars=200, on_change=_chosen)
        for name, label, value in (("since", "From", wanted.since), ("until", "To", wanted.until)):
            _say(name, value)
            st.date_input(label, key=f"activity-{name}", on_change=_chosen, format="YYYY-MM-DD", width=150)


def _choices(session: Any, place: Place) -> tuple[list[str], list[str]]:
    return list(members.who_may(session, place.setting.id, least="viewer")), acts.verbs(session, place.setting.id, place.actor)


def _select(name: str, label: str, options: list[str], value: str) -> None:
    _say(name, value)
    st.selectbox(label, options, key=f"activity-{name}", on_change=_chosen, width=200)


def _say(name: str, value: Any) -> None:
    """A field shows what the address says."""
    key = f"activity-{name}"
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def _chosen() -> None:
    """The address says what the fields show."""
    for name in FIELDS:
        value = st.session_state.get(f"activity-{name}")
        if value in (None, "", EVERYBODY, EVERYTHING):
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value.isoformat() if isinstance(value, date) else str(value)
    st.query_params.pop("before", None)


def _clear() -> None:
    for name in (*FIELDS, "before"):
        st.query_params.pop(name, None)


def _page(place: Place, wanted: Wanted, found: Page, before: int | None) -> None:
    if not found.rows:
        nobody = "Nothing was done here yet." if place.actor.at_least("lead") else "You have done nothing here yet."
        fits = bool(wanted.written()) or before is not None
        widgets.empty("Nothing", "No act fits these filters." if fits else nobody)
    else:
        whose = "Acts" if place.actor.at_least("lead") else "Your own acts"
        rows = [_row(place, each) for each in found.rows]
        with st.container(key="activity-log"):
            widgets.grid(("when", "who", "act", "on", "details"), rows, caption=f"{whose}, newest first")
    if found.withheld:
        noun = place.setting.project.noun
        said = "1 act is" if found.withheld == 1 else f"{found.withheld} acts are"
        widgets.line(f"{said} left out here: of each such {noun} you may still have to give a blind answer.", "note")
    with st.container(horizontal=True, vertical_alignment="center"):
        if before is not None:
            st.button("Newest", key="activity-newest", on_click=_go, args=(None,))
        if found.next is not None:
            st.button("Older", key="activity-older", on_click=_go, args=(found.next,))
        if resources.served():
            st.html(_files(place, wanted))


def _go(before: int | None) -> None:
    if before is None:
        st.query_params.pop("before", None)
    else:
        st.query_params["before"] = str(before)


def _files(place: Place, wanted: Wanted) -> str:
    query = urlencode({"project": place.setting.name, **wanted.written(), "zone": place.zone.key})
    links = [f'<a href="/activity.{each}?{text(query)}" target="_self">{each.upper()}</a>' for each in ("csv", "jsonl")]
    return f'<p class="so-note">Take it out as {" or ".join(links)}; that is an act too.</p>'


def _row(place: Place, each: Row) -> tuple[str, ...]:
    who = text(each.person or "Signoff itself")
    if each.behalf:
        who = f"{who}, for {text(each.behalf)}"
    door = f" <small>{text(each.via)}</small>" if each.via not in ("desk", "worker") else ""
    on = f"<bdi>{text(each.named or each.subject)}</bdi>"
    return formats.moment(each.at, place.zone), f"{who}{door}", f"<b>{text(each.verb)}</b>", on, _details(each, place.zone)


def _details(each: Row, zone: ZoneInfo) -> str:
    parts = [("was ", _told(each.before, zone)), ("", _told(each.after, zone))]
    said = "; ".join(word + told for word, told in parts if told)
    return f"<bdi>{text(said)}</bdi>" if said else "–"


def _told(value: Any, zone: ZoneInfo) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return ", ".join(f"{name.replace('_', ' ')}: {_plain(held, zone)}" for name, held in value.items() if held is not None)


def _plain(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if _MOMENT.fullmatch(value):
        return formats.moment(datetime.fromisoformat(value), zone)
    return f"{value[:12]}…" if re.fullmatch(r"[0-9a-f]{64}", value) else value


def _number(given: str | None) -> int | None:
    return int(given) if given is not None and given.isascii() and given.isdigit() and len(given) < 19 else None

"""The filter of the page Queue: as it stands in the address, as a form, in words, and under names."""

from collections.abc import Sequence

import streamlit as st

from app.ui import formats, widgets
from app.ui.draw import waiting
from app.ui.widgets import Place
from review_queue import filters, members, saved_filters
from review_queue.errors import Invalid
from review_queue.filters import WHYS, Filter
from review_queue.saved_filters import Saved

AT = "queue"
PAGE = "after"
"""The place in a list, in the address."""


def of_address(place: Place) -> Filter | None:
    """The filter that the address names; None where it is none, and why is on the page."""
    try:
        return filters.read(place.setting, {name: st.query_params.get_all(name) for name in st.query_params})
    except Invalid as error:
        widgets.line(widgets.sentence(str(error)), "trouble")
        st.button("Show all", key="queue-clear-bad", on_click=go, args=(Filter(),))
        return None


def go(held: Filter) -> None:
    """Show another filter, from its first page."""
    lead_to(filters.pairs(held))


def lead_to(pairs: dict[str, list[str]]) -> None:
    """Put the parts of a filter into the address in place of those that are there."""
    for name in list(st.query_params):
        if name == PAGE or name in filters.NAMES or name.startswith(filters.GROUP):
            del st.query_params[name]
    for name, values in pairs.items():
        st.query_params[name] = values
    st.session_state.pop("queue.preview", None)


def draw(place: Place, held: Filter) -> None:
    """What the filter is, and how to change, keep and find it again."""
    plain = Filter(state=held.state)
    if held != plain:
        with st.container(horizontal=True, vertical_alignment="center", key="queue-filter-now"):
            st.html(f'<p class="so-note">Only {waiting.in_words(held, place.setting.project)}.</p>')
            st.button("Show all", key="queue-clear", on_click=go, args=(plain,), type="tertiary")
    with st.container(horizontal=True, key="queue-filters"):
        with st.popover("Filter", key="queue-filter"):
            _form(place, held)
        with st.popover("Saved filters", key="queue-saved"):
            _saved(place, held)


def _form(place: Place, held: Filter) -> None:
    """Keys carry the filter, so that another address is another form."""
    at = filters.write(held)
    with st.form(f"queue-form-{at}", border=False):
        if place.actor.at_least("lead"):
            _prediction(place, held, at)
            _case(place, held, at)
        names = list(place.database.read(members.who_may, place.setting.id))
        given = names.index(held.person) if held.person in names else None
        st.selectbox("Held by, given to or parked by", names, index=given, key=f"qf-person-{at}", placeholder="anybody")
        with st.container(horizontal=True):
            st.text_input("Waits longer than", value=_one(held, "older"), key=f"qf-older-{at}", placeholder="3d", width=160)
            st.text_input("and less than", value=_one(held, "newer"), key=f"qf-newer-{at}", placeholder="2w", width=160)
        st.form_submit_button("Show these", on_click=_sift, args=(place, held, at))


def _prediction(place: Place, held: Filter, at: str) -> None:
    project = place.setting.project
    labels = list(project.labels)
    st.multiselect("Predicted", labels, held.labels, format_func=project.title_of, key=f"qf-label-{at}", placeholder="any label")
    with st.container(horizontal=True):
        st.text_input("Confidence from", value=_one(held, "least"), key=f"qf-least-{at}", placeholder="0.5", width=160)
        st.text_input("to", value=_one(held, "most"), key=f"qf-most-{at}", placeholder="0.9", width=160)
    words = {name: said for name, (said, _) in WHYS.items()}
    st.multiselect("Sent to people because of", list(words), held.why, format_func=words.__getitem__, key=f"qf-why-{at}")


def _case(place: Place, held: Filter, at: str) -> None:
    names = filters.may_split(place.setting)
    if names:
        name, value = held.groups[0] if held.groups else (None, "")
        with st.container(horizontal=True):
            chosen = names.index(name) if name in names else None
            st.selectbox("Group or category", names, index=chosen, key=f"qf-group-{at}", placeholder="any", width=220)
            st.text_input("is", value=value, key=f"qf-value-{at}", width=160)
    st.text_input("Has this text in its id or content", value=held.text or "", key=f"qf-text-{at}", max_chars=filters.MAX_TEXT)


def _one(held: Filter, name: str) -> str:
    return next(iter(filters.pairs(held).get(name, [])), "")


def _sift(place: Place, held: Filter, at: str) -> None:
    """Read the form; what is no filter is said and the address stays."""
    said = {
        name: st.session_state.get(f"qf-{name}-{at}") for name in ("label", "least", "most", "why", "person", "older", "newer")
    }
    pairs: dict[str, list[str]] = {
        "state": [held.state],
        **{name: _listed(value) for name, value in said.items()},
        "text": _listed(_typed("text", at)),
    }
    group, value = st.session_state.get(f"qf-group-{at}"), _typed("value", at)
    pairs |= {filters.GROUP + name: [each] for name, each in held.groups[1:]}
    if group and value:
        pairs[filters.GROUP + group] = [value]
    try:
        go(filters.read(place.setting, pairs))
    except Invalid as error:
        st.session_state[f"{AT}.said"] = (widgets.sentence(str(error)), "trouble")


def _typed(name: str, at: str) -> str:
    return str(st.session_state.get(f"qf-{name}-{at}") or "").strip()


def _listed(value: object) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    return [str(value)] if value else []


def _saved(place: Place, held: Filter) -> None:
    kept: Sequence[Saved] = place.database.read(saved_filters.listed, place.setting, place.actor)
    if not kept:
        widgets.line("None yet: keep the one you look at under a name.", "note")
    for each in kept:
        with st.container(horizontal=True, vertical_alignment="center", key=f"queue-row-filter-{each.id}"):
            whose = "" if each.mine else f" (shared by {each.person})"
            st.button(
                formats.plain(each.name + whose), key=f"qs-go-{each.id}", on_click=_open, args=(place, each), type="tertiary"
            )
            if each.mine or place.actor.at_least("owner"):
                st.button("Forget", key=f"qs-forget-{each.id}", on_click=_forget, args=(place, each), type="tertiary")
    if place.actor.at_least("reviewer"):
        with st.form("queue-save", border=False):
            st.text_input("Keep this filter as", key="qs-name", max_chars=saved_filters.LONGEST)
            if place.actor.at_least("lead"):
                st.checkbox("For all who see this project", key="qs-shared")
            st.form_submit_button("Keep it", on_click=_keep, args=(place, held))


def _open(place: Place, each: Saved) -> None:
    try:
        go(filters.read(place.setting, each.query))
    except Invalid as error:
        said = f"{each.name!r} fits this project no more: {error}"
        st.session_state[f"{AT}.said"] = (widgets.sentence(said), "trouble")


def _forget(place: Place, each: Saved) -> None:
    done = f"Forgotten: {each.name}"
    widgets.tried(lambda: place.database.write(saved_filters.forget, place.setting, place.actor, each.id), done, at=AT)


def _keep(place: Place, held: Filter) -> None:
    name, shared = str(st.session_state.get("qs-name") or ""), bool(st.session_state.get("qs-shared"))
    widgets.tried(
        lambda: place.database.write(saved_filters.save, place.setting, place.actor, name, held, shared=shared),
        f"Kept as {' '.join(name.split())}",
        at=AT,
    )

"""The desk's script: which pages there are, and what stands above each."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.ui import calm, formats, frame, resources, standing
from app.ui.resources import Here
from app.ui.screens import activity, autonomy, data, find, insights, models, queue, review, settings
from review_queue import preferences

SCREENS = {
    "Review": review,
    "Queue": queue,
    "Insights": insights,
    "Autonomy": autonomy,
    "Data": data,
    "Models": models,
    "Find": find,
    "Activity": activity,
    "Settings": settings,
}


def main() -> None:
    st.set_page_config(page_title="Signoff", layout="wide")
    pages = [
        st.Page(screen.draw, title=title, url_path=title.lower(), default=title == "Review") for title, screen in SCREENS.items()
    ]
    page = st.navigation(pages, position="top")
    if not resources.served():
        for name in frame.kept():
            if name.endswith(".css"):
                st.html(frame.KEPT / name)
    calm.guarded(lambda: _whole(page))


def _whole(page: StreamlitPage) -> None:
    here = _above()
    page.run()
    _below(here)


def _below(here: Here) -> None:
    """Who sits here, and the way out."""
    if here.actor is not None:
        out = ' · <a href="/signout" target="_self">sign out</a>' if st.context.cookies.get(resources.COOKIE) else ""
        st.html(f'<p class="so-note so-foot">{formats.text(here.actor.name)}{out}</p>')


def _above() -> Here:
    """The project; while it lasts, that automation is frozen; and notices."""
    here: Here = resources.arrive()
    st.session_state["here"] = here
    setting = here.setting
    if here.actor is None or setting is None:
        return here
    _choice(resources.project_names(here.actor), setting.name)
    if setting.frozen_at is not None:
        since = formats.moment(setting.frozen_at, preferences.zone(here.chosen, st.context.timezone, setting.project.zone))
        said = f"<b>Automation is frozen</b> since {since}: every new case goes to people."
        st.html(f'<p class="so-frozen" role="status">{said}</p>')
    if waits := resources.no_worker_since(setting.id):
        zone = preferences.zone(here.chosen, st.context.timezone, setting.project.zone)
        st.html(f'<p class="so-frozen" role="status">{calm.no_worker(formats.moment(waits, zone))}</p>')
    standing.draw(here)
    return here


def _choice(names: dict[str, str], chosen: str) -> None:
    """Which project, where there are several."""
    if len(names) > 1:
        with st.container(key="project"):
            st.selectbox(
                "Project",
                list(names),
                index=list(names).index(chosen),
                format_func=lambda name: names[name],
                key="project-choice",
                on_change=_switch,
                label_visibility="collapsed",
            )


def _switch() -> None:
    st.session_state["project"] = st.query_params["project"] = st.session_state["project-choice"]
    for held in ("review.turn", "review.asking", "review.held"):
        st.session_state[held] = None


main()

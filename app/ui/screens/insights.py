"""Insights: what acted alone, how often people disagreed, how sure is sure. Every figure says what it is a share of."""

import streamlit as st

from app.ui import widgets
from app.ui.draw import figures
from app.ui.formats import number, percent
from app.ui.widgets import Place
from review_queue import insights, people
from review_queue.insights import Insight


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Insights</h2>')
    found = place.database.read(insights.insight, place.setting.id, people.KNOWN_ANSWERS)
    if not found.routed:
        widgets.empty("No figures yet", "They begin with the first scored case.")
        return
    widgets.figures(_cards(place, found))
    if found.known_answers.part:
        widgets.line(figures.played(found), "note")
    left, right = st.columns(2, gap="large")
    left.html(figures.bands(found.bands))
    right.html(figures.labels(found.labels, place.setting.project.title_of))
    widgets.line(figures.WEIGHING, "note")


def _cards(place: Place, found: Insight) -> list[tuple[str, str, str]]:
    noun = place.setting.project.noun
    pace = "–" if found.decisions_per_hour is None else number(round(found.decisions_per_hour))
    median = "no times yet" if found.seconds_median is None else f"median {found.seconds_median:.1f} s a {noun}"
    return [
        (percent(found.automation.value, 1), "acted alone", figures.of(found.automation, f"scored {noun}")),
        (percent(found.override.value, 1), "overridden", figures.of(found.override, "final answer")),
        (pace, "decisions an hour of work", median),
        (number(found.decisions_last_hour), "decided in the last hour", "by everybody"),
        (number(found.rejected), "rejected", f"of {number(found.routed)} routed"),
    ]

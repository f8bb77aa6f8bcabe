"""Insights: what acted and what could act alone, how often people disagreed. Every figure says what it is a share of."""

import streamlit as st

from app.ui import widgets
from app.ui.draw import figures
from app.ui.formats import number, percent, upto
from app.ui.widgets import Place
from retrain import alone, registry
from retrain.alone import Alone
from review_queue import insights, people
from review_queue.insights import Insight

NO_ROWS = (
    "Unknown so far: no labelled rows that the acting model has not learned from came with it. "
    "<code>signoff model train --rows FILE</code> keeps three in ten of them apart, and says it of the model that it trains."
)
ON_TOP = " Thresholds of single labels and vetoes come on top, and are not counted here."
OTHER_SCORE = "Unknown so far: the figures of the acting model are for another score than the policy's. Train a new version."


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Insights</h2>')
    found = place.database.read(insights.insight, place.setting.id, people.KNOWN_ANSWERS)
    if found.routed:
        _traffic(place, found)
    else:
        widgets.empty("No figures yet", "They begin with the first scored case.")
    _could(place)


def _traffic(place: Place, found: Insight) -> None:
    widgets.figures(_cards(place, found))
    if found.known_answers.part:
        widgets.line(figures.played(found), "note")
    left, right = st.columns(2, gap="large")
    left.html(figures.bands(found.bands))
    right.html(figures.labels(found.labels, place.setting.project.title_of))
    widgets.line(f"{figures.WEIGHING} {figures.window(found)}", "note")
    if agreed := figures.agreement(found.agreement, place.setting.project.title_of):
        st.html(agreed)


def _could(place: Place) -> None:
    """What could act alone by old rows whose labels are known; nothing here is of a case that waits."""
    acting = place.database.read(registry.champion, place.setting.id)
    if acting is None:
        return
    st.html('<h3 class="so-title">What could act alone</h3>')
    held = acting.figures.get("alone")
    if not held or not held["answered"]:
        st.html(f'<p class="so-line so-note">{NO_ROWS}</p>')
    elif held["score"] != place.setting.policy.score:
        widgets.line(OTHER_SCORE, "note")
    else:
        _table(place, Alone.from_dict(held))


def _table(place: Place, found: Alone) -> None:
    automate, frozen = place.setting.policy.automate, place.setting.frozen_at is not None
    at_least = None if frozen or automate.at_least == "off" else automate.at_least
    widgets.line(alone.headline(found, _wanted(place, found), number))
    left, right = st.columns(2, gap="large")
    with left:
        widgets.grid(figures.ALONE_HEAD, figures.alone(found), caption=f"Tried on {number(found.n)} labelled rows")
        widgets.line(figures.in_force(found, at_least) + (ON_TOP if automate.per_label or automate.never else ""), "note")
    right.html(figures.risk(found, at_least))
    widgets.line(alone.caveat(found, number), "note")


def _wanted(place: Place, found: Alone) -> float:
    """The error that the policy asks for, where the table has it."""
    asked = place.setting.policy.evidence.max_error
    return asked if any(level.max_error == asked for level in found.levels) else figures.SHOWN


def _cards(place: Place, found: Insight) -> list[tuple[str, str, str]]:
    noun = place.setting.project.noun
    pace = "–" if found.decisions_per_hour is None else number(round(found.decisions_per_hour))
    median = "no times yet" if found.seconds_median is None else f"median {found.seconds_median:.1f} s a {noun}"
    return [
        (percent(found.automation.value, 1), "acted alone", figures.of(found.automation, f"scored {noun}")),
        (percent(found.override.value, 1), "overridden", figures.of(found.override, "final answer")),
        (pace, "decisions an hour of work", median),
        (upto(found.decisions_last_hour), "decided in the last hour", "by everybody"),
        (number(found.rejected), "rejected", f"of {number(found.judged)} first answers"),
    ]

"""Insights: what acts alone, how right that is, how fast people are and how they agree, in a period and with pictures."""

from collections.abc import Callable
from datetime import date

import streamlit as st

from app.ui import formats, look, widgets
from app.ui.draw import drift as strayed
from app.ui.draw import figures
from app.ui.draw import proved as proved_html
from app.ui.formats import number, percent, upto
from app.ui.screens import judging
from app.ui.widgets import Place
from retrain import alone, registry
from retrain.alone import Alone
from review_queue import answers, drift, insights, periods, proved
from review_queue.agreement import of as agreement_of
from review_queue.insights import Insight
from review_queue.periods import Period

NO_ROWS = (
    "Unknown so far: no labelled rows that the acting model has not learned from came with it. "
    "<code>signoff model train --rows FILE</code> keeps three in ten of them apart, and says it of the model that it trains."
)
ON_TOP = " Thresholds of single labels and vetoes come on top, and are not counted here."
OTHER_SCORE = "Unknown so far: the figures of the acting model are for another score than the policy's. Train a new version."


OWN = "dates"
"""The choice of a period by its first and last day."""


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Insights</h2>')
    with st.container(key="insights-choices", horizontal=True, vertical_alignment="bottom"):
        names = list(SECTIONS)
        section = st.segmented_control("Section", names, key="section", default=names[0], required=True, bind="query-params")
        asked = _period()
    try:
        period = periods.period(asked.get("period"), asked.get("from"), asked.get("to"))
    except ValueError as error:
        widgets.line(widgets.sentence(str(error)), "trouble")
        return
    SECTIONS[section or names[0]](place, period, asked)


def _period() -> dict[str, str]:
    """The period as the address has it."""
    names = [*periods.LENGTHS, OWN]
    chosen = st.segmented_control("Period", names, key="period", default=periods.USUAL, required=True, bind="query-params")
    if chosen != OWN:
        return {"period": chosen or periods.USUAL}
    usual = periods.latest(periods.LENGTHS[periods.USUAL])
    first = st.date_input("From", usual.first, key="from", format="YYYY-MM-DD", width=150, bind="query-params")
    last = st.date_input("To", usual.last, key="to", format="YYYY-MM-DD", width=150, bind="query-params")
    return {name: each.isoformat() for name, each in (("from", first), ("to", last)) if isinstance(each, date)}


def _show(place: Place, period: Period, asked: dict[str, str], *names: str) -> None:
    """Figures beside each other where there is room."""
    shown = place.database.read(look.shown, place.setting, period, asked, names)
    st.html(f'<div class="so-charts">{"".join(shown)}</div>')


def _traffic(place: Place, period: Period, asked: dict[str, str]) -> None:
    found = place.database.read(insights.insight, place.setting.id)
    if not found.routed:
        widgets.empty("No figures yet", "They begin with the first scored case.")
        return
    widgets.figures(_cards(place, found))
    widgets.line(f"Above: all traffic so far. {figures.window(found)} Below: the period.", "note")
    if found.known_answers.part:
        widgets.line(figures.played(found), "note")
    _show(place, period, asked, "automation", "override", "decided")


def _model(place: Place, period: Period, asked: dict[str, str]) -> None:
    _could(place)
    _show(place, period, asked, "reliability", "risk", look.CONFUSION)
    found = place.database.read(insights.insight, place.setting.id)
    left, right = st.columns(2, gap="large")
    left.html(figures.bands(found.bands))
    right.html(figures.labels(found.labels, place.setting.project.title_of))
    widgets.line(f"These two: all traffic so far. {figures.WEIGHING} {figures.window(found)}", "note")
    _proved(place)
    _drift(place)


def _proved(place: Place) -> None:
    """Who was right, by what later proved true; nothing where nothing was told."""
    found = place.database.read(proved.figures, place.setting.id)
    if not found.n:
        return
    st.html('<h3 class="so-title">What proved true</h3>')
    rows = list(proved_html.rows(found, place.setting.project.title_of))
    widgets.grid(proved_html.HEAD, rows, caption="Who was right, by what later proved true")
    widgets.line(proved_html.window(found), "note")


def _drift(place: Place) -> None:
    """Whether what comes in strays; of whole windows, never of a case."""
    acting = place.database.read(registry.champion, place.setting.id)
    if acting is None:
        return
    st.html('<h3 class="so-title">Drift</h3>')
    looks, ordinary = place.database.read(drift.latest, place.setting.id), acting.figures.get("ordinary")
    st.html(strayed.section(looks, place.setting.policy, ordinary, lambda at: formats.moment(at, place.zone)))


def _pace(place: Place, period: Period, asked: dict[str, str]) -> None:
    _show(place, period, asked, "backlog", "pace", "waits")


def _people(place: Place, period: Period, asked: dict[str, str]) -> None:
    found = agreement_of(place.database.read(answers.latest, place.setting.id, since=period.since, before=period.before))
    agreed = figures.agreement(found, place.setting.project.title_of)
    st.html(agreed or '<p class="so-line so-note">Nobody answered a case in this period that another had answered as well.</p>')
    judging.draw(place, period, asked)


SECTIONS: dict[str, Callable[[Place, Period, dict[str, str]], None]] = {
    "Traffic": _traffic,
    "Model": _model,
    "Pace": _pace,
    "People": _people,
}


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

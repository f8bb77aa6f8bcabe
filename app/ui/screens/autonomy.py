"""Autonomy: what acts alone and on which evidence, what comes next and who signs for it, and how it came to be so."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import streamlit as st
from sqlalchemy.orm import Session

from app.report import pictures
from app.ui import formats, resources, widgets
from app.ui.draw import autonomy as drawn
from app.ui.draw import charts
from app.ui.draw.charts import Chart
from app.ui.formats import text
from app.ui.screens import braking, policy_desk
from app.ui.widgets import Place
from review_queue import acted, autonomy, clock, jobs, notices, periods, steps, terms
from review_queue.autonomy import Overview, Unit
from review_queue.ladder import Rise
from review_queue.steps import Step
from review_queue.terms import WHOLE

FEW = 3
"""Up to so many units stand in full one below the other; of more, the chosen one."""
ALL = "all of it"
PICTURED = 196
"""Days of the picture of errors."""
MOST = 20_000
"""Cases, the latest first, that it looks at."""
REPORT_DAYS = (30, 90, 365)


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Autonomy</h2>')
    names = list(SECTIONS)
    with st.container(key="autonomy-choices"):
        section = st.segmented_control("Section", names, key="section", default=names[0], required=True, bind="query-params")
    widgets.said("autonomy")
    SECTIONS[section or names[0]](place)


# Now


def _now(place: Place) -> None:
    found = place.database.read(autonomy.overview, place.setting)
    st.html(f'<p class="so-said">{text(drawn.headline(found))}</p>')
    if found.autonomy == "set" and found.evidence is not None:
        widgets.line(drawn.allows(found), "note")
    _offers(place, found)
    if found.whole is not None:
        _whole(place, found, found.whole)
    if found.evidence is not None:
        st.html(drawn.period(found.evidence, place.zone))
        _kept(found)
        for unit in _chosen(found):
            _unit(place, found, unit)
    _acts(place, found)
    _report(place)


def _kept(found: Overview) -> None:
    if found.kept:
        held = "; ".join(found.kept)
        widgets.line(f"Kept from acting alone, since checks found it to be wrong too often: {held}.", "trouble")


def _chosen(found: Overview) -> Sequence[Unit]:
    """All units where they are few; else a table of them, and the one that somebody chooses."""
    if len(found.units) <= FEW:
        return found.units
    st.html(drawn.units(found))
    by_name = {each.unit: each for each in found.units}
    name = st.selectbox(
        "In full", list(by_name), format_func=lambda name: formats.plain(by_name[name].called), key="autonomy-unit"
    )
    return [by_name[name]]


def _unit(place: Place, found: Overview, unit: Unit) -> None:
    with st.container(key=f"unit-{found.units.index(unit)}"):
        if len(found.units) > 1:
            st.html(f'<h3 class="so-title">{text(unit.called)}</h3>')
        left, right = st.columns([3, 2], gap="large")
        left.html(drawn.ladder(found.level if found.level == "shadow" else unit.level) + drawn.facts(unit, place.zone))
        right.html(drawn.conditions(unit.rise) if found.whole is None else "")
        right.html(drawn.detector(unit))
        st.html(drawn.bands(unit, place.zone))
        if found.autonomy == "earned" and found.whole is None:
            _moves(place, found, unit)


def _moves(place: Place, found: Overview, unit: Unit) -> None:
    """Raising, for owners; lowering, for leads too."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if place.actor.at_least("owner") and unit.rise.ready and not _is_offered(found, unit.unit):
            _raise(place, found, unit.unit, unit.rise)
        if place.actor.at_least("lead") and unit.threshold is not None:
            question = f"Then nothing of {unit.called} acts alone until evidence says so anew. Lower it?"
            name = f"Lower {unit.called} to assist"
            widgets.twice(name, question, name=f"lower-{unit.unit}", on_click=_lower, args=(place, "assist", unit.unit))


def _raise(place: Place, found: Overview, unit: str, rise: Rise) -> None:
    question = _signing(found.signers)
    widgets.twice(
        f"Raise to {formats.plain(drawn.step_up(rise))}", question, name=f"raise-{unit}", on_click=_raised, args=(place, unit)
    )


def _signing(left: int) -> str:
    if left <= 1:
        return "It acts from the next batch on. Put your name under it?"
    return f"It acts once {left} people have signed. Put your name under it?"


def _is_offered(found: Overview, unit: str) -> bool:
    return any(each.unit == unit for each in found.offers)


def _whole(place: Place, found: Overview, rise: Rise) -> None:
    """Out of shadow."""
    st.html(drawn.conditions(rise))
    if place.actor.at_least("owner") and rise.ready and not _is_offered(found, WHOLE):
        _raise(place, found, WHOLE, rise)


def _offers(place: Place, found: Overview) -> None:
    """Rises that wait for names."""
    for each in found.offers:
        with st.container(key=f"offer-{each.id}"):
            st.html(drawn.offer(each, place.zone))
            if place.actor.at_least("owner"):
                _names(place, each)


def _names(place: Place, step: Step) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if place.actor.name not in step.signed_by:
            left = step.signers - len(step.signed_by)
            widgets.twice("Sign", _signing(left), name=f"sign-step-{step.id}", on_click=_signed, args=(place, step.id))
        widgets.twice(
            "Withdraw", "Take it off the table?", name=f"withdraw-{step.id}", on_click=_withdrawn, args=(place, step.id)
        )


def _acts(place: Place, found: Overview) -> None:
    """What concerns the project as a whole."""
    with st.container(key="autonomy-acts", horizontal=True, vertical_alignment="center"):
        braking.draw(place, "autonomy")
        shadow = found.autonomy == "earned" and found.level != "shadow" and found.evidence is not None
        if shadow and place.actor.at_least("lead"):
            question = "Then nothing acts alone and people are shown nothing of the model. Do it?"
            widgets.twice("Into shadow", question, name="lower-shadow", on_click=_lower, args=(place, "shadow", None))
        if _is_withheld(place, found):
            question = _signing(found.signers)
            widgets.twice("Grant what the policy asks for", question, name="regrant", on_click=_regranted, args=(place,))


def _is_withheld(place: Place, found: Overview) -> bool:
    """Under `set`: the policy lets something act, nothing does, and nobody has put it up for signing."""
    asks = found.autonomy == "set" and place.setting.policy.automate.at_least != "off"
    acts = any(each.threshold is not None for each in found.units)
    return (
        asks and bool(found.units) and not acts and not found.offers and found.frozen_at is None and place.actor.at_least("owner")
    )


# What buttons do


def _do(place: Place, said: str, verb: Callable[..., Any], *args: Any, **more: Any) -> None:
    widgets.tried(lambda: place.database.write(verb, *args, by=place.actor, **more), said, at="autonomy")


def _key(place: Place) -> dict[str, int]:
    return {"draw_key_id": place.workspace.keys.draw_key_id}


def _raised(place: Place, unit: str) -> None:
    signers = place.setting.policy.evidence.signers
    said = "Raised; it acts from the next batch on." if signers == 1 else "Put up for signing, with your name where it counts."
    _do(place, said, autonomy.raise_unit, place.setting, unit, **_key(place))


def _signed(place: Place, step: int) -> None:
    _do(place, "Signed.", autonomy.sign, step, **_key(place))


def _withdrawn(place: Place, step: int) -> None:
    _do(place, "Withdrawn.", autonomy.withdraw, step)


def _lower(place: Place, to: str, unit: str | None) -> None:
    _do(place, "Lowered, from the next batch on.", autonomy.lower, place.setting, to=to, unit=unit, **_key(place))


def _regranted(place: Place) -> None:
    _do(place, "Put up for signing, with your name where it counts.", autonomy.regrant, place.setting, **_key(place))


# The report


def _report(place: Place) -> None:
    """A file for the accountable and for those to whom results are shown."""
    st.html('<h3 class="so-title">Report</h3>')
    widgets.line(
        "What acted alone, how often it was wrong, for whom, and who signed for it: one page, for people outside too.", "note"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if place.actor.at_least("lead"):
            days = st.selectbox("Days", REPORT_DAYS, index=1, key="report-days", width=120)
            st.button("Make a report", key="report-make", on_click=_ask, args=(place, days))
    done = [job for job in widgets.follow(place, ("report",)) if job.state == "done" and job.result]
    if done and resources.served():
        result = done[0].result or {}
        way = f"/report/{quote(place.setting.name, safe='')}/{done[0].id}"
        st.html(f'<a class="so-take" href="{way}" download>The report from {result["from"]} to {result["to"]}</a>')


def _ask(place: Place, days: int) -> None:
    _do(place, "Asked for; a worker makes it.", jobs.ask, place.setting.id, "report", {"days": days})


# History


def _history(place: Place) -> None:
    found = place.database.read(steps.latest, place.setting.id)
    if not found:
        widgets.empty("No step yet", "The first is the one that lets something act alone.")
    else:
        _granted(place, found)
        head = ("when", "whose", "step", "cause", "numbers", "signed by")
        widgets.grid(head, [drawn.row(each, place.zone) for each in found], caption="Steps, newest first")
        if resources.served():
            st.html(f'<a class="so-take" href="{_file(place)}" download>Steps as CSV</a>')
    told = place.database.read(notices.latest, place.setting.id)
    if told:
        rows = [(formats.moment(n.opened_at, place.zone), text(n.said), formats.moment(n.closed_at, place.zone)) for n in told]
        widgets.grid(("since", "notice", "closed"), rows, caption="Notices, newest first")


def _granted(place: Place, found: Sequence[Step]) -> None:
    """The picture of each unit that ever acted, or of the chosen one."""
    units = list(dict.fromkeys(each.unit for each in found if each.wanted.standing is not None))
    if len(units) > FEW:
        called = {unit: terms.called(unit) for unit in units}
        units = [st.selectbox("Whose", units, format_func=lambda unit: formats.plain(called[unit]), key="history-unit")]
    held = [drawn.granted(found, unit, clock.now(), place.zone) for unit in units]
    shown = [charts.draw(chart) for chart in held if chart is not None]
    st.html(f'<div class="so-charts">{"".join(shown)}{charts.draw(place.database.read(_errors, place))}</div>')


def _errors(session: Session, place: Place) -> Chart:
    """How often what acted alone was wrong, by what checks found."""
    evidence, period = place.setting.policy.evidence, periods.latest(PICTURED)
    seen = acted.traffic(session, place.setting.id, period.since, period.before, MOST)
    found = acted.stretches(seen, period)
    file = f"/csv/{quote(place.setting.name, safe='')}/{drawn.ERRORS}?from={period.first}&to={period.last}"
    return pictures.errors(found, evidence.max_error, file)


def _file(place: Place) -> str:
    return f"/csv/{quote(place.setting.name, safe='')}/{drawn.STEPS}"


SECTIONS: dict[str, Callable[[Place], None]] = {"Now": _now, "Policy": policy_desk.draw, "History": _history}

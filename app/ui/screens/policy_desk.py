"""The policy desk: thresholds tried on the traffic so far, beside what is in force; and put up as the next policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
import yaml

from app.ui import formats, widgets
from app.ui.draw import charts
from app.ui.draw import policy_desk as drawn
from app.ui.draw.policy_desk import Further
from app.ui.widgets import Place
from contract.policy import Policy
from review_queue import costing, evidence, ladder, logged, permits, projects, simulate, terms, trial
from review_queue.errors import Refused
from review_queue.evidence import Evidence, Ledger
from review_queue.permits import Permit
from review_queue.projects import Applied
from review_queue.simulate import Outcome, Ways
from review_queue.trial import Point, Trial

AT = "policy-desk"
NEVER = "off"
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
UNITS = 8
"""Units of which it is said how much is left to prove."""

Threshold = float | str


@dataclass(frozen=True, slots=True)
class Desk:
    """What was read for one policy in force: kept while nothing of it changes, or until it is read again.

    `held`: for what is signed for; the others are for what is asked.
    """

    of: tuple[int, int, int]
    trial: Trial
    held: Trial
    points: list[Point]
    in_force: Outcome
    evidence: Evidence | None
    permit: Permit


def draw(place: Place) -> None:
    """The section."""
    if st.session_state.pop(f"{AT}.proposed", False):
        st.session_state.pop(AT, None)
    try:
        _desk(place)
    except Refused as error:
        widgets.empty("Nothing to try a policy on yet", formats.text(widgets.sentence(str(error))))
        return
    st.fragment(_section)(place)


def _desk(place: Place) -> Desk:
    """The log and what is in force, read once."""
    setting, held = place.setting, st.session_state.get(AT)
    of = (setting.id, setting.policy_version_id, setting.project_version_id)
    if not isinstance(held, Desk) or held.of != of:
        with st.spinner("Reading the log"):
            held = _read(place, of)
        _begin(place, held.trial)
        st.session_state[AT] = held
    return held


def _read(place: Place, of: tuple[int, int, int]) -> Desk:
    setting, labels = place.setting, list(place.setting.project.labels)
    log = place.database.read(logged.read, setting)
    made = trial.of(log, setting.policy, labels)
    ways = simulate.ways_of(log, log.rule)
    found = place.database.read(evidence.read, setting)
    permit = place.database.read(permits.read, setting.id) or Permit(terms.terms(setting.policy, labels))
    standing = trial.granted(setting.policy, labels, permit, log.rule, begins_anew=False)
    held = trial.of_rule(log, standing, labels)
    return Desk(of, made, held, made.risk(), simulate.outcome("in force", ways, setting.policy, log), found, permit)


def _begin(place: Place, made: Trial) -> None:
    """The sliders stand at what the policy in force says."""
    policy = place.setting.policy
    st.session_state[f"{AT}-at"] = policy.automate.at_least
    st.session_state[f"{AT}-rate"] = round(100 * policy.audit.rate, 1)
    st.session_state[f"{AT}-error"] = policy.evidence.max_error
    _set_own(policy.automate.per_label)


def _set_own(own: Mapping[str, Threshold]) -> None:
    st.session_state[f"{AT}-own"] = list(own)
    for label, at in own.items():
        st.session_state[f"{AT}-own-{label}"] = NEVER if at == "never" else at


# The section


def _section(place: Place) -> None:
    desk = _desk(place)
    widgets.said(AT)
    left, right = st.columns([2, 3], gap="large")
    with left:
        policy = _sliders(place, desk)
    ways = desk.trial.ways(policy)
    candidate = simulate.outcome("candidate", ways, policy, desk.trial.log)
    with right:
        picture = drawn.curve(desk.points, desk.in_force, candidate, policy.evidence.max_error)
        st.html(f'<div class="so-charts">{charts.draw(picture)}</div>')
    _figures(place, desk, policy, ways, candidate)
    _propose(place, policy)


def _sliders(place: Place, desk: Desk) -> Policy:
    """The policy as the sliders have it."""
    at = _threshold("Acts alone from confidence", "at", desk.trial.options())
    rate = st.slider("Spot checks, % of what acts alone", 0.0, 100.0, step=0.5, key=f"{AT}-rate", format="%g %%")
    errors = sorted({*ERRORS, st.session_state[f"{AT}-error"]})
    error = st.select_slider("Error held to be fit", errors, key=f"{AT}-error", format_func=lambda each: formats.percent(each, 1))
    own = st.multiselect(
        "Labels with a threshold of their own", list(desk.trial.labels), key=f"{AT}-own",
        format_func=lambda label: formats.plain(place.setting.project.title_of(label)),
    )  # fmt: skip
    per_label = {label: "never" if (chosen := _own(place, desk, label)) == NEVER else chosen for label in own}
    st.button("Thresholds from costs", key=f"{AT}-costs", on_click=_from_costs, args=(place, desk))
    return _wished(place.setting.policy, at, per_label, round(rate / 100, 6), error)


def _own(place: Place, desk: Desk, label: str) -> Threshold:
    return _threshold(formats.plain(place.setting.project.title_of(label)), f"own-{label}", desk.trial.options(label))


def _threshold(title: str, name: str, options: list[float]) -> Threshold:
    """A slider over confidences, each step about as many cases; at its end nothing acts."""
    key = f"{AT}-{name}"
    held = st.session_state.setdefault(key, NEVER)
    every: list[Threshold] = sorted({*options, *([held] if held != NEVER else [])})
    return st.select_slider(title, [*every, NEVER], key=key, format_func=_named)


def _named(at: Threshold) -> str:
    return "nothing" if at == NEVER else f"{at:.6g}"


def _wished(policy: Policy, at: Threshold, per_label: Mapping[str, Threshold], rate: float, error: float) -> Policy:
    """The policy in force with what the sliders say."""
    automate = policy.automate.model_copy(update={"at_least": at, "per_label": dict(per_label)})
    audit, proof = policy.audit.model_copy(update={"rate": rate}), policy.evidence.model_copy(update={"max_error": error})
    return policy.model_copy(update={"automate": automate, "audit": audit, "evidence": proof})


def _from_costs(place: Place, desk: Desk) -> None:
    try:
        found = costing.thresholds(desk.trial.log, place.setting.policy, list(desk.trial.labels))
    except Refused as error:
        st.session_state[f"{AT}.said"] = (widgets.sentence(str(error)), "trouble")
        return
    _set_own(found.policy.automate.per_label)
    few = sum(each.few for each in found.labels)
    said = f"Thresholds of least cost for {len(found.labels) - few} labels; {few} have too few looks and stay as they are."
    st.session_state[f"{AT}.said"] = (f"{said} They raise, and never lower, what is certified.", "said")


# Figures


def _figures(place: Place, desk: Desk, policy: Policy, ways: Ways, candidate: Outcome) -> None:
    log = desk.trial.log
    rule = trial.granted(policy, list(desk.trial.labels), desk.permit, log.rule, begins_anew=_begins_anew(place, desk, policy))
    now = simulate.outcome("granted at once", desk.held.under(rule), policy, log)
    st.html(drawn.beside([desk.in_force, candidate, now], place.setting.project.noun))
    for said in _told(place, desk, policy, candidate, now):
        widgets.line(said, "note")
    left, right = st.columns(2, gap="large")
    left.html(drawn.labels(candidate, [(label, place.setting.project.title_of(label)) for label in desk.trial.labels]))
    right.html(drawn.needed(policy.evidence.max_error, policy.evidence.most_missed, _delta(policy)))
    right.html(drawn.further(_further(desk, policy, ways)))
    with st.container(key=f"{AT}-basis", horizontal=True, vertical_alignment="center"):
        widgets.line(drawn.basis(log), "note")
        st.button("Read the log again", key=f"{AT}-again", on_click=_again)


def _told(place: Place, desk: Desk, policy: Policy, candidate: Outcome, now: Outcome) -> list[str]:
    """What has to be known of the candidate, in sentences."""
    said = []
    wished = terms.terms(policy, desk.trial.labels)
    if loosens := terms.loosens(wished, desk.permit.terms):
        signers = max(wished.signers, desk.permit.terms.signers)
        said.append(f"It is looser than what was signed for ({'; '.join(loosens)}): {formats.count(signers, 'signature')} first.")
    if policy.autonomy == "earned" and now.wrong.alone < candidate.wrong.alone:
        said.append("It is a wish: it acts as far as evidence certifies it and people sign for it, and no further.")
    if _begins_anew(place, desk, policy):
        said.append("It opens a new evidence period: what was proven so far does not count for it.")
    if candidate.wrong.unknown:
        said.append(
            f"Of {formats.count(candidate.wrong.alone, place.setting.project.noun)} that would act alone this log cannot say how "
            f"wrong {formats.number(candidate.wrong.unknown)} are: nobody could look at them, or has yet."
        )
    return said


def _begins_anew(place: Place, desk: Desk, policy: Policy) -> bool:
    labels = desk.trial.labels
    return terms.terms(policy, labels).frozen() != terms.terms(place.setting.policy, labels).frozen()


def _delta(policy: Policy) -> float:
    return evidence.effective(terms.terms(policy, ()))[1]


def _further(desk: Desk, policy: Policy, ways: Ways) -> list[Further]:
    """How much is left to prove, by unit; where the error held to be fit is another, by what was seen so far under it."""
    if desk.evidence is None:
        return []
    wished = terms.terms(policy, desk.trial.labels)
    alpha, delta = evidence.effective(wished)
    at, units = terms.wish(wished, desk.evidence.grid), list(desk.evidence.units.values())[:UNITS]
    per_day = float(ways.alone.sum()) / max(desk.trial.log.days, 1) / max(len(units), 1)
    return [_left(ledger, at, alpha, delta / len(desk.evidence.units), per_day) for ledger in units]


def _left(ledger: Ledger, at: float | None, alpha: float, delta: float, per_day: float) -> Further:
    """Every stricter threshold has to be certified before."""
    bands = [band for band in ledger.bands if at is not None and band.threshold >= at]
    if not bands:
        return Further(ledger.called, None, None, None)
    if alpha == ledger.alpha and bands[-1].certified_at is not None:
        return Further(ledger.called, at, 0, None)
    looks = [ladder.more(band, 1.0, alpha, delta) for band in bands]
    most = None if None in looks else max(each or 0 for each in looks)
    return Further(ledger.called, at, most, most / per_day if most and per_day else None)


def _again() -> None:
    st.session_state.pop(AT, None)


# Putting it up


def _propose(place: Place, policy: Policy) -> None:
    """The policy as a file, and the button that makes it the project's wish."""
    with st.expander("As policy.yaml"):
        st.code(as_yaml(policy), language="yaml")
        widgets.line(
            "Whoever keeps policy.yaml in files: this is what has to stand there, or the next apply takes it back.", "note"
        )
    if policy == place.setting.policy or not place.actor.at_least("owner"):
        return
    question = "It becomes the project's policy; what is looser than before waits for its signatures. Propose it?"
    widgets.twice("Propose this policy", question, name=f"{AT}-propose", on_click=_proposed, args=(place, policy))


def as_yaml(policy: Policy) -> str:
    """Without what is left at its default."""
    body: dict[str, Any] = policy.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True).rstrip()


def _proposed(place: Place, policy: Policy) -> None:
    setting, key = place.setting, place.workspace.keys.draw_key_id
    found: list[Applied] = []

    def act() -> None:
        apply = projects.apply
        found.append(place.database.write(apply, setting.project, policy, setting.guidelines, key, by=place.actor))

    widgets.tried(act, "", at="autonomy")
    if found:
        st.session_state["autonomy.said"] = (_became(found[0]), "said")
        st.session_state[f"{AT}.proposed"] = True


def _became(applied: Applied) -> str:
    """What came of it."""
    step = applied.step
    kept = "policy.yaml on disk still says the old: copy the new one from below."
    if step is None or step.kind == "fall":
        return f"It is in force. {kept}"
    if step.state == "open":
        left = step.signers - len(step.signed_by)
        return f"Step {step.id} waits for {formats.count(left, 'more signature')}; until then the stricter holds. {kept}"
    return f"It is in force: {step.cause}. {kept}"

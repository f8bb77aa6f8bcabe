"""Everything that a report says, read on one view of the database."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.orm import Session

from app.report import groups
from app.report.records import Cut, Grouped, Report, Signed, Versioned, Watched
from retrain import registry
from retrain.records import ModelInfo, ProposalInfo
from review_queue import acted, agreement, answers, clock, evidence, insights, notices, rules, steps, terms, trends, wishes
from review_queue.acted import Acted, Traffic
from review_queue.answers import Answered, Window
from review_queue.periods import Period
from review_queue.projects import Setting
from review_queue.wishes import Wish

Progress = Callable[[float, str], None]
LISTED = 20
"""Versions of models and policies that are listed, newest first."""


def gather(session: Session, setting: Setting, period: Period, progress: Progress = lambda share, step: None) -> Report:
    """The report of a project on a period."""
    progress(0.05, "reading the cases")
    seen = acted.traffic(session, setting.id, period.since, period.before)
    window = answers.latest(session, setting.id, since=period.since, before=period.before)
    asked = setting.policy.evidence
    settled, alone = seen.settled(), [each for each in seen.rows if each.alone]
    routes = Counter(each.route for each in seen.rows)
    return Report(
        project=setting.name,
        title=setting.project.heading,
        noun=setting.project.noun,
        made_at=clock.now(),
        period=period,
        level=rules.level(session, setting.id),
        autonomy=setting.policy.autonomy,
        frozen_at=setting.frozen_at,
        in_force=tuple(_in_force(session, setting)),
        max_error=asked.max_error,
        confidence=asked.confidence,
        signers=asked.signers,
        shown=len(seen.rows),
        whole=seen.whole,
        routes=dict(routes),
        unsettled=sum(each.p > 0 for each in alone) - len(settled),
        unchecked=sum(each.p == 0 for each in alone),
        overall=acted.wrong(settled, acted.enough(asked.max_error), alone=len(alone)),
        labels=_cuts(setting, alone, settled, lambda each: setting.project.title_of(each.label or "")),
        segments=_cuts(setting, alone, settled, _segment) if asked.segments else (),
        groups=_groups(setting, seen, settled, window, progress),
        stretches=acted.stretches(seen, period),
        trend=trends.of(session, setting.id, period),
        overridden=_overridden(window),
        played=_played(session, window),
        watched=_watched(session, setting),
        steps=[each for each in steps.latest(session, setting.id) if each.made_at < period.before],
        signed=[_signed(each) for each in registry.proposals(session, setting.id)],
        models=[_model(each) for each in registry.models(session, setting.id, LISTED)],
        policies=[_wished(each) for each in wishes.latest(session, setting.id, LISTED)],
        notices=notices.latest(session, setting.id),
    )


def _in_force(session: Session, setting: Setting) -> list[str]:
    """What the rule in force lets act alone, in words."""
    rule = rules.in_force(session, setting.id, setting.policy)
    if rule is None or rule.level == "frozen":
        return []
    if rule.units is not None:
        held = [(terms.called(name), each) for name, each in rule.units.items() if each.threshold is not None]
        return [f"{name}: from {each.threshold:g} on, {each.rate:.1%} of it spot-checked" for name, each in held]
    by_threshold: dict[float, list[str]] = {}
    for label, at in rule.thresholds.items():
        if at is not None:
            by_threshold.setdefault(at, []).append(setting.project.title_of(label))
    every = len(rule.thresholds)
    return [
        f"{'every label' if len(names) == every else ', '.join(names)}: from {at:g} on, {rule.audit_rate:.1%} of it spot-checked"
        for at, names in by_threshold.items()
    ]


def _cuts(setting: Setting, alone: Sequence[Acted], settled: Sequence[Acted], name: Callable[[Acted], str]) -> tuple[Cut, ...]:
    """What acted alone by a name of each case, the most frequent first."""
    asked, counts = setting.policy.evidence, Counter(map(name, alone))
    held: dict[str, list[Acted]] = {}
    for each in settled:
        held.setdefault(name(each), []).append(each)
    return tuple(
        Cut(part, acted.wrong(held.get(part, []), acted.enough(asked.max_error), alone=count))
        for part, count in counts.most_common()
    )


def _segment(each: Acted) -> str:
    return terms.called(each.unit.partition(":")[0])


def _groups(setting: Setting, seen: Traffic, settled: Sequence[Acted], window: Window, progress: Progress) -> tuple[Grouped, ...]:
    asked, names, said = setting.policy.evidence, setting.project.input.groups, _last_said(window)
    found = []
    for n, name in enumerate(names):
        progress(0.3 + 0.6 * n / len(names), f"comparing by {name}")
        found.append(groups.grouped(name, seen.rows, settled, said, acted.enough(asked.max_error)))
    return tuple(found)


def _last_said(window: Window) -> Mapping[int, Answered]:
    """The standing answer to each case that the rule or a draw brought to people."""
    return {each.item_id: each for each in window.standing() if each.by_chance_or_rule}


def _overridden(window: Window) -> agreement.Rate:
    held = [each for each in _last_said(window).values() if each.state == "completed" and each.predicted is not None]
    return agreement.rate(sum(each.verdict != "accept" for each in held), len(held))


def _played(session: Session, window: Window) -> agreement.Rate:
    """Of the standing answers, those that the known answers gave."""
    share = insights.played(session, window)
    return agreement.rate(round(share.part), round(share.of))


def _watched(session: Session, setting: Setting) -> Watched | None:
    """What is known of the errors that people miss, since evidence is kept as it is now."""
    found = evidence.read(session, setting)
    held = found.vigilance if found is not None else None
    return Watched(held.n, held.missed, held.most, held.proven) if held is not None and held.most else None


def _signed(each: ProposalInfo) -> Signed:
    what = f"{'Back to' if each.kind == 'rollback' else 'Made acting:'} model version {each.version}"
    return Signed(what, each.state, each.signed_by, each.signers, each.made_at, each.applied_at)


def _model(each: ModelInfo) -> Versioned:
    role = ", ".join(each.aliases) or "no role"
    return Versioned(f"model {each.called}", f"{each.trainer}; {role}", None, each.made_at)


def _wished(each: Wish) -> Versioned:
    policy = each.policy
    at = policy.automate.at_least
    acts = "nothing by one threshold" if at == "off" else f"from {at:g} on"
    said = (
        f"autonomy {policy.autonomy}; acts alone: {acts}; {policy.audit.rate:.1%} spot-checked; at most "
        f"{policy.evidence.max_error:.1%} wrong; {policy.evidence.signers} to sign"
    )
    return Versioned(f"policy {each.id}", said, each.by, each.at)

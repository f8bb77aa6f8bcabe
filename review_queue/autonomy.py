"""Autonomy: how each unit of a project stands, what it may rise to, and what takes it down. Rises are signed, falls are not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from contract.files import nearest
from contract.policy import DAYS
from db.statements import finds, run
from db.tables import AutonomyEvent, Draw, EvidenceLook, ProjectControl, RoutingRule, Task
from db.tables import Notice as NoticeRow
from db.types import EPOCH
from review_queue import (
    activity,
    audits,
    clock,
    differences,
    evidence,
    ladder,
    notices,
    permits,
    projects,
    rules,
    shown,
    steps,
    succession,
    terms,
)
from review_queue.activity import Actor
from review_queue.audits import Day, Seen
from review_queue.errors import Forbidden, Invalid, NotFound, NotYet, Refused
from review_queue.evidence import Evidence, Ledger
from review_queue.ladder import Facts, Fall, Rise
from review_queue.permits import ASSIST, Permit, Rung, Standing
from review_queue.projects import Setting
from review_queue.steps import Grounds, Step, Wanted
from review_queue.terms import WHOLE, Terms

EVERY = timedelta(minutes=1)
"""Between two looks at a project's evidence while answers come in; an error found in a check is looked at at once."""
DAILY = timedelta(days=1)
BACK = timedelta(days=180)
"""How far back the detector begins at most."""
LONGER = timedelta(days=30)
"""What holidays may add to the time that a check takes until it is due."""
TO = ("assist", "shadow")


@dataclass(frozen=True, slots=True)
class Unit:
    """How one unit stands. `threshold`: from where it acts alone now, `wish`: from where the policy asks it to, both None where
    it does not. `rate`: of spot checks, as the rule in force has it. `rise`: its next step up; under `set` what `earned` would
    ask for before anything acted alone.

    `m`: of the detector, with its lines `warn` and `alarm`. `checks`: spot checks of what acted alone, by day.
    """

    unit: str
    called: str
    level: str
    threshold: float | None
    wish: float | None
    rate: float
    since: datetime | None
    ledger: Ledger
    m: float
    warn: float
    alarm: float
    checks: tuple[Day, ...]
    seen: tuple[Seen, ...]
    enough: int
    rise: Rise


@dataclass(frozen=True, slots=True)
class Overview:
    """A project's autonomy for people to see. `kept`: conditions under which nothing acts alone, as the evidence says.
    `evidence`: None before a model acts, and then there are no units."""

    autonomy: str
    level: str
    frozen_at: datetime | None
    signers: int
    units: tuple[Unit, ...]
    kept: tuple[str, ...]
    whole: Rise | None
    offers: tuple[Step, ...]
    evidence: Evidence | None

    @property
    def allows(self) -> str:
        """In one sentence, what `earned` would let act alone now."""
        if self.evidence is None:
            return "nothing: no model acts yet"
        found = [f"{each.called} from {each.rise.threshold:g}" for each in self.units if _would_act(each)]
        if not found and all(each.wish is None for each in self.units):
            return "nothing: the policy asks for nothing to act alone"
        return ", ".join(found) or "nothing: not enough is proven yet"


def _would_act(unit: Unit) -> bool:
    return unit.rise.from_level == "assist" and unit.rise.ready and unit.rise.threshold is not None


@dataclass(frozen=True, slots=True)
class _Held:
    """What one project's ladder is judged by, read at one moment."""

    setting: Setting
    terms: Terms
    permit: Permit
    evidence: Evidence
    facts: dict[str, Facts]
    acts: bool


# What is seen


def overview(session: Session, setting: Setting) -> Overview:
    """How the project stands: for pages, the command line and the API."""
    setting = projects.by_id(session, setting.id)
    holding, permit = evidence.held(session, setting)
    held = _held(session, setting)
    units = tuple(_unit(held, name) for name in held.facts) if held else ()
    return Overview(
        autonomy=holding.autonomy,
        level=rules.level(session, setting.id),
        frozen_at=setting.frozen_at,
        signers=holding.signers,
        units=units,
        kept=permit.kept,
        whole=_from_shadow(session, held) if held and permit.shadow else None,
        offers=tuple(steps.standing_offers(session, setting.id)),
        evidence=held.evidence if held else None,
    )


def rises(session: Session, setting: Setting) -> list[Rise]:
    """The next step up of each unit, ready or not; that of the project while people are shown nothing of its model; none under
    `set`, where thresholds act as written."""
    held = _held(session, projects.by_id(session, setting.id))
    if held is None or held.terms.autonomy == "set":
        return []
    if held.permit.shadow:
        return [_from_shadow(session, held)]
    return [ladder.rise(facts) for facts in held.facts.values()]


def _unit(held: _Held, name: str) -> Unit:
    facts = held.facts[name]
    earned, standing = held.terms.autonomy == "earned", facts.standing
    climbed = facts if earned else replace(facts, standing=ASSIST)
    level = standing.level if earned else "set" if held.acts else "assist"
    threshold = max(standing.threshold or 0.0, facts.wish or 0.0) if standing.acts else None
    return Unit(
        unit=name,
        called=facts.ledger.called,
        level=level,
        threshold=threshold,
        wish=facts.wish,
        rate=_least(held.evidence, max(held.evidence.made), name) if standing.acts else standing.rate,
        since=standing.since,
        ledger=facts.ledger,
        m=facts.m,
        warn=facts.warn,
        alarm=facts.alarm,
        checks=tuple(facts.checks),
        seen=tuple(facts.seen),
        enough=facts.enough,
        rise=ladder.rise(climbed),
    )


def _from_shadow(session: Session, held: _Held) -> Rise:
    found = shown.trial(session, held.setting.id, held.evidence.opened_at)
    return shown.rise(found, held.setting.frozen_at is not None)


def _held(session: Session, setting: Setting) -> _Held | None:
    """All that verdicts rest on; None before a model acts."""
    found = evidence.read(session, setting)
    if found is None or _rule(session, setting.id) is None:
        return None
    holding, permit = evidence.held(session, setting)
    acts = holding.autonomy == "set" and holding.acts and setting.frozen_at is None
    standings = _standings(session, setting, found, holding, permit)
    seen = _seen(session, setting, found, holding, permit, standings)
    facts = {
        name: _facts(session, setting, found, holding, standings[name], seen.get(name, []), found.units[name])
        for name in found.units
    }
    return _Held(setting, holding, permit, found, facts, acts)


def _standings(session: Session, setting: Setting, found: Evidence, holding: Terms, permit: Permit) -> dict[str, Standing]:
    """How each unit stands. Under `set` all act from what is written, since thresholds were last changed."""
    if holding.autonomy == "earned":
        return {name: permit.units.get(name, ASSIST) if not permit.shadow else ASSIST for name in found.units}
    if not holding.acts:
        return dict.fromkeys(found.units, ASSIST)
    since = _written_since(session, setting, found)
    least = terms.wish(holding, found.grid)
    return dict.fromkeys(found.units, Standing("audited", least, holding.audit_rate, since, since))


def _written_since(session: Session, setting: Setting, found: Evidence) -> datetime:
    """Since when the thresholds that act as written do, or since the last alarm on them was closed."""
    query = select(RoutingRule.thresholds, RoutingRule.made_at).where(RoutingRule.period_id == found.period_id)
    rows = session.execute(query.order_by(RoutingRule.id.desc())).tuples().all()
    since = found.opened_at
    for thresholds, made_at in rows:
        if thresholds != rows[0][0]:
            break
        since = made_at
    closed = select(func.max(NoticeRow.closed_at)).where(NoticeRow.project_id == setting.id, NoticeRow.kind == "alarm")
    return max(since, session.scalar(closed) or since)


def _seen(
    session: Session, setting: Setting, found: Evidence, holding: Terms, permit: Permit, standings: dict[str, Standing]
) -> dict[str, list[Seen]]:
    """Labels and groups by unit, among what acts alone or would be the next to; without those that are kept from it."""
    wish = terms.wish(holding, found.grid)
    bands = {name: (_band(found.units[name], standings[name], wish), ledger.first_rule) for name, ledger in found.units.items()}
    begin = {name: each for name, each in bands.items() if each[0]}
    rows = audits.by_label_and_group(session, setting.id, found.period_id, begin, found.max_error)
    by_unit: dict[str, list[Seen]] = {}
    for each in rows:
        if each.condition not in permit.kept:
            by_unit.setdefault(each.unit, []).append(each)
    return by_unit


def _band(ledger: Ledger, standing: Standing, wish: float | None) -> int:
    """The band from which a unit acts; else the lowest certified one that the policy asks for, else what it asks for."""
    if standing.acts:
        at = ledger.at(standing.threshold)
    else:
        fit = [band for band in ledger.bands if wish is not None and band.threshold >= wish]
        at = next((band for band in reversed(fit) if band.certified_at is not None), fit[-1] if fit else None)
    return at.band if at is not None else 0


def _facts(
    session: Session, setting: Setting, found: Evidence, holding: Terms, standing: Standing, seen: Sequence[Seen], ledger: Ledger
) -> Facts:
    checks = _checks(session, found, ledger.unit, standing)
    again = None
    if standing.level == "audited" and standing.since is not None and standing.threshold is not None:
        again = found.since(ledger.unit, standing.since, standing.threshold)
    return Facts(
        now=clock.now(),
        standing=standing,
        ledger=ledger,
        vigilance=found.vigilance,
        wish=terms.wish(holding, found.grid),
        why_none=_why_none(holding, found),
        again=again,
        checks=checks,
        m=audits.detected(checks, found.max_error),
        seen=seen,
        units=len(found.units),
        max_error=found.max_error,
        least_rate=holding.audit_rate,
        frozen=setting.frozen_at is not None,
        begun=found.begun(ledger),
    )


def _checks(session: Session, found: Evidence, unit: str, standing: Standing) -> list[Day]:
    """Spot checks of what acted alone in a unit since its threshold acts."""
    since = standing.threshold_since or standing.since
    if not standing.acts or since is None:
        return []
    since = max(since, clock.now() - BACK)
    whole = [
        rule for rule, made in found.made.items() if _least(found, rule, unit) >= 1 and (made >= since or standing.rate >= 1)
    ]
    return audits.days(session, found.period_id, unit, since, whole=whole)


def _least(found: Evidence, rule: int, unit: str) -> float:
    return found.least.get((rule, unit), found.least[rule, WHOLE])


def _why_none(holding: Terms, found: Evidence) -> str:
    asked = terms.asked_for(holding)
    if asked is None:
        return "the policy lets nothing act alone (automate.at_least: off)"
    most = f"{found.grid[-1]:g}" if found.grid else "none"
    return f"the policy asks for {asked:g}, above every threshold that evidence is kept of (at most {most})"


# What people do


def raise_unit(
    session: Session, setting: Setting, unit: str, *, by: Actor, draw_key_id: int, threshold: float | None = None
) -> Step:
    """Put the next step up of a unit up for signing, with the name of whoever asks where it counts. `threshold`: to this
    certified one. The unit `*` is the project as a whole, out of shadow.

    Raises Forbidden below owner; Refused under `set`, and where a condition is not met; NotYet before a model acts; NotFound.
    """
    here = _owner(by, setting.id)
    rules.lock(session, setting.id)
    setting = projects.by_id(session, setting.id)
    held = _held(session, setting)
    if held is None:
        raise NotYet("no model acts yet; train one with `signoff model train`")
    if held.terms.autonomy == "set":
        raise Refused("thresholds act as written here; write `autonomy: earned` into the policy to let evidence decide")
    evidence.keep(session, held.evidence)
    found = _next(session, held, unit, threshold)
    if not found.ready:
        raise Refused(f"{terms.called(unit)} cannot rise from {found.from_level} to {found.to_level} yet: {found.missing}")
    step_id = steps.offer(
        session,
        setting.id,
        (found.from_level, found.to_level),
        _why(found),
        _wanted(held, found),
        found.grounds,
        signers=held.terms.signers,
        period_id=held.evidence.period_id,
        by=here,
    )
    if steps.may_sign(session, here, held.terms.signers):
        return sign(session, step_id, by=by, draw_key_id=draw_key_id)
    return steps.step(session, step_id)


def _next(session: Session, held: _Held, unit: str, threshold: float | None = None) -> Rise:
    """The next step up of a unit. Raises NotFound, Invalid, Refused for what is none."""
    if held.permit.shadow:
        if unit not in (WHOLE, ""):
            raise Refused("people are shown nothing of the model yet; raise the project as a whole first (unit *)")
        return _from_shadow(session, held)
    if unit not in held.facts:
        known = ", ".join(f"{name!r}" for name in held.facts)
        raise NotFound(f"the project has no unit {unit!r}{nearest(unit, held.facts)}; there are {known}")
    found = ladder.rise(held.facts[unit], threshold)
    if threshold is not None and found.threshold != threshold:
        certified = [f"{band.threshold:g}" for band in held.evidence.units[unit].bands if band.certified_at is not None]
        raise Invalid(
            f"{threshold:g} is not a threshold that {terms.called(unit)} can rise to now; certified: "
            f"{', '.join(certified) or 'none'}, and the policy asks for {held.facts[unit].wish or 'none'}"
        )
    return found


def _why(found: Rise) -> str:
    if found.to_level == "assist":
        return "people are shown what the model says, after their own answer"
    if found.to_level == "floor":
        return f"safe since entry too; {found.rate:.1%} is spot-checked from now on"
    return f"certified from {found.threshold:g}; {found.rate:.0%} is spot-checked"


def _wanted(held: _Held, found: Rise) -> Wanted:
    if found.to_level == "assist":
        return Wanted(unit=WHOLE, shadow=False)
    before = held.facts[found.unit].standing
    moved = before.threshold_since if found.to_level == "floor" else clock.now()
    level: Rung = "floor" if found.to_level == "floor" else "audited"
    return Wanted(unit=found.unit, standing=Standing(level, found.threshold, found.rate, clock.now(), moved))


def sign(session: Session, step_id: int, *, by: Actor, draw_key_id: int) -> Step:
    """Put one's name under a rise; the last name that it needs makes the rule. Its conditions are looked at again.

    Raises NotFound, Forbidden for whoever may not sign, Refused where it is over or its conditions hold no more.
    """
    project_id = project_of(session, step_id, by)
    rules.lock(session, project_id)
    setting = projects.by_id(session, project_id)
    row = steps.open_row(session, step_id)
    row.signers = max(row.signers, evidence.held(session, setting)[0].signers)
    steps.require_signer(session, by.within(project_id), row.signers)
    row.asked = _checked_again(session, setting, steps.step(session, step_id)).to_json()
    session.flush()
    if steps.sign(session, step_id, by=by):
        wanted = Wanted.of_json(row.asked)
        if wanted.frozen is False:
            activity.record(session, by.within(project_id), "autonomy.unfreeze", f"project:{project_id}", project_id=project_id)
        _renew(session, project_id, draw_key_id, _cause(wanted), [step_id])
    return steps.step(session, step_id)


def _cause(wanted: Wanted) -> str:
    if wanted.frozen is False:
        return "unfreeze"
    return "policy" if wanted.terms is not None else "rise"


def _checked_again(session: Session, setting: Setting, step: Step) -> Wanted:
    """What a rise becomes if it is signed now. Raises Refused where that is no more what was put up for signing."""
    wanted = step.wanted
    if wanted.terms is not None and wanted.terms != terms.terms(setting.policy, list(setting.project.labels)):
        raise Refused("the policy has changed since this was put up for signing; withdraw it, and apply the policy again")
    if wanted.standing is None and wanted.shadow is None:
        return wanted
    held = _held(session, setting)
    if held is None or held.evidence.period_id != step.period_id or held.terms.autonomy == "set":
        raise Refused("what this rests on is over: a new evidence period began, or thresholds act as written")
    threshold = wanted.standing.threshold if wanted.standing is not None and step.to_level == "audited" else None
    found = _next(session, held, step.unit, threshold)
    if not found.ready or found.to_level != step.to_level:
        raise Refused(f"this does not hold any more: {found.missing or 'the unit stands elsewhere now'}")
    return _wanted(held, found)


def withdraw(session: Session, step_id: int, *, by: Actor) -> Step:
    """Take an open rise off the table. Raises NotFound, Forbidden below owner, Refused where it is over."""
    rules.lock(session, project_of(session, step_id, by))
    steps.withdraw(session, step_id, by=by)
    return steps.step(session, step_id)


def lower(
    session: Session, setting: Setting, *, by: Actor, draw_key_id: int, to: str = "assist", unit: str | None = None
) -> Step:
    """Take autonomy back by hand: a unit, or all of them, to assist; or the project to shadow, where people are shown nothing.

    Raises Forbidden below lead; Invalid for another level; Refused where nothing is lower than it stands; NotFound.
    """
    here = by.within(setting.id)
    if not here.at_least("lead"):
        raise Forbidden(f"{here.name} is a {here.role}; taking autonomy back is for leads and up")
    if to not in TO:
        raise Invalid(f"{to!r} is no level to go down to; there are {' and '.join(TO)}")
    rules.lock(session, setting.id)
    setting = projects.by_id(session, setting.id)
    holding, permit = evidence.held(session, setting)
    permits.write(session, setting.id, permit)
    down = _down(session, setting, holding, permit, to, unit, here)
    _renew(session, setting.id, draw_key_id, "lowered", down)
    return steps.step(session, down[-1])


def _down(session: Session, setting: Setting, holding: Terms, permit: Permit, to: str, unit: str | None, by: Actor) -> list[int]:
    cause = f"{by.name} took it back"
    if unit not in (None, WHOLE) and unit not in terms.units(holding):
        raise NotFound(f"the project has no unit {unit!r}{nearest(str(unit), terms.units(holding))}")
    if to == "shadow":
        if holding.autonomy == "set" or permit.shadow or unit not in (None, WHOLE):
            raise Refused("the project as a whole goes into shadow, under `autonomy: earned`, and once")
        units = _units_down(session, setting, permit, None, cause, by)
        level = "assist" if units else rules.level(session, setting.id)
        waiting = (Task.project_id == setting.id, Task.state.in_(("pending", "parked")), Task.kind == "review")
        session.execute(update(Task).where(*waiting, ~Task.blind).values(blind=True))
        wanted = Wanted(unit=WHOLE, shadow=True)
        return [*units, steps.fall(session, setting.id, (level, "shadow"), cause, wanted, by=by)]
    if holding.autonomy == "set":
        if not permit.terms.acts:
            raise Refused("nothing acts alone here already")
        wanted = Wanted(unit=WHOLE, terms=terms.nothing(permit.terms))
        return [steps.fall(session, setting.id, ("set", "assist"), cause, wanted, by=by)]
    found = _units_down(session, setting, permit, None if unit == WHOLE else unit, cause, by)
    if not found:
        raise Refused(f"{terms.called(unit or WHOLE)} stands at assist already: people decide all of it")
    return found


def _units_down(session: Session, setting: Setting, permit: Permit, unit: str | None, cause: str, by: Actor | None) -> list[int]:
    return [
        steps.fall(session, setting.id, (standing.level, "assist"), cause, Wanted(unit=name, standing=ASSIST), by=by)
        for name, standing in permit.units.items()
        if standing.acts and unit in (None, name)
    ]


def regrant(session: Session, setting: Setting, *, by: Actor, draw_key_id: int) -> Step:
    """Put what the policy asks for up for signing again, after an alarm took it back or it was withdrawn.

    Raises Forbidden below owner, Refused where nothing that the policy asks for is withheld.
    """
    here = _owner(by, setting.id)
    rules.lock(session, setting.id)
    setting = projects.by_id(session, setting.id)
    _, permit = evidence.held(session, setting)
    asked = terms.terms(setting.policy, list(setting.project.labels))
    kept = [f"{condition} acts alone again" for condition in permit.kept] if asked.autonomy == "set" else []
    why = [*terms.loosens(asked, permit.terms), *kept]
    if not why:
        raise Refused("nothing that the policy asks for is withheld; what is earned rises by `signoff autonomy raise`")
    signers = max(asked.signers, permit.terms.signers)
    wanted = Wanted(unit=WHOLE, terms=asked, kept=() if kept else None)
    levels = (rules.level(session, setting.id) if permit.terms.acts else "assist", "set" if asked.autonomy == "set" else "assist")
    step_id = steps.offer(session, setting.id, levels, "; ".join(why), wanted, signers=signers, by=here)
    if steps.may_sign(session, here, signers):
        return sign(session, step_id, by=by, draw_key_id=draw_key_id)
    return steps.step(session, step_id)


def _owner(by: Actor, project_id: int) -> Actor:
    here = by.within(project_id)
    if not here.at_least("owner"):
        raise Forbidden(f"{here.name} is a {here.role}; a rise is proposed, signed and withdrawn by owners")
    return here


def project_of(session: Session, step_id: int, by: Actor) -> int:
    """The project of a step. Raises NotFound, also where it is closed to `by`."""
    project_id = session.scalar(select(AutonomyEvent.project_id).where(AutonomyEvent.id == step_id))
    if project_id is None or not by.sees(project_id):
        raise NotFound(f"there is no step {step_id}")
    return project_id


def _renew(session: Session, project_id: int, draw_key_id: int, cause: str, made: Sequence[int]) -> None:
    """The rule that follows, noted with the steps that made it."""
    setting = projects.by_id(session, project_id)
    rule_id = rules.renew(session, project_id, setting.policy, list(setting.project.labels), draw_key_id, cause)
    for step_id in made:
        steps.made_rule(session, step_id, rule_id)


# What happens by itself


def is_due(session: Session) -> bool:
    """Whether a project's evidence is to be looked at: an answer came since the last look, or a day passed."""
    return any(_is_due(session, each.id) for each in projects.everything(session))


def _is_due(session: Session, project_id: int) -> bool:
    looked = session.execute(
        select(EvidenceLook.seen_at, EvidenceLook.looked_at).where(EvidenceLook.project_id == project_id)
    ).one_or_none()
    if looked is None:
        return finds(session, select(RoutingRule.id).join(ProjectControl, ProjectControl.routing_rule_id == RoutingRule.id)
                     .where(ProjectControl.project_id == project_id))  # fmt: skip
    ago = clock.now() - looked.looked_at
    if ago >= DAILY:
        return True
    newer = select(Draw.item_id).where(Draw.project_id == project_id, Draw.purpose == "evidence", Draw.resolved_at.is_not(None))
    newer = newer.where(Draw.resolved_at > looked.seen_at)
    return finds(session, newer if ago >= EVERY else newer.where(Draw.loss == 1))


@dataclass(frozen=True, slots=True)
class Looked:
    """What one project's evidence says at one moment, under one rule. `held` None: no model acts. `newest`: of the answers.

    `back`: why the former champion, in shadow, is to act again; None where nothing says so.
    """

    project_id: int
    rule_id: int | None
    at: datetime
    newest: datetime | None
    held: _Held | None
    verdicts: tuple["_Verdict", ...]
    back: str | None


def judged(session: Session) -> list[Looked]:
    """What the evidence of every project says that is due: to be read on a view of its own, since counting takes a while."""
    return [_judged(session, each) for each in projects.everything(session) if _is_due(session, each.id)]


def _judged(session: Session, setting: Setting) -> Looked:
    newest = select(func.max(Draw.resolved_at)).where(Draw.project_id == setting.id, Draw.purpose == "evidence")
    rule_id = _rule(session, setting.id)
    held = _held(session, setting)
    said = tuple(_verdicts(session, held)) if held is not None else ()
    back = differences.proven_back(session, setting) if held is not None else None
    return Looked(setting.id, rule_id, clock.now(), session.scalar(newest.where(Draw.resolved_at.is_not(None))), held, said, back)


def _rule(session: Session, project_id: int) -> int | None:
    return session.scalar(select(ProjectControl.routing_rule_id).where(ProjectControl.project_id == project_id))


def look(session: Session, found: Sequence[Looked] | None = None) -> int:
    """Store what is certified, and take down what the evidence speaks against; how many of both. Passes by what another
    process looks at, or has since.

    `found`: what `judged` said a moment ago; nothing comes of it where the rule is another by now. None: it is asked here.
    """
    return sum(_turn(session, each) for each in (judged(session) if found is None else found))


_BEGIN = """
INSERT INTO evidence_look (project_id, seen_at, looked_at) VALUES (:project, :ever, :ever) ON CONFLICT (project_id) DO NOTHING
RETURNING project_id
"""


def _turn(session: Session, found: Looked) -> int:
    run(session, _BEGIN, {"project": found.project_id, "ever": EPOCH})
    query = select(EvidenceLook).where(EvidenceLook.project_id == found.project_id).with_for_update(skip_locked=True)
    turn = session.scalar(query.execution_options(populate_existing=True))
    if turn is None or turn.looked_at > found.at:
        return 0
    says = found.held is not None and bool(found.verdicts or found.back or evidence.has_news(found.held.evidence))
    if says and rules.lock(session, found.project_id).routing_rule_id != found.rule_id:
        return 0
    turn.seen_at, turn.looked_at = found.newest or turn.seen_at, found.at
    session.flush()
    if found.held is None or not says:
        return 0
    certified = evidence.keep(session, found.held.evidence)
    acted = _judge(session, found.held, found.verdicts) if found.verdicts else 0
    return certified + acted + (_step_back(session, found.held, found.back) if found.back else 0)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Something that the evidence speaks against. `frozen`: all of it; `kept`: one label or group."""

    unit: str
    kind: str
    said: str
    grounds: Grounds
    fall: Fall | None = None
    kept: str | None = None
    frozen: bool = False


def _verdicts(session: Session, held: _Held) -> Iterator[_Verdict]:
    acting = {name: facts for name, facts in held.facts.items() if facts.standing.acts}
    if not acting or held.setting.frozen_at is not None:
        return
    for name, facts in acting.items():
        fall = ladder.fall(facts)
        if fall is not None and (held.terms.autonomy == "earned" or fall.kind in ("alarm", "unsafe")):
            yield _Verdict(name, fall.kind, fall.said, fall.grounds, fall=fall)
        if fall is None or fall.to_level != "assist":
            yield from (_Verdict(name, "unsafe", each.said, each.grounds, kept=each.condition) for each in ladder.harms(facts))
    n, late = _late(session, held, list(acting))
    if late >= ladder.LATE_LEAST and late > ladder.LATE_SHARE * n:
        said = f"overdue: nobody looked at {late:,} of {n:,} spot checks that fell due in {ladder.RECENT_DAYS} days"
        yield _Verdict(WHOLE, "overdue", said, Grounds({"due": n, "late": late}), frozen=True)


def _late(session: Session, held: _Held, units: Sequence[str]) -> tuple[int, int]:
    """Checks that fell due of late, and those that nobody looked at; of the time since a freeze was lifted."""
    now, due = clock.now(), held.setting.policy.audit.due
    lifted = select(func.max(AutonomyEvent.ended_at)).where(
        AutonomyEvent.project_id == held.setting.id, AutonomyEvent.from_level == "frozen", AutonomyEvent.state == "applied"
    )
    closed = select(func.max(NoticeRow.closed_at)).where(NoticeRow.project_id == held.setting.id, NoticeRow.kind == "overdue")
    begin = now - timedelta(days=ladder.RECENT_DAYS)
    since = max(begin, session.scalar(lifted) or begin, session.scalar(closed) or begin)
    span = due * len(DAYS) + LONGER
    found = [audits.due(session, held.evidence.period_id, unit, since, now, span) for unit in units]
    return sum(n for n, _ in found), sum(late for _, late in found)


def _judge(session: Session, held: _Held, found: Sequence[_Verdict]) -> int:
    """Act on all verdicts, and make the rule that follows."""
    made: list[int] = []
    if held.terms.autonomy == "earned" or held.terms.on_alarm == "review":
        permits.write(session, held.setting.id, held.permit)
        made = [step for verdict in found for step in _act(session, held, verdict)]
    told = [
        notices.open_notice(session, held.setting.id, v.kind, _subject(v), _said(v, bool(made)), v.grounds.counts) for v in found
    ]
    if made and not _alarmed_back(session, held, found, made):
        _renew(session, held.setting.id, _draw_key(session, held.setting.id), found[0].kind, made)
    return len(made) or sum(told)


def _alarmed_back(session: Session, held: _Held, found: Sequence[_Verdict], made: Sequence[int]) -> bool:
    """Whether an alarm brought the former champion back, with the rule that follows; only while it stands in shadow."""
    alarm = next((each for each in found if each.kind == "alarm"), None)
    if alarm is None or not succession.back_by_evidence(
        session, held.setting.id, _draw_key(session, held.setting.id), f"its spot checks raised an {alarm.said}"
    ):
        return False
    for step_id in made:
        steps.made_rule(session, step_id, _rule(session, held.setting.id))
    return True


def _step_back(session: Session, held: _Held, why: str) -> int:
    """The former champion is shown to be better: it acts again, or that is told, as the policy says of an alarm."""
    if held.terms.autonomy == "earned" or held.terms.on_alarm == "review":
        return int(succession.back_by_evidence(session, held.setting.id, _draw_key(session, held.setting.id), why))
    return int(succession.tell_way_back(session, held.setting.id, why))


def _act(session: Session, held: _Held, verdict: _Verdict) -> Iterator[int]:
    """The steps that a verdict makes; an alarm begins the evidence of its unit anew. Under `set` what is written keeps acting
    while checks are merely late."""
    if verdict.frozen:
        if held.terms.autonomy == "earned":
            step = rules.freeze(session, held.setting, by=None, cause=verdict.said)
            yield from [step] if step is not None else []
        return
    permit = permits.read(session, held.setting.id) or held.permit
    if verdict.fall is None:
        level = held.facts[verdict.unit].standing.level if held.terms.autonomy == "earned" else "set"
        wanted = Wanted(unit=verdict.unit, kept=(*permit.kept, str(verdict.kept)))
        yield _fall(session, held, (level, level), verdict, wanted)
        return
    if verdict.fall.to_level == "assist":
        evidence.forget(session, held.evidence.period_id, verdict.unit)
    if held.terms.autonomy == "set":
        if permit.terms.acts:
            yield _fall(session, held, ("set", "assist"), verdict, Wanted(unit=verdict.unit, terms=terms.nothing(permit.terms)))
    else:
        standing = permit.units.get(verdict.unit, ASSIST)
        if standing.acts:
            yield _fall(session, held, (standing.level, verdict.fall.to_level), verdict, _fallen(held, verdict, standing))


def _fallen(held: _Held, verdict: _Verdict, standing: Standing) -> Wanted:
    if verdict.fall is None or verdict.fall.to_level == "assist":
        return Wanted(unit=verdict.unit, standing=ASSIST)
    rate = ladder.audited_rate(held.terms.audit_rate)
    return Wanted(unit=verdict.unit, standing=replace(standing, level="audited", rate=rate, since=clock.now()))


def _fall(session: Session, held: _Held, levels: tuple[str, str], verdict: _Verdict, wanted: Wanted) -> int:
    period_id = held.evidence.period_id
    if wanted.standing is None or not wanted.standing.acts:
        steps.withdraw_open(session, held.setting.id, WHOLE)
    return steps.fall(session, held.setting.id, levels, verdict.said, wanted, verdict.grounds, period_id=period_id)


def _subject(verdict: _Verdict) -> str:
    return verdict.unit if verdict.kept is None else f"{verdict.unit}: {verdict.kept}"


def _said(verdict: _Verdict, acted: bool) -> str:
    """As a notice: what was seen, and what follows from it where something does."""
    said = verdict.said if verdict.unit in ("", WHOLE) else f"{terms.called(verdict.unit)}: {verdict.said}"
    return f"{said[0].upper()}{said[1:]}. {_follows(verdict) if acted else 'What acts alone goes on.'}"


def _follows(verdict: _Verdict) -> str:
    if verdict.frozen:
        return "Every new case goes to people."
    if verdict.fall is None:
        return "These cases go to people; the others go on."
    if verdict.fall.to_level == "assist":
        return "What acted alone there goes to people again, until it is proven and signed for anew."
    return "It goes on, and more of it is spot-checked."


def _draw_key(session: Session, project_id: int) -> int:
    """That of the rule in force: a chore has none of its own."""
    query = select(RoutingRule.draw_key_id).join(ProjectControl, ProjectControl.routing_rule_id == RoutingRule.id)
    return session.scalars(query.where(ProjectControl.project_id == project_id)).one()


def history(session: Session, setting: Setting, limit: int = steps.LATEST) -> list[Step]:
    """Every step, newest first."""
    return steps.latest(session, setting.id, limit)

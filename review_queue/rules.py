"""Routing rules and evidence periods: any change of what is in force is a new row."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from contract.policy import Policy, Score
from contract.project import EXTERNAL
from db.tables import EvidencePeriod, ProjectControl, RoutingRule
from db.tables import Model as ModelRow
from db.tables import ModelAlias as AliasRow
from review_queue import activity, clock, permits, steps, terms
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Refused
from review_queue.permits import Permit
from review_queue.routing import Climbed, Level, Rule
from review_queue.steps import Wanted
from review_queue.terms import Terms

if TYPE_CHECKING:
    from review_queue.projects import Setting


def hold(session: Session, project_id: int) -> None:
    """Nothing of what is in force in this project changes before this transaction ends."""
    query = select(ProjectControl.project_id).where(ProjectControl.project_id == project_id)
    session.execute(query.with_for_update(read=True))


def in_force(session: Session, project_id: int, policy: Policy) -> Rule | None:
    """The rule in force. None before there is a model."""
    rule_id = session.scalar(select(ProjectControl.routing_rule_id).where(ProjectControl.project_id == project_id))
    return None if rule_id is None else rule(session, rule_id, policy)


def rule(session: Session, rule_id: int, policy: Policy) -> Rule:
    """A stored rule as a record."""
    query = (
        select(RoutingRule, EvidencePeriod, ModelRow.trainer)
        .join(EvidencePeriod, EvidencePeriod.id == RoutingRule.period_id)
        .join(ModelRow, ModelRow.id == EvidencePeriod.model_id)
    )
    row, period, trainer = session.execute(query.where(RoutingRule.id == rule_id)).one()
    return Rule(
        id=row.id,
        period_id=period.id,
        model_id=period.model_id,
        level=cast(Level, row.level),
        score=cast(Score, period.score),
        grid=tuple(period.grid),
        thresholds=row.thresholds,
        audit_rate=row.audit_rate,
        second_opinion=policy.review.second_opinion,
        vetoes=tuple(row.vetoes),
        draw_key_id=row.draw_key_id,
        external=trainer == EXTERNAL,
        own=(period.terms or {}).get("own", {}),
        units={name: Climbed(**each) for name, each in row.units.items()} if row.units is not None else None,
        segments=(period.terms or {}).get("segments", {}),
        by_label=(period.terms or {}).get("by_label", False),
        strange=row.strange,
    )


def renew(session: Session, project_id: int, policy: Policy, labels: Sequence[str], draw_key_id: int, cause: str) -> int | None:
    """Make the rule that follows from champion, policy, permit and freeze, and put it in force. None without a champion.

    The policy asks, the permit allows, the stricter of the two holds.
    """
    control = lock(session, project_id)
    model = session.execute(
        select(ModelRow).join(AliasRow, AliasRow.model_id == ModelRow.id)
        .where(AliasRow.project_id == project_id, AliasRow.alias == "champion")
    ).scalar_one_or_none()  # fmt: skip
    if model is None:
        return None
    asked = terms.terms(policy, labels)
    permit = permits.read(session, project_id) or Permit(asked)
    held = terms.stricter(asked, permit.terms)
    period_id, opened = _period(session, control, model, held, cause)
    if opened and (permit.units or permit.kept):
        permit = steps.begin_anew(session, project_id, period_id, permit, cause)
    raised = control.raised_rate or 0.0
    units = units_of(held, permit, raised, _grid(session, period_id)) if held.autonomy == "earned" else None
    acting = [each.rate for each in units.values() if each.threshold is not None] if units is not None else [held.audit_rate]
    rule_id = session.scalars(
        insert(RoutingRule).returning(RoutingRule.id),
        {
            "project_id": project_id,
            "period_id": period_id,
            "policy_version_id": control.policy_version_id,
            "level": _level(control, permit, units),
            "thresholds": held.thresholds,
            "units": {name: asdict(each) for name, each in units.items()} if units is not None else None,
            "audit_rate": max(held.audit_rate, raised),
            "pi_min": min([*acting, 1.0]) if units is not None else max(held.audit_rate, raised),
            "vetoes": list(dict.fromkeys((*held.vetoes, *permit.kept))),
            "strange": held.strange,
            "draw_key_id": draw_key_id,
            "made_at": clock.now(),
            "cause": cause,
        },
    ).one()
    session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(routing_rule_id=rule_id))
    return rule_id


def units_of(held: Terms, permit: Permit, raised: float, grid: Sequence[float]) -> dict[str, Climbed]:
    """What each unit may do: never below the first threshold of the grid that reaches what the policy asks for, nor with fewer
    spot checks."""
    least, found = terms.wish(held, grid), {}
    for name in terms.units(held):
        standing = permit.units.get(name, permits.ASSIST)
        acts = standing.acts and standing.threshold is not None and not permit.shadow and least is not None
        threshold = max(standing.threshold or 0.0, least or 0.0) if acts else None
        rate = max(standing.rate, held.audit_rate, raised) if acts else 1.0
        found[name] = Climbed(standing.level if acts else "assist", threshold, rate)
    return found


def _level(control: ProjectControl, permit: Permit, units: Mapping[str, Climbed] | None) -> Level:
    """That of the project as a whole: under `earned` that of the unit that has climbed highest."""
    if control.frozen_at:
        return "frozen"
    if units is None:
        return "set"
    if permit.shadow:
        return "shadow"
    return cast(Level, max((each.level for each in units.values()), key=permits.RUNGS.index))


def _grid(session: Session, period_id: int) -> list[float]:
    return list(session.get_one(EvidencePeriod, period_id).grid)


def freeze(session: Session, setting: "Setting", *, by: Actor | None, cause: str = "frozen") -> int | None:
    """Send every new item to people; the caller renews the rule. The step made; None where it was so already.

    None as `by`: the evidence says so. Raises Forbidden below lead.
    """
    if by is not None and not by.at_least("lead"):
        raise Forbidden(f"{by.name} is a {by.role}; freezing automation is for leads and up")
    control = lock(session, setting.id)
    if control.frozen_at is not None:
        return None
    was = level(session, setting.id)
    session.execute(update(ProjectControl).where(ProjectControl.project_id == setting.id).values(frozen_at=clock.now()))
    whole = Wanted(unit=terms.WHOLE)
    return steps.fall(session, setting.id, (was, "frozen"), cause, whole, by=by, verb="autonomy.freeze")


def lift(session: Session, setting: "Setting", *, by: Actor) -> int | None:
    """Put it up for signing that a freeze is lifted, with the name of whoever asks; the caller renews the rule once nothing is
    frozen any more. The step; None where nothing is frozen.

    Raises Refused below owner, Forbidden for whoever may not sign.
    """
    if not by.at_least("owner"):
        raise Refused("lifting a freeze is for owners")
    control = lock(session, setting.id)
    if control.frozen_at is None:
        return None
    permit = permits.read(session, setting.id) or Permit(terms.terms(setting.policy, list(setting.project.labels)))
    permits.write(session, setting.id, permit)
    signers = max(permit.terms.signers, setting.policy.evidence.signers)
    steps.require_signer(session, by, signers)
    levels = ("frozen", "set" if permit.terms.autonomy == "set" else "assist")
    step = steps.offer(
        session, setting.id, levels, "the freeze is lifted", Wanted(unit=terms.WHOLE, frozen=False), signers=signers, by=by
    )
    if steps.sign(session, step, by=by):
        activity.record(session, by, "autonomy.unfreeze", f"project:{setting.id}", project_id=setting.id)
    return step


def level(session: Session, project_id: int) -> str:
    """The level of the rule in force; assist before there is one."""
    query = select(RoutingRule.level).join(ProjectControl, ProjectControl.routing_rule_id == RoutingRule.id)
    return session.scalar(query.where(ProjectControl.project_id == project_id)) or "assist"


def lock(session: Session, project_id: int) -> ProjectControl:
    """Whoever changes what is in force goes alone: first this, then reading what to change."""
    query = select(ProjectControl).where(ProjectControl.project_id == project_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def _period(session: Session, control: ProjectControl, model: ModelRow, held: Terms, cause: str) -> tuple[int, bool]:
    """The open period where model, score, grid and terms still serve; else another begins: its id, and whether it did.

    What is earned moves within the grid that came with the model; what is set adds its thresholds to it.
    """
    wanted = {at for at in held.thresholds.values() if at is not None} if held.autonomy == "set" else set()
    standing = session.execute(
        select(EvidencePeriod).where(EvidencePeriod.project_id == control.project_id, EvidencePeriod.closed_at.is_(None))
    ).scalar_one_or_none()
    same = standing and standing.model_id == model.id and standing.score == held.score and standing.terms == held.frozen()
    if standing and same and wanted <= set(standing.grid):
        return standing.id, False
    if standing:
        session.execute(update(EvidencePeriod).where(EvidencePeriod.id == standing.id).values(closed_at=clock.now()))
    grid = sorted({*model.figures.get("grids", {}).get(held.score, []), *wanted})
    row = {
        "project_id": control.project_id,
        "model_id": model.id,
        "score": held.score,
        "grid": grid,
        "terms": held.frozen(),
        "opened_at": clock.now(),
        "cause": cause,
    }
    return session.scalars(insert(EvidencePeriod).returning(EvidencePeriod.id), row).one(), True


def count(session: Session, project_id: int) -> int:
    """How many rules a project has had."""
    query = select(func.count()).select_from(RoutingRule).where(RoutingRule.project_id == project_id)
    return session.scalar(query) or 0

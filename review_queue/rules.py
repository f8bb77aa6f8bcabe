"""Routing rules and evidence periods: any change of what is in force is a new row."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from contract.policy import Policy, Score
from contract.project import EXTERNAL
from db.tables import EvidencePeriod, ProjectControl, RoutingRule
from db.tables import Model as ModelRow
from db.tables import ModelAlias as AliasRow
from review_queue import activity, clock, routing
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Refused
from review_queue.routing import Level, Rule


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
    )


def renew(session: Session, project_id: int, policy: Policy, labels: Sequence[str], draw_key_id: int, cause: str) -> int | None:
    """Make the rule that follows from champion, policy and freeze, and put it in force. None without a champion."""
    control = lock(session, project_id)
    model = session.execute(
        select(ModelRow).join(AliasRow, AliasRow.model_id == ModelRow.id)
        .where(AliasRow.project_id == project_id, AliasRow.alias == "champion")
    ).scalar_one_or_none()  # fmt: skip
    if model is None:
        return None
    wanted = routing.thresholds(policy, labels)
    period_id = _period(session, control, model, policy, [value for value in wanted.values() if value is not None], cause)
    level: Level = "frozen" if control.frozen_at else "set"
    rule_id = session.scalars(
        insert(RoutingRule).returning(RoutingRule.id),
        {
            "project_id": project_id,
            "period_id": period_id,
            "policy_version_id": control.policy_version_id,
            "level": level,
            "thresholds": wanted,
            "audit_rate": policy.audit.rate,
            "pi_min": policy.audit.rate,
            "vetoes": list(policy.automate.never),
            "draw_key_id": draw_key_id,
            "made_at": clock.now(),
            "cause": cause,
        },
    ).one()
    session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(routing_rule_id=rule_id))
    return rule_id


def freeze(session: Session, project_id: int, *, by: Actor, frozen: bool) -> bool:
    """Send every new item to people, or stop doing so; the caller renews the rule. False where it was so already.

    Raises Forbidden below lead, Refused where somebody below owner would lift a freeze.
    """
    if not by.at_least("lead"):
        raise Forbidden(f"{by.name} is a {by.role}; freezing automation is for leads and up")
    control = lock(session, project_id)
    if (control.frozen_at is not None) == frozen:
        return False
    if not frozen and not by.at_least("owner"):
        raise Refused("lifting a freeze is for owners")
    values = {"frozen_at": clock.now() if frozen else None}
    session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(values))
    verb = "autonomy.freeze" if frozen else "autonomy.unfreeze"
    activity.record(session, by, verb, f"project:{project_id}", project_id=project_id)
    return True


def lock(session: Session, project_id: int) -> ProjectControl:
    """Whoever changes what is in force goes alone: first this, then reading what to change."""
    query = select(ProjectControl).where(ProjectControl.project_id == project_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def _period(session: Session, control: ProjectControl, model: ModelRow, policy: Policy, wanted: list[float], cause: str) -> int:
    """The open period where model, score and grid still serve; else it is closed and a new one opened."""
    standing = session.execute(
        select(EvidencePeriod).where(EvidencePeriod.project_id == control.project_id, EvidencePeriod.closed_at.is_(None))
    ).scalar_one_or_none()
    if standing and standing.model_id == model.id and standing.score == policy.score and set(wanted) <= set(standing.grid):
        return standing.id
    if standing:
        session.execute(update(EvidencePeriod).where(EvidencePeriod.id == standing.id).values(closed_at=clock.now()))
    grid = sorted({*model.figures.get("grids", {}).get(policy.score, []), *wanted})
    return session.scalars(
        insert(EvidencePeriod).returning(EvidencePeriod.id),
        {
            "project_id": control.project_id,
            "model_id": model.id,
            "score": policy.score,
            "grid": grid,
            "opened_at": clock.now(),
            "cause": cause,
        },
    ).one()


def count(session: Session, project_id: int) -> int:
    """How many rules a project has had."""
    query = select(func.count()).select_from(RoutingRule).where(RoutingRule.project_id == project_id)
    return session.scalar(query) or 0

"""Evidence that a model brings along when it begins to act: cases of earlier periods that it had not learned from.

Each had its chance of a look when it was routed, and who looked did so blind: the answer says of any model whether it is right. A
case that nobody could have looked at counts as an error, as does one at which nobody looked in time.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from contract.inputs import read_input
from contract.records import Prediction
from db import bulk
from db.tables import AutonomyEvent, Draw, EvidencePeriod, Item, Model, Replayed, Routing, RoutingRule
from db.tables import Prediction as PredictionRow
from review_queue import looked, projects, routing, rules
from review_queue.projects import Setting
from review_queue.routing import Rule

MOST = 20_000
"""Cases that are replayed, the latest: everybody waits while a model takes over."""
CHUNK = 500
END = 2**62


@dataclass(frozen=True, slots=True)
class _Case:
    """A case as it was routed, and what the new model says of it."""

    item_id: int
    n: int
    rule: int
    label: str | None
    p: float
    said: Prediction
    values: Mapping[str, object]


_Key = tuple[int, str, int, float, float]
"""Rule, unit, band, chance of a look, and the least one under that rule."""


def fill(session: Session, project_id: int) -> int:
    """Replay for the model that acts now, under the rule in force; how many cases. Call once, when its period begins."""
    setting = projects.by_id(session, project_id)
    rule = rules.in_force(session, project_id, setting.policy)
    if rule is None or rule.external:
        return 0
    least = _least(session, project_id)
    seen, drawn, errors = Counter[_Key](), Counter[_Key](), Counter[_Key]()
    for case, looks, wrong in _judged(session, setting, rule):
        route = routing.route(rule, case.said, case.values, lambda _: 1.0)
        if not route.band:
            continue
        p = case.p or 1.0
        key = (case.rule, route.segment, route.band, p, min(least[case.rule] or 1.0, p))
        seen[key] += 1
        drawn[key] += int(looks)
        errors[key] += int(wrong)
    rows = [_row(rule.period_id, key, n, drawn[key], errors[key]) for key, n in sorted(seen.items())]
    if rows:
        session.execute(insert(Replayed), rows)
    return sum(seen.values())


def _row(period_id: int, key: _Key, n: int, drawn: int, errors: int) -> dict[str, object]:
    rule, unit, band, p, p_min = key
    held = {"period_id": period_id, "routing_rule_id": rule, "unit": unit, "band": band, "p": p, "p_min": p_min}
    return {**held, "n": n, "drawn": drawn, "errors": errors}


def _judged(session: Session, setting: Setting, rule: Rule) -> Iterator[tuple[_Case, bool, bool]]:
    """Each case, whether it counts as looked at, and whether the new model is wrong there."""
    labels, after, count = session.get_one(Model, rule.model_id).labels, _learned_through(session, rule.model_id), 0
    until, since = _watermark(session, setting.id), _last_alarm(session, rule.model_id)
    after = max(after, _before_latest(session, setting.id, until))
    while count < MOST and (page := _page(session, setting, rule, (after, until), since, labels)):
        after, count = page[-1].item_id, count + len(page)
        draws, right = _draws(session, page), looked.right(session, {case.item_id: case.n for case in page})
        for case in page:
            if not case.p:
                yield case, True, True
            elif case.item_id in draws:
                yield case, True, _is_wrong(case, draws[case.item_id], right)
            else:
                yield case, False, False


def _is_wrong(case: _Case, draw: tuple[str, int], right: Mapping[int, str | None]) -> bool:
    how, loss = draw
    if how == "overdue" or (loss and case.item_id not in right):
        return True
    return case.said.label != (right[case.item_id] if loss else case.label)


def _page(
    session: Session, setting: Setting, rule: Rule, between: tuple[int, int], since: datetime | None, labels: Sequence[str]
) -> list[_Case]:
    """The next cases of earlier periods of which the new model said something."""
    said = (PredictionRow.item_id == Routing.item_id) & (PredictionRow.model_id == rule.model_id)
    columns = (Routing.item_id, Routing.n, Routing.routing_rule_id, Routing.label, Routing.p_evidence)
    query = select(*columns, PredictionRow.probabilities, PredictionRow.strangeness, Item.groups, Item.input)
    query = query.join(PredictionRow, said).join(Item, Item.id == Routing.item_id).where(*_earlier(setting, rule, between, since))
    rows = session.execute(query.order_by(Routing.item_id).limit(CHUNK)).tuples()
    return [
        _Case(i, n, at, label, p, Prediction(tuple(labels), tuple(told), strange), _values(setting, rule, groups, given))
        for i, n, at, label, p, told, strange, groups, given in rows
    ]


def _earlier(setting: Setting, rule: Rule, between: tuple[int, int], since: datetime | None) -> list[ColumnElement[bool]]:
    other = Routing.__table__.alias("other")
    newest = select(func.max(other.c.n)).where(other.c.item_id == Routing.item_id).scalar_subquery()
    theirs = [Routing.project_id == setting.id, Routing.item_id > between[0], Routing.item_id < between[1], Routing.n == newest]
    return [*theirs, Routing.period_id != rule.period_id, *([Routing.routed_at > since] if since is not None else [])]


def _values(setting: Setting, rule: Rule, groups: str | None, given: str | None) -> Mapping[str, object]:
    return {**json.loads(groups or "{}"), **read_input(setting.project, given)} if rule.reads_values else {}


def _draws(session: Session, page: Sequence[_Case]) -> dict[int, tuple[str, int]]:
    """How the draws of evidence were resolved, and with which loss."""
    turns = {case.item_id: case.n for case in page}
    query = select(Draw.item_id, Draw.n, Draw.resolved_as, Draw.loss).where(bulk.among(session, Draw.item_id, list(turns)))
    rows = session.execute(query.where(Draw.purpose == "evidence", Draw.loss.is_not(None))).tuples()
    return {item_id: (how or "", loss or 0) for item_id, n, how, loss in rows if turns[item_id] == n}


def _learned_through(session: Session, model_id: int) -> int:
    held = session.get_one(Model, model_id).learned_through
    return END if held is None else held


def _watermark(session: Session, project_id: int) -> int:
    """The first case whose draw of evidence is open: what came before is complete."""
    open_ = (Draw.project_id == project_id, Draw.purpose == "evidence", Draw.resolved_at.is_(None))
    return session.scalar(select(func.min(Draw.item_id)).where(*open_)) or END


def _before_latest(session: Session, project_id: int, until: int) -> int:
    """The case before the latest ones that are replayed; 0 where there are no more than these."""
    ours = select(Routing.item_id).where(Routing.project_id == project_id, Routing.item_id < until).distinct()
    return session.scalar(ours.order_by(Routing.item_id.desc()).offset(MOST).limit(1)) or 0


def _last_alarm(session: Session, model_id: int) -> datetime | None:
    """When the evidence of this model last began anew because too much was wrong: what was before is no evidence of what is."""
    fell = (AutonomyEvent.kind == "fall", AutonomyEvent.to_level == "assist", AutonomyEvent.made_by.is_(None))
    query = select(func.max(AutonomyEvent.made_at)).join(EvidencePeriod, EvidencePeriod.id == AutonomyEvent.period_id)
    return session.scalar(query.where(EvidencePeriod.model_id == model_id, *fell))


def _least(session: Session, project_id: int) -> dict[int, float]:
    """The least chance of a look under each rule; 0 where nothing was checked."""
    query = select(RoutingRule.id, RoutingRule.pi_min).where(RoutingRule.project_id == project_id)
    return dict(session.execute(query).tuples().all())

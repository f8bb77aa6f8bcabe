"""Months of answered cases in a moment: routed and drawn rows as the verbs write them, resolved as people would."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from contract.canonical import canonical
from db.engine import Database
from db.tables import Decision, Draw, Gold, Item, ItemKey, Routing, Task
from review_queue import clock, projects, routing, rules
from review_queue.projects import Setting
from tests import factories


def earned(database: Database, **policy: Any) -> Setting:
    """A project whose autonomy is earned, at 5 % errors, by people who see them all unless the policy says otherwise."""
    wished: dict[str, Any] = {
        "autonomy": "earned",
        "automate": {"at_least": 0.0},
        "audit": {"rate": 0.05},
        **policy,
        "evidence": {"max_error": 0.05, "most_missed": 0, **policy.get("evidence", {})},
    }
    return factories.setting(database, wished=factories.policy(**wished))


def traffic(
    database: Database,
    held: Setting,
    n: int,
    errors: int = 0,
    *,
    sure: float = 0.99,
    label: str = "pay",
    at: datetime | None = None,
    open_: int = 0,
    late: int = 0,
    groups: Mapping[str, str] | None = None,
) -> None:
    """`n` cases under the rule in force, all of one confidence; of those drawn the first `errors` are wrong, the last `open_`
    wait, and `late` before them ran out of time. What the rule lets act alone does, drawn as its rate says: every 1/rate-th."""
    held = database.read(projects.by_id, held.id)
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    database.write(_fill, held, rule, n, errors, sure, label, at or clock.now(), open_, late, groups)


def _fill(
    session: Session,
    held: Setting,
    rule: routing.Rule,
    n: int,
    errors: int,
    sure: float,
    label: str,
    at: datetime,
    open_: int,
    late: int,
    groups: Mapping[str, str] | None,
) -> None:
    first = (session.scalar(select(func.max(ItemKey.item_id))) or 0) + 1
    scored = factories.says(label, sure)
    route = routing.route(rule, scored, {"amount": 1.0, "region": "north", **(groups or {})}, lambda _: 1.0)
    keys = [{"project_id": held.id, "external_id": f"e-{first + i}", "content_hash": "0"} for i in range(n)]
    ids = sorted(session.scalars(insert(ItemKey).returning(ItemKey.item_id), keys))
    every = max(round(1 / route.p_evidence), 1) if route.p_evidence else n + 1
    drawn = ids[::every] if route.p_evidence else []
    text = canonical(dict(groups)) if groups else None
    items = [
        {"id": i, "project_id": held.id, "project_version_id": held.project_version_id, "groups": text, "received_at": at}
        for i in ids
    ]
    shared = {"project_id": held.id, "period_id": rule.period_id, "routing_rule_id": rule.id, "segment": route.segment}
    routed = {
        **shared,
        "n": 1,
        "model_id": rule.model_id,
        "route": route.route,
        "reason": route.reason,
        "band": route.band,
        "p_evidence": route.p_evidence,
        "p_second": 0.0,
        "pi": route.pi,
        "label": label,
        "confidence": sure,
        "routed_at": at,
    }
    draw = {**shared, "n": 1, "purpose": "evidence", "band": route.band, "p": route.p_evidence, "key_id": rule.draw_key_id}
    session.execute(insert(Item), items)
    session.execute(insert(Routing), [{**routed, "item_id": i} for i in ids])
    ends = [_end(place, len(drawn), errors, open_, late, at) for place in range(len(drawn))]
    rows = [
        {**draw, "item_id": i, "drawn_at": at, "due_at": at + timedelta(days=7), **end}
        for i, end in zip(drawn, ends, strict=True)
    ]
    if rows:
        session.execute(insert(Draw), rows)


def _end(place: int, of: int, errors: int, open_: int, late: int, at: datetime) -> dict[str, Any]:
    if place >= of - open_:
        return {"resolved_at": None, "resolved_as": None, "loss": None}
    if place >= of - open_ - late:
        return {"resolved_at": at + timedelta(days=7), "resolved_as": "overdue", "loss": 1}
    wrong = place < errors
    return {"resolved_at": at, "resolved_as": "adjudicated" if wrong else "blind", "loss": int(wrong)}


def seeds(database: Database, held: Setting, n: int, missed: int = 0) -> None:
    """Gold cases in which the model says pay and deny is right, answered blind by one person; the first `missed` say pay."""
    person = factories.person(database, f"seer-{clock.now().timestamp()}")
    database.write(_seed, held, person.id, n, missed)


def _seed(session: Session, held: Setting, person_id: int, n: int, missed: int) -> None:
    ids = list(session.scalars(select(Routing.item_id).where(Routing.label == "pay").order_by(Routing.item_id).limit(n)))
    assert len(ids) == n
    for place, item_id in enumerate(ids):
        session.execute(
            insert(Gold).values(item_id=item_id, project_id=held.id, label="deny", source="named", made_at=clock.now())
        )
        label = "pay" if place < missed else "deny"
        _answered(session, held, person_id, item_id, label, "gold", "gold")


def _answered(session: Session, held: Setting, person_id: int, item_id: int, label: str, kind: str, basis: str) -> None:
    from db.tables import Claim

    now = clock.now()
    task = {"item_id": item_id, "routing_n": 1, "project_id": held.id, "kind": kind, "blind": True, "state": "completed"}
    task_id = session.scalars(insert(Task).returning(Task.id), {**task, "rank": 0, "weight": 1.0, "made_at": now}).one()
    claim = {"task_id": task_id, "item_id": item_id, "person_id": person_id, "session": "s", "token": f"t-{task_id}"}
    claim_id = session.scalars(
        insert(Claim).returning(Claim.id), {**claim, "state": "answered", "taken_at": now, "expires_at": now}
    ).one()
    said = {"verdict": "correct", "label": label, "blind": True, "basis": basis, "via": "desk", "decided_at": now}
    session.execute(
        insert(Decision).values(
            key=f"k-{task_id}",
            request_hash="0",
            project_id=held.id,
            task_id=task_id,
            item_id=item_id,
            claim_id=claim_id,
            person_id=person_id,
            stage="first",
            **said,
        )
    )

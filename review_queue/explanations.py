"""Explanations as rows: written by a worker ahead of the people, read by the desk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.canonical import content_hash
from contract.given import PRODUCER
from contract.project import EXTERNAL
from contract.records import Explanation
from db.tables import Explanation as ExplanationRow
from db.tables import Model, Prediction, Routing, Task, Work
from review_queue import clock, states

AHEAD = 200
"""Waiting tasks whose reasons are kept ready."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A stored explanation: its id and hash are what a decision names as shown."""

    id: int
    hash: str
    method: str
    label: str
    body: dict[str, Any]


def order_ahead(session: Session, project_id: int, ahead: int = AHEAD) -> int:
    """Add explain work for what lacks an explanation; how many."""
    now = clock.now()
    shared = {"kind": "explain", "project_id": project_id, "ready_at": now, "attempts": 0}
    work = [{"item_id": item_id, **shared} for item_id in lacking(session, project_id, ahead)]
    if work:
        make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        session.execute(make(Work).on_conflict_do_nothing(), work)
    return len(work)


def lacking(session: Session, project_id: int, ahead: int = AHEAD) -> list[int]:
    """The items of the held and the next waiting tasks that have no explanation yet, and none ordered.

    What a model elsewhere said is not explained here: there is nothing to ask.
    """
    missing = ~exists().where(ExplanationRow.item_id == Task.item_id, ExplanationRow.model_id == Routing.model_id)
    ordered = ~exists().where(Work.item_id == Task.item_id, Work.kind == "explain")
    scored = exists().where(Prediction.item_id == Task.item_id, Prediction.model_id == Routing.model_id)
    routed = (Routing.item_id == Task.item_id) & (Routing.n == Task.routing_n)
    waiting = select(states.next_waiting(project_id, ahead).c.id)
    held = select(Task.id).where(Task.project_id == project_id, states.HELD)
    near = Task.id.in_(union_all(waiting, held))
    query = select(Task.item_id, Task.state, Task.rank).join(Routing, routed).where(near, missing, ordered, scored)
    query = query.join(Model, Model.id == Routing.model_id).where(Model.trainer != EXTERNAL)
    return list(dict.fromkeys(session.scalars(query.order_by(Task.state, Task.rank))))


def store(session: Session, item_id: int, model_id: int, explanations: Sequence[Explanation]) -> None:
    """Keep explanations of one item and close its explain work. What is there already stays as it is."""
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for explanation in explanations:
        kept = row(item_id, model_id, explanation, clock.now())
        session.execute(make(ExplanationRow).values(kept).on_conflict_do_nothing())
    session.execute(delete(Work).where(Work.item_id == item_id, Work.kind == "explain"))


def row(item_id: int, model_id: int, explanation: Explanation, now: datetime) -> dict[str, Any]:
    """An explanation as its row. Its hash is of all but the time it took."""
    body = explanation.as_dict()
    return {
        "item_id": item_id,
        "model_id": model_id,
        "method": explanation.method,
        "label": explanation.label,
        "params_hash": content_hash(dict(explanation.params)),
        "hash": content_hash({k: v for k, v in body.items() if k != "seconds"}),
        "body": body,
        "seconds": explanation.seconds,
        "made_at": now,
    }


def of_prediction(session: Session, item_id: int, model_id: int) -> list[Reason]:
    """The reasons of one prediction, in the order they were made."""
    query = select(ExplanationRow).where(ExplanationRow.item_id == item_id, ExplanationRow.model_id == model_id)
    rows = session.scalars(query.order_by(ExplanationRow.id))
    return [Reason(r.id, r.hash, r.method, r.label, r.body) for r in rows]


def called(reason: Reason) -> str:
    """The name of the method; of reasons that a producer sent, also whose they are."""
    if reason.method != PRODUCER:
        return reason.method
    params = reason.body["params"]
    return f"{params['method'] or PRODUCER} (sent by the producer, version {params['model_version']})"


def target(session: Session, item_id: int) -> tuple[int, str] | None:
    """The model whose prediction routed an item last, and the label to explain; None where it was not scored."""
    query = select(Routing.model_id, Routing.label).where(Routing.item_id == item_id, Routing.label.is_not(None))
    row = session.execute(query.order_by(Routing.n.desc()).limit(1)).first()
    return (row.model_id, row.label) if row is not None and row.label is not None else None

"""One case as a person may see it. The one place that decides what a blind task shows: nothing, before the first answer."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.canonical import digest
from contract.inputs import read_input
from db.tables import Claim, Decision, Draw, Item, ItemKey, Model, Routing, Task
from db.tables import Prediction as PredictionRow
from review_queue import claims, decisions, explanations, history, openings
from review_queue.activity import Actor
from review_queue.claims import Held
from review_queue.explanations import Reason
from review_queue.history import Past
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the model said, for cases where that may be shown. `label` is None where it gave no answer.

    `external`: it answers elsewhere, and its producer sent the prediction along, or did not.
    """

    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    model_version: str
    reason: str
    external: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A held task with everything that may be shown of it now, and nothing else."""

    task_id: int
    item_id: int
    model_id: int
    token: str
    expires_at: datetime
    external_id: str
    input: dict[str, Any]
    show: dict[str, Any]
    blind: bool
    first_label: str | None
    first_given: bool
    answers: tuple[str | None, ...]
    prediction: Predicted | None
    explanations: tuple[Reason, ...]
    requested: str | None = None  # why somebody asked for this look
    note: str | None = None  # what its person wanted to remember when they parked it
    past: tuple[Past, ...] = ()  # what happened to the item before, as far as that may be told here


def take(session: Session, setting: Setting, actor: Actor, session_name: str, count: int) -> list[Case]:
    """Claim up to `count` cases for a session, and show them."""
    held = openings.claim(session, setting, actor, session_name, count)
    return [_case(session, setting, each) for each in held]


def held(session: Session, setting: Setting, actor: Actor, session_name: str) -> list[Case]:
    """What a session holds, without claiming more."""
    return [_case(session, setting, each) for each in claims.held(session, setting.id, actor, session_name)]


def show(session: Session, setting: Setting, claim: Held) -> Case:
    """One held case, where the others that a session holds need not be read."""
    return _case(session, setting, claim)


def _case(session: Session, setting: Setting, held: Held) -> Case:
    """All that is always needed by one statement; the first answer and the reasons by one each where there may be any."""
    task, item, key, routed, model, row = _rows(session, held.task_id)
    first = decisions.first_of_claim(session, held.token) if task.blind else None
    open_ = not task.blind or first is not None
    reasons = explanations.of_prediction(session, task.item_id, routed.model_id) if open_ else []
    given = read_input(setting.project, item.input)
    return Case(
        task_id=task.id,
        item_id=task.item_id,
        model_id=routed.model_id,
        token=held.token,
        expires_at=held.expires_at,
        external_id=key.name,
        input=given,
        show=json.loads(item.show or "{}"),
        blind=task.blind,
        first_label=first.label if first else None,
        first_given=first is not None,
        answers=_disputed(session, task),
        prediction=_predicted(routed, model, row) if open_ else None,
        explanations=tuple(reasons),
        requested=task.requested if open_ else None,
        note=_note(session, task, held),
        past=history.of(session, setting, task, key, given),
    )


def _note(session: Session, task: Task, held: Held) -> str | None:
    """The note of a parked case, for whoever wrote it alone: another person is to look for themselves."""
    if task.parked_note is None or task.assignee_id is None:
        return None
    holder = session.scalar(select(Claim.person_id).where(Claim.token == held.token))
    return task.parked_note if holder == task.assignee_id else None


_Rows = tuple[Task, Item, ItemKey, Routing, Model, PredictionRow | None]


def _rows(session: Session, task_id: int) -> _Rows:
    scored = (PredictionRow.item_id == Task.item_id) & (PredictionRow.model_id == Routing.model_id)
    query = (
        select(Task, Item, ItemKey, Routing, Model, PredictionRow)
        .join(Item, Item.id == Task.item_id)
        .join(ItemKey, ItemKey.item_id == Task.item_id)
        .join(Routing, (Routing.item_id == Task.item_id) & (Routing.n == Task.routing_n))
        .join(Model, Model.id == Routing.model_id)
        .outerjoin(PredictionRow, scored)
    )
    return session.execute(query.where(Task.id == task_id)).tuples().one()


def _predicted(routed: Routing, model: Model, row: PredictionRow | None) -> Predicted:
    """The prediction that routed a task."""
    chances = dict(zip(model.labels, row.probabilities, strict=True)) if row else {}
    version, external = model.name or str(model.version), model.name is not None
    return Predicted(routed.label, routed.confidence, chances, version, routed.reason, external)


def _disputed(session: Session, task: Task) -> tuple[str | None, ...]:
    """The answers that an adjudication has to settle, without names, in an order that says nothing; None is a rejection.

    One answer per person: the blind first one where there is one. The model's is among them where the item was drawn as
    evidence, and where there would be none to settle otherwise.
    """
    if task.kind != "adjudication":
        return ()
    others = select(Task.id).where(Task.item_id == task.item_id, Task.routing_n == task.routing_n, Task.id != task.id)
    query = select(Decision).where(Decision.task_id.in_(others), Decision.verdict.in_(ANSWERS)).order_by(Decision.id)
    rows = session.scalars(query).all()
    given = {row.task_id: row.label for row in rows if row.stage == "final"}
    given |= {row.task_id: row.label for row in rows if row.stage == "first"}
    said = set(given.values())
    if len(said) < 2 or session.get(Draw, (task.item_id, task.routing_n, "evidence")) is not None:
        said.add(session.get_one(Routing, (task.item_id, task.routing_n)).label)
    return tuple(sorted(said, key=lambda label: digest(f"{task.id} {label}")))

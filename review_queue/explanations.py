"""Explanations as rows: written by a worker ahead of the people, or because somebody asked; read by the desk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, exists, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.canonical import content_hash
from contract.files import nearest
from contract.given import PRODUCER
from contract.project import EXTERNAL
from contract.reasons import METHODS, suiting, swaying
from contract.records import Explanation
from db.statements import finds
from db.tables import Explanation as ExplanationRow
from db.tables import Model, Prediction, ReasonCheck, ReasonRequest, Routing, Task, Work
from review_queue import clock, reason_quality, states, waking
from review_queue.activity import Actor
from review_queue.errors import Invalid, Refused
from review_queue.projects import Setting

AHEAD = 200
"""Waiting tasks whose reasons are kept ready."""
HURRY = timedelta(minutes=4)
"""What is wanted on a screen now stands as if it had waited for so long: before all else, and no reason for an alarm."""
MOST_OPEN = 20
"""Explanations of one item that wait to be made at once: nobody's wishes keep a worker from the other cases for long."""
State = Literal["waiting", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A stored explanation: its id and hash are what a decision names as shown.

    `requested`: it was made because somebody asked for it. `stability`: how far other seeds named the same features,
    0 to 1, where that was tried.
    """

    id: int
    hash: str
    method: str
    label: str
    body: dict[str, Any]
    requested: bool = False
    made_at: datetime | None = None
    stability: float | None = None

    @property
    def doubt(self) -> str | None:
        """Why the order of its contributions is not to be relied on; None where nothing speaks against it."""
        return self.body.get("doubt") or swaying(self.stability)


@dataclass(frozen=True, slots=True)
class Asked:
    """An explanation that somebody asked for. `problem` says why there is none, where it failed."""

    id: int
    method: str
    label: str
    params: dict[str, Any]
    state: State
    explanation_id: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker is to explain of one item: `ahead` of the people, where nothing is there yet, and what was asked for."""

    item_id: int
    model_id: int
    label: str
    ahead: bool
    asked: tuple[Asked, ...]


def order_ahead(session: Session, project_id: int, ahead: int = AHEAD) -> int:
    """Add explain work for what lacks an explanation; how many."""
    now = clock.now()
    shared = {"kind": "explain", "project_id": project_id, "ready_at": now, "attempts": 0}
    work = [{"item_id": item_id, **shared} for item_id in lacking(session, project_id, ahead)]
    if work:
        session.execute(_insert(session, Work).on_conflict_do_nothing(), work)
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


def wanted(session: Session, item_ids: Sequence[int]) -> dict[int, Wanted]:
    """What is to be explained of these items, by item; one that no model here scored is absent."""
    found = {}
    for item_id in item_ids:
        if (aimed := target(session, item_id)) is not None:
            has = exists().where(ExplanationRow.item_id == item_id, ExplanationRow.model_id == aimed[0])
            ahead = not session.scalar(select(has))
            found[item_id] = Wanted(item_id, *aimed, ahead, tuple(_open(session, item_id)))
    return found


def store(session: Session, item_id: int, model_id: int, explanations: Sequence[Explanation]) -> None:
    """Keep explanations of one item and close its explain work, unless somebody asked for more by now.

    What is there already stays as it is.
    """
    kept = [each for each in explanations if _keep(session, item_id, model_id, each, clock.now())[1]]
    reason_quality.count(session, model_id, kept)
    close(session, item_id)


def answer(session: Session, asked_id: int, explanation: Explanation) -> None:
    """Keep what somebody asked for, and say so where they wait. What is there already serves as it is."""
    request, now = session.get_one(ReasonRequest, asked_id, with_for_update=True), clock.now()
    if request.done_at is None:
        explanation_id, new = _keep(session, request.item_id, request.model_id, explanation, now)
        reason_quality.count(session, request.model_id, [explanation] if new else [])
        request.explanation_id, request.problem, request.done_at = explanation_id, explanation.problem, now
        session.flush()
    close(session, request.item_id)


def refuse(session: Session, asked_id: int, problem: str) -> None:
    """There is no such explanation: say why where they wait."""
    request = session.get_one(ReasonRequest, asked_id, with_for_update=True)
    if request.done_at is None:
        request.problem, request.done_at = problem, clock.now()
        session.flush()
    close(session, request.item_id)


def withdraw(session: Session, item_id: int) -> None:
    """Nobody needs what was asked for of an item that its producer took back."""
    waiting = update(ReasonRequest).where(ReasonRequest.item_id == item_id, ReasonRequest.done_at.is_(None))
    session.execute(waiting.values(done_at=clock.now(), problem="the producer replaced or cancelled the item meanwhile"))


def close(session: Session, item_id: int) -> None:
    """End an item's explain work; where something that was asked for is still open, it is next instead.

    The row is locked before anybody looks: who asks at the same moment waits, and makes it anew.
    """
    work = (Work.item_id == item_id, Work.kind == "explain")
    session.execute(select(Work.item_id).where(*work).with_for_update())
    if not session.scalar(select(_is_asked(item_id))):
        session.execute(delete(Work).where(*work))
    else:
        session.execute(update(Work).where(*work).values(ready_at=clock.now() - HURRY, worker=None, attempts=0))


def _keep(session: Session, item_id: int, model_id: int, explanation: Explanation, now: datetime) -> tuple[int, bool]:
    """The id of the explanation's row, and whether it is new."""
    return _kept(session, row(item_id, model_id, explanation, now))


def _kept(session: Session, kept: Mapping[str, Any]) -> tuple[int, bool]:
    """What failed before, and may have been seen, stays, and what was found since stands beside it."""
    adding = _insert(session, ExplanationRow).values(kept).on_conflict_do_nothing().returning(ExplanationRow.id)
    if (new := session.scalar(adding)) is not None:
        return new, True
    unique = ("item_id", "model_id", "method", "label", "params_hash")
    there = session.scalars(select(ExplanationRow).filter_by(**{name: kept[name] for name in unique})).one()
    if kept["body"]["problem"] is None and there.body.get("problem") is not None:
        return _kept(session, {**kept, "params_hash": content_hash([kept["params_hash"], there.hash])})
    return there.id, False


def _insert(session: Session, table: Any) -> Any:
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


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
    """The reasons of one prediction: those made ahead in the order they were made, then those that somebody asked for."""
    theirs = (ExplanationRow.item_id == item_id, ExplanationRow.model_id == model_id)
    made = (ReasonRequest.explanation_id == ExplanationRow.id) & (ReasonRequest.done_at == ExplanationRow.made_at)
    tried = (ReasonCheck.item_id == item_id) & (ReasonCheck.model_id == model_id)
    tried &= (ReasonCheck.method == ExplanationRow.method) & (ReasonCheck.label == ExplanationRow.label)
    asked = exists().where(ReasonRequest.item_id == item_id, made)
    query = select(ExplanationRow, asked, ReasonCheck.stability).outerjoin(ReasonCheck, tried).where(*theirs)
    rows = session.execute(query.order_by(ExplanationRow.id)).tuples().all()
    found = [Reason(r.id, r.hash, r.method, r.label, r.body, on_request, r.made_at, stable) for r, on_request, stable in rows]
    return sorted(found, key=lambda reason: reason.requested)


def ask(
    session: Session,
    setting: Setting,
    item_id: int,
    *,
    method: str,
    label: str | None = None,
    params: Mapping[str, int] | None = None,
    by: Actor,
) -> Asked:
    """Ask for another explanation of an item: by another method, towards another label (the predicted one where None), with
    other `params`. The same ask again is the same row; one that failed is tried once more.

    Whether this person may see reasons of the item is for the caller to know. Raises Invalid for a method, a label or a
    number that cannot be asked for; Refused where no model here answered, and where MOST_OPEN of the item wait already.
    """
    chosen = dict(params or {})
    _check(setting, method, chosen)
    model, predicted = _asked_model(session, setting, item_id)
    towards = predicted if label is None else label
    if towards not in model.labels:
        raise Invalid(f"the model knows no label {towards!r}{nearest(towards, model.labels)}")
    wish = {"item_id": item_id, "model_id": model.id, "method": method, "label": towards, "params_hash": content_hash(chosen)}
    _check_open(session, wish)
    told = {"project_id": setting.id, "params": chosen, "person_id": by.id, "asked_at": clock.now()}
    session.execute(_insert(session, ReasonRequest).values({**wish, **told}).on_conflict_do_nothing())
    row = session.scalars(select(ReasonRequest).filter_by(**wish).with_for_update()).one()
    if row.problem is not None:
        row.problem, row.done_at, row.explanation_id = None, None, None
        session.flush()
    if row.done_at is None:
        _first(session, setting.id, item_id)
    return _asked(row)


def asked(session: Session, item_id: int, model_id: int) -> list[Asked]:
    """What was asked for of one prediction, in the order of asking."""
    theirs = (ReasonRequest.item_id == item_id, ReasonRequest.model_id == model_id)
    query = select(ReasonRequest).where(*theirs).order_by(ReasonRequest.id).execution_options(populate_existing=True)
    return [_asked(row) for row in session.scalars(query)]


def hurry(session: Session, project_id: int, item_id: int) -> None:
    """A case is on a screen without its reasons: they are next, where there are to be any."""
    aimed = target(session, item_id)
    if aimed is None or _is_external(session, aimed[0]):
        return
    if not session.scalar(select(exists().where(ExplanationRow.item_id == item_id, ExplanationRow.model_id == aimed[0]))):
        _first(session, project_id, item_id)


def _first(session: Session, project_id: int, item_id: int) -> None:
    """Put an item's explain work before all others, making it where there is none; what a worker has in hand stays there."""
    work = {"item_id": item_id, "kind": "explain", "project_id": project_id, "attempts": 0}
    making = _insert(session, Work).values({**work, "ready_at": clock.now() - HURRY})
    front = {"ready_at": making.excluded.ready_at}
    keys = [Work.item_id, Work.kind]
    idle = Work.worker.is_(None) & (Work.ready_at > making.excluded.ready_at)
    session.execute(making.on_conflict_do_update(index_elements=keys, set_=front, where=idle))
    waking.call(session, "score")  # who waits for that explains as well


def _check(setting: Setting, method: str, params: Mapping[str, int]) -> None:
    modality = setting.project.input.type
    if method not in METHODS or modality not in METHODS[method].modalities:
        known = suiting(modality)
        raise Invalid(f"{method!r} is no method for {modality} inputs{nearest(method, known)}; these are: {', '.join(known)}")
    asks = METHODS[method].asks
    for name, value in params.items():
        if name not in asks:
            raise Invalid(f"{method} takes no {name!r}; what may be set: {', '.join(asks) or 'nothing'}")
        least, most = asks[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Invalid(f"{name} {value!r} is not a whole number from {least:,} to {most:,}")


def _asked_model(session: Session, setting: Setting, item_id: int) -> tuple[Model, str]:
    """The model that an explanation would ask, and the label that it predicted. Raises Refused."""
    aimed = target(session, item_id)
    if aimed is None:
        raise Refused(f"no model answered for this {setting.project.noun}, so there is nothing to explain")
    model = session.get_one(Model, aimed[0])
    if model.trainer == EXTERNAL:
        raise Refused("the model answers elsewhere, so nothing here can ask it for reasons; only its producer can send them")
    return model, aimed[1]


def _check_open(session: Session, wish: Mapping[str, Any]) -> None:
    """Raises Refused for one more than may wait; what was asked for before is none more."""
    waiting = list(_open(session, wish["item_id"]))
    if len(waiting) >= MOST_OPEN and not finds(session, select(ReasonRequest.id).filter_by(**wish)):
        raise Refused(f"{len(waiting)} explanations of this case wait to be made; ask again when some of them are there")


def _is_external(session: Session, model_id: int) -> bool:
    return session.get_one(Model, model_id).trainer == EXTERNAL


def _is_asked(item_id: Any) -> Any:
    return exists().where(ReasonRequest.item_id == item_id, ReasonRequest.done_at.is_(None))


def _open(session: Session, item_id: int) -> Iterable[Asked]:
    waiting = (ReasonRequest.item_id == item_id, ReasonRequest.done_at.is_(None))
    return map(_asked, session.scalars(select(ReasonRequest).where(*waiting).order_by(ReasonRequest.id)))


def _asked(row: ReasonRequest) -> Asked:
    state: State = "waiting" if row.done_at is None else "done" if row.problem is None else "failed"
    return Asked(row.id, row.method, row.label, row.params, state, row.explanation_id, row.problem)


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

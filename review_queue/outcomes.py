"""From decisions to the answer that stands, and from blind first answers to the loss that counts as evidence."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from db import bulk
from db.statements import insertion, run_all
from db.tables import Claim, Decision, Draw, ItemKey, Outcome, Routing, Task
from review_queue import activity, clock, events, gold, names, tallies
from review_queue.projects import Setting, by_id

ANSWERS = ("accept", "correct", "reject")
"""The verdicts that answer a case; skip and escalate leave it open."""
KINDS = ("review", "audit", "second", "adjudication")


@dataclass(frozen=True, slots=True)
class Answer:
    """A label, or None where the item was rejected."""

    label: str | None
    verdict: str
    decision_id: int


@dataclass(frozen=True, slots=True)
class Place:
    """The item that an answer speaks of, as its producer knows it, and the routing that asked."""

    item_id: int
    name: str
    revision: int
    routing_n: int


@dataclass(frozen=True, slots=True)
class Stands:
    """The outcome that stands."""

    revision: int
    label: str | None
    source: str


def settle(session: Session, task: Task) -> None:
    """After an answer: write the outcome that follows, or ask for an adjudication. Call under a lock on the item's tasks.

    From gold nothing follows.
    """
    if task.kind == "gold":
        return
    setting = by_id(session, task.project_id)
    if task.kind in ("audit", "adjudication") and is_closed(session, task.item_id):
        return  # the producer wants no answer any more; what the check resolved is evidence all the same
    tasks = _tasks(session, task)
    answers = _answers(session, tasks)
    if task.requested is not None:
        _stand(session, setting, task, answers[task.id], "human")
        return
    by_kind = {kind: [t for t in tasks if t.kind == kind and t.requested is None] for kind in KINDS}
    said = {kind: _in_time(answers[t.id] for t in held if t.id in answers) for kind, held in by_kind.items()}
    corrects = setting.policy.audit.corrects or not by_kind["audit"]
    if said["adjudication"]:
        if task.kind == "adjudication":
            _stand(session, setting, task, said["adjudication"][-1], "adjudicated", corrects=corrects)
    elif task.kind == "audit":
        _stand(session, setting, task, said["audit"][-1], "human", corrects=corrects)
    elif by_kind["review"] and len(said["review"]) == len(by_kind["review"]):
        _agree(session, setting, task, said["review"], said["second"])


def _agree(session: Session, setting: Setting, task: Task, reviews: Sequence[Answer], seconds: Sequence[Answer]) -> None:
    """All required seats have answered: their answer stands, or a conflict opens an adjudication."""
    if len({answer.label for answer in reviews}) > 1:
        adjudicate(session, task)
        return
    if task.kind == "review":
        _stand(session, setting, task, reviews[-1], "human")
    if any(second.label != reviews[-1].label for second in seconds):
        adjudicate(session, task)


def _in_time(answers: Iterable[Answer]) -> list[Answer]:
    return sorted(answers, key=lambda answer: answer.decision_id)


def lock(session: Session, item_id: int) -> None:
    """Hold all tasks of the item, so that whoever answers last sees every answer."""
    session.execute(select(Task.id).where(Task.item_id == item_id).order_by(Task.id).with_for_update())


def first_answer(session: Session, task: Task, label: str | None) -> None:
    """A blind first answer is stored: resolve the draws that it resolves, once and for good. A requested one resolves none, nor
    does gold; what is looked at since two models differ is settled by the first."""
    if task.requested is not None or task.kind == "gold":
        return
    routed = session.get_one(Routing, (task.item_id, task.routing_n))
    if task.kind == "second":
        _resolve(session, task, "second", "blind", None)
        return
    if task.kind == "adjudication":
        _resolve(session, task, "evidence", "adjudicated", int(label != routed.label))
        return
    _resolve(session, task, "shadow", "blind", None)
    if not _is_open(session, task) or _adjudication(session, task) is not None:
        return  # the first blind answer counts: once it disputes the prediction, only the adjudicator settles it
    if label is not None and label == routed.label:
        _resolve(session, task, "evidence", "blind", 0)
    else:
        adjudicate(session, task)


def adjudicate(session: Session, task: Task) -> None:
    """Open the one adjudication of this routing, for a person who gave none of the answers; again where it was cancelled."""
    parts = {"item_id": task.item_id, "routing_n": task.routing_n, "kind": "adjudication", "seat": 1}
    if _revive(session, task):
        return
    if _adjudication(session, task) is None:
        shared = {"project_id": task.project_id, "rank": task.rank, "weight": task.weight, "due_at": task.due_at}
        fresh = {"blind": True, "state": "pending", "audience": "reviewers", "skips": 0, "made_at": clock.now()}
        session.execute(insert(Task).values(**parts, **shared, **fresh))
        tallies.add(session, task.project_id, open=1)


def reconsider(session: Session, task: Task) -> None:
    """After an answer was taken back: cancel the adjudication that nothing is left for, unless somebody holds or gave it."""
    tasks = _tasks(session, task)
    orphan = next((t for t in tasks if t.kind == "adjudication" and t.state == "pending"), None)
    if orphan is None or _is_disputed(session, task, tasks):
        return
    orphan.state, orphan.closed_at = "cancelled", clock.now()
    session.flush()
    tallies.add(session, task.project_id, open=-1)


def _is_disputed(session: Session, task: Task, tasks: Sequence[Task]) -> bool:
    """Whether answers that stand differ where all seats have answered, or a blind first one disputes an open draw."""
    answers = _answers(session, tasks)
    reviews = [t for t in tasks if t.kind == "review" and t.requested is None]
    said = {answers[t.id].label for t in tasks if t in reviews or t.kind == "second" if t.id in answers}
    if reviews and all(t.id in answers for t in reviews) and len(said) > 1:
        return True
    firsts = select(Decision.id).where(Decision.task_id.in_([t.id for t in tasks]), Decision.stage == "first")
    return _is_open(session, task) and session.scalar(firsts.limit(1)) is not None


def _revive(session: Session, task: Task) -> bool:
    query = update(Task).where(Task.item_id == task.item_id, Task.routing_n == task.routing_n, Task.kind == "adjudication")
    again = query.where(Task.state == "cancelled").values(state="pending", closed_at=None).returning(Task.id)
    revived = session.scalar(again) is not None
    tallies.add(session, task.project_id, open=int(revived))
    return revived


def _adjudication(session: Session, task: Task) -> int | None:
    query = select(Task.id).where(Task.item_id == task.item_id, Task.routing_n == task.routing_n)
    return session.scalar(query.where(Task.kind == "adjudication", Task.state != "cancelled"))


def resolve_overdue(session: Session, limit: int = 500) -> int:
    """Draws that nobody resolved in time count as errors; how many."""
    over = select(Draw).where(Draw.due_at < clock.now(), Draw.resolved_at.is_(None)).order_by(Draw.due_at).limit(limit)
    rows = session.scalars(over.with_for_update(skip_locked=True)).all()
    for row in rows:
        row.resolved_at, row.resolved_as = clock.now(), "overdue"
        row.loss = 1 if row.purpose == "evidence" else None
    return len(rows)


def resolve_by_truth(session: Session, truths: Mapping[int, str | None]) -> None:
    """What proved true of items resolves their open draws of evidence: an error where another label was predicted. A check that
    nobody holds, and that no other draw waits for, ends with it."""
    of_items = bulk.among(session, Draw.item_id, list(truths))
    query = select(Draw.item_id, Draw.n, Routing.label).join(Routing, (Routing.item_id == Draw.item_id) & (Routing.n == Draw.n))
    drawn = query.where(of_items, Draw.purpose == "evidence", Draw.resolved_at.is_(None)).order_by(Draw.item_id, Draw.n)
    for item_id, n, predicted in session.execute(drawn).tuples().all():
        lock(session, item_id)
        loss = int(truths[item_id] is None or truths[item_id] != predicted)
        _resolve_draw(session, item_id, n, "evidence", "truth", loss)
        _end_check(session, item_id, n)


def _end_check(session: Session, item_id: int, n: int) -> None:
    """Cancel the check of a routing that nothing waits for any more, unless somebody holds it."""
    waits = select(Draw.item_id).where(Draw.item_id == item_id, Draw.n == n, Draw.purpose == "shadow", Draw.resolved_at.is_(None))
    theirs = (Task.item_id == item_id, Task.routing_n == n, Task.kind == "audit", Task.requested.is_(None))
    ended = update(Task).where(*theirs, Task.state.in_(("pending", "parked")), ~waits.exists())
    gone = session.execute(ended.values(state="cancelled", closed_at=clock.now()).returning(Task.project_id)).first()
    if gone is not None:
        tallies.add(session, gone.project_id, open=-1)


def finish_with_first(session: Session, first: Decision) -> None:
    """The hold ended after a blind first answer: that answer becomes the final one."""
    lock(session, first.item_id)
    done = session.scalar(
        update(Task)
        .where(Task.id == first.task_id, Task.state == "in_progress")
        .values(state="completed", closed_at=clock.now())
        .returning(Task.id)
    )
    if done is None:
        return
    kept = ("project_id", "task_id", "item_id", "claim_id", "person_id", "recorded_by", "verdict", "label", "reason", "comment")
    row = {name: getattr(first, name) for name in (*kept, "seconds", "blind", "basis", "via", "request_hash")}
    earlier = select(func.max(Decision.id)).where(Decision.task_id == first.task_id, Decision.claim_id == first.claim_id)
    earlier = earlier.where(Decision.stage == "final")
    made = {"key": f"kept/{uuid4()}", "stage": "final", "supersedes_id": session.scalar(earlier), "decided_at": clock.now()}
    session.execute(insert(Decision).values(**row, **made))
    seen = {"decision": str(first.id), "verdict": first.verdict, "label": first.label, "blind": first.blind}
    activity.record(session, None, "decision.kept", f"item:{first.item_id}", project_id=first.project_id, after=seen)
    session.execute(update(Claim).where(Claim.id == first.claim_id).values(state="answered"))
    task = session.get_one(Task, first.task_id, populate_existing=True)
    predicted = session.get_one(Routing, (task.item_id, task.routing_n)).label
    counted = tallies.answered(first.verdict, first.basis, predicted)
    tallies.add(session, first.project_id, open=-1, decided=1, **counted)
    settle(session, task)


def revise(session: Session, task: Task, answer: Answer) -> None:
    """An answer stands whatever was said before, and goes out as a revision where it is another one."""
    _stand(session, by_id(session, task.project_id), task, answer, "human")


def is_closed(session: Session, item_id: int) -> bool:
    """Whether the producer replaced or cancelled the item."""
    return session.scalar(select(ItemKey.closed_at).where(ItemKey.item_id == item_id)) is not None


def standing(session: Session, item_id: int) -> Outcome | None:
    """The answer that stands for an item."""
    return session.scalar(select(Outcome).where(Outcome.item_id == item_id).order_by(Outcome.revision.desc()).limit(1))


def retract(session: Session, decision: Decision) -> bool:
    """Withdraw the outcome that rests on a decision, or on it and the other seats', if it has not left the house.

    False where it has: it stands until revised.
    """
    task = session.get_one(Task, decision.task_id)
    seats = select(Task.id).where(Task.item_id == task.item_id, Task.routing_n == task.routing_n, Task.kind == task.kind)
    alike = Task.requested.is_(None) if task.requested is None else Task.id == task.id
    beside = session.scalars(select(Decision.id).where(Decision.task_id.in_(seats.where(alike)))).all()
    gone = events.withdraw(session, decision.item_id, beside)
    stood = standing(session, decision.item_id)
    session.execute(delete(Outcome).where(Outcome.item_id == decision.item_id, Outcome.decision_id.in_(gone)))
    if gone:
        gold.doubt(session, decision.item_id)
    stands = standing(session, decision.item_id)
    counted = Counter([f"outcomes/{stands.source}"] if stands else [])
    counted.subtract([f"outcomes/{stood.source}"] if stood else [])
    tallies.add(session, task.project_id, **counted)
    return bool(gone)


def _stand(session: Session, setting: Setting, task: Task, answer: Answer, source: str, *, corrects: bool = True) -> None:
    """Make an answer the standing one, and say so; where it changes nothing, or may not, only say that it was given."""
    before = standing(session, task.item_id)
    now = Stands(before.revision, before.label, before.source) if before else None
    name, revision = session.execute(select(ItemKey.name, ItemKey.revision).where(ItemKey.item_id == task.item_id)).one()
    place = Place(task.item_id, name, revision, task.routing_n)
    rows, counted = stand(setting, place, now, answer, source, corrects=corrects)
    if source == "adjudicated":
        gold.learn(session, setting.id, task.item_id, answer.label)
    elif now is not None and now.label != answer.label and corrects:
        gold.doubt(session, task.item_id)
    run_all(session, [insertion(table, row) for table, row in [*rows, *tallies.rows(setting.id, counted)]])


def stand(
    setting: Setting, place: Place, before: Stands | None, answer: Answer, source: str, *, corrects: bool = True
) -> tuple[list[tuple[str, dict[str, Any]]], Counter[str]]:
    """The rows by which an answer becomes the standing one and its producer is told, and the counts that change with it;
    where it changes nothing, or may not, those that only say that it was given."""
    if before is not None and (before.label == answer.label or not corrects):
        kind = "confirmed" if before.label == answer.label else "disputed"
        return [("outbox", _told(setting, place, answer, source, kind, before.revision))], Counter()
    revision = before.revision + 1 if before is not None else 1
    row = {"item_id": place.item_id, "revision": revision, "project_id": setting.id, "label": answer.label, "source": source}
    kept = {"verdict": answer.verdict, "routing_n": place.routing_n, "decision_id": answer.decision_id, "decided_at": clock.now()}
    told = _told(setting, place, answer, source, "outcome" if revision == 1 else "revision", revision)
    counted = Counter({f"outcomes/{source}": 1})
    if before is not None:
        counted[f"outcomes/{before.source}"] -= 1
    return [("outcome", row | kept), ("outbox", told)], counted


def _told(setting: Setting, place: Place, answer: Answer, source: str, kind: str, revision: int) -> dict[str, Any]:
    """What leaves once the undo window has passed. `decision` is the last one that the answer rests on."""
    said = {"label": answer.label, "source": source, "verdict": answer.verdict, "decision": str(answer.decision_id)}
    body = {**names.event(place.name, place.revision), "revision": revision, "confidence": None, **said}
    now = clock.now()
    whole = {"project_id": setting.id, "kind": kind, "item_id": place.item_id, "body": body}
    return {**whole, "made_at": now, "ready_at": now + setting.policy.review.undo_window}


def _tasks(session: Session, task: Task) -> Sequence[Task]:
    """The seats of a routing; gold is none of them."""
    query = select(Task).where(Task.item_id == task.item_id, Task.routing_n == task.routing_n, Task.kind != "gold")
    return session.scalars(query.order_by(Task.id).execution_options(populate_existing=True)).all()


def _answers(session: Session, tasks: Sequence[Task]) -> dict[int, Answer]:
    """The standing final answer of each completed task."""
    done = [task.id for task in tasks if task.state == "completed"]
    query = select(Decision).where(Decision.task_id.in_(done), Decision.stage == "final", Decision.verdict.in_(ANSWERS))
    rows = session.scalars(query.order_by(Decision.id)).all()
    return {row.task_id: Answer(row.label, row.verdict, row.id) for row in rows}


def _is_open(session: Session, task: Task) -> bool:
    row = session.get(Draw, (task.item_id, task.routing_n, "evidence"), populate_existing=True)
    return row is not None and row.resolved_at is None


def _resolve(session: Session, task: Task, purpose: str, how: str, loss: int | None) -> None:
    _resolve_draw(session, task.item_id, task.routing_n, purpose, how, loss)


def _resolve_draw(session: Session, item_id: int, n: int, purpose: str, how: str, loss: int | None) -> None:
    still = (Draw.item_id == item_id, Draw.n == n, Draw.purpose == purpose, Draw.resolved_at.is_(None))
    session.execute(update(Draw).where(*still).values(resolved_at=clock.now(), resolved_as=how, loss=loss))

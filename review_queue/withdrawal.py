"""What the producer takes back: an item that is replaced by other content, or cancelled.

A replaced item stays as it was, under the same id for people; its place goes to the new revision, which is scored, routed
and drawn for itself. Whoever still works on the old one is told that their hold is over.
"""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.tables import Claim, ItemKey, Outbox, Outcome, Task, Work
from review_queue import activity, clock, events, explanations, intake, names, outcomes, tallies
from review_queue.activity import Actor
from review_queue.claims import TAKEN
from review_queue.errors import NotFound
from review_queue.intake import Receipt, Submission
from review_queue.projects import Setting
from review_queue.tallies import OPEN


def replace(session: Session, setting: Setting, submission: Submission, *, by: Actor | None) -> Receipt:
    """Put other content under an id: a new revision of the item. What is not there yet is taken as new.

    The content that stands already changes nothing; after a cancellation it makes the item live again. Where the new
    content cannot be taken, as its receipt says, the old one stands. Raises Full where the policy lets no more wait and what is
    replaced did not wait itself.
    """
    key = standing_key(session, setting.id, submission.external_id)
    if key is None:
        receipt = intake.accept(session, setting, [submission], by=by)[0]
        if receipt.new or receipt.state == "invalid":
            return receipt
        return replace(session, setting, submission, by=by)  # somebody sent the id at the same moment
    if key.closed_at is None and key.content_hash == submission.content_hash:
        return intake.accept(session, setting, [submission], by=by)[0]
    return _replace(session, setting, key, submission, by)


def cancel(session: Session, setting: Setting, external_id: str, *, by: Actor) -> Receipt:
    """Nobody wants an answer to an item any more; cancelling it twice is cancelling it once. Raises NotFound."""
    key = standing_key(session, setting.id, external_id)
    if key is None:
        raise NotFound(f"{setting.project.heading} has no {setting.project.noun} {external_id!r}")
    if key.closed_at is None:
        key.closed_at = clock.now()
        session.flush()
        _close(session, setting.id, key.item_id)
        body = names.event(external_id, key.revision)
        events.announce(session, setting.id, "cancelled", body, item_id=key.item_id)
        activity.record(session, by, "item.cancel", f"item:{key.item_id}", project_id=setting.id)
    return intake.standing(session, setting.id, [external_id])[external_id]


def standing_key(session: Session, project_id: int, external_id: str) -> ItemKey | None:
    """The standing key of an id, locked. Who waited for another replacement finds its new revision at the second look."""
    query = select(ItemKey).where(
        ItemKey.project_id == project_id, ItemKey.external_id == external_id, ItemKey.shown_id.is_(None)
    )
    looked = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(looked) or session.scalar(looked)


def _replace(session: Session, setting: Setting, key: ItemKey, submission: Submission, by: Actor | None) -> Receipt:
    item_id, name, revision = key.item_id, key.external_id, key.revision + 1
    with session.begin_nested() as tried:
        key.external_id, key.shown_id, key.closed_at = names.place(name, key.revision), name, key.closed_at or clock.now()
        session.flush()
        freed = _close(session, setting.id, item_id)
        receipt = intake.accept(session, setting, [submission], by=by, freed=freed)[0]
        if receipt.state == "invalid":
            tried.rollback()
            return receipt
        new_id = _number(session, setting.id, name, revision)
    events.announce(session, setting.id, "replaced", names.event(name, revision), item_id=item_id)
    before, after = {"item": str(item_id), "revision": revision - 1}, {"revision": revision}
    activity.record(session, by, "item.replace", f"item:{new_id}", project_id=setting.id, before=before, after=after)
    return receipt


def _number(session: Session, project_id: int, external_id: str, revision: int) -> int:
    ours = (ItemKey.project_id == project_id, ItemKey.external_id == external_id)
    return session.scalars(update(ItemKey).where(*ours).values(revision=revision).returning(ItemKey.item_id)).one()


def _close(session: Session, project_id: int, item_id: int) -> int:
    """End what waits for the item: its work, its tasks, and answers that have not left the house; how much waits no more.

    Checks of what acted alone stay open, with the adjudication of such a check: their answers are evidence, of which the
    producer is told nothing; one that is parked until the item changes comes back now. Other draws that nobody can answer
    any more run to their due time, and count as errors then.
    """
    scored = delete(Work).where(Work.item_id == item_id, Work.kind == "score").returning(Work.item_id)
    unscored = len(session.scalars(scored).all())  # first: a batch that routes the item now is waited for
    claims, tasks = _holds(session, item_id), _tasks(session, item_id)
    audited = {task.routing_n for task in tasks if task.kind == "audit"}
    left = [task for task in tasks if task.state in OPEN]
    ended = [task for task in left if task.kind not in ("audit", "adjudication") or task.routing_n not in audited]
    if len(ended) == len(left):
        explanations.withdraw(session, item_id)
        session.execute(delete(Work).where(Work.item_id == item_id))
    _end(session, ended, claims)
    _date(session, [task for task in left if task not in ended])
    tallies.add(session, project_id, unscored=-unscored, open=-len(ended))
    _unsay(session, project_id, item_id)
    return unscored + len(ended)


def end(session: Session, project_id: int, item_id: int) -> None:
    """End all that waits for an item, checks among it: nobody can answer it any more. Draws run to their due time."""
    kinds = session.scalars(delete(Work).where(Work.item_id == item_id).returning(Work.kind)).all()
    claims, tasks = _holds(session, item_id), _tasks(session, item_id)
    ended = [task for task in tasks if task.state in OPEN]
    _end(session, ended, claims)
    tallies.add(session, project_id, unscored=-kinds.count("score"), open=-len(ended))


def _holds(session: Session, item_id: int) -> Sequence[Claim]:
    """Who holds a task of the item, locked before the tasks are: in the order in which a decision locks them."""
    query = select(Claim).where(Claim.item_id == item_id, Claim.state.in_(TAKEN)).order_by(Claim.id).with_for_update()
    session.scalars(query).all()
    outcomes.lock(session, item_id)
    rows = session.scalars(query.execution_options(populate_existing=True))  # with who came before the tasks were locked
    return [row for row in rows if row.state == "held"]


def _tasks(session: Session, item_id: int) -> Sequence[Task]:
    query = select(Task).where(Task.item_id == item_id).order_by(Task.id)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _end(session: Session, ended: Sequence[Task], claims: Sequence[Claim]) -> None:
    """Cancel tasks and the holds on them: whoever answers by an old token is refused."""
    now = clock.now()
    for task in ended:
        task.state, task.closed_at = "cancelled", now
    for claim in claims:
        if claim.task_id in {task.id for task in ended}:
            claim.state, claim.closed_at = "released", now
    session.flush()


def _date(session: Session, stays: Sequence[Task]) -> None:
    """What is parked until the item changes is due: this is the change."""
    for task in stays:
        if task.state == "parked" and task.parked_until is None:
            task.parked_until = clock.now()
    session.flush()


def _unsay(session: Session, project_id: int, item_id: int) -> None:
    """Withdraw what waits for its undo window, with the outcomes that it tells, and all that was to follow it."""
    query = select(Outbox).where(Outbox.item_id == item_id).order_by(Outbox.id).with_for_update()
    rows = session.scalars(query).all()
    begin = next((n for n, row in enumerate(rows) if row.ready_at > clock.now()), len(rows))
    gone = [row for row in rows[begin:] if "decision" in row.body]
    session.execute(delete(Outbox).where(Outbox.id.in_([row.id for row in gone])))
    said = [row.body["revision"] for row in gone if row.kind in ("outcome", "revision")]
    before = _source(session, item_id)
    session.execute(delete(Outcome).where(Outcome.item_id == item_id, Outcome.revision.in_(said)))
    after = _source(session, item_id)
    if before != after:
        tallies.add(session, project_id, **{f"outcomes/{each}": n for each, n in ((before, -1), (after, 1)) if each})


def _source(session: Session, item_id: int) -> str | None:
    query = select(Outcome.source).where(Outcome.item_id == item_id)
    return session.scalar(query.order_by(Outcome.revision.desc()).limit(1))

"""One verdict on many cases: counted and sampled first, done in small batches, taken back as a whole.

Only plain reviews are ever among them, that nobody holds and of whose item nothing else was or is to be answered. Drawn cases,
those that are to be answered blind, second opinions, disputes and checks stay with people who look. The labels have the basis
`bulk`: they are no evidence and weigh nothing.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, and_, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from contract.canonical import content_hash
from contract.files import nearest
from db.bulk import among, put
from db.tables import Activity, Bulk, BulkDecision, Claim, Decision, ItemKey, Outbox, Outcome, Person, Routing, Task
from review_queue import activity, claims, clock, decisions, filters, lists, outcomes, tallies
from review_queue.activity import Actor
from review_queue.decisions import MAX_KEY
from review_queue.errors import Forbidden, Invalid, KeyReused, NotFound, Refused
from review_queue.filters import Filter
from review_queue.outcomes import Answer, Place, Stands
from review_queue.projects import Setting

Verdict = Literal["accept", "correct", "reject"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
BATCH = 200
"""Cases of one transaction."""
MOST = 10_000
"""Cases of one act."""
UNDOING = "undoing"
"""Beside the filter of an act while it is being taken back."""
SAMPLE = 8
"""Cases that a preview shows."""
LEFT = {
    "blind": "to be answered blind, whatever was predicted",
    "held": "held by somebody",
    "parked": "parked",
    "others": "for several people to answer, or somebody asked for a look",
    "assigned": "another person's to take",
    "yours": "answered or skipped by you before",
    "unpredicted": "without a prediction to accept",
    "same": "predicted as that already: accept them",
}
"""Why a case that fits the filter is left out of an act."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be said of all. `label` goes with correct; `reason` is one of the project's."""

    verdict: Verdict
    label: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A case of the sample, with what was predicted."""

    item_id: int
    external_id: str
    since: datetime
    label: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Counted:
    """A stretch of a preview. `fit`: cases of the act; `left`: others, by why; `upto`: the newest task there was, beyond which an
    act does not go; `after`: where the next stretch begins, None at the end."""

    fit: int = 0
    left: Counter[str] = field(default_factory=Counter)
    sample: tuple[Seen, ...] = ()
    upto: int = 0
    after: str | None = None

    def __add__(self, more: "Counted") -> "Counted":
        sample = (*self.sample, *more.sample)[:SAMPLE]
        return Counted(self.fit + more.fit, self.left + more.left, sample, self.upto or more.upto, more.after)


@dataclass(frozen=True, slots=True)
class Act:
    """One act over many cases: `done` of the `asked` were decided. Up to `safe_until` nothing of it has left the house.
    `is_half_undone`: taking it back was broken off."""

    id: int
    key: str
    person: str
    person_id: int
    query: str
    verdict: str
    label: str | None
    reason: str | None
    asked: int
    done: int
    made_at: datetime
    undone_at: datetime | None
    safe_until: datetime
    is_half_undone: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch did; `after`: where the next one begins, None at the end."""

    done: int
    after: str | None


@dataclass(frozen=True, slots=True)
class Undone:
    """What one batch took back. Of `withdrawn` nothing had left the house; `kept` stay as they are: somebody answered them
    since, or the producer took them back. `after`: where the next batch begins, None at the end."""

    back: int = 0
    withdrawn: int = 0
    kept: int = 0
    after: int | None = None

    def __add__(self, more: "Undone") -> "Undone":
        return Undone(self.back + more.back, self.withdrawn + more.withdrawn, self.kept + more.kept, more.after)


# Looking


def look(session: Session, setting: Setting, actor: Actor, held: Filter, wish: Wish, *, after: str | None = None) -> Counted:
    """The next stretch of a preview: exact counts and a few cases. Raises Forbidden, Invalid."""
    _check(setting, actor, wish)
    walk, where = filters.walk(session, setting, held), lists.place(held, after)
    near, plain = lists.window(walk, where), held.without_prediction()
    blind = [*filters.conditions(session, setting, plain, actor), filters.blind()]
    left = Counter(blind=session.scalar(lists.joined(select(func.count()), near, plain).where(*blind)) or 0)
    fits, why = [*filters.conditions(session, setting, held, actor), ~filters.blind()], _why(actor, wish)
    grouped = _joined(select(why, func.count()), near, held).where(*fits).group_by(why)
    found = dict(session.execute(grouped).tuples().all())
    fit, end = found.pop(None, 0), lists.end(session, walk, where)
    sample = _sample(session, _joined(_SAMPLE, near, held).where(*fits, why.is_(None)).order_by(walk.key, Task.id)) if fit else ()
    upto = session.scalar(select(func.max(Task.id))) or 0
    return Counted(fit, +(left + Counter(found)), sample, upto, lists.written(end) if end else None)


_SAMPLE = select(Task.item_id, ItemKey.name, Task.made_at, Routing.label, Routing.confidence)


def _sample(session: Session, query: Select[*tuple[Any, ...]]) -> tuple[Seen, ...]:
    return tuple(Seen(*row) for row in session.execute(query.limit(SAMPLE)).tuples())


def _joined(query: Select[*tuple[Any, ...]], near: Select[int], held: Filter) -> Select[*tuple[Any, ...]]:
    """A query over a window with the filter's tables, and what was predicted in any case."""
    whole = lists.joined(query, near, held)
    return whole if held.by_prediction else whole.join(Routing, lists.ROUTED)


def _why(actor: Actor, wish: Wish) -> ColumnElement[str | None]:
    """Why a task that fits the filter is left out of an act; NULL where it is not."""
    other = aliased(Task)
    several = exists().where(other.item_id == Task.item_id, other.id != Task.id).correlate(Task)
    mine = exists().where(Claim.item_id == Task.item_id, Claim.person_id == actor.id, Claim.state.in_(claims.TAKEN))
    said = {"accept": (Routing.label.is_(None), "unpredicted"), "correct": (Routing.label == wish.label, "same")}
    return case(
        (Task.state == "in_progress", "held"),
        (Task.state == "parked", "parked"),
        (or_(Task.kind != "review", Task.requested.is_not(None), several), "others"),
        (and_(Task.assignee_id.is_not(None), Task.assignee_id != actor.id, filters.still()), "assigned"),
        (mine.correlate(Task), "yours"),
        *([said[wish.verdict]] if wish.verdict in said else []),
    )


# Acting


def begin(session: Session, setting: Setting, actor: Actor, key: str, held: Filter, wish: Wish, *, asked: int, upto: int) -> Act:
    """Write down what is to be done, as a preview counted it; a retry with the same key finds what it wrote.

    Raises Forbidden, Invalid, KeyReused.
    """
    _check(setting, actor, wish)
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise Invalid(f"the key must have 1 to {MAX_KEY} characters that can be printed; a UUID serves")
    if not 0 < asked <= MOST:
        raise Invalid(
            f"{asked:,} cases are too {'few' if asked < 1 else 'many'}: from 1 to {MOST:,} go at a time; narrow the filter"
        )
    said = {"verdict": wish.verdict, "label": wish.label, "reason": wish.reason, "asked": asked}
    body = {"query": filters.write(held), "upto": upto}
    if known := session.scalar(select(Bulk).where(Bulk.key == key)):
        same = {name: getattr(known, name) for name in said} == said and known.filter == body
        if known.person_id != actor.id or known.project_id != setting.id or not same:
            raise KeyReused("this key came with another act before; make a new key for a new act")
        return get(session, setting, known.id)
    row = {"key": key, "project_id": setting.id, "person_id": actor.id, "filter": body, "done": 0, "made_at": clock.now(), **said}
    act_id = session.scalars(insert(Bulk).returning(Bulk.id), row).one()
    activity.record(session, actor, f"bulk.{wish.verdict}", f"bulk:{act_id}", project_id=setting.id, after={**said, **body})
    return get(session, setting, act_id)


def step(session: Session, setting: Setting, actor: Actor, act_id: int, *, after: str | None = None) -> Step:
    """Decide the next cases of an act, at most BATCH; what somebody took meanwhile is passed by.

    Raises NotFound, Forbidden for another's act, Refused where it was taken back.
    """
    act = _mine(session, setting, actor, act_id)
    wish = Wish(act.verdict, act.label, act.reason)  # type: ignore[arg-type]
    _check(setting, actor, wish)
    held, room = filters.read(setting, act.filter["query"]), min(BATCH, act.asked - act.done)
    walk, where = filters.walk(session, setting, held), lists.place(held, after)
    for _ in range(lists.LOOKS):
        if room <= 0:
            return Step(0, None)
        fits = [*filters.conditions(session, setting, held, actor), ~filters.blind(), _why(actor, wish).is_(None)]
        query = _joined(select(walk.key, *_TAKEN), lists.window(walk, where), held).where(*fits, Task.id <= act.filter["upto"])
        found = session.execute(_locked(query.order_by(walk.key, Task.id).limit(room))).all()
        if found:
            _decide(session, setting, actor, act, wish, [_Taken(*row[1:]) for row in found])
            return Step(len(found), lists.written((found[-1][0], found[-1][1])))
        if (where := lists.end(session, walk, where)) is None:
            return Step(0, None)
    return Step(0, lists.written(where) if where else None)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A task of a batch with its item and what was predicted."""

    task_id: int
    item_id: int
    routing_n: int
    name: str
    revision: int
    predicted: str | None


_TAKEN = (Task.id, Task.item_id, Task.routing_n, ItemKey.name, ItemKey.revision, Routing.label)


def _locked(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return query.with_for_update(of=Task, skip_locked=True)


def _decide(session: Session, setting: Setting, actor: Actor, act: Bulk, wish: Wish, found: Sequence[_Taken]) -> None:
    """Claims, answers, outcomes and what the producer is told, of all tasks of a batch."""
    now, tasks = clock.now(), [each.task_id for each in found]
    held = _claims(session, actor, act, found, now)
    said = _decisions(session, actor, act, wish, found, held, now)
    session.execute(update(Task).where(among(session, Task.id, tasks)).values(state="completed", closed_at=now))
    put(session, BulkDecision, decision_id=list(said.values()), bulk_id=act.id)
    counted = _outcomes(session, setting, wish, found, said)
    act.done += len(found)
    session.flush()
    counted.update(decided=len(found), open=-len(found))
    tallies.add(session, setting.id, **counted)
    _note(
        session, actor, "decision.bulk", setting.id, "after", [(each.item_id, _told(act, said[each.task_id])) for each in found]
    )


def _claims(session: Session, actor: Actor, act: Bulk, found: Sequence[_Taken], now: datetime) -> dict[int, int]:
    """A hold that has ended for each task; its id by task."""
    shared = {"person_id": actor.id, "session": f"bulk:{act.id}", "state": "answered"}
    times = {"taken_at": now, "expires_at": now, "closed_at": now}
    rows = [
        {"task_id": each.task_id, "item_id": each.item_id, "token": secrets.token_urlsafe(18), **shared, **times}
        for each in found
    ]
    made = session.execute(insert(Claim).returning(Claim.task_id, Claim.id), rows)
    return dict(made.tuples().all())


def _decisions(
    session: Session, actor: Actor, act: Bulk, wish: Wish, found: Sequence[_Taken], held: dict[int, int], now: datetime
) -> dict[int, int]:
    """The answer to each task; its id by task."""
    earlier = _earlier(session, [each.task_id for each in found])
    rows = [
        {
            "key": f"bulk/{act.id}/{each.task_id}",
            "request_hash": content_hash({"bulk": str(act.id), "task": str(each.task_id)}),
            "project_id": act.project_id,
            "task_id": each.task_id,
            "item_id": each.item_id,
            "claim_id": held[each.task_id],
            "person_id": actor.id,
            "recorded_by": actor.recorded_by,
            "stage": "final",
            "verdict": wish.verdict,
            "label": _label(wish, each),
            "reason": wish.reason,
            "blind": False,
            "basis": "bulk",
            "supersedes_id": earlier.get(each.task_id),
            "via": actor.via,
            "decided_at": now,
        }
        for each in found
    ]
    return dict(session.execute(insert(Decision).returning(Decision.task_id, Decision.id), rows).tuples().all())


def _earlier(session: Session, tasks: Sequence[int]) -> dict[int, int]:
    """The last answer to each task that was taken back and that nothing supersedes yet."""
    later = aliased(Decision)
    query = select(Decision.task_id, func.max(Decision.id)).where(among(session, Decision.task_id, tasks))
    said = query.where(Decision.stage == "final", Decision.verdict.in_(outcomes.ANSWERS))
    free = said.where(~exists().where(later.supersedes_id == Decision.id)).group_by(Decision.task_id)
    return dict(session.execute(free).tuples().all())


def _label(wish: Wish, each: _Taken) -> str | None:
    return {"accept": each.predicted, "correct": wish.label, "reject": None}[wish.verdict]


def _outcomes(session: Session, setting: Setting, wish: Wish, found: Sequence[_Taken], said: dict[int, int]) -> Counter[str]:
    """What stands from now on, held back until an act can no longer be taken back; the counts that change with it."""
    review, stands, counted = setting.policy.review, _standing(session, [each.item_id for each in found]), Counter[str]()
    made: dict[str, list[dict[str, Any]]] = {"outcome": [], "outbox": []}
    later = clock.now() + max(review.undo_window, review.bulk_undo)
    for each in found:
        place = Place(each.item_id, each.name, each.revision, each.routing_n)
        answer = Answer(_label(wish, each), wish.verdict, said[each.task_id])
        rows, more = outcomes.stand(setting, place, stands.get(each.item_id), answer, "human")
        counted.update(more)
        for table, row in rows:
            made[table].append(row | ({"ready_at": later} if table == "outbox" else {}))
    for table, kind in (("outcome", Outcome), ("outbox", Outbox)):
        if made[table]:
            put(session, kind, **{name: [row[name] for row in made[table]] for name in made[table][0]})
    return counted


def _standing(session: Session, items: Sequence[int]) -> dict[int, Stands]:
    columns = (Outcome.item_id, Outcome.revision, Outcome.label, Outcome.source)
    rows = session.execute(select(*columns).where(among(session, Outcome.item_id, items)).order_by(Outcome.revision)).tuples()
    return {item_id: Stands(*stood) for item_id, *stood in rows}  # type: ignore[arg-type]


# Taking back


def undo(session: Session, setting: Setting, actor: Actor, act_id: int, *, after: int = 0) -> Undone:
    """Take back the next answers of an act, at most BATCH; its cases wait again. What has left the house stands until somebody
    answers anew. The first batch ends the act. For whoever did it, and for owners. Raises NotFound, Forbidden."""
    act = _act(session, setting, act_id)
    if act.person_id != actor.id and not actor.at_least("owner"):
        raise Forbidden("what somebody else decided at once is theirs, or an owner's, to take back")
    if act.undone_at is None:
        act.undone_at, act.filter = clock.now(), {**act.filter, UNDOING: True}
        session.flush()
        activity.record(session, actor, "bulk.undo", f"bulk:{act_id}", project_id=setting.id, before={"done": act.done})
    query = select(BulkDecision.decision_id).where(BulkDecision.bulk_id == act_id, BulkDecision.decision_id > after)
    ids = session.scalars(query.order_by(BulkDecision.decision_id).limit(BATCH)).all()
    plain = _plain(session, ids)
    found = _take_back_all(session, setting, actor, plain) if plain else Undone()
    for decision_id in set(ids).difference(each.decision_id for each in plain):
        found += _take_back(session, setting, actor, session.get_one(Decision, decision_id))
    if len(ids) < BATCH:
        act.filter = {name: value for name, value in act.filter.items() if name != UNDOING}
        session.flush()
    return found + Undone(after=ids[-1] if len(ids) == BATCH else None)


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer of an act that still stands alone on its item."""

    decision_id: int
    item_id: int
    task_id: int
    claim_id: int
    at: datetime


def _plain(session: Session, ids: Sequence[int]) -> list[_Said]:
    """Of these answers, those that nothing followed: they are taken back together. Their items' tasks are locked first, so that
    whatever came in between is seen."""
    items = session.scalars(select(Decision.item_id).where(among(session, Decision.id, ids))).all()
    session.execute(select(Task.id).where(among(session, Task.item_id, items)).order_by(Task.id).with_for_update())
    later, other = aliased(Decision), aliased(Task)
    query = select(Decision.id, Decision.item_id, Task.id, Claim.id, Decision.decided_at).join(Task, Task.id == Decision.task_id)
    query = query.join(Claim, Claim.id == Decision.claim_id).join(ItemKey, ItemKey.item_id == Decision.item_id)
    stands = (Claim.state == "answered", Task.state == "completed", ItemKey.closed_at.is_(None))
    alone = (
        ~exists().where(later.supersedes_id == Decision.id).correlate(Decision),
        ~exists().where(other.item_id == Decision.item_id, other.id != Decision.task_id).correlate(Decision),
    )
    rows = session.execute(query.where(among(session, Decision.id, ids), *stands, *alone).order_by(Decision.id))
    return [_Said(*row) for row in rows.tuples()]


def _take_back_all(session: Session, setting: Setting, actor: Actor, said: Sequence[_Said]) -> Undone:
    """The tasks wait again; what has not left the house is withdrawn with the outcomes that it tells."""
    now, gone = clock.now(), _unsaid(session, said)
    counted = _unstood(session, [each for each in said if each.decision_id in gone])
    over, again = {"state": "released", "closed_at": now}, {"state": "pending", "closed_at": None}
    unsynced = {"synchronize_session": False}
    claims_, tasks = [each.claim_id for each in said], [each.task_id for each in said]
    session.execute(update(Claim).where(among(session, Claim.id, claims_)).values(over), execution_options=unsynced)
    session.execute(update(Task).where(among(session, Task.id, tasks)).values(again), execution_options=unsynced)
    counted.update(open=len(said))
    tallies.add(session, setting.id, **counted)
    for day, n in Counter(tallies.day_of(each.at) for each in said).items():
        tallies.add(session, setting.id, day, decided=-n)
    told = [(each.item_id, {"decision": str(each.decision_id), "basis": "bulk"}) for each in said]
    _note(session, actor, "decision.undo", setting.id, "before", told)
    return Undone(len(said), len(gone))


def _unsaid(session: Session, said: Sequence[_Said]) -> set[int]:
    """Take what these answers announced out of the outbox, where it is the last that waits there of its item; whose it was."""
    by_item = {each.item_id: each.decision_id for each in said}
    query = select(Outbox.id, Outbox.item_id, Outbox.body).where(among(session, Outbox.item_id, list(by_item)))
    last = {item_id: (row_id, body) for row_id, item_id, body in session.execute(query.order_by(Outbox.id)).tuples() if item_id}
    theirs = {item_id: row_id for item_id, (row_id, body) in last.items() if body.get("decision") == str(by_item[item_id])}
    gone = delete(Outbox).where(among(session, Outbox.id, list(theirs.values()))).returning(Outbox.item_id)
    left = session.scalars(gone, execution_options={"synchronize_session": False}).all()
    return {by_item[item_id] for item_id in left if item_id is not None}


def _unstood(session: Session, said: Sequence[_Said]) -> Counter[str]:
    """Delete the outcomes that rest on these answers; the counts that change with it."""
    items, ids = [each.item_id for each in said], {each.decision_id for each in said}
    before = _sources(session, items)
    gone = delete(Outcome).where(among(session, Outcome.item_id, items), among(session, Outcome.decision_id, sorted(ids)))
    session.execute(gone, execution_options={"synchronize_session": False})
    counted = Counter(f"outcomes/{source}" for source in _sources(session, items).values())
    counted.subtract(f"outcomes/{source}" for source in before.values())
    return counted


def _sources(session: Session, items: Sequence[int]) -> dict[int, str]:
    return {item_id: each.source for item_id, each in _standing(session, items).items()}


def _take_back(session: Session, setting: Setting, actor: Actor, row: Decision) -> Undone:
    outcomes.lock(session, row.item_id)
    task = session.get_one(Task, row.task_id, populate_existing=True)
    held = session.get_one(Claim, row.claim_id, populate_existing=True)
    if held.state != "answered":
        return Undone()  # taken back by an earlier try
    if not decisions.may_reopen(session, task, held, row):
        return Undone(kept=1)
    left = not outcomes.retract(session, row)
    now = clock.now()
    held.state, held.closed_at, task.state, task.closed_at = "released", now, "pending", None
    session.flush()
    tallies.add(session, setting.id, open=1)
    tallies.add(session, setting.id, tallies.day_of(row.decided_at), decided=-1)
    _note(session, actor, "decision.undo", setting.id, "before", [(row.item_id, {"decision": str(row.id), "basis": "bulk"})])
    return Undone(1, int(not left))


# Acts


def get(session: Session, setting: Setting, act_id: int) -> Act:
    """One act. Raises NotFound."""
    found = _acts(session, setting, select(Bulk, Person.name).where(Bulk.id == act_id, Bulk.project_id == setting.id))
    if not found:
        raise _unknown(act_id)
    return found[0]


def recent(session: Session, setting: Setting, limit: int = 5) -> list[Act]:
    """The latest acts of a project, newest first."""
    query = select(Bulk, Person.name).where(Bulk.project_id == setting.id)
    return _acts(session, setting, query.order_by(Bulk.id.desc()).limit(limit))


def _acts(session: Session, setting: Setting, query: Select[Bulk, str]) -> list[Act]:
    review = setting.policy.review
    window = max(review.undo_window, review.bulk_undo)
    rows = session.execute(query.join(Person, Person.id == Bulk.person_id)).tuples()
    return [
        Act(
            row.id,
            row.key,
            name,
            row.person_id,
            row.filter["query"],
            row.verdict,
            row.label,
            row.reason,
            row.asked,
            row.done,
            row.made_at,
            row.undone_at,
            row.made_at + window,
            UNDOING in row.filter,
        )
        for row, name in rows
    ]


def _act(session: Session, setting: Setting, act_id: int) -> Bulk:
    """The act, locked, so that its batches come one after the other."""
    query = select(Bulk).where(Bulk.id == act_id, Bulk.project_id == setting.id)
    act = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if act is None:
        raise _unknown(act_id)
    return act


def _mine(session: Session, setting: Setting, actor: Actor, act_id: int) -> Bulk:
    act = _act(session, setting, act_id)
    if act.person_id != actor.id:
        raise Forbidden("somebody else began this act; begin one of your own")
    if act.undone_at is not None:
        raise Refused("this act was taken back; begin a new one")
    return act


def _unknown(act_id: int) -> NotFound:
    return NotFound(f"there is no act {act_id} over many cases here; `signoff queue acts` shows them")


def _check(setting: Setting, actor: Actor, wish: Wish) -> None:
    if not actor.at_least("lead"):
        raise Forbidden("deciding many cases at once is for leads")
    if wish.verdict not in VERDICTS:
        raise Invalid(f"{wish.verdict!r} is no verdict for many cases{nearest(wish.verdict, VERDICTS)}")
    if (wish.label is not None) != (wish.verdict == "correct"):
        raise Invalid("correct needs the label that is right" if wish.verdict == "correct" else "a label goes with correct alone")
    if wish.label is not None and wish.label not in setting.project.labels:
        raise Invalid(f"the project has no label {wish.label!r}{nearest(wish.label, setting.project.labels)}")
    reasons = setting.project.reasons_for(wish.verdict)
    if wish.reason is not None and wish.reason not in reasons:
        raise Invalid(f"{wish.reason!r} is no reason to {wish.verdict} in this project{nearest(wish.reason, reasons)}")
    if wish.verdict == "reject" and wish.reason is None and reasons:
        raise Invalid(f"a rejection needs a reason: {', '.join(reasons)}")


def _told(act: Bulk, decision_id: int) -> dict[str, Any]:
    return {"decision": str(decision_id), "bulk": str(act.id), "verdict": act.verdict, "label": act.label}


def _note(
    session: Session, actor: Actor, verb: str, project_id: int, when: str, told: Sequence[tuple[int, dict[str, Any]]]
) -> None:
    """A line in the activity of each item."""
    made = [activity.row(actor, verb, f"item:{item_id}", project_id, **{when: said}) for item_id, said in told]
    put(session, Activity, **{name: [row[name] for row in made] for name in made[0]})

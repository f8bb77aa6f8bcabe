"""Leases: one person's hold on one task. The database allows one held claim per task and one per person and item."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import BindParameter, bindparam, exists, insert, or_, select, text, update
from sqlalchemy.orm import Session

from db.statements import Row, run
from db.tables import Claim, Decision, ItemKey, Person, Project, Task
from db.types import moment
from review_queue import activity, clock, outcomes
from review_queue.activity import Actor
from review_queue.errors import AlreadyDecided, ClaimExpired, Forbidden, NotFound
from review_queue.projects import by_id

MOST = 10
"""Cases that one session may hold at once."""
TAKEN: BindParameter[Sequence[str]] = bindparam("taken", ("held", "answered", "skipped"), expanding=True, literal_execute=True)
"""States in which a claim keeps its person from the item's other seats. Written out in the statement: SQLite matches a
partial index to words, not to parameters, and would scan every claim there ever was."""


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that stands."""

    task_id: int
    item_id: int
    token: str
    expires_at: datetime
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds what, for leads."""

    task_id: int
    external_id: str
    person: str
    since: datetime
    expires_at: datetime


def claim(session: Session, project_id: int, actor: Actor, session_name: str, count: int, lease: timedelta) -> list[Held]:
    """What this person holds in this session, topped up to `count` (at most 10); every lease is renewed.

    Raises Forbidden for viewers, NotFound where the project is closed to them.
    """
    if not actor.within(project_id).at_least("reviewer"):
        raise Forbidden("a viewer looks on; deciding cases is for reviewers and up")
    wanted, until = min(count, MOST), clock.now() + lease
    while True:
        mine, more = _turn(session, project_id, actor, session_name, wanted, until)
        if len(mine) >= wanted or not more:
            return mine


def held(session: Session, project_id: int, actor: Actor, session_name: str) -> list[Held]:
    """The standing claims of a session, in the order they were taken."""
    query = (
        select(Claim)
        .join(Task, Task.id == Claim.task_id)
        .where(Claim.person_id == actor.id, Claim.session == session_name, Claim.state == "held", Task.project_id == project_id)
        .order_by(Claim.id)
        .execution_options(populate_existing=True)
    )
    return [Held(c.task_id, c.item_id, c.token, c.expires_at, c.taken_at) for c in session.scalars(query)]


def heartbeat(session: Session, actor: Actor, tokens: Sequence[str], lease: timedelta) -> list[str]:
    """Renew the leases; the tokens that are lost."""
    renewed = session.scalars(
        update(Claim)
        .where(Claim.token.in_(tokens), Claim.person_id == actor.id, Claim.state == "held")
        .values(expires_at=clock.now() + lease)
        .returning(Claim.token)
    ).all()
    return [token for token in tokens if token not in set(renewed)]


def release(session: Session, actor: Actor, tokens: Sequence[str]) -> int:
    """Give tasks back untouched; how many. A blind task that was answered already is finished with that answer."""
    now = clock.now()
    ended = session.execute(
        update(Claim)
        .where(Claim.token.in_(tokens), Claim.person_id == actor.id, Claim.state == "held")
        .values(state="released", closed_at=now)
        .returning(Claim.id, Claim.task_id)
    ).all()
    return _reopen(session, [(row.id, row.task_id) for row in ended])


def release_of(session: Session, task_id: int, *, by: Actor) -> None:
    """A lead takes a task from whoever holds it. Raises Forbidden, NotFound."""
    if not by.at_least("lead"):
        raise Forbidden("releasing what somebody else holds is for leads")
    row = session.execute(
        update(Claim)
        .where(Claim.task_id == task_id, Claim.state == "held")
        .values(state="released", closed_at=clock.now())
        .returning(Claim.id, Claim.task_id, Claim.person_id)
    ).first()
    if row is None:
        raise NotFound(f"nobody holds task {task_id}")
    project_id = session.scalar(select(Task.project_id).where(Task.id == task_id))
    activity.record(session, by, "task.release", f"task:{task_id}", project_id=project_id, before={"person": row.person_id})
    _reopen(session, [(row.id, row.task_id)])


def take_back(session: Session, person_id: int, project_id: int | None = None) -> int:
    """What somebody holds, or is to have first, goes back to all, in one project or in every one; how many they held."""
    theirs = select(Claim.id).join(Task, Task.id == Claim.task_id).where(Claim.person_id == person_id, Claim.state == "held")
    theirs = theirs if project_id is None else theirs.where(Task.project_id == project_id)
    ended = session.execute(
        update(Claim)
        .where(Claim.id.in_(theirs))
        .values(state="released", closed_at=clock.now())
        .returning(Claim.id, Claim.task_id),
        execution_options={"synchronize_session": False},
    ).all()
    places = [project_id] if project_id is not None else session.scalars(select(Project.id)).all()
    for project, state in product(places, (text("state = 'pending'"), text("state = 'parked'"))):
        first = update(Task).where(state, Task.project_id == project, Task.assignee_id == person_id, Task.kind != "gold")
        session.execute(first.values(assignee_id=None, assigned_until=None), execution_options={"synchronize_session": False})
    return _reopen(session, [(row.id, row.task_id) for row in ended])


def expire(session: Session, limit: int = 500) -> int:
    """Hand the tasks of run-out leases back to all; how many."""
    now = clock.now()
    over = (
        select(Claim.id)
        .where(Claim.state == "held", Claim.expires_at < now)
        .order_by(Claim.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ended = session.execute(
        update(Claim).where(Claim.id.in_(over)).values(state="expired", closed_at=now).returning(Claim.id, Claim.task_id),
        execution_options={"synchronize_session": False},
    ).all()
    return _reopen(session, [(row.id, row.task_id) for row in ended])


def require(session: Session, actor: Actor, task_id: int, token: str) -> tuple[Claim, Task]:
    """The claim and task behind a token, locked, for a decision of this person.

    A lease that ran out is taken up again while nobody else has the task and this person no other seat of the item;
    what was handed back or taken away is not. Raises ClaimExpired, AlreadyDecided.
    """
    claim_query = select(Claim).where(Claim.token == token, Claim.task_id == task_id, Claim.person_id == actor.id)
    row = session.scalar(claim_query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise ClaimExpired("this token does not hold the task; claim it again")
    outcomes.lock(session, row.item_id)
    task = session.get_one(Task, task_id, populate_existing=True)
    if row.state in ("answered", "skipped", "escalated"):
        raise AlreadyDecided("this was decided already, under another key")
    if row.state != "held":
        _take_up(session, row, task)
    return row, task


def _take_up(session: Session, row: Claim, task: Task) -> None:
    if row.state != "expired" or task.state != "pending" or has_seat(session, row.item_id, row.person_id):
        raise ClaimExpired("the case is no longer yours and somebody else may have it by now; what you typed was not stored")
    lease = by_id(session, task.project_id).policy.review.lease
    row.state, row.closed_at, row.expires_at, task.state = "held", None, clock.now() + lease, "in_progress"
    session.flush()


def hand(session: Session, task: Task, actor: Actor, session_name: str, lease: timedelta) -> Claim:
    """Give a task to this person outright, whatever its place. Call under a lock on the item's tasks."""
    now = clock.now()
    held = {"task_id": task.id, "item_id": task.item_id, "person_id": actor.id, "session": session_name, "state": "held"}
    until = {"token": secrets.token_urlsafe(18), "taken_at": now, "expires_at": now + lease}
    task.state = "in_progress"
    session.flush()
    return session.scalars(insert(Claim).returning(Claim), [{**held, **until}]).one()


def has_seat(session: Session, item_id: int, person_id: int) -> bool:
    """Whether a person holds, or answered or skipped, a seat of the item: then no other one is theirs."""
    theirs = exists().where(Claim.item_id == item_id, Claim.person_id == person_id, Claim.state.in_(TAKEN))
    return bool(session.scalar(select(theirs)))


def waits_blind_for(session: Session, item_id: int, person_id: int) -> bool:
    """Whether an open blind task of the item may be this person's to answer, and they have given no first answer."""
    theirs = (Claim.item_id == item_id, Claim.person_id == person_id, Claim.state.in_(TAKEN))  # as the index has it
    mine = exists().where(*theirs, Claim.state == "answered")  # a skip can be undone
    answered = exists().where(Decision.item_id == item_id, Decision.person_id == person_id, Decision.stage == "first")
    open_ = select(Task.id).where(Task.item_id == item_id, Task.blind, Task.state.in_(("pending", "in_progress", "parked")))
    open_ = open_.where(or_(Task.kind != "gold", Task.assignee_id == person_id))
    return session.scalar(open_.where(~mine, ~answered).limit(1)) is not None


def holds(session: Session, item_id: int, person_id: int) -> bool:
    """Whether a person holds a task of the item."""
    theirs = (Claim.item_id == item_id, Claim.person_id == person_id, Claim.state.in_(TAKEN))  # as the index has it
    return bool(session.scalar(select(exists().where(*theirs, Claim.state == "held"))))


def close(session: Session, claim_row: Claim, state: str) -> None:
    """End a claim as answered, skipped, escalated or released."""
    claim_row.state, claim_row.closed_at = state, clock.now()
    session.flush()


def holders(session: Session, project_id: int, limit: int = 200) -> list[Holder]:
    """Who holds what, longest first."""
    query = (
        select(Claim, ItemKey.name, Person.name)
        .join(Task, Task.id == Claim.task_id)
        .join(ItemKey, ItemKey.item_id == Claim.item_id)
        .join(Person, Person.id == Claim.person_id)
        .where(Task.project_id == project_id, Task.state == "in_progress", Claim.state == "held")
        .order_by(Claim.taken_at)
        .limit(limit)
    )
    return [Holder(c.task_id, external, name, c.taken_at, c.expires_at) for c, external, name in session.execute(query)]


def _turn(
    session: Session, project_id: int, actor: Actor, session_name: str, wanted: int, until: datetime
) -> tuple[list[Held], bool]:
    """Renew what a session holds and take at most one task more; whether there may be more to take.

    Where a lease has run out, anybody's, its task is handed on first, and nothing taken yet.
    """
    values = {"project": project_id, "person": actor.id, "session": session_name, "now": clock.now(), "until": until}
    values |= {"wanted": wanted, "token": secrets.token_urlsafe(18)}
    step = _lite if session.get_bind().dialect.name == "sqlite" else _at_once
    rows = step(session, _PICK[actor.at_least("lead")], values)
    found = {what: [row for row in rows if row[0] == what] for what in ("held", "taken", "missed", "late")}
    if found["late"]:
        expire(session)
    mine = [Held(task, item, token, until, moment(since)) for _, _, task, item, token, since in found["held"] + found["taken"]]
    return mine, bool(found["taken"] or found["missed"] or found["late"])


def _at_once(session: Session, pick: str, values: dict[str, Any]) -> Sequence[Row]:
    return run(session, _TURN.format(pick=pick), values)


def _lite(session: Session, pick: str, values: dict[str, Any]) -> Sequence[Row]:
    """SQLite has one writer, so single statements do."""
    if run(session, _LATE, values):
        return [("late",)]
    mine = [("held", *row) for row in run(session, _RENEW, values)]
    if len(mine) >= values["wanted"]:
        return mine
    chosen = run(session, _MARK.format(pick=pick), values)
    taken = [("taken", *run(session, _HOLD, {**values, "task": task, "item": item})[0]) for task, item in chosen]
    return mine + taken


_PICK = {
    lead: f"""SELECT t.id, t.item_id FROM task t
    WHERE t.project_id = :project AND t.state = 'pending' {"" if lead else "AND t.audience = 'reviewers'"}
    AND (t.assignee_id IS NULL OR t.assignee_id = :person OR t.assigned_until < :now)
    AND (SELECT count(*) FROM claim c
         WHERE c.item_id = t.item_id AND c.person_id = :person AND c.state IN ('held', 'answered', 'skipped')) = 0
    ORDER BY {"t.audience, " if lead else ""}t.rank, t.id LIMIT 1"""
    for lead in (False, True)
}
"""The next task: of lowest rank, what waits for leads before what waits for all. States are written out: a partial index is
matched to words, not to parameters. Counted rather than `NOT EXISTS`, which PostgreSQL may plan as a scan of every claim."""
_COLUMNS = "id, task_id, item_id, token, taken_at"
_RENEW = f"""UPDATE claim SET expires_at = :until
    WHERE person_id = :person AND session = :session AND state = 'held' AND expires_at >= :now
    AND (SELECT project_id FROM task WHERE task.id = claim.task_id) = :project RETURNING {_COLUMNS}"""
_LATE = "SELECT id FROM claim WHERE state = 'held' AND expires_at < :now LIMIT 1 /*+ FOR UPDATE SKIP LOCKED */"
"""A lease that ran out; not one that another transaction has in hand, which may wait for this one."""
_MARK = "UPDATE task SET state = 'in_progress' WHERE id = (SELECT id FROM ({pick}) AS next) RETURNING id, item_id"
_HOLD = f"""INSERT INTO claim (task_id, item_id, person_id, session, token, state, taken_at, expires_at)
    VALUES (:task, :item, :person, :session, :token, 'held', :now, :until) RETURNING {_COLUMNS}"""
_TURN = f"""WITH mine AS ({_RENEW}),
    late AS ({_LATE}),
    pick AS (SELECT * FROM ({{pick}} FOR UPDATE OF t SKIP LOCKED) AS next
             WHERE (SELECT count(*) FROM mine) < :wanted AND (SELECT count(*) FROM late) = 0),
    taken AS (
        INSERT INTO claim (task_id, item_id, person_id, session, token, state, taken_at, expires_at)
        SELECT id, item_id, :person, :session, :token, 'held', :now, :until FROM pick
        ON CONFLICT DO NOTHING RETURNING {_COLUMNS}),
    marked AS (UPDATE task SET state = 'in_progress' FROM taken WHERE task.id = taken.task_id)
    SELECT 'held', {_COLUMNS} FROM mine
    UNION ALL SELECT 'taken', {_COLUMNS} FROM taken
    UNION ALL SELECT 'missed', id, 0, 0, '', NULL FROM pick WHERE NOT EXISTS (SELECT 1 FROM taken)
    UNION ALL SELECT 'late', id, 0, 0, '', NULL FROM late"""


def _reopen(session: Session, ended: Sequence[tuple[int, int]]) -> int:
    """Put tasks back for all, but finish those whose blind first answer is stored: that answer stands."""
    if not ended:
        return 0
    claims, tasks = ([each[k] for each in ended] for k in (0, 1))
    firsts = select(Decision).where(Decision.task_id.in_(tasks), Decision.claim_id.in_(claims), Decision.stage == "first")
    answered = session.scalars(firsts.order_by(Decision.id)).all()
    finished = {first.task_id for first in answered}
    for first in answered:
        outcomes.finish_with_first(session, first)
    back = [task_id for _, task_id in ended if task_id not in finished]
    session.execute(update(Task).where(Task.id.in_(back), Task.state == "in_progress").values(state="pending"))
    return len(ended)

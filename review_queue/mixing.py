"""Gold among people's work: cases whose answer is known, each for one person, like a spot check in all that anybody sees.

A secret draw for each case that a person takes says whether one comes among their next ones. It is a task like any other
until it is answered: it waits, is held, parked, skipped or escalated, and is counted as work. Its answer stands for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from db.statements import finds, run
from db.tables import Activity, Claim, Decision, Gold, GoldTurn, Item, ItemKey, Person, Routing, Task
from review_queue import claims, clock, members, projects, states, tallies
from review_queue.people import PLAYERS
from review_queue.projects import Setting

FRESH = timedelta(hours=1)
"""A claim older than that is passed by: its person may be gone."""
BATCH = 500
"""Claims that one turn counts, and tasks that one turn withdraws."""
NEAR = 10
"""Among so many next cases of a person a gold one takes its place."""
AHEAD = 3
"""Gold cases that may wait for one person."""
RECENT = 2_000
"""The newest known answers, of which one is chosen."""
CHOICES = 50
"""Of these so many that fit."""
LEFT = timedelta(minutes=30)
"""How long what was skipped or escalated waits on, as if for others, so that taking it back is the same as ever."""
AWAY = timedelta(hours=12)
"""Somebody who holds nothing and decided nothing for so long is gone for today: what waits for them is taken back."""
CHANCE = SystemRandom()


@dataclass(frozen=True, slots=True)
class Beside:
    """The waiting case beside which a gold one takes its place, and which it is to be like."""

    rank: int
    weight: float
    due_at: datetime | None
    made_at: datetime
    model_id: int


@dataclass(frozen=True, slots=True)
class Pick:
    """A known answer that a person has had nothing to do with, and the routing that predicted it."""

    item_id: int
    routing_n: int


def is_due(session: Session) -> bool:
    """Whether claims came since the last turn where gold is wished and there is some."""
    return any(_is_due(session, each) for each in projects.everything(session) if each.policy.gold_rate > 0)


def _is_due(session: Session, setting: Setting) -> bool:
    turn = select(GoldTurn.claim_id).where(GoldTurn.project_id == setting.id).scalar_subquery()
    some = exists().where(Gold.project_id == setting.id, Gold.ended_at.is_(None))
    return finds(session, select(Claim.id).where(Claim.id > func.coalesce(turn, 0), some).order_by(Claim.id))


def mix(session: Session, limit: int = BATCH) -> int:
    """Draw for the claims since the last turn, and put gold among the next cases of whoever it hit; how many were counted."""
    wished = [each for each in projects.everything(session) if each.policy.gold_rate > 0]
    return sum(_mix(session, each, limit) for each in wished)


def _mix(session: Session, setting: Setting, limit: int) -> int:
    turn = _turn(session, setting.id)
    if turn is None:
        return 0
    after = select(Claim.id, Claim.person_id, Claim.taken_at, Claim.task_id).where(Claim.id > turn.claim_id)
    rows = session.execute(after.order_by(Claim.id).limit(limit)).tuples().all()
    if rows and rows[0][2] < clock.now() - FRESH:
        turn.claim_id = session.scalars(select(func.max(Claim.id))).one()
        return 1
    theirs = _at_work(session, setting.id, [task_id for *_, task_id in rows])
    for _, person_id, _, task_id in rows:
        if task_id in theirs and CHANCE.random() < setting.policy.gold_rate:
            put(session, setting, person_id)
    turn.claim_id = rows[-1][0] if rows else turn.claim_id
    session.flush()
    return len(rows)


def _turn(session: Session, project_id: int) -> GoldTurn | None:
    """The project's turn, held; None where another process has it."""
    run(session, _BEGIN, {"project": project_id})
    query = select(GoldTurn).where(GoldTurn.project_id == project_id)
    return session.scalar(query.with_for_update(skip_locked=True).execution_options(populate_existing=True))


def _at_work(session: Session, project_id: int, task_ids: Sequence[int]) -> set[int]:
    """Of these tasks those of the project that are no gold."""
    query = select(Task.id).where(Task.id.in_(task_ids), Task.project_id == project_id, Task.kind != "gold")
    return set(session.scalars(query))


def put(session: Session, setting: Setting, person_id: int) -> bool:
    """Put a gold case among the next ones of a person; False where nothing waits, or no known answer is right for them."""
    if not _may(session, setting, person_id):
        return False
    wrong = CHANCE.random() < setting.policy.review.gold.wrong
    for beside in _next(session, setting.id, person_id):
        for kind in (wrong, not wrong):
            picks = _picks(session, setting, person_id, beside.model_id, wrong=kind)
            if picks and _make(session, setting.id, person_id, beside, CHANCE.choice(picks)):
                return True
    return False


def _may(session: Session, setting: Setting, person_id: int) -> bool:
    """Whether the person is there, and not too much gold waits for them already."""
    waiting = select(Task.id).where(Task.project_id == setting.id, states.GOLD, Task.assignee_id == person_id)
    held = session.scalars(waiting.limit(AHEAD)).all()
    return len(held) < AHEAD and finds(session, select(Person.id).where(Person.id == person_id, _there(setting.id)))


def _there(project_id: int) -> ColumnElement[bool]:
    """People who may work here, and known answers that play operators: they too are to prove that they see errors."""
    return or_(and_(*members.present(project_id, least="reviewer")), Person.name.in_(PLAYERS))


def _next(session: Session, project_id: int, person_id: int) -> list[Beside]:
    """Waiting cases that a person may get soon, with a prediction, in an order that says nothing: one of each model."""
    free = or_(Task.assignee_id.is_(None), Task.assignee_id == person_id)
    columns = (Task.rank, Task.weight, Task.due_at, Task.made_at, Task.item_id, Task.routing_n)
    near = select(*columns).where(Task.project_id == project_id, Task.audience == "reviewers", states.PENDING)
    near = near.where(free, Task.kind != "gold").order_by(Task.rank, Task.id).limit(NEAR)
    page = near.subquery()
    routed = (Routing.item_id == page.c.item_id) & (Routing.n == page.c.routing_n)
    query = select(page.c.rank, page.c.weight, page.c.due_at, page.c.made_at, Routing.model_id).join(Routing, routed)
    rows = [Beside(*row) for row in session.execute(query).tuples()]
    CHANCE.shuffle(rows)
    return list({each.model_id: each for each in reversed(rows)}.values())[::-1]


def _picks(session: Session, setting: Setting, person_id: int, model_id: int, *, wrong: bool) -> list[Pick]:
    """Known answers to predictions of a model, right or wrong ones, that a person has had no part in."""
    newest = select(Gold.item_id, Gold.label, Gold.made_by).where(Gold.project_id == setting.id, Gold.ended_at.is_(None))
    known = newest.order_by(Gold.item_id.desc()).limit(RECENT).subquery()
    differs = Routing.label != func.coalesce(known.c.label, "") if wrong else Routing.label == known.c.label
    later = aliased(Routing)
    last = select(func.max(later.n)).where(later.item_id == known.c.item_id).scalar_subquery()
    query = select(known.c.item_id, Routing.n).join(Routing, (Routing.item_id == known.c.item_id) & (Routing.n == last))
    query = query.join(ItemKey, ItemKey.item_id == known.c.item_id).join(Item, Item.id == known.c.item_id)
    there = (ItemKey.closed_at.is_(None), Item.input.is_not(None), Routing.model_id == model_id, differs)
    fits = or_(known.c.label.is_(None), known.c.label.in_(list(setting.project.labels)))
    strange = or_(known.c.made_by.is_(None), known.c.made_by != person_id)
    query = query.where(*there, fits, strange, *_unseen(known.c.item_id, person_id))
    return [Pick(*row) for row in session.execute(query.order_by(known.c.item_id.desc()).limit(CHOICES)).tuples()]


def _unseen(item_id: ColumnElement[int], person_id: int) -> tuple[ColumnElement[bool], ...]:
    """That a person held no seat of an item, did nothing about it, and no seat of it but others' gold is open."""
    seats = Claim.item_id == item_id, Claim.person_id == person_id
    kept, let_go = (select(Claim.id).where(*seats, each) for each in (Claim.state.in_(claims.TAKEN), states.LET_GO))
    theirs = or_(Activity.actor_id == person_id, Activity.for_id == person_id)
    acted = select(Activity.id).where(Activity.subject == literal("item:", String) + cast(item_id, String), theirs)
    mine = or_(Task.kind != "gold", Task.assignee_id == person_id)
    open_ = select(Task.id).where(Task.item_id == item_id, states.OPEN, mine)
    return tuple(~_some(each) for each in (kept, let_go, acted, open_))


def _some(query: Select[int]) -> ColumnElement[bool]:
    """Whether there is such a row. With a limit PostgreSQL looks by the index, row for row, rather than at all once."""
    return query.limit(1).scalar_subquery().is_not(None)


def _make(session: Session, project_id: int, person_id: int, beside: Beside, pick: Pick) -> bool:
    """Make the task, unless somebody has the item's key in hand, or it was taken back just now."""
    key = select(ItemKey).where(ItemKey.item_id == pick.item_id, ItemKey.closed_at.is_(None))
    if session.scalar(key.with_for_update(skip_locked=True).execution_options(populate_existing=True)) is None:
        return False
    ours = (Task.item_id == pick.item_id, Task.routing_n == pick.routing_n, Task.kind == "gold")
    seat = session.scalars(select(func.coalesce(func.max(Task.seat), 0) + 1).where(*ours)).one()
    parts = {"item_id": pick.item_id, "routing_n": pick.routing_n, "project_id": project_id, "kind": "gold", "seat": seat}
    place = {"rank": beside.rank, "weight": beside.weight, "due_at": beside.due_at, "made_at": beside.made_at}
    fresh = {"audience": "reviewers", "state": "pending", "skips": 0, "blind": True, "assignee_id": person_id}
    session.execute(insert(Task).values(**parts, **place, **fresh))
    tallies.add(session, project_id, open=1)
    return True


def is_stale(session: Session) -> bool:
    """Whether gold waits that is to be taken back."""
    return any(finds(session, _stale(each)) for each in projects.everything(session))


def withdraw(session: Session, limit: int = BATCH) -> int:
    """Take back gold that waits in vain: its person left it, is gone or away or has another seat by now, or the answer is known
    no more; how many."""
    return sum(_withdraw(session, each, limit) for each in projects.everything(session))


def _withdraw(session: Session, setting: Setting, limit: int) -> int:
    ended = session.scalars(_stale(setting).limit(limit).with_for_update(of=Task, skip_locked=True)).all()
    session.execute(update(Task).where(Task.id.in_(ended)).values(state="cancelled", closed_at=clock.now()))
    tallies.add(session, setting.id, open=-len(ended))
    return len(ended)


def _stale(setting: Setting) -> Select[int]:
    """Gold that waits in vain. What somebody parked is theirs until it comes back."""
    known = _some(select(Gold.item_id).where(Gold.item_id == Task.item_id, Gold.ended_at.is_(None)))
    here = _some(select(Person.id).where(Person.id == Task.assignee_id, _there(setting.id)))
    said = select(Decision.decided_at).where(Decision.person_id == Task.assignee_id).order_by(Decision.decided_at.desc())
    last, holds = said.limit(1).scalar_subquery(), select(Claim.id).where(Claim.person_id == Task.assignee_id, states.LEASED)
    away = or_(last.is_(None), last < clock.now() - AWAY) & ~_some(holds)
    ended = Claim.item_id == Task.item_id, Claim.person_id == Task.assignee_id, Claim.closed_at < clock.now() - LEFT
    left = or_(*(_some(select(Claim.id).where(*ended, each)) for each in (states.SKIPPED, states.LET_GO)))
    seat = (
        Claim.item_id == Task.item_id,
        Claim.person_id == Task.assignee_id,
        Claim.state.in_(claims.TAKEN),
        Claim.task_id != Task.id,
    )
    over = or_(~known, ~here, away, left & or_(Task.skips > 0, Task.audience == "leads"), _some(select(Claim.id).where(*seat)))
    return select(Task.id).where(Task.project_id == setting.id, states.GOLD, states.PENDING, over)


_BEGIN = "INSERT INTO gold_turn (project_id, claim_id) VALUES (:project, 0) ON CONFLICT DO NOTHING RETURNING claim_id"

"""What people said of a case before they saw the prediction, or to settle a dispute: what the right label is taken to be."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import bulk
from db.tables import Decision, Draw, Outcome, Task, Truth
from review_queue.outcomes import ANSWERS

_Draws = Sequence[tuple[str | None, int | None]]
"""How the draws of a case were resolved, and with which loss of the model that acted."""
NEVER = ("gold", "requested", "bulk")
"""Bases of answers that no rule or draw asked for."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A case as it was routed, the `n`th time: whether to people, and what the model said that acted."""

    item_id: int
    n: int
    reviewed: bool
    label: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What came of a case. `known`: its right label is `truth`; `waits`: somebody is to look and has not; `late`: nobody did in
    time. None of them: nobody was to look."""

    known: bool
    waits: bool
    late: bool
    truth: str | None


def looks(session: Session, cases: Sequence[Routed]) -> dict[int, Look]:
    """What is known of each case, by item. Where a draw brought it to people, that is the answer that resolved it; else, of what
    the rule sent to people, the answer that stands. Answers that somebody asked for make nothing known of what acted alone."""
    turns = {each.item_id: each.n for each in cases}
    draws, standing, blind = _draws(session, turns), _standing(session, list(turns)), right(session, turns)
    return {each.item_id: _look(each, draws.get(each.item_id, ()), standing, blind) for each in cases}


def _look(case: Routed, draws: _Draws, standing: Mapping[int, str | None], blind: Mapping[int, str | None]) -> Look:
    waits, agreed = any(how is None for how, _ in draws), any(loss == 0 for _, loss in draws)
    resolved = any(how not in (None, "overdue") for how, _ in draws)
    answered = agreed or (resolved and case.item_id in blind)
    known = answered or (case.reviewed and case.item_id in standing and not waits)
    truth = case.label if agreed else blind[case.item_id] if answered else standing.get(case.item_id)
    return Look(
        known=known,
        waits=not known and (waits or (case.reviewed and not draws)),
        late=not known and bool(draws) and not waits,
        truth=truth if known else None,
    )


def _draws(session: Session, turns: Mapping[int, int]) -> dict[int, list[tuple[str | None, int | None]]]:
    """Those that brought a case to people."""
    query = select(Draw.item_id, Draw.n, Draw.resolved_as, Draw.loss).where(Draw.purpose.in_(("evidence", "shadow")))
    found: defaultdict[int, list[tuple[str | None, int | None]]] = defaultdict(list)
    for item_id, n, how, loss in session.execute(query.where(bulk.among(session, Draw.item_id, list(turns)))).tuples():
        if turns[item_id] == n:
            found[item_id].append((how, loss))
    return found


def _standing(session: Session, ids: list[int]) -> dict[int, str | None]:
    """The answers of people that stand."""
    human = (bulk.among(session, Outcome.item_id, ids), Outcome.source.in_(("human", "adjudicated")))
    query = select(Outcome.item_id, Outcome.label).where(*human).order_by(Outcome.revision)
    return dict(session.execute(query).tuples().all())


def right(session: Session, turns: Mapping[int, int]) -> dict[int, str | None]:
    """The answer that settled a dispute, else what proved true, else the first blind one, by item; None: no label fits.

    What proved true counts where it resolved a draw, as it does where it is seen for every item: elsewhere it is known of those
    that went wrong. `turns`: item id -> the routing that asked.
    """
    told = select(Decision.item_id, Task.routing_n, Decision.label).join(Task, Task.id == Decision.task_id)
    meant = (Decision.verdict.in_(ANSWERS), Decision.basis.not_in(NEVER), Decision.blind)
    asked = told.where(bulk.among(session, Decision.item_id, list(turns)), *meant).order_by(Decision.id.desc())
    found = _first(session.execute(asked.where(Task.kind != "adjudication")).tuples(), turns)
    settled = (Draw.item_id == Truth.item_id) & (Draw.purpose == "evidence") & (Draw.resolved_as == "truth")
    true = select(Truth.item_id, Truth.label).where(bulk.among(session, Truth.item_id, list(turns))).join(Draw, settled)
    found |= dict(session.execute(true.order_by(Truth.known_at, Truth.id)).tuples().all())
    return found | _first(session.execute(asked.where(Task.kind == "adjudication")).tuples(), turns)


def _first(rows: Iterable[tuple[int, int, str | None]], turns: Mapping[int, int]) -> dict[int, str | None]:
    """The earliest, of rows that come latest first."""
    return {item_id: label for item_id, n, label in rows if turns[item_id] == n}

"""What people said of a case before they saw the prediction, or to settle a dispute: what the right label is taken to be."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import bulk
from db.tables import Decision, Draw, Task, Truth
from review_queue.outcomes import ANSWERS

NEVER = ("gold", "requested", "bulk")
"""Bases of answers that no rule or draw asked for."""


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

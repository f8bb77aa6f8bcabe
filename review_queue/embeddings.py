"""Items as a model sees them, as rows: what similar cases are found by, and what people decided of those."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from contract.inputs import read_input
from db import bulk
from db.tables import Decision, Embedding, Item, ItemKey, Outcome, Routing, Task
from review_queue import states
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting

MOST = 100_000
"""Decided items of a project, the newest, that are kept findable."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What people decided of an item; `label` is None for a rejection, `predicted` where the model gave no answer."""

    external_id: str
    predicted: str | None
    label: str | None
    at: datetime


def keep(session: Session, model_id: int, space: str, vectors: Mapping[int, bytes]) -> None:
    """Keep the vectors of items, as `db.tables.Embedding` has them. None of these bytes: the model cannot represent the item.

    What is there already stays as it is.
    """
    if vectors:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        rows = [{"item_id": i, "model_id": model_id, "space": space, "vector": held} for i, held in sorted(vectors.items())]
        session.execute(dialect.insert(Embedding).on_conflict_do_nothing(), rows)


def without(session: Session, model_id: int, item_ids: Sequence[int]) -> set[int]:
    """Of these items those that have no vector by a model."""
    query = select(Embedding.item_id).where(Embedding.model_id == model_id, Embedding.item_id.in_(item_ids))
    return set(item_ids) - set(session.scalars(query))


def lacking(session: Session, project_id: int, model_id: int, limit: int) -> list[int]:
    """Decided items without a vector by this model, the newest decisions first; of the newest MOST decisions."""
    answers = (Decision.project_id == project_id, Decision.stage == "final", Decision.verdict.in_(ANSWERS))
    newest = select(Decision.item_id).where(*answers).order_by(Decision.decided_at.desc()).limit(MOST).subquery()
    has = exists().where(Embedding.item_id == newest.c.item_id, Embedding.model_id == model_id)
    stands = exists().where(ItemKey.item_id == newest.c.item_id, ItemKey.closed_at.is_(None))
    there = exists().where(Item.id == newest.c.item_id, Item.input.is_not(None))
    return list(dict.fromkeys(session.scalars(select(newest.c.item_id).where(~has, stands, there).limit(limit))))


def inputs(session: Session, setting: Setting, item_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What was sent of items, by item."""
    query = select(Item.id, Item.input).where(bulk.among(session, Item.id, list(item_ids)))
    return {item_id: read_input(setting.project, given) for item_id, given in session.execute(query).tuples()}


def vector(session: Session, item_id: int, model_id: int) -> bytes | None:
    """One item's vector; None where there is none yet."""
    return session.scalar(select(Embedding.vector).where(Embedding.item_id == item_id, Embedding.model_id == model_id))


def newest(session: Session, model_id: int, after: int, limit: int = MOST) -> list[int]:
    """The ids of a model's vectors after one, the newest of them, ascending."""
    query = select(Embedding.id).where(Embedding.model_id == model_id, Embedding.id > after)
    return list(session.scalars(query.order_by(Embedding.id.desc()).limit(limit)))[::-1]


def held(session: Session, ids: Sequence[int]) -> list[tuple[int, str, bytes]]:
    """Item, space and vector of these rows."""
    query = select(Embedding.item_id, Embedding.space, Embedding.vector).where(bulk.among(session, Embedding.id, list(ids)))
    return list(session.execute(query.order_by(Embedding.id)).tuples())


def decided(session: Session, item_ids: Iterable[int]) -> dict[int, Decided]:
    """Of these items those that people decided, as that stands now; without what was replaced or cancelled.

    Where the model acted alone and people confirmed or disputed it, what they said counts. An item that somebody is still
    to answer blind is left out: its answer stays secret.
    """
    later, stood = aliased(Decision), aliased(Outcome)
    query = (
        select(Decision.item_id, ItemKey.name, Routing.label, Decision.label, Decision.decided_at, Outcome)
        .join(Task, Task.id == Decision.task_id)
        .join(Routing, (Routing.item_id == Task.item_id) & (Routing.n == Task.routing_n))
        .join(ItemKey, ItemKey.item_id == Decision.item_id)
        .join(Outcome, Outcome.item_id == Decision.item_id)
        .where(bulk.among(session, Decision.item_id, list(item_ids)), Decision.stage == "final", Decision.verdict.in_(ANSWERS))
        .where(
            Task.state == "completed",
            Decision.basis != "gold",
            ItemKey.closed_at.is_(None),
            ~exists().where(later.supersedes_id == Decision.id),
        )
        .where(Outcome.revision == select(func.max(stood.revision)).where(stood.item_id == Outcome.item_id).scalar_subquery())
        .order_by(Decision.id)
        .execution_options(populate_existing=True)
    )
    rows = session.execute(query).tuples().all()
    secret = _secret(session, {row[0] for row in rows})
    return {row[0]: _decided(*row[1:]) for row in rows if row[0] not in secret}


def _decided(name: str, predicted: str | None, label: str | None, at: datetime, stands: Outcome) -> Decided:
    """By people's last word, which is the standing outcome unless that is the model's own."""
    if stands.source == "auto":
        return Decided(name, predicted, label, at)
    return Decided(name, predicted, stands.label, stands.decided_at)


def _secret(session: Session, item_ids: set[int]) -> set[int]:
    blind = select(Task.item_id).where(bulk.among(session, Task.item_id, list(item_ids)), Task.blind, states.OPEN)
    return set(session.scalars(blind))

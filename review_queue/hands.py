"""A case in one pair of hands: everything that a decision on it must know, read and locked by one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from db.statements import run
from review_queue.activity import Actor
from review_queue.outcomes import Place, Stands


@dataclass(frozen=True, slots=True)
class Seat:
    """What a decision is given on: the held task, and why its label will exist."""

    claim_id: int
    task_id: int
    item_id: int
    project_id: int
    blind: bool
    basis: str


@dataclass(frozen=True, slots=True)
class Hand:
    """A held case of one seat. `decision_id` is the id that the decision will have, `earlier_id` the one it supersedes."""

    seat: Seat
    place: Place
    predicted: str | None
    first_given: bool
    earlier_id: int | None
    decision_id: int
    stands: Stands | None


def alone(session: Session, actor: Actor, task_id: int, token: str, key: str) -> Hand | None:
    """The review, locked, where this person holds it, no other task of its item was ever made, nobody asked for it, and the
    key is new. None otherwise, for whatever reason: look closer then.

    Not for audits: who waited here for a lock sees the rest as it was before, and an audit outlives its item.
    """
    rows = run(session, _ALONE, {"token": token, "task": task_id, "person": actor.id, "key": key})
    return _hand(*rows[0]) if rows else None


def closing(hand: Hand, now: datetime) -> list[tuple[str, Mapping[str, Any]]]:
    """The statements that end the claim as answered and complete the task."""
    return [
        ("UPDATE claim SET state = 'answered', closed_at = :now WHERE id = :claim", {"claim": hand.seat.claim_id, "now": now}),
        ("UPDATE task SET state = 'completed', closed_at = :now WHERE id = :task", {"task": hand.seat.task_id, "now": now}),
    ]


def _hand(
    claim: int,
    task: int,
    item: int,
    routing_n: int,
    project: int,
    blind: bool,
    predicted: str | None,
    name: str,
    revision: int,
    first: int,
    earlier: int | None,
    new: int,
    stood: int | None,
    label: str | None,
    source: str,
) -> Hand:
    seat = Seat(claim, task, item, project, bool(blind), "routed")
    stands = Stands(stood, label, source) if stood is not None else None
    return Hand(seat, Place(item, name, revision, routing_n), predicted, first > 0, earlier, new, stands)


_NEXT = "/*+ nextval('decision_id_seq') -- */ (SELECT coalesce(max(id), 0) + 1 FROM decision)\n"
_ALONE = f"""SELECT c.id, t.id, t.item_id, t.routing_n, t.project_id, t.blind, r.label,
    coalesce(k.shown_id, k.external_id), k.revision,
    (SELECT count(*) FROM decision d WHERE d.task_id = t.id AND d.claim_id = c.id AND d.stage = 'first'),
    (SELECT max(d.id) FROM decision d WHERE d.task_id = t.id AND d.stage = 'final'
        AND (d.claim_id = c.id OR d.verdict IN ('accept', 'correct', 'reject'))
        AND NOT EXISTS (SELECT 1 FROM decision later WHERE later.supersedes_id = d.id)),
    {_NEXT}, o.revision, o.label, o.source
    FROM claim c JOIN task t ON t.id = c.task_id
    JOIN routing r ON r.item_id = t.item_id AND r.n = t.routing_n
    JOIN item_key k ON k.item_id = t.item_id
    LEFT JOIN outcome o ON o.item_id = t.item_id AND o.revision = (SELECT max(revision) FROM outcome WHERE item_id = t.item_id)
    WHERE c.token = :token AND c.task_id = :task AND c.person_id = :person AND c.state = 'held'
    AND t.state = 'in_progress' AND t.requested IS NULL AND t.kind = 'review'
    AND NOT EXISTS (SELECT 1 FROM task other WHERE other.item_id = t.item_id AND other.id <> t.id)
    AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.key = :key)
    /*+ FOR UPDATE OF c, t */"""

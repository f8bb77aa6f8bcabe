"""What happened to an item before it came to the person who holds it now.

Told of open reviews alone, and without names: nobody who is to answer blind, to give a second answer or to settle two learns
here what others said of what they are asked about.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from contract.inputs import under_both_names
from db.tables import Decision, Item, ItemKey, Outcome, Task
from review_queue import names
from review_queue.projects import Setting

MOST = 5
"""Earlier revisions that are told, the latest."""
What = Literal["received", "answered", "escalated"]


@dataclass(frozen=True, slots=True)
class Past:
    """One thing that happened. `revision` of an item that the producer replaced since, None for the one at hand.

    received: `changed` names the fields that are otherwise now, with what they held. answered: `label` (None: no label fits)
    by a person, or by the model `alone`. escalated: `words`.
    """

    at: datetime
    what: What
    revision: int | None = None
    label: str | None = None
    alone: bool = False
    words: str | None = None
    changed: tuple[tuple[str, Any], ...] = ()


def of(session: Session, setting: Setting, task: Task, key: ItemKey, given: dict[str, Any]) -> tuple[Past, ...]:
    """What may be told to whoever holds a task, in the order in which it happened; costs nothing where nothing did."""
    if task.blind or task.kind != "review":
        return ()
    found = _revisions(session, setting, key, given) if key.revision > 1 else []
    found += _answers(session, task.item_id, None) if task.requested is not None else []
    found += _escalations(session, task) if task.audience == "leads" else []
    return tuple(sorted(found, key=lambda past: past.at))


def _revisions(session: Session, setting: Setting, key: ItemKey, given: dict[str, Any]) -> list[Past]:
    places = [names.place(key.name, n) for n in range(max(1, key.revision - MOST), key.revision)]
    query = select(ItemKey.revision, Item.id, Item.received_at, Item.input).join(Item, Item.id == ItemKey.item_id)
    rows = session.execute(query.where(ItemKey.project_id == key.project_id, ItemKey.external_id.in_(places)))
    found: list[Past] = []
    for revision, item_id, at, held in rows.tuples().all():
        changed = _changed(setting, json.loads(held or "{}"), given)
        found += [Past(at, "received", revision, changed=changed), *_answers(session, item_id, revision)]
    return found


def _changed(setting: Setting, before: dict[str, Any], now: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    held = under_both_names(setting.project, before)
    return tuple((name, held.get(name)) for name in setting.project.input.features if held.get(name) != now.get(name))


def _answers(session: Session, item_id: int, revision: int | None) -> list[Past]:
    """The answer that stood last."""
    later = aliased(Outcome)
    newest = select(func.max(later.revision)).where(later.item_id == item_id).scalar_subquery()
    row = session.scalar(select(Outcome).where(Outcome.item_id == item_id, Outcome.revision == newest))
    return [Past(row.decided_at, "answered", revision, row.label, alone=row.source == "auto")] if row is not None else []


def _escalations(session: Session, task: Task) -> list[Past]:
    """Why it was given to a lead, but for what was taken back."""
    undone = select(Decision.supersedes_id).where(Decision.task_id == task.id, Decision.supersedes_id.is_not(None))
    query = select(Decision.decided_at, Decision.comment).where(Decision.task_id == task.id, Decision.verdict == "escalate")
    rows = session.execute(query.where(Decision.id.not_in(undone)).order_by(Decision.id)).tuples()
    return [Past(at, "escalated", words=words) for at, words in rows]

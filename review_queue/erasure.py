"""The content of items, gone for good; what was decided of them stays, and so does the evidence.

Gone: input, shown fields, groups, a prediction as it was sent, explanations and what was asked of them, vectors, comments, notes
and the words of requests. Kept: ids, the hash of the subject and of the content, routes, predictions, draws with their losses,
decisions with label and time, outcomes, truths.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from contract.canonical import canonical, digest
from contract.inputs import check_external_id, read_input
from contract.project import Project
from db import bulk
from db.tables import (
    Activity,
    Decision,
    Embedding,
    Erased,
    Event,
    Explanation,
    Flag,
    Item,
    ItemKey,
    Outbox,
    Person,
    ReasonCheck,
    ReasonRequest,
    Routing,
    Task,
)
from review_queue import activity, clock, events, names, outcomes, withdrawal
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound
from review_queue.intake import blobs_in
from review_queue.projects import Setting

GONE = "erased"
"""What stands where words were that must not be empty."""
WORDS = ("reason", "note", "comment", "why")
"""Parts of an act that may hold what somebody wrote of an item."""
MOST_WHY = 500
_HASH = re.compile(r"(?:\d+:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Gone:
    """An item that was erased, in all its revisions. `again`: it had been before. `blobs`: hashes of the bytes that it named;
    `rows`: of its input, as models see it."""

    external_id: str
    item_ids: tuple[int, ...]
    again: bool
    blobs: frozenset[str]
    rows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Erasing:
    """When an item was erased, by whom and why."""

    at: datetime
    by: str | None
    why: str | None


def erase(session: Session, setting: Setting, external_id: str, *, why: str | None, by: Actor) -> Gone:
    """Erase an item with every revision that it replaced. Open tasks end, draws run to their due time.

    Once more it erases what came in since, and is told as `again`. Raises NotFound, Forbidden below owner.
    """
    require_owner(by)
    keys = _keys(session, setting, external_id)
    ids = [key.item_id for key in keys]
    before = set(session.scalars(select(Erased.item_id).where(Erased.item_id.in_(ids))))
    items = session.scalars(select(Item).where(Item.id.in_(ids)).order_by(Item.id)).all()
    blobs = frozenset(sha for item in items for text in (item.input, item.show) for sha in blobs_in(text))
    rows = frozenset(row_hash(setting.project, read_input(setting.project, item.input)) for item in items if item.input)
    for item_id in ids:
        withdrawal.end(session, setting.id, item_id)
    scrub(session, ids)
    _note(session, setting, [key for key in keys if key.item_id not in before], why, by)
    return Gone(external_id, tuple(ids), len(before) == len(ids), blobs, rows)


def require_owner(by: Actor) -> None:
    """Raises Forbidden."""
    if not by.at_least("owner"):
        raise Forbidden(f"{by.name} is a {by.role}; erasing is for owners and admins")


def of_subject(session: Session, setting: Setting, subject: Any) -> list[str]:
    """The ids of all items of one subject, replaced ones under the id that they had. Raises InputError."""
    hashed = digest(f"{setting.name}\n{check_external_id(subject, 'subject')}")
    query = select(ItemKey.name).join(Item, Item.id == ItemKey.item_id)
    rows = session.scalars(query.where(Item.project_id == setting.id, Item.subject_hash == hashed).distinct())
    return sorted(rows)


def of_item(session: Session, item_id: int) -> Erasing | None:
    """When an item was erased; None where it was not."""
    query = select(Erased.erased_at, Person.name, Erased.why).outerjoin(Person, Person.id == Erased.erased_by)
    row = session.execute(query.where(Erased.item_id == item_id)).tuples().first()
    return None if row is None else Erasing(*row)


def listed(session: Session, project_id: int, *, limit: int) -> list[tuple[str, Erasing]]:
    """The ids of what was erased, the latest first: what is to be erased again where an older backup is restored."""
    query = select(ItemKey.name, Erased.erased_at, Person.name, Erased.why).join(ItemKey, ItemKey.item_id == Erased.item_id)
    rows = query.outerjoin(Person, Person.id == Erased.erased_by).where(Erased.project_id == project_id)
    found = session.execute(rows.order_by(Erased.erased_at.desc(), Erased.item_id.desc()).limit(limit)).tuples()
    return [(name, Erasing(at, by, why)) for name, at, by, why in found]


def row_hash(project: Project, row: Mapping[str, Any]) -> str:
    """The hash of what a model sees of an item, whatever else stands beside it and in whatever order."""
    return digest(canonical({name: row[name] for name in project.input.features if row.get(name) is not None}))


def scrub(session: Session, item_ids: Sequence[int]) -> None:
    """Take the content of items out of every table."""
    ids = list(item_ids)
    nothing = {"input": None, "show": None, "groups": None, "prediction": None}
    session.execute(update(Item).where(bulk.among(session, Item.id, ids)).values(nothing))
    for table in (ReasonCheck, ReasonRequest, Explanation, Embedding):
        session.execute(delete(table).where(bulk.among(session, table.item_id, ids)))
    _unsay(session, ids)
    _unname(session, ids)
    _unfail(session, ids)
    _unlog(session, ids)


def _keys(session: Session, setting: Setting, external_id: str) -> Sequence[ItemKey]:
    """The keys of all revisions, the first one first, locked. Raises NotFound."""
    standing = withdrawal.standing_key(session, setting.id, external_id)
    if standing is None:
        raise NotFound(f"{setting.project.heading} has no {setting.project.noun} {external_id!r}")
    places = [names.place(external_id, n) for n in range(1, standing.revision)]
    query = select(ItemKey).where(ItemKey.project_id == setting.id, bulk.among(session, ItemKey.external_id, places))
    earlier = query.order_by(ItemKey.item_id).with_for_update().execution_options(populate_existing=True)
    return [*session.scalars(earlier).all(), standing]


def _note(session: Session, setting: Setting, keys: Iterable[ItemKey], why: str | None, by: Actor) -> None:
    now = clock.now()
    for key in keys:
        row = {"item_id": key.item_id, "project_id": setting.id, "why": why, "erased_at": now, "erased_by": by.id}
        session.execute(insert(Erased).values(row))
        if key.closed_at is None and outcomes.standing(session, key.item_id) is None:
            key.closed_at = now  # nobody can answer it any more
            session.flush()
        events.announce(session, setting.id, "erased", names.event(key.name, key.revision), item_id=key.item_id)
        activity.record(session, by, "item.erase", f"item:{key.item_id}", project_id=setting.id, after={"why": why})


def _unsay(session: Session, ids: list[int]) -> None:
    """What people wrote."""
    said = (bulk.among(session, Decision.item_id, ids), Decision.comment.is_not(None))
    session.execute(update(Decision).where(*said).values(comment=None))
    session.execute(update(Flag).where(bulk.among(session, Flag.item_id, ids)).values(note=None))
    theirs = bulk.among(session, Task.item_id, ids)
    session.execute(update(Task).where(theirs, Task.parked_note.is_not(None)).values(parked_note=None))
    session.execute(update(Task).where(theirs, Task.requested.is_not(None)).values(requested=GONE))


def _unname(session: Session, ids: list[int]) -> None:
    """Of explanations that stood on a screen their hashes alone stay."""
    shown = (bulk.among(session, Decision.item_id, ids), Decision.reasons_shown.is_not(None))
    for decision_id, named in session.execute(select(Decision.id, Decision.reasons_shown).where(*shown)).tuples().all():
        kept = [match[1] if (match := _HASH.fullmatch(name)) else digest(name) for name in named or ()]
        session.execute(update(Decision).where(Decision.id == decision_id).values(reasons_shown=kept))


def _unfail(session: Session, ids: list[int]) -> None:
    """Why an item could not be scored may quote it."""
    failed = (bulk.among(session, Routing.item_id, ids), Routing.label.is_(None))
    session.execute(update(Routing).where(*failed).values(reason=GONE))
    for table, key in ((Event, Event.seq), (Outbox, Outbox.id)):
        told = select(key, table.body).where(bulk.among(session, table.item_id, ids), table.kind == "failed")
        for place, body in session.execute(told).tuples().all():
            session.execute(update(table).where(key == place).values(body={**body, "reason": GONE}))


def _unlog(session: Session, ids: list[int]) -> None:
    """Words in the log of who did what, but why it was erased."""
    subjects = [f"item:{item_id}" for item_id in ids]
    query = select(Activity.id, Activity.before, Activity.after)
    about = query.where(bulk.among(session, Activity.subject, subjects), Activity.verb != "item.erase")
    for act_id, before, after in session.execute(about).tuples().all():
        if any(name in WORDS for part in (before, after) for name in part or ()):
            values = {"before": _wordless(before), "after": _wordless(after)}
            session.execute(update(Activity).where(Activity.id == act_id).values(values))


def _wordless(part: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if part is None else {name: GONE if name in WORDS and value else value for name, value in part.items()}

"""After a soak: what is stored against the rules, and against what was acknowledged."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.soak.clients import content
from app.soak.ledger import Ledger, Sent
from app.soak.scratch import Scratch
from contract.project import Project
from db.tables import Decision, Event, ItemKey, Work
from review_queue import checks, intake

NAMED = 5


def find(session: Session, held: Scratch, ledger: Ledger) -> list[str]:
    """Everything that is wrong, a sentence each; on one consistent view."""
    wrong = checks.problems(session)
    return [*ledger.strange, *wrong, *_items(session, held, ledger), *_decisions(session, ledger), *_rest(session, ledger)]


def _items(session: Session, held: Scratch, ledger: Ledger) -> Iterator[str]:
    standing = ItemKey.shown_id.is_(None), ItemKey.project_id == held.setting.id
    keys = {key.external_id: key for key in session.scalars(select(ItemKey).where(*standing))}
    yield from _told("items that were acknowledged and are not there", [name for name in ledger.items if name not in keys])
    known = {name: sent for name, sent in ledger.items.items() if sent.sure and name in keys}
    wrong = [name for name, sent in known.items() if (keys[name].closed_at is not None) != sent.cancelled]
    yield from _told("items that are cancelled and should not be, or the other way round", wrong)
    project, inputs = held.setting.project, held.inputs
    other = [name for name, sent in known.items() if keys[name].content_hash != _hash(project, inputs, name, sent)]
    yield from _told("items without the content that was acknowledged last", other)


def _hash(project: Project, inputs: Sequence[dict[str, Any]], name: str, sent: Sent) -> str:
    return intake.check(project, {"external_id": name, "input": content(inputs, name, sent.changes)}).content_hash


def _decisions(session: Session, ledger: Ledger) -> Iterator[str]:
    stored = dict(session.execute(select(Decision.key, Decision.verdict)).tuples().all())
    lost = [key for key, verdict in ledger.said.items() if stored.get(key) != verdict]
    yield from _told("decisions that were acknowledged and are not there, or say something else", lost)


def _rest(session: Session, ledger: Ledger) -> Iterator[str]:
    unscored = session.scalars(select(Work.item_id).where(Work.kind == "score")).all()
    yield from _told("items that were never scored", [str(each) for each in unscored])
    events = session.scalar(select(func.count()).select_from(Event)) or 0
    if events != ledger.counts["events"]:
        yield f"{ledger.counts['events']:,} events were read of the {events:,} that there are"


def _told(what: str, names: list[str]) -> Iterator[str]:
    if names:
        yield f"{what}: {len(names):,} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"

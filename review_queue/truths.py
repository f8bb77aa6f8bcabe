"""What later proved true of items: kept beside what was decided, and evidence only where it is seen for every item."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from contract.dates import iso
from contract.files import nearest
from contract.inputs import InputError, check_external_id
from contract.project import Project, label_text
from db import bulk
from db.tables import Event, ItemKey, Outbox, Truth
from review_queue import activity, clock, names, outcomes
from review_queue.activity import Actor
from review_queue.projects import Setting

State = Literal["kept", "known", "invalid"]
KIND = "truth"
"""The kind of event that gives a truth its position in the sequence."""
PARTS = ("external_id", "label", "known_at", "source")
MOST_SOURCE = 100
"""Characters of a source."""
AHEAD = timedelta(days=1)
"""How far the clocks of those who report may be before ours."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one row says. `label` None: no label fits. `known_at` None: the row does not say when it turned out."""

    external_id: str
    label: str | None
    known_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """What proved true of an item, when, and what it was seen by."""

    label: str | None
    known_at: datetime
    source: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one row. `problem` names the place and the mend where it was not taken; `conflict` another label that was
    told of the item, and which of the two stands."""

    external_id: str
    state: State
    problem: str | None = None
    conflict: str | None = None


@dataclass(slots=True)
class _Case:
    """An item with what is known of it so far."""

    item_id: int
    revision: int
    facts: list[Fact]


def check(project: Project, raw: Any) -> Told:
    """One raw row as Told: {"external_id", "label", "known_at"?, "source"?}. Raises InputError naming the place and the mend.

    `label` must be there; null says that no label fits. A date without a time is its beginning in the project's time zone.
    """
    if not isinstance(raw, Mapping):
        raise InputError("truth", "must be an object with external_id and label")
    if strange := sorted(str(name) for name in set(raw) - set(PARTS)):
        raise InputError(strange[0], f"is no part of a truth; send {', '.join(PARTS)}")
    if "label" not in raw:
        raise InputError("label", "is missing; send the label that proved true, or null where none fits")
    label = _label(project, raw["label"])
    return Told(
        check_external_id(raw.get("external_id")), label, _moment(project, raw.get("known_at")), _source(raw.get("source"))
    )


def keep(session: Session, setting: Setting, told: Sequence[Told], *, by: Actor | None) -> list[Receipt]:
    """Keep what is new, each beside the revision of its item that stands; one receipt per row, in order.

    The same label by the same source at the same moment again is known, and adds nothing; without a moment, the same label by
    the same source. What turned out last stands, of two at one moment the one that came last. Each that is new is announced,
    which gives it a position in the sequence. Where the project says that truths are seen for every item, a standing one
    resolves the open draw of evidence and ends a check that nobody holds; nowhere else does it touch evidence.
    """
    cases = _cases(session, setting.id, sorted({each.external_id for each in told}))
    now, new = clock.now(), list[tuple[str, _Case, Fact]]()
    receipts = [_keep(setting, cases.get(each.external_id), each, now, new) for each in told]
    if new:
        _put(session, setting, new, now, by)
    if new and setting.project.truths.every_item:
        fresh = {case.item_id: case for _, case, _ in new}
        outcomes.resolve_by_truth(session, {item_id: standing(case.facts).label for item_id, case in fresh.items()})
    return receipts


def standing(facts: Iterable[Fact]) -> Fact:
    """What turned out last; of two at one moment the later in the order given. Raises ValueError of nothing."""
    return max(enumerate(facts), key=lambda pair: (pair[1].known_at, pair[0]))[1]


def of(session: Session, item_ids: Sequence[int], until: int | None = None) -> dict[int, Fact]:
    """What stands of these items, by item; of what has a position in the sequence up to `until`, where it is given."""
    facts = _all(session, item_ids) if until is None else _announced(session, item_ids, until)
    return {item_id: standing(held) for item_id, held in facts.items()}


def of_item(session: Session, item_id: int) -> tuple[Fact, ...]:
    """All that was told of an item, oldest first."""
    return tuple(_all(session, [item_id]).get(item_id, ()))


def read(body: Mapping[str, Any]) -> Fact:
    """What the body of an event says."""
    return Fact(body["true_label"], datetime.fromisoformat(body["known_at"]), body["true_source"])


def _label(project: Project, value: Any) -> str | None:
    if value is None:
        return None
    try:
        label = label_text(value).strip()
    except ValueError as error:
        raise InputError("label", str(error)) from None
    if label not in project.labels:
        raise InputError("label", f"{label[:60]!r} is no label of {project.project}{nearest(label, project.labels)}")
    return label


def _moment(project: Project, value: Any) -> datetime | None:
    if value is None:
        return None
    text = iso(value) if isinstance(value, str) else None
    if text is None:
        raise InputError("known_at", f"{str(value)[:60]!r} is no date; write it as 2026-11-28 or 2026-11-28T09:30:00+01:00")
    at = datetime.fromisoformat(text)
    try:
        at = (at if at.tzinfo is not None else at.replace(tzinfo=project.zone)).astimezone(UTC)
    except OverflowError:
        raise InputError(
            "known_at", f"{text!r} is beyond the years that can be kept; give the day on which it turned out"
        ) from None
    if at > clock.now() + AHEAD:
        raise InputError("known_at", f"{text!r} lies in the future; give the day on which it turned out")
    return at


def _source(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MOST_SOURCE:
        return value.strip()
    mend = f"name what it was seen by, such as chargeback: one line, up to {MOST_SOURCE} characters"
    raise InputError("source", f"{str(value)[:60]!r} cannot be kept; {mend}")


def _cases(session: Session, project_id: int, external_ids: Sequence[str]) -> dict[str, _Case]:
    """The standing items of these ids, locked in one order: the same truth told twice at once is kept once."""
    wanted = (
        ItemKey.project_id == project_id,
        ItemKey.shown_id.is_(None),
        bulk.among(session, ItemKey.external_id, external_ids),
    )
    query = select(ItemKey.external_id, ItemKey.item_id, ItemKey.revision).where(*wanted).order_by(ItemKey.item_id)
    rows = session.execute(query.with_for_update(key_share=True)).all()
    facts = _all(session, [row.item_id for row in rows])
    return {row.external_id: _Case(row.item_id, row.revision, list(facts.get(row.item_id, ()))) for row in rows}


def _all(session: Session, item_ids: Sequence[int]) -> dict[int, list[Fact]]:
    query = select(Truth.item_id, Truth.label, Truth.known_at, Truth.source).where(bulk.among(session, Truth.item_id, item_ids))
    found: defaultdict[int, list[Fact]] = defaultdict(list)
    for item_id, label, known_at, source in session.execute(query.order_by(Truth.id)).tuples():
        found[item_id].append(Fact(label, known_at, source))
    return found


def _announced(session: Session, item_ids: Sequence[int], until: int) -> dict[int, list[Fact]]:
    told = (bulk.among(session, Event.item_id, item_ids), Event.seq <= until, Event.kind == KIND)
    found: defaultdict[int, list[Fact]] = defaultdict(list)
    for item_id, body in session.execute(select(Event.item_id, Event.body).where(*told).order_by(Event.seq)).tuples():
        if item_id is not None:
            found[item_id].append(read(body))
    return found


def _keep(setting: Setting, case: _Case | None, told: Told, now: datetime, new: list[tuple[str, _Case, Fact]]) -> Receipt:
    """The receipt of one row; what is new goes to `new` and to its case."""
    if case is None:
        problem = f"{setting.project.heading} has no {setting.project.noun} {told.external_id!r}; send the item first"
        return Receipt(told.external_id, "invalid", problem)
    before = standing(case.facts) if case.facts else None
    if any(_same(fact, told) for fact in case.facts):
        return Receipt(told.external_id, "known", conflict=_conflict(before, told))
    fact = Fact(told.label, told.known_at or now, told.source)
    case.facts.append(fact)
    new.append((told.external_id, case, fact))
    other = before if standing(case.facts) is fact else standing(case.facts)
    return Receipt(told.external_id, "kept", conflict=_conflict(other, told, stands=standing(case.facts) is fact))


def _same(fact: Fact, told: Told) -> bool:
    return (fact.label, fact.source) == (told.label, told.source) and told.known_at in (None, fact.known_at)


def _conflict(other: Fact | None, told: Told, *, stands: bool = False) -> str | None:
    """Which other label was told of the item, where one was."""
    if other is None or other.label == told.label:
        return None
    seen = f"{_named(other.label)} was told as of {other.known_at:%Y-%m-%d}" + (f" by {other.source}" if other.source else "")
    return f"{seen}; {_named(told.label if stands else other.label)} stands"


def _named(label: str | None) -> str:
    return "no label" if label is None else repr(label)


def _put(session: Session, setting: Setting, new: Sequence[tuple[str, _Case, Fact]], now: datetime, by: Actor | None) -> None:
    kept = {"project_id": setting.id, "made_at": now, "made_by": by.id if by else None}
    rows = [
        {"item_id": case.item_id, "label": fact.label, "source": fact.source, "known_at": fact.known_at, **kept}
        for _, case, fact in new
    ]
    session.execute(insert(Truth), rows)
    shared = {"project_id": setting.id, "kind": KIND, "made_at": now, "ready_at": now}
    told = [{"item_id": case.item_id, "body": _body(name, case.revision, fact), **shared} for name, case, fact in new]
    session.execute(insert(Outbox), told)
    activity.record(session, by, "item.truth", f"project:{setting.name}", project_id=setting.id, after={"new": len(new)})


def _body(name: str, revision: int, fact: Fact) -> dict[str, Any]:
    said = {"true_label": fact.label, "true_source": fact.source, "known_at": fact.known_at.isoformat()}
    return {**names.event(name, revision), **said}

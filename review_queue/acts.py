"""Reading the log of acts: filtered, page by page, and taken out. Nothing in it may unblind whoever reads it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, exists, or_, select, union
from sqlalchemy.orm import Session, aliased

from db.engine import Database
from db.tables import Activity, Claim, Decision, ItemKey, Person, Task
from review_queue import activity, gold
from review_queue.activity import Actor
from review_queue.claims import TAKEN
from review_queue.errors import Forbidden, Invalid
from review_queue.periods import day
from review_queue.projects import Setting

PAGE = 100
MOST = 1000
"""Acts that one statement reads."""
TAKEN_OUT = 100_000
"""Acts of one file: the newest that fit the filter."""
SUBJECTS = ("item", "task", "person", "model", "proposal", "dataset", "job", "webhook", "project", "flag", "bulk", "key")
COLUMNS = ("at", "person", "on_behalf_of", "via", "verb", "subject", "named", "before", "after")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts: of whom, what, on what, between which days, both included. Empty is everything."""

    person: str = ""
    verb: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None

    @staticmethod
    def read(given: Mapping[str, str]) -> "Wanted":
        """As an address has it. Raises Invalid for what is no day."""
        names = {name: given.get(name, "").strip().replace("\x00", "")[:200] for name in ("person", "verb", "subject")}
        return Wanted(**names, since=_day(given.get("since", "")), until=_day(given.get("until", "")))

    def written(self) -> dict[str, str]:
        """As an address has it."""
        held = {"person": self.person, "verb": self.verb, "subject": self.subject}
        days = {"since": self.since, "until": self.until}
        return {**{name: value for name, value in held.items() if value}, **{n: str(d) for n, d in days.items() if d}}


@dataclass(frozen=True, slots=True)
class Row:
    """One act. `person` did it, `behalf` is whom a key named, `named` what the item is called."""

    id: int
    at: datetime
    person: str | None
    behalf: str | None
    via: str
    verb: str
    subject: str
    named: str | None
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Page:
    """Acts, newest first; `next` continues, None at the end. `withheld` acts concern cases that this person may yet answer."""

    rows: tuple[Row, ...]
    next: int | None
    withheld: int


def page(
    session: Session,
    setting: Setting,
    actor: Actor,
    wanted: Wanted,
    zone: ZoneInfo,
    *,
    before: int | None = None,
    limit: int = PAGE,
) -> Page:
    """The newest acts that fit, before a place in the log where one is named. Below lead, one's own alone.

    `zone`: in which the days are meant. Raises Forbidden for the acts of others.
    """
    wanted = _allowed(actor, wanted)
    conditions = _conditions(session, setting, actor, wanted, zone)
    if conditions is None:
        return Page((), None, 0)
    conditions += [] if before is None else [Activity.id < before]
    query = _newest(session, wanted.person, conditions, limit + 1)
    found = session.execute(query).all() if query is not None else []
    acts = [act for act, _, _ in found[:limit]]
    names = _names(session, acts)
    closed = _closed(session, actor, set(names))
    rows = [_row(act, who, other, names) for act, who, other in found[:limit] if (_item(act.subject) or 0) not in closed]
    return Page(tuple(rows), acts[-1].id if len(found) > limit else None, len(acts) - len(rows))


def take_out(database: Database, setting: Setting, actor: Actor, wanted: Wanted, zone: ZoneInfo, format: str) -> Iterator[Row]:
    """The acts that fit, newest first, up to TAKEN_OUT, after a note of who took them. Raises Forbidden before it begins."""
    _allowed(actor, wanted)
    noted = {"filter": wanted.written(), "format": format}
    subject = f"project:{setting.name}"
    database.write(activity.record, actor, "activity.download", subject, project_id=setting.id, after=noted)
    return _pages(database, setting, actor, wanted, zone)


def _pages(database: Database, setting: Setting, actor: Actor, wanted: Wanted, zone: ZoneInfo) -> Iterator[Row]:
    before, left = None, TAKEN_OUT
    while left > 0:
        found = database.read(page, setting, actor, wanted, zone, before=before, limit=min(MOST, left))
        yield from found.rows
        before, left = found.next, left - MOST
        if before is None:
            return


def plain(row: Row) -> dict[str, Any]:
    """An act as a file has it: times in UTC, by the names of COLUMNS."""
    at = row.at.astimezone(UTC).isoformat()
    values = (at, row.person, row.behalf, row.via, row.verb, row.subject, row.named, row.before, row.after)
    return dict(zip(COLUMNS, values, strict=True))


def verbs(session: Session, project_id: int, actor: Actor) -> list[str]:
    """The acts that there are in a project and that somebody may read of, in order: a step along the index for each."""
    found: list[str] = []
    first = select(Activity.verb).where(Activity.project_id == project_id).order_by(Activity.verb).limit(1)
    while (verb := session.scalar(first.where(Activity.verb > found[-1]) if found else first)) is not None:
        found.append(verb)
    return [verb for verb in found if verb not in _secret(actor)]


def _secret(actor: Actor) -> tuple[str, ...]:
    """Acts that this person does not read: which answers are known is for owners."""
    return () if actor.at_least("owner") else gold.VERBS


def _allowed(actor: Actor, wanted: Wanted) -> Wanted:
    """What this person may read of it. Raises Forbidden."""
    if actor.at_least("lead"):
        return wanted
    if wanted.person not in ("", actor.name):
        raise Forbidden(f"what {wanted.person} did is for leads to read; your own acts are yours")
    return Wanted(actor.name, wanted.verb, wanted.subject, wanted.since, wanted.until)


def _conditions(
    session: Session, setting: Setting, actor: Actor, wanted: Wanted, zone: ZoneInfo
) -> list[ColumnElement[bool]] | None:
    """What a filter asks for, but for the person; None where it names a case that is to be answered blind: how much was done
    about it would tell a check from a review."""
    conditions: list[ColumnElement[bool]] = [Activity.project_id == setting.id]
    if secret := _secret(actor):
        conditions.append(Activity.verb.not_in(secret))
    if wanted.verb:
        conditions.append(Activity.verb == wanted.verb)
    if wanted.subject:
        subject = _subject(session, setting, wanted.subject)
        if _closed(session, actor, {number} if (number := _item(subject)) is not None else set()):
            return None
        conditions.append(Activity.subject == subject)
    return conditions + _between(session, setting.id, wanted, zone)


def _newest(
    session: Session, name: str, conditions: Sequence[ColumnElement[bool]], limit: int
) -> Select[Activity, str, str] | None:
    """The newest acts that fit, of somebody where one is named; None where there is nobody of that name.

    What they did and what was done in their name are each read by their index, as far as is wanted.
    """
    who, other = aliased(Person), aliased(Person)
    query = select(Activity, who.name, other.name).outerjoin(who, who.id == Activity.actor_id)
    query = query.outerjoin(other, other.id == Activity.for_id).order_by(Activity.id.desc()).limit(limit)
    if not name:
        return query.where(*conditions)
    person = session.scalar(select(Person.id).where(Person.name == name))
    if person is None:
        return None
    mine = select(Activity.id).where(*conditions).order_by(Activity.id.desc()).limit(limit)
    halves = [mine.where(theirs == person).subquery() for theirs in (Activity.actor_id, Activity.for_id)]
    either = union(*(select(half.c.id) for half in halves)).subquery()
    return query.where(Activity.id.in_(select(either.c.id)))


def _between(session: Session, project_id: int, wanted: Wanted, zone: ZoneInfo) -> list[Any]:
    """Days as places in the log, which is written in the order of time: found along the index of times."""
    bounds = []
    begin = datetime.combine(wanted.since, time(), zone) if wanted.since else None
    end = datetime.combine(wanted.until + timedelta(days=1), time(), zone) if wanted.until else None
    here = Activity.project_id == project_id
    if begin is not None:
        bounds.append(Activity.at >= begin)
        first = select(Activity.id).where(here, Activity.at >= begin).order_by(Activity.at, Activity.id).limit(1)
        bounds.append(Activity.id >= (session.scalar(first) or 0) - SLACK)
    if end is not None:
        bounds.append(Activity.at < end)
        last = select(Activity.id).where(here, Activity.at < end).order_by(Activity.at.desc(), Activity.id.desc()).limit(1)
        bounds.append(Activity.id <= (session.scalar(last) or 0) + SLACK)
    return bounds


SLACK = 10_000
"""Acts by which the order of ids and that of times may differ where many write at once."""


def _subject(session: Session, setting: Setting, given: str) -> str:
    """A thing as the log names it: `model:3`, or the id under which an item was sent."""
    if given.partition(":")[0] in SUBJECTS and ":" in given:
        return given
    item = session.scalar(select(ItemKey.item_id).where(ItemKey.project_id == setting.id, ItemKey.external_id == given))
    return f"item:{item}" if item is not None else given


def _item(subject: str) -> int | None:
    kind, _, number = subject.partition(":")
    return int(number) if kind == "item" and number.isdecimal() and number.isascii() and len(number) < 19 else None


def _closed(session: Session, actor: Actor, items: set[int]) -> set[int]:
    """Of these items, those that this person may still have to answer blind: who did what to them would tell."""
    if not actor.at_least("reviewer") or not items:
        return set()
    open_ = (
        Task.blind,
        Task.state.in_(("pending", "in_progress", "parked")),
        or_(Task.kind != "gold", Task.assignee_id == actor.id),
    )
    theirs = (Claim.item_id == Task.item_id, Claim.person_id == actor.id, Claim.state.in_(TAKEN))  # as the index has it
    had = exists().where(*theirs, Claim.state == "answered")
    first = exists().where(Decision.item_id == Task.item_id, Decision.person_id == actor.id, Decision.stage == "first")
    return set(session.scalars(select(Task.item_id).where(Task.item_id.in_(items), *open_, ~had, ~first)))


def _names(session: Session, acts: Sequence[Activity]) -> dict[int, str]:
    items = [number for each in acts if (number := _item(each.subject)) is not None]
    query = select(ItemKey.item_id, ItemKey.name).where(ItemKey.item_id.in_(items))
    return dict(session.execute(query).tuples().all()) if items else {}


def _row(act: Activity, person: str | None, behalf: str | None, names: Mapping[int, str]) -> Row:
    named = names.get(_item(act.subject) or 0)
    return Row(act.id, act.at, person, behalf, act.via, act.verb, act.subject, named, act.before, act.after)


def _day(given: str) -> date | None:
    if not given.strip():
        return None
    try:
        return day(given.strip())
    except ValueError as error:
        raise Invalid(str(error)) from None

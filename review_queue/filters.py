"""Which of the open tasks a lead wants to see: a filter as it stands in an address, and as conditions on the tables.

What is asked of the prediction leaves out every case that somebody may still answer blind: whether such a case is in a list
would tell what was predicted. How many of those there are is counted without that part of the filter.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlencode

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, literal, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from contract.durations import parse_duration, write_duration
from contract.files import nearest
from db import bulk
from db.tables import Claim, Item, ItemKey, Person, Routing, Task
from review_queue import calendar, clock, states
from review_queue.activity import Actor
from review_queue.claims import TAKEN
from review_queue.errors import Forbidden, Invalid
from review_queue.projects import Setting

State = Literal["open", "waiting", "held", "escalated", "disputed", "overdue", "soon", "parked"]
STATES: tuple[State, ...] = get_args(State)
Why = Literal["unsure", "label", "condition", "frozen", "version", "unscored"]
WHYS: dict[Why, tuple[str, str]] = {
    "unsure": ("too low a confidence", "confidence % is below %"),
    "label": ("a label that never acts alone", "% never acts alone"),
    "condition": ("a condition of the policy", "never alone: %"),
    "frozen": ("automation is frozen", "automation is frozen"),
    "version": ("a version that does not act", "made by version %"),
    "unscored": ("no prediction", "not scored: %"),
}
"""Kinds of reasons why a case went to people: in words, and how the sentence of a route reads."""
ONLY: dict[State, str] = {"waiting": "pending", "disputed": "pending", "held": "in_progress", "parked": "parked"}
MOST = 5_000
"""Tasks of one person that are looked at."""
MAX_TEXT = 200
GROUP = "group."
"""Before the name of a group or of a category in an address."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What the cases of a list have in common; None and empty: anything.

    `labels`: what was predicted; `least` and `most`: the confidence, both included; `why`: kinds of reasons why they went to
    people; `older` and `newer`: how long they have waited; `person`: who holds them, or whose they are to take; `groups`: names
    and values of groups and categories; `text`: part of the id or of any value.
    """

    state: State = "open"
    labels: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    why: tuple[Why, ...] = ()
    older: timedelta | None = None
    newer: timedelta | None = None
    person: str | None = None
    groups: tuple[tuple[str, str], ...] = ()
    text: str | None = None

    @property
    def by_prediction(self) -> bool:
        return bool(self.labels or self.why) or self.least is not None or self.most is not None

    @property
    def is_for_leads(self) -> bool:
        """Whether it asks for what reviewers are not shown of cases that they do not hold."""
        return self.by_prediction or bool(self.groups or self.text) or self.state == "disputed"

    def without_prediction(self) -> "Filter":
        return replace(self, labels=(), least=None, most=None, why=())


# The address


def read(setting: Setting, given: str | Mapping[str, Sequence[str]]) -> Filter:
    """The filter of an address; names that are none of its parts are passed by. Raises Invalid for a value that is none."""
    held = parse_qs(given, keep_blank_values=False) if isinstance(given, str) else given
    one = {name: values[-1].strip() for name, values in held.items() if values and values[-1].strip()}
    found = Filter(
        state=_one_of("state", one.get("state", "open"), STATES),
        labels=tuple(_label(setting, each) for each in dict.fromkeys(held.get("label", ()))),
        least=_share("least", one.get("least")),
        most=_share("most", one.get("most")),
        why=tuple(_one_of("why", each, tuple(WHYS)) for each in dict.fromkeys(held.get("why", ()))),
        older=_span("older", one.get("older")),
        newer=_span("newer", one.get("newer")),
        person=_text("person", one.get("person")),
        groups=tuple(_group(setting, name, one[name]) for name in sorted(one) if name.startswith(GROUP)),
        text=_text("text", one.get("text")),
    )
    if found.least is not None and found.most is not None and found.least > found.most:
        raise Invalid(f"no confidence is at least {found.least:g} and at most {found.most:g}; change the two")
    return found


def write(held: Filter) -> str:
    """The filter as it stands in an address; nothing of what is as usual."""
    return urlencode([(name, value) for name, values in pairs(held).items() for value in values])


def pairs(held: Filter) -> dict[str, list[str]]:
    """The parts of an address."""
    said: dict[str, list[str]] = {
        "state": [] if held.state == "open" else [held.state],
        "label": list(held.labels),
        "least": [] if held.least is None else [f"{held.least:g}"],
        "most": [] if held.most is None else [f"{held.most:g}"],
        "why": list(held.why),
        "older": [] if held.older is None else [write_duration(held.older)],
        "newer": [] if held.newer is None else [write_duration(held.newer)],
        "person": [held.person] if held.person else [],
        **{GROUP + name: [value] for name, value in held.groups},
        "text": [held.text] if held.text else [],
    }
    return {name: values for name, values in said.items() if values}


NAMES = tuple("label" if each.name == "labels" else each.name for each in fields(Filter) if each.name != "groups")
"""Parts of an address beside the groups."""


def may_split(setting: Setting) -> tuple[str, ...]:
    """Names of the groups and categories by which cases can be filtered."""
    categories = (name for name, feature in setting.project.input.features.items() if feature.type == "category")
    return tuple(dict.fromkeys((*setting.project.input.groups, *categories)))


def _one_of(name: str, value: str, known: Sequence[Any]) -> Any:
    if value not in known:
        raise Invalid(f"{name} = {value!r} is not known{nearest(value, known)}")
    return value


def _label(setting: Setting, value: str) -> str:
    return str(_one_of("label", value, list(setting.project.labels)))


def _share(name: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise Invalid(f"{name} = {value!r} is no confidence; write a number from 0 to 1")
    return share


def _span(name: str, value: str | None) -> timedelta | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise Invalid(f"{name} = {value!r} {error}") from None


def _text(name: str, value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_TEXT or "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value)):
        raise Invalid(f"{name} has {len(value)} characters, a NUL or a lone surrogate; at most {MAX_TEXT} are taken")
    return value


def _group(setting: Setting, name: str, value: str) -> tuple[str, str]:
    plain = name.removeprefix(GROUP)
    _one_of("group", plain, may_split(setting))
    return plain, _text(name, value) or ""


# The tables


@dataclass(frozen=True, slots=True)
class Walk:
    """The order in which tasks of one state are gone through: by an index, from any place on."""

    within: tuple[ColumnElement[bool], ...]
    key: Any

    def after(self, place: tuple[Any, int] | None) -> ColumnElement[bool]:
        if place is None:
            return true()
        at, task_id = place
        return tuple_(self.key, Task.id) > tuple_(literal(at, self.key.type), literal(task_id, Task.id.type))


def walk(session: Session, setting: Setting, held: Filter) -> Walk:
    """How the tasks of a filter are gone through: the oldest first, of those that are due or for leads what is next."""
    now, here = clock.now(), Task.project_id == setting.id
    if held.state == "overdue":
        return Walk((here, states.DUE, Task.due_at < now), Task.due_at)
    if held.state == "soon":
        until = calendar.soon(now, setting.policy, setting.project.zone)
        return Walk((here, states.DUE, Task.due_at >= now, Task.due_at < until), Task.due_at)
    if held.state == "escalated":
        return Walk((here, states.PENDING, states.FOR_LEADS), Task.rank)
    if held.person is not None:
        return Walk((here, states.OPEN, bulk.among(session, Task.id, _theirs(session, setting, held.person))), Task.made_at)
    within = {"held": states.HELD, "parked": states.PARKED, "disputed": states.CONTESTED}.get(held.state, states.OPEN)
    return Walk((here, within, *_aged(held)), Task.made_at)


def conditions(session: Session, setting: Setting, held: Filter, actor: Actor) -> list[ColumnElement[bool]]:
    """What the tasks of a walk must fulfil besides. They may name Task, Item, ItemKey and Routing.

    Raises Forbidden where a reviewer asks for what is for leads.
    """
    if held.is_for_leads and not actor.at_least("lead"):
        raise Forbidden("filtering by prediction, group or text is for leads")
    parts = [_listed(session, setting, actor)]
    if held.state in ONLY:
        parts.append(Task.state == ONLY[held.state])
    if held.state == "disputed":
        parts.append(Task.kind == "adjudication")
    if held.state in ("overdue", "soon", "escalated"):
        parts += _aged(held)
        if held.person is not None:
            parts.append(bulk.among(session, Task.id, _theirs(session, setting, held.person)))
    parts += [_is(session, name, value, setting) for name, value in held.groups]
    if held.text:
        parts.append(_says(session, held.text))
    if held.by_prediction:
        parts += [*_predicted(held), ~blind()]
    return parts


def blind() -> ColumnElement[bool]:
    """Whether somebody may still answer the case of a task blind."""
    other = aliased(Task)
    waits = other.state.in_(("pending", "in_progress", "parked"))
    return exists().where(other.item_id == Task.item_id, other.blind, waits).correlate(Task)


def _listed(session: Session, setting: Setting, actor: Actor) -> ColumnElement[bool]:
    """A case whose answer is known looks like any other to the one who has it, or let it go, and is in nobody else's list."""
    mine = and_(Task.state != "pending", Task.assignee_id == actor.id)
    let_go = _let_go(session, setting, actor)
    return or_(Task.kind != "gold", mine, *([Task.id.in_(let_go)] if let_go else []))


def _let_go(session: Session, setting: Setting, actor: Actor) -> Sequence[int]:
    """Such cases that wait after this person had them; looked up first, as few as they are."""
    theirs = select(Claim.id).where(Claim.item_id == Task.item_id, Claim.person_id == actor.id, Claim.task_id == Task.id)
    had = (theirs.where(each).limit(1).correlate(Task).scalar_subquery() for each in (Claim.state.in_(TAKEN), states.LET_GO))
    gold = (Task.project_id == setting.id, states.GOLD, states.PENDING, Task.assignee_id == actor.id)
    return session.scalars(select(Task.id).where(*gold, or_(*(each.is_not(None) for each in had)))).all()


def _aged(held: Filter) -> list[ColumnElement[bool]]:
    now = clock.now()
    older = [Task.made_at <= now - held.older] if held.older is not None else []
    return older + ([Task.made_at >= now - held.newer] if held.newer is not None else [])


def _theirs(session: Session, setting: Setting, name: str) -> list[int]:
    """Tasks that a person holds, that are theirs to take first, or that they parked; looked up first, as few as they are."""
    person_id = session.scalar(select(Person.id).where(Person.name == name))
    held = select(Claim.task_id).where(Claim.person_id == person_id, states.LEASED)
    mine = select(Task.id).where(Task.project_id == setting.id, Task.assignee_id == person_id)
    queries = (held, mine.where(states.ASSIGNED, still(), Task.kind != "gold"), mine.where(states.PARKED))
    return [task_id for query in queries for task_id in session.scalars(query.limit(MOST))]


def still() -> ColumnElement[bool]:
    """Whether a task that is assigned is that person's alone yet."""
    return or_(Task.assigned_until.is_(None), Task.assigned_until >= clock.now())


def _is(session: Session, name: str, value: str, setting: Setting) -> ColumnElement[bool]:
    """Whether a group or a category of the case has a value."""
    column = Item.groups if name in setting.project.input.groups else Item.input
    if session.get_bind().dialect.name == "postgresql":
        return func.jsonb_extract_path_text(cast(column, JSONB), name) == value
    each = func.json_each(column).table_valued("key", "value")
    return exists(select(1).select_from(each).where(each.c.key == name, cast(each.c.value, String) == value))


def _says(session: Session, text: str) -> ColumnElement[bool]:
    """Whether the id or a value has this text in it, whatever the case of its letters."""
    return or_(ItemKey.name.icontains(text, autoescape=True), *(_holds(session, each, text) for each in (Item.input, Item.show)))


def _holds(session: Session, column: Any, text: str) -> ColumnElement[bool]:
    if session.get_bind().dialect.name == "postgresql":
        each = func.jsonb_each_text(cast(column, JSONB)).table_valued("key", "value")
    else:
        each = func.json_each(column).table_valued("key", "value")
    return exists(select(1).select_from(each).where(cast(each.c.value, String).icontains(text, autoescape=True)))


def _predicted(held: Filter) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = []
    if held.labels:
        parts.append(Routing.label.in_(held.labels))
    if held.least is not None:
        parts.append(Routing.confidence >= held.least)
    if held.most is not None:
        parts.append(Routing.confidence <= held.most)
    if held.why:
        parts.append(or_(*(Routing.reason.like(WHYS[each][1]) for each in held.why)))
    return parts

"""What a person chose for their own desk: deck or page, time zone, keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import update
from sqlalchemy.orm import Session

from contract.files import nearest
from db.tables import Person
from review_queue.activity import Actor
from review_queue.errors import Invalid

Desk = Literal["deck", "page"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """`zone` None: that of the browser, else the project's. `keys`: the key of each action that is not on its usual one."""

    desk: Desk = "deck"
    zone: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


def of(session: Session, person_id: int) -> Preferences:
    """What a person chose; what they did not is as usual."""
    row = session.get(Person, person_id)
    held: dict[str, Any] = (row.settings if row else None) or {}
    return Preferences(held.get("desk", "deck"), held.get("zone"), held.get("keys", {}))


def choose(session: Session, actor: Actor, chosen: Preferences) -> None:
    """Keep a person's own choice. Raises Invalid for an unknown zone."""
    if chosen.zone is not None and chosen.zone not in _zones():
        raise Invalid(f"{chosen.zone!r} is not a time zone{nearest(chosen.zone, sorted(_zones()))[:80]}")
    body = {"desk": chosen.desk, "zone": chosen.zone, "keys": dict(chosen.keys)}
    session.execute(update(Person).where(Person.id == actor.id).values(settings=body))


def zone(chosen: Preferences, browser: str | None, project: ZoneInfo) -> ZoneInfo:
    """The zone in which a person reads times."""
    name = chosen.zone or browser
    return ZoneInfo(name) if name in _zones() else project


@cache
def _zones() -> set[str]:
    """Looked for on the disk, which takes longer than a whole page may."""
    return available_timezones()

"""Filters of the page Queue under a name: one's own, and those that others shared."""

from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from db.statements import run
from db.tables import Person, SavedFilter
from review_queue import activity, clock, filters
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.filters import Filter
from review_queue.projects import Setting

LONGEST = 60
MOST = 100
"""Filters that one person may keep of a project."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A filter as it stands in an address, under a name; `mine`: whether the reader made it."""

    id: int
    name: str
    query: str
    person: str
    shared: bool
    mine: bool


def save(session: Session, setting: Setting, actor: Actor, name: str, held: Filter, *, shared: bool = False) -> Saved:
    """Keep a filter under a name, in place of one's own of that name. Raises Invalid; Forbidden where a reviewer would share."""
    if not actor.at_least("reviewer") or (shared and not actor.at_least("lead")):
        raise Forbidden("sharing a filter is for leads; keep it for yourself" if shared else "a viewer keeps no filters")
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST or not name.isprintable():
        raise Invalid(f"a filter needs a name of 1 to {LONGEST} characters that can be printed")
    row = {"query": filters.write(held), "shared": shared, "made_at": clock.now()}
    mine = (SavedFilter.project_id == setting.id, SavedFilter.person_id == actor.id)
    again = update(SavedFilter).where(*mine, SavedFilter.name == name).values(**row).returning(SavedFilter.id)
    saved_id = session.scalar(again)
    if saved_id is None:
        if (session.scalar(select(func.count()).where(*mine)) or 0) >= MOST:
            raise Invalid(f"you keep {MOST} filters here already; forget one first")
        saved_id = run(session, _PUT, {"project": setting.id, "person": actor.id, "name": name, **row})[0][0]
    if shared:
        after = {"name": name, "query": row["query"]}
        activity.record(session, actor, "filter.share", f"filter:{saved_id}", project_id=setting.id, after=after)
    return next(each for each in listed(session, setting, actor) if each.id == saved_id)


def forget(session: Session, setting: Setting, actor: Actor, saved_id: int) -> None:
    """Forget a filter of one's own; an owner may forget what others shared. Raises NotFound."""
    theirs = (
        or_(SavedFilter.person_id == actor.id, SavedFilter.shared)
        if actor.at_least("owner")
        else SavedFilter.person_id == actor.id
    )
    gone = delete(SavedFilter).where(SavedFilter.id == saved_id, SavedFilter.project_id == setting.id, theirs)
    if session.scalar(gone.returning(SavedFilter.id)) is None:
        raise NotFound("there is no such filter of yours any more")


def listed(session: Session, setting: Setting, actor: Actor) -> list[Saved]:
    """A person's own filters and those that others shared, by name."""
    mine = SavedFilter.person_id == actor.id
    query = select(SavedFilter, Person.name).join(Person, Person.id == SavedFilter.person_id)
    rows = session.execute(
        query.where(SavedFilter.project_id == setting.id, or_(mine, SavedFilter.shared)).order_by(SavedFilter.id)
    )
    found = [Saved(row.id, row.name, row.query, person, row.shared, row.person_id == actor.id) for row, person in rows]
    return sorted(found, key=lambda each: (each.name.casefold(), not each.mine))


_PUT = """INSERT INTO saved_filter (project_id, person_id, name, query, shared, made_at)
    VALUES (:project, :person, :name, :query, :shared, :made_at)
    ON CONFLICT (project_id, person_id, name) DO UPDATE SET query = excluded.query, shared = excluded.shared RETURNING id"""
"""Saved twice at once is saved once."""

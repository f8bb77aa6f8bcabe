"""The log of who changed what or took data out, written in the transaction of the change itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session, aliased

from db.tables import Activity, Person
from review_queue import clock
from review_queue.errors import Forbidden, NotFound

Via = Literal["desk", "api", "cli", "worker"]
RANKS = {"viewer": 0, "reviewer": 1, "lead": 2, "owner": 3, "admin": 4}


CLOSED = "this project is not open to you; whoever owns it may let you in with `signoff user grant`"


@dataclass(frozen=True, slots=True)
class Reach:
    """The role of somebody by project: `named` for single ones, `elsewhere` for the others, None where those are closed."""

    elsewhere: str | None
    named: tuple[tuple[int, str], ...] = ()

    def role(self, project_id: int) -> str | None:
        return dict(self.named).get(project_id, self.elsewhere)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and through which door. `recorded_by` is the owner of a key that named another person.

    `role` is what they act as; without a `reach` they do so in every project.
    """

    id: int
    name: str
    role: str
    via: Via
    recorded_by: int | None = None
    known_answers: bool = False  # the known answers play this person; everything it does says so
    reach: Reach | None = None

    def at_least(self, role: str) -> bool:
        return RANKS[self.role] >= RANKS[role]

    def role_in(self, project_id: int) -> str | None:
        """Their role in a project; None where it is closed to them."""
        return self.role if self.reach is None else self.reach.role(project_id)

    def sees(self, project_id: int) -> bool:
        return self.role_in(project_id) is not None

    def within(self, project_id: int) -> "Actor":
        """The same person as this project knows them. Raises NotFound where it is closed to them."""
        role = self.role_in(project_id)
        if role is None:
            raise NotFound(CLOSED)
        return self if role == self.role else replace(self, role=role)


@dataclass(frozen=True, slots=True)
class Act:
    at: datetime
    actor: str | None
    on_behalf_of: str | None
    via: str
    verb: str
    subject: str
    before: Any
    after: Any


def record(
    session: Session,
    actor: Actor | None,
    verb: str,
    subject: str,
    *,
    project_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add one row. None as the actor is the worker itself. Raises NotFound, Forbidden as `row` does, which undoes the act."""
    session.execute(insert(Activity).values(row(actor, verb, subject, project_id, before, after)))


def row(
    actor: Actor | None,
    verb: str,
    subject: str,
    project_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The row that `record` adds.

    Raises NotFound for a project that is closed to the actor, Forbidden where they act in another role than they have there.
    """
    if actor is not None and project_id is not None and actor.within(project_id).role != actor.role:
        raise Forbidden(f"{actor.name} acts as {actor.role} here, and is {actor.role_in(project_id)} in that project")
    named_other = actor is not None and actor.recorded_by is not None
    return {
        "at": clock.now(),
        "actor_id": (actor.recorded_by if named_other else actor.id) if actor else None,
        "for_id": actor.id if actor and named_other else None,
        "via": actor.via if actor else "worker",
        "verb": verb,
        "subject": subject,
        "project_id": project_id,
        "before": before,
        "after": after,
    }


def recent(session: Session, project_id: int, *, limit: int = 200) -> Sequence[Act]:
    """The latest acts of a project, newest first."""
    return _acts(session, select(Activity).where(Activity.project_id == project_id), limit)


def of_subject(session: Session, subject: str, *, limit: int = 200) -> Sequence[Act]:
    """The latest acts on one thing, such as `item:17`, newest first."""
    return _acts(session, select(Activity).where(Activity.subject == subject), limit)


def _acts(session: Session, query: Select[Activity], limit: int) -> list[Act]:
    actor, other = aliased(Person), aliased(Person)
    whole = query.add_columns(actor.name, other.name).outerjoin(actor, actor.id == Activity.actor_id)
    latest = whole.outerjoin(other, other.id == Activity.for_id).order_by(Activity.id.desc()).limit(limit)
    return [Act(a.at, name, named, a.via, a.verb, a.subject, a.before, a.after) for a, name, named in session.execute(latest)]

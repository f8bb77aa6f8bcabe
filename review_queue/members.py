"""What is open to whom: single projects with a role of their own, or every project."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.tables import Member, Person, Project
from review_queue import activity, claims, clock, people
from review_queue.activity import RANKS, Actor
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.people import PLAYERS, Account


@dataclass(frozen=True, slots=True)
class Open:
    """A project that is open to somebody by name, and their role there."""

    project: str
    role: str


def of(session: Session, name: str) -> list[Open]:
    """The projects that are opened to a person by name. Raises NotFound."""
    person = people.account(session, name)
    query = select(Project.name, Member.role).join(Member, Member.project_id == Project.id).where(Member.person_id == person.id)
    return [Open(project, role or person.role) for project, role in session.execute(query.order_by(Project.id))]


def grant(session: Session, name: str, project: str, role: str | None = None, *, by: Actor | None = None) -> None:
    """Open a project to somebody, in another role than elsewhere where one is named.

    Raises NotFound, Invalid for an unknown role, Forbidden below owner of the project and for a role above one's own.
    """
    person, project_id, by = _both(session, name, project, by)
    if role is not None:
        people.check_role(role)
        _refuse_above(role, by)
    before = session.get(Member, (person.id, project_id))
    was = {"role": before.role} if before is not None else None
    _keep(session, before, person.id, project_id, role, by)
    _follow(session, name, project_id)
    activity.record(session, by, "user.grant", f"person:{name}", project_id=project_id, before=was, after={"role": role})


def withdraw(session: Session, name: str, project: str, *, by: Actor | None = None) -> None:
    """Close a project to somebody, or take their other role there away where all are open; what they hold there goes back.

    Raises NotFound, Forbidden below owner of the project, Invalid where it is open because every project is.
    """
    person, project_id, by = _both(session, name, project, by)
    gone = delete(Member).where(Member.person_id == person.id, Member.project_id == project_id).returning(Member.role)
    row = session.execute(gone).first()
    if row is None and person.everywhere:
        raise Invalid(f"{name} sees every project; `signoff user withdraw {name} --everywhere` leaves those that are granted")
    if row is None:
        raise NotFound(f"project {project!r} is not open to {name}")
    _follow(session, name, project_id)
    activity.record(session, by, "user.withdraw", f"person:{name}", project_id=project_id, before={"role": row.role})


def everywhere(session: Session, name: str, wanted: bool, *, by: Actor | None = None) -> None:
    """Open every project to somebody, or those alone that are granted; what they hold elsewhere goes back.

    Raises NotFound, Forbidden below admin.
    """
    people.require_admin(by)
    person = people.account(session, name)
    session.execute(update(Person).where(Person.id == person.id).values(everywhere=wanted))
    _follow_everywhere(session, name)
    before, after = {"everywhere": person.everywhere}, {"everywhere": wanted}
    activity.record(session, by, "user.everywhere", f"person:{name}", before=before, after=after)


def set_role(session: Session, name: str, role: str, *, by: Actor | None = None) -> None:
    """Another role, where no project says otherwise. Raises NotFound, Invalid, Forbidden below admin."""
    people.require_admin(by)
    people.check_role(role)
    person = people.account(session, name)
    session.execute(update(Person).where(Person.id == person.id).values(role=role))
    _follow_everywhere(session, name)
    activity.record(session, by, "user.role", f"person:{name}", before={"role": person.role}, after={"role": role})


def present(project_id: int, *, least: str = "reviewer") -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Person`: people who may work in a project in this role or a higher one. No services, no known answers."""
    roles = [role for role, rank in RANKS.items() if rank >= RANKS[least]]
    theirs = Member.person_id == Person.id, Member.project_id == project_id
    named = select(Member.role).where(*theirs).scalar_subquery()
    return (
        Person.disabled_at.is_(None),
        Person.kind == "person",
        Person.name.not_in(PLAYERS),
        or_(Person.everywhere, exists().where(*theirs)),
        func.coalesce(named, Person.role).in_(roles),
    )


def who_may(session: Session, project_id: int, *, least: str = "reviewer") -> Sequence[str]:
    """Names of the people who may work in a project, in order."""
    return session.scalars(select(Person.name).where(*present(project_id, least=least)).order_by(Person.name)).all()


def _both(session: Session, name: str, project: str, by: Actor | None) -> tuple[Account, int, Actor | None]:
    """The person, the project, and who acts as the project knows them."""
    project_id = session.scalar(select(Project.id).where(Project.name == project))
    if project_id is None or (by is not None and not by.sees(project_id)):
        raise NotFound(f"there is no project {project!r}")
    here = by.within(project_id) if by is not None else None
    if here is not None and not here.at_least("owner"):
        raise Forbidden(f"{here.name} is a {here.role}; whom a project is open to is for its owners and for admins")
    return people.account(session, name), project_id, here


def _refuse_above(role: str, by: Actor | None) -> None:
    if by is not None and not by.at_least(role):
        raise Forbidden(f"{by.name} is a {by.role}, and makes nobody {role}")


def _keep(session: Session, standing: Member | None, person_id: int, project_id: int, role: str | None, by: Actor | None) -> None:
    if standing is not None:
        standing.role = role
        session.flush()
        return
    values = {"person_id": person_id, "project_id": project_id, "role": role, "made_at": clock.now()}
    session.execute(insert(Member).values({**values, "made_by": by.id if by else None}))


def _follow(session: Session, name: str, project_id: int) -> None:
    """Whoever may no longer decide in a project holds nothing there."""
    person = people.account(session, name)
    actor = people.actor(session, person.id, "worker")
    role = actor.role_in(project_id) if actor is not None else None
    if role is None or RANKS[role] < RANKS["reviewer"]:
        claims.take_back(session, person.id, project_id)


def _follow_everywhere(session: Session, name: str) -> None:
    for project_id in session.scalars(select(Project.id).order_by(Project.id)).all():
        _follow(session, name, project_id)

"""Who may come in: persons with roles and passwords, keys with scopes. What is open to them is in `members`."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pwdlib import PasswordHash
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.tables import ApiKey, Member, Person
from review_queue import activity, claims, clock
from review_queue.activity import RANKS, Actor, Reach, Via
from review_queue.errors import Forbidden, Invalid, NotFound

SCOPES = ("produce", "review", "read", "admin", "act_as")
KNOWN_ANSWERS = "known-answers"
"""The name under which known answers play the operator; whatever it decides is marked by this name."""
PLAYERS = (KNOWN_ANSWERS, "known-answers-2", "known-answers-3")
"""The names of those that known answers play, where it takes several: two settle a dispute, which is gold for a third."""
MIN_PASSWORD = 10
_passwords = PasswordHash.recommended()


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    name: str
    kind: str
    role: str
    has_password: bool
    disabled: bool
    everywhere: bool = True
    email: str | None = None
    vouched: bool = False  # an OIDC provider says who they are


@dataclass(frozen=True, slots=True)
class Key:
    """A key that came with a request: who it belongs to and what it may do."""

    id: int
    actor: Actor
    scopes: frozenset[str]


def add_person(
    session: Session,
    name: str,
    *,
    role: str,
    password: str | None = None,
    kind: str = "person",
    email: str | None = None,
    everywhere: bool = True,
    by: Actor | None = None,
) -> Account:
    """`everywhere`: they see every project; else those that are opened to them.

    Raises Forbidden below admin, Invalid for a taken name or address, an unknown role or a short password.
    """
    require_admin(by)
    check_role(role)
    if not name.strip() or _find(session, name) is not None:
        raise Invalid(f"the name {name!r} is taken; choose another" if name.strip() else "a person needs a name")
    values = {"name": name, "role": role, "kind": kind, "password_hash": _hashed(password), "made_at": clock.now()}
    session.execute(insert(Person).values({**values, "everywhere": everywhere, "email": _free_email(session, email)}))
    activity.record(session, by, "user.add", f"person:{name}", after={"role": role, "everywhere": everywhere})
    return account(session, name)


def require_admin(by: Actor | None) -> None:
    """Raises Forbidden for anybody below admin. None is the installation itself."""
    if by is not None and not by.at_least("admin"):
        raise Forbidden(f"{by.name} is a {by.role}; who comes in, and as what, is for admins")


def check_role(role: str) -> None:
    """Raises Invalid."""
    if role not in RANKS:
        raise Invalid(f"{role!r} is no role; choose one of {', '.join(RANKS)}")


def set_password(session: Session, name: str, password: str, *, by: Actor | None = None) -> None:
    """Another password, or the first. Raises NotFound, Forbidden below admin, Invalid for a short one."""
    person, hashed = account(session, name), _hashed(password)
    if by is None or by.id != person.id:
        require_admin(by)
    session.execute(update(Person).where(Person.id == person.id).values(password_hash=hashed))
    activity.record(session, by, "user.password", f"person:{name}")


def set_email(session: Session, name: str, email: str | None, *, by: Actor | None = None) -> None:
    """The address by which a provider is to know them. Raises NotFound, Forbidden below admin, Invalid for one that is taken."""
    require_admin(by)
    person = account(session, name)
    if (wanted := _email(email)) != person.email:
        values = {"email": _free_email(session, email), "issuer": None, "subject": None}
        session.execute(update(Person).where(Person.id == person.id).values(values))
        activity.record(session, by, "user.email", f"person:{name}", after={"set": wanted is not None})


def account(session: Session, name: str) -> Account:
    """Raises NotFound."""
    row = _find(session, name)
    if row is None:
        raise NotFound(f"there is no person {name!r}; `signoff user list` shows who there is")
    return _account(row)


def accounts(session: Session) -> Sequence[Account]:
    return [_account(row) for row in session.scalars(select(Person).order_by(Person.id))]


def disable(session: Session, name: str, *, by: Actor | None = None) -> None:
    """The person can no longer sign in, keys of theirs no longer work, and what they hold goes back. What they decided stays.

    Raises NotFound, Forbidden below admin.
    """
    require_admin(by)
    person = account(session, name)
    session.execute(update(Person).where(Person.id == person.id).values(disabled_at=clock.now()))
    claims.take_back(session, person.id)
    activity.record(session, by, "user.disable", f"person:{name}")


def enable(session: Session, name: str, *, by: Actor | None = None) -> None:
    """The person may come in again. Raises NotFound, Forbidden below admin."""
    require_admin(by)
    person = account(session, name)
    session.execute(update(Person).where(Person.id == person.id).values(disabled_at=None))
    activity.record(session, by, "user.enable", f"person:{name}")


def local_actor(session: Session, name: str, via: Via) -> Actor:
    """The person at this machine, made on first sight as admin: whoever can read the database needs no password.

    Raises Forbidden where that person was disabled.
    """
    row = _find(session, name)
    if row is None:
        add_person(session, name, role="admin")
        row = _find(session, name)
    assert row is not None
    if row.disabled_at is not None:
        raise Forbidden(f"{name!r} is disabled here; sign in as somebody else")
    known = actor(session, row.id, via)
    assert known is not None
    return known


def actor(session: Session, person_id: int, via: Via) -> Actor | None:
    """The person with this id and what is open to them, by one statement; None where they are disabled."""
    rows = session.execute(_WITH_PROJECTS.where(Person.id == person_id)).tuples().all()
    return _actor(rows, via)


_WITH_PROJECTS = (
    select(Person, Member.project_id, Member.role)
    .outerjoin(Member, Member.person_id == Person.id)
    .order_by(Member.project_id)
    .execution_options(populate_existing=True)
)


def _actor(rows: Sequence[tuple[Person, int | None, str | None]], via: Via) -> Actor | None:
    if not rows or rows[0][0].disabled_at is not None:
        return None
    row = rows[0][0]
    named = tuple((project_id, role or row.role) for _, project_id, role in rows if project_id is not None)
    reach = Reach(row.role if row.everywhere else None, named) if named or not row.everywhere else None
    return Actor(row.id, row.name, row.role, via, reach=reach, known_answers=row.name in PLAYERS)


def sign_in(session: Session, name: str, password: str) -> Account | None:
    """The account whose name and password these are; None otherwise. Takes as long for an unknown name."""
    row = _find(session, name)
    hashed = row.password_hash if row is not None and row.password_hash else _nobody()
    fits = _passwords.verify(password, hashed)
    return _account(row) if fits and row is not None and row.password_hash and row.disabled_at is None else None


def anybody_can_sign_in(session: Session) -> bool:
    query = select(Person.id).where(Person.password_hash.is_not(None), Person.disabled_at.is_(None)).limit(1)
    return session.scalar(query) is not None


def add_key(
    session: Session, name: str, *, scopes: Sequence[str], expires_at: datetime | None = None, by: Actor | None = None
) -> str:
    """A new key of a person or service; the text is shown once and only its hash is kept. Raises Invalid, NotFound."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid(f"{', '.join(unknown) or 'nothing'} is no scope; choose among {', '.join(SCOPES)}")
    owner = account(session, name)
    telling = sorted({"read", "produce", "admin"} & set(scopes))
    if owner.kind == "person" and "review" in scopes and telling:
        raise Invalid(f"a person's key that reviews cannot also {telling[0]}: it would see the predictions of blind cases")
    text = f"signoff_{secrets.token_urlsafe(32)}"
    session.execute(
        insert(ApiKey).values(
            person_id=owner.id,
            hash=_hash(text),
            hint=text[-4:],
            scopes=sorted(scopes),
            made_at=clock.now(),
            expires_at=expires_at,
        )
    )
    activity.record(session, by, "key.add", f"person:{name}", after={"scopes": sorted(scopes)})
    return text


def keys(session: Session) -> list[dict[str, object]]:
    """Every key without its text."""
    rows = session.execute(select(ApiKey, Person.name).join(Person, Person.id == ApiKey.person_id).order_by(ApiKey.id))
    return [
        {
            "id": key.id,
            "person": name,
            "ends_in": key.hint,
            "scopes": key.scopes,
            "made_at": key.made_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        }
        for key, name in rows
    ]


def revoke_key(session: Session, key_id: int, *, by: Actor | None = None) -> None:
    """Raises NotFound."""
    found = session.execute(update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=clock.now()).returning(ApiKey.id))
    if found.first() is None:
        raise NotFound(f"there is no key {key_id}; `signoff key list` shows them")
    activity.record(session, by, "key.revoke", f"key:{key_id}")


def open_key(session: Session, text: str) -> Key | None:
    """What a key allows; None where it is unknown, revoked, expired, or its owner disabled."""
    query = _WITH_PROJECTS.join(ApiKey, ApiKey.person_id == Person.id).add_columns(ApiKey)
    rows = session.execute(query.where(ApiKey.hash == _hash(text))).all()
    owner = _actor([tuple(row)[:3] for row in rows], "api")
    if owner is None:
        return None
    key: ApiKey = rows[0][3]
    ended = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= clock.now())
    return None if ended else Key(key.id, owner, frozenset(key.scopes))


def act_as(session: Session, key: Key, name: str) -> Actor:
    """The person whom a request names, in the projects that are open to both. Both are stored.

    Raises Forbidden without the scope act_as, NotFound.
    """
    if name == key.actor.name:
        return key.actor
    if "act_as" not in key.scopes:
        raise Forbidden("this key speaks for its owner only; naming another person needs the scope act_as")
    person = actor(session, account(session, name).id, "api")
    if person is None:
        raise Forbidden(f"{name!r} is disabled")
    return replace(person, recorded_by=key.actor.id, reach=_both(person, key.actor))


def _both(person: Actor, owner: Actor) -> Reach | None:
    """What is open to a person through somebody else's key."""
    if owner.reach is None:
        return person.reach
    reach = person.reach or Reach(person.role)
    known = {project_id for each in (reach, owner.reach) for project_id, _ in each.named}
    named = {project_id: reach.role(project_id) for project_id in sorted(known) if owner.sees(project_id)}
    closed = owner.reach.elsewhere is None
    return Reach(None if closed else reach.elsewhere, tuple((each, role) for each, role in named.items() if role is not None))


def _find(session: Session, name: str) -> Person | None:
    return session.scalar(select(Person).where(Person.name == name))


def _account(row: Person) -> Account:
    password, vouched = row.password_hash is not None, row.subject is not None
    return Account(
        row.id, row.name, row.kind, row.role, password, row.disabled_at is not None, row.everywhere, row.email, vouched
    )


def _hashed(password: str | None) -> str | None:
    if password is not None and len(password) < MIN_PASSWORD:
        raise Invalid(f"a password needs at least {MIN_PASSWORD} characters")
    return _passwords.hash(password) if password is not None else None


def _email(given: str | None) -> str | None:
    """An address as it is compared: without capitals."""
    return (given or "").strip().casefold() or None


def _free_email(session: Session, given: str | None) -> str | None:
    """Raises Invalid."""
    wanted = _email(given)
    if wanted is not None and "@" not in wanted:
        raise Invalid(f"{given!r} is no e-mail address; write one such as ann@example.org")
    if wanted is not None and by_email(session, wanted) is not None:
        raise Invalid(f"somebody here has the address {wanted!r} already; `signoff user list` shows who")
    return wanted


def by_email(session: Session, email: str) -> Account | None:
    """Who has this address."""
    row = session.scalar(select(Person).where(Person.email == _email(email)))
    return _account(row) if row is not None else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_nobody_hash: list[str] = []


def _nobody() -> str:
    if not _nobody_hash:
        _nobody_hash.append(_passwords.hash(secrets.token_urlsafe()))
    return _nobody_hash[0]

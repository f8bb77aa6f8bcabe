"""Who may come in: persons with roles and passwords, keys with scopes."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pwdlib import PasswordHash
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.tables import ApiKey, Person
from review_queue import activity, clock
from review_queue.activity import RANKS, Actor, Via
from review_queue.errors import Forbidden, Invalid, NotFound

SCOPES = ("produce", "review", "read", "admin", "act_as")
KNOWN_ANSWERS = "known-answers"
"""The name under which known answers play the operator; whatever it decides is marked by this name."""
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


@dataclass(frozen=True, slots=True)
class Key:
    """A key that came with a request: who it belongs to and what it may do."""

    id: int
    actor: Actor
    scopes: frozenset[str]


def add_person(
    session: Session, name: str, *, role: str, password: str | None = None, kind: str = "person", by: Actor | None = None
) -> Account:
    """Raises Invalid for a taken name, an unknown role or a short password."""
    if role not in RANKS:
        raise Invalid(f"{role!r} is no role; choose one of {', '.join(RANKS)}")
    if password is not None and len(password) < MIN_PASSWORD:
        raise Invalid(f"a password needs at least {MIN_PASSWORD} characters")
    if not name.strip() or _find(session, name) is not None:
        raise Invalid(f"the name {name!r} is taken; choose another" if name.strip() else "a person needs a name")
    hashed = _passwords.hash(password) if password is not None else None
    values = {"name": name, "role": role, "kind": kind, "password_hash": hashed, "made_at": clock.now()}
    session.execute(insert(Person).values(values))
    activity.record(session, by, "user.add", f"person:{name}", after={"role": role})
    return account(session, name)


def account(session: Session, name: str) -> Account:
    """Raises NotFound."""
    row = _find(session, name)
    if row is None:
        raise NotFound(f"there is no person {name!r}; `signoff user list` shows who there is")
    return _account(row)


def accounts(session: Session) -> Sequence[Account]:
    return [_account(row) for row in session.scalars(select(Person).order_by(Person.id))]


def disable(session: Session, name: str, *, by: Actor | None = None) -> None:
    """The person can no longer sign in, and keys of theirs no longer work. What they decided stays."""
    person = account(session, name)
    session.execute(update(Person).where(Person.id == person.id).values(disabled_at=clock.now()))
    activity.record(session, by, "user.disable", f"person:{name}")


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
    return Actor(row.id, row.name, row.role, via, known_answers=row.name == KNOWN_ANSWERS)


def actor(session: Session, person_id: int, via: Via) -> Actor | None:
    """The person with this id, unless disabled."""
    row = session.get(Person, person_id)
    if row is None or row.disabled_at is not None:
        return None
    return Actor(row.id, row.name, row.role, via)


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
    row = session.execute(
        select(ApiKey, Person).join(Person, Person.id == ApiKey.person_id).where(ApiKey.hash == _hash(text))
    ).first()
    if row is None:
        return None
    key, person = row
    ended = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= clock.now())
    if ended or person.disabled_at is not None:
        return None
    return Key(key.id, Actor(person.id, person.name, person.role, "api"), frozenset(key.scopes))


def act_as(session: Session, key: Key, name: str) -> Actor:
    """The person whom a request names. Both are stored. Raises Forbidden without the scope act_as, NotFound."""
    if name == key.actor.name:
        return key.actor
    if "act_as" not in key.scopes:
        raise Forbidden("this key speaks for its owner only; naming another person needs the scope act_as")
    person = account(session, name)
    if person.disabled:
        raise Forbidden(f"{name!r} is disabled")
    return Actor(person.id, person.name, person.role, "api", recorded_by=key.actor.id)


def _find(session: Session, name: str) -> Person | None:
    return session.scalar(select(Person).where(Person.name == name))


def _account(row: Person) -> Account:
    return Account(row.id, row.name, row.kind, row.role, row.password_hash is not None, row.disabled_at is not None)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_nobody_hash: list[str] = []


def _nobody() -> str:
    if not _nobody_hash:
        _nobody_hash.append(_passwords.hash(secrets.token_urlsafe()))
    return _nobody_hash[0]

"""People for whom an OIDC provider vouches: who is let in, as what, and whom they are here.

A person is known by the provider's `iss` and `sub`, which never change (OpenID Connect Core 1.0, section 5.7). An address or
a name may, so it only ever introduces somebody, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.tables import Person
from review_queue import activity, members, people
from review_queue.activity import RANKS
from review_queue.errors import Forbidden, Invalid
from review_queue.people import Account

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is let in. With `groups` (role by group) they decide alone, at each sign-in; else a known address or a domain does.

    `projects` are opened to whoever comes for the first time; none named: every one. `trust_email`: the provider's addresses
    are its own, though it does not say that it verified them.
    """

    domains: frozenset[str] = frozenset()
    role: str = "reviewer"
    groups: Mapping[str, str] | None = None
    claim: str = "groups"
    projects: tuple[str, ...] = ()
    trust_email: bool = False


def welcome(session: Session, claims: Mapping[str, Any], rules: Rules) -> Account:
    """The account of whom the provider vouches for; made where the rules let them in for the first time.

    Raises Forbidden with a sentence for them to read.
    """
    issuer, subject = _text(claims, "iss"), _text(claims, "sub")
    if not issuer or not subject:
        raise Forbidden("the sign-in service did not say who you are; ask whoever runs it")
    role = _role(claims, rules)
    known = session.scalar(select(Person).where(Person.issuer == issuer, Person.subject == subject))
    name = known.name if known is not None else _introduced(session, claims, rules, role)
    account = people.account(session, name)
    if account.disabled:
        raise Forbidden(f"the account {name!r} is disabled; ask an admin")
    if known is None:
        session.execute(update(Person).where(Person.id == account.id).values(issuer=issuer, subject=subject))
        activity.record(session, None, "user.bind", f"person:{name}", after={"issuer": issuer})
    if rules.groups and role is not None and role != account.role:
        members.set_role(session, name, role)
    return people.account(session, name)


def _role(claims: Mapping[str, Any], rules: Rules) -> str | None:
    """The highest role that their groups give; None where groups are not asked for. Raises Forbidden."""
    if not rules.groups:
        return None
    given = claims.get(rules.claim)
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    roles = [rules.groups[name] for name in names if isinstance(name, str) and name in rules.groups]
    if not roles:
        raise Forbidden("you are in none of the groups that may come in here; ask an admin to put you into one")
    return max(roles, key=RANKS.__getitem__)


def _introduced(session: Session, claims: Mapping[str, Any], rules: Rules, role: str | None) -> str:
    """The name of somebody who comes for the first time. Raises Forbidden."""
    email = _email(claims, rules)
    expected = people.by_email(session, email) if email else None
    if expected is not None:
        if expected.vouched or expected.kind != "person":
            raise Forbidden(f"another sign-in is known here by {email}; ask an admin to set that address anew")
        return expected.name
    if role is None and (email is None or email.rpartition("@")[2] not in rules.domains):
        raise Forbidden(_not_let_in(claims, email))
    return _made(session, claims, rules, role or rules.role, email)


def _made(session: Session, claims: Mapping[str, Any], rules: Rules, role: str, email: str | None) -> str:
    name = email or _text(claims, "preferred_username") or _text(claims, "sub")
    try:
        people.add_person(session, name, role=role, email=email, everywhere=not rules.projects)
    except Invalid as error:
        raise Forbidden(f"no account could be made for you: {error}") from None
    for project in rules.projects:
        members.grant(session, name, project)
    return name


def _not_let_in(claims: Mapping[str, Any], email: str | None) -> str:
    if email is not None:
        return f"nobody here expects {email}; ask an admin to let you in"
    if _text(claims, "email"):
        return "the sign-in service did not say that it verified your address, so it cannot let you in; ask an admin"
    return "the sign-in service told no address of yours, by which you could be let in; ask an admin"


def _email(claims: Mapping[str, Any], rules: Rules) -> str | None:
    """Their address, where it may be relied on."""
    verified = rules.trust_email or claims.get("email_verified") in (True, "true")
    return _text(claims, "email").casefold() or None if verified else None


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that is plain text of a sane length; empty otherwise."""
    value = claims.get(name)
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST and value.isprintable() else ""

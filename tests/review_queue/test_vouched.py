"""Whom a provider's word lets in, and as whom."""

from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity
from review_queue import members, people, vouched
from review_queue.errors import Forbidden
from review_queue.projects import Setting
from review_queue.vouched import Rules

DOMAIN = Rules(domains=frozenset({"example.org"}))
GROUPS = Rules(groups={"crew": "reviewer", "heads": "lead"})


def said(**changes: Any) -> dict[str, Any]:
    return {"iss": "https://id.example", "sub": "s-1", "email": "Ann@Example.org", "email_verified": True, **changes}


class TestFirstSight:
    def test_a_domain_lets_in_and_the_subject_is_who_they_are(self, database: Database) -> None:
        made = database.write(vouched.welcome, said(), DOMAIN)
        assert (made.name, made.role, made.email, made.vouched, made.everywhere, made.has_password) == (
            "ann@example.org",
            "reviewer",
            "ann@example.org",
            True,
            True,
            False,
        )
        assert database.write(vouched.welcome, said(email="other@elsewhere.test"), DOMAIN).id == made.id
        assert [a.name for a in database.read(people.accounts)] == ["ann@example.org"]

    def test_an_expected_address_is_bound_once(self, database: Database) -> None:
        expected = database.write(people.add_person, "ann", role="owner", email="ann@example.org")
        assert database.write(vouched.welcome, said(), Rules()).id == expected.id
        with pytest.raises(Forbidden, match="another sign-in is known here"):
            database.write(vouched.welcome, said(sub="s-2"), DOMAIN)
        with pytest.raises(Forbidden, match="another sign-in is known here"):
            database.write(vouched.welcome, said(iss="https://evil.example"), DOMAIN)
        database.write(people.set_email, "ann", "new@example.org")
        assert database.write(vouched.welcome, said(sub="s-3", email="new@example.org"), Rules()).id == expected.id

    def test_projects_are_opened(self, database: Database, held: Setting) -> None:
        made = database.write(vouched.welcome, said(), Rules(domains=DOMAIN.domains, role="viewer", projects=("claims",)))
        assert (made.everywhere, made.role) == (False, "viewer")
        assert [each.project for each in database.read(members.of, made.name)] == ["claims"]

    def test_what_was_done_is_written_down(self, database: Database) -> None:
        database.write(vouched.welcome, said(), DOMAIN)
        assert database.read(lambda s: s.scalars(select(Activity.verb).order_by(Activity.id)).all()) == ["user.add", "user.bind"]


@pytest.mark.parametrize(
    ("changes", "rules", "words"),
    [
        ({}, Rules(), "nobody here expects ann@example.org"),
        ({"email": "ann@example.org.evil.test"}, DOMAIN, "nobody here expects"),
        ({"email": "ann@sub.example.org"}, DOMAIN, "nobody here expects"),
        ({"email_verified": False}, DOMAIN, "did not say that it verified"),
        ({"email_verified": None}, DOMAIN, "did not say that it verified"),
        ({"email_verified": "yes"}, DOMAIN, "did not say that it verified"),
        ({"email": None}, DOMAIN, "told no address"),
        ({"email": ["ann@example.org"]}, DOMAIN, "told no address"),
        ({"email": "a\nnn@example.org"}, DOMAIN, "told no address"),
        ({"sub": ""}, DOMAIN, "did not say who you are"),
        ({"sub": 7}, DOMAIN, "did not say who you are"),
        ({"iss": None}, DOMAIN, "did not say who you are"),
        ({}, GROUPS, "in none of the groups"),
        ({"groups": ["strangers"]}, GROUPS, "in none of the groups"),
        ({"groups": {"crew": 1}}, GROUPS, "in none of the groups"),
        ({"groups": [["crew"]]}, GROUPS, "in none of the groups"),
    ],
)
def test_who_is_not_let_in_reads_why_and_nothing_is_made(
    sqlite: Database, changes: dict[str, Any], rules: Rules, words: str
) -> None:
    with pytest.raises(Forbidden, match=words):
        sqlite.write(vouched.welcome, said(**changes), rules)
    assert sqlite.read(people.accounts) == []


def test_a_provider_whose_addresses_are_its_own(sqlite: Database) -> None:
    trusting = Rules(domains=DOMAIN.domains, trust_email=True)
    assert sqlite.write(vouched.welcome, said(email_verified=None), trusting).name == "ann@example.org"


def test_a_name_that_is_taken_is_nobody_elses(sqlite: Database) -> None:
    sqlite.write(people.add_person, "ann@example.org", role="admin")
    with pytest.raises(Forbidden, match="no account could be made for you"):
        sqlite.write(vouched.welcome, said(), DOMAIN)
    sqlite.write(people.add_person, "s-1", role="admin", kind="service")
    with pytest.raises(Forbidden, match="is taken"):
        sqlite.write(vouched.welcome, said(email=None, groups="crew"), GROUPS)


def test_a_service_is_nobody_who_signs_in(sqlite: Database) -> None:
    sqlite.write(people.add_person, "bot", role="admin", kind="service", email="ann@example.org")
    with pytest.raises(Forbidden, match="another sign-in"):
        sqlite.write(vouched.welcome, said(), DOMAIN)


def test_groups_give_the_role_anew_at_each_sign_in(database: Database) -> None:
    made = database.write(vouched.welcome, said(groups=["crew", "x"]), GROUPS)
    assert made.role == "reviewer"
    assert database.write(vouched.welcome, said(groups=["crew", "heads"]), GROUPS).role == "lead"
    assert database.write(vouched.welcome, said(groups="crew"), GROUPS).role == "reviewer"
    with pytest.raises(Forbidden, match="in none of the groups"):
        database.write(vouched.welcome, said(groups=[]), GROUPS)


def test_who_is_disabled_stays_out(database: Database) -> None:
    made = database.write(vouched.welcome, said(), DOMAIN)
    database.write(people.disable, made.name)
    with pytest.raises(Forbidden, match="is disabled; ask an admin"):
        database.write(vouched.welcome, said(), DOMAIN)
    database.write(people.enable, made.name)
    assert database.write(vouched.welcome, said(), DOMAIN).id == made.id

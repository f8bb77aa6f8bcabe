"""Who may come in, and as whom."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity, ApiKey, Person
from review_queue import activity, clock, people
from review_queue.errors import Forbidden, Invalid, NotFound
from tests import factories
from tests.review_queue.acting import Move

GOOD = "correct horse battery"


def test_passwords(database: Database) -> None:
    assert not database.read(people.anybody_can_sign_in)
    made = database.write(people.add_person, "ann", role="lead", password=GOOD)
    assert (made.has_password, made.role, made.disabled) == (True, "lead", False)
    assert database.read(people.anybody_can_sign_in)
    assert database.read(people.sign_in, "ann", GOOD) == made
    for name, password in (("ann", GOOD + " "), ("ann", ""), ("bob", GOOD), ("", "")):
        assert database.read(people.sign_in, name, password) is None
    stored = database.read(lambda s: s.scalars(select(Person.password_hash)).one())
    assert stored is not None
    assert stored.startswith("$argon2")
    assert GOOD not in stored


def test_who_has_no_password_cannot_sign_in_with_none(sqlite: Database) -> None:
    sqlite.write(people.add_person, "ann", role="reviewer")
    assert sqlite.read(people.sign_in, "ann", "") is None
    assert not sqlite.read(people.anybody_can_sign_in)


@pytest.mark.parametrize(
    ("name", "role", "password", "words"),
    [
        ("ann", "reviewer", None, "is taken"),
        ("", "reviewer", None, "needs a name"),
        ("  ", "reviewer", None, "needs a name"),
        ("bob", "boss", None, "is no role; choose one of"),
        ("bob", "reviewer", "short", "at least 10"),
    ],
)
def test_wrong_people(sqlite: Database, name: str, role: str, password: str | None, words: str) -> None:
    sqlite.write(people.add_person, "ann", role="reviewer")
    with pytest.raises(Invalid, match=words):
        sqlite.write(people.add_person, name, role=role, password=password)


def test_a_disabled_person_comes_in_by_no_door(database: Database) -> None:
    made = database.write(people.add_person, "ann", role="reviewer", password=GOOD)
    mine = database.write(people.add_key, "ann", scopes=["review"])
    service = database.write(people.add_person, "bot", role="reviewer", kind="service")
    others = database.read(people.open_key, database.write(people.add_key, "bot", scopes=["review", "act_as"]))
    assert others is not None
    assert database.read(people.act_as, others, "ann").recorded_by == service.id
    database.write(people.disable, "ann")
    assert database.read(people.sign_in, "ann", GOOD) is None
    assert database.read(people.open_key, mine) is None
    assert database.read(people.actor, made.id, "desk") is None
    with pytest.raises(Forbidden, match="disabled"):
        database.read(people.act_as, others, "ann")
    assert not database.read(people.anybody_can_sign_in)
    assert [a.disabled for a in database.read(people.accounts)] == [True, False]


class TestKeys:
    def test_a_key_is_shown_once_and_only_its_hash_is_kept(self, database: Database) -> None:
        database.write(people.add_person, "bot", role="reviewer", kind="service")
        text = database.write(people.add_key, "bot", scopes=["read", "produce"])
        key = database.read(people.open_key, text)
        assert key is not None
        assert (key.actor.name, key.actor.via, key.scopes) == ("bot", "api", frozenset({"read", "produce"}))
        rows = database.read(lambda s: [str(vars(row)) for row in s.scalars(select(ApiKey))])
        assert text not in str(rows)
        (listed,) = database.read(people.keys)
        assert (listed["ends_in"], listed["person"]) == (text[-4:], "bot")
        for wrong in ("", text[:-1], text + "x", text.upper()):
            assert database.read(people.open_key, wrong) is None

    def test_keys_end_by_time_and_by_hand(self, database: Database, move: Move) -> None:
        database.write(people.add_person, "bot", role="reviewer")
        brief = database.write(people.add_key, "bot", scopes=["read"], expires_at=clock.now() + timedelta(hours=1))
        long = database.write(people.add_key, "bot", scopes=["read"])
        assert database.read(people.open_key, brief) is not None
        move(timedelta(hours=1))
        assert database.read(people.open_key, brief) is None
        key = database.read(people.open_key, long)
        assert key is not None
        database.write(people.revoke_key, key.id)
        assert database.read(people.open_key, long) is None
        with pytest.raises(NotFound):
            database.write(people.revoke_key, 99)

    @pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "wrte"]])
    def test_scopes_are_known_ones(self, sqlite: Database, scopes: list[str]) -> None:
        sqlite.write(people.add_person, "bot", role="reviewer")
        with pytest.raises(Invalid, match="is no scope; choose among produce"):
            sqlite.write(people.add_key, "bot", scopes=scopes)
        with pytest.raises(NotFound):
            sqlite.write(people.add_key, "nobody", scopes=["read"])

    def test_naming_another_person_needs_the_scope(self, sqlite: Database) -> None:
        for name in ("bot", "ann"):
            sqlite.write(people.add_person, name, role="reviewer")
        plain = sqlite.read(people.open_key, sqlite.write(people.add_key, "bot", scopes=["review"]))
        assert plain is not None
        assert sqlite.read(people.act_as, plain, "bot") == plain.actor
        with pytest.raises(Forbidden, match="act_as"):
            sqlite.read(people.act_as, plain, "ann")
        speaks = sqlite.read(people.open_key, sqlite.write(people.add_key, "bot", scopes=["act_as"]))
        assert speaks is not None
        with pytest.raises(NotFound):
            sqlite.read(people.act_as, speaks, "nobody")


def test_the_person_at_this_machine_is_made_once(sqlite: Database) -> None:
    first = sqlite.write(people.local_actor, "root", "cli")
    assert (first.role, first.via, first.known_answers) == ("admin", "cli", False)
    assert sqlite.write(people.local_actor, "root", "desk").id == first.id
    assert sqlite.write(people.local_actor, people.KNOWN_ANSWERS, "cli").known_answers


def test_every_change_is_written_down_without_secrets(sqlite: Database) -> None:
    by = factories.person(sqlite, "adam", "admin")
    sqlite.write(people.add_person, "ann", role="lead", password=GOOD, by=by)
    text = sqlite.write(people.add_key, "ann", scopes=["read"], by=by)
    sqlite.write(people.revoke_key, 1, by=by)
    sqlite.write(people.disable, "ann", by=by)
    rows = sqlite.read(lambda s: list(s.scalars(select(Activity).where(Activity.actor_id == by.id).order_by(Activity.id))))
    assert [row.verb for row in rows] == ["user.add", "key.add", "key.revoke", "user.disable"]
    assert GOOD not in str([vars(row) for row in rows])
    assert text not in str([vars(row) for row in rows])


@pytest.mark.parametrize(("role", "least"), [(role, least) for role in activity.RANKS for least in activity.RANKS])
def test_roles_include_those_below(role: str, least: str) -> None:
    order = ["viewer", "reviewer", "lead", "owner", "admin"]
    assert activity.Actor(1, "a", role, "cli").at_least(least) == (order.index(role) >= order.index(least))


def test_a_key_by_which_a_person_reviews_tells_nothing_of_predictions(database: Database) -> None:
    database.write(people.add_person, "ann-with-keys", role="reviewer")
    with pytest.raises(Invalid, match="blind cases"):
        database.write(people.add_key, "ann-with-keys", scopes=["review", "read"])
    assert database.write(people.add_key, "ann-with-keys", scopes=["review", "act_as"])

"""What is open to whom, and that the verbs beneath hold to it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.tables import Claim, Person, Task
from review_queue import activity, claims, clock, decisions, find, jobs, members, people, projects, stuck
from review_queue.activity import Actor, Reach
from review_queue.decisions import Said
from review_queue.errors import ClaimExpired, Forbidden, Invalid, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take


@pytest.fixture
def letters(database: Database, held: Setting) -> Setting:
    """A second project beside the claims."""
    return factories.setting(database, factories.project(project="letters"))


def known(database: Database, name: str) -> Actor:
    found = database.read(lambda session: people.actor(session, people.account(session, name).id, "desk"))
    assert found is not None
    return found


class TestReach:
    def test_who_sees_everything_needs_no_list(self, database: Database, letters: Setting) -> None:
        database.write(people.add_person, "ann", role="lead")
        ann = known(database, "ann")
        assert ann.reach is None
        assert ann.within(letters.id) is ann

    def test_single_projects_with_roles_of_their_own(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "ann", role="reviewer", everywhere=False)
        assert database.read(projects.everything, by=known(database, "ann")) == []
        database.write(members.grant, "ann", "claims", "owner")
        ann = known(database, "ann")
        assert (ann.role, ann.within(held.id).role, ann.sees(letters.id)) == ("reviewer", "owner", False)
        assert [each.name for each in database.read(projects.everything, by=ann)] == ["claims"]
        with pytest.raises(NotFound):
            ann.within(letters.id)
        database.write(members.grant, "ann", "letters")
        assert known(database, "ann").within(letters.id).role == "reviewer"
        assert [(each.project, each.role) for each in database.read(members.of, "ann")] == [
            ("claims", "owner"),
            ("letters", "reviewer"),
        ]

    def test_a_lesser_role_in_one_project_of_all(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "ann", role="owner")
        database.write(members.grant, "ann", "letters", "viewer")
        ann = known(database, "ann")
        assert (ann.within(held.id).role, ann.within(letters.id).role) == ("owner", "viewer")
        database.write(members.withdraw, "ann", "letters")
        assert known(database, "ann").reach is None

    def test_a_closed_project_is_as_none(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "ann", role="admin", everywhere=False)
        database.write(members.grant, "ann", "claims")
        ann = known(database, "ann")
        messages = []
        for name in ("letters", "nothing"):
            with pytest.raises(NotFound) as refused:
                database.read(projects.get, name, by=ann)
            messages.append(str(refused.value).replace(name, "?"))
        assert messages[0] == messages[1]
        assert "letters" not in messages[0]

    def test_a_key_reaches_what_is_open_to_both(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "ann", role="lead")
        database.write(people.add_person, "bot", role="reviewer", kind="service", everywhere=False)
        database.write(members.grant, "bot", "claims")
        key = database.read(people.open_key, database.write(people.add_key, "bot", scopes=["review", "act_as"]))
        assert key is not None
        assert (key.actor.sees(held.id), key.actor.sees(letters.id)) == (True, False)
        ann = database.read(people.act_as, key, "ann")
        assert (ann.role_in(held.id), ann.role_in(letters.id), ann.recorded_by) == ("lead", None, key.actor.id)
        database.write(members.grant, "ann", "claims", "viewer")
        assert database.read(people.act_as, key, "ann").role_in(held.id) == "viewer"
        database.write(members.everywhere, "bot", True)
        key = database.read(people.open_key, database.write(people.add_key, "bot", scopes=["act_as"]))
        assert key is not None
        assert database.read(people.act_as, key, "ann").role_in(letters.id) == "lead"


class TestWhoMayOpen:
    def test_owners_open_their_own_projects_up_to_their_role(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "olga", role="owner", everywhere=False)
        database.write(members.grant, "olga", "claims")
        database.write(people.add_person, "ben", role="reviewer", everywhere=False)
        olga = known(database, "olga")
        database.write(members.grant, "ben", "claims", "lead", by=olga)
        act = database.read(activity.of_subject, "person:ben")[0]
        assert (act.actor, act.verb, act.after) == ("olga", "user.grant", {"role": "lead"})
        with pytest.raises(Forbidden, match="makes nobody admin"):
            database.write(members.grant, "ben", "claims", "admin", by=olga)
        with pytest.raises(NotFound, match="no project 'letters'"):
            database.write(members.grant, "ben", "letters", by=olga)
        with pytest.raises(Forbidden, match="for admins"):
            database.write(members.set_role, "ben", "owner", by=olga)
        with pytest.raises(Forbidden, match="for admins"):
            database.write(members.everywhere, "ben", True, by=olga)

    @pytest.mark.parametrize("role", ["viewer", "reviewer", "lead"])
    def test_nobody_below(self, database: Database, held: Setting, role: str) -> None:
        by = factories.person(database, "low", role)
        for verb in (members.grant, members.withdraw):
            with pytest.raises(Forbidden, match="for its owners"):
                database.write(verb, "low", "claims", by=by)

    @pytest.mark.parametrize("role", ["viewer", "reviewer", "lead", "owner"])
    def test_who_comes_in_is_for_admins(self, database: Database, role: str) -> None:
        by = factories.person(database, "low", role)
        acts: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
            (people.add_person, ("new",), {"role": "viewer"}),
            (people.disable, ("low",), {}),
            (people.enable, ("low",), {}),
            (people.set_email, ("low", "a@b.c"), {}),
        ]
        for verb, args, more in acts:
            with pytest.raises(Forbidden, match="for admins"):
                database.write(verb, *args, **more, by=by)
        database.write(people.set_password, "low", "a password of mine", by=by)

    def test_what_there_is_not(self, database: Database, held: Setting) -> None:
        database.write(people.add_person, "ann", role="reviewer")
        for act, error, words in (
            (lambda s: members.grant(s, "ann", "nowhere"), NotFound, "no project 'nowhere'"),
            (lambda s: members.grant(s, "nobody", "claims"), NotFound, "no person 'nobody'"),
            (lambda s: members.grant(s, "ann", "claims", "boss"), Invalid, "is no role"),
            (lambda s: members.withdraw(s, "ann", "claims"), Invalid, "sees every project"),
            (lambda s: members.set_role(s, "ann", "boss"), Invalid, "is no role"),
        ):
            with pytest.raises(error, match=words):
                database.write(act)
        database.write(members.everywhere, "ann", False)
        with pytest.raises(NotFound, match="not open to ann"):
            database.write(members.withdraw, "ann", "claims")


class TestShutOut:
    def holding(self, database: Database, held: Setting) -> tuple[Actor, Any]:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        database.write(people.add_person, "ann", role="reviewer", everywhere=False)
        database.write(members.grant, "ann", "claims")
        ann = known(database, "ann").within(held.id)
        return ann, take(database, held, ann)[0]

    @pytest.mark.parametrize("how", ["withdraw", "disable", "role", "lesser role"])
    def test_what_they_hold_goes_back(self, database: Database, held: Setting, letters: Setting, how: str) -> None:
        ann, case = self.holding(database, held)
        verbs: dict[str, Any] = {
            "withdraw": lambda s: members.withdraw(s, "ann", "claims"),
            "disable": lambda s: people.disable(s, "ann"),
            "role": lambda s: members.set_role(s, "ann", "viewer"),
            "lesser role": lambda s: members.grant(s, "ann", "claims", "viewer"),
        }
        database.write(verbs[how])
        with pytest.raises(ClaimExpired):
            database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        assert [task.state for task in factories.tasks(database)] == ["pending"]

    def test_what_is_theirs_first_is_everybodys(self, database: Database, held: Setting) -> None:
        ann, case = self.holding(database, held)
        database.write(claims.release, ann, [case.token])
        later = {"assignee_id": ann.id, "assigned_until": clock.now() + timedelta(days=9)}
        database.write(lambda s: s.execute(update(Task).values(later)))
        ben = factories.person(database, "ben")
        assert take(database, held, ben) == []
        database.write(members.withdraw, "ann", "claims")
        assert len(take(database, held, ben)) == 1

    def test_elsewhere_they_go_on(self, database: Database, held: Setting, letters: Setting) -> None:
        ann, case = self.holding(database, held)
        database.write(members.grant, "ann", "letters")
        database.write(members.withdraw, "ann", "letters")
        assert database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept")).verdict == "accept"


class TestBeneath:
    """What a page would hide, asked of the verbs themselves."""

    def test_an_act_in_a_closed_project_is_undone(self, database: Database, held: Setting, letters: Setting) -> None:
        database.write(people.add_person, "olga", role="owner", everywhere=False)
        database.write(members.grant, "olga", "letters")
        olga = known(database, "olga")
        for by in (olga, olga.within(letters.id)):
            with pytest.raises(NotFound):
                database.write(projects.freeze, "claims", factories.keys(database).draw_key_id, by=by)
            with pytest.raises(NotFound, match="not open to you"):
                database.write(jobs.ask, held.id, "train", {}, by=by)
        assert database.read(jobs.recent, held.id) == []
        assert database.read(projects.get, "claims").frozen_at is None

    def test_a_role_of_one_project_counts_in_no_other(self, database: Database, held: Setting, letters: Setting) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        ben = factories.person(database, "ben")
        case = take(database, held, ben)[0]
        database.write(people.add_person, "lea", role="reviewer")
        database.write(members.grant, "lea", "letters", "lead")
        lea = known(database, "lea").within(letters.id)
        with pytest.raises(Forbidden, match="acts as lead here, and is reviewer in that project"):
            database.write(claims.release_of, case.task_id, by=lea)
        assert database.read(lambda s: s.scalars(select(Claim.state)).one()) == "held"

    def test_cases_are_dealt_to_members_alone(self, database: Database, held: Setting, letters: Setting) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        database.write(people.add_person, "ann", role="lead", everywhere=False)
        database.write(members.grant, "ann", "letters")
        for by in (known(database, "ann"), known(database, "ann").within(letters.id)):
            with pytest.raises(NotFound, match="not open"):
                take(database, held, by)
            with pytest.raises(NotFound, match="not open"):
                database.read(find.record, held, "1", by=by)

    def test_who_is_not_let_in_is_not_present(self, database: Database, held: Setting) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        ann, ben = factories.person(database, "ann"), factories.person(database, "ben")
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "skip"))
        assert database.read(stuck.count, held.id) == {}
        database.write(members.everywhere, "ben", False)
        assert database.read(stuck.count, held.id) == {"skipped": 1}
        assert list(database.read(members.who_may, held.id)) == ["ann"]
        database.write(members.grant, "ben", "claims", "lead")
        assert list(database.read(members.who_may, held.id, least="lead")) == ["ben"]
        assert ben.id

    def test_the_reach_of_one_who_sees_much_says_so(self) -> None:
        reach = Reach("reviewer", ((3, "lead"),))
        assert [reach.role(n) for n in (3, 4)] == ["lead", "reviewer"]
        assert Reach(None, ((3, "lead"),)).role(4) is None


def test_an_address_is_one_persons(database: Database) -> None:
    database.write(people.add_person, "ann", role="viewer", email=" Ann@Example.org ")
    assert database.read(people.by_email, "ANN@example.ORG").name == "ann"  # type: ignore[union-attr]
    with pytest.raises(Invalid, match="has the address"):
        database.write(people.add_person, "ben", role="viewer", email="ann@example.org")
    row = {"name": "eve", "kind": "person", "role": "viewer", "made_at": clock.now(), "email": "ann@example.org"}
    with pytest.raises(IntegrityError):
        database.write(lambda s: s.execute(insert(Person).values(row)))

"""Tasks that nobody present may take: found, counted apart, and given up by a lead where an answer stands."""

from collections import Counter

import pytest
from sqlalchemy import select, update

from db.engine import Database
from db.tables import Activity, Draw, Outcome, Task
from review_queue import decisions, people, stuck, tallies
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.people import KNOWN_ANSWERS
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take


def answered(database: Database, held: Setting, actor: Actor, label: str = "pay") -> None:
    """Answer the next case, blind where it is."""
    case = take(database, held, actor)[0]
    if case.blind:
        database.write(decisions.answer, actor, case.task_id, case.token, f"f{case.task_id}", label)
    verdict = "accept" if label == "pay" else "correct"
    said = Said(f"k{case.task_id}", verdict, label if verdict == "correct" else None)
    database.write(decisions.decide, actor, case.task_id, case.token, said)


@pytest.fixture
def seconds(database: Database) -> Setting:
    """Every case has a second opinion."""
    return factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))


def one(database: Database, held: Setting, **changes: object) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)}, **changes)


def counted(database: Database, held: Setting) -> Counter[str]:
    return database.read(stuck.count, held.id)


class TestFinding:
    def test_a_second_opinion_waits_for_a_second_person(self, database: Database, seconds: Setting, ann: Actor) -> None:
        one(database, seconds)
        assert counted(database, seconds) == Counter()
        answered(database, seconds, ann)
        assert counted(database, seconds) == Counter(second=1)
        found = database.read(stuck.tasks, seconds.id)
        assert [(each.external_id, each.why) for each in found] == [("1", "second")]
        factories.person(database, "bob")
        assert counted(database, seconds) == Counter()

    @pytest.mark.parametrize("who", ["a viewer", "a service", "disabled", KNOWN_ANSWERS])
    def test_not_everybody_is_somebody(self, database: Database, seconds: Setting, ann: Actor, who: str) -> None:
        one(database, seconds)
        answered(database, seconds, ann)
        role, kind = ("viewer" if who == "a viewer" else "reviewer"), ("service" if who == "a service" else "person")
        database.write(people.add_person, who, role=role, kind=kind)
        if who == "disabled":
            assert counted(database, seconds) == Counter()
            database.write(people.disable, who)
        assert counted(database, seconds) == Counter(second=1)

    def test_an_adjudication_waits_for_a_third(self, database: Database, seconds: Setting, ann: Actor, bob: Actor) -> None:
        one(database, seconds)
        answered(database, seconds, ann, "pay")
        answered(database, seconds, bob, "deny")
        assert counted(database, seconds) == Counter(adjudication=1)
        factories.person(database, "cleo")
        assert counted(database, seconds) == Counter()

    def test_a_second_seat_waits_for_a_second_person(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
        one(database, held)
        answered(database, held, ann)
        assert counted(database, held) == Counter(seat=1)

    def test_a_review_waits_too_where_its_second_opinion_came_first(
        self, database: Database, seconds: Setting, ann: Actor
    ) -> None:
        one(database, seconds)
        review, second = factories.tasks(database)
        for rank, task in ((1, second), (2, review)):
            database.write(lambda s, i=task.id, r=rank: s.execute(update(Task).where(Task.id == i).values(rank=r)) and None)
        answered(database, seconds, ann)
        assert counted(database, seconds) == Counter(seat=1)
        bob = factories.person(database, "bob")
        assert counted(database, seconds) == Counter()
        answered(database, seconds, bob)

    def test_what_all_skipped_waits_for_somebody_new(self, database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
        one(database, held)
        for actor in (ann, bob):
            assert counted(database, held) == Counter()
            case = take(database, held, actor)[0]
            database.write(decisions.decide, actor, case.task_id, case.token, Said(f"s{actor.id}", "skip"))
        assert counted(database, held) == Counter(skipped=1)

    def test_what_is_for_leads_waits_for_a_lead(self, database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
        one(database, held)
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said("e", "escalate"))
        assert counted(database, held) == Counter(leads=1)
        factories.person(database, "olga", "owner")
        assert counted(database, held) == Counter()


class TestDropping:
    def test_who_may_take_a_task_does_not_learn_what_it_is(self, database: Database, seconds: Setting) -> None:
        lead = factories.person(database, "lea", "lead")
        one(database, seconds)
        kinds = {task.id: task.kind for task in factories.tasks(database)}
        assert sorted(kinds.values()) == ["review", "second"]
        for task_id in kinds:
            with pytest.raises(Refused, match="may still take task"):
                database.write(stuck.drop, task_id, by=lead)

    def test_the_answer_that_stands_goes_on_standing(self, database: Database, seconds: Setting, ann: Actor, move: Move) -> None:
        lead = factories.person(database, "lea", "lead")
        one(database, seconds)
        answered(database, seconds, ann)
        task = factories.tasks(database, kind="second")[0]
        with pytest.raises(Forbidden, match="for leads"):
            database.write(stuck.drop, task.id, by=ann)
        with pytest.raises(Refused, match="may still take task"):
            database.write(stuck.drop, task.id, by=lead)
        case = take(database, seconds, lead)[0]
        database.write(decisions.decide, lead, case.task_id, case.token, Said("s", "skip"))
        before = database.read(tallies.read, seconds.id)["open"]
        database.write(stuck.drop, task.id, by=lead)
        assert counted(database, seconds) == Counter()
        assert factories.tasks(database, kind="second")[0].state == "cancelled"
        assert database.read(tallies.read, seconds.id)["open"] == before - 1
        assert database.read(lambda s: s.scalars(select(Outcome.label)).all()) == ["pay"]
        acts = database.read(lambda s: s.execute(select(Activity.verb, Activity.subject).order_by(Activity.id.desc())).first())
        assert acts == ("task.drop", f"item:{task.item_id}")
        drawn = database.read(lambda s: s.scalars(select(Draw).where(Draw.purpose == "second")).one())
        assert drawn.resolved_at is None
        assert drawn.due_at is not None

    def test_an_adjudication_on_which_the_outcome_hangs_stays(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
        lead = factories.person(database, "lea", "lead")
        one(database, held)
        answered(database, held, ann, "pay")
        answered(database, held, lead, "deny")
        task = factories.tasks(database, kind="adjudication")[0]
        with pytest.raises(Refused, match="no answer stands yet"):
            database.write(stuck.drop, task.id, by=lead)

    def test_an_adjudication_of_a_revised_answer_can_be_dropped(self, database: Database, seconds: Setting, ann: Actor) -> None:
        lead = factories.person(database, "lea", "lead")
        one(database, seconds)
        answered(database, seconds, ann, "pay")
        answered(database, seconds, lead, "deny")
        task = factories.tasks(database, kind="adjudication")[0]
        database.write(stuck.drop, task.id, by=lead)
        assert database.read(lambda s: s.scalars(select(Outcome.label)).all()) == ["pay"]

    def test_other_tasks_cannot_be_dropped(self, database: Database, held: Setting, ann: Actor) -> None:
        lead = factories.person(database, "lea", "lead")
        one(database, held)
        task = factories.tasks(database)[0]
        for actor in (ann, lead):
            case = take(database, held, actor)[0]
            database.write(decisions.decide, actor, case.task_id, case.token, Said(f"s{actor.id}", "skip"))
        with pytest.raises(Refused, match="no second opinion, dispute or requested look"):
            database.write(stuck.drop, task.id, by=lead)
        with pytest.raises(NotFound, match="no task"):
            database.write(stuck.drop, task.id + 1, by=lead)


def test_it_looks_at_so_many_and_no_further(
    database: Database, seconds: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, seconds, {str(n): factories.says("pay", 0.6) for n in range(5)})
    for _ in range(5):
        answered(database, seconds, ann)
    monkeypatch.setattr(stuck, "MOST", 3)
    assert counted(database, seconds) == Counter(second=3)
    assert len(database.read(stuck.tasks, seconds.id, 2)) == 2

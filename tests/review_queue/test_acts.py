"""Reading the log: filters, pages, what is whose to read, and nothing that unblinds."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity
from review_queue import activity, acts, cases, clock, decisions, openings, projects
from review_queue.activity import Actor
from review_queue.acts import Wanted
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import plans
from tests.review_queue.acting import Move, take

UTC = ZoneInfo("UTC")


@pytest.fixture
def lea(database: Database) -> Actor:
    return factories.person(database, "lea", "lead")


def read(database: Database, held: Setting, by: Actor, **which: Any) -> list[str]:
    zone = which.pop("zone", UTC)
    return [row.verb for row in database.read(acts.page, held, by, Wanted.read(which), zone).rows]


def note(database: Database, held: Setting, by: Actor | None, *verbs: str, subject: str = "model:1") -> None:
    for verb in verbs:
        database.write(activity.record, by, verb, subject, project_id=held.id)


class TestFilters:
    def test_by_person_act_and_thing(self, database: Database, held: Setting, lea: Actor, ann: Actor) -> None:
        note(database, held, ann, "one", "two")
        note(database, held, lea, "one", subject="model:2")
        note(database, held, None, "three")
        assert read(database, held, lea)[:4] == ["three", "one", "two", "one"]
        assert read(database, held, lea, person="ann") == ["two", "one"]
        assert read(database, held, lea, verb="one") == ["one", "one"]
        assert read(database, held, lea, verb="one", person="ann", subject="model:1") == ["one"]
        assert read(database, held, lea, subject="model:2") == ["one"]
        assert read(database, held, lea, person="nobody") == []
        assert {"one", "two", "three"} <= set(database.read(acts.verbs, held.id, lea))

    def test_whom_a_key_named_is_found_as_well_as_its_owner(self, database: Database, held: Setting, lea: Actor) -> None:
        bot, ann = factories.person(database, "bot"), factories.person(database, "eve")
        note(database, held, Actor(ann.id, "eve", "reviewer", "api", recorded_by=bot.id), "one")
        for name in ("bot", "eve"):
            (row,) = database.read(acts.page, held, lea, Wanted(person=name), UTC).rows
            assert (row.person, row.behalf) == ("bot", "eve")

    def test_an_item_by_the_id_it_was_sent_under(self, database: Database, held: Setting, lea: Actor, ann: Actor) -> None:
        factories.routed(database, held, {"M 1:x": factories.says("pay", 0.6)})
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        (row,) = database.read(acts.page, held, lea, Wanted(subject="M 1:x"), UTC).rows
        assert (row.verb, row.named) == ("decision.accept", "M 1:x")

    def test_days_are_those_of_the_reader(self, database: Database, held: Setting, lea: Actor, move: Move) -> None:
        note(database, held, lea, "one")
        today = clock.now().date()
        move(timedelta(days=1))
        note(database, held, lea, "two")
        tomorrow = today + timedelta(days=1)
        assert read(database, held, lea, since=str(tomorrow)) == ["two"]
        assert "two" not in read(database, held, lea, until=str(today))
        assert read(database, held, lea, since=str(today), until=str(today), verb="one") == ["one"]
        assert read(database, held, lea, since=str(tomorrow + timedelta(days=1))) == []
        east = ZoneInfo("Pacific/Kiritimati")  # 14 hours ahead
        there = clock.now().astimezone(east).date()
        assert read(database, held, lea, since=str(there), zone=east) == ["two"]

    def test_a_day_that_is_none_is_told(self) -> None:
        with pytest.raises(Invalid, match="'soon' is no day; write it as"):
            Wanted.read({"since": "soon"})
        for far in ("0001-01-01", "9999-12-31"):
            with pytest.raises(Invalid, match="no day on which anything is done"):
                Wanted.read({"until": far})
        assert Wanted.read({"since": " 2026-11-28 ", "person": "\x00ann"}) == Wanted("ann", since=date(2026, 11, 28))
        assert Wanted.read(Wanted("a", "b", "c", date(2026, 1, 2), None).written()) == Wanted("a", "b", "c", date(2026, 1, 2))


def test_pages_leave_nothing_out_and_repeat_nothing(database: Database, held: Setting, lea: Actor) -> None:
    note(database, held, lea, *(f"act {n:02}" for n in range(25)))
    seen: list[str] = []
    before: int | None = None
    while True:
        page = database.read(acts.page, held, lea, Wanted(), UTC, before=before, limit=7)
        seen += [row.verb for row in page.rows]
        before = page.next
        if before is None:
            break
    assert seen[:25] == [f"act {n:02}" for n in reversed(range(25))]
    assert len(seen) == len(set(seen[:25])) + len(seen[25:])


class TestWhose:
    def test_below_lead_ones_own_alone(self, database: Database, held: Setting, lea: Actor, ann: Actor) -> None:
        note(database, held, lea, "hers")
        note(database, held, ann, "mine")
        assert read(database, held, ann) == ["mine"]
        assert read(database, held, ann, person="ann") == ["mine"]
        with pytest.raises(Forbidden, match="is for leads to read"):
            read(database, held, ann, person="lea")

    def test_another_project_is_another_log(self, database: Database, held: Setting, lea: Actor) -> None:
        other = factories.setting(database, factories.project(project="letters"))
        note(database, other, lea, "elsewhere")
        assert "elsewhere" not in read(database, held, lea)
        assert read(database, other, lea)[0] == "elsewhere"

    def test_nothing_of_a_case_that_is_yet_to_be_answered_blind(self, database: Database, ann: Actor, lea: Actor) -> None:
        wished = factories.policy(review={"reviewers": 2, "blind_first": "all"})
        held = factories.setting(database, factories.project(project="pairs"), wished)
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "a", "pay")
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        page = database.read(acts.page, held, lea, Wanted(), UTC)
        assert not [row for row in page.rows if row.subject.startswith("item:")]
        assert page.withheld >= 1
        assert [row.verb for row in acts.take_out(database, held, lea, Wanted(verb="decision.accept"), UTC, "csv")] == []
        assert "decision.accept" in read(database, held, ann)
        mine = take(database, held, lea)[0]
        database.write(decisions.answer, lea, mine.task_id, mine.token, "b", "pay")
        database.write(decisions.decide, lea, mine.task_id, mine.token, Said("l", "accept"))
        assert read(database, held, lea, verb="decision.accept") == ["decision.accept"] * 2


def test_taking_the_log_out_is_an_act_and_is_in_it(database: Database, held: Setting, lea: Actor, ann: Actor) -> None:
    note(database, held, lea, *["many"] * 30)
    rows = list(acts.take_out(database, held, lea, Wanted(), UTC, "jsonl"))
    assert rows[0].verb == "activity.download"
    assert rows[0].after == {"filter": {}, "format": "jsonl"}
    assert [row.verb for row in rows].count("many") == 30
    plain = acts.plain(rows[0])
    assert tuple(plain) == acts.COLUMNS
    assert plain["at"].endswith("+00:00")
    with pytest.raises(Forbidden):
        acts.take_out(database, held, ann, Wanted("lea"), UTC, "csv")
    assert read(database, held, lea, verb="activity.download") == ["activity.download"]


def test_no_filter_reads_the_log_whole(database: Database, held: Setting, lea: Actor) -> None:
    rows = [activity.row(lea, f"verb{n % 3}", f"model:{n}", held.id) for n in range(3000)]
    database.write(lambda s: s.execute(Activity.__table__.insert(), rows))
    filters = [{}, {"person": "lea"}, {"verb": "verb1"}, {"subject": "model:9"}, {"since": "2026-01-01"}, {"until": "2026-01-01"}]
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    note(database, held, lea, "one", subject=f"item:{factories.tasks(database)[0].item_id}")
    with plans.Seen(database.engine) as seen:
        for each in [*filters, {"subject": "1"}]:
            read(database, held, lea, **each)
        database.read(acts.verbs, held.id, lea)
    assert len(seen.texts) > len(filters)
    assert seen.wholes() == []


class TestOpenings:
    @pytest.fixture
    def asking(self, database: Database) -> Setting:
        held = factories.setting(database, factories.project(project="asking", log_openings=True))
        factories.routed(database, held, {f"{n}": factories.says("pay", 0.6) for n in range(3)})
        return held

    def opened(self, database: Database) -> list[tuple[str, str]]:
        query = select(Activity.subject, Activity.via).where(Activity.verb == "item.open").order_by(Activity.id)
        return [(subject, via) for subject, via in database.read(lambda s: s.execute(query).all())]

    def test_each_case_that_is_handed_out_once(self, database: Database, asking: Setting, ann: Actor) -> None:
        for count in (1, 1, 2):
            database.write(cases.take, asking, ann, "tab", count)
        items = [task.item_id for task in factories.tasks(database, state="in_progress")]
        assert sorted(self.opened(database)) == sorted((f"item:{each}", "desk") for each in items)

    def test_each_look_at_a_record(self, database: Database, asking: Setting, lea: Actor) -> None:
        found = openings.record(database, asking, "1", by=lea)
        assert self.opened(database) == [(f"item:{found.item_id}", "desk")]

    def test_where_nobody_asks_nothing_is_noted(self, database: Database, held: Setting, lea: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        assert take(database, held, lea)
        openings.record(database, held, "1", by=factories.person(database, "vic", "viewer"))
        assert self.opened(database) == []
        assert database.read(projects.get, "claims").project.log_openings is False

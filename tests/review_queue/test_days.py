"""Counts by the day: each act is counted on its day, and folding, undoing and correcting keep them true."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from app import bulk
from db.engine import Database
from db.tables import DailyTally, Tally
from review_queue import clock, days, decisions, filters, requests, tallies
from review_queue.activity import Actor
from review_queue.bulk import Wish
from review_queue.days import FIRST, LAST
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take


def told(database: Database, held: Setting) -> dict[str, Counter[str]]:
    """The counts of each day, without what came to nothing."""
    every = database.read(tallies.daily, held.id, FIRST, LAST)
    return {day: kept for day, counts in every.items() if (kept := Counter({k: n for k, n in counts.items() if n}))}


def today() -> str:
    return tallies.day_of(clock.now())


def say(database: Database, held: Setting, actor: Actor, verdict: str, label: str | None = None) -> int:
    case = take(database, held, actor)[0]
    reason = "no label fits" if verdict == "reject" else None
    made = Said(f"k{case.task_id}-{verdict}", verdict, label, reason=reason)  # type: ignore[arg-type]
    return database.write(decisions.decide, actor, case.task_id, case.token, made).id


@pytest.mark.usefixtures("sound")
def test_each_day_has_what_happened_on_it(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.95), "b": factories.says("pay", 0.6)})
    first = today()
    move(timedelta(days=1))
    factories.routed(database, held, {"c": factories.says("deny", 0.6)})
    say(database, held, ann, "accept")
    say(database, held, ann, "correct", "pay")
    second = today()
    assert told(database, held) == {
        first: Counter({"items": 2, "auto": 1, "review": 1, "open": 1}),
        second: Counter({"items": 1, "review": 1, "open": -1, "decided": 2, "judged/accept": 1, "judged/other": 1}),
    }
    assert database.read(tallies.daily, held.id, second, second) == {second: told(database, held)[second]}


@pytest.mark.usefixtures("sound")
def test_folding_keeps_every_day(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    say(database, held, ann, "accept")
    move(timedelta(days=1))
    say(database, held, ann, "reject")
    before, whole = told(database, held), database.read(tallies.read, held.id)
    for _ in range(tallies.FOLD_AT):
        database.write(tallies.add, held.id, unscored=1)
        database.write(tallies.add, held.id, unscored=-1)
    assert database.write(tallies.fold, 7) == 7
    assert told(database, held) == before
    assert database.write(tallies.fold) > tallies.FOLD_AT
    assert told(database, held) == before
    assert +database.read(tallies.read, held.id) == +whole
    say(database, held, ann, "accept")
    for _ in range(tallies.FOLD_AT + 1):
        database.write(tallies.add, held.id, items=0, failed=1)
    database.write(tallies.fold)
    assert told(database, held)[today()]["failed"] == tallies.FOLD_AT + 1
    database.write(tallies.add, held.id, failed=-tallies.FOLD_AT - 1)
    assert database.read(lambda s: set(s.scalars(select(Tally.day)))) == {None, today()}


def test_an_answer_that_is_taken_back_leaves_its_own_day(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    given, stored = today(), say(database, held, ann, "accept")
    move(timedelta(days=1))
    database.write(decisions.undo, ann, stored)
    assert told(database, held) == {given: Counter({"items": 1, "review": 1}), today(): Counter({"open": 1})}
    say(database, held, ann, "correct", "deny")
    assert told(database, held)[today()] == Counter({"decided": 1, "judged/other": 1})


@pytest.mark.usefixtures("sound")
def test_a_lead_who_corrects_their_own_answer_changes_what_they_said(database: Database, held: Setting, lea: Actor) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    say(database, held, lea, "accept")
    database.write(decisions.revise, held, lea, "a", Said("r", "correct", "deny"))
    assert told(database, held)[today()]["judged/accept"] == 0
    assert told(database, held)[today()]["judged/other"] == 1


@pytest.mark.usefixtures("sound")
def test_a_correction_of_anothers_answer_is_no_answer_to_the_prediction(
    database: Database, held: Setting, ann: Actor, lea: Actor
) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    say(database, held, ann, "accept")
    database.write(decisions.revise, held, lea, "a", Said("r", "correct", "deny"))
    counted = told(database, held)[today()]
    assert (counted["decided"], counted["judged/accept"], counted["judged/other"]) == (2, 1, 0)


def test_what_the_days_lack_is_found_and_mended(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.95), "b": factories.says("pay", 0.6)})
    say(database, held, ann, "accept")
    truth, whole = told(database, held), database.read(tallies.read, held.id)
    for _ in range(tallies.FOLD_AT + 1):
        database.write(tallies.add, held.id, tallies.NO_DAY, unscored=1)
    database.write(tallies.fold)
    database.write(lambda s: s.execute(delete(DailyTally).where(DailyTally.name != "items")))
    lacks = database.read(days.astray, held.id)
    assert lacks == {today(): truth[today()] - Counter({"items": 2})}
    database.write(days.mend, held.id, lacks)
    assert database.read(days.astray, held.id) == {}
    assert told(database, held) == truth
    assert database.read(tallies.read, held.id)["auto"] == whole["auto"]


@pytest.mark.parametrize(
    ("verdict", "basis", "predicted", "names"),
    [
        ("accept", "routed", "pay", ["judged/accept"]),
        ("correct", "drawn", "pay", ["judged/other"]),
        ("reject", "routed", "pay", ["judged/other"]),
        ("correct", "routed", None, []),
        ("accept", "requested", "pay", []),
        ("accept", "bulk", "pay", []),
        ("accept", "gold", "pay", []),
    ],
)
def test_only_answers_that_rule_or_draw_asked_for_are_held_against_predictions(
    verdict: str, basis: str, predicted: str | None, names: list[str]
) -> None:
    assert list(tallies.answered(verdict, basis, predicted)) == names


def test_what_was_decided_with_many_is_taken_from_its_own_day(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    lea = factories.person(database, "lea", "lead")
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in "abc"})
    counted = bulk.preview(database, held, lea, filters.read(held, ""), Wish("accept"))
    given, about = today(), {"asked": counted.fit, "upto": counted.upto}
    act = bulk.begin(database, held, lea, "a key of many", filters.read(held, ""), Wish("accept"), **about)
    assert bulk.act(database, held, lea, act.id).done == 3
    database.write(requests.request, held, "b", "why", by=ann)  # this one is taken back by itself
    move(timedelta(days=1))
    assert bulk.undo(database, held, lea, act.id).back == 3
    assert {day: counts["decided"] for day, counts in told(database, held).items()} == {given: 0, today(): 0}

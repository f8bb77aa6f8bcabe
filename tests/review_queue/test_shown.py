"""Shadow: people are shown nothing of the model, their answer is final, and the model has to earn being shown."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Outcome
from review_queue import autonomy, checks, decisions, rules, shown
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided, Invalid, Refused
from review_queue.projects import Setting
from review_queue.quality import Judged
from tests import factories
from tests.review_queue import earning
from tests.review_queue.acting import Move, take


@pytest.fixture
def held(database: Database) -> Setting:
    return earning.earned(database)


@pytest.fixture
def shadow(database: Database, held: Setting, lea: Actor) -> Setting:
    key = factories.keys(database).draw_key_id
    factories.routed(database, held, {"before": factories.says("pay", 0.2)})
    database.write(autonomy.lower, held, by=lea, draw_key_id=key, to="shadow")
    assert database.read(rules.level, held.id) == "shadow"
    return held


def test_an_answer_is_final_and_nothing_is_shown_after_it(database: Database, shadow: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, shadow, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.99)})
    for _ in range(3):
        (case,) = take(database, shadow, ann)
        assert (case.blind, case.prediction, case.explanations) == (True, None, ())
        stored = database.write(decisions.answer, ann, case.task_id, case.token, f"k{case.task_id}", "pay")
        again = database.write(decisions.answer, ann, case.task_id, case.token, f"k{case.task_id}", "pay")
        assert (again.id, again.repeated) == (stored.id, True)
        with pytest.raises(AlreadyDecided):
            database.write(decisions.decide, ann, case.task_id, case.token, Said("d", "accept"))
    assert take(database, shadow, ann) == []
    assert database.read(lambda s: [o.label for o in s.scalars(select(Outcome))]) == ["pay"] * 3
    assert database.read(decisions.last_of, ann, shadow.id) is None
    move(timedelta(hours=1))
    assert database.read(checks.problems) == []


def test_what_was_said_in_shadow_is_not_taken_back_there(database: Database, shadow: Setting, ann: Actor) -> None:
    (case,) = take(database, shadow, ann)
    database.write(decisions.answer, ann, case.task_id, case.token, "k", "deny")
    final = max(row.id for row in database.read(decisions.of_item, case.item_id))
    with pytest.raises(Invalid, match="can no longer be taken back"):
        database.write(decisions.undo, ann, final)


def test_a_model_that_is_no_better_than_the_usual_answer_stays_hidden(database: Database, shadow: Setting) -> None:
    olga, key = factories.person(database, "olga", "owner"), factories.keys(database).draw_key_id
    with pytest.raises(Refused, match="0 of 300 blind answers"):
        database.write(autonomy.raise_unit, shadow, "*", by=olga, draw_key_id=key)
    (rise,) = database.read(autonomy.rises, shadow)
    assert (rise.unit, rise.from_level, rise.to_level, rise.ready) == ("*", "shadow", "assist", False)


def judged(n: int, predicted: str, answer: str, confidence: float) -> list[Judged]:
    return [Judged(predicted, confidence, 1.0, answer)] * n


def test_a_model_that_sees_more_may_be_shown() -> None:
    good = [*judged(200, "pay", "pay", 0.9), *judged(80, "deny", "deny", 0.9), *judged(20, "pay", "deny", 0.6)]
    found = shown.held_against(good)
    assert (found.n, found.better, found.worse, found.sorts) == (300, 80, 0, 1.0)
    assert shown.rise(found, frozen=False).ready
    assert not shown.rise(found, frozen=True).ready


def test_a_model_that_always_says_the_usual_is_not() -> None:
    found = shown.held_against([*judged(200, "pay", "pay", 0.9), *judged(200, "pay", "deny", 0.9)][:350])
    assert (found.better, found.worse, found.sorts) == (0, 0, 0.5)
    assert {c.name for c in shown.rise(found, frozen=False).conditions if not c.met} == {"better than the usual answer", "sorts"}


def test_out_of_shadow_what_the_model_says_is_shown_again(database: Database, shadow: Setting, ann: Actor, lea: Actor) -> None:
    from review_queue import permits, projects, steps

    def lift(session: object) -> None:
        permit = permits.read(session, shadow.id)  # type: ignore[arg-type]
        assert permit is not None
        permits.write(session, shadow.id, steps.Wanted(unit="*", shadow=False).over(permit))  # type: ignore[arg-type]
        setting = projects.by_id(session, shadow.id)  # type: ignore[arg-type]
        rules.renew(session, shadow.id, setting.policy, ["deny", "pay"], 1, "rise")  # type: ignore[arg-type]

    database.write(lift)
    (case,) = take(database, shadow, ann)
    database.write(decisions.answer, ann, case.task_id, case.token, "k", "pay")
    (case,) = take(database, shadow, ann)
    assert case.prediction is not None

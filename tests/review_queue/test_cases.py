"""What a person may see of a case, and what it costs to show."""

from dataclasses import asdict
from typing import Any

import pytest

from contract.records import Explanation
from db.engine import Database
from review_queue import cases, decisions, explanations, insights
from review_queue.activity import Actor
from review_queue.cases import Case
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Statements, take

SECRET = "only-the-model-says-this"


def explain(database: Database, held: Setting, ann: Actor) -> None:
    """An explanation with a tell-tale word for every item routed so far."""
    for task in factories.tasks(database):
        aimed = database.read(explanations.target, task.item_id)
        assert aimed is not None
        reason = Explanation("shap", aimed[1], "log-odds", 0.0, [{"feature": SECRET}], {}, 1, "0", {}, 0.1)
        database.write(explanations.store, task.item_id, aimed[0], [reason])


def bare(case: Case) -> dict[str, Any]:
    """A case without what differs between any two cases."""
    return {k: v for k, v in asdict(case).items() if k not in ("task_id", "item_id", "token", "expires_at", "external_id")}


class TestBlind:
    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"second_opinion": 1.0}))

    def test_nothing_of_the_prediction_is_there_before_the_first_answer(
        self, database: Database, held: Setting, ann: Actor, bob: Actor
    ) -> None:
        factories.routed(database, held, {"audit": factories.says("pay", 0.97), "drawn": factories.says("pay", 0.6)})
        explain(database, held, ann)
        mine, others = take(database, held, ann, 3), take(database, held, bob, 3)
        shown = {case.external_id: bare(case) for case in [*mine, *others]}
        assert shown["audit"] == shown["drawn"]  # an audit, a drawn review and a second opinion look the same
        for case in [*mine, *others]:
            assert SECRET not in repr(case)
            assert (case.prediction, case.explanations, case.first_label, case.answers) == (None, (), None, ())
            assert not hasattr(case, "rank")
        case = mine[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        after = next(c for c in database.read(cases.held, held, ann, "s") if c.token == case.token)
        assert after.prediction is not None
        assert after.prediction.probabilities == pytest.approx({"deny": 0.03, "pay": 0.97}) or case.external_id == "drawn"
        assert SECRET in repr(after.explanations)
        assert [c.prediction for c in database.read(cases.held, held, bob, "s")] == [None] * len(others)

    def test_a_rejected_first_answer_is_told_from_none(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", None)
        shown = take(database, held, ann)[0]
        assert (shown.first_given, shown.first_label) == (True, None)

    def test_an_adjudicator_sees_two_answers_that_do_not_say_whose_they_are(
        self, database: Database, held: Setting, ann: Actor
    ) -> None:
        factories.routed(database, held, {str(n): factories.says("pay", 0.97) for n in range(12)})
        for case in [*take(database, held, ann, 10), *take(database, held, ann, 2, "t")]:
            database.write(decisions.answer, ann, case.task_id, case.token, f"f{case.task_id}", "deny")
            database.write(decisions.decide, ann, case.task_id, case.token, Said(f"k{case.task_id}", "correct", "deny"))
        cat = factories.person(database, "cat")
        disputes = [*take(database, held, cat, 10), *take(database, held, cat, 2, "t")]
        assert {case.answers for case in disputes} == {("pay", "deny"), ("deny", "pay")}
        assert {case.prediction for case in disputes} == {None}


def test_an_open_case_shows_all(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    explain(database, held, ann)
    case = take(database, held, ann)[0]
    assert case.prediction is not None
    assert (case.prediction.label, case.prediction.confidence) == ("pay", 0.6)
    assert "below 0.9" in case.prediction.reason
    assert [reason.method for reason in case.explanations] == ["shap"]
    assert case.input == {"amount": 120.5, "region": "north", "opened": None}


def test_taking_three_cases_asks_as_often_however_long_the_queue(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    ann, bob = factories.person(sqlite, "ann"), factories.person(sqlite, "bob")
    factories.routed(sqlite, held, {f"a{n}": factories.says("pay", 0.6) for n in range(8)})
    with Statements(sqlite.engine) as few:
        assert len(take(sqlite, held, ann, 3)) == 3
    factories.routed(sqlite, held, {f"b{n}": factories.says("pay", 0.6) for n in range(300)})
    with Statements(sqlite.engine) as many:
        assert len(take(sqlite, held, bob, 3)) == 3
    assert len(many.texts) == len(few.texts) <= 55


def test_waiting_counts_what_nobody_holds(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    take(sqlite, held, ann)
    assert sqlite.read(insights.waiting, held.id) == 2

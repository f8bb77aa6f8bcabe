"""Figures of how people judge, against numbers worked out by hand; and the word about a run of quick accepts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from db.engine import Database
from db.tables import Activity, Claim, Decision, Gold
from review_queue import clock, decisions, judging, people
from review_queue.activity import Actor
from review_queue.answers import Answered
from review_queue.decisions import Said
from review_queue.judging import Figures, Share
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import known
from tests.review_queue.acting import Move, take
from tests.review_queue.known import given, named, say

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def said(n: int, stage: str, label: str | None, predicted: str, **other: Any) -> Answered:
    """An answer of task n, which is of item n: a blind gold one, unless told otherwise."""
    row: dict[str, Any] = {
        "id": 10 * n + (stage == "final"),
        "item_id": n,
        "person_id": 1,
        "stage": stage,
        "verdict": "accept" if label == predicted else "reject" if label is None else "correct",
        "label": label,
        "blind": True,
        "seconds": 4.0 if stage == "first" else 1.0,
        "supersedes_id": None,
        "basis": "gold",
        "task_id": n,
        "decided_at": MONDAY + timedelta(minutes=n),
        "kind": "gold",
        "state": "completed",
        "routing_n": 1,
        "predicted": predicted,
        "confidence": 0.9,
        "pi": 1.0,
    }
    return Answered(**{**row, **other})


def both(n: int, first: str | None, final: str | None, predicted: str, **other: Any) -> list[Answered]:
    return [said(n, "first", first, predicted, **other), said(n, "final", final, predicted, **other)]


@pytest.fixture
def figures(sqlite: Database) -> Figures:
    """Twelve known answers with a wrong prediction, eleven with a right one, and a few others.

    Wrong: 7 seen blind, of which 2 go over; 5 missed, of which 1 is mended after all. Right: 8 the same blind, 3 differ, of which
    2 go over.
    """
    held = factories.setting(sqlite)
    rows: list[Answered] = []
    for n in range(12):
        first = "deny" if n < 7 else "pay"
        final = "pay" if n in (0, 1) or 7 <= n < 11 else "deny"
        rows += both(n, first, final, "pay")
    for n in range(12, 23):
        first = "pay" if n < 20 else "deny"
        rows += both(n, first, "deny" if n == 22 else "pay", "pay")
    truths: dict[int, str | None] = {n: "deny" if n < 12 else "pay" for n in range(23)}
    dispute = {"basis": "drawn", "kind": "audit"}
    rows += both(30, "deny", "pay", "pay", **dispute) + both(31, "deny", "deny", "pay", **dispute)
    truths |= {30: "deny", 31: "deny"}
    rows += [said(40, "final", "pay", "pay", basis="routed", kind="review", blind=False, seconds=9.0)]
    return judging.figures("ann", rows, truths, held)


def test_shares_are_those_counted_by_hand(figures: Figures) -> None:
    assert figures.gold == 23
    assert figures.caught == Share(7, 12)
    assert (figures.wrong.before, figures.wrong.after) == (Share(5, 12), Share(6, 12))
    assert (figures.right.before, figures.right.after) == (Share(8, 11), Share(10, 11))
    assert (figures.correct.before, figures.correct.after) == (Share(15, 23), Share(16, 23))
    assert figures.to_wrong == Share(3, 9)
    assert figures.to_right == Share(2, 3)


def test_times_and_weeks(figures: Figures) -> None:
    assert (figures.before.value, figures.after.value, figures.seen.value) == (4.0, 1.0, 9.0)
    assert figures.timed == (25, 25)
    assert [(each.monday, each.agreed) for each in figures.weeks] == [(date(2026, 11, 23), Share(2, 3))]


def test_the_interval_is_exact_and_few_cases_are_no_figure() -> None:
    low, high = Share(7, 12).interval or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.2767, 0.8483)
    assert Share(3, 9).is_few
    assert not Share(7, 12).is_few
    assert (Share(0, 0).value, Share(0, 0).interval) == (None, None)


@pytest.mark.parametrize(("first", "final", "caught"), [("deny", "pay", 1), (None, None, 1), ("pay", "pay", 0)])
def test_where_no_label_fits_any_prediction_is_wrong(sqlite: Database, first: str | None, final: str | None, caught: int) -> None:
    held = factories.setting(sqlite)
    found = judging.figures("ann", both(1, first, final, "pay"), {1: None}, held)
    assert found.caught == Share(caught, 1)


def test_what_was_taken_back_or_is_in_hand_has_no_final_answer(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    rows = both(1, "deny", "pay", "pay", state="in_progress") + both(2, "deny", "deny", "pay")
    rows.append(said(2, "final", "pay", "pay", id=29, supersedes_id=21))
    found = judging.figures("ann", rows, {1: "deny", 2: "deny"}, held)
    assert (found.caught, found.wrong.after, found.to_wrong) == (Share(2, 2), Share(1, 1), Share(1, 1))


def test_a_correction_on_the_seat_of_a_known_answer_is_another_answer(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    rows = both(1, "pay", "pay", "pay")
    rows.append(said(1, "final", "deny", "pay", id=19, supersedes_id=11, basis="requested"))
    found = judging.figures("lea", rows, {1: "deny"}, held)
    assert (found.caught, found.wrong.after) == (Share(0, 1), Share(1, 1))


def test_what_is_known_no_more_counts_in_nothing(sqlite: Database) -> None:
    found = judging.figures("ann", both(1, "deny", "deny", "pay"), {}, factories.setting(sqlite))
    assert (found.gold, found.caught, found.to_wrong) == (0, Share(0, 0), Share(0, 0))


@pytest.fixture
def own(database: Database) -> Actor:
    return factories.person(database, "own", "owner")


def test_figures_end_with_the_last_whole_day_and_are_shown_to_leads_and_to_oneself(
    database: Database, own: Actor, ann: Actor, bob: Actor, lea: Actor, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.always(monkeypatch)
    held = factories.setting(database, wished=factories.policy(**known.POLICY))
    named(database, held, own, {"known": "deny"})
    say(database, ann, given(database, held, ann), "deny")
    assert database.read(judging.of, held, by=lea).people == ()
    move(timedelta(days=1))
    (found,) = database.read(judging.of, held, by=lea).people
    assert (found.person, found.gold, found.caught, found.wrong.after) == ("ann", 1, Share(1, 1), Share(0, 1))
    assert found.before.value == 4.0
    assert database.read(judging.of, held, by=ann).people == (found,)
    assert database.read(judging.of, held, by=bob).people == ()
    database.write(lambda session: session.execute(update(Gold).values(label="pay")))
    assert database.read(judging.of, held, by=lea).people[0].right.before == Share(0, 1)


def test_the_known_answers_are_nobody(database: Database, held: Setting, lea: Actor, move: Move) -> None:
    robot = factories.person(database, people.KNOWN_ANSWERS)
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    [say(database, robot, each, "pay") for each in take(database, held, robot)]
    move(timedelta(days=1))
    assert database.read(judging.of, held, by=lea).people == ()


# A run of quick accepts


def seed(database: Database, held: Setting, actor: Actor, rows: list[tuple[str, float | None]], *, blind: bool = False) -> None:
    """Final decisions of a person, oldest first, as verdict and seconds; all of one task, which counts nowhere here."""
    factories.routed(database, held, {"seed": factories.says("pay", 0.6)}) if not factories.tasks(database) else None
    task = factories.tasks(database)[0]

    def put(session: Any) -> None:
        claim = session.scalar(select(Claim.id).where(Claim.person_id == actor.id))
        if claim is None:
            row = {"task_id": task.id, "item_id": task.item_id, "person_id": actor.id, "session": "x", "token": actor.name}
            times = {"taken_at": clock.now(), "expires_at": clock.now(), "closed_at": clock.now(), "state": "released"}
            claim = session.scalar(insert(Claim).returning(Claim.id), [{**row, **times}])
        same = {"project_id": held.id, "task_id": task.id, "item_id": task.item_id, "claim_id": claim, "person_id": actor.id}
        fixed = {"stage": "final", "request_hash": "", "blind": blind, "basis": "routed", "via": "desk", "label": "pay"}
        for verdict, seconds in rows:
            new = {"key": str(clock.now().timestamp()), "verdict": verdict, "seconds": seconds, "decided_at": clock.now()}
            session.execute(insert(Decision).values(**same, **fixed, **new))

    database.write(put)


pace = [("accept", 6.0), ("correct", 8.0)] * 40


@pytest.fixture
def quick(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(review={"prompt": {"after": 5}}))


class TestPrompt:
    def test_a_run_much_quicker_than_usual_is_spoken_of_once(self, database: Database, quick: Setting, ann: Actor) -> None:
        seed(database, quick, ann, [*pace, *[("accept", 1.0)] * 4])
        assert database.write(judging.prompt, quick, ann) is None
        seed(database, quick, ann, [("accept", 1.5)])
        told = database.write(judging.prompt, quick, ann)
        assert told is not None
        assert told.startswith("5 accepted in a row, each within 1.5 s; you usually take about 7.0 s.")
        assert database.write(judging.prompt, quick, ann) is None
        seed(database, quick, ann, [("accept", 1.0)] * 3)
        assert database.write(judging.prompt, quick, ann) is None
        (row,) = database.read(lambda s: list(s.scalars(select(Activity).where(Activity.verb == "desk.prompt"))))
        assert (row.actor_id, row.subject) == (ann.id, "person:ann")
        assert row.after is not None
        assert row.after["accepts"] == 5

    def test_another_run_is_spoken_of_again(self, database: Database, quick: Setting, ann: Actor) -> None:
        for _ in range(2):
            seed(database, quick, ann, [*pace, *[("accept", 1.0)] * 5])
            assert database.write(judging.prompt, quick, ann) is not None

    def test_a_list_of_decisions_that_comes_at_once_is_one_run(self, database: Database, quick: Setting, ann: Actor) -> None:
        seed(database, quick, ann, [*pace, *[("accept", 1.0)] * 11])
        assert database.write(judging.prompt, quick, ann) is not None
        assert database.write(judging.prompt, quick, ann) is None

    @pytest.mark.parametrize(
        "rows",
        [
            [("accept", 4.0)] * 9,
            [("accept", 1.0)] * 4 + [("correct", 1.0)] + [("accept", 1.0)] * 4,
            [("accept", None)] * 9,
            [("skip", 1.0)] * 9,
        ],
    )
    def test_nothing_is_said_of_what_is_no_run_of_quick_accepts(
        self, database: Database, quick: Setting, ann: Actor, rows: list[tuple[str, float | None]]
    ) -> None:
        seed(database, quick, ann, [*pace, *rows])
        assert database.write(judging.prompt, quick, ann) is None

    def test_nothing_is_said_before_it_is_known_how_long_somebody_takes(
        self, database: Database, quick: Setting, ann: Actor
    ) -> None:
        seed(database, quick, ann, [*pace[:40], *[("accept", 1.0)] * 5])
        assert database.write(judging.prompt, quick, ann) is None

    def test_blind_cases_are_passed_over(self, database: Database, quick: Setting, ann: Actor) -> None:
        seed(database, quick, ann, [*pace, *[("accept", 1.0)] * 3])
        seed(database, quick, ann, [("accept", 0.2)] * 5, blind=True)
        assert database.write(judging.prompt, quick, ann) is None
        seed(database, quick, ann, [("accept", 1.0)] * 2)
        assert database.write(judging.prompt, quick, ann) is not None

    def test_a_bound_of_the_policy_needs_no_past(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(review={"prompt": {"after": 5, "within": "2s"}}))
        seed(database, held, ann, [("accept", 1.9)] * 5)
        told = database.write(judging.prompt, held, ann)
        assert told is not None
        assert told.startswith("5 accepted in a row, each within 1.9 s. Take a breath")

    def test_off_is_off(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(review={"prompt": "off"}))
        seed(database, held, ann, [*pace, *[("accept", 0.1)] * 30])
        assert database.write(judging.prompt, held, ann) is None

    def test_another_project_and_another_person_are_not_this_run(
        self, database: Database, quick: Setting, ann: Actor, bob: Actor
    ) -> None:
        seed(database, quick, ann, [*pace, *[("accept", 1.0)] * 5])
        assert database.write(judging.prompt, quick, bob) is None
        other = factories.setting(database, factories.project(project="other"))
        assert database.write(judging.prompt, other, ann) is None


def test_blind_first_for_all_keeps_both_answers_and_both_times(database: Database, ann: Actor, lea: Actor, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, held, {f"{n}": factories.says("pay", 0.6) for n in range(2)})
    for case in take(database, held, ann, 2):
        assert case.blind
        assert case.prediction is None
        with pytest.raises(Exception, match="blind first"):
            database.write(decisions.decide, ann, case.task_id, case.token, Said("early", "accept"))
        say(database, ann, case, "deny", Said(f"went over {case.task_id}", "accept", seconds=2.0))
    rows = database.read(lambda s: list(s.scalars(select(Decision).order_by(Decision.id))))
    assert [(row.stage, row.label, row.seconds) for row in rows] == [("first", "deny", 4.0), ("final", "pay", 2.0)] * 2
    move(timedelta(days=1))
    (found,) = database.read(judging.of, held, by=lea).people
    assert (found.before.value, found.after.value, found.seen.value) == (4.0, 2.0, None)
    assert [each.agreed for each in found.weeks] == [Share(2, 2)]

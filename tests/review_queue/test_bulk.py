"""Many cases decided at once and taken back: which they are, what stands, and who else is at them in the same moment."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from app import bulk as acting
from contract.records import Unscored
from db.engine import Database
from db.tables import Activity, Bulk, Claim, Decision, Outbox, Outcome
from retrain import rows
from review_queue import (
    answers,
    assigning,
    bulk,
    cases,
    claims,
    decisions,
    events,
    filters,
    lists,
    parking,
    people,
    requests,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.bulk import Act, Counted, Wish
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid, KeyReused, NotFound, Refused
from review_queue.filters import Filter
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once, take

pytestmark = pytest.mark.usefixtures("sound")
ACCEPT = Wish("accept")


def fill(database: Database, held: Setting, n: int = 6, label: str = "pay", sure: float = 0.6, name: str = "") -> None:
    factories.routed(database, held, {f"{name}{k}": factories.says(label, sure) for k in range(n)})


def seen(database: Database, held: Setting, actor: Actor, query: str = "", wish: Wish = ACCEPT) -> Counted:
    return acting.preview(database, held, actor, filters.read(held, query), wish)


def begun(database: Database, held: Setting, actor: Actor, query: str = "", wish: Wish = ACCEPT, **changes: Any) -> Act:
    found = seen(database, held, actor, query, wish)
    said = {"asked": found.fit, "upto": found.upto, **changes}
    return acting.begin(database, held, actor, str(uuid4()), filters.read(held, query), wish, **said)


def done(database: Database, held: Setting, actor: Actor, query: str = "", wish: Wish = ACCEPT) -> Act:
    return acting.act(database, held, actor, begun(database, held, actor, query, wish).id)


def stands(database: Database) -> dict[str, tuple[str | None, str, int]]:
    from db.tables import ItemKey

    query = select(ItemKey.external_id, Outcome).join(Outcome, Outcome.item_id == ItemKey.item_id).order_by(Outcome.revision)
    found = database.read(lambda session: session.execute(query).tuples().all())
    return {name: (row.label, row.source, row.revision) for name, row in found}


def test_what_fits_is_decided_and_taken_back_as_a_whole(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    fill(database, held, 5)
    fill(database, held, 2, "deny", name="d")
    found = seen(database, held, lea, "label=pay")
    assert (found.fit, dict(found.left), found.after) == (5, {}, None)
    assert [(each.external_id, each.label, round(each.confidence or 0, 2)) for each in found.sample][:2] == [
        ("0", "pay", 0.6),
        ("1", "pay", 0.6),
    ]
    act = done(database, held, lea, "label=pay")
    assert (act.person, act.asked, act.done, act.undone_at) == ("lea", 5, 5, None)
    assert stands(database) == {str(n): ("pay", "human", 1) for n in range(5)}
    rows_ = database.read(lambda session: list(session.scalars(select(Decision))))
    assert {(row.basis, row.verdict, row.stage, row.blind, row.person_id) for row in rows_} == {
        ("bulk", "accept", "final", False, lea.id)
    }
    back = acting.undo(database, held, lea, act.id)
    assert (back.back, back.withdrawn, back.kept, back.after) == (5, 5, 0, None)
    assert stands(database) == {}
    assert database.read(lambda session: session.scalars(select(Outbox.id)).all()) == []
    assert {task.state for task in factories.tasks(database)} == {"pending"}
    assert acting.undo(database, held, lea, act.id).back == 0
    with pytest.raises(Refused, match="taken back"):
        database.write(bulk.step, held, lea, act.id)
    verbs = database.read(lambda s: s.scalars(select(Activity.verb).where(Activity.subject == f"bulk:{act.id}")).all())
    assert verbs == ["bulk.accept", "bulk.undo"]
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))


def test_it_goes_in_small_batches_and_on_from_where_it_broke_off(
    database: Database, held: Setting, lea: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 3)
    monkeypatch.setattr(lists, "WINDOW", 4)
    fill(database, held, 11)
    act = begun(database, held, lea)
    assert act.asked == 11
    first = database.write(bulk.step, held, lea, act.id)
    assert (first.done, first.after is not None) == (3, True)
    told: list[int] = []
    assert acting.act(database, held, lea, act.id, told.append).done == 11
    assert told[:3] == [6, 9, 11]
    assert acting.act(database, held, lea, act.id).done == 11
    assert len(stands(database)) == 11
    counted: list[int] = []
    assert acting.undo(database, held, lea, act.id, counted.append).back == 11
    assert counted == [3, 6, 9, 11]


@pytest.mark.parametrize(
    ("wish", "label", "source"),
    [(Wish("correct", "deny"), "deny", "correct"), (Wish("reject", reason="no label fits"), None, "reject")],
)
def test_correct_and_reject(sqlite: Database, wish: Wish, label: str | None, source: str) -> None:
    held, lea = factories.setting(sqlite), factories.person(sqlite, "lea", "lead")
    fill(sqlite, held, 3)
    fill(sqlite, held, 1, "deny", name="d")
    found = seen(sqlite, held, lea, "", wish)
    assert (found.fit, dict(found.left)) == ((3, {"same": 1}) if wish.label else (4, {}))
    done(sqlite, held, lea, "", wish)
    assert {each for each in stands(sqlite).values()} == {(label, "human", 1)}
    assert {row.verdict for row in sqlite.read(lambda session: session.scalars(select(Decision)).all())} == {source}


def test_why_cases_are_left_out(database: Database, ann: Actor, bob: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"second_opinion": 1.0}))
    fill(database, held, 1, sure=0.97, name="audit")
    fill(database, held, 1, name="drawn")  # the review and its second opinion
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.0}, review={"second_opinion": 0.0}))
    fill(database, held, 8)
    factories.routed(database, held, {"unscored": Unscored("NaN")})
    at = {case.external_id: case for case in take(database, held, ann, 10) if case.external_id.isdigit() and not case.blind}
    by_name = {name: at[name] for name in sorted(at)[:3]}
    keep, park, skip = by_name.values()
    for case in cases_of(database, held, ann):
        if case.token not in {keep.token, park.token, skip.token}:
            database.write(claims.release, ann, [case.token])
    database.write(parking.park, ann, park.task_id, park.token)
    database.write(decisions.decide, ann, skip.task_id, skip.token, Said("k", "skip"))
    waits = [task for task in factories.tasks(database, state="pending", kind="review", blind=False)]
    given = next(task for task in waits if task.id not in {skip.task_id} and task.requested is None and not task.shared)
    database.write(assigning.assign, given.id, "bob", by=lea)
    lead_ann = Actor(ann.id, ann.name, "lead", "desk")
    left = dict(seen(database, held, lead_ann).left)
    assert left == {"blind": 3, "held": 1, "parked": 1, "assigned": 1, "yours": 1, "unpredicted": 1}
    assert seen(database, held, lead_ann).fit == 4
    assert dict(seen(database, held, lea, "label=deny").left) == {"blind": 3}  # whatever was predicted of them
    done(database, held, lead_ann)
    assert len(stands(database)) == 1 + 4  # what acted alone, and what was decided


def cases_of(database: Database, held: Setting, actor: Actor) -> list[cases.Case]:
    return database.read(cases.held, held, actor, "s")


def test_blind_first_leaves_nothing_for_an_act(sqlite: Database) -> None:
    held = factories.setting(sqlite, wished=factories.policy(review={"blind_first": "all"}))
    lea = factories.person(sqlite, "lea", "lead")
    fill(sqlite, held, 4)
    found = seen(sqlite, held, lea, "label=pay")
    assert (found.fit, dict(found.left), found.sample) == (0, {"blind": 4}, ())
    with pytest.raises(Invalid, match="too few"):
        begun(sqlite, held, lea)


def test_several_seats_and_looks_that_were_asked_for_stay_with_people(database: Database, ann: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 2, "undo_window": "0s"}))
    fill(database, held, 1, name="two")
    held = factories.setting(database, wished=factories.policy(review={"undo_window": "0s"}))
    fill(database, held, 1, sure=0.97, name="alone")
    database.write(requests.request, held, "alone0", "they complain", by=ann)
    found = seen(database, held, lea)
    assert (found.fit, dict(found.left)) == (0, {"others": 3})


def test_nothing_newer_than_the_preview_is_decided(database: Database, held: Setting, lea: Actor) -> None:
    fill(database, held, 3)
    act = begun(database, held, lea)
    fill(database, held, 3, name="new")
    assert acting.act(database, held, lea, act.id).done == 3
    assert set(stands(database)) == {"0", "1", "2"}


def test_no_more_than_was_counted_is_decided(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    fill(database, held, 4)
    mine = take(database, held, ann, 2)
    act = begun(database, held, lea)
    assert act.asked == 2
    database.write(claims.release, ann, [case.token for case in mine])
    assert acting.act(database, held, lea, act.id).done == 2


def test_a_key_is_an_act_and_no_other(database: Database, held: Setting, bob: Actor, lea: Actor) -> None:
    fill(database, held, 3)
    found = seen(database, held, lea)
    said: dict[str, Any] = {"asked": found.fit, "upto": found.upto}
    acts = [lambda: acting.begin(database, held, lea, "k", Filter(), ACCEPT, **said) for _ in range(6)]
    assert at_once(acts) == []
    assert len(database.read(lambda session: session.scalars(select(Bulk.id)).all())) == 1
    with pytest.raises(KeyReused):
        acting.begin(database, held, lea, "k", Filter(), Wish("correct", "deny"), **said)
    with pytest.raises(KeyReused):
        acting.begin(database, held, Actor(bob.id, "bob", "lead", "desk"), "k", Filter(), ACCEPT, **said)


def test_batches_of_one_act_and_claims_at_once_never_decide_a_case_twice(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 5)
    fill(database, held, 40)
    act = begun(database, held, lea)

    def work(actor: Actor) -> Callable[[], None]:
        def run() -> None:
            for n in range(8):
                for case in take(database, held, actor, 1, f"{actor.name}{n}"):
                    database.write(decisions.decide, actor, case.task_id, case.token, Said(str(uuid4()), "correct", "deny"))

        return run

    two = [lambda: acting.act(database, held, lea, act.id)] * 2
    assert at_once([*two, work(ann), work(bob)]) == []
    acting.act(database, held, lea, act.id)
    said = database.read(lambda session: session.scalars(select(Decision)).all())
    assert len(said) == len({row.task_id for row in said}) == 40
    after = database.read(bulk.get, held, act.id)
    assert after.done == sum(row.basis == "bulk" for row in said) >= 24


def test_undo_and_people_at_once(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    fill(database, held, 12)
    act = done(database, held, lea)

    def work() -> None:
        for n in range(6):
            for case in take(database, held, ann, 1, str(n)):
                database.write(decisions.decide, ann, case.task_id, case.token, Said(str(uuid4()), "accept"))

    assert (
        at_once([lambda: acting.undo(database, held, lea, act.id), lambda: acting.undo(database, held, lea, act.id), work]) == []
    )
    assert database.read(bulk.get, held, act.id).undone_at is not None


def test_what_has_left_the_house_stands_until_it_is_answered_anew(
    database: Database, held: Setting, ann: Actor, lea: Actor, move: Move
) -> None:
    fill(database, held, 2)
    act = done(database, held, lea)
    assert act.safe_until - act.made_at == timedelta(minutes=10)
    move(timedelta(minutes=9))
    assert [kind for kind in told(database, held) if kind == "outcome"] == []
    move(timedelta(minutes=2))
    assert told(database, held) == ["outcome", "outcome"]
    back = acting.undo(database, held, lea, act.id)
    assert (back.back, back.withdrawn) == (2, 0)
    assert set(stands(database).values()) == {("pay", "human", 1)}
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
    assert stands(database)[case.external_id] == ("deny", "human", 2)
    again = done(database, held, lea)
    assert again.done == 1
    move(timedelta(minutes=11))
    assert sorted(told(database, held)) == ["confirmed", "outcome", "outcome", "revision"]


def told(database: Database, held: Setting) -> list[str]:
    database.write(events.sequence)
    return [each.kind for each in database.read(events.after, held.id, 0)]


def test_what_was_corrected_or_cancelled_since_is_kept(database: Database, held: Setting, bob: Actor, lea: Actor) -> None:
    fill(database, held, 3)
    act = done(database, held, lea)
    lead = Actor(bob.id, "bob", "lead", "desk")
    database.write(decisions.revise, held, lead, "0", Said("r", "correct", "deny"))
    database.write(withdrawal.cancel, held, "1", by=lead)
    back = acting.undo(database, held, lea, act.id)
    assert (back.back, back.kept) == (1, 2)
    assert stands(database)["0"][0] == "deny"


def test_one_of_an_act_is_not_taken_back_alone(database: Database, held: Setting, lea: Actor) -> None:
    fill(database, held, 2)
    done(database, held, lea)
    assert database.read(decisions.last_of, lea, held.id) is None
    row = database.read(lambda session: session.scalars(select(Decision)).first())
    assert row is not None
    with pytest.raises(Invalid, match="whole act"):
        database.write(decisions.undo, lea, row.id)


def test_it_is_for_leads_and_for_whoever_began_it(database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor) -> None:
    fill(database, held, 2)
    with pytest.raises(Forbidden, match="for leads"):
        seen(database, held, ann)
    act = begun(database, held, lea)
    other = Actor(bob.id, "bob", "lead", "desk")
    for verb in (bulk.step, bulk.undo):
        with pytest.raises(Forbidden):
            database.write(verb, held, other, act.id)
    with pytest.raises(NotFound, match="no act"):
        database.write(bulk.step, held, lea, 99)
    elsewhere = factories.setting(database, factories.project(project="other"))
    with pytest.raises(NotFound):
        database.write(bulk.undo, elsewhere, lea, act.id)
    with pytest.raises(Forbidden):
        database.write(bulk.step, held, Actor(lea.id, "lea", "reviewer", "desk"), act.id)
    acting.act(database, held, lea, act.id)
    assert acting.undo(database, held, Actor(bob.id, "bob", "owner", "desk"), act.id).back == 2


def test_what_cannot_be_wished_is_refused(sqlite: Database) -> None:
    held, lea = factories.setting(sqlite), factories.person(sqlite, "lea", "lead")
    fill(sqlite, held, 2)
    bad = {
        "is no verdict": Wish("skip"),  # type: ignore[arg-type]
        "needs the label": Wish("correct"),
        "goes with correct alone": Wish("accept", "pay"),
        "no label 'pey'": Wish("correct", "pey"),
        "needs a reason": Wish("reject"),
        "is no reason": Wish("reject", reason="because"),
    }
    for said, wish in bad.items():
        with pytest.raises(Invalid, match=said):
            seen(sqlite, held, lea, "", wish)
    for asked in (0, bulk.MOST + 1):
        with pytest.raises(Invalid, match="too"):
            sqlite.write(bulk.begin, held, lea, "k", Filter(), ACCEPT, asked=asked, upto=9)
    for key in ("", "x" * 201, "a\x00b"):
        with pytest.raises(Invalid, match="the key"):
            sqlite.write(bulk.begin, held, lea, key, Filter(), ACCEPT, asked=1, upto=9)


def test_labels_of_an_act_are_rows_without_weight_and_no_figures(database: Database, lea: Actor, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"undo_window": "0s", "bulk_undo": "0s"}))
    fill(database, held, 2)
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    done(database, held, lea)
    database.write(events.sequence)
    watermark = database.read(events.head)
    made = {row.cells["external_id"]: row.cells for row in rows.stream(database, held, watermark)}
    one = next(cells for name, cells in made.items() if name != case.external_id)
    assert (one["label"], one["label_basis"], one["weight"], one["window"]) == ("pay", "bulk", None, "closed")
    assert made[case.external_id]["weight"] == 1
    window = database.read(answers.latest, held.id)
    assert [each.by_chance_or_rule for each in window.answers] == [True, False]
    assert people.KNOWN_ANSWERS  # a name that nobody else has
    assert database.read(lambda session: session.scalars(select(Claim.state)).all()) == ["answered", "answered"]

"""Versions of models that answer elsewhere, and the items whose predictions they made."""

import threading

import pytest
from sqlalchemy import func, select

from contract.records import Explanation as ExplanationRecord
from contract.records import Unscored
from db.engine import Database
from db.tables import Draw, Event, Explanation, Item, ItemKey, Model, Prediction, ProjectControl, Routing, Work
from retrain import registry
from review_queue import batches, cases, decisions, events, explanations, find, intake, projects, rules, versions
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Moved, Refused
from review_queue.intake import Receipt
from review_queue.projects import Setting
from tests import elsewhere, factories
from tests.elsewhere import VERSION, sent
from tests.review_queue.acting import at_once, take

WHY = {"method": "TreeSHAP", "unit": "log-odds", "contributions": [{"feature": "amount", "contribution": 1.5}]}


@pytest.fixture
def held(database: Database) -> Setting:
    return elsewhere.setting(database)


def names(database: Database, held: Setting) -> list[str]:
    return list(database.read(versions.known, held.id))


def routings(database: Database) -> dict[str, Routing]:
    query = select(ItemKey.external_id, Routing).join(Routing, Routing.item_id == ItemKey.item_id)
    return dict(database.read(lambda s: s.execute(query).tuples().all()))


# Versions


def test_a_new_version_registers_itself_and_plays_no_role(database: Database) -> None:
    held = elsewhere.setting(database, signed=False)
    factories.submit(database, held, [sent("1", 0.8), sent("2", 0.8, "2026-12"), sent("3", 0.8, "2026-12"), factories.raw("4")])
    found = database.read(registry.models, held.id)
    assert [(m.version, m.name, m.trainer, m.labels, m.aliases) for m in found] == [
        (2, "2026-12", "external", ("deny", "pay"), ()),
        (1, VERSION, "external", ("deny", "pay"), ()),
    ]
    card = database.read(registry.archive, found[0])
    assert b'"model_version":"2026-12"' in card
    database.write(events.sequence)
    told = [event.body for event in database.read(events.after, held.id, 0)]
    assert told == [
        {"version": 1, "trainer": "external", "name": VERSION},
        {"version": 2, "trainer": "external", "name": "2026-12"},
    ]


def test_two_batches_with_a_new_version_at_once_register_it_once(database: Database) -> None:
    held = elsewhere.setting(database, signed=False)
    batches_of = [[sent(f"{n}-{i}", 0.8, f"v{i % 3}") for i in range(20)] for n in range(6)]
    assert at_once([lambda b=b: factories.submit(database, held, b) for b in batches_of]) == []
    assert sorted(names(database, held)) == ["v0", "v1", "v2"]
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Item))) == 120


def test_a_name_for_each_item_is_no_name_of_a_version(database: Database, held: Setting) -> None:
    receipts = factories.submit(database, held, [sent(f"{n:02}", 0.8, f"run-{n}") for n in range(25)])
    assert [r.state for r in receipts] == ["received"] * intake.MOST_NEW + ["invalid"] * 5
    assert "not its run or day" in (receipts[-1].problem or "")
    assert len(names(database, held)) == 1 + intake.MOST_NEW


def test_registering_beside_a_training_run_numbers_both(database: Database) -> None:
    held = elsewhere.setting(database, signed=False)

    def train(n: int) -> None:
        database.write(
            registry.register, held.id, bytes([n]), trainer="torch-mlp", labels=["deny", "pay"], schema_hash="",
            figures={}, datasets=[], by=None,
        )  # fmt: skip

    acts = [lambda n=n: train(n) if n % 2 else elsewhere.register(database, held, f"v{n}") for n in range(8)]
    assert at_once(acts) == []
    assert database.read(lambda s: sorted(s.scalars(select(Model.version)))) == list(range(1, 9))


def test_registering_a_version_again_changes_nothing_and_other_labels_are_another_version(database: Database) -> None:
    held = elsewhere.setting(database)
    assert elsewhere.register(database, held).version == 1
    with pytest.raises(Refused, match="stands with the labels deny, pay; other labels are another version"):
        database.write(registry.register_external, held.id, VERSION, ["deny", "ask"], None)
    with pytest.raises(ValueError, match="must be the name of a model version"):
        database.write(registry.register_external, held.id, " ", ["deny", "pay"], None)


def test_figures_come_with_a_version_and_keep_its_grid(sqlite: Database) -> None:
    held = elsewhere.setting(sqlite, signed=False)
    info = sqlite.write(registry.register_external, held.id, "v", ["deny", "pay"], None, figures={"accuracy": 0.9})
    assert info.figures["accuracy"] == 0.9
    assert info.figures["grids"]["margin"] == list(versions.GRID)


def test_a_label_added_later_needs_a_version_of_its_own(database: Database, held: Setting) -> None:
    wider = elsewhere.project(labels={"deny": {"key": "d"}, "pay": {"key": "y"}, "ask": {}})
    key = factories.keys(database).draw_key_id
    held = database.write(projects.apply, wider, held.policy, "", key, by=None).setting
    odd = {**factories.raw("1"), "prediction": {"probabilities": {"deny": 0.2, "ask": 0.8}}}
    newer = {**factories.raw("2"), "prediction": {**odd["prediction"], "model_version": "2026-12"}}
    receipts = factories.submit(database, held, [odd, newer, sent("3", 0.97)])
    assert [r.state for r in receipts] == ["invalid", "received", "received"]
    assert f"{VERSION} is older than the label 'ask'" in (receipts[0].problem or "")
    elsewhere.route(database, held)
    assert routings(database)["3"].route == "auto"
    assert routings(database)["2"].label == "ask"


# Items


def test_the_same_prediction_again_is_the_same_item_and_another_a_conflict(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.8), factories.raw("2")])

    def again(item: dict[str, object]) -> Receipt:
        return factories.submit(database, held, [item])[0]

    assert (again(sent("1", 0.8)).state, again(sent("1", 0.8)).new) == ("received", False)
    assert again(factories.raw("2")).state == "received"
    for other in (sent("1", 0.81), sent("1", 0.8, "other"), sent("1", 0.8, reasons=WHY), factories.raw("1"), sent("2", 0.8)):
        assert again(other).state == "conflict"
    assert names(database, held) == [VERSION]  # a conflict leaves no version behind


def test_an_item_is_the_same_after_the_project_names_another_version(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.97)])
    later = elsewhere.project(version="2026-12")
    held = database.write(projects.apply, later, held.policy, "", factories.keys(database).draw_key_id, by=None).setting
    assert [r.state for r in factories.submit(database, held, [sent("1", 0.97), sent("2", 0.97)])] == ["received"] * 2
    elsewhere.route(database, held)
    assert {name: r.route for name, r in routings(database).items()} == {"1": "auto", "2": "review"}


def test_without_a_champion_items_wait(database: Database) -> None:
    held = elsewhere.setting(database, signed=False)
    factories.submit(database, held, [sent("1", 0.97)])
    assert database.read(rules.in_force, held.id, held.policy) is None
    elsewhere.promote(database, held, 1)
    assert elsewhere.route(database, held) == batches.Written(auto=1)


# Routing


def test_a_batch_is_routed_by_what_came_along(database: Database, held: Setting, ann: Actor) -> None:
    items = [sent("sure", 0.97), sent("unsure", 0.6), sent("new", 0.99, "2026-12"), factories.raw("bare")]
    factories.submit(database, held, items)
    assert elsewhere.route(database, held) == batches.Written(auto=1, review=3)
    found = routings(database)
    known = database.read(versions.known, held.id)
    assert {name: r.route for name, r in found.items()} == {"sure": "auto", "unsure": "review", "new": "review", "bare": "review"}
    assert found["new"].reason == "made by version 2026-12, which nobody signed yet; `signoff model promote 2` proposes it"
    assert found["bare"].reason == "not scored: it came without a prediction"
    assert (found["new"].pi, found["new"].band, found["new"].p_evidence) == (1.0, 0, 0.0)
    assert (found["new"].model_id, found["bare"].model_id) == (known["2026-12"].id, known[VERSION].id)
    kept = database.read(lambda s: {p.item_id: (p.model_id, p.probabilities) for p in s.scalars(select(Prediction))})
    assert kept[found["new"].item_id] == (known["2026-12"].id, [1 - 0.99, 0.99])
    assert len(kept) == 3
    shown = {case.external_id: case.prediction for case in take(database, held, ann, 9)}
    assert shown["new"] is not None
    assert (shown["new"].model_version, shown["new"].label, shown["new"].external) == ("2026-12", "pay", True)


def test_what_nobody_signed_may_be_accepted_and_is_no_evidence(database: Database, ann: Actor) -> None:
    held = elsewhere.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.submit(database, held, [sent("1", 0.99, "2026-12"), sent("2", 0.6)])
    elsewhere.route(database, held)
    drawn = database.read(lambda s: list(s.scalars(select(Draw.item_id))))
    assert drawn == [routings(database)["2"].item_id]
    case = next(case for case in take(database, held, ann, 2) if case.external_id == "1")
    assert not case.blind
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    record = database.read(find.record, held, "1", by=ann)
    assert (record.outcomes[0].label, record.outcomes[0].source) == ("pay", "human")
    assert record.predictions == {"2026-12": {"deny": pytest.approx(0.01), "pay": 0.99}}
    assert record.routings[0].model_version == "2026-12"


def test_a_version_that_was_replaced_acts_no_longer(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.97, "2026-12")])
    elsewhere.promote(database, held, 2)
    factories.submit(database, held, [sent("2", 0.97)])
    elsewhere.route(database, held)
    found = routings(database)
    assert (found["1"].route, found["2"].route) == ("auto", "review")
    assert found["2"].reason == f"made by version {VERSION}, which acts no longer"
    periods = {r.period_id for r in found.values()}
    assert len(periods) == 1  # that of the new champion, opened by its promotion
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Model))) == 2


def test_frozen_and_vetoed_hold_for_predictions_from_elsewhere(database: Database) -> None:
    held = elsewhere.setting(database, wished=factories.policy(automate={"at_least": 0.9, "never": ["amount > 500"]}))
    factories.submit(database, held, [sent("dear", 0.97, amount=900)])
    elsewhere.route(database, held)
    key = factories.keys(database).draw_key_id
    database.write(projects.freeze, held.name, key, by=elsewhere.owner(database))
    factories.submit(database, held, [sent("frozen", 0.97)])
    elsewhere.route(database, held)
    found = routings(database)
    assert (found["dear"].route, found["dear"].reason) == ("review", "never alone: amount > 500")
    assert (found["frozen"].route, found["frozen"].reason) == ("review", "automation is frozen")


def test_a_batch_in_hand_is_routed_by_the_version_signed_meanwhile(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.97, "2026-12")])
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=9, seconds=60, sent=True)
    elsewhere.promote(database, held, 2)
    with pytest.raises(Moved):
        database.write(
            batches.write, held.id, "w", [(i, i.answer) for i in leased], model_id=rule.model_id, keys=factories.keys(database)
        )
    database.write(batches.give_back, "score", "w")
    assert elsewhere.route(database, held) == batches.Written(auto=1)


# Reasons


def test_reasons_that_came_along_are_those_of_the_prediction(database: Database, held: Setting, ann: Actor) -> None:
    factories.submit(database, held, [sent("1", 0.6, reasons=WHY), sent("2", 0.6), sent("3", 0.6, "2026-12", reasons=WHY)])
    elsewhere.route(database, held)
    shown = {case.external_id: case.explanations for case in take(database, held, ann, 3)}
    assert [reason.method for reason in shown["1"]] == ["producer"]
    assert shown["1"][0].body["contributions"] == [{"feature": "amount", "value": 120.5, "contribution": 1.5}]
    assert explanations.called(shown["1"][0]) == f"TreeSHAP (sent by the producer, version {VERSION})"
    assert shown["2"] == ()
    assert shown["3"][0].body["params"]["model_version"] == "2026-12"
    assert shown["1"][0].hash != shown["3"][0].hash


def test_no_worker_is_asked_to_explain_what_came_from_elsewhere(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.6), sent("2", 0.6, "2026-12"), factories.raw("3")])
    elsewhere.route(database, held)
    assert database.write(explanations.order_ahead, held.id) == 0
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Work))) == 0


def test_a_blind_case_shows_nothing_of_what_was_sent(database: Database, ann: Actor) -> None:
    held = elsewhere.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.submit(database, held, [sent("1", 0.6, reasons=WHY)])
    elsewhere.route(database, held)
    case = take(database, held, ann)[0]
    assert (case.prediction, case.explanations) == (None, ())
    database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
    after = database.read(cases.held, held, ann, "s")[0]
    assert after.prediction is not None
    assert [reason.method for reason in after.explanations] == ["producer"]


# Who predicts


def test_the_uri_says_who_predicts_and_who_may_act(database: Database) -> None:
    held = elsewhere.setting(database)
    shape = {"labels": ["deny", "pay"], "schema_hash": "", "figures": {}, "datasets": [], "by": None}
    trained = database.write(registry.register, held.id, b"zip", trainer="torch-mlp", **shape)
    with pytest.raises(Refused, match=r"model 2 \(torch-mlp\) would never be asked; write `uri: registry:claims@champion`"):
        elsewhere.promote(database, held, trained.version)
    key = factories.keys(database).draw_key_id
    database.write(projects.apply, factories.project(), held.policy, "", key, by=None)
    other = elsewhere.register(database, held, "2026-12")
    with pytest.raises(Refused, match=r"model 3 \(2026-12\) answers elsewhere, and claims asks its own"):
        elsewhere.promote(database, held, other.version)
    elsewhere.promote(database, held, trained.version)
    assert database.read(registry.champion, held.id) is not None
    database.write(projects.apply, elsewhere.project(), held.policy, "", key, by=None)
    factories.submit(database, database.read(projects.get, "claims"), [sent("1", 0.99)])
    elsewhere.route(database, held)
    assert routings(database)["1"].route == "review"  # its version has no signature over the trained model's


def test_a_signature_that_comes_after_the_uri_has_changed_is_refused(database: Database) -> None:
    held = elsewhere.setting(database, wished=factories.policy(evidence={"signers": 2}), signed=False)
    version = elsewhere.register(database, held).version
    key = factories.keys(database).draw_key_id
    proposal = database.write(registry.propose, held.id, version, by=elsewhere.owner(database), draw_key_id=key)
    database.write(projects.apply, factories.project(), held.policy, "", key, by=None)
    second = factories.person(database, "otto", "owner")
    with pytest.raises(Refused, match="answers elsewhere"):
        database.write(registry.sign, proposal.id, by=second, draw_key_id=key)
    assert database.read(registry.champion, held.id) is None


def test_while_the_champion_is_elsewhere_an_item_without_its_prediction_goes_to_a_person(database: Database) -> None:
    held = elsewhere.setting(database)
    key = factories.keys(database).draw_key_id
    factories.submit(database, held, [sent("before", 0.97)])
    held = database.write(projects.apply, factories.project(), held.policy, "", key, by=None).setting
    factories.submit(database, held, [factories.raw("after")])
    assert elsewhere.route(database, held) == batches.Written(auto=1, review=1)
    assert "came without a prediction" in routings(database)["after"].reason


def test_a_project_of_its_own_model_does_not_read_what_was_sent_before(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.97)])
    key = factories.keys(database).draw_key_id
    held = database.write(projects.apply, factories.project(), held.policy, "", key, by=None).setting
    shape = {"labels": ["deny", "pay"], "schema_hash": "", "figures": {}, "datasets": [], "by": None}
    own = database.write(registry.register, held.id, b"zip", trainer="torch-mlp", **shape)
    elsewhere.promote(database, held, own.version)
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    assert not batches.answered_elsewhere(held, rule)
    leased = database.write(batches.lease, held.id, "score", "w", limit=9, seconds=60)
    assert leased[0].sent is None
    assert leased[0].answer == Unscored("it came without a prediction")


def test_intake_waits_for_no_one_once_a_version_is_known(database: Database, held: Setting) -> None:
    """A batch whose versions are known takes no lock that routing holds."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    done = threading.Event()

    def send() -> None:
        factories.submit(database, held, [sent("1", 0.8)])
        done.set()

    with database.engine.begin() as connection:
        connection.execute(select(ProjectControl.project_id).with_for_update())
        sender = threading.Thread(target=send)
        sender.start()
        assert done.wait(10)
    sender.join()


def test_an_explanation_in_no_unit_is_kept(sqlite: Database) -> None:
    held = elsewhere.setting(sqlite)
    factories.submit(sqlite, held, [sent("1", 0.6, reasons=WHY["contributions"])])
    elsewhere.route(sqlite, held)
    body = sqlite.read(lambda s: s.scalars(select(Explanation.body)).one())
    assert ExplanationRecord(**body).unit is None
    assert sqlite.read(lambda s: s.scalar(select(func.count()).select_from(Event))) == 0


def test_receipts_tell_what_stands(database: Database, held: Setting) -> None:
    factories.submit(database, held, [sent("1", 0.97), sent("2", 0.6)])
    elsewhere.route(database, held)
    found = database.read(intake.standing, held.id, ["1", "2"])
    assert (found["1"].state, found["1"].label, found["1"].confidence) == ("decided", "pay", 0.97)
    assert (found["2"].state, found["2"].route) == ("waiting", "review")

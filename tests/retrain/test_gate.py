"""The gate on real rows of both databases: which cases count, with which chance, what is found, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from contract.records import Row, Scored, Unscored
from db.engine import Database
from db.tables import Challenge, Gate, Model, Shadow
from db.tables import Prediction as PredictionRow
from retrain import datasets, gate, ledger, registry, verdicts
from retrain.ledger import Ledger
from review_queue import challenges, clock, decisions, gold, outcomes, requests, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import NotFound, Refused
from review_queue.projects import Setting
from tests import factories
from tests.benchmarks import gate as tries
from tests.review_queue.acting import take

LABELS = ("deny", "pay")


class Says:
    """A model by what it says of an amount: pay where it is above a line. Unasked ones answer nothing."""

    def __init__(self, line: float, silent: bool = False) -> None:
        self.labels, self._line, self._silent, self.asked = LABELS, line, silent, 0

    def predict(self, rows: Sequence[Row]) -> list[Scored]:
        self.asked += len(rows)
        if self._silent:
            return [Unscored("it is silent") for _ in rows]
        return [factories.says("pay" if row["amount"] > self._line else "deny", 0.8) for row in rows]


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(audit={"rate": 0.25}, evidence={"max_error": 0.1}))


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


def challenger(database: Database, held: Setting) -> int:
    """The number of a model that has learned from nothing that arrives from now on."""
    model_id = database.write(factories.version, held)
    database.write(lambda s: s.execute(update(Model).where(Model.id == model_id).values(learned_through=_last(s))))
    return database.read(lambda s: s.get_one(Model, model_id).version)


def _last(session: Any) -> int:
    return session.scalar(select(func.max(PredictionRow.item_id))) or 0


def arrive(database: Database, held: Setting, said: Mapping[str, Scored], **given: Any) -> None:
    factories.routed(database, held, said, **given)


def answered(database: Database, held: Setting, label: str, predicted: str = "deny") -> None:
    """Everything that waits, answered with one label by two people, blind first where it is to be: who disputes needs another."""
    said = Said("", "accept") if label == predicted else Said("", "correct", label)
    for person in (factories.person(database, "ann"), factories.person(database, "bob")):
        while taken := take(database, held, person):
            (case,) = taken
            if case.blind and not case.first_given:
                database.write(decisions.answer, person, case.task_id, case.token, f"{case.token}-f", label)
            database.write(decisions.decide, person, case.task_id, case.token, replace(said, key=case.token))


def look(database: Database, held: Setting, version: int, old: Says, new: Says, by: Actor | None = None) -> dict[str, Any]:
    return gate.run(database, held.name, version, by=by, models=(old, new))  # type: ignore[arg-type]


def gathered(database: Database, held: Setting, version: int, new: Says) -> Ledger:
    old = database.read(registry.champion, held.id)
    assert old is not None
    wanted = database.read(registry.model, held.id, version)
    silent = Says(0, silent=True)
    return ledger.gather(database, held, old, wanted, (silent.predict, new.predict), lambda share, step: None)


def test_what_people_decided_is_known_and_a_challenger_that_is_right_passes(
    database: Database, held: Setting, olga: Actor
) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(45)}, amount=50.0)
    assert "45 cases on which they differ wait" in look(database, held, version, Says(100), Says(10))["missing"][0]
    answered(database, held, "pay")
    found = look(database, held, version, Says(100), Says(10), by=olga)
    assert found["passed"], found["missing"]
    assert (found["overall"]["n"], found["overall"]["apart"], found["better"]) == (45, 45, True)
    assert found["overall"]["accuracy"] == (0.0, 1.0)
    (offered,) = database.read(registry.proposals, held.id)
    assert (str(offered.id), offered.signed_by, offered.gate_id) == (found["proposal"], (), int(found["gate"]))
    verdict = database.read(verdicts.latest, database.read(registry.model, held.id, version).id)
    assert verdict is not None
    assert (verdict.passed, verdict.missing, verdict.said) == (True, (), found["said"])


def test_a_worse_challenger_is_told_where_it_is_worse(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(45)}, amount=50.0)
    answered(database, held, "deny")
    found = look(database, held, version, Says(100), Says(10))
    assert not found["passed"]
    assert found["proposal"] is None
    assert found["missing"][0].startswith("it is worse overall")
    assert database.read(registry.proposals, held.id) == []
    by, key = factories.person(database, "olga", "owner"), factories.keys(database).draw_key_id
    with pytest.raises(Refused, match="it is worse overall"):
        database.write(registry.propose, held.id, version, by=by, draw_key_id=key)


def test_what_acted_alone_counts_by_its_chance_of_a_look(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(40)}, amount=50.0)
    drawn = len(factories.tasks(database, kind="audit"))
    answered(database, held, "deny")
    found = gathered(database, held, version, Says(10))
    assert set(found.p) == {0.25}
    assert set(found.least_apart) == {0.25}
    assert (int(found.looked.sum()), int(found.known.sum()), int(found.waiting.sum())) == (drawn, drawn, 0)
    assert {found.labels[n] for n in found.truth[found.known]} == {"deny"}
    assert set(found.d[found.known]) == {1}


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.7])
def test_every_case_has_at_least_the_chance_of_its_stage(database: Database, rate: float) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": rate}))
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(9)}, amount=50.0)
    stood = database.write(challenges.begin, held, database.read(registry.model, held.id, version).id, share=0.1)
    found = gathered(database, held, version, Says(10))
    assert (found.p >= found.least).all()
    assert (found.p >= found.least_apart).all()
    database.write(_beside, stood.id, 0.1)
    found = gathered(database, held, version, Says(10))
    assert (found.p >= found.least).all()
    assert ((found.p >= found.least_apart) == (np.arange(9) > 5)).all()


def test_where_nobody_looks_a_difference_counts_against_it(database: Database) -> None:
    held = factories.setting(database)
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(40)}, amount=50.0)
    found = look(database, held, version, Says(100), Says(10))
    assert (found["unseen"], found["overall"]["difference"]) == (40, -1.0)
    assert "40 on which they differ acted alone where nobody looks" in found["missing"][0]


def test_the_shadow_adds_to_the_chance_of_a_look(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(10)}, amount=50.0)
    wanted, old = database.read(registry.model, held.id, version), database.read(registry.champion, held.id)
    assert old is not None
    pair = {"project_id": held.id, "model_id": wanted.id, "against_id": old.id, "begun_at": clock.now()}

    def stand(session: Any) -> None:
        stood = Challenge(**pair, kind="challenger", share=0.4)
        session.add(stood)
        session.flush()
        for item_id in session.scalars(select(PredictionRow.item_id)).all():
            session.add(Shadow(challenge_id=stood.id, item_id=item_id, n=1, agrees=False, p=0.4, scored_at=clock.now()))

    database.write(stand)
    found = gathered(database, held, version, Says(10))
    assert np.allclose(found.p, 1 - 0.75 * 0.6)
    assert np.allclose(found.least_apart, 1 - 0.75 * 0.6)
    assert set(found.least) == {0.25}


def test_late_looks_count_against_it_and_open_ones_end_the_ledger(
    database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(40)}, amount=50.0)
    drawn = len(factories.tasks(database, kind="audit"))
    found = gathered(database, held, version, Says(10))
    assert int(found.waiting.sum()) == drawn > 0
    assert found.before(found.waiting & found.differ).sum() == int(np.argmax(found.waiting))
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + timedelta(days=8))
    database.write(outcomes.resolve_overdue)
    late = gathered(database, held, version, Says(10))
    assert (int(late.late.sum()), int(late.known.sum()), int(late.waiting.sum())) == (drawn, 0, 0)


def test_an_answer_that_somebody_asked_for_makes_nothing_known(database: Database) -> None:
    held = factories.setting(database)
    version = challenger(database, held)
    arrive(database, held, {"a": factories.says("deny", 0.97)}, amount=50.0)
    database.write(requests.request, held, "a", "odd", by=factories.person(database, "lea", "lead"))
    answered(database, held, "pay")
    assert not gathered(database, held, version, Says(10)).known.any()


def test_what_the_producer_took_back_before_an_answer_is_left_out(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(3)}, amount=50.0)
    database.write(withdrawal.cancel, held, "r-1", by=factories.person(database, "lea", "lead"))
    assert len(gathered(database, held, version, Says(10)).p) == 2


def test_only_what_came_after_both_had_learned_counts_and_nothing_that_came_with_its_label(
    database: Database, held: Setting
) -> None:
    arrive(database, held, {f"old-{n}": factories.says("deny", 0.6) for n in range(20)}, amount=50.0)
    version = challenger(database, held)
    arrive(database, held, {f"new-{n}": factories.says("deny", 0.6) for n in range(5)}, amount=50.0)
    rows = [{"external_id": "new-3", "input": factories.raw("x")["input"], "label": "deny", "split": "train"}]
    database.write(datasets.add_base, held, rows, by=None)
    assert len(gathered(database, held, version, Says(10)).p) == 4


def test_what_became_a_known_answer_after_it_was_learned_from_judges_nothing(
    database: Database, held: Setting, olga: Actor
) -> None:
    names = [f"old-{n}" for n in range(20)]
    arrive(database, held, {name: factories.says("deny", 0.6) for name in names}, amount=50.0)
    version = challenger(database, held)
    database.write(lambda s: s.execute(update(Model).values(datasets=["1"])))
    before = len(gathered(database, held, version, Says(10)).p)
    assert 0 < before < 20
    for name in names:
        database.write(gold.add, held, name, "pay", by=olga)
    assert len(gathered(database, held, version, Says(10)).p) == before


def test_a_model_of_which_nobody_knows_what_it_learned_from_is_judged_by_nothing_that_came_before_it(
    database: Database, held: Setting
) -> None:
    arrive(database, held, {f"old-{n}": factories.says("deny", 0.6) for n in range(3)}, amount=50.0)
    version = challenger(database, held)
    arrive(database, held, {f"new-{n}": factories.says("deny", 0.6) for n in range(5)}, amount=50.0)
    database.write(lambda s: s.execute(update(Model).where(Model.version == version).values(learned_through=None)))
    assert len(gathered(database, held, version, Says(10)).p) == 5


def test_what_acted_alone_and_was_taken_back_stays_whether_or_not_a_draw_hit_it(database: Database, held: Setting) -> None:
    version, lea = challenger(database, held), factories.person(database, "lea", "lead")
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(20)}, amount=50.0)
    for n in range(20):
        database.write(withdrawal.cancel, held, f"a-{n}", by=lea)
    answered(database, held, "pay")
    found = gathered(database, held, version, Says(10))
    assert (len(found.p), int(found.known.sum()) > 0, bool(found.waiting.any())) == (20, True, False)


def test_stakes_are_the_same_where_a_challenger_fails_agrees_or_differs(database: Database) -> None:
    """Nobody looks more often at what it gives no answer to, which counts against it: so it cannot pass by failing."""
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.02}))
    version = challenger(database, held)
    arrive(database, held, {f"a-{n}": factories.says("deny", 0.97) for n in range(9)}, amount=50.0)
    stood = database.write(challenges.begin, held, database.read(registry.model, held.id, version).id, share=0.4)
    database.write(_beside, stood.id)
    found = gathered(database, held, version, Says(10))
    kind = np.arange(9) // 3
    found = replace(found, new=np.where(kind == 0, ledger.SILENT, np.where(kind == 1, found.old, found.new)))
    cells = gate._Counts(found).cells(np.ones(9, dtype=np.bool_))
    assert [cell.p_min for cell in cells] == pytest.approx([1 - 0.98 * 0.6] * len(cells))
    assert [(cell.d, cell.n, cell.p) for cell in cells if cell.assumed] == [(1, 3, 1.0)]


def _beside(session: Session, challenge_id: int, share: float = 0.4) -> None:
    """The first three fail, the next agree, the last differ, so that people may look at them."""
    for n, item_id in enumerate(session.scalars(select(PredictionRow.item_id).distinct().order_by(PredictionRow.item_id))):
        said = {"n": 1, "agrees": n // 3 == 1, "p": share if n > 5 else 0.0, "scored_at": clock.now()}
        session.add(Shadow(challenge_id=challenge_id, item_id=item_id, **said))


def test_the_challenger_is_asked_once_and_what_it_said_is_kept(database: Database, held: Setting) -> None:
    version, new = challenger(database, held), Says(10)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(12)}, amount=50.0)
    gathered(database, held, version, new)
    gathered(database, held, version, new)
    assert new.asked == 12
    model_id = database.read(registry.model, held.id, version).id
    kept = database.read(lambda s: s.scalars(select(PredictionRow).where(PredictionRow.model_id == model_id)).all())
    assert {(row.label, row.confidence) for row in kept} == {("pay", 0.8)}


def test_a_model_without_an_answer_is_wrong_where_any_label_is_right(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(4)}, amount=50.0)
    answered(database, held, "deny")
    found = gathered(database, held, version, Says(10, silent=True))
    assert (set(found.new), set(found.d)) == ({ledger.SILENT}, {1})


def test_without_a_case_there_is_nothing_to_show(database: Database, held: Setting) -> None:
    found = look(database, held, challenger(database, held), Says(100), Says(10))
    assert found["missing"] == ["no case has arrived that neither of the two learned from"]
    assert found["speed"] is None


def test_where_two_never_differ_it_takes_so_many_more_cases(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, evidence={"max_error": 0.4}))
    version = challenger(database, held)
    arrive(database, held, {f"r-{n}": factories.says("deny", 0.6) for n in range(20)}, amount=50.0)
    found = look(database, held, version, Says(100), Says(100))
    needed = found["overall"]["more"]
    assert needed < 100
    assert found["missing"][0].startswith(f"overall about {needed} more cases are needed (they differ on 0 of 20")
    arrive(database, held, {f"s-{n}": factories.says("deny", 0.6) for n in range(needed)}, amount=50.0)
    again = look(database, held, version, Says(100), Says(100))
    assert (again["passed"], again["overall"]["n"], again["overall"]["differ"]) == (True, 20 + needed, 0)


def test_what_cannot_be_looked_at_is_refused(database: Database, held: Setting) -> None:
    standing = database.read(registry.champion, held.id)
    assert standing is not None
    with pytest.raises(Refused, match="is the champion"):
        gate.run(database, held.name, standing.version)
    with pytest.raises(NotFound):
        gate.run(database, held.name, 999_999)
    elsewhere = database.write(registry.register_external, held.id, "theirs-1", list(LABELS), None)
    with pytest.raises(Refused, match="answers elsewhere"):
        gate.run(database, held.name, elsewhere.version)


def test_where_another_took_over_meanwhile_nothing_is_kept(database: Database, held: Setting) -> None:
    version = challenger(database, held)
    arrive(database, held, {"r": factories.says("deny", 0.6)}, amount=50.0)
    key = factories.keys(database).draw_key_id

    class Slow(Says):
        def predict(self, rows: Sequence[Row]) -> list[Scored]:
            database.write(factories.champion, held, key)
            return super().predict(rows)

    with pytest.raises(Refused, match="acts by now"):
        look(database, held, version, Says(100), Slow(10))
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Gate))) == 0


@pytest.mark.parametrize(("kind", "looks"), [("shuffled", (1000,)), ("better", (2000,))])
def test_the_gate_tells_worse_from_better_on_real_data(shared_data: Any, kind: str, looks: tuple[int, ...]) -> None:
    found = tries.play(kind, 5, 0.05, looks, fits=1)
    assert found["passed"][looks[-1]] == (0 if kind == "shuffled" else 5)

"""The verbs of the queue driven at random beside a plain model of them: after each step both must say the same."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import event, select

from contract.records import Unscored
from db.engine import Database
from db.tables import Claim, Draw, ItemKey, Outcome, Person, Task
from review_queue import (
    batches,
    checks,
    claims,
    clock,
    decisions,
    errors,
    events,
    intake,
    outcomes,
    parking,
    requests,
    rules,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.decisions import Said
from tests import factories
from tests.review_queue import model

NAMES = ("ann", "bob", "lea")
LABELS = ("pay", "deny", None)
VERDICTS = ("accept", "correct", "correct", "reject", "skip", "escalate")
MOVES = (1, 20, 300, 700, 8 * 86_400)
_projects = itertools.count(1)
people, picks = st.sampled_from(NAMES), st.integers(0, 50)


class Machine(RuleBasedStateMachine):
    """One project an example. Rules choose by number among what there is, so that no choice depends on the database."""

    def __init__(self, database: Database, actors: dict[str, Actor], time: list[datetime]) -> None:
        super().__init__()
        self.database, self.actors, self.time = database, actors, time
        self.keys = itertools.count(1)
        self.stored: dict[str, tuple[Callable[[], decisions.Stored], decisions.Stored]] = {}

    @property
    def now(self) -> datetime:
        return self.time[0]

    @initialize(reviewers=st.integers(1, 2), audited=st.booleans(), seconded=st.booleans())
    def begin(self, reviewers: int, audited: bool, seconded: bool) -> None:
        self.name = f"p{next(_projects)}"
        review = {"order": "fifo", "reviewers": reviewers, "second_opinion": float(seconded), "max_skips": model.MAX_SKIPS}
        wished = factories.policy(audit={"rate": float(audited)}, review=review)
        self.held = factories.setting(self.database, factories.project(project=self.name), wished)
        rule_in_force = self.database.read(rules.in_force, self.held.id, self.held.policy)
        assert rule_in_force is not None
        self.rule, self.secret, self.names = rule_in_force, factories.keys(self.database), list[str]()
        self.contents = dict[str, float]()
        self.model = model.Model({"lea"}, reviewers, audited=audited, seconded=seconded)
        for label, sure in (("pay", 0.55), ("deny", 0.95), (None, 0.0)):
            self.arrive(label, sure)

    # What arrives

    @rule(label=st.sampled_from(LABELS), sure=st.sampled_from((0.55, 0.95)))
    def more_arrives(self, label: str | None, sure: float) -> None:
        self.arrive(label, sure)

    def arrive(self, label: str | None, sure: float) -> None:
        name = f"i{len(self.names)}"
        self.names.append(name)
        factories.submit(self.database, self.held, [factories.raw(name)])
        self.score(name, label, sure)

    def score(self, name: str, label: str | None, sure: float) -> None:
        """A worker routes what was just sent."""
        said = Unscored("no answer") if label is None else factories.says(label, sure)
        worker, model_id = self.key(), self.rule.model_id
        leased = self.database.write(batches.lease, self.held.id, "score", worker, limit=1, seconds=60)
        scored = [(each, said) for each in leased]
        self.database.write(batches.write, self.held.id, worker, scored, model_id=model_id, keys=self.secret)
        self.model.route(name, label, sure if label else 0.0, self.now)
        self.learn()

    # Holding

    @rule(person=people, count=st.integers(1, 3))
    def claim(self, person: str, count: int) -> None:
        got = self.database.write(claims.claim, self.held.id, self.actors[person], self.name, count, model.LEASE)
        expected = self.model.claim(person, count, self.now)
        self.learn()
        assert [each.task_id for each in got] == [each.task.id for each in expected]
        for real, claim in zip(got, expected, strict=True):
            assert claim.token in ("", real.token)
            claim.token = real.token

    @rule(pick=picks, act=st.sampled_from(("heartbeat", "release", "take_away")), old=st.booleans())
    def let_go_or_keep(self, pick: int, act: str, old: bool) -> None:
        if claim := self.any_claim(pick) if old else self.any_held(pick):
            getattr(self, act)(claim)

    def heartbeat(self, claim: model.Claim) -> None:
        lost = self.database.write(claims.heartbeat, self.actors[claim.person], [claim.token], model.LEASE)
        assert (lost == []) == self.model.heartbeat(claim, self.now)

    def release(self, claim: model.Claim) -> None:
        count = self.database.write(claims.release, self.actors[claim.person], [claim.token])
        assert count == int(self.model.release(claim, self.now))

    def take_away(self, claim: model.Claim) -> None:
        if holder := claim.task.holder:
            self.database.write(claims.release_of, claim.task.id, by=self.actors["lea"])
            self.model.release(holder, self.now)
        else:
            with pytest.raises(errors.NotFound):
                self.database.write(claims.release_of, claim.task.id, by=self.actors["lea"])

    # Saying

    @rule(pick=picks, label=st.sampled_from(LABELS), old=st.booleans())
    def answer(self, pick: int, label: str | None, old: bool) -> None:
        if claim := self.any_claim(pick) if old else self.any_held(pick):
            self.say_first(claim, label)

    @rule(pick=picks, verdict=st.sampled_from(VERDICTS), old=st.booleans(), first=st.booleans())
    def decide(self, pick: int, verdict: str, old: bool, first: bool) -> None:
        claim = self.any_claim(pick) if old else self.any_held(pick)
        if claim is None:
            return
        predicted = claim.task.item.predicted
        label = None if verdict != "correct" else "deny" if predicted == "pay" else "pay"
        if first and claim.task.blind and claim.first == model.NOTHING and verdict in model.ANSWERS:
            self.say_first(claim, predicted if verdict == "accept" else label)
        key = self.key()
        said = Said(key, verdict, label, "no label fits" if verdict == "reject" else None)  # type: ignore[arg-type]
        args = (self.actors[claim.person], claim.task.id, claim.token, said)
        self.both(
            lambda: self.database.write(decisions.decide, *args),
            lambda: self.model.decide(claim, key, verdict, label, self.now),
            key,
        )

    def say_first(self, claim: model.Claim, label: str | None) -> None:
        key = self.key()
        args = (self.actors[claim.person], claim.task.id, claim.token, key, label)
        self.both(lambda: self.database.write(decisions.answer, *args), lambda: self.model.answer(claim, label, self.now), key)

    @rule(pick=picks, person=people, act=st.sampled_from(("repeat", "use_a_key_again", "use_a_strange_token", "send_again")))
    def insist(self, pick: int, person: str, act: str) -> None:
        getattr(self, act)(pick, person)

    def repeat(self, pick: int, _: str) -> None:
        if self.stored:
            act, before = list(self.stored.values())[pick % len(self.stored)]
            again = act()
            assert (again.id, again.label, again.repeated) == (before.id, before.label, True)

    def use_a_key_again(self, pick: int, person: str) -> None:
        claim = self.any_held(pick)
        if claim is not None and self.stored:
            said = Said(list(self.stored)[pick % len(self.stored)], "escalate", comment="something else")
            with pytest.raises(errors.KeyReused):
                self.database.write(decisions.decide, self.actors[person], claim.task.id, claim.token, said)

    def use_a_strange_token(self, pick: int, person: str) -> None:
        claim = self.any_held(pick)
        if claim is not None and claim.person != person:
            said = Said(self.key(), "accept")
            with pytest.raises(errors.ClaimExpired):
                self.database.write(decisions.decide, self.actors[person], claim.task.id, claim.token, said)

    def send_again(self, pick: int, _: str) -> None:
        name, other = self.names[pick % len(self.names)], pick % 2 == 1
        raw = factories.raw(name, amount=1.5 if other else self.contents.get(name, 120.5))
        receipt = self.database.write(intake.accept, self.held, [intake.check(self.held.project, raw)])[0]
        assert (receipt.state == "conflict") == other
        assert not receipt.new

    @rule(pick=picks)
    def undo(self, pick: int) -> None:
        keyed = [said for said in self.model.said if said.key]
        if keyed:
            said = keyed[pick % len(keyed)]
            self.take_back(said, self.stored[said.key][1].id)

    @rule(person=people)
    def undo_last(self, person: str) -> None:
        real, said = self.database.read(decisions.last_of, self.actors[person], self.held.id), self.model.last_of(person)
        assert (real is None) == (said is None)
        if real is not None and said is not None:
            assert (real.task_id, real.verdict, real.label) == (said.claim.task.id, said.verdict, said.label)
            self.take_back(said, real.id)

    def take_back(self, said: model.Said, decision_id: int) -> None:
        actor = self.actors[said.claim.person]
        self.both(
            lambda: self.database.write(decisions.undo, actor, decision_id, session_name=self.name),
            lambda: self.model.undo(said, self.now),
        )
        held = self.database.read(claims.held, self.held.id, actor, self.name)
        said.claim.token = next((each.token for each in held if each.task_id == said.claim.task.id), said.claim.token)

    # Putting aside, and what becomes of items

    @rule(pick=picks, old=st.booleans(), hours=st.sampled_from((None, 1)))
    def park(self, pick: int, old: bool, hours: int | None) -> None:
        if claim := self.any_claim(pick) if old else self.any_held(pick):
            args = (self.actors[claim.person], claim.task.id, claim.token)
            until = None if hours is None else self.now + timedelta(hours=hours)
            self.both(lambda: self.database.write(parking.park, *args, until), lambda: self.model.park(claim, until, self.now))

    @rule(pick=picks, person=people, again=st.booleans(), old=st.booleans())
    def bring_back(self, pick: int, person: str, again: bool, old: bool) -> None:
        tasks = [task for task in self.model.tasks if old or task.state == "parked"]
        if not tasks:
            return
        task, actor = tasks[pick % len(tasks)], self.actors[person]
        if again:
            resume = lambda: self.database.write(parking.resume, actor, task.id, session_name=self.name)  # noqa: E731
            self.both(resume, lambda: self.model.resume(task, person, self.now))
        else:
            unpark = lambda: self.database.write(parking.unpark, task.id, by=actor)  # noqa: E731
            self.both(unpark, lambda: self.model.unpark(task, person, self.now))

    @rule(pick=picks, label=st.sampled_from(LABELS), sure=st.sampled_from((0.55, 0.95)))
    def replace(self, pick: int, label: str | None, sure: float) -> None:
        name = self.names[pick % len(self.names)]
        self.contents[name] = 200.0 + next(self.keys)
        submission = intake.check(self.held.project, factories.raw(name, amount=self.contents[name]))
        self.database.write(withdrawal.replace, self.held, submission, by=self.actors["lea"])
        self.model.close(self.model.standing(name), self.now)
        self.score(name, label, sure)

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        name = self.names[pick % len(self.names)]
        self.database.write(withdrawal.cancel, self.held, name, by=self.actors["lea"])
        if not self.model.standing(name).closed:
            self.model.close(self.model.standing(name), self.now)

    @rule(pick=picks)
    def ask(self, pick: int) -> None:
        name = self.names[pick % len(self.names)]
        request = lambda: self.database.write(requests.request, self.held, name, "why?", by=self.actors["bob"])  # noqa: E731
        self.both(request, lambda: self.model.ask("bob", self.model.standing(name), self.now))

    @rule(pick=picks, label=st.sampled_from(LABELS))
    def revise(self, pick: int, label: str | None) -> None:
        name, key, lea = self.names[pick % len(self.names)], self.key(), self.actors["lea"]
        said = Said(key, "correct", label, "no label fits" if label is None else None)
        self.both(
            lambda: self.database.write(decisions.revise, self.held, lea, name, said),
            lambda: self.model.revise("lea", self.model.standing(name), key, label, self.now),
            key,
        )

    # What time does

    @rule(seconds=st.sampled_from(MOVES), keep=st.sampled_from(("expire", "sequence", "resolve_overdue", "wake", None)))
    def pass_by(self, seconds: int, keep: str | None) -> None:
        """Time goes on, and the house is kept or not."""
        self.time[0] += timedelta(seconds=seconds)
        if keep is None:
            return
        verbs = {"expire": claims.expire, "sequence": events.sequence, "wake": parking.wake}
        while self.database.write(verbs.get(keep, outcomes.resolve_overdue)):
            pass
        getattr(self.model, keep)(self.now)

    # What must be

    @invariant()
    def same(self) -> None:
        if hasattr(self, "model"):
            self.learn()
            assert self.database.read(self.seen) == self.expected()

    def teardown(self) -> None:
        assert self.database.read(checks.problems) == []

    def seen(self, session: Any) -> dict[str, Any]:
        ours, item = ItemKey.project_id == self.held.id, (ItemKey.name, ItemKey.revision)
        tasks = select(Task.id, Task.state, Task.audience, Task.skips, Person.name).outerjoin(
            Person, Person.id == Task.assignee_id
        )
        held = select(Claim.task_id, Claim.token).join(ItemKey, ItemKey.item_id == Claim.item_id).where(Claim.state == "held")
        stands = select(*item, Outcome.label).join(Outcome, Outcome.item_id == ItemKey.item_id)
        draws = select(*item, Draw.resolved_as).join(Draw, Draw.item_id == ItemKey.item_id).where(Draw.purpose == "evidence")
        return {
            "tasks": sorted(map(tuple, session.execute(tasks.where(Task.project_id == self.held.id))), key=str),
            "held": sorted(map(tuple, session.execute(held.where(ours)))),
            "stands": list(map(tuple, session.execute(stands.where(ours).order_by(ItemKey.item_id, Outcome.revision)))),
            "draws": list(map(tuple, session.execute(draws.where(ours).order_by(ItemKey.item_id)))),
        }

    def expected(self) -> dict[str, Any]:
        items = self.model.items
        return {
            "tasks": sorted(((t.id, t.state, t.audience, t.skips, t.assignee) for t in self.model.tasks), key=str),
            "held": sorted((t.id, t.holder.token) for t in self.model.tasks if t.holder),
            "stands": [(item.name, item.revision, label) for item in items for label, _ in item.outcomes],
            "draws": [(item.name, item.revision, item.draw) for item in items if item.drawn],
        }

    # Beside

    def learn(self) -> None:
        """The numbers of new tasks: the model knows which there are, the database how they are called."""
        new = {(t.item.name, t.item.revision, t.kind, t.seat): t for t in self.model.tasks if t.id >= model.UNKNOWN}
        item = (ItemKey.name, ItemKey.revision)
        query = select(*item, Task.kind, Task.seat, Task.id).join(Task, Task.item_id == ItemKey.item_id)
        found = self.database.read(lambda s: s.execute(query.where(Task.project_id == self.held.id)).all()) if new else []
        for *place, number in found:
            if task := new.get(tuple(place)):
                task.id = number

    def both(self, real: Callable[[], Any], modelled: Callable[[], None], key: str = "") -> None:
        """Both do it, or both refuse with the same code."""
        refusal = refused(model.Refused, modelled)
        if refusal is not None:
            found = refused(errors.Refused, real)
            assert isinstance(found, errors.Refused)
            assert found.code == str(refusal)
            return
        done = real()
        if key:
            self.stored[key] = (real, done)

    def key(self) -> str:
        return f"{self.name}-{next(self.keys)}"

    def any_claim(self, pick: int) -> model.Claim | None:
        known = [claim for claim in self.model.claims if claim.token]
        return known[pick % len(known)] if known else None

    def any_held(self, pick: int) -> model.Claim | None:
        held = [claim for claim in self.model.claims if claim.state == "held"]
        return held[pick % len(held)] if held else None


def refused(kind: type[Exception], act: Callable[[], Any]) -> Exception | None:
    try:
        act()
    except kind as error:
        return error
    return None


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """A clock that stands until it is moved."""
    held = [datetime(2026, 11, 24, 9, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: held[0])
    return held


def drive(database: Database, time: list[datetime], examples: int, steps: int) -> None:
    loosen(database)
    actors = {name: factories.person(database, name, "lead" if name == "lea" else "reviewer") for name in NAMES}
    wanted = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],  # shrinking takes many times as long, and often ends with as much
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Machine(database, actors, time), settings=wanted)


def loosen(database: Database) -> None:
    """Nothing here is about power cuts: commits need not wait for the disk."""
    faster = "synchronous_commit TO off" if database.engine.dialect.name == "postgresql" else None

    def prepare(connection: Any, _: Any) -> None:
        connection.execute(f"SET {faster}" if faster else "PRAGMA synchronous = OFF")
        if faster:
            connection.commit()

    event.listen(database.engine, "connect", prepare)


def test_the_verbs_do_what_the_model_does(database: Database, time: list[datetime]) -> None:
    drive(database, time, 15, 25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_verbs_do_what_the_model_does_for_long(database: Database, time: list[datetime]) -> None:
    drive(database, time, 150, 50)

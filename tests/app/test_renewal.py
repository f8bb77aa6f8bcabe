"""The next model from its trigger to the gate, by a real worker: never into production, taken up again where it was cut off."""

import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from app.settings import Settings
from app.worker import loop
from app.worker.house import House
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.work import Jobs
from app.workspace import Workspace
from db.engine import Database
from db.tables import Job, Model, Outbox
from retrain import datasets, gate, registry, training, verdicts
from review_queue import acting, challenges, events, jobs
from review_queue.projects import Setting
from tests import elsewhere, factories, real_models


@pytest.fixture
def workspace(database: Database, tmp_path: Any) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


@pytest.fixture
def held(database: Database) -> Setting:
    wished = factories.policy(automate={"at_least": 0.95}, audit={"rate": 0.2}, retrain={"every": "1d", "rest": "0s"})
    return real_models.setting(database, wished)


def runner(workspace: Workspace, stop: threading.Event | None = None) -> Jobs:
    return Jobs(workspace, "cpu", stop or threading.Event())


def ask(database: Database, held: Setting, kind: str = "retrain", **args: Any) -> int:
    return database.write(jobs.ask, held.id, kind, args, by=real_models.owner(database)).id


def count(database: Database, table: Any) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table))) or 0


def test_a_job_trains_puts_into_shadow_and_ends_at_the_gate(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    job = ask(database, held, trainer="sklearn-linear")
    assert runner(workspace).turn()
    done = database.read(jobs.get, job)
    assert (done.state, done.error) == ("done", None)
    found = done.result or {}
    assert (found["ended"], found["model"], found["champion"], found["cause"]) == ("not yet", 2, 1, "asked")
    assert found["missing"]
    assert found["proposal"] is None
    stood = database.read(challenges.standing_as, held.id, "challenger")
    assert stood is not None
    assert (stood.version, stood.against) == (2, 1)
    assert database.read(verdicts.latest, stood.model_id) is not None
    champion = database.read(registry.champion, held.id)
    assert champion is not None
    assert champion.version == 1
    assert database.read(registry.proposals, held.id)[0].version == 1


def test_what_passes_is_offered_and_acts_no_sooner(workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the gate says, no way leads from a job to the champion."""
    database, real = workspace.database, gate.judge
    monkeypatch.setattr(gate, "judge", lambda *given: {**real(*given), "passed": True, "missing": []})
    ask(database, held, trainer="sklearn-linear")
    assert runner(workspace).turn()
    found = database.read(jobs.recent, held.id)[0].result or {}
    assert found["ended"] == "offered"
    proposal = database.read(registry.proposal, int(found["proposal"]))
    assert (proposal.state, proposal.version, proposal.signed_by) == ("open", 2, ())
    assert database.read(acting.model_id, held.id) == database.read(registry.model, held.id, 1).id
    told = [row.body for row in database.read(lambda s: list(s.scalars(select(Outbox).where(Outbox.kind == "model.offered"))))]
    assert [(body["version"], body["against"]) for body in told] == [(2, 1)]
    ask(database, held, "gate", challenger=2)
    assert runner(workspace).turn()
    again = database.read(jobs.recent, held.id)[0].result or {}
    assert (again["ended"], again["proposal"]) == ("offered", found["proposal"])


def test_a_job_that_lost_its_worker_after_training_does_not_train_again(
    workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, real, stop = workspace.database, gate.run, threading.Event()

    def cut_off(*args: Any, **named: Any) -> Any:
        stop.set()
        return real(*args, **named)

    monkeypatch.setattr(gate, "run", cut_off)
    job = ask(database, held, trainer="sklearn-linear")
    assert runner(workspace, stop).turn()
    left = database.read(jobs.get, job)
    assert (left.state, left.result) == ("waiting", {"model": 2})
    monkeypatch.setattr(gate, "run", real)
    monkeypatch.setattr(training, "train", lambda *args, **named: pytest.fail("trained twice"))
    assert runner(workspace).turn()
    ended = database.read(jobs.get, job)
    assert (ended.state, (ended.result or {})["model"]) == ("done", 2)
    assert count(database, Model) == 2


@pytest.mark.parametrize("step", [0, 4])
def test_cancelling_ends_it_at_its_next_step(
    workspace: Workspace, held: Setting, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, by, seen = workspace.database, real_models.owner(workspace.database), [0]
    job = ask(database, held, trainer="sklearn-linear")
    monkeypatch.setattr("app.worker.work.REPORT_SECONDS", 0.0)

    def tell(share: float, said: str) -> None:
        if seen[0] == step:
            database.write(jobs.cancel, job, by=by)
        seen[0] += 1

    Jobs(workspace, "cpu", threading.Event(), tell=tell).turn()
    assert seen[0] == step + 1
    assert database.read(jobs.get, job).state == "cancelled"
    assert database.read(registry.proposals, held.id)[0].version == 1
    assert not runner(workspace).turn()


def test_the_first_model_has_nothing_to_prove(workspace: Workspace) -> None:
    from review_queue import projects

    database = workspace.database
    held = database.write(
        projects.apply, real_models.diagnosis(), factories.policy(), "", workspace.keys.draw_key_id, by=None
    ).setting  # fmt: skip
    rows = [{"external_id": i, "input": row, "label": label, "split": "train"} for i, row, label in real_models.items()[:60]]
    database.write(datasets.add_base, held, rows, by=None)
    ask(database, held, trainer="sklearn-linear")
    assert runner(workspace).turn()
    found = database.read(jobs.recent, held.id)[0].result or {}
    assert (found["ended"], found["model"]) == ("trained", 1)
    assert "signoff model promote 1" in found["said"]
    assert database.read(registry.champion, held.id) is None


def test_where_predictions_come_along_the_sentence_says_so(workspace: Workspace) -> None:
    held = elsewhere.setting(workspace.database)
    ask(workspace.database, held)
    assert runner(workspace).turn()
    assert "trained where they come from" in (workspace.database.read(jobs.recent, held.id)[0].error or "")


def test_the_house_asks_and_the_worker_does(workspace: Workspace, held: Setting) -> None:
    House(workspace, threading.Event()).keep()
    assert count(workspace.database, Job) == 0  # it rests after the last model
    from review_queue import clock

    wish = held.policy.retrain
    assert wish != "off"
    assert wish.every != "off"
    with clock.at(clock.now() + 2 * wish.every):
        House(workspace, threading.Event()).keep()
        House(workspace, threading.Event()).keep()
        assert count(workspace.database, Job) == 1
        assert runner(workspace).turn()
    found = workspace.database.read(jobs.recent, held.id)[0]
    assert (found.kind, found.asked_by, (found.result or {}).get("cause")) == ("retrain", None, "every"), found.error


# What had come in is scored


def completed(database: Database, held: Setting) -> list[dict[str, Any]]:
    while database.write(events.sequence):
        pass
    told = database.read(events.after, held.id, 0)
    places = {each.kind: each.seq for each in told}
    assert places.get("batch.completed", 10**9) > places.get("outcome", 0)
    return [each.body for each in told if each.kind == "batch.completed"]


def test_one_event_says_that_what_had_come_in_is_scored(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    scoring = Scoring(workspace, Models(database, workspace.settings, "cpu"), threading.Event())
    assert scoring.turn() == 0
    assert completed(database, held) == []
    real_models.arrive(database, held, 150)
    scoring.turn()
    scoring.turn()
    (body,) = completed(database, held)
    assert (body["scored"], body["model"], body["failed"]) == (150, 1, 0)
    assert body["auto"] + body["review"] == 150
    assert body["auto"] > 0


def test_a_worker_that_drains_tells_each_project_once(workspace: Workspace, held: Setting) -> None:
    other = elsewhere.setting(workspace.database)
    factories.submit(workspace.database, other, [elsewhere.sent(str(n), 0.6) for n in range(3)])
    real_models.arrive(workspace.database, held, 20)
    loop.run(workspace, drain=True, device="cpu")
    assert [body["scored"] for body in completed(workspace.database, held)] == [20]
    assert completed(workspace.database, other) == [{"scored": 3, "auto": 0, "review": 3, "failed": 0, "model": 1}]

"""The worker: everything that waits is scored, routed and explained, whatever single items and models do."""

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.settings import Settings
from app.worker import loop
from app.worker import scoring as scoring_module
from app.worker.explaining import Explaining
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.work import Jobs
from app.workspace import Workspace
from contract.records import Prediction
from db.engine import Database
from db.tables import Blob, Draw, Event, Explanation, Item, Outcome, Routing, RoutingRule, Task, Work
from inference.predictors import TablePredictor
from retrain import registry
from review_queue import events, jobs, projects
from review_queue.projects import Setting
from tests import factories, real_models


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


@pytest.fixture
def held(database: Database) -> Setting:
    return real_models.setting(database)


def scoring(workspace: Workspace) -> Scoring:
    return Scoring(workspace, Models(workspace.database, workspace.settings, "cpu"), threading.Event())


def count(database: Database, table: Any, *where: Any) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0


def test_every_item_is_routed_once_and_the_numbers_agree(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    real_models.arrive(database, held, 200)
    assert scoring(workspace).turn() == 200
    auto = count(database, Routing, Routing.route == "auto")
    review = count(database, Routing, Routing.route == "review")
    assert auto + review == 200
    assert auto > 20
    assert review > 10
    assert count(database, Work) == 0
    assert count(database, Outcome) == auto
    assert count(database, Task, Task.kind == "review") == review
    drawn_alone = database.read(
        lambda s: s.scalar(
            select(func.count()).select_from(Draw).join(Routing, Routing.item_id == Draw.item_id).where(Routing.route == "auto")
        )
    )
    assert count(database, Task, Task.kind == "audit") == drawn_alone > 0
    database.write(events.sequence)
    happened = database.read(events.after, held.id, 0)
    assert [e.seq for e in happened] == list(range(1, len(happened) + 1))
    assert sum(e.kind == "outcome" for e in happened) == auto


def test_a_bad_row_takes_no_other_down(workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TablePredictor.predict

    def predict(self: TablePredictor, rows: Any) -> Any:
        if any(row[real_models.names()[0]] == 13.0 for row in rows):
            raise RuntimeError("cannot digest 13")
        return real(self, rows)

    monkeypatch.setattr(TablePredictor, "predict", predict)
    real_models.arrive(workspace.database, held, 40)
    given = {name: 13.0 for name in real_models.names()}
    factories.submit(workspace.database, held, [{"external_id": "odd", "input": given}])
    assert scoring(workspace).turn() == 41
    odd = workspace.database.read(lambda s: s.scalars(select(Routing).where(Routing.label.is_(None))).one())
    assert odd.route == "review"
    assert "cannot digest 13" in odd.reason


def test_an_item_whose_workers_die_is_tried_alone_and_then_failed(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    real_models.arrive(database, held, 10)
    killer = database.read(lambda s: s.scalars(select(Item.id).order_by(Item.id)).first())
    seen: list[int] = []

    class Dying(Scoring):
        def _score(self, batch: Any) -> Any:
            seen.append(len(batch.items))
            if any(item.item_id == killer for item in batch.items) and batch.items[0].attempts <= 3:
                raise SystemExit("killed")
            return super()._score(batch)

    for _ in range(4):
        models = Models(database, workspace.settings, "cpu")
        try:
            Dying(workspace, models, threading.Event()).turn()
        except SystemExit:
            release_leases(database)
    failed = database.read(lambda s: s.scalars(select(Routing).where(Routing.route == "failed")).all())
    assert [row.item_id for row in failed] == [killer]
    assert "died" in failed[0].reason
    assert 1 in seen
    assert count(database, Routing) == 10
    database.write(events.sequence)
    assert count(database, Event, Event.kind == "failed") == 1


def release_leases(database: Database) -> None:
    """What time does: leases of dead workers run out."""
    from review_queue import clock

    database.write(lambda s: [setattr(row, "ready_at", clock.now()) for row in s.scalars(select(Work))])


def test_a_row_that_breaks_the_measuring_of_batches_takes_no_other_down(
    workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TablePredictor.predict

    def predict(self: TablePredictor, rows: Any) -> Any:
        if any(row[real_models.names()[0]] == 13.0 for row in rows) or len(rows) > 64:
            raise RuntimeError("out of memory")
        return real(self, rows)

    monkeypatch.setattr(TablePredictor, "predict", predict)
    measuring = replace(workspace, settings=workspace.settings.model_copy(update={"batch_size": None}))
    given = {name: 13.0 for name in real_models.names()}
    factories.submit(workspace.database, held, [{"external_id": "odd", "input": given}])
    real_models.arrive(workspace.database, held, 40)
    assert scoring(measuring).turn() == 41
    odd = workspace.database.read(lambda s: s.scalars(select(Routing).where(Routing.label.is_(None))).one())
    assert "out of memory" in odd.reason


def test_a_freeze_and_a_policy_hold_from_the_next_batch(workspace: Workspace, held: Setting) -> None:
    database, worker = workspace.database, scoring(workspace)
    real_models.arrive(database, held, 40)
    worker.turn()
    alone = count(database, Routing, Routing.route == "auto")
    assert alone > 0
    key = workspace.keys.draw_key_id
    database.write(projects.freeze, "diagnosis", key, by=real_models.owner(database))
    real_models.arrive(database, held, 40, begin=140)
    worker.turn()
    assert count(database, Routing, Routing.route == "auto") == alone
    database.write(projects.freeze, "diagnosis", key, by=real_models.owner(database), frozen=False)
    off = factories.policy(automate={"at_least": "off"})
    database.write(projects.apply, held.project, off, "", key, by=None)
    real_models.arrive(database, held, 40, begin=180)
    worker.turn()
    assert count(database, Routing, Routing.route == "auto") == alone
    assert count(database, RoutingRule) == 4


def test_a_freeze_binds_the_batch_in_hand(workspace: Workspace, held: Setting) -> None:
    database = workspace.database

    class Frozen(Scoring):
        def _score(self, batch: Any) -> Any:
            scored = super()._score(batch)
            database.write(projects.freeze, "diagnosis", workspace.keys.draw_key_id, by=real_models.owner(database))
            return scored

    real_models.arrive(database, held, 20)
    Frozen(workspace, Models(database, workspace.settings, "cpu"), threading.Event()).turn()
    assert count(database, Routing, Routing.route == "review") == 20


def test_a_new_champion_scores_the_batch_in_hand_again(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    archive, fit = real_models.trained()
    second = database.write(
        registry.register, held.id, archive, trainer="torch-mlp", labels=fit.predictor.labels,
        schema_hash="", figures=fit.figures, datasets=[], by=None,
    )  # fmt: skip
    promoted: list[int] = []

    class Promoting(Scoring):
        def _score(self, batch: Any) -> Any:
            scored = super()._score(batch)
            if not promoted:
                by, key = real_models.owner(database), workspace.keys.draw_key_id
                promoted.append(
                    database.write(registry.propose, held.id, second.version, by=by, draw_key_id=key, force=True, why="a test").id
                )
            return scored

    real_models.arrive(database, held, 20)
    worker = Promoting(workspace, Models(database, workspace.settings, "cpu"), threading.Event())
    worker.turn()
    worker.turn()
    models = database.read(lambda s: set(s.scalars(select(Routing.model_id))))
    assert models == {second.id}
    assert count(database, Routing) == 20


def test_told_to_stop_it_finishes_the_batch_and_gives_the_next_back(workspace: Workspace, held: Setting) -> None:
    stop = threading.Event()

    class Stopping(Scoring):
        def _score(self, batch: Any) -> Any:
            scored = super()._score(batch)
            stop.set()
            return scored

    real_models.arrive(workspace.database, held, 100)
    Stopping(workspace, Models(workspace.database, workspace.settings, "cpu"), stop).turn()
    assert count(workspace.database, Routing) == 32
    left = workspace.database.read(lambda s: list(s.scalars(select(Work))))
    assert len(left) == 68
    assert all(row.worker is None and row.attempts == 0 for row in left)


def test_the_house_is_kept_while_much_is_scored(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    real_models.arrive(database, held, 200)
    left: list[int] = []

    def look() -> None:
        left.append(count(database, Work, Work.kind == "score"))

    Scoring(workspace, Models(database, workspace.settings, "cpu"), threading.Event(), look).turn()
    assert len(left) > 1
    assert left[0] > 0


@pytest.mark.parametrize(("span", "sizes"), [(0.0, {32}), (60.0, {32, 100})])
def test_a_lease_is_for_a_span_of_scoring_in_batches_of_the_model(
    workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch, span: float, sizes: set[int]
) -> None:
    monkeypatch.setattr(scoring_module, "SPAN", span)
    monkeypatch.setattr(scoring_module, "AT_ONCE", 100)
    leased, asked = [], []

    class Watched(Scoring):
        def _score(self, batch: Any) -> Any:
            leased.append(len(batch.items))
            return super()._score(batch)

    predict = TablePredictor.predict
    monkeypatch.setattr(TablePredictor, "predict", lambda self, rows: asked.append(len(rows)) or predict(self, rows))
    real_models.arrive(workspace.database, held, 332)
    assert Watched(workspace, Models(workspace.database, workspace.settings, "cpu"), threading.Event()).turn() == 332
    assert set(leased[:-1]) == sizes
    assert max(asked) == 32
    assert sum(asked) == 332


def test_two_workers_share_the_work(workspace: Workspace, held: Setting) -> None:
    real_models.arrive(workspace.database, held, 300)
    workers = [scoring(workspace) for _ in range(2)]
    threads = [threading.Thread(target=worker.turn) for worker in workers]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert count(workspace.database, Routing) == 300
    assert sum(worker.scored for worker in workers) == 300


def test_reasons_are_made_for_the_next_waiting_tasks(workspace: Workspace, held: Setting) -> None:
    real_models.arrive(workspace.database, held, 60)
    loop.run(workspace, drain=True, device="cpu")
    waiting = count(workspace.database, Task)
    rows = workspace.database.read(lambda s: list(s.scalars(select(Explanation))))
    assert len(rows) == 2 * waiting
    assert Counter(row.method.partition(".")[0] for row in rows) == {"shap": waiting, "lime": waiting}
    for row in rows:
        assert row.body["problem"] is None
        assert [part["feature"] for part in row.body["contributions"]] == real_models.names()


def test_a_method_that_fails_says_so_and_blocks_nothing(
    workspace: Workspace, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explain.lime_tabular import LimeTabular

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no surrogate today")

    monkeypatch.setattr(LimeTabular, "explain_all", fail)
    real_models.arrive(workspace.database, held, 10)
    models = Models(workspace.database, workspace.settings, "cpu")
    Scoring(workspace, models, threading.Event()).turn()
    explaining = Explaining(workspace, models, threading.Event())
    while explaining.turn():
        pass
    rows = workspace.database.read(lambda s: list(s.scalars(select(Explanation).where(Explanation.method == "lime.tabular"))))
    assert rows
    assert all("no surrogate today" in row.body["problem"] for row in rows)
    assert count(workspace.database, Work) == 0


def test_a_model_that_does_not_load_leaves_its_items_waiting(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    broken = database.write(
        registry.register, held.id, b"no archive", trainer="torch-mlp", labels=["malignant", "benign"],
        schema_hash="", figures={}, datasets=[], by=None,
    )  # fmt: skip
    by, key = real_models.owner(database), workspace.keys.draw_key_id
    database.write(registry.propose, held.id, broken.version, by=by, draw_key_id=key, force=True, why="a test")
    real_models.arrive(database, held, 5)
    assert scoring(workspace).turn() == 0
    assert count(database, Work, Work.attempts == 0) == 5
    database.write(registry.rollback, held.id, by=by, draw_key_id=key)
    assert scoring(workspace).turn() == 5


def test_a_model_whose_bytes_are_gone_stops_no_worker(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    real_models.arrive(database, held, 5)
    database.write(lambda s: [setattr(row, "bytes", None) for row in s.scalars(select(Blob))])
    assert scoring(workspace).turn() == 0
    assert count(database, Work, Work.attempts == 0) == 5


def test_reasons_of_a_model_that_does_not_load_are_tried_once_a_lease(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    real_models.arrive(database, held, 60)
    scoring(workspace).turn()
    waiting = count(database, Task)
    database.write(lambda s: [setattr(row, "bytes", b"no archive") for row in s.scalars(select(Blob))])
    explaining = Explaining(workspace, Models(database, workspace.settings, "cpu"), threading.Event())
    taken = 0
    while some := explaining.turn():
        taken += some
        assert taken <= waiting
    assert taken == waiting == count(database, Work, Work.kind == "explain")


def test_jobs_report_and_failures_are_kept(workspace: Workspace, held: Setting) -> None:
    database, by = workspace.database, real_models.owner(workspace.database)
    export = database.write(jobs.ask, held.id, "export", {"format": "csv"}, by=by)
    runner = Jobs(workspace, "cpu", threading.Event())
    assert runner.turn()
    assert not runner.turn()
    ended = database.read(jobs.get, export.id)
    assert ended.state == "failed"
    assert "nothing decided" in (ended.error or "")


def test_a_cancelled_job_does_not_run(workspace: Workspace, held: Setting) -> None:
    database, by = workspace.database, real_models.owner(workspace.database)
    job = database.write(jobs.ask, held.id, "train", {}, by=by)
    database.write(jobs.cancel, job.id, by=by)
    assert not Jobs(workspace, "cpu", threading.Event()).turn()
    assert database.read(jobs.get, job.id).state == "cancelled"


def test_predictions_are_those_of_the_model_alone(workspace: Workspace, held: Setting) -> None:
    from db.tables import ItemKey
    from db.tables import Prediction as Row

    real_models.arrive(workspace.database, held, 30)
    scoring(workspace).turn()
    query = select(ItemKey.external_id, Row.probabilities).join(Row, Row.item_id == ItemKey.item_id)
    stored = dict(workspace.database.read(lambda s: s.execute(query).tuples().all()))
    given = {i: row for i, row, _ in real_models.items()}
    alone = real_models.trained()[1].predictor.predict([given[i] for i in stored])
    for kept, fresh in zip(stored.values(), alone, strict=True):
        assert isinstance(fresh, Prediction)
        assert kept == pytest.approx(fresh.probabilities, abs=1e-6)


def test_a_renamed_feature_reaches_the_old_model_and_the_old_items_the_project(workspace: Workspace, held: Setting) -> None:
    database = workspace.database
    old = real_models.names()[0]
    real_models.arrive(database, held, 5)
    body = held.project.model_dump(mode="json")
    features = {
        ("radius" if n == old else n): {**f, "was": old if n == old else None} for n, f in body["input"]["features"].items()
    }
    renamed = type(held.project).model_validate({**body, "input": {**body["input"], "features": features}})
    setting = database.write(projects.apply, renamed, held.policy, "", workspace.keys.draw_key_id, by=None).setting
    given = [
        (f"new-{i}", {("radius" if n == old else n): v for n, v in row.items()}) for i, row, _ in real_models.items()[100:105]
    ]
    factories.submit(database, setting, [{"external_id": i, "input": row} for i, row in given])
    assert scoring(workspace).turn() == 10
    rows = database.read(lambda s: list(s.scalars(select(Routing).order_by(Routing.item_id))))
    assert [row.confidence for row in rows[:5]] == [row.confidence for row in rows[5:]]
    assert None not in [row.confidence for row in rows]

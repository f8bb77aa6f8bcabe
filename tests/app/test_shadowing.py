"""Models in shadow are asked when nothing else waits, whatever single cases, models and workers do."""

import functools
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.settings import Settings
from app.worker import loop
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.shadowing import Shadowing
from app.workspace import Workspace
from db.engine import Database
from db.tables import Blob, Item, Model, Prediction, Routing, Shadow, Task, Work
from inference import store, training
from inference.predictors import TablePredictor
from retrain import registry
from review_queue import acting, challenges, checks, clock, succession
from review_queue.challenges import Challenge
from review_queue.projects import Setting
from tests import factories, real_models


@functools.cache
def turned() -> tuple[bytes, training.Trained]:
    """A model that learned the wrong label of every sample."""
    known = real_models.items()[: real_models.LEARN]
    other = {"malignant": "benign", "benign": "malignant"}
    rows, labels = [given for _, given, _ in known], [other[label] for _, _, label in known]
    fit = training.train(real_models.diagnosis(), rows, labels, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        store.save(fit, Path(folder))
        return store.pack(Path(folder)), fit


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


@pytest.fixture
def held(database: Database) -> Setting:
    return real_models.setting(database, factories.policy(automate={"at_least": 0.95}))


@pytest.fixture
def challenger(database: Database, held: Setting) -> int:
    archive, fit = turned()
    kept = {"schema_hash": "", "figures": fit.figures, "datasets": [], "by": None}
    return database.write(registry.register, held.id, archive, trainer="torch-mlp", labels=fit.predictor.labels, **kept).id


@pytest.fixture
def stood(database: Database, held: Setting, challenger: int) -> Challenge:
    return database.write(challenges.begin, held, challenger, share=1.0)


def workers(workspace: Workspace) -> tuple[Scoring, Shadowing]:
    models, stop = Models(workspace.database, workspace.settings, "cpu"), threading.Event()
    return Scoring(workspace, models, stop), Shadowing(workspace, models, stop)


def count(database: Database, table: Any, *where: Any) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0


def drained(shadowing: Shadowing) -> int:
    done = 0
    while more := shadowing.turn():
        done += more
    return done


def test_what_is_routed_is_asked_beside_and_what_differs_comes_to_people(
    workspace: Workspace, held: Setting, stood: Challenge
) -> None:
    database = workspace.database
    real_models.arrive(database, held, 60)
    scoring, shadowing = workers(workspace)
    assert shadowing.turn() == 0
    scoring.turn()
    assert drained(shadowing) == 60
    assert count(database, Work) == 0
    assert count(database, Prediction, Prediction.model_id == stood.model_id) == 60
    differ = count(database, Shadow, ~Shadow.agrees)
    assert 40 < differ <= 60
    apart = select(func.count()).select_from(Shadow).join(Routing, Routing.item_id == Shadow.item_id)
    alone = database.read(lambda s: s.scalar(apart.where(~Shadow.agrees, Routing.route == "auto")))
    assert count(database, Task, Task.kind == "audit") == alone > 0
    assert database.read(checks.problems) == []


def test_a_worker_that_drains_asks_them_too(workspace: Workspace, held: Setting, stood: Challenge) -> None:
    real_models.arrive(workspace.database, held, 20)
    loop.run(workspace, drain=True, device="cpu")
    assert count(workspace.database, Shadow, Shadow.challenge_id == stood.id) == 20


def test_a_case_over_which_workers_die_is_given_up(workspace: Workspace, held: Setting, stood: Challenge) -> None:
    database = workspace.database
    real_models.arrive(database, held, 10)
    workers(workspace)[0].turn()
    killer = database.read(lambda s: s.scalars(select(Item.id).order_by(Item.id)).first())

    class Dying(Shadowing):
        def _say(self, model_id: int, items: Any, rows: Any) -> Any:
            if any(item.item_id == killer for item in items) and items[0].attempts <= 3:
                raise SystemExit("killed")
            return super()._say(model_id, items, rows)

    for _ in range(5):
        try:
            drained(Dying(workspace, Models(database, workspace.settings, "cpu"), threading.Event()))
        except SystemExit:
            database.write(lambda s: [setattr(row, "ready_at", clock.now()) for row in s.scalars(select(Work))])
    assert count(database, Shadow) == 10
    assert count(database, Prediction, Prediction.model_id == stood.model_id) == 9
    assert count(database, Work) == 0
    assert database.read(checks.problems) == []


def test_a_bad_case_takes_no_other_down(
    workspace: Workspace, held: Setting, stood: Challenge, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = workspace.database
    real_models.arrive(database, held, 20)
    scoring, shadowing = workers(workspace)
    scoring.turn()
    real, odd = TablePredictor.predict, real_models.items()[105][1]

    def predict(self: TablePredictor, rows: Any) -> Any:
        if odd in rows:
            raise RuntimeError("cannot digest it")
        return real(self, rows)

    monkeypatch.setattr(TablePredictor, "predict", predict)
    assert drained(shadowing) == 20
    assert count(database, Prediction, Prediction.model_id == stood.model_id) == 19


def test_a_model_that_does_not_load_holds_nothing_up(workspace: Workspace, held: Setting, stood: Challenge) -> None:
    database = workspace.database

    def lose(session: Any) -> None:
        session.get(Blob, session.get(Model, stood.model_id).sha256).bytes = b"no archive"

    database.write(lose)
    real_models.arrive(database, held, 5)
    scoring, shadowing = workers(workspace)
    assert scoring.turn() == 5
    assert shadowing.turn() == 0
    assert count(database, Work, Work.kind == "shadow") == 5
    assert count(database, Work, Work.worker.is_not(None)) == 0


def test_a_challenge_that_ends_in_the_middle_of_a_turn(workspace: Workspace, held: Setting, stood: Challenge) -> None:
    database = workspace.database
    real_models.arrive(database, held, 12)
    workers(workspace)[0].turn()

    class Ending(Shadowing):
        def _say(self, model_id: int, items: Any, rows: Any) -> Any:
            database.write(challenges.end, held)
            return super()._say(model_id, items, rows)

    assert Ending(workspace, Models(database, workspace.settings, "cpu"), threading.Event()).turn() > 0
    assert (count(database, Shadow), count(database, Work), count(database, Task, Task.kind == "audit")) == (0, 0, 0)


def test_a_rollback_binds_the_batch_in_hand(workspace: Workspace, held: Setting, challenger: int) -> None:
    """What the wrong model said of cases that are not routed yet never acts."""
    database, key = workspace.database, workspace.keys.draw_key_id
    former = database.read(acting.model_id, held.id)
    database.write(succession.take_over, held.id, challenger, former, by=None, draw_key_id=key, cause="promote")
    back: list[int] = []

    class Alarmed(Scoring):
        def _score(self, batch: Any) -> Any:
            scored = super()._score(batch)
            if not back:
                stood = database.read(succession.way_back, held.id)
                assert stood is not None
                back.append(database.write(succession.step_back, stood, by=None, draw_key_id=key, why="an alarm"))
            return scored

    real_models.arrive(database, held, 20)
    worker = Alarmed(workspace, Models(database, workspace.settings, "cpu"), threading.Event())
    worker.turn()
    worker.turn()
    assert database.read(lambda s: set(s.scalars(select(Routing.model_id)))) == {former}
    assert count(database, Routing) == 20

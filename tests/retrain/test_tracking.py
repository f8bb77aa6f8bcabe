"""Trainings in a real MLflow: its SQLite store, and a server that is down."""

import json
import zipfile
from pathlib import Path

import pytest

from db.engine import Database
from db.tables import ModelAlias
from retrain import erasing, runs, tracking, training
from review_queue import clock, erasure
from tests.retrain import lessons

pytest.importorskip("mlflow", reason="MLflow is an extra: pip install -e '.[mlflow]'")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of MLflow; its tables take seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def test_a_training_is_told_whole_and_once(sqlite: Database, store: str) -> None:
    from mlflow import MlflowClient

    held = lessons.setting(sqlite, "sklearn-hgb")
    info = training.train(sqlite, "p", by=None, device="cpu", trainer="sklearn-hgb")
    assert tracking.sync(sqlite, held.id, "http://127.0.0.1:9").problem is not None
    assert tracking.sync(sqlite, held.id, store) == tracking.Synced(1, None)
    assert tracking.sync(sqlite, held.id, store) == tracking.Synced(0, None)
    kept = sqlite.read(runs.of_model, info.id)
    assert kept is not None
    name, _, version = str(kept.tracked).partition("/")
    client = MlflowClient(tracking_uri=store, registry_uri=store)
    run = client.get_run(name)
    losses = client.get_metric_history(name, "loss/sklearn-hgb/validation")
    assert [each.value for each in sorted(losses, key=lambda each: each.step)] == kept.curves["sklearn-hgb"]["validation"]
    assert run.data.metrics["held_out/accuracy"] == pytest.approx(info.figures["held_out"]["accuracy"])
    assert run.data.metrics["parts/labels/benign/n"] == info.figures["parts"]["labels"]["benign"]["n"]
    assert (run.data.params["seed"], run.data.params["trainer"], run.info.status) == ("0", "sklearn-hgb", "FINISHED")
    assert run.data.params["versions/sklearn"]
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.digest == kept.spec["datasets"][0]["hash"][:32]
    files = {each.path for each in client.list_artifacts(name, "model")}
    assert files == {"model/model.zip", "model/card.md", "model/figures.json", "model/training.json"}
    there = client.get_model_version("p", version)
    assert (there.tags["signoff.version"], there.run_id) == (str(info.version), name)


def test_the_files_of_a_model_are_told_again_without_an_erased_row(sqlite: Database, store: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    held = lessons.setting(sqlite, "sklearn-linear", project="erased", model={"uri": "registry:erased@champion"})
    info = training.train(sqlite, "erased", by=None, device="cpu", trainer="sklearn-linear")
    assert tracking.sync(sqlite, held.id, store) == tracking.Synced(1, None)
    kept = sqlite.read(runs.of_model, info.id)
    assert kept is not None
    name = str(kept.tracked).partition("/")[0]
    client = MlflowClient(tracking_uri=store, registry_uri=store)

    def told() -> tuple[list[str], int]:
        """The rows in the packed model, and how often its accuracy was told."""
        path = client.download_artifacts(name, "model/model.zip", str(tmp_path))
        with zipfile.ZipFile(path) as packed:
            rows = packed.read(erasing.BACKGROUND).decode().splitlines()
        return rows, len(client.get_metric_history(name, "held_out/accuracy"))

    before, times = told()
    row = json.loads(before[0])
    assert sqlite.write(erasing._sift, held, info.id, {erasure.row_hash(held.project, row)}, None)
    assert tracking.sync(sqlite, held.id, store) == tracking.Synced(1, None)
    after, again = told()
    assert 0 < len(after) < len(before)
    assert before[0] not in after
    assert again == times
    assert sqlite.read(runs.of_model, info.id) == kept


def test_roles_follow_ours(sqlite: Database, store: str) -> None:
    from mlflow import MlflowClient

    held = lessons.setting(sqlite, "sklearn-linear", project="roles", model={"uri": "registry:roles@champion"})
    first, second = (training.train(sqlite, "roles", by=None, device="cpu", trainer="sklearn-linear", seed=n) for n in (0, 1))

    def play(session: object, model_id: int, alias: str) -> None:
        session.merge(ModelAlias(project_id=held.id, alias=alias, model_id=model_id, since=clock.now()))  # type: ignore[attr-defined]

    client = MlflowClient(tracking_uri=store, registry_uri=store)
    sqlite.write(play, first.id, "champion")
    assert tracking.sync(sqlite, held.id, store).problem is None
    assert set(client.get_registered_model("roles").aliases) == {"champion"}
    sqlite.write(play, second.id, "champion")
    sqlite.write(play, first.id, "previous")
    assert tracking.sync(sqlite, held.id, store).problem is None
    aliases = client.get_registered_model("roles").aliases
    ours = {alias: client.get_model_version("roles", version).tags["signoff.version"] for alias, version in aliases.items()}
    assert ours == {"champion": str(second.version), "previous": str(first.version)}


def test_a_server_that_is_down_stops_nothing_and_is_told_later(sqlite: Database) -> None:
    held = lessons.setting(sqlite, "sklearn-linear")
    info = training.train(sqlite, "p", by=None, device="cpu", trainer="sklearn-linear")
    told = tracking.sync(sqlite, held.id, "http://olga:secret@127.0.0.1:9")
    assert told.told == 0
    assert str(told.problem).startswith("MLflow at http://127.0.0.1:9 was not told of every training and will be later")
    assert "secret" not in str(told.problem)
    assert sqlite.read(runs.of_model, info.id).tracked is None  # type: ignore[union-attr]


def test_off_means_off(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.settings import Settings

    held = lessons.setting(sqlite, "sklearn-linear")
    assert tracking.sync(sqlite, held.id, Settings(dir=tmp_path, mlflow="off").tracking) == tracking.Synced(0, None)
    monkeypatch.delenv("SIGNOFF_MLFLOW")
    assert Settings(dir=tmp_path).tracking == f"sqlite:///{tmp_path.resolve() / 'mlflow.db'}"
    assert Settings(dir=tmp_path, mlflow="http://mlflow:5000").tracking == "http://mlflow:5000"

"""From labelled rows to a registered model: the same bytes again, whatever cuts it off; own functions; beginning at another."""

import os
import random
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from db.engine import Database
from db.tables import Model, TrainingRun
from inference import cnn, mlp, textbag
from inference.course import Course
from inference.errors import ModelAddError, TrainingError
from retrain import datasets, examples, loading, registry, runs, training
from retrain.records import ModelInfo
from review_queue import clock
from review_queue.errors import NotFound, Refused
from tests.inference.conftest import KINDS
from tests.retrain import lessons

NETWORKS = ("torch-mlp", "torch-text", "torch-cnn")
ROUNDS = 7
"""Kills of one training: each waits until a process has loaded what it needs."""


class Cut(RuntimeError):
    """The worker stops."""


def train(database: Database, trainer: str, **how: Any) -> ModelInfo:
    return training.train(database, "p", by=None, device="cpu", trainer=trainer, **how)


def rows_of(database: Database) -> list[TrainingRun]:
    return database.read(lambda session: list(session.scalars(select(TrainingRun).order_by(TrainingRun.id))))


def models_of(database: Database) -> list[str]:
    return database.read(lambda session: list(session.scalars(select(Model.sha256).order_by(Model.id))))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks learn for a few epochs."""
    for module in (cnn, mlp, textbag):
        monkeypatch.setattr(module, "_plan", module._plan)
    lessons.shorten(6)


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a training stands is written down after every batch."""
    monkeypatch.setattr(runs, "PAUSE", 0)
    monkeypatch.setattr(runs, "SHARE", 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("short")
def test_the_same_again_is_the_same_to_the_byte(sqlite: Database, kind: str) -> None:
    lessons.setting(sqlite, kind)
    first, second, other = train(sqlite, kind), train(sqlite, kind), train(sqlite, kind, seed=1)
    assert first.sha256 == second.sha256 != other.sha256
    assert [row.state for row in rows_of(sqlite)] == ["done"] * 3
    found = sqlite.read(runs.of_model, second.id)
    assert found is not None
    assert found.spec["datasets"][0]["hash"] == sqlite.read(datasets.dataset, second.datasets[0]).content_hash
    if kind != "sklearn-linear":
        curve = found.curves[kind]
        assert len(curve["training"]) == len(curve["validation"]) == found.epoch >= curve["best"] >= 1
        assert curve["training"][-1] < curve["training"][0]
        assert curve["ended"].startswith(f"after {'round' if kind == 'sklearn-hgb' else 'epoch'} {found.epoch} of ")


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.usefixtures("short", "every_batch")
def test_cut_off_in_every_way_it_ends_the_same(sqlite: Database, kind: str) -> None:
    lessons.setting(sqlite, kind)
    whole = train(sqlite, kind)
    epochs = sqlite.read(runs.of_model, whole.id).epoch  # type: ignore[union-attr]
    for at in (1, epochs // 2, epochs - 1):
        _cut(sqlite, kind, at)
        (row,) = [each for each in rows_of(sqlite) if each.state == "failed"]
        assert (row.epoch, row.error, row.checkpoint is not None) == (at - 1, "Cut", True)
    again = train(sqlite, kind)
    assert again.sha256 == whole.sha256
    assert [row.state for row in rows_of(sqlite)] == ["done", "done"]
    told = [sqlite.read(runs.of_model, info.id) for info in (whole, again)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0].curves == told[1].curves
    assert all(row.checkpoint is None for row in rows_of(sqlite))


def _cut(database: Database, kind: str, at: int) -> None:
    def told(share: float, step: str) -> None:
        if step.startswith(f"epoch {at} "):
            raise Cut

    with pytest.raises(Cut):
        train(database, kind, progress=told)


@pytest.mark.usefixtures("short", "every_batch")
def test_cut_off_within_an_epoch_it_ends_the_same(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons.setting(sqlite, "torch-text", 240)
    whole, kept, times = train(sqlite, "torch-text"), runs.Run._keep, iter(range(1_000))

    def cut(run: runs.Run, state: Any, epoch: int) -> None:
        kept(run, state, epoch)
        if next(times) == 13:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "_keep", cut)
        with pytest.raises(Cut):
            train(sqlite, "torch-text")
    assert train(sqlite, "torch-text").sha256 == whole.sha256


@pytest.mark.usefixtures("short")
def test_killed_it_goes_on_at_once_and_nothing_half_is_registered(database: Database, database_url: str) -> None:
    lessons.setting(database, "torch-text")
    whole = train(database, "torch-text")
    with lessons.training_until(database_url, "torch-text", "epoch 4", 6) as process:
        with pytest.raises(runs.Elsewhere, match="the same training is under way, at epoch"):
            train(database, "torch-text")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    standing = rows_of(database)[-1]
    assert (standing.state, standing.epoch >= 3, len(models_of(database))) == ("running", True, 1)
    assert standing.checkpoint is not None
    steps: list[str] = []
    again = train(database, "torch-text", progress=lambda share, step: steps.append(step))
    assert again.sha256 == whole.sha256
    assert "epoch 3 of 6" not in steps
    assert [row.state for row in rows_of(database)] == ["done", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.usefixtures("short")
def test_killed_again_and_again_it_ends_the_same(sqlite: Database, kind: str) -> None:
    lessons.setting(sqlite, kind)
    lessons.shorten(40)
    whole, chance = train(sqlite, kind), random.Random(7)
    epochs = sqlite.read(runs.of_model, whole.id).epoch  # type: ignore[union-attr]
    for at in sorted(chance.sample(range(1, epochs), ROUNDS)):
        with lessons.training_until(sqlite.url, kind, f"epoch {at}", 40):
            assert len(models_of(sqlite)) == 1
    assert train(sqlite, kind).sha256 == whole.sha256


def test_of_a_process_elsewhere_silence_tells(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons.setting(sqlite, "torch-text")
    _cut(sqlite, "torch-text", 2)

    def elsewhere(session: Any) -> None:
        spec = session.scalar(select(TrainingRun.spec))
        session.execute(update(TrainingRun).values(state="running", spec={**spec, "worker": "other:1:ab"}))

    sqlite.write(elsewhere)
    with pytest.raises(runs.Elsewhere):
        train(sqlite, "torch-text")
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + runs.SILENT + timedelta(seconds=1))
    assert train(sqlite, "torch-text").version == 1


@pytest.mark.usefixtures("every_batch")
def test_who_was_taken_for_dead_registers_nothing(sqlite: Database) -> None:
    lessons.setting(sqlite, "torch-text")

    def taken(share: float, step: str) -> None:
        if step == "registering" or step.startswith("epoch 3 "):
            sqlite.write(lambda session: session.execute(update(TrainingRun).values(spec={"worker": "other:1:ab"})))

    with pytest.raises(runs.Elsewhere):
        train(sqlite, "torch-text", progress=taken)
    assert (models_of(sqlite), rows_of(sqlite)[0].state) == ([], "running")


def test_an_error_that_would_come_again_is_forgotten(sqlite: Database) -> None:
    lessons.setting(sqlite, "torch-text")
    with pytest.raises(TrainingError, match="does not train text models"):
        train(sqlite, "sklearn-hgb")
    (row,) = rows_of(sqlite)
    assert (row.state, row.checkpoint) == ("failed", None)
    assert "does not train text models" in str(row.error)


def test_a_course_tells_nothing_where_nobody_follows() -> None:
    course = Course()
    course.keep(lambda: pytest.fail("nobody asked for the state"), 1)
    assert course.curves == {}


# Which rows


@pytest.mark.parametrize("state", ["running", "failed"])
def test_where_a_training_stood_that_nobody_goes_on_with_is_forgotten(sqlite: Database, state: str) -> None:
    held = lessons.setting(sqlite, "sklearn-linear", 100)
    for days in (8, 6):
        seen = clock.now() - timedelta(days=days)
        told = {"key": f"{days}", "state": state, "spec": {}, "checkpoint": b"state", "begun_at": seen, "seen_at": seen}
        sqlite.write(lambda s, told=told: s.add(TrainingRun(project_id=held.id, **told)))
    train(sqlite, "sklearn-linear")
    assert [run.checkpoint for run in rows_of(sqlite)] == [None, b"state", None]


def test_a_dataset_version_is_learned_from_alone(sqlite: Database) -> None:
    held = lessons.setting(sqlite, "sklearn-linear", 100)
    older = sqlite.read(datasets.newest, held.id, "base")
    lessons.setting(sqlite, "sklearn-linear", 200)
    assert older is not None
    info = train(sqlite, "sklearn-linear", dataset=older.id)
    assert (info.datasets, info.figures["rows"]) == ((older.id,), {"base": 80, "decided": 0})
    assert train(sqlite, "sklearn-linear").figures["rows"]["base"] == 160
    with pytest.raises(NotFound, match="no dataset 99"):
        train(sqlite, "sklearn-linear", dataset=99)
    answers = sqlite.write(datasets.add_answers, held, {"a": "benign"}, by=None)
    with pytest.raises(Refused, match="known answers"):
        train(sqlite, "sklearn-linear", dataset=answers.id)


def test_what_was_never_an_item_leaves_every_item_to_judge_by(sqlite: Database) -> None:
    lessons.setting(sqlite, "sklearn-linear")
    info = train(sqlite, "sklearn-linear")
    assert sqlite.read(registry.learned_through, info.id) == 0


def test_figures_by_label_say_what_held_out_rows_say(sqlite: Database) -> None:
    held = lessons.setting(sqlite, "sklearn-linear")
    info = train(sqlite, "sklearn-linear")
    parts = info.figures["parts"]["labels"]
    judges = sqlite.read(examples.judges, held)
    assert {label: each["n"] for label, each in parts.items()} == {label: judges.labels.count(label) for label in parts}
    mean = sum(each["n"] * each["accuracy"] for each in parts.values()) / len(judges)
    assert mean == pytest.approx(info.figures["held_out"]["accuracy"], abs=1e-6)


# Beginning at the champion


def test_a_warm_start_needs_a_model_to_begin_at(sqlite: Database) -> None:
    lessons.setting(sqlite, "torch-text")
    with pytest.raises(Refused, match="no model here to begin from"):
        train(sqlite, "torch-text", warm=True)


# The owner's own function

OWN = """
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.impute import SimpleImputer

def forest(rows, labels, *, weights, seed, report):
    table = pd.DataFrame(rows)[["radius"]]
    report(0.5, "growing")
    model = make_pipeline(SimpleImputer(), RandomForestClassifier(20, random_state=seed))
    return model.fit(table, labels, randomforestclassifier__sample_weight=weights)

def network(rows, labels, *, seed):
    import torch
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.Softmax(dim=1))
    module.labels = ("malignant", "benign")
    return module

def nothing(rows, labels):
    return None

def wrong(rows, labels):
    return rows[0]["nowhere"]

number = 7
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(OWN, encoding="utf-8")
    return f"python:{path}"


def simple(database: Database) -> None:
    features = {"type": "tabular", "features": {"radius": {"type": "number"}}}
    lessons.setting(database, "sklearn-linear", 200, input=features)


def test_an_own_function_makes_a_model_that_is_kept_like_any_other(sqlite: Database, own: str) -> None:
    simple(sqlite)
    steps: list[str] = []
    info = train(sqlite, f"{own}:forest", own=True, progress=lambda share, step: steps.append(step))
    again = train(sqlite, f"{own}:forest", own=True)
    assert info.sha256 == again.sha256
    assert (info.trainer, info.figures["taught_by"], "growing" in steps) == ("own:sklearn", f"{own}:forest", True)
    assert info.figures["held_out"]["accuracy"] > 0.7
    model = loading.load(sqlite, info, device="cpu")
    assert model.predict([{"radius": 30.0}])[0].label == "malignant"  # type: ignore[union-attr]
    found = sqlite.read(runs.of_model, info.id)
    assert found is not None
    assert len(found.spec["function"]) == 64


def test_a_torch_module_is_taken_too(sqlite: Database, own: str) -> None:
    simple(sqlite)
    info = train(sqlite, f"{own}:network", own=True)
    assert (info.trainer, info.labels) == ("own:torch-export", ("malignant", "benign"))


def test_an_own_function_runs_on_the_owners_machine_alone(sqlite: Database, own: str) -> None:
    simple(sqlite)
    with pytest.raises(Refused, match="runs on the owner's machine alone"):
        train(sqlite, f"{own}:forest")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("nothing", ModelAddError, "returned a NoneType; return a fitted scikit-learn estimator"),
        ("wrong", TrainingError, r"mine.py:\d+: wrong failed: KeyError: 'nowhere'"),
        ("number", TrainingError, "is a int; write a function"),
        ("nowhere", TrainingError, "nowhere"),
    ],
)
def test_what_is_wrong_with_an_own_function_is_said(
    sqlite: Database, own: str, name: str, error: type[Exception], said: str
) -> None:
    simple(sqlite)
    with pytest.raises(error, match=said):
        train(sqlite, f"{own}:{name}", own=True)
    assert (models_of(sqlite), rows_of(sqlite)[-1].state) == ([], "failed")

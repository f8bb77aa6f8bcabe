"""Trainings told to MLflow, and our versions with their roles in its registry: an extra, which never stands in the way.

What is told is in the database first, so a server that is down is told later: `sync` tells whatever it does not know yet.
"""

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import ModelAlias, TrainingRun
from retrain import cards, registry, runs
from retrain.records import ModelInfo
from retrain.runs import RunInfo
from review_queue import projects
from review_queue.projects import Setting

AT_ONCE = 100
"""Trainings that are told in one go, and measures in one message."""
SECONDS, TRIES = "10", "1"
"""How long a server may take, and how often it is asked again."""
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": SECONDS,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": TRIES,
    "GIT_PYTHON_REFRESH": "quiet",
}
_TRAINING = "signoff.training"
FINISHED = "FINISHED"


@dataclass(frozen=True, slots=True)
class Synced:
    """How many trainings MLflow was told of, and what stood in the way of the rest: a sentence, None where nothing did."""

    told: int
    problem: str | None


def sync(database: Database, project_id: int, uri: str | None) -> Synced:
    """Tell MLflow what it does not know yet of a project: trainings that ended with a model, and which version plays which role.

    Nothing happens where `uri` is None or MLflow is not installed. Never raises for what MLflow does.
    """
    if uri is None or find_spec("mlflow") is None:
        return Synced(0, None)
    told = 0
    try:
        with _quietly():
            teller = _Teller(database, database.read(projects.by_id, project_id), uri)
            for run in database.read(runs.untracked, project_id, AT_ONCE):
                teller.tell(run)
                told += 1
            teller.align()
    except Exception as error:  # whatever is wrong there, the model is here
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Synced(told, _shown(f"MLflow at {uri} was not told of every training and will be later: {line}")[:400])
    return Synced(told, None)


def _shown(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without telemetry, long waits for a server that is down, and lines about tables that are made."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow", "urllib3")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


class _Teller:
    """A project's experiment and registered model in MLflow, both under its name."""

    def __init__(self, database: Database, setting: Setting, uri: str) -> None:
        from mlflow import MlflowClient

        self._database, self._setting = database, setting
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment = self._experiment_id(uri)

    def tell(self, run: RunInfo) -> None:
        """One training, and the version that it ended with. What was told in part before, is told to the same run; of one that
        was told whole, and whose files changed since, only these."""
        assert run.model_id is not None
        info = self._database.read(registry.model_by_id, run.model_id)
        name = self._run(run, info)
        if self._client.get_run(name).info.status != FINISHED:
            self._client.log_inputs(name, datasets=list(_inputs(run)))
            for begin in range(0, len(held := _measures(run, info)), AT_ONCE):
                self._client.log_batch(name, metrics=held[begin : begin + AT_ONCE])
            self._client.log_batch(name, params=_params(run)[:AT_ONCE])
        self._files(name, run, info)
        version = self._version(name, info)
        self._client.set_terminated(name, FINISHED, end_time=_milliseconds(run.ended_at))
        self._database.write(runs.track, run.id, f"{name}/{version}")

    def align(self) -> None:
        """The roles of our versions as aliases there, as far as they are known there."""
        held = self._database.read(_roles, self._setting.id)
        there = self._aliases()
        for alias in there.keys() - held.keys():
            self._client.delete_registered_model_alias(self._setting.name, alias)
        for alias, version in held.items():
            if there.get(alias) != version:
                self._client.set_registered_model_alias(self._setting.name, alias, version)

    def _experiment_id(self, uri: str) -> str:
        """Of the project's name; where MLflow is a file, what it keeps lies beside it."""
        found = self._client.get_experiment_by_name(self._setting.name)
        if found is not None:
            return str(found.experiment_id)
        path = Path(uri.removeprefix("sqlite:///"))
        beside = (path.parent / "mlflow-files").as_uri() if uri.startswith("sqlite:///") else None
        return str(self._client.create_experiment(self._setting.name, artifact_location=beside))

    def _run(self, run: RunInfo, info: ModelInfo) -> str:
        found = self._client.search_runs([self._experiment], f"tags.`{_TRAINING}` = '{run.id}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {_TRAINING: str(run.id), "signoff.version": str(info.version), "mlflow.source.name": "signoff"}
        begun = _milliseconds(run.begun_at)
        made = self._client.create_run(self._experiment, start_time=begun, tags=tags, run_name=f"model {info.version}")
        return str(made.info.run_id)

    def _files(self, name: str, run: RunInfo, info: ModelInfo) -> None:
        """The packed model, its card, all figures, and the training's own record."""
        with tempfile.TemporaryDirectory(prefix="signoff-mlflow-") as folder:
            place = Path(folder)
            (place / "model.zip").write_bytes(self._database.read(registry.archive, info))
            card = self._database.read(cards.card, self._setting, info.version)
            (place / "card.md").write_text(cards.text(card), encoding="utf-8")
            for title, held in {"figures": info.figures, "training": {**run.spec, "curves": run.curves}}.items():
                (place / f"{title}.json").write_text(json.dumps(held, indent=1, ensure_ascii=False), encoding="utf-8")
            self._client.log_artifacts(name, folder, "model")

    def _version(self, name: str, info: ModelInfo) -> str:
        """Our version in the registry there, once."""
        from mlflow.exceptions import MlflowException

        title = self._setting.name
        try:
            self._client.get_registered_model(title)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self._client.create_registered_model(title)
        found = self._client.search_model_versions(f"name = '{title}' and run_id = '{name}'")
        if found:
            return str(found[0].version)
        source = f"{self._client.get_run(name).info.artifact_uri}/model"
        tags = {"signoff.version": str(info.version), "sha256": info.sha256}
        return str(self._client.create_model_version(title, source, name, tags=tags).version)

    def _aliases(self) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return {
                alias: str(version) for alias, version in self._client.get_registered_model(self._setting.name).aliases.items()
            }
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}


def _roles(session: Session, project_id: int) -> dict[str, str]:
    """Alias to version in MLflow, of the versions that it knows."""
    query = select(ModelAlias.alias, TrainingRun.tracked).join(TrainingRun, TrainingRun.model_id == ModelAlias.model_id)
    found = session.execute(query.where(ModelAlias.project_id == project_id, TrainingRun.tracked.is_not(None))).tuples()
    return {alias: str(tracked).rpartition("/")[2] for alias, tracked in found}


def _inputs(run: RunInfo) -> Iterator[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for each in run.spec["datasets"]:
        source = json.dumps({"dataset": each["id"], "content_hash": each["hash"]})
        profile = json.dumps({"num_rows": each["rows"]})
        made = Dataset(f"{each['kind']} {each['id']}", each["hash"][:32], "signoff", source, profile=profile)
        yield DatasetInput(made, [InputTag("mlflow.data.context", "training")])


def _params(run: RunInfo) -> list[Any]:
    from mlflow.entities import Param

    flat = _flat({name: value for name, value in run.spec.items() if name != "datasets"})
    return [Param(_key(name), str(value)[:500]) for name, value in flat]


def _measures(run: RunInfo, info: ModelInfo) -> list[Any]:
    """Losses by epoch, and every number among the figures but those of candidates and grids."""
    from mlflow.entities import Metric

    at = _milliseconds(run.ended_at)
    losses = [
        Metric(_key(f"loss/{kind}/{side}"), value, at, step)
        for kind, curve in run.curves.items()
        for side in ("training", "validation")
        for step, value in enumerate(curve[side], 1)
        if value is not None
    ]
    left_out = ("candidates", "grids", "alone", "taught_with")
    told = _flat({name: value for name, value in info.figures.items() if name not in left_out})
    numbers = [(name, value) for name, value in told if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return losses + [Metric(_key(name), float(value), at, 0) for name, value in numbers]


def _flat(held: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as `a/b`."""
    for name, value in held.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}/")
        elif value is not None and not isinstance(value, list):
            yield f"{before}{name}", value


def _key(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w.\- :/]", "_", re.sub(r"/{2,}|\.{2,}", "_", name)).strip("/")[:250]


def _milliseconds(at: Any) -> int:
    return int(at.timestamp() * 1000)

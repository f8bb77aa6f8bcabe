"""What a worker does when nothing waits: tries explanations again, makes decided cases findable, sees how values are spread."""

import time
from collections.abc import Iterator
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from app.worker import reasons
from app.worker.explaining import Explaining
from app.worker.models import Models
from app.worker.sample import Trial
from app.workspace import Workspace
from contract.predictors import Predictor
from db import blobs
from explain.chunked import chunked
from explain.quality import checked
from explain.representation import space
from inference.errors import ModelLoadError
from review_queue import embeddings, projects, reason_quality, rules, spreads
from review_queue.projects import Setting

log = structlog.get_logger()
AT_ONCE = 64
"""Decided cases that are represented in one turn."""
REST_SECONDS = 30.0
"""After a look that found nothing."""


class Spare:
    """One small piece of work at a turn, so that whatever comes in goes first."""

    def __init__(self, workspace: Workspace, models: Models, explaining: Explaining) -> None:
        self._database, self._models = workspace.database, models
        self._sample, self._between = explaining.sample, explaining.let_score
        self._rests_until = 0.0

    def turn(self) -> bool:
        """Do one piece; False where there is none."""
        if (trial := self._sample.next()) is not None:
            self._try(trial)
            return True
        return time.monotonic() >= self._rests_until and (self._spread() or self._represent())

    def _try(self, trial: Trial) -> None:
        """Explain it again with other seeds, hide what it names, and keep what was seen."""
        made = trial.made
        try:
            model = self._models.get(trial.model_id)
            asked: Any = chunked(model, self._between)  # type: ignore[type-var]  # it was explained, so it has a view
            seen = checked(asked, model.background, trial.explainer, trial.row, label=made.label, seed=made.seed)
        except OperationalError:
            raise
        except Exception as error:
            log.warning("an explanation cannot be tried again", method=made.method, item_id=trial.item_id, error=repr(error))
            return
        areas = seen.area, seen.random_area
        self._database.write(
            reason_quality.check,
            trial.item_id,
            trial.model_id,
            method=made.method,
            label=made.label,
            stability=seen.stability,
            areas=areas,
            apart=seen.apart,
        )

    def _spread(self) -> bool:
        """How the background of an acting model is spread, of one that was taken before that was kept."""
        for setting, model_id in self._acting():
            if self._database.read(spreads.lacks, model_id) and (model := self._loaded(model_id)) is not None:
                self._database.write(spreads.keep, model_id, spreads.spread(setting.project, model.background, whole=False))
                return True
        return False

    def _represent(self) -> bool:
        """Vectors by the acting model for decided cases without one, as after a promotion."""
        for setting, model_id in self._acting():
            if ids := self._database.read(embeddings.lacking, setting.id, model_id, AT_ONCE):
                return self._represent_by(setting, model_id, ids)
        self._rests_until = time.monotonic() + REST_SECONDS
        return False

    def _acting(self) -> Iterator[tuple[Setting, int]]:
        """Each project with the model here that acts in it."""
        for setting in self._database.read(projects.everything):
            rule = self._database.read(rules.in_force, setting.id, setting.policy)
            if rule is not None and not rule.external and not setting.project.external:
                yield setting, rule.model_id

    def _loaded(self, model_id: int) -> Predictor | None:
        """None, and a rest, for a model that does not load."""
        try:
            return self._models.get(model_id)
        except ModelLoadError as error:
            log.error("model does not load; what can wait for it does", model_id=model_id, error=str(error))
            self._rests_until = time.monotonic() + REST_SECONDS
            return None

    def _represent_by(self, setting: Setting, model_id: int, ids: list[int]) -> bool:
        if (model := self._loaded(model_id)) is None:
            return False
        given = self._database.read(embeddings.inputs, setting, ids)
        rows = dict(zip(given, self._database.read(blobs.fill, given.values()), strict=True))
        self._database.write(embeddings.keep, model_id, space(model), reasons.vectors(model, rows, self._between))
        return True

"""What a worker does when nothing waits: it tries a sample of explanations again, and makes decided cases findable."""

import time
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from app.worker import reasons
from app.worker.explaining import Explaining
from app.worker.models import Models
from app.worker.sample import Trial
from app.workspace import Workspace
from db import blobs
from explain.chunked import chunked
from explain.quality import checked
from explain.representation import space
from inference.errors import ModelLoadError
from review_queue import embeddings, projects, reason_quality, rules
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
        return time.monotonic() >= self._rests_until and self._represent()

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

    def _represent(self) -> bool:
        """Vectors by the acting model for decided cases without one, as after a promotion."""
        for setting in self._database.read(projects.everything):
            rule = self._database.read(rules.in_force, setting.id, setting.policy)
            if rule is None or rule.external or setting.project.external:
                continue
            if ids := self._database.read(embeddings.lacking, setting.id, rule.model_id, AT_ONCE):
                return self._represent_by(setting, rule.model_id, ids)
        self._rests_until = time.monotonic() + REST_SECONDS
        return False

    def _represent_by(self, setting: Setting, model_id: int, ids: list[int]) -> bool:
        try:
            model = self._models.get(model_id)
        except ModelLoadError as error:
            log.error("model does not load; decided cases stay without vectors", model_id=model_id, error=str(error))
            self._rests_until = time.monotonic() + REST_SECONDS
            return False
        given = self._database.read(embeddings.inputs, setting, ids)
        rows = dict(zip(given, self._database.read(blobs.fill, given.values()), strict=True))
        self._database.write(embeddings.keep, model_id, space(model), reasons.vectors(model, rows, self._between))
        return True

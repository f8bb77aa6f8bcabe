"""Explaining ahead of the people: one case at a time, so that scoring never waits for more than one."""

import json
import secrets
import time
from threading import Event

import structlog

from app.worker.models import Models
from app.workspace import Workspace
from contract.records import Explanation, Row
from db import blobs
from explain.explainer import Explainer, seed_for
from inference.errors import ModelLoadError
from review_queue import batches, explanations, projects
from review_queue.batches import Leased

log = structlog.get_logger()
LEASE_SECONDS = 300.0


class Explaining:
    """Keeps the reasons of the next waiting tasks ready."""

    def __init__(self, workspace: Workspace, models: Models, stop: Event, ahead: int = explanations.AHEAD) -> None:
        self._database, self._models, self._stop, self._ahead = workspace.database, models, stop, ahead
        self._ordered_at = 0.0

    def turn(self) -> int:
        """Explain one case; 0 where nothing is to be explained."""
        self._order()
        for project_id in self._database.read(batches.waiting_projects, "explain"):
            leased = self._database.write(
                batches.lease, project_id, "explain", secrets.token_hex(8), limit=1, seconds=LEASE_SECONDS
            )
            for item in leased:
                self._explain(item)
            if leased:
                return len(leased)
        return 0

    def _order(self) -> None:
        """Once a second, look which of the next tasks lack their reasons."""
        if time.monotonic() - self._ordered_at < 1.0:
            return
        for setting in self._database.read(projects.everything):
            if self._database.read(explanations.lacking, setting.id, self._ahead):
                self._database.write(explanations.order_ahead, setting.id, self._ahead)
        self._ordered_at = time.monotonic()

    def _explain(self, item: Leased) -> None:
        target = self._database.read(explanations.target, item.item_id)
        if target is None:
            return
        model_id, label = target
        try:
            explainers = self._models.get(model_id).explainers
        except ModelLoadError as error:  # the lease is kept: it is tried again when that has run out
            log.error("model does not load; its reasons wait", model_id=model_id, item_id=item.item_id, error=str(error))
            return
        row = self._database.read(blobs.fill, [item.input])[0]
        tired = item.attempts > batches.FAILED_AFTER
        made = [_made(explainer, row, label, item, tired) for explainer in explainers]
        self._database.write(explanations.store, item.item_id, model_id, made)


def _made(explainer: Explainer, row: Row, label: str, item: Leased, tired: bool) -> Explanation:
    seed = seed_for(item.external_id)
    if tired:
        return _none(explainer.method, label, seed, f"explaining it failed {item.attempts - 1} times")
    try:
        made = explainer.explain(row, label=label, seed=seed)
        json.dumps(made.as_dict(), allow_nan=False)
    except Exception as error:
        log.warning("no explanation", method=explainer.method, item_id=item.item_id, error=repr(error))
        return _none(explainer.method, label, seed, f"the method failed on it: {type(error).__name__}: {error}"[:500])
    return made


def _none(method: str, label: str, seed: int, problem: str) -> Explanation:
    empty: list[object] = []
    return Explanation(method, label, "probability", None, empty, {}, seed, "", {}, 0.0, problem)

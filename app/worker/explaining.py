"""Explaining ahead of the people and on request, a few cases at a time: scoring has its turn between pieces of the work."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event

import structlog
from sqlalchemy.orm import Session

from app.worker import reasons
from app.worker.methods import Methods
from app.worker.models import Models
from app.worker.sample import Sample
from app.worker.scoring import Scoring
from app.workspace import Workspace
from contract.predictors import Predictor
from contract.reasons import suiting
from contract.records import Explanation, Row
from db import blobs
from explain.errors import ExplainError
from explain.explainer import Ask, seed_for
from explain.representation import space
from inference.errors import ModelLoadError
from review_queue import batches, embeddings, explanations, projects
from review_queue.batches import Leased
from review_queue.explanations import Asked, Wanted
from review_queue.projects import Setting

log = structlog.get_logger()
LEASE_SECONDS = 300.0
ORDER_SECONDS = 1.0
"""Between two looks which of the next cases lack their reasons; at once where something was scored."""
TURN_SECONDS = 0.05
"""Between two turns of scoring while cases are explained."""
SPAN_SECONDS = 0.2
"""For so long a batch is to take, so that a case that is opened without its reasons is soon the next."""
FIRST, MOST = 2, 32
"""Cases of a model's first batch, and of the largest one."""


@dataclass(frozen=True, slots=True)
class Case:
    """One item to explain, with its bytes."""

    item: Leased
    wanted: Wanted
    row: Row

    @property
    def ask(self) -> Ask:
        return Ask(self.row, self.wanted.label, seed_for(self.item.external_id))

    @property
    def told(self) -> str:
        return f"explaining it failed {self.item.attempts - 1} times"

    @property
    def tired(self) -> bool:
        """Whether workers died over it more often than is tried."""
        return self.item.attempts > batches.FAILED_AFTER


class Explaining:
    """Keeps the reasons of the next waiting tasks ready, and makes those that somebody asked for."""

    def __init__(
        self, workspace: Workspace, models: Models, stop: Event, scoring: Scoring | None = None, ahead: int | None = None
    ) -> None:
        """`ahead`: for how many cases, whatever the policy says."""
        self._database, self._models, self._stop, self._scoring = workspace.database, models, stop, scoring
        self._ahead = ahead
        self.methods = Methods(models, self.let_score)
        self.sample = Sample(workspace.database)
        self._ordered_at, self._ordered_for = 0.0, -1
        self._scored_at, self._elsewhere = 0.0, 0.0
        self._pace: dict[int, float] = {}

    def turn(self) -> int:
        """Explain a few cases; how many. 0 where nothing is to be explained."""
        self._order()
        for project_id in self._database.read(batches.explaining_projects):
            size, worker = self._size(project_id), secrets.token_hex(8)
            leased = self._database.write(batches.lease_reasons, project_id, worker, limit=size, seconds=LEASE_SECONDS)
            if leased:
                self._explain(project_id, worker, leased)
                return len(leased)
        return 0

    def let_score(self) -> None:
        """A turn of scoring, where the last one is a moment ago. What goes wrong there is told and tried again later."""
        begun = time.monotonic()
        if self._scoring is None or begun - self._scored_at < TURN_SECONDS or self._stop.is_set():
            return
        try:
            self._scoring.turn()
        except Exception as error:
            log.error("scoring failed between explanations; it is tried again", error=repr(error))
        self._scored_at = time.monotonic()
        self._elsewhere += self._scored_at - begun

    def _order(self) -> None:
        """Order what the next cases lack, where it is time to look or something new was scored."""
        scored = self._scoring.scored if self._scoring is not None else 0
        if scored == self._ordered_for and time.monotonic() - self._ordered_at < ORDER_SECONDS:
            return
        for setting in self._database.read(projects.everything):
            ahead = self._ahead or setting.policy.explain.ahead
            if self._database.read(explanations.lacking, setting.id, ahead):
                self._database.write(explanations.order_ahead, setting.id, ahead)
        self._ordered_at, self._ordered_for = time.monotonic(), scored

    def _size(self, project_id: int) -> int:
        pace = self._pace.get(project_id)
        return FIRST if pace is None else max(1, min(MOST, int(SPAN_SECONDS / max(pace, 1e-9))))

    def _explain(self, project_id: int, worker: str, leased: Sequence[Leased]) -> None:
        begun, elsewhere = time.monotonic(), self._elsewhere
        setting = self._database.read(projects.by_id, project_id)
        wanted = self._database.read(explanations.wanted, [item.item_id for item in leased])
        rows = self._database.read(blobs.fill, [item.input for item in leased])
        by_model: dict[int, list[Case]] = {}
        for item, row in zip(leased, rows, strict=True):
            if item.item_id in wanted:
                case = Case(item, wanted[item.item_id], row)
                by_model.setdefault(case.wanted.model_id, []).append(case)
            else:
                self._database.write(explanations.close, item.item_id)
        for model_id, cases in by_model.items():
            self._explain_by(setting, model_id, worker, cases)
        spent = time.monotonic() - begun - (self._elsewhere - elsewhere)
        self._pace[project_id] = spent / len(leased)

    def _explain_by(self, setting: Setting, model_id: int, worker: str, cases: Sequence[Case]) -> None:
        try:
            model = self._models.get(model_id)
        except ModelLoadError as error:  # the leases are kept: it is tried again when they have run out
            log.error("model does not load; its reasons wait", model_id=model_id, items=len(cases), error=str(error))
            self._database.write(batches.excuse, "explain", worker, [case.item.item_id for case in cases])
            return
        ahead = [case for case in cases if case.wanted.ahead]
        made = self._made_ahead(setting, model_id, ahead)
        vectors = self._vectors(model_id, model, [case for case in cases if not case.tired])
        self._database.write(_keep, model_id, space(model), made, vectors)
        for case in cases:
            for asked in case.wanted.asked:
                self._answer(case, asked)
            if not case.wanted.ahead and not case.wanted.asked:
                self._database.write(explanations.close, case.item.item_id)

    def _made_ahead(self, setting: Setting, model_id: int, cases: Sequence[Case]) -> dict[int, list[Explanation]]:
        """The explanations of these cases by every method of their model, by item."""
        if not cases:
            return {}
        try:
            explainers = self.methods.ahead(model_id, setting.policy.explain)
        except ExplainError as error:
            method = suiting(setting.project.input.type)[-1]
            return {case.item.item_id: [reasons.none(method, case.ask, str(error))] for case in cases}
        fresh = [case for case in cases if not case.tired]
        asks, made = [case.ask for case in fresh], dict[int, list[Explanation]]()
        for case in cases:
            made[case.item.item_id] = [reasons.none(each.method, case.ask, case.told) for each in explainers if case.tired]
        for explainer in explainers:
            for case, explanation in zip(fresh, reasons.made(explainer, asks), strict=True):
                made[case.item.item_id].append(explanation)
                self.sample.offer(model_id, case.item.item_id, case.row, explainer, explanation)
        return made

    def _answer(self, case: Case, asked: Asked) -> None:
        """One explanation that somebody asked for."""
        if case.tired:
            self._database.write(explanations.refuse, asked.id, case.told)
            return
        try:
            explainer = self.methods.asked(case.wanted.model_id, asked.method, asked.params)
        except ExplainError as error:
            self._database.write(explanations.refuse, asked.id, str(error))
            return
        ask = replace(case.ask, label=asked.label)
        self._database.write(explanations.answer, asked.id, reasons.made(explainer, [ask])[0])

    def _vectors(self, model_id: int, model: Predictor, cases: Sequence[Case]) -> dict[int, bytes]:
        lacking = self._database.read(embeddings.without, model_id, [case.item.item_id for case in cases])
        theirs = [case for case in cases if case.item.item_id in lacking]
        return reasons.vectors(model, {case.item.item_id: case.row for case in theirs}, self.let_score)


def _keep(
    session: Session, model_id: int, name: str, made: Mapping[int, Sequence[Explanation]], vectors: Mapping[int, bytes]
) -> None:
    embeddings.keep(session, model_id, name, vectors)
    for item_id, each in sorted(made.items()):
        explanations.store(session, item_id, model_id, each)

"""Scoring: the next batch is read while this one is scored, results are written while the next is scored."""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

import structlog

from app.worker.models import Models
from app.workspace import Workspace
from contract.predictors import Predictor
from contract.records import Prediction, Row, Scored, Unscored
from db import blobs
from inference import strange
from inference.errors import ModelLoadError
from review_queue import batches, rules
from review_queue.batches import Leased, Written
from review_queue.errors import Moved
from review_queue.projects import by_id

log = structlog.get_logger()
FIRST = 64
"""Items of the first batch of a model, on which its batch size is measured."""
AT_ONCE = 1_000
"""Items of one lease at most: while they are written, others wait for SQLite."""
SPAN = 0.25
"""Seconds of scoring that one lease is for: what comes between is paid once for more items, and little is lost with it."""
LEASE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Items in hand, with the model that is to score them. `worker` names this lease alone.

    `sent`: their predictions came along, and no model here is asked; then there are no rows. `strange`: the policy asks how
    strange they are.
    """

    project_id: int
    model_id: int
    worker: str
    items: Sequence[Leased]
    rows: Sequence[Row]
    sent: bool = False
    strange: bool = False

    @property
    def suspect(self) -> bool:
        """Whether workers died over this item."""
        return self.items[0].attempts > batches.ALONE_AFTER


class Scoring:
    """Takes what waits, project by project, until nothing does or it is told to stop."""

    def __init__(self, workspace: Workspace, models: Models, stop: Event, between: Callable[[], object] = lambda: None) -> None:
        """`between` is called after each batch: what must not wait until all is scored."""
        self._database, self._keys = workspace.database, workspace.keys
        self._models, self._stop, self._between = models, stop, between
        self._pace: dict[int, float] = {}
        self._done: dict[int, dict[int, Written]] = {}
        self.scored = 0

    def turn(self) -> int:
        """Score everything that is ready; how many items."""
        before = self.scored
        for project_id in self._database.read(batches.waiting_projects, "score"):
            self._drain(project_id)
        return self.scored - before

    def _drain(self, project_id: int) -> None:
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            upcoming: Future[Batch | None] | None = reader.submit(self._read, project_id)
            writing: Future[None] | None = None
            while upcoming is not None and (batch := upcoming.result()) is not None:
                upcoming = None
                if not self._stop.is_set() and not batch.suspect:  # what a suspect may kill should hold nothing else
                    upcoming = reader.submit(self._read, project_id)
                scored = self._score(batch)
                if writing is not None:
                    writing.result()
                writing = writer.submit(self._write, batch, scored)
                if self._stop.is_set():
                    break
                upcoming = upcoming or reader.submit(self._read, project_id)
                self._between()
            if writing is not None:
                writing.result()
            if self._stop.is_set() and upcoming is not None and (left := upcoming.result()) is not None:
                self._database.write(batches.give_back, "score", left.worker)
        self._announce(project_id)

    def _announce(self, project_id: int) -> None:
        """What became of all that had come in is told once, after the last of it."""
        if done := self._done.pop(project_id, None):
            self._database.write(batches.completed, project_id, done)

    def _read(self, project_id: int) -> Batch | None:
        """Lease the next batch and fetch its bytes. None where nothing waits, or no model can score it."""
        setting = self._database.read(by_id, project_id)
        rule = self._database.read(rules.in_force, project_id, setting.policy)
        sent = rule is not None and batches.answered_elsewhere(setting, rule)
        if rule is None or not (sent or self._loads(rule.model_id)):
            return None
        worker = secrets.token_hex(8)
        size = AT_ONCE if sent else self._size(rule.model_id)
        leased = self._database.write(batches.lease, project_id, "score", worker, limit=size, seconds=LEASE_SECONDS, sent=sent)
        if not leased:
            return None
        items = self._suspect_alone(worker, leased)
        rows = [] if sent else self._database.read(blobs.fill, [item.input for item in items])
        return Batch(project_id, rule.model_id, worker, items, rows, sent, rule.strange is not None)

    def _size(self, model_id: int) -> int:
        """Items of the next lease: whole batches of the model, as many as it scores in SPAN, up to AT_ONCE."""
        batch = self._models.known_size(model_id)
        if batch is None:
            return FIRST
        wanted = int(self._pace.get(model_id, 0.0) * SPAN) // batch * batch
        return min(max(wanted, batch), AT_ONCE)

    def _suspect_alone(self, worker: str, leased: Sequence[Leased]) -> Sequence[Leased]:
        """An item during which workers died is scored by itself, so that it takes no other down."""
        suspect = next((item for item in leased if item.attempts > batches.ALONE_AFTER), None)
        if suspect is None or len(leased) == 1:
            return leased
        rest = [item.item_id for item in leased if item is not suspect]
        self._database.write(batches.give_back, "score", worker, rest)
        return [suspect]

    def _loads(self, model_id: int) -> bool:
        try:
            self._models.get(model_id)
        except ModelLoadError as error:
            log.error("model does not load; its items wait", model_id=model_id, error=str(error))
            return False
        return True

    def _score(self, batch: Batch) -> list[Scored]:
        if batch.sent:
            return [item.answer for item in batch.items]
        predictor = self._models.get(batch.model_id)
        if any(item.attempts > batches.FAILED_AFTER for item in batch.items):
            return [Unscored("its worker died while scoring it")] * len(batch.items)
        if batch.suspect:  # measuring would repeat what may kill it
            return self._judged(batch, predictor, together(predictor, batch.rows))
        size = self._measured(batch)
        begun = time.perf_counter()
        parts = (batch.rows[at : at + size] for at in range(0, len(batch.rows), size))
        answers = [answer for part in parts for answer in together(predictor, part)]
        judged = self._judged(batch, predictor, answers)
        self._pace[batch.model_id] = len(answers) / max(time.perf_counter() - begun, 1e-6)
        return judged

    def _judged(self, batch: Batch, predictor: Predictor, answers: list[Scored]) -> list[Scored]:
        """With how strange each is, where the policy asks and the model can tell. One of which a model that can tell does not is
        as strange as can be: a veto that fails keeps back."""
        if not batch.strange:
            return answers
        answered = [n for n, each in enumerate(answers) if isinstance(each, Prediction)]
        try:
            ordinary = self._models.ordinary(batch.model_id)
            if ordinary is None:
                return answers
            found = strange.told(predictor, ordinary, [batch.rows[n] for n in answered])
        except Exception as error:
            log.warning("how strange items are cannot be told; they go to people", model_id=batch.model_id, error=repr(error))
            found = [None] * len(answered)
        told = {n: each or 0.0 for n, each in zip(answered, found, strict=True)}
        return [replace(each, strangeness=told[n]) if isinstance(each, Prediction) else each for n, each in enumerate(answers)]

    def _measured(self, batch: Batch) -> int:
        try:
            return self._models.batch_size(batch.model_id, batch.rows)
        except Exception as error:
            log.warning("the batch size cannot be measured", error=repr(error))
            return len(batch.rows)

    def _write(self, batch: Batch, scored: Sequence[Scored]) -> None:
        pairs = list(zip(batch.items, scored, strict=True))
        try:
            written = self._database.write(
                batches.write, batch.project_id, batch.worker, pairs, model_id=batch.model_id, keys=self._keys
            )
        except Moved:
            self._database.write(batches.give_back, "score", batch.worker)
            return
        self.scored += written.count
        if written.count:
            done = self._done.setdefault(batch.project_id, {})
            done[batch.model_id] = done.get(batch.model_id, Written()) + written
        log.info(
            "routed",
            project_id=batch.project_id,
            auto=written.auto,
            review=written.review,
            failed=written.failed,
        )


def together(predictor: Predictor, rows: Sequence[Row]) -> list[Scored]:
    """What a model says of rows: of all at once, or one by one where that fails."""
    try:
        return predictor.predict(rows)
    except Exception as error:
        log.warning("a batch failed; its items are scored one by one", error=repr(error), items=len(rows))
        return [_alone(predictor, row) for row in rows]


def _alone(predictor: Predictor, row: Row) -> Scored:
    try:
        return predictor.predict([row])[0]
    except Exception as error:
        return Unscored(f"the model failed on it: {type(error).__name__}: {error}"[:500])

"""Models in shadow are asked what they say of routed cases, when nothing waits to be scored or explained."""

import secrets
import time
from collections.abc import Sequence
from threading import Event

import structlog
from sqlalchemy.exc import OperationalError

from app.worker.models import Models
from app.worker.scoring import together
from app.workspace import Workspace
from contract.records import Row, Scored, Unscored
from db import blobs
from inference.errors import ModelLoadError
from review_queue import batches, challenges, projects, shadows
from review_queue.batches import Leased
from review_queue.challenges import Challenge

log = structlog.get_logger()
FIRST, MOST = 16, 512
"""Cases of a project's first turn, and of the largest one."""
SPAN_SECONDS = 0.05
"""For so long one turn is to take: what comes in meanwhile waits for it."""
LEASE_SECONDS = 120.0
TIDY_SECONDS = 10.0
"""Between two looks whether more waits than is kept."""
REST_SECONDS = 30.0
"""After a model that did not load."""


class Shadowing:
    """A few cases at a turn, by all models that stand in shadow of their project."""

    def __init__(self, workspace: Workspace, models: Models, stop: Event) -> None:
        self._database, self._keys = workspace.database, workspace.keys
        self._models, self._stop = models, stop
        self._pace: dict[int, float] = {}
        self._rests: dict[int, float] = {}
        self._tidied_at = 0.0

    def turn(self) -> int:
        """Ask of the cases of one project; how many. 0 where nothing waits that can be asked."""
        for project_id in self._database.read(batches.waiting_projects, "shadow"):
            if self._stop.is_set() or time.monotonic() < self._rests.get(project_id, 0.0):
                continue
            if done := self._tried(project_id):
                return done
        return 0

    def _tried(self, project_id: int) -> int:
        """What goes wrong here is told and tried again later: it keeps nothing else up."""
        try:
            self._tidy(project_id)
            return self._ask(project_id)
        except OperationalError:
            raise
        except Exception as error:
            log.exception("models in shadow could not be asked", project_id=project_id, error=repr(error))
            self._rests[project_id] = time.monotonic() + REST_SECONDS
            return 0

    def _tidy(self, project_id: int) -> None:
        if time.monotonic() - self._tidied_at < TIDY_SECONDS:
            return
        self._tidied_at = time.monotonic()
        if left := self._database.write(shadows.leave_out, project_id):
            log.warning("more waits for the models in shadow than is kept; the oldest are left out", cases=left)

    def _ask(self, project_id: int) -> int:
        standing = self._database.read(challenges.standing, project_id)
        if not standing or not all(self._loads(project_id, each) for each in standing):
            return 0
        worker, begun = secrets.token_hex(8), time.monotonic()
        limit = self._size(project_id)
        leased = self._database.write(batches.lease, project_id, "shadow", worker, limit=limit, seconds=LEASE_SECONDS)
        if not leased:
            return 0
        items = self._suspect_alone(worker, leased)
        rows = self._database.read(blobs.fill, [item.input for item in items])
        said: dict[int, dict[int, Scored]] = {item.item_id: {} for item in items}
        for each in standing:
            for item, answer in zip(items, self._say(each.model_id, items, rows), strict=True):
                said[item.item_id][each.id] = answer
        setting = self._database.read(projects.by_id, project_id)
        self._database.write(shadows.keep, setting, worker, said, self._keys)
        self._pace[project_id] = (time.monotonic() - begun) / len(items)
        return len(items)

    def _loads(self, project_id: int, each: Challenge) -> bool:
        try:
            self._models.get(each.model_id)
        except ModelLoadError as error:
            log.error("model in shadow does not load; its cases wait", model_id=each.model_id, error=str(error))
            self._rests[project_id] = time.monotonic() + REST_SECONDS
            return False
        return True

    def _size(self, project_id: int) -> int:
        pace = self._pace.get(project_id)
        return FIRST if pace is None else max(1, min(MOST, int(SPAN_SECONDS / max(pace, 1e-6))))

    def _suspect_alone(self, worker: str, leased: Sequence[Leased]) -> Sequence[Leased]:
        """A case over which workers died is asked of by itself, so that it takes no other down."""
        suspect = next((item for item in leased if item.attempts > batches.ALONE_AFTER), None)
        if suspect is None:
            return leased
        rest = [item.item_id for item in leased if item is not suspect]
        self._database.write(batches.give_back, "shadow", worker, rest)
        return [suspect]

    def _say(self, model_id: int, items: Sequence[Leased], rows: Sequence[Row]) -> list[Scored]:
        if any(item.attempts > batches.FAILED_AFTER for item in items):
            return [Unscored("its worker died while asking of it")] * len(items)
        return together(self._models.get(model_id), rows)

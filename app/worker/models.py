"""Loaded models of a worker: fetched on demand, the least recently used let go."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from app.settings import Settings
from contract.predictors import Predictor
from contract.records import Row
from db.engine import Database
from inference.batching import probe
from inference.strange import Ordinary, ordinary_of
from retrain import loading, registry

MOST = 8
"""Models that a worker keeps at once."""


class Models:
    """What this worker has in memory, by the id of the model; safe for its threads."""

    def __init__(self, database: Database, settings: Settings, device: str) -> None:
        self._database, self._settings, self._device = database, settings, device
        self._held: OrderedDict[int, Predictor] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._ordinary: dict[int, Ordinary | None] = {}
        self._lock = Lock()

    def get(self, model_id: int) -> Predictor:
        """Raises inference.errors.ModelLoadError."""
        with self._lock:
            if model_id not in self._held:
                self._held[model_id] = self._load(model_id)
            self._held.move_to_end(model_id)
            while len(self._held) > MOST:
                self._ordinary.pop(self._held.popitem(last=False)[0], None)
            return self._held[model_id]

    def ordinary(self, model_id: int) -> Ordinary | None:
        """What is ordinary to a model; None where it cannot tell. Raises ModelLoadError."""
        if model_id not in self._ordinary:
            self._ordinary[model_id] = ordinary_of(self.get(model_id))
        return self._ordinary[model_id]

    def batch_size(self, model_id: int, sample: Sequence[Row]) -> int:
        """The fastest batch size of a model on this machine: set, or measured once on real rows."""
        if self._settings.batch_size is not None:
            return self._settings.batch_size
        if model_id not in self._sizes:
            self._sizes[model_id] = probe(self.get(model_id), sample, budget_seconds=1.0)
        return self._sizes[model_id]

    def known_size(self, model_id: int) -> int | None:
        return self._settings.batch_size or self._sizes.get(model_id)

    def _load(self, model_id: int) -> Predictor:
        info = self._database.read(registry.model_by_id, model_id)
        return loading.load(self._database, info, device=self._device)

"""Which explanations are tried again: the first of each method and model version, and then a few of many."""

from collections import Counter, deque
from dataclasses import dataclass

from contract.canonical import digest
from contract.records import Explanation, Row
from db.engine import Database
from explain.explainer import Explainer
from review_queue import reason_quality

FIRST = 30
"""Explanations of each method and model version that are tried in any case."""
EVERY = 50
"""Of later ones, one in so many, by the hash of the item's number."""
MOST = 300
"""Explanations of each method and model version that are tried in all."""
WAITING = 200
"""Explanations that wait for their trial at once; the oldest are let go."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An explanation to try again."""

    model_id: int
    item_id: int
    row: Row
    explainer: Explainer
    made: Explanation


class Sample:
    """Explanations of this worker that wait to be tried again when it has nothing else to do."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Trial] = deque(maxlen=WAITING)
        self._counts: dict[int, Counter[str]] = {}

    def offer(self, model_id: int, item_id: int, row: Row, explainer: Explainer, made: Explanation) -> None:
        """Take a new explanation where it belongs to the sample."""
        counts = self._counts_of(model_id)
        if made.problem is None and _is_due(counts[made.method], item_id):
            counts[made.method] += 1
            self._waiting.append(Trial(model_id, item_id, row, explainer, made))

    def next(self) -> Trial | None:
        return self._waiting.popleft() if self._waiting else None

    def _counts_of(self, model_id: int) -> Counter[str]:
        if model_id not in self._counts:
            self._counts[model_id] = Counter(self._database.read(reason_quality.checked, model_id))
        return self._counts[model_id]


def _is_due(tried: int, item_id: int) -> bool:
    return tried < MOST and (tried < FIRST or int(digest(str(item_id))[:8], 16) % EVERY == 0)

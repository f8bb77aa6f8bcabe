"""The nearest already decided cases in the model's own representation, with what people decided there.

Exact search by faiss in this process. An index follows the vectors of its model; decisions are read when they are shown.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.engine import Database
from review_queue import embeddings
from review_queue.embeddings import Decided

LOOKED_AT = 20
"""Nearest decided cases in which disagreement is counted."""
MODELS = 4
"""Models whose index a process keeps."""
LATE = 1_000
"""Ids before the last one that are looked at again: of two transactions the one with the lower id may end later."""
AT_ONCE = 2_000
"""Vectors of one reading."""
FIRST = 64
"""Neighbours of the first search; four times as many in each further one, until enough of them are decided."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Near:
    """A decided case near another. `similarity` is a cosine; `decided` is None for a rejection."""

    item_id: int
    external_id: str
    similarity: float
    predicted: str | None
    decided: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The nearest decided cases. `looked_at`: how many of the nearest LOOKED_AT had a predicted label; `disagreed`: in how many
    of these people decided otherwise. `space` says in words what nearness is measured in. `answers`: how the nearest LOOKED_AT
    were decided, the most frequent label first; None for rejections."""

    space: str
    cases: tuple[Near, ...]
    looked_at: int
    disagreed: int
    answers: tuple[tuple[str | None, int], ...] = ()


class Similar:
    """Finds similar cases; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._indexes: OrderedDict[int, _Index] = OrderedDict()
        self._lock = Lock()

    def near(self, item_id: int, model_id: int, count: int = 5) -> Neighbourhood | None:
        """The nearest `count` (at most LOOKED_AT) decided cases; None where the item has no vector by this model yet.
        None of them where the model cannot represent it.

        Not for a case that its reader has to judge blind: whether it is one is for the caller to know.
        """
        held = self._database.read(embeddings.vector, item_id, model_id)
        if held is None:
            return None
        if not held:
            return Neighbourhood("", (), 0, 0)
        index = self._index(model_id)
        index.follow(self._database)
        near = self._decided(index, np.frombuffer(held, "<f4"), item_id)
        told = [case for case in near if case.predicted is not None]
        against = sum(case.decided != case.predicted for case in told)
        answers = tuple(Counter(case.decided for case in near).most_common())
        return Neighbourhood(index.space, tuple(near[:count]), len(told), against, answers)

    def _index(self, model_id: int) -> "_Index":
        with self._lock:
            index = self._indexes.setdefault(model_id, _Index(model_id))
            self._indexes.move_to_end(model_id)
            while len(self._indexes) > MODELS:
                self._indexes.popitem(last=False)
            return index

    def _decided(self, index: "_Index", vector: Vectors, item_id: int) -> list[Near]:
        wanted = FIRST
        while True:
            found = {near: alike for near, alike in index.search(vector, wanted) if near != item_id}
            decided = self._database.read(embeddings.decided, list(found))
            if len(decided) >= LOOKED_AT or len(found) + 1 < wanted:
                near = [_near(each, alike, decided[each]) for each, alike in found.items() if each in decided]
                return near[:LOOKED_AT]
            wanted *= 4


class _Index:
    """The vectors of one model in memory."""

    def __init__(self, model_id: int) -> None:
        self._model_id, self._lock = model_id, Lock()
        self._empty()

    def _empty(self) -> None:
        self.space = ""
        self._known: set[int] = set()
        self._last = 0
        self._items: list[int] = []
        self._flat: Any = None

    def follow(self, database: Database) -> None:
        """Add what is new; begin again with the newest once it has grown by a quarter."""
        with self._lock:
            if len(self._items) > embeddings.MOST * 5 // 4:
                self._empty()
            new = database.read(embeddings.newest, self._model_id, self._last - LATE)
            fresh = [each for each in new if each not in self._known]
            for ids in (fresh[begin : begin + AT_ONCE] for begin in range(0, len(fresh), AT_ONCE)):
                self._add(database.read(embeddings.held, ids))
                self._known.update(ids)
                self._last = max(self._last, ids[-1])

    def _add(self, rows: Sequence[tuple[int, str, bytes]]) -> None:
        import faiss

        kept = [(item_id, np.frombuffer(held, "<f4")) for item_id, _, held in rows if held]
        if kept and self._flat is None:
            faiss.omp_set_num_threads(1)  # the other requests of the process need the cores as well
            self._flat, self.space = faiss.IndexFlatIP(len(kept[0][1])), rows[0][1]
        kept = [(item_id, vector) for item_id, vector in kept if len(vector) == self._flat.d]
        if not kept:
            return
        self._flat.add(np.stack([vector for _, vector in kept]))
        self._items += [item_id for item_id, _ in kept]

    def search(self, vector: Vectors, count: int) -> list[tuple[int, float]]:
        """The nearest items with their cosines, the nearest first; all where there are fewer. None of a vector of another
        length, as a model has it that is represented otherwise than before."""
        with self._lock:
            if self._flat is None or len(vector) != self._flat.d:
                return []
            alike, places = self._flat.search(vector[None], min(count, len(self._items)))
        return [(self._items[place], float(each)) for place, each in zip(places[0], alike[0], strict=True)]


def _near(item_id: int, similarity: float, decided: Decided) -> Near:
    return Near(item_id, decided.external_id, similarity, decided.predicted, decided.label, decided.at)

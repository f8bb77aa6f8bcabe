"""Random draws that are needed again: by seed, the last used kept, bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

BYTES = 96_000_000
"""Enough for every seed of a table of 130 columns."""


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Drawn = TypeVar("Drawn", bound=Sized)


class Kept:
    """Threads may share it."""

    def __init__(self, most: int = BYTES) -> None:
        self._most, self.held = most, 0
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: Hashable, make: Callable[[], Drawn]) -> Drawn:
        """What was made for this key, or is made now. What is larger than the bound is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]  # type: ignore[return-value]  # a key belongs to one kind of draws
        made = make()
        with self._lock:
            if key not in self._kept and made.nbytes <= self._most:
                self._kept[key] = made
                self.held += made.nbytes
            while self.held > self._most:
                self.held -= self._kept.popitem(last=False)[1].nbytes
        return made


DRAWN = Kept()
"""One for the whole process."""

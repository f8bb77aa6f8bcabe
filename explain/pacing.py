"""Work in pieces, with room for others between them."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Between = Callable[[], object]
Part = TypeVar("Part")
SECONDS = 0.05
"""About so long a piece of work takes; one that takes twice as long is still fine."""
MOST = 256


def nothing() -> None:
    """What is done between pieces where nobody waits."""


def pieces(parts: Sequence[Part], between: Between) -> Iterator[Sequence[Part]]:
    """The parts in order, a few at a time: as many as take about SECONDS, found while working; `between` is called after each."""
    start, size = 0, 1
    while start < len(parts):
        begun = time.perf_counter()
        yield parts[start : start + size]
        spent = time.perf_counter() - begun
        start += size
        size = max(1, min(MOST, 2 * size, int(size * SECONDS / max(spent, 1e-9))))
        between()

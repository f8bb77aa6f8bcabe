"""How many rows to score at once: measured, because bigger batches are slower for convolutional networks on a CPU."""

import time
from collections.abc import Sequence
from itertools import islice

from contract.predictors import Predictor
from contract.records import Row, Scored

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
PASSES = 3


def probe(predictor: Predictor, rows: Sequence[Row], *, sizes: Sequence[int] = SIZES, budget_seconds: float = 2.0) -> int:
    """The batch size that scores most rows a second, of those that fit the budget. Rows are repeated to fill a batch.

    The best of up to three passes counts for each size, after one that warms up. Raises ValueError without rows or sizes.
    """
    if not rows or not sizes:
        raise ValueError("a probe needs at least one row and one size")
    ends = time.monotonic() + budget_seconds
    predictor.predict(rows[: min(sizes)])
    rates: dict[int, float] = {}
    for size in sorted(sizes):
        expected = size / max(rates.values(), default=float("inf"))
        if rates and time.monotonic() + expected > ends:
            break
        rates[size] = _rate(predictor, _filled(rows, size), ends)
    return max(rates, key=lambda size: rates[size])


def _filled(rows: Sequence[Row], size: int) -> list[Row]:
    return [rows[n % len(rows)] for n in range(size)]


def _rate(predictor: Predictor, batch: Sequence[Row], ends: float) -> float:
    """Rows a second, the best pass."""
    best = float("inf")
    for _ in range(PASSES):
        begun = time.perf_counter()
        predictor.predict(batch)
        best = min(best, time.perf_counter() - begun)
        if time.monotonic() + best > ends:
            break
    return len(batch) / max(best, 1e-9)


def predict_in_batches(predictor: Predictor, rows: Sequence[Row], size: int) -> list[Scored]:
    """One answer per row, in order, scored `size` rows at a time. Raises ValueError where size is below one."""
    if size < 1:
        raise ValueError(f"a batch has at least one row, not {size}")
    source, answers = iter(rows), list[Scored]()
    while batch := list(islice(source, size)):
        answers += predictor.predict(batch)
    return answers

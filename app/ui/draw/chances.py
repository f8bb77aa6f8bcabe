"""Probabilities as people say them."""

from math import log

FEW, MOST = 0.005, 0.995
"""Beyond these no fraction is near."""
FRACTIONS = (
    *((1, n) for n in (100, 50, 30, 20, 15, 10, 8, 6, 5, 4, 3)),
    (3, 10), (2, 5), (1, 2), (3, 5), (7, 10), (2, 3), (3, 4), (4, 5), (5, 6), (7, 8),
    *((n - 1, n) for n in (10, 15, 20, 30, 50, 100)),
)  # fmt: skip


def words(chance: float) -> str:
    """0.64 as `about 2 in 3`: the plain fraction whose odds are nearest."""
    if chance < FEW:
        return "less than 1 in 100"
    if chance >= MOST:
        return "more than 99 in 100"
    return "about {} in {}".format(*min(FRACTIONS, key=lambda pair: abs(_odds(pair[0] / pair[1]) - _odds(chance))))


def _odds(share: float) -> float:
    return log(share) - log(1 - share)

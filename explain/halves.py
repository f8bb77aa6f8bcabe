"""A tree that halves a grid, the longer side first, as `shap.maskers.Image` builds it."""

import heapq
from functools import lru_cache

from explain.owen import Tree

Block = tuple[int, int, int, int]
"""The first row, the row behind the last, the first column, the column behind the last."""


@lru_cache(maxsize=64)
def halves(rows: int, columns: int) -> Tree:
    """The tree over the squares of a grid, numbered as the library numbers them: the last square is leaf 0."""
    leaves = rows * columns
    found: dict[int, list[int]] = {}
    waiting: list[tuple[int, Block, int, bool]] = [(0, (0, rows, 0, columns), -1, False)]
    number = 2 * leaves - 2
    while waiting:
        _, block, parent, left = heapq.heappop(waiting)
        if parent >= 0:
            found[parent][0 if left else 1] = number
        if _size(block) > 1:
            found[number] = [-1, -1]
            for half, first in zip(_halved(block), (True, False), strict=True):
                heapq.heappush(waiting, (-_size(half), half, number, first))
        number -= 1
    return Tree(leaves, tuple((found[node][0], found[node][1]) for node in range(leaves, 2 * leaves - 1)))


def _halved(block: Block) -> tuple[Block, Block]:
    top, bottom, first, last = block
    if bottom - top >= last - first and bottom - top > 1:
        middle = top + (bottom - top) // 2
        return (top, middle, first, last), (middle, bottom, first, last)
    middle = first + (last - first) // 2
    return (top, bottom, first, middle), (top, bottom, middle, last)


def _size(block: Block) -> int:
    top, bottom, first, last = block
    return (bottom - top) * (last - first)

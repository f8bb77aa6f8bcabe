"""The trees of scikit-learn's histogram boosting without categories: each set of codes that a split asks for is a column."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.inside import Places, Tree
from contract.predictors import Floats

CODES = 256
"""Codes of a category column that trees tell apart; the place after the last stands for a missing value."""
HALF = 0.5
Key = tuple[int, bytes, bool]
"""A column, which of its codes go left, and whether a missing value does."""


@dataclass(frozen=True)
class Sets:
    """The sets of codes that splits ask for, each a column behind the `width` of the design: 0 where a row goes left, else 1."""

    width: int
    keys: tuple[Key, ...]

    def beside(self, matrix: Floats) -> Floats:
        """(n, e) design to (n, e + sets)."""
        if not self.keys:
            return matrix
        codes = np.where((matrix >= 0) & (matrix < CODES), matrix, CODES).astype(np.intp)
        asked = [np.frombuffer(right, dtype=np.uint8)[codes[:, column]] for column, right, _ in self.keys]
        return np.column_stack([matrix, *asked]).astype(np.float64)

    def owners(self, owners: Places) -> Places:
        return np.array([*owners, *(owners[column] for column, _, _ in self.keys)], dtype=np.intp)


def boosted(model: Any, width: int) -> tuple[list[Tree], Sets]:
    """The trees of a HistGradientBoostingClassifier over a design of so many columns, and the sets that they ask for.

    Values (nodes, m): m trees a round, each adding to one score; of two labels the one score counts as the second of two.
    """
    keys: dict[Key, int] = {}
    known, places = model._bin_mapper.make_known_categories_bitsets()
    trees = []
    for one in model._predictors:
        for score, tree in enumerate(one):
            sets = list(_sets(tree, known, places))
            at = [keys.setdefault(key, width + len(keys)) if key else -1 for key in sets]
            trees.append(_tree(tree.nodes, np.array(at), score if len(one) > 1 else 1, max(len(one), 2)))
    return trees, Sets(width, tuple(keys))


def _sets(tree: Any, known: NDArray[np.uint32], places: NDArray[np.uint32]) -> Iterable[Key | None]:
    for node in tree.nodes:
        if node["is_leaf"] or not node["is_categorical"]:
            yield None
            continue
        column, absent = int(node["feature_idx"]), bool(node["missing_go_to_left"])
        left = _bits(tree.raw_left_cat_bitsets[node["bitset_idx"]])
        there = left | _bits(known[places[column]])
        right = np.append(np.where(there, ~left, not absent), not absent)
        yield column, right.astype(np.uint8).tobytes(), absent


def _bits(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """(8,) words of 32 bits to (256,), the lowest bit first."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little").astype(bool)


def _tree(nodes: NDArray[Any], sets: Places, score: int, scores: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.intp)) for side in ("left", "right"))
    values = np.zeros((len(nodes), scores))
    values[:, score] = np.where(leaf, nodes["value"], 0.0)
    return Tree(
        left,
        right,
        np.where(nodes["missing_go_to_left"], left, right),
        np.where(leaf, -1, np.where(sets >= 0, sets, nodes["feature_idx"])).astype(np.intp),
        np.where(sets >= 0, HALF, nodes["num_threshold"]),
        values,
    )

"""Columns that alone all but give the label away."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Column
from inference.tables import date_parts, read

ROWS = 5_000
"""Rows that are looked at."""
FEWEST = 50
"""Rows under which nothing is said."""
ALL_BUT = 0.98
"""Balanced accuracy from which a column is named."""
FOLDS = 5

RowOf = Callable[[int], Mapping[str, Any]]


def leaks(columns: Mapping[str, str], row: RowOf, labels: Sequence[str | None], *, seed: int = 0) -> dict[str, float]:
    """Of columns (name -> number, category, boolean or date), those that give the label away, with their balanced accuracy.

    `row` gives the values of a row by its place; `labels` its label, None where it has none.
    Each is judged alone, by a small decision tree or a table of frequencies, cross-validated in FOLDS parts on at most ROWS
    rows: the mean over the labels of the share that is found. Labels with less than FOLDS rows are passed over, and nothing
    is said where less than FEWEST rows are left. Always saying one label has 1 / labels, so this is far above chance.
    """
    generator = np.random.default_rng(seed)
    labelled = [n for n, label in enumerate(labels) if label is not None]
    chosen = generator.permutation(np.array(labelled, dtype=np.int64))[:ROWS]
    truth = np.unique([str(labels[n]) for n in chosen], return_inverse=True)[1]
    often = np.isin(truth, np.flatnonzero(np.bincount(truth) >= FOLDS)) if len(truth) else np.zeros(0, dtype=bool)
    chosen, truth = chosen[often], np.unique(truth[often], return_inverse=True)[1]
    if len(chosen) < FEWEST or len(np.unique(truth)) < 2:
        return {}
    folds = _folds(truth, generator)
    held = [row(n) for n in chosen.tolist()]
    found = {name: _balanced(_codes(name, kind, held), kind, truth, folds) for name, kind in columns.items()}
    return {name: accuracy for name, accuracy in found.items() if accuracy >= ALL_BUT}


def _folds(truth: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """A part for each row, each label spread evenly over the parts."""
    folds = np.empty(len(truth), dtype=np.int64)
    for label in np.unique(truth):
        rows = generator.permutation(np.flatnonzero(truth == label))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def _codes(name: str, kind: str, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """(n, d) numbers of one column; a category as the number of its value, a missing value as NaN."""
    values = [row.get(name) for row in rows]
    if kind == "category":
        known = {value: float(n) for n, value in enumerate(dict.fromkeys(values))}
        return np.array([[known[value]] for value in values])
    matrix = read((Column(name, kind),), frozenset({name}), rows)[0].matrix  # type: ignore[arg-type]
    return date_parts(matrix[:, 0]) if kind == "date" else matrix


def _balanced(codes: NDArray[np.float64], kind: str, truth: NDArray[np.int64], folds: NDArray[np.int64]) -> float:
    said = np.empty_like(truth)
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        answer = _by_table if kind == "category" else _by_tree
        said[inside] = answer(codes[outside], truth[outside], codes[inside])
    return float(np.mean([np.mean(said[truth == label] == label) for label in np.unique(truth)]))


def _by_table(codes: NDArray[np.float64], truth: NDArray[np.int64], asked: NDArray[np.float64]) -> NDArray[np.int64]:
    """The label that stands most often beside a value, each label counted as if all were as frequent."""
    weights = 1 / np.bincount(truth)
    table = np.zeros((int(max(codes.max(), asked.max())) + 1, len(weights)))
    np.add.at(table, (codes[:, 0].astype(int), truth), weights[truth])
    said: NDArray[np.int64] = np.argmax(table[asked[:, 0].astype(int)], axis=1)
    return said


def _by_tree(codes: NDArray[np.float64], truth: NDArray[np.int64], asked: NDArray[np.float64]) -> NDArray[np.int64]:
    from sklearn.tree import DecisionTreeClassifier

    leaves = 2 * len(np.unique(truth)) + 8
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=2, class_weight="balanced", random_state=0)
    said: NDArray[np.int64] = tree.fit(codes, truth).predict(asked)
    return said

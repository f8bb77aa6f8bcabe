"""sklearn-hgb: histogram gradient boosting over tables, saved with skops under a reviewed list of types."""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import skops.io
import skops.io.exceptions
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from contract.inside import Last, Places, Trees
from contract.predictors import Column, Encoded, Floats
from inference import ngrams, tables, trees
from inference.course import Course
from inference.errors import ModelLoadError, UntrustedType
from inference.splits import Progress, Task

FILE = "model.skops"
TEXT_BUCKETS = 48
"""Signed counts of hashed words that stand for one text column."""
TRUSTED = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""Types beyond those skops itself trusts. partial and check_array stand in the estimator's own category encoder, where skops
holds the wrapped function against this same list; TreePredictor is walked without bounds checks, so check_tree does that."""
MAX_BYTES = 1 << 30


class Engine:
    """The boosted trees with their columns."""

    def __init__(self, columns: tuple[Column, ...], model: HistGradientBoostingClassifier, data: bytes) -> None:
        self.columns = columns
        self.model = model
        self.data = data

    def scores(self, encoded: Encoded) -> Floats:
        """Encoded rows to (n, m) sums of leaves, 0 for the first of two labels."""
        if not len(encoded.matrix):
            return np.empty((0, len(self.model.classes_)))
        found = self.model.decision_function(design(self.columns, encoded))
        return np.column_stack([np.zeros(len(found)), found]) if found.ndim == 1 else np.asarray(found)

    def inside(self, last: Last) -> Trees:
        """The trees over the design that scikit-learn makes of it, with a column for each set of categories."""
        grown, sets = trees.boosted(self.model, width(self.columns))

        def designed(encoded: Encoded) -> Floats:
            return sets.beside(self.model._preprocess_X(design(self.columns, encoded), reset=False))

        start = np.ravel(self.model._baseline_prediction)
        base = np.array([0.0, *start]) if len(start) == 1 else start
        return Trees(designed, sets.owners(owners(self.columns)), tuple(grown), base, last)

    @property
    def hidden(self) -> None:
        """None: trees have no layers."""

    def settings(self) -> dict[str, Any]:
        return {"known": len(self.model.classes_)}

    def files(self) -> dict[str, bytes]:
        return {FILE: self.data}


def design(columns: Sequence[Column], encoded: Encoded) -> Floats:
    """(n, d) encoded rows to the (n, e) matrix of the trees: codes, numbers and date parts, then word counts of texts."""
    parts = tables.parts(columns, encoded.matrix)
    codes = np.where(parts.codes == 0, np.nan, parts.codes - 1.0)
    unseen = np.array(tables.code_sizes(columns), dtype=np.float64) - 2
    codes[codes == unseen] = np.nan
    places = [place for place, column in enumerate(columns) if column.kind == "text"]
    texts = [word_counts(encoded.matrix[:, place], encoded.texts[place]) for place in places]
    return np.concatenate([codes, parts.numbers, *texts], axis=1)


def word_counts(codes: Floats, texts: tuple[str, ...]) -> Floats:
    bags = ngrams.bags(texts, characters=False)
    counts = np.zeros((len(texts) + 1, TEXT_BUCKETS))
    counts[-1] = np.nan
    owners = np.repeat(np.arange(len(texts)), np.diff(bags.starts))
    signs = np.where(bags.buckets // TEXT_BUCKETS % 2, 1.0, -1.0)
    np.add.at(counts, (owners, bags.buckets % TEXT_BUCKETS), signs * bags.counts)
    return counts[np.where(np.isnan(codes), -1, codes).astype(np.int64)]


def width(columns: Sequence[Column]) -> int:
    """How many columns `design` gives."""
    sizes = {"date": len(tables.DATE_PARTS), "text": TEXT_BUCKETS}
    return sum(sizes.get(column.kind, 1) for column in columns)


def owners(columns: Sequence[Column]) -> Places:
    """Which column each column of `design` belongs to."""
    held = tables.owners(columns)
    return np.array([*held.codes, *held.numbers, *np.repeat(held.texts, TEXT_BUCKETS)], dtype=np.intp)


def train(
    columns: tuple[Column, ...],
    encoded: Encoded,
    task: Task,
    labels: int,
    *,
    seed: int,
    progress: Progress,
    course: Course,
) -> Engine:
    """Boost trees until validation stops improving; task.truth counts the known labels from 0."""
    progress(0.0, "boosting trees")
    matrix = design(columns, encoded)
    matrix[:, np.isnan(matrix[task.training]).all(axis=0)] = 0.0  # a column without a value cannot be binned; none splits on it
    categorical = len(tables.code_sizes(columns))
    model = _estimator(len(task.training), categorical, len(task.validation) > 0, seed)
    held = task.validation
    judge = {"X_val": matrix[held], "y_val": task.truth[held], "sample_weight_val": task.weights[held]} if len(held) else {}
    rows = task.training
    model.fit(matrix[rows], task.truth[rows], task.weights[rows] / task.weights[rows].mean(), **judge)
    course.curves["sklearn-hgb"] = _curve(model)
    progress(1.0, f"{model.n_iter_} rounds of trees")
    return Engine(columns, model, dump(model))


def _curve(model: HistGradientBoostingClassifier) -> dict[str, Any]:
    """See Course: one loss for each round, all of whose trees are kept."""
    training, validation = (
        [round(-float(score), 6) for score in scores[1:]] for scores in (model.train_score_, model.validation_score_)
    )
    why = f"no better for {model.n_iter_no_change} rounds" if model.n_iter_ < model.max_iter else "as planned"
    ended = f"after round {model.n_iter_} of {model.max_iter}: {why}"
    return {"training": training, "validation": validation, "best": model.n_iter_, "ended": ended}


def _estimator(rows: int, categorical: int, judged: bool, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=300 if judged else 60,
        learning_rate=0.1,
        max_leaf_nodes=31 if rows >= 2_000 else 15,
        min_samples_leaf=int(np.clip(rows // 50, 3, 20)),
        l2_regularization=1.0,
        categorical_features=list(range(categorical)) or None,
        early_stopping=judged,
        n_iter_no_change=12,
        random_state=seed,
    )


def load(columns: tuple[Column, ...], settings: dict[str, Any], files: dict[str, bytes]) -> Engine:
    """The engine from its files. Raises UntrustedType for a type outside the list, ModelLoadError for what does not fit."""
    data = files[FILE]
    try:
        _check_size(data)
        model = skops.io.loads(data, trusted=list(TRUSTED))
    except skops.io.exceptions.UntrustedTypesFoundException:
        raise UntrustedType(tuple(sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED)))) from None
    except ModelLoadError:
        raise
    except Exception as error:
        raise ModelLoadError(f"{FILE} cannot be read: {type(error).__name__}: {error}") from error
    try:
        _check(model, width(columns), int(settings["known"]))
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        raise ModelLoadError(f"{FILE} holds no whole model: {error}") from error
    return Engine(columns, model, data)


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ModelLoadError(f"{FILE} unpacks to more than {MAX_BYTES >> 20} MB")


def _check(model: Any, inputs: int, labels: int) -> None:
    """Everything that scikit-learn follows without looking. Raises ModelLoadError."""
    if type(model) is not HistGradientBoostingClassifier:
        raise ModelLoadError(f"{FILE} holds a {type(model).__name__}, not a HistGradientBoostingClassifier")
    if model.n_features_in_ != inputs or model._n_features != inputs:
        raise ModelLoadError(f"{FILE} sees {model.n_features_in_} columns, where model.json describes {inputs}")
    trees = 1 if labels == 2 else labels
    if model.classes_.tolist() != list(range(labels)) or model.n_trees_per_iteration_ != trees:
        raise ModelLoadError(f"{FILE} knows {len(model.classes_)} labels, where model.json names {labels}")
    if np.shape(model._baseline_prediction) != (1, trees) or any(len(each) != trees for each in model._predictors):
        raise ModelLoadError(f"{FILE} has a round without {trees} trees")
    for tree in (tree for each in model._predictors for tree in each):
        check_tree(tree.nodes, len(tree.raw_left_cat_bitsets), inputs)


def check_tree(nodes: NDArray[Any], bitsets: int, inputs: int) -> None:
    """Raises ModelLoadError for a tree whose nodes name others, columns or sets of categories that are not there."""
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    held = nodes[inner]
    onward = (held["left"] > inner) & (held["right"] > inner) & (held["left"] < len(nodes)) & (held["right"] < len(nodes))
    inside = (held["feature_idx"] >= 0) & (held["feature_idx"] < inputs)
    listed = (held["is_categorical"] == 0) | (held["bitset_idx"] < bitsets)
    if not len(nodes) or not (onward & inside & listed).all():
        raise ModelLoadError(f"{FILE} has a tree that points outside itself")


def dump(model: BaseEstimator) -> bytes:
    """The skops archive with memory addresses and times taken out, so that the same model gives the same bytes."""
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    schema = source.read("schema.json").decode()
    numbers = {found: str(n) for n, found in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)))}
    schema = re.sub(r'"__id__": (\d+)', lambda found: f'"__id__": {numbers[found[1]]}', schema)
    schema = re.sub(r'"(\d+)\.(np[yz])"', lambda found: f'"{numbers[found[1]]}.{found[2]}"', schema)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(source.namelist(), key=lambda name: int(numbers.get(name.split(".")[0], -1))):
            title, ending = name.split(".")
            renamed = f"{numbers.get(title, title)}.{ending}"
            content = json.dumps(json.loads(schema)).encode() if name == "schema.json" else source.read(name)
            archive.writestr(zipfile.ZipInfo(renamed, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()

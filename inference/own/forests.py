"""The trees of brought models as numbers: scikit-learn's, XGBoost's and LightGBM's."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.inside import Places, Tree
from contract.predictors import Floats
from inference.trees import CODES, HALF, Key, Sets, boosted


@dataclass(frozen=True)
class Forest:
    """`trees` over the design that `before` makes of what a pipeline hands to its last step, (n, e) numbers; `margin` gives that
    step's own (n,) or (n, m) sums, None where the leaves are probabilities."""

    trees: Sequence[Tree]
    before: Callable[[Any], Floats]
    sets: Sets
    margin: Callable[[Any], Any] | None


def forest(model: Any, width: int) -> Forest | None:
    """The trees of a fitted classifier of so many columns; None for what has none, or splits that are not followed here."""
    read = _READERS.get((type(model).__module__.partition(".")[0], type(model).__name__))
    return read(model, width) if read else None


def leaves(trees: Sequence[Tree], points: Floats) -> Floats:
    """(n, e) points to (n, m) sums of the leaves that they fall into."""
    found = np.zeros((len(points), trees[0].values.shape[1]))
    for tree in trees:
        found += tree.values[_fallen(tree, points)]
    return found


def _fallen(tree: Tree, points: Floats) -> Places:
    at = np.zeros(len(points), dtype=np.intp)
    while (inner := np.flatnonzero(tree.left[at] >= 0)).size:
        nodes = at[inner]
        values = points[inner, tree.feature[nodes]]
        onward = np.where(values <= tree.threshold[nodes], tree.left[nodes], tree.right[nodes])
        at[inner] = np.where(np.isnan(values), tree.default[nodes], onward)
    return at


def matrix(given: Any) -> Floats:
    """What a step hands on as (n, e) numbers, a column of categories by its codes. Raises ValueError for texts."""
    if hasattr(given, "toarray"):
        return np.asarray(given.toarray(), dtype=np.float64)
    if not hasattr(given, "dtypes"):
        return np.asarray(given, dtype=np.float64)
    return np.column_stack([_column(given[name]) for name in given.columns])


def _column(series: Any) -> Floats:
    if str(series.dtype) != "category":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    codes = series.cat.codes.to_numpy(dtype=np.float64)
    return np.where(codes < 0, np.nan, codes)


def _single(given: Any) -> Floats:
    """In single precision, as most libraries compare."""
    return matrix(given).astype(np.float32).astype(np.float64)


def _none(width: int) -> Sets:
    return Sets(width, ())


def _averaged(model: Any, width: int) -> Forest:
    share = 1.0 / len(model.estimators_)
    return Forest([_sklearn(each.tree_, _shares(each.tree_) * share) for each in model.estimators_], _single, _none(width), None)


def _alone(model: Any, width: int) -> Forest:
    return Forest([_sklearn(model.tree_, _shares(model.tree_))], _single, _none(width), None)


def _shares(tree: Any) -> Floats:
    counts = tree.value[:, 0, :]
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _boosting(model: Any, width: int) -> Forest:
    rounds = model.estimators_
    scores = max(rounds.shape[1], 2)
    trees = [
        _sklearn(each.tree_, _at(each.tree_.value[:, 0, 0] * model.learning_rate, place if scores > 2 else 1, scores))
        for one in rounds
        for place, each in enumerate(one)
    ]
    return Forest(trees, _single, _none(width), model.decision_function)


def _at(values: Floats, place: int, scores: int) -> Floats:
    found = np.zeros((len(values), scores))
    found[:, place] = values
    return found


def _sklearn(tree: Any, values: Floats) -> Tree:
    left, right = tree.children_left.astype(np.intp), tree.children_right.astype(np.intp)
    absent = np.where(tree.missing_go_to_left.astype(bool), left, right)
    return Tree(left, right, absent, tree.feature.astype(np.intp), tree.threshold.astype(np.float64), values)


def _histogram(model: Any, width: int) -> Forest:
    trees, sets = boosted(model, width)
    return Forest(trees, lambda given: model._preprocess_X(given, reset=False), sets, model.decision_function)


def _xgboost(model: Any, width: int) -> Forest | None:
    held = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]["gradient_booster"]
    grown = held.get("model", {})
    if "trees" not in grown or any(any(tree["split_type"]) for tree in grown["trees"]):
        return None
    scores = max(int(model.n_classes_), 2)
    last = getattr(model, "best_iteration", None) if getattr(model, "early_stopping_rounds", None) else None
    count = len(grown["trees"]) if last is None else grown["iteration_indptr"][last + 1]
    trees = [
        _below(tree, place if scores > 2 else 1, scores)
        for tree, place in zip(grown["trees"][:count], grown["tree_info"][:count], strict=True)
    ]
    return Forest(trees, _single, _none(width), lambda given: model.predict(given, output_margin=True))


def _below(tree: Mapping[str, Any], place: int, scores: int) -> Tree:
    """XGBoost goes left where a value lies below the split, so at most just before it."""
    left, right = (np.array(tree[side], dtype=np.intp) for side in ("left_children", "right_children"))
    splits = np.array(tree["split_conditions"], dtype=np.float32)
    values = _at(np.where(left < 0, splits, 0.0).astype(np.float64), place, scores)
    absent = np.where(np.array(tree["default_left"], dtype=bool), left, right)
    below = np.nextafter(splits, np.float32(-np.inf)).astype(np.float64)
    return Tree(left, right, absent, np.array(tree["split_indices"], dtype=np.intp), below, values)


def _lightgbm(model: Any, width: int) -> Forest | None:
    held = model.booster_.dump_model()
    scores, keys = max(int(model.n_classes_), 2), dict[Key, int]()
    trees = []
    for place, tree in enumerate(held["tree_info"]):
        nodes = list(_nodes(tree["tree_structure"]))
        if any(node.get("missing_type") == "Zero" or max(_codes(node), default=0) >= CODES for node in nodes):
            return None
        trees.append(_lines(nodes, keys, width, place % scores if scores > 2 else 1, scores))
    return Forest(trees, matrix, Sets(width, tuple(keys)), lambda given: model.predict(given, raw_score=True))


def _nodes(root: Any) -> Iterator[Any]:
    """Parents before children."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [node[side] for side in ("left_child", "right_child") if side in node]


def _lines(nodes: Sequence[Any], keys: dict[Key, int], width: int, place: int, scores: int) -> Tree:
    at = {id(node): number for number, node in enumerate(nodes)}
    left, right = (
        np.array([at[id(node[side])] if side in node else -1 for node in nodes]) for side in ("left_child", "right_child")
    )
    splits = [_split(node, keys, width) for node in nodes]
    feature, threshold, absent = (np.array(each) for each in zip(*splits, strict=True))
    values = _at(np.array([0.0 if "left_child" in node else node["leaf_value"] for node in nodes]), place, scores)
    return Tree(left, right, np.where(absent, left, right), feature.astype(np.intp), threshold, values)


def _codes(node: Any) -> list[int]:
    """The codes of a category that a split sends left."""
    return [int(code) for code in node["threshold"].split("||")] if node.get("decision_type") == "==" else []


def _split(node: Any, keys: dict[Key, int], width: int) -> tuple[int, float, bool]:
    """The column, the threshold, and whether a missing value goes left."""
    if "left_child" not in node:
        return -1, 0.0, False
    if node["decision_type"] == "==":
        right = np.ones(CODES + 1, dtype=np.uint8)
        right[_codes(node)] = 0
        key = (int(node["split_feature"]), right.tobytes(), False)
        return keys.setdefault(key, width + len(keys)), HALF, False
    known = node["missing_type"] == "NaN"
    return int(node["split_feature"]), float(node["threshold"]), node["default_left"] if known else node["threshold"] >= 0


_READERS: Mapping[tuple[str, str], Callable[[Any, int], Forest | None]] = {
    ("sklearn", "RandomForestClassifier"): _averaged,
    ("sklearn", "ExtraTreesClassifier"): _averaged,
    ("sklearn", "DecisionTreeClassifier"): _alone,
    ("sklearn", "ExtraTreeClassifier"): _alone,
    ("sklearn", "GradientBoostingClassifier"): _boosting,
    ("sklearn", "HistGradientBoostingClassifier"): _histogram,
    ("xgboost", "XGBClassifier"): _xgboost,
    ("lightgbm", "LGBMClassifier"): _lightgbm,
}

"""What libraries follow without looking when a loaded model predicts: trees, indices and sizes, held against each other first."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference import boosting
from inference.errors import ModelLoadError

Numbers = NDArray[Any]


def check(model: Any) -> None:
    """Look through everything that a model consists of. Raises ModelLoadError for what points outside itself."""
    for part in parts(model):
        for kind in type(part).__mro__:
            if found := _CHECKS.get(f"{kind.__module__}.{kind.__qualname__}"):
                _held(found, part)


def parts(model: Any) -> Iterator[Any]:
    """The model and every object in it, each once."""
    seen: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, (str, bytes, bytearray, int, float, type(None))):
            continue
        seen[id(part)] = part
        yield part
        waiting += _inside(part)


def _inside(part: Any) -> list[Any]:
    if isinstance(part, Mapping):
        return list(part.values())
    if isinstance(part, (list, tuple, set)):
        return list(part)
    if isinstance(part, partial):
        return [part.func, part.args, part.keywords]
    if isinstance(part, np.ndarray):
        return list(part.ravel()) if part.dtype == object else []
    return list(getattr(part, "__dict__", {}).values())


def _held(found: Callable[[Any], bool], part: Any) -> None:
    try:
        sound = found(part)
    except ModelLoadError:
        raise
    except Exception as error:
        raise ModelLoadError(f"the model's {type(part).__name__} is not whole: {type(error).__name__}: {error}") from error
    if not sound:
        raise ModelLoadError(f"the model has a {type(part).__name__} that points outside itself")


def _children(left: Numbers, right: Numbers, nodes: int) -> bool:
    """Whether children lie within n nodes, each the child of one node and the first of none, so that every walk ends."""
    children = np.concatenate([left, right]).astype(np.int64)
    within = (children > 0) & (children < nodes)
    return bool(within.all()) and len(np.unique(children)) == len(children)


def _tree(tree: Any) -> bool:
    """sklearn.tree: -1 as the left child marks a leaf; every other node has a feature and two children."""
    if not 0 < tree.node_count <= tree.capacity:
        return False
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    inside = (feature[inner] >= 0) & (feature[inner] < tree.n_features)
    return bool(inside.all()) and _children(left[inner], right[inner], tree.node_count)


def _grown(model: Any) -> bool:
    """An estimator of one tree sees as many columns as its tree."""
    return not hasattr(model, "tree_") or bool(model.tree_.n_features == model.n_features_in_)


def _boosted(model: Any) -> bool:
    """GradientBoosting hands rows to its trees itself."""
    trees = np.ravel(getattr(model, "estimators_", np.empty(0, dtype=object)))
    return all(each.tree_.n_features == model.n_features_in_ for each in trees)


def _histogram(model: Any) -> bool:
    if not hasattr(model, "_predictors"):
        return True
    width, mapper = model._n_features, getattr(model, "_bin_mapper", None)
    if mapper is not None and not len(mapper.bin_thresholds_) == len(mapper.is_categorical_) == width:
        return False
    for tree in (tree for each in model._predictors for tree in each):
        if tree.raw_left_cat_bitsets.shape[1:] != (8,):
            return False
        boosting.check_tree(tree.nodes, len(tree.raw_left_cat_bitsets), width)
    return all(len(each) == model.n_trees_per_iteration_ for each in model._predictors)


def _sparse(matrix: Any) -> bool:
    matrix.check_format(full_check=True)
    return True


def _vocabulary(model: Any) -> bool:
    """Words are the numbers of columns; texts are texts, not names of files to read."""
    if model.input != "content":
        raise ModelLoadError(f"{type(model).__name__} reads its texts from files (input={model.input!r}); fit it on the texts")
    words = getattr(model, "vocabulary_", None)
    return not words or sorted(words.values()) == list(range(len(words)))


def _support(model: Any) -> bool:
    """libsvm: as many vectors and coefficients as the counts say."""
    if not hasattr(model, "support_vectors_"):
        return True
    labels, vectors = len(model._n_support), int(model._n_support.sum())
    pairs = labels * (labels - 1) // 2
    held = (model.support_vectors_.shape, model._dual_coef_.shape, np.shape(model._intercept_), np.shape(model.support_))
    chances = {np.size(model._probA), np.size(model._probB)} <= {0, pairs}
    whole = not model._sparse or model._dual_coef_.nnz == vectors * (labels - 1)
    expected = ((vectors, model.shape_fit_[1]), (labels - 1, vectors), (pairs,), (vectors,))
    return held == expected and chances and whole and bool((model._n_support >= 0).all())


def _neighbours(tree: Any) -> bool:
    """KDTree and BallTree: a full binary tree whose leaves are ranges of a list of points."""
    points, order, nodes, bounds = (np.asarray(each) for each in tree.get_arrays())
    count, places = len(points), np.arange(len(nodes))
    ranges = (nodes["idx_start"] >= 0) & (nodes["idx_start"] <= nodes["idx_end"]) & (nodes["idx_end"] <= count)
    within = len(order) == count and bool(((order >= 0) & (order < count)).all())
    onward = (nodes["is_leaf"] != 0) | (2 * places + 2 < len(nodes))
    return within and bool(len(nodes)) and bool((ranges & onward).all()) and bounds.shape[1:] == (len(nodes), points.shape[1])


def _spline(spline: Any) -> bool:
    """Knots in order, and a coefficient for each basis function."""
    places = len(spline.t) - int(spline.k) - 1
    return spline.t.ndim == 1 and spline.k >= 0 and 0 < places <= len(spline.c) and bool((np.diff(spline.t) >= 0).all())


def _xgboost(booster: Any) -> bool:
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    held = learner["gradient_booster"]
    model = held.get("gbtree", held).get("model", {})
    width = int(learner["learner_model_param"]["num_feature"])
    groups = max(1, int(learner["learner_model_param"]["num_class"]))
    trees = model.get("trees", [])
    of_group = np.array(model.get("tree_info", []))
    placed = len(of_group) == len(trees) and bool(((of_group >= 0) & (of_group < groups)).all())
    return placed and all(_xgboost_tree(tree, width) for tree in trees)


def _xgboost_tree(tree: Mapping[str, Any], width: int) -> bool:
    left, right, feature = (np.array(tree[name], dtype=np.int64) for name in ("left_children", "right_children", "split_indices"))
    if not len(left) == len(right) == len(feature) > 0:
        return False
    inner = left != -1
    ends = np.array(tree["categories_segments"], dtype=np.int64) + np.array(tree["categories_sizes"], dtype=np.int64)
    sound = bool(((feature[inner] >= 0) & (feature[inner] < width)).all()) and bool((ends <= len(tree["categories"])).all())
    return sound and _children(left[inner], right[inner], len(left))


def _lightgbm(booster: Any) -> bool:
    text = booster.model_to_string()
    width = int(_field(text, "max_feature_idx")[0]) + 1
    return all(_lightgbm_tree(part, width) for part in re.split(r"^Tree=", text, flags=re.MULTILINE)[1:])


def _lightgbm_tree(text: str, width: int) -> bool:
    """Children from 0 are inner nodes, below 0 leaves counted from -1."""
    leaves = int(_field(text, "num_leaves")[0])
    left, right, feature = (_field(text, name).astype(np.int64) for name in ("left_child", "right_child", "split_feature"))
    if leaves == 1:
        return True
    children = np.concatenate([left, right])
    inner, ends = children[children >= 0], ~children[children < 0]
    counted = len(left) == len(right) == len(feature) == leaves - 1
    walked = bool(((inner > 0) & (inner < leaves - 1)).all()) and len(np.unique(inner)) == len(inner)
    seen = np.concatenate([feature, _field(text, "leaf_features").astype(np.int64)])
    return counted and walked and bool((ends < leaves).all()) and bool(((seen >= 0) & (seen < width)).all()) and _lists(text)


def _lists(text: str) -> bool:
    """LightGBM's categorical splits: the threshold numbers a list of categories, which lies within all of them."""
    split = _field(text, "decision_type").astype(np.int64) & 1 == 1
    numbers = _field(text, "threshold")[split].astype(np.int64)
    bounds, held = _field(text, "cat_boundaries").astype(np.int64), len(_field(text, "cat_threshold"))
    if not len(numbers):
        return True
    rising = bool((np.diff(bounds) >= 0).all()) and bounds[0] >= 0 and bounds[-1] <= held
    return bool(rising) and bool(((numbers >= 0) & (numbers < len(bounds) - 1)).all())


def _field(text: str, name: str) -> Numbers:
    found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    return np.array(found[1].split() if found else [], dtype=np.float64)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "sklearn.tree._tree.Tree": _tree,
    "sklearn.tree._classes.BaseDecisionTree": _grown,
    "sklearn.ensemble._gb.BaseGradientBoosting": _boosted,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": _histogram,
    "sklearn.feature_extraction.text._VectorizerMixin": _vocabulary,
    "sklearn.svm._base.BaseLibSVM": _support,
    "sklearn.neighbors._kd_tree.BinaryTree64": _neighbours,
    "sklearn.neighbors._ball_tree.BinaryTree64": _neighbours,
    "scipy.sparse._csr._csr_base": _sparse,
    "scipy.sparse._csc._csc_base": _sparse,
    "scipy.interpolate._bsplines.BSpline": _spline,
    "xgboost.core.Booster": _xgboost,
    "lightgbm.basic.Booster": _lightgbm,
}

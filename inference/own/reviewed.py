"""skops files of scikit-learn models: the types that may be loaded, and what was looked at before they were listed.

skops builds what a file names: `ObjectNode` calls `cls.__new__` and sets the state that the file gives, `FunctionNode` and
`TypeNode` fetch a name out of a module, other loaders call one. It trusts scikit-learn's public estimators, numpy's and scipy's
ufuncs and plain types of its own accord; everything else it needs is below, each with the one loader that it was reviewed for. A
file that asks for a listed name through another loader (to call `numpy.clip` while it is loaded, say) is refused.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from inference.errors import ModelLoadError, UntrustedType

MAX_BYTES = 1 << 30
_NUMPY = (
    "amax", "amin", "around", "atleast_1d", "atleast_2d", "average", "clip", "column_stack", "concatenate", "cumsum",
    "diff", "digitize", "expand_dims", "hstack", "isin", "max", "mean", "median", "min", "nan_to_num", "nanmean", "nanmedian",
    "prod", "ravel", "real", "reshape", "round", "sort", "squeeze", "stack", "std", "sum", "swapaxes", "transpose", "var",
    "vstack", "where",
)  # fmt: skip
_SELECTING = ("f_classif", "f_oneway", "f_regression", "r_regression", "chi2")
_PREPROCESSING = (
    "add_dummy_feature", "binarize", "maxabs_scale", "minmax_scale", "normalize", "power_transform", "quantile_transform",
    "robust_scale", "scale",
)  # fmt: skip
_PAIRWISE = (
    "additive_chi2_kernel", "chi2_kernel", "cosine_distances", "cosine_similarity", "euclidean_distances", "laplacian_kernel",
    "linear_kernel", "manhattan_distances", "nan_euclidean_distances", "polynomial_kernel", "rbf_kernel", "sigmoid_kernel",
)  # fmt: skip
_SCORING = (
    "accuracy_score", "balanced_accuracy_score", "brier_score_loss", "cohen_kappa_score", "f1_score", "fbeta_score",
    "jaccard_score", "log_loss", "matthews_corrcoef", "precision_score", "recall_score", "zero_one_loss",
)  # fmt: skip
_SPLITS = (
    "KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit",
    "StratifiedShuffleSplit", "GroupShuffleSplit", "TimeSeriesSplit", "PredefinedSplit", "LeaveOneOut",
)  # fmt: skip
_KERNELS = ("CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "Product", "RBF",
            "RationalQuadratic", "Sum", "WhiteKernel")  # fmt: skip


def _all(module: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names)


_REVIEWED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("DTypeNode", ("numpy.dtype",),
     "The dtype of an empty array that numpy reads with allow_pickle off."),
    ("SparseMatrixNode", _all("scipy.sparse", ("_csr.csr_matrix", "_csc.csc_matrix", "_csr.csr_array", "_csc.csc_array")),
     "scipy.sparse.load_npz, which reads arrays with allow_pickle off; indices are held against the shape in `sound`."),
    ("DictNode", ("sklearn.utils._bunch.Bunch",),
     "A dictionary: made empty, then filled."),
    ("TypeNode", ("collections.OrderedDict",),
     "What LightGBM's defaultdict of scores makes where a key is missing: an empty dictionary."),
    ("TreeNode", ("sklearn.tree._tree.Tree",),
     "Nodes and values as arrays, whose dtype and shape Tree checks itself. It follows them without looking: `sound` looks."),
    ("ObjectNode", ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",),
     "Nodes as an array, followed without looking: `sound` looks."),
    ("ObjectNode", ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"),
     "Points and nodes as arrays of fixed dtypes, followed without looking: `sound` looks."),
    ("ObjectNode", _all("sklearn.metrics._dist_metrics", ("EuclideanDistance64", "ManhattanDistance64", "ChebyshevDistance64")),
     "Distances that use none of the state they are given but p; those that follow an array (Minkowski's weights) are left out."),
    ("ObjectNode", ("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration",
                    "sklearn.calibration._TemperatureScaling", "sklearn.multiclass._ConstantPredictor"),
     "Python classes that hold estimators and numbers; no __setstate__ but BaseEstimator's, which compares versions."),
    ("ObjectNode", ("sklearn.impute._iterative.IterativeImputer",
                    "sklearn.compose._column_transformer.make_column_selector"),
     "Python classes that hold parameters; a selector matches names by a regular expression while fitting only."),
    ("TupleNode", ("sklearn.impute._iterative._ImputerTriplet",),
     "A namedtuple of indices and an estimator."),
    ("ObjectNode", ("sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
                    *_all("sklearn.gaussian_process.kernels", _KERNELS)),
     "Python classes over numpy arrays; PairwiseKernel, which calls what it is given, is left out."),
    ("ObjectNode", _all("sklearn.neural_network._stochastic_optimizers", ("AdamOptimizer", "SGDOptimizer")),
     "Python classes of numbers; used while fitting only."),
    ("ObjectNode", ("scipy.interpolate._bsplines.BSpline",),
     "Knots and coefficients as arrays; their sizes are held against each other in `sound`."),
    ("FunctionNode", ("scipy._lib.array_api_compat.numpy._aliases.asarray",),
     "numpy.asarray, which BSpline keeps."),
    ("ObjectNode", (*_all("sklearn.metrics._scorer", ("_Scorer", "_PassthroughScorer", "_CurveScorer")),
                    *_all("sklearn.utils._metadata_requests", ("MetadataRequest", "MethodMetadataRequest")),
                    *_all("sklearn.model_selection._split", _SPLITS)),
     "Python classes that hold parameters of a search; predicting calls none of them."),
    ("FunctionNode", (*_all("sklearn.metrics._classification", _SCORING), "sklearn.metrics._ranking.roc_auc_score",
                      "sklearn.metrics._ranking.average_precision_score"),
     "Functions of labels and probabilities to a number."),
    ("FunctionNode", _all("numpy", _NUMPY),
     "Functions of arrays to arrays, for FunctionTransformer. None opens a file, runs text or calls what it is given."),
    ("TypeNode", ("numpy.array", "numpy.asarray", "numpy.ascontiguousarray", "numpy.number", "numpy.object_", "numpy.generic"),
     "Fetched by name: functions of arrays to arrays, and abstract types that cannot be made."),
    ("FunctionNode", (*_all("sklearn.feature_selection._univariate_selection", _SELECTING),
                      *_all("sklearn.feature_selection._mutual_info", ("mutual_info_classif", "mutual_info_regression")),
                      *_all("sklearn.preprocessing._data", _PREPROCESSING), *_all("sklearn.metrics.pairwise", _PAIRWISE),
                      *_all("sklearn.feature_extraction.text", ("strip_accents_ascii", "strip_accents_unicode", "strip_tags")),
                      "sklearn.utils.validation.check_array"),
     "scikit-learn's own functions of arrays, and of one text, to the same."),
    ("PartialNode", ("functools.partial",),
     "Binds arguments to a function, which is held against this list in its turn; used by HistGradientBoosting's encoder."),
    ("ObjectNode", ("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRFClassifier",
                    "lightgbm.sklearn.LGBMClassifier"),
     "Python classes that hold parameters and a booster; no __setstate__ but BaseEstimator's."),
    ("ObjectNode", ("xgboost.core.Booster", "lightgbm.basic.Booster"),
     "Their __setstate__ hands the model's text to the library's reader. Trees are held against their own size in `sound`."),
)  # fmt: skip

LOADERS: Mapping[str, str] = {name: loader for loader, names, _ in _REVIEWED for name in names}
"""Each type beyond those of skops itself, with the one loader by which it may come."""


def load(data: bytes, name: str = "model.skops") -> Any:
    """The object of a skops file. Raises UntrustedType for a type outside the list, ModelLoadError for what cannot be read."""
    import skops.io
    import skops.io.exceptions

    try:
        _check(data, name)
        return skops.io.loads(data, trusted=list(LOADERS))
    except skops.io.exceptions.UntrustedTypesFoundException:
        raise UntrustedType(tuple(sorted(set(untrusted(data)))), name) from None
    except (ModelLoadError, Warning):
        raise
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"{name} needs {error.name}, which is not installed: {install(str(error.name))}") from error
    except Exception as error:
        raise ModelLoadError(f"{name} cannot be read: {type(error).__name__}: {error}") from error


def install(package: str) -> str:
    """The line that brings a package."""
    root = package.split(".")[0]
    return f"pip install {_PACKAGES.get(root, root)}"


_PACKAGES = {"sklearn": "scikit-learn", "mlflow": "'signoff[mlflow]'"}


def untrusted(data: bytes) -> list[str]:
    """The names in a skops file that are outside the list, or come by another loader than theirs."""
    import skops.io

    wrong = [name for name, loader in _named(_schema(data)) if name in LOADERS and loader != LOADERS[name]]
    return sorted((set(skops.io.get_untrusted_types(data=data)) - set(LOADERS)) | set(wrong))


def _check(data: bytes, name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ModelLoadError(f"{name} unpacks to more than {MAX_BYTES >> 20} MB")
    wrong = [each for each, loader in _named(_schema(data)) if each in LOADERS and loader != LOADERS[each]]
    if wrong:
        raise UntrustedType(tuple(sorted(set(wrong))), name)


def _schema(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("schema.json"))


def _named(node: Any) -> Iterator[tuple[str, str]]:
    """Every type in a schema with its loader. A name that is split between module and class otherwise is put together again."""
    waiting = [node]
    while waiting:
        held = waiting.pop()
        if isinstance(held, dict):
            if "__loader__" in held:
                yield f"{held.get('__module__')}.{held.get('__class__')}", str(held["__loader__"])
            waiting += held.values()
        elif isinstance(held, list):
            waiting += held

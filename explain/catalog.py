"""Which methods explain which model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.predictors import ImageModel, TableModel, TextModel
from contract.reasons import METHODS, Modality
from contract.records import Row
from explain.chunked import chunked
from explain.errors import NotExplainable
from explain.explainer import Explainer
from explain.pacing import Between, nothing

EVALUATIONS = 1_000
_KINDS: Mapping[Modality, str] = {"tabular": "model of tables", "text": "model of texts", "image": "model of images"}


@dataclass(frozen=True)
class Given:
    """A model with its background, and what was asked of its methods. `ahead`: made by itself, not because somebody asked."""

    model: Any
    background: Sequence[Row]
    modality: Modality
    params: Mapping[str, int]
    between: Between
    ahead: bool = False

    @property
    def asked(self) -> Any:
        """The model's view, with room for others between its answers."""
        return chunked(self.model, self.between)


Build = Callable[[Given, Mapping[str, int]], Explainer]


def explainers_for(
    model: object,
    background: Sequence[Row],
    *,
    methods: Sequence[str] = (),
    samples: int | None = None,
    evaluations: int | None = None,
    between: Between = nothing,
) -> list[Explainer]:
    """SHAP and LIME for a model: the `methods` that suit it, or where none is named or suits, those that suit it best.

    Of SHAP that is what looks inside trees, linear models and networks; else every coalition of a table's features where these
    are no more than `evaluations` (1,000 where none are said), else permutations or partitions. `samples` and `evaluations`
    default to each method's own. `between` is called between pieces of work, so that others get their turn; it must not raise.
    Raises NotExplainable for a model without a view, and for one of tables without background.
    """
    asked = {name: value for name, value in (("samples", samples), ("evaluations", evaluations)) if value is not None}
    given = Given(model, background, modality_of(model), asked, between, ahead=True)
    made = [each for method in methods if (each := _tried(given, method)) is not None]
    return made or [_shap(given), _built(given, f"lime.{given.modality}")]


def explainer_for(
    model: object, background: Sequence[Row], method: str, *, params: Mapping[str, int] | None = None, between: Between = nothing
) -> Explainer:
    """One method for a model, as somebody asked for it. Raises NotExplainable, with a sentence, where it does not suit."""
    modality = modality_of(model)
    if method not in METHODS:
        raise NotExplainable(f"{method} is no method; there are {', '.join(METHODS)}.")
    return _built(Given(model, background, modality, params or {}, between), method)


def modality_of(model: object) -> Modality:
    """By the view that a model offers. Raises NotExplainable for one without."""
    if isinstance(model, TableModel):
        return "tabular"
    if isinstance(model, TextModel):
        return "text"
    if isinstance(model, ImageModel):
        return "image"
    raise NotExplainable(f"{type(model).__name__} offers no view of a table, a text or an image to explain.")


def _shap(given: Given) -> Explainer:
    """What suits a model best."""
    for method in ("shap.tree", "shap.linear", "shap.gradient"):
        if (made := _tried(given, method)) is not None:
            return made
    return _outside(given)


def _outside(given: Given) -> Explainer:
    """SHAP for a model that is asked and not looked into."""
    if given.modality != "tabular":
        return _built(given, "shap.partition")
    few = 2 ** len(given.asked.columns) <= given.params.get("evaluations", EVALUATIONS)
    return (_tried(given, "shap.exact") if few else None) or _built(given, "shap.permutation")


def _tried(given: Given, method: str) -> Explainer | None:
    try:
        return _built(given, method)
    except NotExplainable:
        return None


def _built(given: Given, method: str) -> Explainer:
    build = _BUILDS.get((method, given.modality))
    if build is None:
        raise NotExplainable(f"{METHODS[method].title} explains no {_KINDS[given.modality]}.")
    return build(given, {name: value for name, value in given.params.items() if name in METHODS[method].asks})


def _tree(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.tree_shap import TreeShap

    return TreeShap(given.model, given.background, between=given.between)


def _linear(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.linear_shap import LinearShap

    return LinearShap(given.model, given.background, between=given.between)


def _gradient(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.gradient_shap import GradientShap

    fallback = _outside(given) if given.ahead else None
    return GradientShap(given.model, given.background, fallback=fallback, between=given.between, **params)


def _gradient_image(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.gradient_shap import GradientImage

    fallback = _outside(given) if given.ahead else None
    return GradientImage(given.model, fallback=fallback, between=given.between, **params)


def _deep(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.deep_shap import DeepShap

    return DeepShap(given.model, given.background, between=given.between)


def _deep_image(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.deep_shap import DeepImage

    return DeepImage(given.model, between=given.between)


def _exact(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.exact_shap import ExactShap

    return ExactShap(given.asked, given.background)


def _permutation(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.permutation_shap import PermutationShap

    return PermutationShap(given.asked, given.background, **params)


def _lime_tabular(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.lime_tabular import LimeTabular

    return LimeTabular(given.asked, given.background, **params)


def _partition_text(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.partition_text import PartitionText

    return PartitionText(given.asked, **params)


def _lime_text(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.lime_text import LimeText

    return LimeText(given.asked, **params)


def _partition_image(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.partition_image import PartitionImage

    return PartitionImage(given.asked, **params)


def _lime_image(given: Given, params: Mapping[str, int]) -> Explainer:
    from explain.lime_image import LimeImage

    return LimeImage(given.asked, **params)


_BUILDS: Mapping[tuple[str, Modality], Build] = {
    ("shap.tree", "tabular"): _tree,
    ("shap.linear", "tabular"): _linear,
    ("shap.gradient", "tabular"): _gradient,
    ("shap.gradient", "image"): _gradient_image,
    ("shap.deep", "tabular"): _deep,
    ("shap.deep", "image"): _deep_image,
    ("shap.exact", "tabular"): _exact,
    ("shap.permutation", "tabular"): _permutation,
    ("shap.partition", "text"): _partition_text,
    ("shap.partition", "image"): _partition_image,
    ("lime.tabular", "tabular"): _lime_tabular,
    ("lime.text", "text"): _lime_text,
    ("lime.image", "image"): _lime_image,
}

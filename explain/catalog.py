"""Which methods explain which model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contract.predictors import ImageModel, TableModel, TextModel
from contract.reasons import METHODS, Modality, suiting
from contract.records import Row
from explain.chunked import chunked
from explain.errors import NotExplainable
from explain.explainer import Explainer
from explain.pacing import Between, nothing

Build = Callable[["Given"], Explainer]


class Given:
    """A model with its background, and what was asked of a method."""

    def __init__(self, model: object, background: Sequence[Row], params: Mapping[str, int], between: Between) -> None:
        self.model, self.background, self.params, self.between = model, background, params, between
        self.asked: Any = chunked(model, between)  # type: ignore[arg-type]


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

    `samples` and `evaluations` default to each method's own. `between` is called between pieces of work, so that others get
    their turn; it must not raise. Raises NotExplainable for a model without a view, and for one of tables without background.
    """
    params = {name: value for name, value in (("samples", samples), ("evaluations", evaluations)) if value is not None}
    modality = modality_of(model)
    named = [method for method in methods if method in suiting(modality)]
    made = [each for method in named if (each := _tried(model, background, method, params, between)) is not None]
    return made or [_built(model, background, method, params, between) for method in _best(modality)]


def explainer_for(
    model: object, background: Sequence[Row], method: str, *, params: Mapping[str, int] | None = None, between: Between = nothing
) -> Explainer:
    """One method for a model, as somebody asked for it. Raises NotExplainable, with a sentence, where it does not suit."""
    modality = modality_of(model)
    if method not in METHODS:
        raise NotExplainable(f"{method} is no method; there are {', '.join(METHODS)}.")
    if method not in suiting(modality):
        raise NotExplainable(f"{METHODS[method].title} explains no {modality} model.")
    return _built(model, background, method, params or {}, between)


def modality_of(model: object) -> Modality:
    """By the view that a model offers. Raises NotExplainable for one without."""
    if isinstance(model, TableModel):
        return "tabular"
    if isinstance(model, TextModel):
        return "text"
    if isinstance(model, ImageModel):
        return "image"
    raise NotExplainable(f"{type(model).__name__} offers no view of a table, a text or an image to explain.")


def _best(modality: Modality) -> tuple[str, str]:
    shap = "shap.permutation" if modality == "tabular" else "shap.partition"
    return shap, f"lime.{modality}"


def _tried(
    model: object, background: Sequence[Row], method: str, params: Mapping[str, int], between: Between
) -> Explainer | None:
    try:
        return _built(model, background, method, params, between)
    except NotExplainable:
        return None


def _built(model: object, background: Sequence[Row], method: str, params: Mapping[str, int], between: Between) -> Explainer:
    asks = METHODS[method].asks
    own = {name: value for name, value in params.items() if name in asks}
    build = _BUILDS.get((method, modality_of(model)))
    if build is None:
        raise NotExplainable(f"{METHODS[method].title} does not suit this model.")
    return build(Given(model, background, own, between))


def _permutation(given: Given) -> Explainer:
    from explain.permutation_shap import PermutationShap

    return PermutationShap(given.asked, given.background, **given.params)


def _lime_tabular(given: Given) -> Explainer:
    from explain.lime_tabular import LimeTabular

    return LimeTabular(given.asked, given.background, **given.params)


def _partition_text(given: Given) -> Explainer:
    from explain.partition_text import PartitionText

    return PartitionText(given.asked, **given.params)


def _lime_text(given: Given) -> Explainer:
    from explain.lime_text import LimeText

    return LimeText(given.asked, **given.params)


def _partition_image(given: Given) -> Explainer:
    from explain.partition_image import PartitionImage

    return PartitionImage(given.asked, **given.params)


def _lime_image(given: Given) -> Explainer:
    from explain.lime_image import LimeImage

    return LimeImage(given.asked, **given.params)


_BUILDS: Mapping[tuple[str, Modality], Build] = {
    ("shap.permutation", "tabular"): _permutation,
    ("shap.partition", "text"): _partition_text,
    ("shap.partition", "image"): _partition_image,
    ("lime.tabular", "tabular"): _lime_tabular,
    ("lime.text", "text"): _lime_text,
    ("lime.image", "image"): _lime_image,
}

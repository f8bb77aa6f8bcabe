"""Which methods explain which model."""

from collections.abc import Sequence

from contract.predictors import ImageModel, TableModel, TextModel
from contract.records import Row
from explain.errors import NotExplainable
from explain.explainer import Explainer


def explainers_for(
    model: object,
    background: Sequence[Row],
    *,
    background_rows: int = 64,
    shap_evaluations: int | None = None,
    lime_samples: int | None = None,
) -> list[Explainer]:
    """SHAP and LIME for a model, chosen by the view it offers: table, text or image.

    `background_rows` bounds what SHAP compares a table's row with; evaluations and samples default to each method's own.
    Raises NotExplainable for a model without such a view, and for a table model without background.
    """
    shap = {} if shap_evaluations is None else {"evaluations": shap_evaluations}
    lime = {} if lime_samples is None else {"samples": lime_samples}
    if isinstance(model, TableModel):
        from explain.lime_tabular import LimeTabular
        from explain.permutation_shap import PermutationShap

        return [PermutationShap(model, background, rows=background_rows, **shap), LimeTabular(model, background, **lime)]
    if isinstance(model, TextModel):
        from explain.lime_text import LimeText
        from explain.partition_text import PartitionText

        return [PartitionText(model, **shap), LimeText(model, **lime)]
    if isinstance(model, ImageModel):
        from explain.lime_image import LimeImage
        from explain.partition_image import PartitionImage

        return [PartitionImage(model, **shap), LimeImage(model, **lime)]
    raise NotExplainable(f"{type(model).__name__} offers no view of a table, a text or an image to explain.")

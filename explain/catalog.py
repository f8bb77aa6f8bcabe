"""Which methods explain which model."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from contract.predictors import Column, Encoded, Floats, ImageModel, TableModel, TextModel
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


def warm_up(modality: Literal["tabular", "text", "image"]) -> None:
    """Explain one small item, so that the libraries are loaded and what they compile at first use (seconds) is compiled."""
    model, rows = _TOYS[modality]
    for explainer in explainers_for(model, rows, shap_evaluations=20, lime_samples=50):
        explainer.explain(rows[0], label="yes", seed=0)


@dataclass(frozen=True)
class _Toy:
    """What the three toys share: two labels, and more of `yes` the larger the mean of what is given."""

    labels: tuple[str, ...] = ("no", "yes")
    feature: str = "it"

    def _answer(self, means: Any) -> Floats:
        return np.column_stack([1 - np.clip(means, 0, 1), np.clip(means, 0, 1)])


@dataclass(frozen=True)
class _ToyTable(_Toy):
    columns: tuple[Column, ...] = (Column("a", "number"), Column("b", "number"))

    def encode(self, rows: Sequence[Row]) -> Encoded:
        return Encoded(np.array([[row["a"], row["b"]] for row in rows]), {})

    def table_probabilities(self, encoded: Encoded) -> Floats:
        return self._answer(encoded.matrix.mean(axis=1))


@dataclass(frozen=True)
class _ToyText(_Toy):
    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        return self._answer([len(text) / 20 for text in texts])


@dataclass(frozen=True)
class _ToyImage(_Toy):
    def decode(self, data: bytes) -> Floats:
        return np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64)[..., None] / 255

    def image_probabilities(self, images: Floats) -> Floats:
        return self._answer(images.mean(axis=(1, 2, 3)))


def _toy_image() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, format="PNG")
    return file.getvalue()


_TOYS: dict[str, tuple[object, list[Row]]] = {
    "tabular": (_ToyTable(), [{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.1}, {"a": 0.5, "b": 0.4}]),
    "text": (_ToyText(), [{"it": "three short words"}]),
    "image": (_ToyImage(), [{"it": _toy_image()}]),
}

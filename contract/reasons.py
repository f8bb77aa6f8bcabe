"""The methods that explain: what each takes, and what may be asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Modality = Literal["tabular", "text", "image"]


@dataclass(frozen=True, slots=True)
class Method:
    """`asks`: the numbers that may be set, with the least and the most of each."""

    title: str
    modalities: frozenset[Modality]
    asks: Mapping[str, tuple[int, int]]


_SAMPLES = {"samples": (100, 50_000)}
_EVALUATIONS = {"evaluations": (100, 50_000)}


def _method(title: str, modalities: str, asks: Mapping[str, tuple[int, int]] | None = None) -> Method:
    return Method(title, frozenset(modalities.split()), asks or {})  # type: ignore[arg-type]


METHODS: Mapping[str, Method] = {
    "shap.tree": _method("SHAP (trees)", "tabular"),
    "shap.linear": _method("SHAP (linear)", "tabular"),
    "shap.gradient": _method("SHAP (gradients)", "tabular image", _SAMPLES),
    "shap.deep": _method("SHAP (DeepLIFT)", "tabular image"),
    "shap.exact": _method("SHAP (exact)", "tabular"),
    "shap.permutation": _method("SHAP (permutations)", "tabular", _EVALUATIONS),
    "shap.partition": _method("SHAP (partitions)", "text image", _EVALUATIONS),
    "lime.tabular": _method("LIME", "tabular", {**_SAMPLES, "features": (1, 1_000)}),
    "lime.text": _method("LIME", "text", _SAMPLES),
    "lime.image": _method("LIME", "image", _SAMPLES),
}
"""By name; what a worker chooses by itself comes first where several suit."""


def suiting(modality: Modality) -> tuple[str, ...]:
    """The methods for a type of input."""
    return tuple(name for name, method in METHODS.items() if modality in method.modalities)

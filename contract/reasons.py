"""The methods that explain: what each takes, and what may be asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Modality = Literal["tabular", "text", "image"]
LEAST_STABILITY = 0.6
"""Mean Jaccard index of the five strongest over three seeds, below which an explanation is called unstable."""


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


def swaying(stability: float | None) -> str | None:
    """Why an order of contributions is not to be relied on, where other draws name others; None where they do not."""
    if stability is None or stability >= LEAST_STABILITY:
        return None
    return f"other random draws name other reasons (overlap {stability:.2f}, at least {LEAST_STABILITY} is asked)"

"""From what a method found to the record that is kept: timed, checked, and with a sentence where it failed."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from contract.predictors import Floats
from contract.records import Explanation, Unit
from explain.errors import ExplainError, UnknownLabel
from explain.quality import doubt
from explain.target import named

STEADY = "The model gives the same answer whatever is changed, so nothing contributes."
FLAT = 1e-12
"""Answers that differ by less are the same answer."""
LEAST = 1e-3
"""A gap is held against no less than this."""


@dataclass(frozen=True)
class Finding:
    """What a method found for one item; `weights` are the numbers of `contributions`, for the check that all are finite."""

    base: float | None
    weights: Sequence[float]
    contributions: Any
    quality: Mapping[str, float]
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heading:
    """What is known of an explanation before it is computed."""

    method: str
    modality: Literal["tabular", "text", "image"]
    unit: Unit
    label: str
    seed: int
    background_hash: str
    params: Mapping[str, Any]


def explained(heading: Heading, work: Callable[[], Finding]) -> Explanation:
    """Run `work` and keep what it found. Its errors become `problem`. Raises UnknownLabel."""
    started = time.perf_counter()
    outcome: Finding | Exception
    try:
        with np.errstate(all="ignore"):  # a division that fails shows as a value that is not finite, which is checked
            outcome = work()
    except UnknownLabel:
        raise
    except Exception as error:
        outcome = error
    return recorded(heading, outcome, time.perf_counter() - started)


def recorded(heading: Heading, outcome: Finding | Exception, seconds: float) -> Explanation:
    """What was found in `seconds`, or why nothing was, as it is kept."""
    if isinstance(outcome, Finding):
        outcome = _finite(outcome)
    if isinstance(outcome, Finding):
        made = _record(heading, outcome, seconds, None)
    else:
        made = _record(heading, Finding(None, (), _nothing(heading), {}), seconds, _problem(heading, outcome))
    return replace(made, doubt=doubt(made))


def gaps(base: float, weights: Floats, whole: float) -> dict[str, float]:
    """How far base and weights miss the model's answer to the row, and that as a share of |whole - base|."""
    gap = abs(base + float(weights.sum()) - whole)
    return {"additivity_gap": gap, "relative_gap": gap / max(abs(whole - base), LEAST)}


def steadied(weights: Floats, answers: Floats) -> tuple[Floats, dict[str, Any]]:
    """Exact zeros, and a note that says so, where all the answers that a method saw are the same."""
    if answers.size and np.ptp(answers) > FLAT:
        return weights, {}
    return np.zeros_like(weights), {"note": STEADY}


def _finite(finding: Finding) -> Finding | ExplainError:
    numbers = [*finding.weights, *finding.quality.values(), finding.base or 0.0]
    return finding if all(map(math.isfinite, numbers)) else ExplainError("The explanation holds values that are not numbers.")


def _problem(heading: Heading, error: Exception) -> str:
    return str(error) if isinstance(error, ExplainError) else f"{heading.method} could not explain this item: {named(error)}"


def _nothing(heading: Heading) -> Any:
    return {} if heading.modality == "image" else []


def _record(heading: Heading, finding: Finding, seconds: float, problem: str | None) -> Explanation:
    return Explanation(
        method=heading.method,
        label=heading.label,
        unit=heading.unit,
        base=finding.base,
        contributions=finding.contributions,
        params={**heading.params, **finding.params},
        seed=heading.seed,
        background_hash=heading.background_hash,
        quality=finding.quality,
        seconds=seconds,
        problem=problem,
        modality=heading.modality,
    )

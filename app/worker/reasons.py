"""Explanations and vectors that can be stored, whatever a method or a model does."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import structlog

from contract.predictors import Predictor
from contract.records import Explanation, Row
from explain.explainer import Ask, Explainer
from explain.representation import represented
from explain.target import named

log = structlog.get_logger()


def made(explainer: Explainer, asks: Sequence[Ask]) -> list[Explanation]:
    """An explanation for each ask, or one that says why there is none; together first, one by one where that fails."""
    try:
        found = explainer.explain_all(asks)
        for each in found:
            json.dumps(each.as_dict(), allow_nan=False)
        return found
    except Exception as error:
        if len(asks) > 1:
            return [each for ask in asks for each in made(explainer, [ask])]
        log.warning("no explanation", method=explainer.method, error=repr(error))
        return [none(explainer.method, ask, f"the method failed on it: {named(error)}") for ask in asks]


def none(method: str, ask: Ask, problem: str) -> Explanation:
    """The explanation that says why there is none."""
    empty: list[object] = []
    return Explanation(method, ask.label, "probability", None, empty, {}, ask.seed, "", {}, 0.0, problem)


def vectors(model: Predictor, rows: Mapping[int, Row], between: Callable[[], object]) -> dict[int, bytes]:
    """How a model sees items, as `review_queue.embeddings` keeps it; no bytes for those that it cannot represent."""
    if not rows:
        return {}
    try:
        found = represented(model, model.background, list(rows.values()), between)
    except Exception as error:
        log.warning("a model's items cannot be represented", items=len(rows), error=repr(error))
        return dict.fromkeys(rows, b"")
    held = zip(rows, found.astype("<f4"), strict=True)
    return {item: vector.tobytes() if np.isfinite(vector).all() else b"" for item, vector in held}

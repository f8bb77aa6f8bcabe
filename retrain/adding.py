"""A model that somebody brought, tried and judged, as the next version of a project."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.records import Prediction
from db.engine import Database
from retrain import judging, registry
from retrain.records import ModelInfo
from review_queue import spreads
from review_queue.activity import Actor
from review_queue.projects import Setting

if TYPE_CHECKING:
    from inference.own.adding import Brought


def register(
    database: Database, setting: Setting, brought: "Brought", truth: Sequence[str | None], *, by: Actor | None
) -> ModelInfo:
    """Keep a brought model with what the sample says of it; `truth`: the label of each row of it, None where unknown.

    Raises BlobTooLarge.
    """
    from inference import store

    with tempfile.TemporaryDirectory() as folder:
        store.save(brought.predictor, Path(folder))
        archive = store.pack(Path(folder))
    return database.write(
        registry.register,
        setting.id,
        archive,
        trainer=brought.predictor.card.kind,
        labels=brought.predictor.labels,
        schema_hash=store.schema_hash(setting.project.input.features),
        figures=figures(setting, brought, truth),
        datasets=[],
        by=by,
        spread=spreads.spread(setting.project, brought.predictor.background, whole=False),
    )


def figures(setting: Setting, brought: "Brought", truth: Sequence[str | None]) -> dict[str, Any]:
    """What the sample says of a brought model, JSON-ready. A label that it does not know counts as wrong."""
    from inference import calibration

    known = [(answer, label) for answer, label in zip(brought.answers, truth, strict=True) if label is not None]
    wish = judging.wished(setting.policy)
    found = judging.told([answer for answer, _ in known], [label for _, label in known], wish["score"])
    answered = [answer.probabilities for answer in brought.answers if isinstance(answer, Prediction)]
    return {
        "sample": len(brought.answers),
        "answered": brought.answered,
        "rows_per_second": brought.rows_per_second,
        "said": list(brought.said),
        "ordinary": len(ordinary.held) if (ordinary := brought.predictor.ordinary) is not None else 0,
        "grids": calibration.grids(np.array(answered, dtype=np.float64)),
        "per_label": _per_label(brought, known),
        **judging.figures(found, **wish),
    }


def _per_label(brought: "Brought", known: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """Precision and recall among the answered rows whose label the model knows."""
    from inference import calibration

    labels = brought.predictor.labels
    places = {label: n for n, label in enumerate(labels)}
    pairs = [(places[a.label], places[label]) for a, label in known if isinstance(a, Prediction) and label in places]
    guess, true = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True)) if pairs else (_NONE, _NONE)
    return calibration.per_label(guess, true, labels)


_NONE = np.empty(0, dtype=np.int64)

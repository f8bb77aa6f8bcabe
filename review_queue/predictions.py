"""What models said of items beside the one that routed them."""

from collections.abc import Mapping

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.records import Prediction
from db.tables import Prediction as PredictionRow
from review_queue import clock, routing
from review_queue.projects import Setting


def keep(session: Session, setting: Setting, said: Mapping[tuple[int, int], Prediction]) -> None:
    """Store predictions by item and model, ids of their tables; one that stands already stays."""
    sures = routing.confidences(setting.policy.score, list(said.values()))
    rows = [
        {
            "item_id": item_id,
            "model_id": model_id,
            "label": each.label,
            "confidence": sure,
            "probabilities": list(each.probabilities),
            "strangeness": each.strangeness,
            "scored_at": clock.now(),
        }
        for ((item_id, model_id), each), sure in zip(said.items(), sures, strict=True)
    ]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    if rows:
        session.execute(dialect.insert(PredictionRow).on_conflict_do_nothing(), rows)

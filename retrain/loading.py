"""A registered model as a Predictor."""

import tempfile
from pathlib import Path

from contract.predictors import Predictor
from db.engine import Database
from retrain import registry
from retrain.records import ModelInfo


def load(database: Database, info: ModelInfo, *, device: str = "auto") -> Predictor:
    """Raises inference.errors.ModelLoadError for files that are damaged or of another release."""
    from inference import store

    with tempfile.TemporaryDirectory(prefix="signoff-model-") as folder:
        store.unpack(database.read(registry.archive, info), Path(folder))
        return store.load(Path(folder), version=str(info.version), device=device)

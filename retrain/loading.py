"""A registered model as a Predictor."""

import tempfile
from pathlib import Path

from contract.predictors import Predictor
from db.engine import Database
from retrain import registry
from retrain.records import ModelInfo
from review_queue.errors import NotFound


def load(database: Database, info: ModelInfo, *, device: str = "auto") -> Predictor:
    """Raises inference.errors.ModelLoadError for files that are gone, damaged or of another release."""
    from inference import store
    from inference.errors import ModelLoadError

    if info.external:
        raise ModelLoadError(f"model {info.called} answers elsewhere; there are no files of it here")
    try:
        archive = database.read(registry.archive, info)
    except NotFound as error:
        raise ModelLoadError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="signoff-model-") as folder:
        store.unpack(archive, Path(folder))
        return store.load(Path(folder), version=str(info.version), device=device)

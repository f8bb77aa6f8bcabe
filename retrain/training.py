"""Train the next model of a project: on the rows that came with it and on what people answered since."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from db.engine import Database
from retrain import examples, judging, registry
from retrain.examples import Examples
from retrain.records import ModelInfo
from review_queue import projects, spreads
from review_queue.activity import Actor
from review_queue.errors import Refused

Progress = Callable[[float, str], None]


def train(
    database: Database,
    project_name: str,
    *,
    by: Actor | None,
    device: str = "auto",
    trainer: str | None = None,
    held: Examples | None = None,
    progress: Progress | None = None,
) -> ModelInfo:
    """Fit, judge and register a model; it plays no role until it is promoted.

    Rows of the test split stay out, so that models can be compared on them, and say what could act alone: those that came with
    the project and items whose answers are known, not those that were decided here, which are the unsure ones. `held` are
    other rows that are to say it. Raises Refused where nothing is labelled.
    """
    from inference import store, training

    report = progress or (lambda share, step: None)
    report(0.0, "gathering labels")
    setting = database.read(projects.get, project_name)
    used, watermark = examples.sources(database, setting)
    known = database.read(examples.base, setting, "train")
    said = examples.decided(database, setting, watermark, "train")
    if not len(known) + len(said):
        raise Refused("nothing is labelled yet: load labelled rows, or decide some cases first")
    both = known + said
    fit = training.train(
        setting.project,
        both.rows,
        both.labels,
        trainer=trainer,
        device=device,
        progress=lambda share, step: report(0.05 + 0.85 * share, step),
    )
    report(0.9, "judging by held-out rows")
    held = held or database.read(examples.judges, setting)
    judged = judging.judge(fit.predictor, held, **judging.wished(setting.policy))
    with tempfile.TemporaryDirectory() as folder:
        store.save(fit, Path(folder))
        archive = store.pack(Path(folder))
    figures = {**fit.figures, **judged, "rows": {"base": len(known), "decided": len(said)}, "watermark": watermark}
    return database.write(
        registry.register,
        setting.id,
        archive,
        trainer=str(fit.figures["trainer"]),
        labels=fit.predictor.labels,
        schema_hash=store.schema_hash(setting.project.input.features),
        figures=figures,
        datasets=[info.id for info in used],
        by=by,
        spread=spreads.spread(setting.project, both.rows, whole=True),
    )

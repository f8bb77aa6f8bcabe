"""Train the next model of a project: on the rows that came with it and on what people answered since."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from contract.weighing import Weighing
from db.engine import Database
from retrain import datasets, examples, judging, loading, registry, runs, weighing
from retrain.examples import Examples, Lesson, Truths
from retrain.records import ModelInfo
from review_queue import projects, spreads
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.projects import Setting
from review_queue.spreads import Spread

if TYPE_CHECKING:
    from inference.predictors import BuiltIn

Progress = Callable[[float, str], None]
OWN = "python:"
"""What a trainer begins with that is a function of the owner's."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A model fresh from training, packed, and what is kept with it."""

    archive: bytes
    trainer: str
    labels: tuple[str, ...]
    figures: Mapping[str, Any]
    spread: Spread | None


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for."""

    trainer: str
    device: str
    weights: Weighing
    labels: Truths
    seed: int
    threads: int
    champion: ModelInfo | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, as far as it makes the model."""
        named = {name: getattr(self, name) for name in ("trainer", "device", "weights", "labels", "seed", "threads")}
        return named | ({"warm": self.champion.version} if self.champion is not None else {})


def train(
    database: Database,
    project_name: str,
    *,
    by: Actor | None,
    device: str = "auto",
    trainer: str | None = None,
    dataset: int | None = None,
    weights: Weighing = "none",
    labels: Truths = "decided",
    warm: bool = False,
    seed: int = 0,
    threads: int = 1,
    resume: bool = True,
    own: bool = False,
    held: Examples | None = None,
    progress: Progress | None = None,
) -> ModelInfo:
    """Fit, judge and register a model; it plays no role until it is promoted.

    Rows of the test split stay out, so that models can be compared on them, and say what could act alone: those that came with
    the project and items whose answers are known, not those that were decided here, which are the unsure ones. `held` are
    other rows that are to say it.

    `dataset`: a version to learn from alone (see examples.lesson); all that is labelled where it is None. `weights`: see
    weighing.weigh. `labels`: `true` takes what later proved true where that is known. `warm` begins at the champion. `trainer`
    may be `python:FILE.py:FUNCTION`, which runs only where `own` allows it. The same dataset version, code, seed and number of
    threads give the same archive on a CPU, to the byte; a training that was cut off goes on where it stood if `resume`. Where
    rows that it learned from are erased meanwhile it begins anew without them.

    Raises Refused where nothing is labelled or there is no champion to begin at, Elsewhere where the same is under way,
    TrainingError, DeviceError, ModelAddError for what an own function made.
    """
    report = progress or (lambda share, step: None)
    report(0.0, "gathering labels")
    setting = database.read(projects.get, project_name)
    wish = _wish(database, setting, trainer, device, weights, labels, warm, seed, threads)
    if wish.trainer.startswith(OWN) and not own:
        raise Refused(f"{wish.trainer} is code of the owner's and runs on the owner's machine alone: `signoff model train` there")
    for _ in range(datasets.TRIES):
        lesson = examples.lesson(database, setting, dataset, labels)
        if not len(lesson.examples):
            raise Refused("nothing is labelled yet: load labelled rows, or decide some cases first")
        with suppress(datasets.Cleared):
            return _trained(database, setting, wish, lesson, held, by, resume, report)
    raise Refused("rows of the datasets were erased while the model was trained, again and again; train once erasing is done")


def _trained(
    database: Database,
    setting: Setting,
    wish: _Wish,
    lesson: Lesson,
    held: Examples | None,
    by: Actor | None,
    resume: bool,
    report: Progress,
) -> ModelInfo:
    """Raises Cleared where rows that it learned from were erased meanwhile."""
    spec = _spec(setting, wish, lesson)
    with runs.under_way(database, setting.id, _key(setting, wish, lesson), spec, by=by, resume=resume) as run:
        judges = held or database.read(examples.judges, setting)
        made = (_by_owner if wish.trainer.startswith(OWN) else _built_in)(database, setting, wish, lesson, judges, run, report)
        report(0.97, "registering")
        return database.write(_register, setting.id, made, lesson, wish, run, spec, by)


def _wish(
    database: Database,
    setting: Setting,
    trainer: str | None,
    device: str,
    weights: Weighing,
    labels: Truths,
    warm: bool,
    seed: int,
    threads: int,
) -> _Wish:
    from inference.devices import resolve

    champion = database.read(registry.champion, setting.id) if warm else None
    if warm and (champion is None or champion.external):
        raise Refused("there is no model here to begin from: leave out --warm, or promote one that was trained")
    named = trainer or setting.project.model.trainer
    return _Wish(named, resolve(device).type, weights, labels, seed, threads, champion)


def _spec(setting: Setting, wish: _Wish, lesson: Lesson) -> dict[str, Any]:
    """What is kept of a training: what was asked for, and what it rests on."""
    named = [{"id": info.id, "kind": info.kind, "rows": info.rows, "hash": info.content_hash} for info in lesson.datasets]
    return {**wish.as_dict(), "project": setting.name, "datasets": named, "rows": dict(lesson.counts)} | _versions(wish)


def _versions(wish: _Wish) -> dict[str, Any]:
    from inference import store

    libraries = {"torch": "torch", "sklearn": "scikit-learn", "numpy": "numpy"}
    own = {"function": _own_hash(wish.trainer)} if wish.trainer.startswith(OWN) else {}
    return {"versions": store.versions(libraries), "code": runs.code(), **own}


def _own_hash(trainer: str) -> str:
    """The hash of the file of a function; of nothing where it is a module's."""
    from contract.canonical import digest

    path = Path(trainer.removeprefix(OWN).rpartition(":")[0]).expanduser()
    return digest(path.read_bytes() if path.is_file() else b"")


def _key(setting: Setting, wish: _Wish, lesson: Lesson) -> str:
    """By all that makes the model: a training of the same name gives the same bytes."""
    from inference import store

    return runs.key(
        {
            **wish.as_dict(), **_versions(wish), "labels_of": list(setting.project.labels),
            "schema": store.schema_hash(setting.project.input.features),
            "datasets": [info.content_hash for info in lesson.datasets],
            "from": wish.champion.sha256 if wish.champion is not None else None,
        }
    )  # fmt: skip


def _built_in(
    database: Database, setting: Setting, wish: _Wish, lesson: Lesson, judges: Examples, run: runs.Run, report: Progress
) -> _Made:
    from inference import training

    shares, told = weighing.weigh(lesson.examples, wish.weights)
    fit = training.train(
        setting.project,
        lesson.examples.rows,
        lesson.examples.labels,
        trainer=wish.trainer,
        device=wish.device,
        weights=shares,
        seed=wish.seed,
        threads=wish.threads,
        progress=lambda share, step: report(0.05 + 0.85 * share, step),
        course=run.course,
        former=_former(database, wish),
    )
    report(0.9, "judging by held-out rows")
    figures = {**fit.figures, **_judged(setting, fit.predictor, judges, lesson), **_rests_on(lesson, told, wish)}
    spread = spreads.spread(setting.project, lesson.examples.rows, whole=True)
    return _Made(_packed(fit), str(fit.figures["trainer"]), fit.predictor.labels, figures, spread)


def _by_owner(
    database: Database, setting: Setting, wish: _Wish, lesson: Lesson, judges: Examples, run: runs.Run, report: Progress
) -> _Made:
    from inference import calibration
    from inference.devices import limited
    from inference.own import teaching

    shares, told = weighing.weigh(lesson.examples, wish.weights)
    previous = loading.load(database, wish.champion, device=wish.device) if wish.champion is not None else None
    taught = teaching.Lesson(setting.project, lesson.examples.rows, lesson.examples.labels, shares, wish.seed, previous)
    with limited(wish.threads):
        brought = teaching.taught(wish.trainer, taught, wish.device, lambda share, step: report(0.05 + 0.85 * share, step))
    report(0.9, "judging by held-out rows")
    answered = judging.probabilities(brought.predictor, judges.rows or lesson.examples.rows[: teaching.TRIED])
    figures = {
        "rows_per_second": brought.rows_per_second,
        "said": list(brought.said),
        "ordinary": len(brought.predictor.ordinary.held) if brought.predictor.ordinary is not None else 0,
        "grids": calibration.grids(answered),
        **_judged(setting, brought.predictor, judges, lesson),
        **_rests_on(lesson, told, wish),
        "taught_by": wish.trainer,
    }
    spread = spreads.spread(setting.project, lesson.examples.rows, whole=True)
    return _Made(_packed(brought.predictor), brought.predictor.card.kind, brought.predictor.labels, figures, spread)


def _former(database: Database, wish: _Wish) -> "BuiltIn | None":
    """The champion, to begin at. Raises Refused for one that was brought."""
    from inference.own.predictors import OwnCard

    if wish.champion is None:
        return None
    model: Any = loading.load(database, wish.champion, device="cpu")
    if isinstance(model.card, OwnCard):
        raise Refused(f"model {wish.champion.called} was brought, and no trainer here begins at one: leave out --warm")
    former: BuiltIn = model
    return former


def _judged(setting: Setting, predictor: Any, judges: Examples, lesson: Lesson) -> dict[str, Any]:
    return {
        **judging.judge(predictor, judges, **judging.wished(setting.policy)),
        **judging.weighed(predictor, lesson.held),
    }


def _rests_on(lesson: Lesson, told: Mapping[str, Any], wish: _Wish) -> dict[str, Any]:
    return {"rows": dict(lesson.counts), "watermark": lesson.watermark, "weights": dict(told), "taught_with": wish.as_dict()}


def _packed(model: Any) -> bytes:
    from inference import store

    with tempfile.TemporaryDirectory() as folder:
        store.save(model, Path(folder))
        return store.pack(Path(folder))


def _register(
    session: Session,
    project_id: int,
    made: _Made,
    lesson: Lesson,
    wish: _Wish,
    run: runs.Run,
    spec: Mapping[str, Any],
    by: Actor | None,
) -> ModelInfo:
    """The model and the end of its training, together."""
    from inference import store

    datasets.require_standing(session, [each.id for each in lesson.datasets])
    setting = projects.by_id(session, project_id)
    info = registry.register(
        session,
        project_id,
        made.archive,
        trainer=made.trainer,
        labels=made.labels,
        schema_hash=store.schema_hash(setting.project.input.features),
        figures=made.figures,
        datasets=[each.id for each in lesson.datasets],
        by=by,
        spread=made.spread,
        learned_through=max(lesson.learned_through, _through(session, wish.champion)),
    )
    runs.finish(session, run, info.id, spec)
    return info


def _through(session: Session, champion: ModelInfo | None) -> int:
    return registry.learned_through(session, champion.id) if champion is not None else 0

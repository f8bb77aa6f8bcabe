"""Trainings from their beginning to their model: one at a time of each kind, and where each stood when it was cut off."""

import os
import platform
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, defer

from contract.canonical import content_hash, digest
from db.engine import Database
from db.tables import TrainingRun
from inference.course import Course, State
from inference.errors import InferenceError
from review_queue import clock
from review_queue.activity import Actor
from review_queue.errors import Refused

SILENT = timedelta(seconds=60)
"""How long a training may give no sign of life before another process goes on with it."""
BEAT = 5.0
"""Seconds between two signs of life."""
PAUSE = 5.0
"""Seconds between two writings of where a training stands, at least."""
SHARE = 20
"""Writing where a training stands may take one in so many seconds."""
MOST = 512 * 2**20
"""Bytes of a state that is written down; a training whose state is larger begins anew where it is cut off."""
KEPT = timedelta(days=7)
"""How long the state of a training that nobody goes on with is kept."""
OVER = (TypeError, ValueError, LookupError, AssertionError, InferenceError, Refused)
"""Errors that would come again from where the training stood."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One training. `state`: running, done, failed. `curves`: see inference.course. `tracked`: its run in MLflow."""

    id: int
    state: str
    spec: Mapping[str, Any]
    curves: Mapping[str, Any]
    epoch: int
    model_id: int | None
    error: str | None
    tracked: str | None
    begun_at: datetime
    ended_at: datetime | None


class Elsewhere(Refused):
    """Another process is at the same training."""

    code = "training_elsewhere"


_ours: set[str] = set()
_LIGHT = defer(TrainingRun.checkpoint)


class Run:
    """A training of this process: signs of life, where it stands, and what its course tells."""

    def __init__(self, database: Database, run_id: int, worker: str, held: bytes | None) -> None:
        self._database, self.id, self._worker = database, run_id, worker
        self._written, self._pause, self._lost = time.monotonic(), PAUSE, False
        self.resumed = held is not None
        self.course = Course(held, self._keep)

    def beat(self) -> None:
        """Give a sign of life."""
        self._lost = self._lost or not self._database.write(_beat, self.id, self._worker)

    def _keep(self, state: State, epoch: int) -> None:
        if self._lost:
            raise Elsewhere("another process goes on with this training, since this one gave no sign of life")
        if time.monotonic() - self._written < self._pause:
            return
        begun = time.monotonic()
        data = state()
        if len(data) <= MOST:
            self._lost = not self._database.write(_stand, self.id, self._worker, data, epoch, self.course.curves)
        self._written = time.monotonic()
        self._pause = max(PAUSE, SHARE * (self._written - begun))


def key(parts: Mapping[str, Any]) -> str:
    """The name of a training, by all that makes its model."""
    return content_hash(parts)


def code() -> str:
    """A hash of the code that trains, and of the libraries beneath it."""
    from inference import store

    folder = Path(store.__file__).parent
    files = {path.name: digest(path.read_bytes()) for path in sorted(folder.glob("*.py"))}
    libraries = {name: name for name in ("numpy", "scipy", "torch", "skops")}
    return content_hash({"files": files, "versions": store.versions({**libraries, "sklearn": "scikit-learn"})})


@contextmanager
def under_way(
    database: Database, project_id: int, name: str, spec: Mapping[str, Any], *, by: Actor | None, resume: bool
) -> Iterator[Run]:
    """Have the training of this name to oneself, from where it was cut off where it was (and `resume`).

    Within, `finish` ends it together with the model. What is raised within ends it as failed; it goes on from where it stood
    when the same is asked for again, unless the same error would come. Raises Elsewhere where another process is at it.
    """
    worker = f"{platform.node()}:{os.getpid()}:{secrets.token_hex(6)}"
    _ours.add(worker)
    over = Event()
    try:
        run = _begun(database, project_id, name, {**spec, "worker": worker}, by, resume)

        def beating() -> None:
            while not over.wait(BEAT):
                try:
                    run.beat()
                except OperationalError:
                    continue

        beside = Thread(target=beating, name="training", daemon=True)
        beside.start()
        try:
            yield run
        except BaseException as error:
            database.write(_fail, run.id, worker, str(error) or type(error).__name__, forget=isinstance(error, OVER))
            raise
        finally:
            over.set()
            beside.join()
    finally:
        _ours.discard(worker)


def finish(session: Session, run: Run, model_id: int, spec: Mapping[str, Any]) -> None:
    """End a training with its model, in the transaction that registers it. Raises Elsewhere where another process has it."""
    row = _mine(session, run.id, run._worker)
    if row is None:
        raise Elsewhere("another process went on with this training and ends it")
    row.state, row.model_id, row.checkpoint, row.ended_at = "done", model_id, None, clock.now()
    row.curves, row.spec, row.error = dict(run.course.curves), dict(spec), None
    row.epoch = max((len(each["training"]) for each in run.course.curves.values()), default=0)


def of_model(session: Session, model_id: int) -> RunInfo | None:
    """The training that made a model; None where it was brought, or made before trainings were noted."""
    query = select(TrainingRun).where(TrainingRun.model_id == model_id).options(_LIGHT)
    row = session.scalar(query.order_by(TrainingRun.id.desc()).limit(1))
    return _info(row) if row is not None else None


def untracked(session: Session, project_id: int, limit: int) -> list[RunInfo]:
    """Trainings that ended with a model and that MLflow does not know, oldest first."""
    theirs = (TrainingRun.project_id == project_id, TrainingRun.state == "done", TrainingRun.tracked.is_(None))
    return [_info(row) for row in session.scalars(select(TrainingRun).where(*theirs).order_by(TrainingRun.id).limit(limit))]


def track(session: Session, run_id: int, name: str) -> None:
    """Note the run of a training in MLflow."""
    session.execute(update(TrainingRun).where(TrainingRun.id == run_id).values(tracked=name))


def untell(session: Session, model_id: int) -> None:
    """The files of a model changed: MLflow is told of its training once more."""
    session.execute(update(TrainingRun).where(TrainingRun.model_id == model_id).values(tracked=None))


def _begun(database: Database, project_id: int, name: str, spec: Mapping[str, Any], by: Actor | None, resume: bool) -> Run:
    try:
        run_id, held = database.write(_begin, project_id, name, spec, by, resume)
    except IntegrityError as error:  # another process began it in the same moment
        raise Elsewhere("another process has just begun the same training; wait for its model") from error
    return Run(database, run_id, str(spec["worker"]), held)


def _begin(
    session: Session, project_id: int, name: str, spec: Mapping[str, Any], by: Actor | None, resume: bool
) -> tuple[int, bytes | None]:
    now = clock.now()
    old = (TrainingRun.project_id == project_id, TrainingRun.seen_at < now - KEPT)
    session.execute(update(TrainingRun).where(*old, TrainingRun.checkpoint.is_not(None)).values(checkpoint=None))
    same = (TrainingRun.project_id == project_id, TrainingRun.key == name, TrainingRun.state != "done")
    query = select(TrainingRun).where(*same).options(_LIGHT).order_by(TrainingRun.id.desc()).limit(1)
    row = session.scalar(query.with_for_update())
    if row is not None and row.state == "running" and _lives(row, now):
        raise Elsewhere(
            f"the same training is under way, at epoch {row.epoch}, begun {row.begun_at:%Y-%m-%d %H:%M} UTC; wait for its model, "
            "or train with another --seed"
        )
    if row is None:
        row = TrainingRun(project_id=project_id, key=name, begun_at=now, begun_by=by.id if by else None)
        session.add(row)
    held = row.checkpoint if resume else None
    row.state, row.seen_at, row.spec, row.error, row.ended_at = "running", now, dict(spec), None, None
    row.checkpoint, row.epoch = held, (row.epoch or 0) if held is not None else 0
    session.flush()
    return row.id, held


def _lives(row: TrainingRun, now: datetime) -> bool:
    """Whether the process of a training still works: on this machine it is asked, of another its silence tells."""
    worker = str(row.spec.get("worker", ""))
    node, _, rest = worker.rpartition(":")[0].rpartition(":")
    if row.seen_at < now - SILENT:
        return False
    if node != platform.node() or not rest.isdecimal():
        return True
    return worker in _ours if int(rest) == os.getpid() else _there(int(rest))


def _there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _mine(session: Session, run_id: int, worker: str) -> TrainingRun | None:
    """The row of a training, while it is this process that has it."""
    query = select(TrainingRun).where(TrainingRun.id == run_id).options(_LIGHT).with_for_update()
    row = session.scalar(query.execution_options(populate_existing=True))
    return row if row is not None and row.state == "running" and row.spec.get("worker") == worker else None


def _beat(session: Session, run_id: int, worker: str) -> bool:
    row = _mine(session, run_id, worker)
    if row is not None:
        row.seen_at = clock.now()
    return row is not None


def _stand(session: Session, run_id: int, worker: str, data: bytes, epoch: int, curves: Mapping[str, Any]) -> bool:
    """Write down where a training stands; False where another process has it."""
    row = _mine(session, run_id, worker)
    if row is not None:
        row.checkpoint, row.epoch, row.curves, row.seen_at = data, epoch, dict(curves), clock.now()
    return row is not None


def _fail(session: Session, run_id: int, worker: str, error: str, *, forget: bool) -> None:
    row = _mine(session, run_id, worker)
    if row is not None:
        row.state, row.error, row.ended_at = "failed", error[:2000], clock.now()
        row.checkpoint = None if forget else row.checkpoint


def _info(row: TrainingRun) -> RunInfo:
    return RunInfo(
        id=row.id,
        state=row.state,
        spec=row.spec,
        curves=row.curves or {},
        epoch=row.epoch,
        model_id=row.model_id,
        error=row.error,
        tracked=row.tracked,
        begun_at=row.begun_at,
        ended_at=row.ended_at,
    )

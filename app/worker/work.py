"""The long work that pages and commands ask for, run one at a time beside scoring."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from app import known_answers
from app.worker.waking import Waking
from app.workspace import Workspace
from retrain import comparison, datasets, erasing, renewal, tracking, training
from review_queue import jobs, people, projects
from review_queue.activity import Actor
from review_queue.jobs import Job
from review_queue.projects import Setting

log = structlog.get_logger()
Progress = Callable[[float, str], None]
REPORT_SECONDS = 0.5
"""Between two writings of how far a job is."""


class Stopped(RuntimeError):
    """The job was cancelled, or another worker has it."""


class Jobs(Thread):
    """Runs jobs until told to stop; scoring goes on beside it."""

    def __init__(
        self,
        workspace: Workspace,
        device: str,
        stop: Event,
        waking: Waking | None = None,
        *,
        tell: Progress | None = None,
        own: bool = False,
    ) -> None:
        """`tell` hears of the progress too; `own`: this is the owner's machine, where a trainer may be the owner's code."""
        super().__init__(name="jobs", daemon=True)
        self._workspace, self._device, self._stop_event = workspace, device, stop
        self._waking = waking or Waking(workspace.database, stop)
        self._tell, self._own = tell or (lambda share, step: None), own

    def run(self) -> None:
        while not self._stop_event.is_set():
            try:
                busy = self.turn()
            except OperationalError as error:
                log.error("the database does not answer; trying again", error=str(error.orig))
                busy = False
            if not busy:
                self._waking.wait("jobs", self._stop_event)

    def turn(self) -> bool:
        """Run the next job; False where there is none."""
        database, worker = self._workspace.database, secrets.token_hex(8)
        job = database.write(jobs.lease, worker) if database.read(jobs.is_waiting) else None
        if job is None:
            return False
        self.do(job, worker)
        return True

    def do(self, job: Job, worker: str, *, leave: Callable[..., None] = jobs.give_back) -> None:
        """Run a job that this worker holds; `leave` is what becomes of it where the worker is told to stop meanwhile."""
        database = self._workspace.database
        try:
            with self._kept(job, worker):
                result = self._do(job, worker)
        except Stopped:
            log.info("job stopped", job=job.id)
            database.write(leave, job.id, worker)
        except Exception as error:
            log.warning("job failed", job=job.id, error=repr(error))
            database.write(jobs.finish, job.id, worker, error=str(error) or type(error).__name__)
        else:
            database.write(jobs.finish, job.id, worker, result=result)

    @contextmanager
    def _kept(self, job: Job, worker: str) -> Iterator[None]:
        """Renews the lease beside a step that reports nothing for long."""
        over = Event()

        def renew() -> None:
            while not over.wait(jobs.LEASE.total_seconds() / 4):
                try:
                    self._workspace.database.write(jobs.keep, job.id, worker)
                except OperationalError as error:
                    log.warning("a job's lease was not renewed", job=job.id, error=str(error.orig))

        beside = Thread(target=renew, name="lease", daemon=True)
        beside.start()
        try:
            yield
        finally:
            over.set()
            beside.join()

    def _do(self, job: Job, worker: str) -> dict[str, Any]:
        database = self._workspace.database
        setting = database.read(projects.by_id, job.project_id)
        asker = database.read(people.actor, job.asked_by, "worker") if job.asked_by is not None else None
        by = asker.within(job.project_id) if asker is not None and asker.sees(job.project_id) else None
        report = self._reporter(job, worker)
        if job.kind == "retrain":
            return self._retrain(setting, job, worker, by, report)
        return _KINDS[job.kind](self, setting, job.args, by, report)

    def _reporter(self, job: Job, worker: str) -> Progress:
        """Progress is written every REPORT_SECONDS at most; it keeps the lease and notices a cancellation."""
        last = 0.0

        def report(share: float, step: str) -> None:
            nonlocal last
            if self._stop_event.is_set():
                raise Stopped
            self._tell(share, step)
            if time.monotonic() - last > REPORT_SECONDS or share >= 1.0:
                last = time.monotonic()
                if not self._workspace.database.write(jobs.progress, job.id, worker, share, step):
                    raise Stopped

        return report

    def _export(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        info = datasets.export(
            self._workspace.database,
            setting,
            format=args.get("format", "parquet"),
            with_reasons=bool(args.get("with_reasons")),
            by=by,
            progress=_within(report, 0.0, 0.95),
        )
        return {"dataset": str(info.id), "rows": info.rows}

    def _train(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        info = training.train(
            self._workspace.database,
            setting.name,
            by=by,
            device=self._device,
            own=self._own,
            progress=report,
            **_wishes(args),
        )
        self._track(setting)
        return {"model": info.version, "figures": {k: info.figures.get(k) for k in ("accuracy", "log_loss", "n_train")}}

    def _track(self, setting: Setting) -> None:
        """Tell MLflow, where it is there; what it could not be told, the next training tells."""
        told = tracking.sync(self._workspace.database, setting.id, self._workspace.settings.tracking)
        if told.problem is not None:
            log.warning("mlflow", project=setting.name, problem=told.problem)

    def _retrain(self, setting: Setting, job: Job, worker: str, by: Actor | None, report: Progress) -> dict[str, Any]:
        """Once it is trained, one that takes the job up again only looks at the gate."""
        kept = (job.result or {}).get("model")
        found = renewal.renew(
            self._workspace.database,
            setting,
            by=by,
            device=self._device,
            trained=kept,
            keep=lambda version: self._workspace.database.write(jobs.note, job.id, worker, {"model": version}),
            own=self._own,
            progress=report,
            **_wishes(job.args),
        )
        self._track(setting)
        return {**found, "cause": job.args.get("cause", "asked")}

    def _gate(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        database, version = self._workspace.database, int(args["challenger"])
        return renewal.look(database, setting, version, by=by, device=self._device, progress=report)

    def _compare(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        database, version = self._workspace.database, int(args["challenger"])
        return comparison.compare(database, setting.name, version, device=self._device, progress=report)

    def _known_answers(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        """Decide, wait until the answers count, train and compare; where the model is elsewhere, decide alone."""
        database = self._workspace.database
        done = known_answers.play(database, setting.name, int(args.get("count", 200)), progress=_within(report, 0.0, 0.4))
        if setting.project.external:
            return {"decided": done}
        wait_for_undo(setting, _within(report, 0.4, 0.5))
        model = self._train(setting, {}, by, _within(report, 0.5, 0.9))
        compared = self._compare(setting, {"challenger": model["model"]}, by, _within(report, 0.9, 1.0))
        return {"decided": done, **model, "comparison": compared}

    def _report(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        from app.report import make

        return make.kept(self._workspace.database, setting, int(args.get("days", make.DAYS)), report)

    def _erase(self, setting: Setting, args: dict[str, Any], by: Actor | None, report: Progress) -> dict[str, Any]:
        found = erasing.follow(self._workspace.database, setting, args, by=by, progress=report)
        if found["models"]:
            self._track(setting)
        return found


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "export": Jobs._export,
    "train": Jobs._train,
    "compare": Jobs._compare,
    "gate": Jobs._gate,
    "known-answers": Jobs._known_answers,
    "report": Jobs._report,
    "erase": Jobs._erase,
}


def _wishes(args: dict[str, Any]) -> dict[str, Any]:
    """What of a job's arguments goes to the training."""
    return {name: args[name] for name in ("trainer", "weights") if name in args}


def wait_for_undo(setting: Setting, report: Progress) -> None:
    """Answers count once they can no longer be taken back."""
    seconds = setting.policy.review.undo_window.total_seconds() + 1
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        report(1 - left / seconds, f"waiting until the answers can no longer be taken back ({left:.0f} s)")
        time.sleep(min(left, 0.5))


def _within(report: Progress, low: float, high: float) -> Progress:
    return lambda share, step: report(low + (high - low) * min(share, 0.999), step)

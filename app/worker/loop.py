"""The worker process: scoring first, then explaining; housekeeping every second; jobs beside."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread, main_thread

import structlog
from sqlalchemy.exc import OperationalError

from app import logs
from app.worker.explaining import Explaining
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.work import Jobs
from app.workspace import Workspace
from review_queue import claims, events, outcomes, tallies

log = structlog.get_logger()
IDLE_SECONDS = 0.2
PATIENCE_SECONDS = 2.0
"""Between two tries while the database is away."""


def run(workspace: Workspace, *, drain: bool = False, device: str = "auto", stop: Event | None = None) -> None:
    """Work until SIGTERM or SIGINT; with `drain` until nothing is left to score, explain or run.

    The work is done in a thread of its own: a signal handler runs in the main thread, and must not find it inside the
    lock of the event that it sets.
    """
    logs.configure()
    stop = stop or Event()
    _stop_on_signals(stop)
    with ThreadPoolExecutor(1, "worker") as pool:
        pool.submit(_work, workspace, drain, device, stop).result()


def _work(workspace: Workspace, drain: bool, device: str, stop: Event) -> None:
    models = Models(workspace.database, workspace.settings, device)
    house = House(workspace)

    def between() -> None:
        house.keep()
        if _orphaned():
            stop.set()

    scoring, explaining = Scoring(workspace, models, stop, between), Explaining(workspace, models, stop)
    jobs = Jobs(workspace, device, stop)
    if not drain:
        jobs.start()
    while not stop.is_set() and not _orphaned():
        try:
            house.keep()
            busy = scoring.turn() or explaining.turn() or (drain and jobs.turn())
        except OperationalError as error:
            log.error("the database does not answer; trying again", error=str(error.orig))
            stop.wait(PATIENCE_SECONDS)
            continue
        if not busy and drain:
            break
        if not busy:
            stop.wait(IDLE_SECONDS)
    stop.set()
    house.keep(at_once=True)
    if jobs.is_alive():
        jobs.join(timeout=10)


def _orphaned() -> bool:
    """Whether the process that started this one, and said so, is gone."""
    parent = os.environ.get("SIGNOFF_PARENT")
    return parent is not None and parent != str(os.getppid())


class House:
    """What any process may do at any time, once a second: order events, end run-out leases, close overdue draws, fold counts."""

    def __init__(self, workspace: Workspace) -> None:
        self._database, self._kept = workspace.database, 0.0

    def keep(self, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._kept < 1.0:
            return
        for verb in (events.sequence, claims.expire, outcomes.resolve_overdue, tallies.fold):
            self._database.write(verb)
        self._kept = time.monotonic()


def _stop_on_signals(stop: Event) -> None:
    if current_thread() is main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

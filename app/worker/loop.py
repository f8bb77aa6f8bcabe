"""The worker process: scoring first, then explaining; housekeeping every second; jobs beside."""

import os
import signal
import time
from threading import Event, current_thread, main_thread

import structlog

from app import logs
from app.worker.explaining import Explaining
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.work import Jobs
from app.workspace import Workspace
from review_queue import claims, events, outcomes

log = structlog.get_logger()
IDLE_SECONDS = 0.2


def run(workspace: Workspace, *, drain: bool = False, device: str = "auto", stop: Event | None = None) -> None:
    """Work until SIGTERM or SIGINT; with `drain` until nothing is left to score, explain or run."""
    logs.configure()
    stop = stop or Event()
    _stop_on_signals(stop)
    models = Models(workspace.database, workspace.settings, device)
    scoring, explaining = Scoring(workspace, models, stop), Explaining(workspace, models, stop)
    jobs = Jobs(workspace, device, stop)
    if not drain:
        jobs.start()
    kept = 0.0
    while not stop.is_set():
        if time.monotonic() - kept > 1.0:
            if os.environ.get("SIGNOFF_PARENT", str(os.getppid())) != str(os.getppid()):
                break  # the process that started this one is gone
            keep_house(workspace)
            kept = time.monotonic()
        busy = scoring.turn() or explaining.turn() or (drain and jobs.turn())
        if not busy and drain:
            break
        if not busy:
            stop.wait(IDLE_SECONDS)
    keep_house(workspace)
    if jobs.is_alive():
        jobs.join(timeout=10)


def keep_house(workspace: Workspace) -> None:
    """What any process may do at any time: order events, hand on run-out leases, close overdue draws."""
    for verb in (events.sequence, claims.expire, outcomes.resolve_overdue):
        workspace.database.write(verb)


def _stop_on_signals(stop: Event) -> None:
    if current_thread() is main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

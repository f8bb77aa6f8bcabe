"""The worker process: scoring first, then explaining, then what can wait; beside them house-keeping, jobs and webhooks."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread, main_thread

import structlog
from sqlalchemy.exc import OperationalError

from app import logs
from app.worker.delivering import Delivering
from app.worker.drifting import Drifting
from app.worker.explaining import Explaining
from app.worker.house import House
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.shadowing import Shadowing
from app.worker.spare import Spare
from app.worker.waking import Waking
from app.worker.work import Jobs
from app.workspace import Workspace

log = structlog.get_logger()
PATIENCE_SECONDS = 2.0
"""Between two tries while the database is away."""
LEAVE_SECONDS = 15.0
"""How long what runs beside may take to end: an event that is being posted is waited for."""


def run(workspace: Workspace, *, drain: bool = False, device: str = "auto", stop: Event | None = None) -> None:
    """Work until SIGTERM or SIGINT; with `drain` until nothing is left to score, explain, ask beside, run or post.

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
    waking, house = Waking(workspace.database, stop), House(workspace, stop)

    def between() -> None:
        if _orphaned():
            stop.set()

    scoring = Scoring(workspace, models, stop, between)
    explaining = Explaining(workspace, models, stop, scoring)
    shadowing = Shadowing(workspace, models, stop)
    spare = Spare(workspace, models, explaining)
    jobs = Jobs(workspace, device, stop, waking)
    beside = [house] if drain else [house, waking, jobs, Delivering(workspace, stop, waking), Drifting(workspace, stop)]
    for thread in beside:
        thread.start()
    while not stop.is_set() and not _orphaned():
        try:
            busy = scoring.turn() or explaining.turn() or shadowing.turn() or (jobs.turn() if drain else spare.turn())
        except OperationalError as error:
            log.error("the database does not answer; trying again", error=str(error.orig))
            stop.wait(PATIENCE_SECONDS)
            continue
        if not busy and drain:
            break
        if not busy:
            waking.wait("score", stop)
    interrupted = stop.is_set()
    stop.set()
    for thread in beside:
        thread.join(timeout=LEAVE_SECONDS)
    house.keep()
    if drain and not interrupted:
        Drifting(workspace, Event()).turn()
        Delivering(workspace, stop).turn()


def _orphaned() -> bool:
    """Whether the process that started this one, and said so, is gone."""
    parent = os.environ.get("SIGNOFF_PARENT")
    return parent is not None and parent != str(os.getppid())


def _stop_on_signals(stop: Event) -> None:
    if current_thread() is main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

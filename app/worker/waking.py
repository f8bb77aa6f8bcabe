"""What wakes an idle worker: on PostgreSQL a call as soon as there is work, everywhere a look now and then."""

import time
from threading import Event, Thread
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from db.engine import Database
from review_queue.waking import CHANNEL, Topic

log = structlog.get_logger()
LOOKS = {"score": 0.2, "jobs": 0.5, "webhooks": 0.5}
"""Seconds between two looks of who is idle, by what it waits for, where nobody calls."""
CALLED_LOOKS = {"score": 1.0, "jobs": 2.0, "webhooks": 2.0}
"""The same while calls come in: for what became ready by time alone, and for a call that got lost."""
QUIET_SECONDS = 20.0
"""How long the line may be quiet before it is tried."""
AGAIN_SECONDS = 5.0
SLICE_SECONDS = 0.2
"""How soon somebody who waits notices that all is to end."""


class Waking(Thread):
    """Listens for calls on a connection of its own, and wakes who waits. Does nothing on SQLite, which has no such line."""

    def __init__(self, database: Database, stop: Event) -> None:
        super().__init__(name="waking", daemon=True)
        self._database, self._over = database, stop
        self._calls: dict[str, Event] = {topic: Event() for topic in LOOKS}
        self.listens = Event()

    def wait(self, topic: Topic, stop: Event) -> None:
        """Return when called for this topic, when it is time to look, or soon after `stop`."""
        until = time.monotonic() + (CALLED_LOOKS if self.listens.is_set() else LOOKS)[topic]
        call = self._calls[topic]
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            if call.wait(min(left, SLICE_SECONDS)):
                break
        call.clear()

    def run(self) -> None:
        if self._database.engine.dialect.name != "postgresql":
            return
        told = False
        while not self._over.is_set():
            try:
                self._listen()
            except Exception as error:
                if self.listens.is_set() or not told:
                    log.warning("nobody calls this worker; it looks for itself until the line is back", error=_told(error))
                told = True
            self._hang_up()
            self._over.wait(AGAIN_SECONDS)

    def _listen(self) -> None:
        """Until all is to end, or the line breaks."""
        with self._database.engine.connect() as held:
            line: Any = held.connection.driver_connection
            held.detach()  # never back into the pool
            line.autocommit = True
            line.execute(f"LISTEN {CHANNEL}")
            self._wake_all()  # for what was called before
            self.listens.set()
            self._hear(line)

    def _hear(self, line: Any) -> None:
        quiet_since = time.monotonic()
        while not self._over.is_set():
            for call in line.notifies(timeout=1.0, stop_after=1):
                quiet_since = time.monotonic()
                if call.payload in self._calls:
                    self._calls[call.payload].set()
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                line.execute("SELECT 1")
                quiet_since = time.monotonic()

    def _hang_up(self) -> None:
        self.listens.clear()
        self._wake_all()

    def _wake_all(self) -> None:
        for call in self._calls.values():
            call.set()


def _told(error: Exception) -> str:
    return str(getattr(error, "orig", error) if isinstance(error, SQLAlchemyError) else error).strip()[:200]

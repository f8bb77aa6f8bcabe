"""Looking for drift beside the work: a window of items is read, held against what the model learned from, and kept."""

import time
from threading import Event, Thread

import structlog
from sqlalchemy.exc import OperationalError

from app.workspace import Workspace
from review_queue import drift, projects
from review_queue.projects import Setting

log = structlog.get_logger()
EVERY_SECONDS = 10.0
"""Between two looks whether a window is full."""


class Drifting(Thread):
    """Looks until told to stop. A project that fails is told and tried again; the others go on."""

    def __init__(self, workspace: Workspace, stop: Event) -> None:
        super().__init__(name="drift", daemon=True)
        self._workspace, self._over = workspace, stop

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self.turn()
            except OperationalError as error:
                log.error("the database does not answer; looking for drift waits", error=str(error.orig))
            self._over.wait(EVERY_SECONDS)

    def turn(self) -> int:
        """Look at every window that is full; how many were."""
        return sum(self._looked(setting) for setting in self._workspace.database.read(projects.everything))

    def _looked(self, setting: Setting) -> int:
        """One window after another, each held against the same reference."""
        count = 0
        begun = time.monotonic()
        while not self._over.is_set() and self._look(setting):
            count += 1
        if count:
            log.info("looked for drift", project_id=setting.id, windows=count, seconds=round(time.monotonic() - begun, 3))
        return count

    def _look(self, setting: Setting) -> bool:
        database = self._workspace.database
        try:
            window = database.read(drift.due, setting)
            if window is None:
                return False
            found = drift.check(*database.read(drift.read, window))
            return database.write(drift.keep, window, found, self._workspace.keys.draw_key_id)
        except OperationalError:
            raise
        except Exception as error:
            log.exception("drift cannot be looked for", project_id=setting.id, error=repr(error))
            return False

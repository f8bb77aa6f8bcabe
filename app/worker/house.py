"""House-keeping beside the work: once a second, whatever time has made due."""

import time
from threading import Event, Thread

import structlog
from sqlalchemy.exc import OperationalError

from app.workspace import Workspace
from review_queue import keeping

log = structlog.get_logger()
EVERY_SECONDS = 1.0
SPAN_SECONDS = 0.8
"""How long one round may go on, while there is more to do than one turn of each verb does."""


class House(Thread):
    """Keeps house until told to stop. A look or a verb that fails is told and tried again; the others go on."""

    def __init__(self, workspace: Workspace, stop: Event) -> None:
        super().__init__(name="house", daemon=True)
        self._database, self._over = workspace.database, stop

    def run(self) -> None:
        while not self._over.is_set():
            self.keep()
            self._over.wait(EVERY_SECONDS)

    def keep(self) -> None:
        """One round. A look first: where nothing is due, nothing is written."""
        until = time.monotonic() + SPAN_SECONDS
        try:
            while sum([self._do(chore) for chore in keeping.CHORES if self._is_due(chore)]):
                if time.monotonic() > until:
                    return
        except OperationalError as error:
            log.error("the database does not answer; the house waits", error=str(error.orig))

    def _is_due(self, chore: keeping.Chore) -> bool:
        """Each look by itself: one that fails ends its transaction, and no other's."""
        try:
            return self._database.read(chore.look)
        except OperationalError:
            raise
        except Exception as error:
            log.exception("house-keeping could not look what is due", look=chore.look.__qualname__, error=repr(error))
            return False

    def _do(self, chore: keeping.Chore) -> int:
        verb = chore.verb
        try:
            read = () if chore.first is None else (self._database.read(chore.first),)
            return self._database.write(verb, *read)
        except OperationalError:
            raise
        except Exception as error:
            log.exception("house-keeping failed", verb=getattr(verb, "__qualname__", str(verb)), error=repr(error))
            return 0

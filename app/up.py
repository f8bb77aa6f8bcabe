"""Everything on this machine: this process serves the desk and the API, a child process works."""

import os
import signal
import subprocess
import sys
import threading

import structlog

from app import logs
from app.settings import Settings
from app.workspace import open_workspace

log = structlog.get_logger()
PATIENCE_SECONDS = 60
"""How long a worker may take to finish the batch in hand."""


def run(settings: Settings, *, host: str = "127.0.0.1", port: int = 8501, device: str = "auto") -> None:
    """Until Ctrl-C or SIGTERM. A worker that dies is started again."""
    from app import web

    logs.configure()
    workspace = open_workspace(settings, serving=True)
    worker = Worker(settings, device)
    worker.start()
    signal.signal(signal.SIGTERM, _leave)  # the server hands it on once it has shut down
    try:
        web.serve(workspace, host=host, port=port)
    finally:
        worker.end()


def _leave(*_: object) -> None:
    """End as on Ctrl-C, so that the worker is ended too."""
    raise SystemExit(0)


class Worker(threading.Thread):
    """Keeps one worker process running."""

    def __init__(self, settings: Settings, device: str) -> None:
        super().__init__(name="worker", daemon=True)
        self._command = [sys.executable, "-m", "app.cli.main", "worker", "run", "--device", device]
        self._env = {**os.environ, "SIGNOFF_DIR": str(settings.dir), "SIGNOFF_PARENT": str(os.getpid())}
        self._over = threading.Event()
        self._process = self._begin()

    def run(self) -> None:
        while not self._over.is_set():
            code = self._process.wait()
            if not self._over.wait(1.0):
                log.error("the worker ended; starting another", code=code)
                self._process = self._begin()

    def end(self) -> None:
        """SIGTERM, and patience for the batch in hand."""
        self._over.set()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, env=self._env, start_new_session=True)

"""Everything on this machine: this process serves the desk and the API, a child process works."""

import os
import subprocess
import sys

from app.settings import Settings
from app.workspace import open_workspace


def run(settings: Settings, *, host: str = "127.0.0.1", port: int = 8501, device: str = "auto") -> None:
    """Until Ctrl-C. The worker gets SIGTERM when the web process ends, and finishes the batch in hand."""
    from app import web

    workspace = open_workspace(settings)
    worker = _worker(settings, device)
    try:
        web.serve(workspace, host=host, port=port)
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=60)
        except subprocess.TimeoutExpired:
            worker.kill()


def _worker(settings: Settings, device: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.cli.main", "worker", "run", "--dir", str(settings.dir), "--device", device]
    return subprocess.Popen(command, env={**os.environ, "SIGNOFF_DIR": str(settings.dir)}, start_new_session=True)

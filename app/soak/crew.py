"""The processes of a soak: started as anybody starts them, killed at random, and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from app.soak.wire import BROKEN, Wire
from app.workspace import Workspace

START_SECONDS = 120.0
END_SECONDS = 90.0


class NotUp(RuntimeError):
    """A process does not start; the message has what it last wrote."""


class Crew:
    """One API process and some workers."""

    def __init__(self, workspace: Workspace, workers: int) -> None:
        self.port, self._folder = _free_port(), workspace.settings.dir
        self._env = _environment(workspace)
        self._names = ("api", *(f"worker-{n + 1}" for n in range(workers)))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Raises NotUp where the API does not answer in time."""
        command = ["api", "run", "--port", str(self.port)] if name == "api" else ["worker", "run", "--device", "cpu"]
        with _log(self._folder, name) as out:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "app.cli.main", *command], env=self._env, stdout=out, stderr=out, start_new_session=True
            )
        if name == "api":
            self._wait()

    def start_all(self) -> None:
        for name in reversed(self._names):
            self.start(name)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def kill(self, name: str) -> None:
        """kill -9."""
        self._running[name].send_signal(signal.SIGKILL)
        self._running[name].wait()

    def dead(self) -> list[str]:
        """Which ended by themselves; what they last wrote is in their logs."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def last_words(self, name: str) -> str:
        text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()
        return text.splitlines()[-1][:300] if text else "nothing"

    def end(self) -> None:
        """SIGTERM to all, and patience for what is in hand."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self) -> None:
        until, wire = time.monotonic() + START_SECONDS, Wire(self.port, "none")
        while time.monotonic() < until:
            try:
                wire.call("GET", "/projects")
            except BROKEN:
                if self._running["api"].poll() is not None:
                    break
                time.sleep(0.05)
            else:
                wire.close()
                return
        raise NotUp(f"the API does not come up on port {self.port}; it last wrote: {self.last_words('api')}")


def _environment(workspace: Workspace) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNOFF_")}
    own = {"SIGNOFF_DIR": str(workspace.settings.dir), "SIGNOFF_SECRET_KEY": workspace.settings.secret_key or ""}
    bound = {"SIGNOFF_THREADS": "1", "SIGNOFF_PARENT": str(os.getpid())}  # a worker ends with the soak, whatever ends that
    return {**kept, **own, **bound, "SIGNOFF_DATABASE_URL": workspace.settings.url}


def _log(folder: Path, name: str) -> IO[bytes]:
    return open(folder / f"{name}.log", "ab")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

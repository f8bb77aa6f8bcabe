"""Real processes of the product for tests: started here, and ended here by their own id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import factories


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    own = {"SIGNOFF_DIR": str(folder), "SIGNOFF_DATABASE_URL": url, "SIGNOFF_SECRET_KEY": factories.SECRET}
    return {**os.environ, **own, "SIGNOFF_DEVICE": "cpu", **more}


def plain() -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGNOFF_")}


def start(arguments: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


@contextmanager
def running(arguments: list[str], env: dict[str, str], *, gently: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process for a while; gently ended it may end its own children."""
    process = start(arguments, env)
    try:
        yield process
    finally:
        if process.poll() is None and gently:
            process.terminate()
            process.wait(90)
        if process.poll() is None:
            kill(process)

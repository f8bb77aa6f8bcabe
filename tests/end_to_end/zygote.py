"""A process that has imported the product and forks: a real process of its own for each start, for the price of a fork."""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import explain
import inference


class Forked:
    """A forked process that runs a command of `signoff`. It is killed by its own id."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self._zygote, self.pid, self._code = zygote, pid, None

    def kill(self) -> None:
        """kill -9."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        if self._code is None:
            self._code = self._zygote.ask(wait=self.pid)
        return self._code  # type: ignore[return-value]


class Zygote:
    """Started once; `start` forks."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.end_to_end.zygote"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def start(self, arguments: list[str], env: dict[str, str]) -> Forked:
        return Forked(self, self.ask(start=arguments, env=env))

    def ask(self, **order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def serve() -> None:
    """One order a line: start a command, or wait until one has ended. At the end of orders none is left running."""
    _import()
    running = set[int]()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            running.discard(order["wait"])
        elif (answer := os.fork()) == 0:
            _become(order["start"], order["env"])
        else:
            running.add(answer)
        print(answer, flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _import() -> None:
    """What commands import late."""
    late = [f"{held.__name__}.{found.name}" for held in (explain, inference) for found in pkgutil.iter_modules(held.__path__)]
    for module in ("app.api.main", "app.web", "app.worker.loop", *late):
        importlib.import_module(module)


def _become(arguments: list[str], env: dict[str, str]) -> None:
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.environ.clear()
        os.environ.update(env)
        from app.cli.main import app

        app(arguments, prog_name="signoff", standalone_mode=False)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()

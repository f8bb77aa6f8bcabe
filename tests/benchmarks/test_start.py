"""How long one waits before anything can be done: the command's own start, and the demo from nothing."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end import processes

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
ROUNDS = 9


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=processes.plain())
    return time.perf_counter() - began


def test_help_beside_the_bare_interpreter() -> None:
    """Both in turns, so that the load of the machine meets both."""
    pairs = [
        (seconds([sys.executable, "-c", "pass"]), seconds([sys.executable, "-m", "app.cli.main", "--help"]))
        for _ in range(ROUNDS)
    ]
    bare, helped = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"\nsignoff --help {helped:.2f} s, python -c pass {bare:.2f} s: {helped / bare:.1f} times, {helped - bare:.2f} s more")


def test_the_demo_from_nothing(tmp_path: Path) -> None:
    took = seconds([sys.executable, "-m", "app.cli.main", "demo", "--no-ui", "--dir", str(tmp_path / "demo")])
    again = seconds([sys.executable, "-m", "app.cli.main", "demo", "--no-ui", "--dir", str(tmp_path / "demo")])
    print(f"\ndemo from nothing {took:.0f} s, again {again:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

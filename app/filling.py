"""From accepted items to cases on a desk: score and route them, explain the first, and go on as the running product."""

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

from app.workspace import Workspace
from review_queue import insights
from review_queue.projects import Setting

FIRST_REASONS = 10
"""Cases per project whose reasons are ready before the desk opens; the worker goes on from there."""


class Steps:
    """A stretch of a progress bar of 100."""

    def __init__(self, bar: Any, begin: int, length: int) -> None:
        self._bar, self._begin, self._length = bar, begin, length

    def part(self, begin: float, share: float) -> "Steps":
        """A part of this stretch: from one share of it on, so long a share of it."""
        return Steps(self._bar, round(self._begin + begin * self._length), round(share * self._length))

    def __call__(self, share: float, step: str) -> None:
        self._bar.set_description_str(step)
        self._bar.n = round(self._begin + self._length * share)
        self._bar.refresh()


def fill(workspace: Workspace, settings: Sequence[Setting], step: Steps) -> None:
    """Score and route what waits, and explain the first cases of these projects."""
    from app.worker.explaining import Explaining
    from app.worker.models import Models
    from app.worker.scoring import Scoring

    models = Models(workspace.database, workspace.settings, workspace.settings.device)
    stop = threading.Event()
    step(0.0, "scoring and routing")
    Scoring(workspace, models, stop).turn()
    explaining = Explaining(workspace, models, stop, ahead=FIRST_REASONS)
    most = _unexplained(workspace, settings)
    while (left := _unexplained(workspace, settings)) and explaining.turn():
        step(0.3 + 0.7 * (1 - left / most), f"explaining the first cases ({left} to go)")


def _unexplained(workspace: Workspace, settings: Sequence[Setting]) -> int:
    """How many of the first cases lack their reasons."""
    shares = [workspace.database.read(insights.explained_ahead, setting.id, FIRST_REASONS) for setting in settings]
    return round(sum(share.of - share.part for share in shares))


def become(*arguments: str) -> NoReturn:
    """Go on as a fresh process that never imported the model libraries."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "app.cli.main", *arguments])

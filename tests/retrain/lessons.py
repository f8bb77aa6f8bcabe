"""Projects with labelled rows to train from, and a training in a process of its own that can be killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract.project import Project
from db import blobs
from db.engine import Database
from inference import cnn, mlp, textbag
from inference.fitting import Plan
from retrain import datasets
from review_queue import projects
from review_queue.projects import Setting
from tests import factories
from tests.inference.conftest import rows_of

CHILD = """
import sys
from db.engine import Database
from retrain import runs, training
from tests.retrain.lessons import shorten
shorten(int(sys.argv[4]))
runs.PAUSE = runs.SHARE = 0
def told(share, step):
    print(step, flush=True)
    if step.startswith(sys.argv[3] + " "):
        sys.stdin.readline()
training.train(Database(sys.argv[1]), "p", by=None, device="cpu", trainer=sys.argv[2], progress=told)
"""
"""A short training that writes down where it stands after every batch, and waits after the epoch that it is told."""


def setting(database: Database, kind: str, count: int = 120, **changes: Any) -> Setting:
    """A project of one trainer's kind whose rows are its base."""
    made, (rows, labels) = rows_of(kind)
    project = Project.model_validate(made.model_dump(mode="json") | {"model": {"uri": "registry:p@champion"}} | changes)
    key = factories.keys(database).draw_key_id
    held = database.write(projects.apply, project, factories.policy(), "", key, by=None).setting
    given = database.write(_images, rows[:count]) if kind == "torch-cnn" else rows[:count]
    lines = [
        {"external_id": f"r{n}", "input": row, "label": label, "split": "test" if n % 5 == 0 else "train"}
        for n, (row, label) in enumerate(zip(given, labels[:count], strict=True))
    ]
    database.write(datasets.add_base, held, lines, by=None)
    return held


def _images(session: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"image": {"blob": f"sha256:{blobs.put(session, row['image'], 'image/png')}"}} for row in rows]


def shorten(epochs: int) -> None:
    """Networks learn for so many epochs at most."""
    plan = Plan(batch=32, rate=3e-3, decay=0.02, steps=1, epochs=epochs, patience=epochs)
    for module in (cnn, mlp, textbag):
        module._plan = lambda rows: plan  # type: ignore[attr-defined]


@contextmanager
def training_until(url: str, trainer: str, step: str, epochs: int) -> Iterator["subprocess.Popen[str]"]:
    """A training of project p in another process that stands still after a step; it is killed at the end."""
    command = [sys.executable, "-c", CHILD, url, trainer, step, str(epochs)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"{step} "):
                break
        else:
            raise AssertionError(f"the training ended before {step!r}")
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

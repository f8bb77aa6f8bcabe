"""A worker killed while it retrains: what it left is taken up and ends, no model is half there, and the one that acts acts on."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event

import pytest
from sqlalchemy import func, select, update

from app.settings import Settings
from app.worker.work import Jobs
from app.workspace import Workspace
from db.engine import Database
from db.tables import Job, TrainingRun
from retrain import loading, registry
from review_queue import challenges, checks, clock, jobs
from review_queue.projects import Setting
from tests import factories, real_models
from tests.end_to_end import processes
from tests.end_to_end.zygote import Zygote

FEW, MANY = 2, 20
slow, long = pytest.mark.slow, pytest.mark.timeout(900)
rounds = pytest.mark.parametrize("rounds", [FEW, pytest.param(MANY, marks=[slow, long])])
MOST_SECONDS = 4.0
"""Of a retraining, until the kill."""


@pytest.fixture
def chance() -> Random:
    seed = int(os.environ.get("SIGNOFF_TEST_SEED") or secrets.randbelow(10**9))
    print(f"SIGNOFF_TEST_SEED={seed} repeats this")
    return Random(seed)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as held:
        yield held


def asked(database: Database, held: Setting) -> int:
    return database.write(jobs.ask, held.id, "retrain", {"trainer": "torch-mlp"}, by=real_models.owner(database)).id


def leave(database: Database) -> None:
    """Time passes until what the dead worker held is free."""
    long_ago = clock.now() - timedelta(hours=1)
    database.write(lambda s: s.execute(update(Job).where(Job.state == "running").values(ready_at=long_ago)))
    database.write(lambda s: s.execute(update(TrainingRun).where(TrainingRun.state == "running").values(seen_at=long_ago)))


def sound(database: Database, held: Setting) -> None:
    """Every registered model loads, the first one acts, and every rule holds."""
    assert database.read(checks.problems) == []
    for info in database.read(registry.models, held.id):
        loading.load(database, info, device="cpu")
    champion = database.read(registry.champion, held.id)
    assert champion is not None
    assert champion.version == 1


def wait_until(database: Database, job_id: int, *states: str) -> None:
    until = time.monotonic() + 60
    while database.read(jobs.get, job_id).state not in states:
        assert time.monotonic() < until, f"job {job_id} is not {states} after a minute"
        time.sleep(0.02)


@rounds
def test_a_worker_killed_while_it_retrains(
    database: Database, database_url: str, tmp_path: Path, zygote: Zygote, chance: Random, rounds: int
) -> None:
    held = real_models.setting(database)
    env = processes.environment(tmp_path, database_url, SIGNOFF_THREADS="1")
    workspace = Workspace(
        Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu"), database, factories.keys(database)
    )  # fmt: skip
    cut_off = 0
    for _ in range(rounds):
        job = asked(database, held)
        worker = zygote.start(["worker", "run"], env)
        wait_until(database, job, "running", "done")
        time.sleep(chance.random() * MOST_SECONDS)
        worker.kill()
        worker.wait()
        cut_off += database.read(jobs.get, job).state == "running"
        sound(database, held)
        leave(database)
        while Jobs(workspace, "cpu", Event()).turn():
            pass
        ended = database.read(jobs.get, job)
        assert (ended.state, ended.error) == ("done", None)
        stood = database.read(challenges.standing_as, held.id, "challenger")
        assert stood is not None
        assert stood.version == (ended.result or {})["model"]
    sound(database, held)
    left = select(func.count()).select_from(TrainingRun).where(TrainingRun.state == "running")
    assert database.read(lambda s: s.scalar(left)) == 0
    assert cut_off or rounds == FEW, "the kills must hit jobs in hand"


def test_a_command_that_is_told_to_stop_cancels_its_job(database: Database, database_url: str, tmp_path: Path) -> None:
    held = real_models.setting(database)
    env = processes.environment(tmp_path, database_url, SIGNOFF_THREADS="1")
    with processes.running(["model", "retrain"], env) as command:
        until = time.monotonic() + 60
        while not (found := database.read(jobs.recent, held.id)):
            assert time.monotonic() < until, "no job after a minute"
            time.sleep(0.02)
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=60) == 1
    assert database.read(jobs.get, found[0].id).state == "cancelled"
    sound(database, held)

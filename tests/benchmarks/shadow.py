"""What a model in shadow costs the one that acts: items scored a second, and how long one item takes to be routed.

    python -m tests.benchmarks.shadow [sqlite] [postgresql] [--items N] [--rounds N]

Without and with a challenge, in turns, each on a database of its own: all items at once through scoring alone, which is all that
a worker does while items wait; then single items, one every 50 ms, into a worker that turns to the models in shadow in between.
The challenger is as slow as the model that acts: it is the same network.
"""

import argparse
import logging
import statistics
import tempfile
import threading
import time
from pathlib import Path

import structlog
import torch
from sqlalchemy import func, select

from app.settings import Settings
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.shadowing import Shadowing
from app.workspace import Workspace
from db.engine import Database
from db.tables import ItemKey, Routing, Shadow
from retrain import registry
from review_queue import challenges
from review_queue.projects import Setting
from tests import factories, real_models
from tests.benchmarks import ground

SINGLE, EVERY = 60, 0.05


def measure(database: Database, folder: Path, count: int, beside: bool) -> tuple[float, float, float]:
    """Items scored a second; the median and the 95th percentile of milliseconds until a single item is routed."""
    held = real_models.setting(database)
    workspace = Workspace(Settings(dir=folder, secret_key=factories.SECRET, device="cpu"), database, factories.keys(database))
    if beside:
        _challenge(database, held)
    models, stop = Models(database, workspace.settings, "cpu"), threading.Event()
    scoring, shadowing = Scoring(workspace, models, stop), Shadowing(workspace, models, stop)
    _submit(database, held, "warm", 200)
    scoring.turn()
    shadowing.turn()
    _submit(database, held, "many", count)
    begun = time.perf_counter()
    scored = scoring.turn()
    rate = scored / (time.perf_counter() - begun)
    waits = _single(database, held, scoring, shadowing)
    if beside and not database.read(lambda s: s.scalar(select(func.count()).select_from(Shadow))):
        raise RuntimeError("nothing was asked of the model in shadow, so this measures nothing")
    return rate, statistics.median(waits), statistics.quantiles(waits, n=20)[-1]


def _challenge(database: Database, held: Setting) -> None:
    archive, fit = real_models.trained()
    kept = {"schema_hash": "", "figures": fit.figures, "datasets": [], "by": None}
    info = database.write(registry.register, held.id, archive, trainer="torch-mlp", labels=fit.predictor.labels, **kept)
    database.write(challenges.begin, held, info.id)


def _submit(database: Database, held: Setting, name: str, count: int) -> None:
    known = real_models.items()
    given = [{"external_id": f"{name}-{n}", "input": known[n % len(known)][1]} for n in range(count)]
    for begin in range(0, count, 5_000):
        factories.submit(database, held, given[begin : begin + 5_000])


def _single(database: Database, held: Setting, scoring: Scoring, shadowing: Shadowing) -> list[float]:
    """Milliseconds from the arrival of each item to its route, while the rest is asked of beside."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            if not (scoring.turn() or shadowing.turn()):
                over.wait(0.005)

    worker = threading.Thread(target=work)
    worker.start()
    waits = [_wait(database, held, f"one-{n}") for n in range(SINGLE)]
    over.set()
    worker.join()
    return waits


def _wait(database: Database, held: Setting, name: str) -> float:
    time.sleep(EVERY)
    begun = time.perf_counter()
    _submit(database, held, name, 1)
    while not _routed(database, name):
        time.sleep(0.002)
    return 1_000 * (time.perf_counter() - begun)


def _routed(database: Database, name: str) -> bool:
    query = select(Routing.item_id).join(ItemKey, ItemKey.item_id == Routing.item_id).where(ItemKey.external_id == f"{name}-0")
    return database.read(lambda s: s.scalar(query)) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ground.server() as postgres:
        for kind in asked.kinds:
            _compare(kind, postgres, asked.items, asked.rounds)


def _compare(kind: str, postgres: str, items: int, rounds: int) -> None:
    """All rounds on one kind of database, in turns, and the middle of them printed."""
    found: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    for turn in range(rounds):
        for beside in (turn % 2 == 0, turn % 2 != 0):
            with tempfile.TemporaryDirectory() as name, ground.migrated(kind, postgres, Path(name)) as database:
                found[beside].append(measure(database, Path(name), items, beside))
    middles = {beside: [statistics.median(each) for each in zip(*held, strict=True)] for beside, held in found.items()}
    for beside, (rate, p50, p95) in middles.items():
        rates = [each[0] for each in found[beside]]
        told = f"{rate:,.0f} items a second ({min(rates):,.0f} to {max(rates):,.0f}), p50 {p50:.1f} ms, p95 {p95:.1f} ms"
        print(f"{kind}, {'with' if beside else 'without'} a model in shadow: {told}")
    print(f"{kind}: ratio of items a second, with to without: {middles[True][0] / middles[False][0]:.3f}", flush=True)


if __name__ == "__main__":
    main()

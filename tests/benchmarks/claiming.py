"""`python -m tests.benchmarks.claiming`: bare claims, beside those of `../shared/perf` on the same databases, in turns.

PostgreSQL: `UPDATE … FOR UPDATE SKIP LOCKED` of one row, and procrastinate where it is installed. SQLite: one writer thread
with group commit. Ours also writes a claim row, and keeps a person from a second seat of an item.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from db.engine import Database
from review_queue import claims
from review_queue.activity import Actor
from tests import factories
from tests.benchmarks import ground
from tests.benchmarks.queue import fill

ROUNDS = 5
Figures = tuple[float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--claimers", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--kinds", nargs="*", default=list(ground.KINDS))
    asked = parser.parse_args()
    if not ground.PERF.exists():
        sys.exit("no ../shared/perf beside the repository: there is nothing to measure against")
    with ground.server() as postgres, tempfile.TemporaryDirectory(prefix="signoff-bench-", dir="/tmp") as folder:
        for kind, rows in product(asked.kinds, asked.rows):
            with ground.migrated(kind, postgres, Path(folder)) as database:
                held = factories.setting(database)
                fill(database, held, rows)
                peer = (_raw_postgresql if kind == "postgresql" else _raw_sqlite)(database, rows)
                for claimers in asked.claimers:
                    _beside(database, held.id, kind, rows, claimers, asked.seconds, peer)


def _beside(database: Database, project: int, kind: str, rows: int, claimers: int, seconds: float, peer: Any) -> None:
    processes = 1 if kind == "sqlite" else min(2, claimers)
    people = [factories.person(database, f"r{time.monotonic_ns()}-{n}") for n in range(claimers)]
    ours, raw = [], []
    for _ in range(ROUNDS):
        ours.append(_ours(database.url, project, people, processes, seconds))
        raw.append(peer(claimers, seconds))
    mine, theirs = sorted(ours)[ROUNDS // 2], sorted(raw)[ROUNDS // 2]
    ratios = [a[0] / b[0] for a, b in zip(ours, raw, strict=True)]
    print(
        f"{kind} {rows:>9,} waiting, {claimers:>2} claimers: "
        f"ours {mine[0]:,.0f}/s p50 {mine[1]:.2f} ms longest {mine[2]:.0f} ms, "
        f"bare {theirs[0]:,.0f}/s p50 {theirs[1]:.2f} ms longest {theirs[2]:.0f} ms; claims/s {statistics.median(ratios):.2f} "
        f"of bare, p50 {statistics.median(a[1] / b[1] for a, b in zip(ours, raw, strict=True)):.2f} times",
        flush=True,
    )


def _ours(url: str, project: int, people: list[Actor], processes: int, seconds: float) -> Figures:
    """Claims a second, median and longest wait in milliseconds."""
    queue: Any = multiprocessing.get_context("spawn").Queue()
    begin = time.time() + 6.0
    parts = [people[n::processes] for n in range(processes)]
    started = [
        multiprocessing.get_context("spawn").Process(target=_claimers, args=(url, project, part, begin, seconds, queue))
        for part in parts
    ]
    for process in started:
        process.start()
    found = [queue.get() for _ in started]
    for process in started:
        process.join()
    waits = sorted(wait for part in found for wait in part[0])
    return len(waits) / max(part[1] for part in found), waits[len(waits) // 2] * 1e3, waits[-1] * 1e3


def _claimers(url: str, project: int, people: list[Actor], begin: float, seconds: float, queue: Any) -> None:
    from datetime import timedelta

    from db.engine import Limits

    database = Database(url, Limits(connections=len(people)))
    took: list[float] = []

    def run(who: Actor) -> None:
        mine = []
        database.read(lambda s: s.connection())
        while time.time() < begin:
            time.sleep(0.002)
        n = 0
        while time.time() < begin + seconds:
            n += 1
            begun = time.perf_counter()
            found = database.write(claims.claim, project, who, f"{begin}-{n}", 1, timedelta(minutes=5))
            mine.append(time.perf_counter() - begun)
            if not found:
                break
        took.extend(mine)

    _together([lambda who=who: run(who) for who in people])
    queue.put((took, time.time() - begin))
    database.close()


def _together(acts: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _raw_postgresql(database: Database, rows: int) -> Callable[[int, float], Figures]:
    import b_queue_pg  # type: ignore[import-not-found]

    dsn = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    b_queue_pg.fill(dsn, rows)

    def run(claimers: int, seconds: float) -> Figures:
        if rows <= 10_000:
            b_queue_pg.fill(dsn, rows)
        rate, p50, p95, _ = b_queue_pg.claim_run(dsn, claimers, seconds, True)
        return rate, p50, p95

    return run


def _raw_sqlite(database: Database, rows: int) -> Callable[[int, float], Figures]:
    import b_queue_sqlite  # type: ignore[import-not-found]

    path = str(Path(tempfile.mkdtemp(prefix="signoff-bare-", dir="/tmp")) / "bare.db")
    b_queue_sqlite.fill(path, rows)

    def run(claimers: int, seconds: float) -> Figures:
        if rows <= 100_000:
            b_queue_sqlite.fill(path, rows)
        rate, p50, _, longest, _ = b_queue_sqlite.claim_run(path, claimers, seconds, "full", "onewriter")
        return rate, p50, longest

    return run


if __name__ == "__main__":
    main()

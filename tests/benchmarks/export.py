"""`python -m tests.benchmarks.export`: a dataset version out of a large project, beside the plainest read of its rows.

Each export is a process of its own: its peak memory (VmHWM) is that of an export alone, beside that of a process that has
exported a hundred rows. Meanwhile a person decides, and the longest wait is told.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.engine import Database
from retrain import datasets
from review_queue import claims, decisions, projects
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.benchmarks import ground
from tests.benchmarks.queue import fill

PAUSE = 0.05
"""Seconds between a decision and the next one of the person who decides meanwhile."""
LEFT = 20_000
"""Cases that stay undecided for that person where the rest acted alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--decided", type=int, nargs="*", default=[100, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--formats", nargs="*", default=["parquet", "jsonl"])
    parser.add_argument("--alone", nargs=2, metavar=("URL", "FORMAT"), help="export in this process, and say what it took")
    asked = parser.parse_args()
    if asked.alone:
        _alone(*asked.alone)
        return
    with ground.server() as postgres, tempfile.TemporaryDirectory(prefix="signoff-bench-", dir="/tmp") as folder:
        for kind in asked.kinds:
            with ground.migrated(kind, postgres, Path(folder)) as database:
                _sizes(database, kind, asked)


def _sizes(database: Database, kind: str, asked: argparse.Namespace) -> None:
    held = factories.setting(database)
    fill(database, held, asked.rows + LEFT)
    done = 0
    for decided in sorted(asked.decided):
        answer(database, held, done, decided, asked.rows)
        done = decided
        for form in asked.formats:
            _beside(database, held, kind, asked.rows, decided, form)


def answer(database: Database, held: Setting, begin: int, end: int, rows: int) -> None:
    """Put decisions and their events for the items from `begin` to `end`, and at first automatic events for all, by SQL."""
    lite, first = database.engine.dialect.name == "sqlite", end * 1000  # ids beyond those of decisions made meanwhile
    now, no = (int(time.time() * 1e6), 0) if lite else ("now()", "false")
    who = database.write(_person)
    body = """{{"external_id":"i' || id || '","revision":{},"label":"pay","source":"{}","decision":"' || (id + {}) || '"}}"""
    told = "seq, project_id, kind, item_id, body, made_at"
    those, head = f"FROM item WHERE id > {begin} AND id <= {end}", "(SELECT seq FROM event_head)"
    claim = f"SELECT id + {first}, id, id, {who}, 's', 't' || id, 'answered', {now}, {now} {those}"
    said = (
        f"id + {first}, 'k' || id, 'h', {held.id}, id, id, id + {first}, {who}, 'final', 'accept', 'pay', {no}, 'routed', 'api'"
    )
    decision = f"SELECT {said}, {now} {those}"
    puts = [
        f"INSERT INTO event ({told}) SELECT {head} + id, {held.id}, 'outcome', id, '{body.format(1, 'auto', 0)}', {now} "
        f"FROM item WHERE id <= {rows if begin == 0 else 0}",
        "UPDATE event_head SET seq = (SELECT coalesce(max(seq), 0) FROM event)",
        f"INSERT INTO claim (id, task_id, item_id, person_id, session, token, state, taken_at, expires_at) {claim}",
        "INSERT INTO decision (id, key, request_hash, project_id, task_id, item_id, claim_id, person_id, stage, verdict, label, "
        f"blind, basis, via, decided_at) {decision}",
        f"INSERT INTO event ({told}) SELECT {head} + id - {begin}, {held.id}, 'confirmed', id, "
        f"'{body.format(1, 'human', first)}', {now} {those}",
        "UPDATE event_head SET seq = (SELECT coalesce(max(seq), 0) FROM event)",
        f"UPDATE task SET state = 'completed' WHERE item_id > {begin} AND item_id <= {end}",
        f"UPDATE routing SET route = 'auto' WHERE item_id > {end} AND item_id <= {rows}",
        f"UPDATE routing SET route = 'review' WHERE item_id <= {end}",
        f"UPDATE task SET state = 'cancelled' WHERE state = 'pending' AND item_id <= {rows}",
        f"UPDATE task SET state = 'completed' WHERE item_id <= {end}",
    ]
    database.write(lambda session: [session.connection().exec_driver_sql(each) for each in puts])
    if not lite:
        database.write(_number)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _person(session: Session) -> int:
    name = f"filled-{uuid4().hex[:8]}"
    return factories.people.add_person(session, name, role="reviewer").id


def _number(session: Session) -> None:
    for table in ("claim", "decision"):
        session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))


def _beside(database: Database, held: Setting, kind: str, rows: int, decided: int, form: str) -> None:
    over, waits = threading.Event(), list[float]()
    beside = threading.Thread(target=_decide, args=(database, held, factories.person(database, uuid4().hex), over, waits))
    beside.start()
    command = [sys.executable, "-m", "tests.benchmarks.export", "--alone", database.url, form]
    try:
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    finally:
        over.set()
        beside.join()
    plain = _plain(database, decided)
    print(
        f"{kind} {rows:,} items, {decided:>9,} decided, {form}: {told['rows']:,} rows in {told['files']} files, "
        f"{told['seconds']:.1f} s ({told['rows'] / told['seconds']:,.0f} rows/s), peak {told['peak']:.0f} MiB; the bare rows "
        f"read by the driver {plain:.1f} s; beside it {len(waits)} decisions, the longest {max(waits) * 1e3:.0f} ms",
        flush=True,
    )


def _decide(database: Database, held: Setting, who: Actor, over: threading.Event, waits: list[float]) -> None:
    lease = held.policy.review.lease
    while not over.wait(PAUSE):
        begun = time.perf_counter()
        hand = database.write(claims.claim, held.id, who, "beside", 1, lease)[0]
        database.write(decisions.decide, who, hand.task_id, hand.token, Said(uuid4().hex, "accept", seconds=1.0))
        waits.append(time.perf_counter() - begun)


def _plain(database: Database, decided: int) -> float:
    """Seconds to read input, routing and decision of as many items in one statement, and nothing else."""
    query = (
        "SELECT i.input, r.label, r.confidence, r.pi, d.label, d.verdict FROM item i JOIN routing r ON r.item_id = i.id "
        f"JOIN decision d ON d.item_id = i.id WHERE i.id <= {decided}"
    )
    begun = time.perf_counter()
    with database.engine.connect() as connection:
        for _ in connection.execution_options(yield_per=1000).execute(text(query)):
            pass
    return time.perf_counter() - begun


def _alone(url: str, form: str) -> None:
    database = Database(url)
    begun = time.perf_counter()
    info = datasets.export(database, database.read(projects.get, "claims"), format=form, by=None)
    seconds = time.perf_counter() - begun
    held = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    files = len(info.manifest["data"])
    print(json.dumps({"rows": info.rows, "files": files, "seconds": seconds, "peak": int(held) / 1024}))
    database.close()


if __name__ == "__main__":
    main()

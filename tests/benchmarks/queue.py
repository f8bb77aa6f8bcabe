"""`python -m tests.benchmarks.queue`: claiming and deciding, beside the same rows written without any check.

Everything in turns on the same database; ratios of medians. `--rows` says how many tasks wait.
"""

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from db.engine import Database
from db.statements import _encoded, insertion, run
from db.statements import _written as _written_out
from review_queue import claims, clock, decisions
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.benchmarks import ground

ROUNDS = 5
PAYLOAD = '{"amount":120.5,"note":"' + "x" * 360 + '","region":"north"}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--acts", type=int, default=150, help="of each client in a round")
    asked = parser.parse_args()
    with ground.server() as postgres, tempfile.TemporaryDirectory(prefix="signoff-bench-", dir="/tmp") as folder:
        for kind, rows in product(ground.KINDS, asked.rows):
            with ground.migrated(kind, postgres, Path(folder)) as database:
                held = factories.setting(database)
                fill(database, held, rows)
                for clients in asked.clients:
                    beside(database, held, kind, rows, clients, asked.acts)


def fill(database: Database, held: Setting, rows: int) -> None:
    """So many waiting review tasks, put by SQL alone."""
    lite = database.engine.dialect.name == "sqlite"
    now = int(time.time() * 1e6) if lite else "now()"
    series = f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows})"
    source = f"{series} SELECT {{}} FROM s" if lite else f"SELECT {{}} FROM generate_series(1, {rows}) AS s(n)"
    puts = {
        "item_key (item_id, project_id, external_id, content_hash)": f"n, {held.id}, 'i' || n, 'h' || n",
        "item (id, project_id, project_version_id, input, received_at)": f"n, {held.id}, 1, '{PAYLOAD}', {now}",
        "prediction (item_id, model_id, label, confidence, probabilities, scored_at)": f"n, 1, 'pay', 0.6, '[0.4,0.6]', {now}",
        "routing (item_id, n, project_id, period_id, routing_rule_id, model_id, route, reason, segment, band, p_evidence, "
        "p_second, pi, label, confidence, routed_at)": (
            f"n, 1, {held.id}, (SELECT max(id) FROM evidence_period), (SELECT max(id) FROM routing_rule), 1, 'review', 'unsure', "
            f"'', 1, 0.0, 0.0, 1.0, 'pay', 0.6, {now}"
        ),
        "task (item_id, routing_n, project_id, kind, seat, audience, blind, state, rank, weight, skips, made_at)": (
            f"n, 1, {held.id}, 'review', 1, 'reviewers', {0 if lite else 'false'}, 'pending', "
            f"{'abs(random()) % 1000000000' if lite else '(random() * 1000000000)::bigint'}, 0.5, 0, {now}"
        ),
    }

    def put(session: Session) -> None:
        for into, what in puts.items():
            session.connection().exec_driver_sql(f"INSERT INTO {into} {source.format(what)}")

    database.write(put)
    if lite:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
        return
    engine = create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('item_key', 'item_id'), {rows})"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    engine.dispose()


def beside(database: Database, held: Setting, kind: str, rows: int, clients: int, acts: int) -> None:
    people = [factories.person(database, f"p{uuid4().hex[:8]}") for _ in range(clients)]
    plain = [factories.person(database, f"q{uuid4().hex[:8]}") for _ in range(clients)]
    rounds: list[tuple[Round, Round]] = []
    for _ in range(ROUNDS):
        ours = timed([decider(database, held, who, acts) for who in people])
        rounds.append((ours, timed([writer(database, held, who, acts) for who in plain])))
    mine, theirs = ([each[n] for each in rounds] for n in (0, 1))
    slower = statistics.median(a.median / b.median for a, b in rounds)
    faster = statistics.median(a.rate / b.rate for a, b in rounds)
    print(
        f"{kind} {rows:>9,} waiting, {clients:>2} people: decide and next {_middle(mine)}; the same rows unchecked "
        f"{_middle(theirs)}; p50 {slower:.2f} times, rate {faster:.2f} of it",
        flush=True,
    )


@dataclass(frozen=True)
class Round:
    """Median and 95th percentile in seconds, and acts a second."""

    median: float
    p95: float
    rate: float


def _middle(rounds: Sequence[Round]) -> str:
    p50, p95, rate = (statistics.median(getattr(each, name) for each in rounds) for name in ("median", "p95", "rate"))
    return f"p50 {p50 * 1e3:.2f} ms, p95 {p95 * 1e3:.1f} ms, {rate:,.0f}/s"


def decider(database: Database, held: Setting, who: Actor, acts: int) -> Callable[[], list[float]]:
    """Decides and takes the next, as the desk and the API do, without the case's content."""
    lease = held.policy.review.lease
    session_name = uuid4().hex

    def verb(session: Session, task: int, token: str, key: str) -> Any:
        decisions.decide(session, who, task, token, Said(key, "accept", seconds=3.0))
        return claims.claim(session, held.id, who, session_name, 1, lease)[0]

    def act() -> list[float]:
        hand = database.write(claims.claim, held.id, who, session_name, 1, lease)[0]
        took = []
        for _ in range(acts):
            begun = time.perf_counter()
            hand = database.write(verb, hand.task_id, hand.token, uuid4().hex)
            took.append(time.perf_counter() - begun)
        return took

    return act


def writer(database: Database, held: Setting, who: Actor, acts: int) -> Callable[[], list[float]]:
    """Writes the rows of a decision and of the next claim by the driver alone, one statement after the other and then a
    commit, on tasks chosen beforehand."""

    def act() -> list[float]:
        mine = database.write(_chosen, held, who, acts + 1)
        took = []
        with bare(database) as (execute, commit):
            for this, following in pairwise(mine):
                begun = time.perf_counter()
                for statement, values in _written(held, who, *this, following):
                    execute(statement, values)
                commit()
                took.append(time.perf_counter() - begun)
        return took

    return act


@contextmanager
def bare(database: Database) -> Iterator[tuple[Callable[..., Any], Callable[[], None]]]:
    """A connection of the driver's own, as durable as ours: how to execute, and how to commit."""
    if database.engine.dialect.name == "sqlite":
        lite = sqlite3.connect(str(database.engine.url.database), isolation_level="IMMEDIATE", timeout=30)
        lite.execute("PRAGMA synchronous=FULL")
        yield (lambda text, values: lite.execute(text, _encoded(values, True))), lite.commit
        lite.close()
        return
    import psycopg

    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        cursor = connection.cursor()
        yield (lambda text, values: cursor.execute(_written_out(text, False), _encoded(values, False))), connection.commit


def _chosen(session: Session, held: Setting, who: Actor, count: int) -> list[tuple[int, int, int]]:
    lease = held.policy.review.lease
    found: list[tuple[int, int, int]] = []
    for n in range(count):
        hand = claims.claim(session, held.id, who, f"plain{n}", 1, lease)[0]
        found.append((hand.task_id, hand.item_id, run(session, "SELECT id FROM claim WHERE token = :t", {"t": hand.token})[0][0]))
    return found


def _written(held: Setting, who: Actor, task: int, item: int, claim: int, following: Any) -> list[tuple[str, Any]]:
    now, body = clock.now(), {"external_id": f"i{item}", "revision": 1, "label": "pay", "source": "human", "verdict": "accept"}
    rows: dict[str, dict[str, Any]] = {
        "decision": {
            "key": uuid4().hex, "request_hash": "0" * 64, "project_id": held.id, "task_id": task, "item_id": item,
            "claim_id": claim, "person_id": who.id, "stage": "final", "verdict": "accept", "label": "pay", "seconds": 3.0,
            "blind": False, "basis": "routed", "via": "desk", "decided_at": now,
        },
        "outcome": {
            "item_id": item, "revision": 1, "project_id": held.id, "label": "pay", "source": "human", "verdict": "accept",
            "routing_n": 1, "decided_at": now,
        },
        "outbox": {
            "project_id": held.id, "kind": "outcome", "item_id": item, "body": body, "made_at": now,
            "ready_at": now + held.policy.review.undo_window,
        },
        "activity": {
            "at": now, "actor_id": who.id, "via": "desk", "verb": "decision.accept", "project_id": held.id,
            "subject": f"item:{item}", "after": {"decision": "1", "verdict": "accept", "label": "pay", "blind": False},
        },
        "tally": {"project_id": held.id, "counts": {"open": -1, "decided": 1, "outcomes/human": 1}},
        "claim": {
            "task_id": following[0], "item_id": following[1], "person_id": who.id, "session": "next", "token": uuid4().hex,
            "state": "released", "taken_at": now, "expires_at": now,
        },
    }  # fmt: skip
    return [
        ("UPDATE claim SET state = 'answered', closed_at = :now WHERE id = :claim", {"now": now, "claim": claim}),
        ("UPDATE task SET state = 'completed', closed_at = :now WHERE id = :task", {"now": now, "task": task}),
        *(insertion(table, row) for table, row in rows.items()),
        ("UPDATE task SET state = 'in_progress' WHERE id = :task", {"task": following[0]}),
    ]


def timed(acts: Sequence[Callable[[], list[float]]]) -> Round:
    """All acts at once, each in a thread."""
    took: list[float] = []
    failed: list[BaseException] = []

    def run_one(act: Callable[[], list[float]]) -> None:
        try:
            took.extend(act())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run_one, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    busy = sum(took) / len(acts)
    return Round(statistics.median(took), statistics.quantiles(took, n=20)[-1], len(took) / busy)


if __name__ == "__main__":
    main()

"""Items in: checked, hashed and kept, beside rows of the same size put bare into one table.

    python -m tests.benchmarks.intake [sqlite] [postgresql] [--items N] [--rounds N] [--memory]

Ours: every check, canonical JSON and SHA-256, once and for ever by its id, three tables, the count of what waits. The limit of
../shared/perf: rows of about 400 bytes by COPY, or by executemany with synchronous=FULL, a commit per 1,000. In turns, each on
a database of its own. `--memory`: the peak of `item load` of 100,000 and of 1,000,000 rows, in processes of their own.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app import loading
from app.settings import Settings
from app.workspace import Workspace
from contract.project import Project
from db.engine import Database
from review_queue import intake, people
from tests import factories
from tests.benchmarks import ground
from tests.end_to_end.processes import environment, free_port, running, wait_until_up

BATCH, SENT, CLIENTS = 1_000, 100, 4
LIMIT = "limit: COPY, executemany"


def project() -> Project:
    return factories.project(input={"type": "tabular", "features": ground.FEATURES})


def accepted(database: Database, items: Sequence[dict[str, Any]]) -> float:
    """Items a second through check and accept, a batch a transaction."""
    held = factories.setting(database, project())
    begin = time.perf_counter()
    for at in range(0, len(items), BATCH):
        checked = [intake.check(held.project, item) for item in items[at : at + BATCH]]
        database.write(intake.accept, held, checked)
    return len(items) / (time.perf_counter() - begin)


def loaded(database: Database, items: Sequence[dict[str, Any]], folder: Path) -> float:
    """Items a second of `item load`, out of a file of JSON lines."""
    held = factories.setting(database, project())
    file = folder / "items.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    workspace = Workspace(Settings(dir=folder), database, factories.keys(database))
    begin = time.perf_counter()
    done = loading.load(workspace, held, file)
    took = time.perf_counter() - begin
    assert done.added == len(items)
    return len(items) / took


def posted(database: Database, items: Sequence[dict[str, Any]], folder: Path) -> float:
    """Items a second over HTTP, in requests of 100, by four clients on the cores of the server."""
    factories.setting(database, project())
    database.write(people.add_person, "producer", role="lead", kind="service")
    key = database.write(people.add_key, "producer", scopes=["produce"])
    port = free_port()
    bodies = [json.dumps({"items": items[at : at + SENT]}).encode() for at in range(0, len(items), SENT)]
    with running(["api", "run", "--port", str(port)], environment(folder, database.url)):
        wait_until_up(port)
        _send(port, key, [json.dumps({"items": list(ground.claims(1, seed=9))}).encode()])
        begin = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(lambda n: _send(port, key, bodies[n::CLIENTS]), range(CLIENTS)))
        return len(items) / (time.perf_counter() - begin)


def _send(port: int, key: str, bodies: Sequence[bytes]) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", "/api/v1/projects/claims/items", body, headers)
        reply = connection.getresponse()
        said = reply.read()
        assert reply.status == 202, said[:300]
        assert all(each["state"] == "received" for each in json.loads(said)["items"])
    connection.close()


def measured(kind: str, postgres: str, count: int, rounds: int) -> None:
    items, rows = list(ground.claims(count)), ground.limit_rows(count)

    def fresh(run: Any, *more: Any) -> float:
        with tempfile.TemporaryDirectory() as folder, ground.migrated(kind, postgres, Path(folder)) as database:
            return float(run(database, items, *([Path(folder)] if more else [])))

    def limit() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return ground.bare_rows(kind, postgres, Path(folder), rows, BATCH)

    ways = {
        LIMIT: limit,
        "check and accept": lambda: fresh(accepted),
        "item load": lambda: fresh(loaded, True),
        "over HTTP": lambda: fresh(posted, True),
    }
    print(f"\n{kind}, {count:,} items, {rounds} rounds\n\n| what | items a second | ratio |\n| --- | --- | --- |")
    print(*ground.table(ground.in_turns(rounds, ways), LIMIT, "/s"), sep="\n", flush=True)


def memory() -> None:
    """Peak memory of a load by the number of its rows, on SQLite."""
    for count in (100_000, 1_000_000):
        command = [sys.executable, "-m", "tests.benchmarks.intake", "--load", str(count)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)


def load(count: int) -> None:
    import resource

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "items.csv"
        with file.open("w") as out:
            out.write("id," + ",".join(ground.FEATURES) + "\n")
            for item in ground.claims(count):
                out.write(f"{item['external_id']},{','.join(str(value) for value in item['input'].values())}\n")
        with ground.migrated("sqlite", "", folder) as database:
            wanted = factories.project(input={"type": "tabular", "id": "id", "features": ground.FEATURES})
            held = factories.setting(database, wanted)
            workspace = Workspace(Settings(dir=folder), database, factories.keys(database))
            begin = time.perf_counter()
            done = loading.load(workspace, held, file)
            took = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{done.added:,} rows of CSV: {took:.0f} s ({done.added / took:,.0f} a second), peak {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=list(ground.KINDS))
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--load", type=int, default=0, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.load:
        return load(wanted.load)
    if wanted.memory:
        return memory()
    with ground.server() as postgres:
        for kind in wanted.kinds:
            measured(kind, postgres, wanted.items, wanted.rounds)
    return None


if __name__ == "__main__":
    main()

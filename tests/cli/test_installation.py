"""`signoff db` and `signoff doctor`."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from app.settings import Settings
from app.workspace import Workspace, open_workspace
from db.tables import Activity, Outbox, RoutingRule, Task, Work
from review_queue import clock, events, intake, projects
from tests import factories
from tests.cli.conftest import Signoff


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ready(claims: Signoff, workspace: Workspace) -> Signoff:
    """A workspace with which nothing is wrong."""
    setting = workspace.database.read(projects.get, "claims")
    workspace.database.write(factories.champion, setting, workspace.keys.draw_key_id)
    return claims


def wrong(signoff: Signoff, port: int, **env: str) -> dict[str, dict[str, Any]]:
    """Whatever the doctor finds, by check."""
    rows = signoff.json("doctor", "--port", str(port), code=1, env=env)
    return {row["check"]: row for row in rows if not row["ok"]}


def execute(workspace: Workspace, statement: Any) -> None:
    workspace.database.write(lambda session: session.execute(statement))


def test_db_upgrade_and_check(tmp_path: Path) -> None:
    signoff = Signoff(tmp_path / "new")
    assert "there is no workspace" in signoff.refused("db", "check")
    said = signoff("db", "upgrade").stdout
    assert "0003 many hands: " in said
    assert "is of this release now" in said
    assert "already" in signoff("db", "upgrade").stdout
    assert signoff.json("db", "check") == {"current": True, "fits": True, "differences": [], "problems": []}


def test_db_check_tells_differences(signoff: Signoff) -> None:
    workspace = open_workspace(Settings(dir=signoff.folder))
    execute(workspace, text("ALTER TABLE person ADD COLUMN nick TEXT"))
    assert "nick" in signoff("db", "check", code=1).stdout
    execute(workspace, text("UPDATE alembic_version SET version_num = 'newer'"))
    assert "which this one fits" in signoff("db", "check").stdout
    assert signoff.json("user", "list") == []
    assert "newer release" in signoff.refused("db", "upgrade")
    execute(workspace, text("UPDATE compatibility SET since = 'newer'"))
    assert "install that release" in signoff("db", "check", code=1).stdout
    workspace.database.close()
    assert "install that release" in signoff.refused("user", "list")


def test_db_check_tells_broken_rules_of_the_rows(ready: Signoff, workspace: Workspace) -> None:
    setting = workspace.database.read(projects.get, "claims")
    raw = {"external_id": "1", "input": {"amount": 1.0, "region": "north"}}
    workspace.database.write(intake.accept, setting, [intake.check(setting.project, raw)])
    assert ready("db", "check").stdout.strip() == "ok"
    execute(workspace, delete(Work))
    said = ready("db", "check", code=1).stdout
    assert "neither waiting to be scored nor routed: 1 (item 1)" in said
    assert "the counts of claims are not those of its tables (unscored by +1)" in said
    assert len(ready.json("db", "check", "--recount", code=1)["problems"]) == 1


def test_a_sound_installation(ready: Signoff, port: int) -> None:
    rows = ready.json("doctor", "--port", str(port))
    assert all(row["ok"] for row in rows)
    assert {"python", "packages", "workspace", "disk", "database", "integrity", "secret key", "device", "port"} <= {
        row["check"] for row in rows
    }
    assert "WRONG" not in ready("doctor", "--port", str(port)).stdout


def test_no_workspace_at_all(tmp_path: Path, port: int) -> None:
    found = wrong(Signoff(tmp_path / "none"), port)
    assert set(found) == {"workspace", "database"}
    assert not (tmp_path / "none").exists()


def test_a_project_without_a_model(claims: Signoff, port: int) -> None:
    found = wrong(claims, port)
    assert set(found) == {"model of claims"}
    assert "signoff model train" in found["model of claims"]["mend"]


def test_nobody_works(ready: Signoff, workspace: Workspace, port: int) -> None:
    setting = workspace.database.read(projects.get, "claims")
    workspace.database.write(
        events.announce, setting.id, "outcome", {}, item_id=None, ready_at=clock.now() - timedelta(minutes=2)
    )
    factories.submit(workspace.database, setting, [factories.raw("a"), factories.raw("b")])
    execute(workspace, update(Work).values(ready_at=clock.now() - timedelta(minutes=9)))
    execute(workspace, update(Work).where(Work.item_id == 1).values(worker="gone"))
    found = wrong(ready, port)
    assert set(found) == {"events", "work", "leases"}
    assert "signoff worker run" in found["events"]["mend"]
    assert workspace.database.read(lambda session: session.scalar(select(Outbox.id))) is not None


def test_a_task_that_nobody_holds(ready: Signoff, workspace: Workspace, port: int) -> None:
    setting = workspace.database.read(projects.get, "claims")
    factories.submit(workspace.database, setting, [factories.raw("a")])
    row = {"item_id": 1, "routing_n": 1, "project_id": setting.id, "kind": "review", "blind": False, "rank": 1, "weight": 1.0}
    workspace.database.write(lambda session: session.add(Task(**row, state="in_progress", made_at=clock.now())))
    assert "tasks 1" in wrong(ready, port)["tasks"]["mend"]


def test_keys_that_are_gone_strange_or_open(ready: Signoff, port: int) -> None:
    assert "not the one of this database" in wrong(ready, port, SIGNOFF_SECRET_KEY="another")["secret key"]["saw"]
    file = ready.folder / "secret.key"
    file.chmod(0o644)
    assert wrong(ready, port)["secret key"]["mend"].startswith("chmod 600")
    file.unlink()
    assert "--new-key" in wrong(ready, port)["secret key"]["mend"]
    assert not file.exists()


def test_a_lost_key_is_replaced(ready: Signoff, workspace: Workspace, port: int) -> None:
    (ready.folder / "secret.key").unlink()
    result = ready("doctor", "--new-key", "--port", str(port))
    assert "restart workers" in result.stderr
    again = open_workspace(Settings(dir=ready.folder))
    assert again.keys.draw_key_id > workspace.keys.draw_key_id
    newest = select(RoutingRule.draw_key_id).order_by(RoutingRule.id.desc()).limit(1)
    assert again.database.read(lambda session: session.scalar(newest)) == again.keys.draw_key_id
    assert again.database.read(lambda session: session.scalar(select(Activity.id).where(Activity.verb == "key.rotate")))
    again.database.close()


def test_a_new_key_keeps_the_older_ones(ready: Signoff, workspace: Workspace, port: int) -> None:
    before = (ready.folder / "secret.key").read_text().split()
    ready("doctor", "--new-key", "--port", str(port))
    after = (ready.folder / "secret.key").read_text().split()
    assert after[1:] == before
    again = open_workspace(Settings(dir=ready.folder))
    assert len(again.keys.draw) == 2
    again.database.close()


def test_a_secret_from_outside_is_adopted(ready: Signoff, port: int) -> None:
    told = {"SIGNOFF_SECRET_KEY": "a new secret from outside"}
    before = (ready.folder / "secret.key").read_text()
    result = ready("doctor", "--port", str(port), env={**told, "SIGNOFF_NEW_KEY": "1"})
    assert "the first in SIGNOFF_SECRET_KEY" in result.stderr
    assert (ready.folder / "secret.key").read_text() == before
    ready("queue", "stats", env=told)


def test_a_broken_database(ready: Signoff, port: int) -> None:
    (ready.folder / "signoff.db").write_bytes(b"no database at all, but long enough to be one " * 100)
    for name in ("signoff.db-wal", "signoff.db-shm"):
        (ready.folder / name).unlink(missing_ok=True)
    assert "not a database" in wrong(ready, port)["database"]["saw"]


def test_an_unknown_device(ready: Signoff, port: int) -> None:
    assert set(wrong(ready, port, SIGNOFF_DEVICE="abacus")) == {"device"}


def test_a_taken_port(ready: Signoff) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        threading.Thread(target=_hang_up, args=(taken,), daemon=True).start()
        assert set(wrong(ready, taken.getsockname()[1])) == {"port"}


def test_our_own_port(ready: Signoff, answering: int) -> None:
    rows = ready.json("doctor", "--port", str(answering))
    assert rows[-1]["saw"] == f"signoff answers on {answering}"


def _hang_up(taken: socket.socket) -> None:
    connection, _ = taken.accept()
    connection.close()


@pytest.fixture
def answering() -> Iterator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()

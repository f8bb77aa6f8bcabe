"""What holds for every call: problem documents, health, metrics, the page of calls, and a light process."""

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.api import access
from app.api.main import create_api
from app.settings import Settings
from app.workspace import Workspace
from db.engine import Database
from review_queue import projects
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, problem

Key = dict[str, str]


@pytest.fixture
def database(sqlite: Database) -> Database:
    """Which kind of database it is does not matter here."""
    return sqlite


def test_addresses_and_methods_that_are_not_there(api: Api) -> None:
    problem(api.get("/nothing"), 404, "not_found")
    problem(api.get("/projects/"), 404, "not_found")
    reply = api.client.delete("/api/v1/projects")
    assert reply.headers["allow"] == "GET"
    assert "GET" in problem(reply, 405, "method_not_allowed")["detail"]


def test_an_error_on_our_side_says_nothing_of_the_inside(
    api: Api, reader: Key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any, by: Any) -> None:
        raise ZeroDivisionError("the secret sauce")

    monkeypatch.setattr(projects, "everything", fail)
    with caplog.at_level(logging.ERROR, "signoff.api"):
        reply = api.get("/projects", reader)
    found = problem(reply, 500, "internal")
    assert "sauce" not in reply.text
    assert found["error_id"] in found["detail"]
    assert found["error_id"] in caplog.text
    assert "secret sauce" in caplog.text


def test_a_database_that_is_gone_is_said_so(tmp_path: Path, sqlite: Database, caplog: pytest.LogCaptureFixture) -> None:
    gone = Database(f"sqlite:///{tmp_path / 'no' / 'such.db'}")
    workspace = Workspace(Settings(dir=tmp_path, secret_key=factories.SECRET), gone, factories.keys(sqlite))
    with TestClient(create_api(workspace)) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert "does not answer" in problem(client.get("/readyz"), 503, "not_ready")["detail"]
        reply = client.get("/v1/projects", headers={"Authorization": "Bearer x"})
        problem(reply, 503, "unavailable")
        assert reply.headers["retry-after"]


def test_a_database_of_another_release_is_not_ready(api: Api, database: Database) -> None:
    assert api.client.get("/api/readyz").json() == {"status": "ready"}
    database.write(lambda session: session.execute(text("UPDATE alembic_version SET version_num = '0002'")))
    assert "db upgrade" in problem(api.client.get("/api/readyz"), 503, "not_ready")["detail"]


def test_metrics_count_every_project_and_twice_the_same(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.6)})
    problem(api.client.get("/api/metrics"), 401, "no_key")
    first = api.client.get("/api/metrics", headers=reader)
    assert first.headers["content-type"].startswith("text/plain")
    for line in (
        'signoff_tasks_waiting{project="claims"} 1.0',
        'signoff_items{project="claims"} 2.0',
        'signoff_outcomes{project="claims",source="auto"} 1.0',
        'signoff_frozen{project="claims"} 0.0',
        'signoff_tasks_open{project="claims"} 1.0',
        'signoff_tasks_overdue{project="claims"} 0.0',
        'signoff_tasks_soon_due{project="claims"} 0.0',
        'signoff_tasks_parked{project="claims"} 0.0',
        'signoff_tasks_stuck{project="claims",why="adjudication"} 0.0',
    ):
        assert line in first.text
    assert "python_info" not in first.text
    assert api.client.get("/api/metrics", headers=reader).status_code == 200


def test_the_page_of_calls_asks_no_other_host(api: Api) -> None:
    page = api.client.get("/api/docs")
    assert page.status_code == 200
    assert not re.search(r"https?://|//[a-z]|<script|<link|@import|url\(", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for words in ("/api/v1/projects/{project}/items", "Decide, and take the next", "Scope: <code>review</code>", "RFC 9457"):
        assert words in page.text


def test_the_openapi_document_is_complete(api: Api) -> None:
    reply = api.client.get("/api/openapi.json")
    assert not re.search(r"https?://", reply.text)
    schema = reply.json()
    names = []
    for path, calls in schema["paths"].items():
        for method, call in calls.items():
            names.append(call["operationId"])
            assert call["summary"], path
            assert call["description"], path
            done = next(each for status, each in call["responses"].items() if status.startswith("2"))
            assert done.get("content") or "204" in call["responses"], (method, path)
            if path.startswith("/v1"):
                assert call["security"], path
                assert {"401", "403", "500"} <= set(call["responses"])
            for status, each in call["responses"].items():
                if int(status) >= 400:
                    assert list(each["content"]) == ["application/problem+json"], (path, status)
    assert len(names) == len(set(names))
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    wanted = set(re.findall(r'"#/components/schemas/(\w+)"', reply.text))
    assert wanted <= set(schema["components"]["schemas"])
    assert schema["paths"]["/v1/projects/{project}/items"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert schema["components"]["schemas"]["DecisionIn"]["examples"]


def test_every_id_is_a_string(api: Api) -> None:
    shapes = api.client.get("/api/openapi.json").json()["components"]["schemas"]
    ids = [(s, f, held) for s, shape in shapes.items() for f, held in shape.get("properties", {}).items() if f.endswith("id")]
    assert len(ids) > 8
    for shape, field, held in ids:
        kinds = {each.get("type") for each in held.get("anyOf", [held])}
        assert kinds <= {"string", "null"} or (shape, field) == ("ItemIn", "external_id"), (shape, field)


def test_every_reply_forbids_guessing_and_keeping(api: Api, reader: Key) -> None:
    for reply in (api.get("/projects", reader), api.get("/projects"), api.client.get("/api/healthz")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in reply.headers


def test_the_process_loads_no_model_library() -> None:
    code = (
        "import sys, app.api.main, retrain.datasets; "
        "sys.exit(','.join({'torch', 'shap', 'lime', 'sklearn', 'streamlit'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr


def test_the_header_of_a_person_is_read_as_utf8_or_latin1() -> None:
    assert access._header_text("Jürgen".encode().decode("latin-1")) == "Jürgen"
    assert access._header_text("Jürgen") == "Jürgen"

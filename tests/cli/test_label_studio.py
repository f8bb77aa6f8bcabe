"""Tasks of an exported folder in the real Label Studio: imported, labelled there, exported, and taken back."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.workspace import Workspace
from tests import factories
from tests.cli.conftest import Signoff
from tests.cli.test_imported import kept
from tests.retrain.test_rewriting import answered

TOKEN = "0123456789abcdef0123456789abcdef01234567"
STUDIO = os.environ.get("SIGNOFF_LABEL_STUDIO")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(STUDIO is None, reason="SIGNOFF_LABEL_STUDIO names no executable of Label Studio"),
]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[httpx.Client]:
    """A Label Studio of its own, with one user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["--username", "ann@example.org", "--password", "a-long-password", "--user-token", TOKEN, "--enable-legacy-api-token"]
    place = ["--data-dir", str(tmp_path / "studio"), "--port", str(port), "--no-browser", "--init"]
    quiet = {"COLLECT_ANALYTICS": "False", "LATEST_VERSION_CHECK": "False", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
    with (tmp_path / "log").open("wb") as log:
        command = [str(STUDIO), "start", *place, *user]
        process = subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log)
    try:
        head = {"Authorization": f"Token {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=head, timeout=60) as client:
            until = time.monotonic() + 600
            while not _answers(client):
                assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < until
                time.sleep(1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_there_and_back(
    claims: Signoff, workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch, studio: httpx.Client
) -> None:
    monkeypatch.setattr(factories, "SECRET", workspace.settings.secrets[0])
    held = factories.setting(workspace.database, factories.project(project="other"))
    answered(workspace.database, held, factories.person(workspace.database, "ann"), monkeypatch, "abc")
    folder = files / "out"
    claims.json("dataset", "export", "--project", "other", "--format", "label-studio", "--out", folder)
    config, tasks = (folder / "label_config.xml").read_text(), json.loads((folder / "tasks.json").read_text())
    project = _ok(studio.post("/api/projects", json={"title": "claims", "label_config": config}))["id"]
    told = _ok(studio.post(f"/api/projects/{project}/import", json=tasks))
    assert (told["task_count"], told["annotation_count"], told["prediction_count"]) == (3, 3, 3)
    there = {each["data"]["external_id"]: each["id"] for each in _ok(studio.get(f"/api/projects/{project}/export"))}
    assert set(there) == set("abc")
    more = {"result": [{"from_name": "label", "to_name": "case", "type": "choices", "value": {"choices": ["deny"]}}]}
    for _ in range(2):
        _ok(studio.post(f"/api/tasks/{there['b']}/annotations", json=more))
    _ok(studio.post(f"/api/tasks/{there['c']}/annotations", json=more))
    finished = files / "finished.json"
    finished.write_bytes(studio.get(f"/api/projects/{project}/export", params={"exportType": "JSON"}).content)
    said = claims.json("dataset", "import", finished, "--project", "other")
    assert (said["rows"], said["labels"], said["rejected"]) == (2, {"pay": 1, "deny": 1}, 1)  # of c one says each
    rows = {row["external_id"]: row for row in kept(workspace, "other")}
    assert rows["b"]["label"] == "deny"
    assert rows["b"]["agreement"] == pytest.approx(2 / 3)
    assert rows["b"]["annotated_at"]
    assert rows["a"]["input"] == {"amount": 120.5, "region": "canary-a", "opened": None}


def _ok(response: httpx.Response) -> Any:
    assert response.status_code < 300, response.text[:500]
    return response.json()

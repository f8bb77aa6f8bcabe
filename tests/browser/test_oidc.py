"""Coming in by an OIDC provider: a real one, out of a pip package, in a real browser."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from review_queue import activity, people
from tests.browser import filling
from tests.browser.conftest import Desk, free_port, start

pytestmark = pytest.mark.browser
PEOPLE = (
    {"sub": "s-ann", "email": "Ann@example.org", "email_verified": True},
    {"sub": "s-eve", "email": "eve@elsewhere.test", "email_verified": True},
)


@pytest.fixture
def provider() -> Iterator[str]:
    """A provider with two people; its address."""
    if importlib.util.find_spec("oidc_provider_mock") is None:
        pytest.skip("no OIDC provider: pip install -e '.[dev]'")
    port = free_port()
    known = [part for each in PEOPLE for part in ("--user-claims", json.dumps(each))]
    command = [os.path.join(os.path.dirname(sys.executable), "oidc-provider-mock"), "-p", str(port), *known]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture
def vouched(tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk that knows one of them."""
    port = free_port()
    settings = {"METADATA_URL": f"{provider}/.well-known/openid-configuration", "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    for name, value in {**settings, "CLIENT_ID": "signoff", "CLIENT_SECRET": "of the provider", "NAME": "Example"}.items():
        monkeypatch.setenv(f"SIGNOFF_OIDC_{name}", value)
    workspace = filling.workspace(tmp_path / "desk")
    filling.table(workspace, 4, True, automate={"at_least": "off"})
    workspace.database.write(people.add_person, "ann", role="lead", email="ann@example.org")
    held = start(tmp_path / "desk", workspace, port)
    yield held
    held.process.terminate()
    held.process.wait(10)
    workspace.database.close()


def test_who_is_expected_comes_in_where_they_were_going_and_goes_out_again(vouched: Desk, page: Any) -> None:
    page.goto(f"{vouched.url}/queue?project=claims")
    assert "/signin" in page.url
    assert page.locator("#password").count() == 0, "nobody here has a password"
    page.click("text=Sign in with Example")
    page.click("button:has-text('s-eve')")
    assert "nobody here expects eve@elsewhere.test" in page.inner_text('[role="alert"]')
    page.click("text=Sign in with Example")
    page.click("button:has-text('s-ann')")
    page.wait_for_selector(".so-title")
    assert page.url == f"{vouched.url}/queue?project=claims"
    assert "ann" in page.inner_text(".so-foot")
    (ann,) = [each for each in vouched.workspace.database.read(people.accounts) if each.name == "ann"]
    assert (ann.vouched, ann.role) == (True, "lead")
    assert [act.verb for act in vouched.workspace.database.read(activity.of_subject, "person:ann")] == ["user.bind", "user.add"]

    page.goto(f"{vouched.url}/signout")
    page.click("button")
    page.click("text=Sign out of Example too")
    page.click("button:has-text('s-ann')") if page.locator("button:has-text('s-ann')").count() else None
    page.goto(f"{vouched.url}/queue?project=claims")
    assert "/signin" in page.url
    cookies = {each["name"] for each in page.context.cookies()}
    assert not {name for name in cookies if name.startswith("_streamlit_user")}

"""`signoff user` and `signoff key`."""

import pytest

from app.settings import Settings
from app.workspace import open_workspace
from review_queue import people
from tests.cli.conftest import Signoff

PASSWORD = {"SIGNOFF_PASSWORD": "correct horse"}


def test_a_person_is_added_and_disabled(signoff: Signoff) -> None:
    assert signoff.json("user", "add", "anna", "--role", "lead", env=PASSWORD)["role"] == "lead"
    assert signoff("user", "add", "ben", env={**PASSWORD, "SIGNOFF_ROLE": "owner"}).stdout == "ben may sign in as owner\n"
    signoff("user", "disable", "anna")
    rows = {row["name"]: row for row in signoff.json("user", "list")}
    assert rows["anna"]["disabled"]
    assert rows["ben"]["has_password"]
    assert "anna  person  lead" in signoff("user", "list").stdout


def test_the_password_is_asked_for_twice_without_echo(signoff: Signoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.user._has_terminal", lambda: True)
    result = signoff("user", "add", "anna", given="correct horse\ncorrect horse\n")
    assert "correct horse" not in result.output
    workspace = open_workspace(Settings(dir=signoff.folder))
    assert workspace.database.read(people.sign_in, "anna", "correct horse")
    workspace.database.close()


def test_bad_accounts_are_told(signoff: Signoff) -> None:
    assert "is no role" in signoff.refused("user", "add", "anna", "--role", "boss", env=PASSWORD)
    assert "at least 10 characters" in signoff.refused("user", "add", "anna", env={"SIGNOFF_PASSWORD": "short"})
    signoff("user", "add", "anna", env=PASSWORD)
    assert "is taken" in signoff.refused("user", "add", "anna", env=PASSWORD)
    assert "there is no person 'nobody'" in signoff.refused("user", "disable", "nobody")
    assert "set SIGNOFF_PASSWORD" in signoff("user", "add", "ben", code=2).stderr


def test_no_option_takes_a_password(signoff: Signoff) -> None:
    assert "No such option" in signoff("user", "add", "anna", "--password", "x", code=2).stderr


def test_a_key_of_a_new_service(signoff: Signoff) -> None:
    assert "there is no person 'intake'" in signoff.refused("key", "add", "intake", "--scopes", "produce")
    made = signoff.json("key", "add", "intake", "--scopes", "read, produce", "--service", "--expires", "30d")
    assert made["key"].startswith("signoff_")
    assert made["scopes"] == ["produce", "read"]
    (row,) = signoff.json("key", "list")
    assert row["id"] == "1"
    assert made["key"].endswith(row["ends_in"])
    assert made["key"] not in signoff("key", "list").output
    (service,) = [row for row in signoff.json("user", "list") if row["name"] == "intake"]
    assert (service["kind"], service["role"]) == ("service", "viewer")


def test_only_the_key_is_on_standard_output(signoff: Signoff) -> None:
    result = signoff("key", "add", "intake", "--scopes", "produce", "--service")
    assert result.stdout.strip().startswith("signoff_")
    assert len(result.stdout.split()) == 1
    assert "not shown again" in result.stderr


def test_a_revoked_key_no_longer_works(signoff: Signoff) -> None:
    text = signoff.json("key", "add", "intake", "--scopes", "produce", "--service")["key"]
    signoff("key", "revoke", "1")
    workspace = open_workspace(Settings(dir=signoff.folder))
    assert workspace.database.read(people.open_key, text) is None
    workspace.database.close()
    assert "there is no key 7" in signoff.refused("key", "revoke", "7")


@pytest.mark.parametrize(("scopes", "said"), [("fly", "fly is no scope"), (",", "nothing is no scope")])
def test_bad_scopes_are_told(signoff: Signoff, scopes: str, said: str) -> None:
    assert said in signoff.refused("key", "add", "intake", "--scopes", scopes, "--service")
    assert signoff.json("user", "list")[-1]["name"] != "intake"


def test_a_bad_duration_is_misuse(signoff: Signoff) -> None:
    for expires in ("soon", "999999999999w"):
        assert "is not a duration" in signoff("key", "add", "x", "--scopes", "read", "--expires", expires, code=2).stderr

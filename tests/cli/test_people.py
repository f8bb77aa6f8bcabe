"""`signoff user` and `signoff key`."""

import pytest

from app.settings import Settings
from app.workspace import open_workspace
from review_queue import people, projects
from tests import factories
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


class TestProjects:
    @pytest.fixture(autouse=True)
    def two(self, signoff: Signoff) -> None:
        for name in ("claims", "letters"):
            made = open_workspace(Settings(dir=signoff.folder))
            wanted, key = factories.project(project=name), made.keys.draw_key_id
            made.database.write(projects.apply, wanted, factories.policy(), "", key, by=None)
            made.database.close()

    def seen(self, signoff: Signoff, name: str) -> dict[str, str]:
        (row,) = [row for row in signoff.json("user", "list") if row["name"] == name]
        return {**({"*": row["role"]} if row["everywhere"] else {}), **row["projects"]}

    def test_who_is_added_with_projects_sees_them_alone(self, signoff: Signoff) -> None:
        signoff("user", "add", "ann", env=PASSWORD)
        said = signoff("user", "add", "ben", "--project", "claims:lead", "-p", "letters", env=PASSWORD).stdout
        assert said == "ben may sign in as reviewer in claims, letters\n"
        assert self.seen(signoff, "ann") == {"*": "reviewer"}
        assert self.seen(signoff, "ben") == {"claims": "lead", "letters": "reviewer"}
        assert "claims:lead, letters" in signoff("user", "list").stdout

    def test_granted_and_withdrawn(self, signoff: Signoff) -> None:
        signoff("user", "add", "ann", env=PASSWORD)
        signoff("user", "withdraw", "ann", "--everywhere")
        assert self.seen(signoff, "ann") == {}
        assert signoff("user", "grant", "ann", "-p", "claims:owner").stdout == "claims is open to ann as owner\n"
        signoff("user", "role", "ann", "viewer")
        signoff("user", "grant", "ann", "--everywhere")
        assert self.seen(signoff, "ann") == {"*": "viewer", "claims": "owner"}
        signoff("user", "withdraw", "ann", "-p", "claims")
        assert self.seen(signoff, "ann") == {"*": "viewer"}

    def test_what_is_wrong_is_told_and_nothing_done(self, signoff: Signoff) -> None:
        assert "no project 'nowhere'" in signoff.refused("user", "add", "ann", "-p", "nowhere", env=PASSWORD)
        assert "ann" not in [row["name"] for row in signoff.json("user", "list")]
        signoff("user", "add", "ann", env=PASSWORD)
        assert "is no role" in signoff.refused("user", "grant", "ann", "-p", "claims:boss")
        assert "sees every project" in signoff.refused("user", "withdraw", "ann", "-p", "claims")
        assert "name projects" in signoff("user", "grant", "ann", code=2).stderr
        assert "leave the role out" in signoff("user", "withdraw", "ann", "-p", "claims:lead", code=2).stderr


def test_a_password_is_changed_and_an_account_let_in_again(signoff: Signoff) -> None:
    signoff("user", "add", "ann", "--no-password", "--email", "Ann@Example.org")
    assert "is no e-mail address" in signoff.refused("user", "email", "ann", "ann")
    signoff("user", "password", "ann", env=PASSWORD)
    signoff("user", "disable", "ann")
    signoff("user", "enable", "ann")
    (row,) = [row for row in signoff.json("user", "list") if row["name"] == "ann"]
    assert (row["email"], row["has_password"], row["disabled"]) == ("ann@example.org", True, False)
    assert "password or OIDC" in signoff("user", "list").stdout
    signoff("user", "email", "ann", "")
    assert "has the address" not in signoff("user", "add", "ben", "--no-password", "--email", "ann@example.org").stdout
    assert "has the address" in signoff.refused("user", "email", "ann", "ANN@example.org")

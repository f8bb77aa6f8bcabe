"""`signoff gold`, on routed items."""

import pytest

from app.workspace import Workspace
from review_queue import projects
from review_queue.projects import Setting
from tests import factories
from tests.cli.conftest import Signoff


@pytest.fixture(autouse=True)
def _known_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNOFF_SECRET_KEY", factories.SECRET)


@pytest.fixture
def setting(claims: Signoff, workspace: Workspace) -> Setting:
    held = workspace.database.read(projects.get, "claims")
    workspace.database.write(factories.champion, held, workspace.keys.draw_key_id)
    factories.routed(workspace.database, held, {"a": factories.says("pay", 0.99), "b": factories.says("pay", 0.99)})
    return workspace.database.read(projects.get, "claims")


def test_answers_are_named_listed_and_ended(claims: Signoff, setting: Setting) -> None:
    assert "no answer is known" in claims("gold", "list").stdout
    assert claims("gold", "add", "a", "b", "--label", "deny").stdout == "a is known: deny\nb is known: deny\n"
    assert claims("gold", "add", "b", "--none").stdout == "b is known: no label fits\n"
    found = claims.json("gold", "list")
    assert [(each["external_id"], each["label"], each["predicted"], each["source"]) for each in found] == [
        ("b", None, "pay", "named"),
        ("a", "deny", "pay", "named"),
    ]
    assert "wrong" in claims("gold", "list").stdout
    assert claims("gold", "end", "a").stdout == "a is given out no more\n"
    assert [each["external_id"] for each in claims.json("gold", "list")] == ["b"]


def test_what_cannot_be_known_says_the_mend(claims: Signoff, setting: Setting) -> None:
    assert "no label 'dny'; nearest is deny" in claims.refused("gold", "add", "a", "--label", "dny")
    assert "has no claim 'zzz'" in claims.refused("gold", "add", "zzz", "--label", "deny")
    assert "not among the known answers; `signoff gold list`" in claims.refused("gold", "end", "a")
    for given in ((), ("--label", "deny", "--none")):
        assert "give the right answer with --label" in claims("gold", "add", "a", *given, code=2).stderr

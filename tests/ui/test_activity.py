"""The page Activity and its files, what is hidden from a role on every page, and the sign-in page with a provider."""

import asyncio
import csv
import io
import json
import time
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.settings import Settings
from app.ui import frame, logbook, oidc, resources
from app.ui.door import Door
from app.workspace import NotReady, Workspace, local_name
from review_queue import activity, members, people, projects
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import OFF, button, html

BUTTONS = {
    "models": {"models-train": "lead", "models-freeze": "lead"},
    "data": {"data-make": "lead"},
}
"""What a page offers from which role on."""


@pytest.fixture
def held(workspace: Workspace) -> Setting:
    return filling.table(workspace, 2, False, **OFF)


def me(workspace: Workspace) -> Actor:
    return workspace.database.write(people.local_actor, local_name(), "desk")


def note(workspace: Workspace, by: Actor | None, held: Setting, *verbs: str, **more: Any) -> None:
    for verb in verbs:
        workspace.database.write(activity.record, by, verb, "model:1", project_id=held.id, **more)


def ask(workspace: Workspace, path: str) -> httpx.Response:
    async def work() -> httpx.Response:
        app = Starlette(routes=logbook.routes(Door(workspace, local=True)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
            return await http.get(path)

    return asyncio.run(work())


class TestPage:
    def test_details_are_words_and_moments_and_nothing_that_was_not(
        self, workspace: Workspace, held: Setting, screen: Screen
    ) -> None:
        until = {"opened_by": None, "kept_until": "2026-11-29T02:27:10.924002+00:00"}
        note(workspace, me(workspace), held, "one.act", before={"person": None}, after=until)
        shown = html(screen("activity", verb="one.act"))
        assert "<bdi>kept until: 2026-11-29 " in shown
        assert ":10.924" not in shown

    def test_filters_come_from_the_address_and_go_to_it(self, workspace: Workspace, held: Setting, screen: Screen) -> None:
        note(workspace, me(workspace), held, "one.act", "two.act", after={"word": "<b>bold</b>"})
        note(workspace, None, held, "two.act")
        at = screen("activity", verb="two.act")
        assert "one.act" not in html(at)
        assert html(at).count("<b>two.act</b>") == 2
        assert "Signoff itself" in html(at)
        assert "&lt;b&gt;bold" in html(at)
        at.selectbox(key="activity-verb").set_value("one.act").run()
        assert at.query_params["verb"] == "one.act"
        at.text_input(key="activity-subject").set_value("model:2").run()
        assert "No act fits these filters" in html(at)

    def test_what_is_no_filter_is_told_with_a_way_on(self, workspace: Workspace, held: Setting, screen: Screen) -> None:
        at = screen("activity", since="soon")
        assert "is no day" in html(at)
        button(at, "activity-clear").click().run()
        assert "newest first" in html(at)
        assert not screen("activity", before="x; DROP TABLE").exception
        assert "Nothing" in html(screen("activity", person="\x00<script>"))

    def test_older_pages_and_back(self, workspace: Workspace, held: Setting, screen: Screen) -> None:
        note(workspace, me(workspace), held, *(f"act{n:03}.x" for n in range(120)))
        at = screen("activity")
        assert "act119.x" in html(at)
        assert "act001.x" not in html(at)
        button(at, "activity-older").click().run()
        assert "act001.x" in html(at)
        button(at, "activity-newest").click().run()
        assert "act119.x" in html(at)

    def test_below_lead_ones_own_and_nobodys_name(self, workspace: Workspace, held: Setting, screen: Screen) -> None:
        note(workspace, factories.person(workspace.database, "lea", "lead"), held, "hers.act")
        note(workspace, me(workspace), held, "mine.act")
        workspace.database.write(members.grant, local_name(), held.name, "reviewer")
        at = screen("activity")
        assert "mine.act" in html(at)
        assert "hers.act" not in html(at)
        assert not [each for each in at.selectbox if each.key == "activity-person"]
        assert "is for leads to read" in html(screen("activity", person="lea"))


class TestFiles:
    def test_both_kinds_and_the_note_of_it(self, workspace: Workspace, held: Setting) -> None:
        note(workspace, me(workspace), held, "=evil()", after={"to": "=1+1"})
        rows = list(csv.DictReader(io.StringIO(ask(workspace, f"/activity.csv?project={held.name}").text)))
        assert [row["verb"] for row in rows[:2]] == ["activity.download", "'=evil()"]
        assert json.loads(rows[1]["after"]) == {"to": "=1+1"}
        reply = ask(workspace, f"/activity.jsonl?project={held.name}&verb=activity.download")
        lines = [json.loads(line) for line in reply.text.splitlines()]
        assert [line["after"]["format"] for line in lines] == ["jsonl", "csv"]
        assert lines[0]["after"]["filter"] == {"verb": "activity.download"}
        assert "attachment" in reply.headers["content-disposition"]

    def test_what_is_refused(self, workspace: Workspace, held: Setting) -> None:
        assert ask(workspace, "/activity.csv?project=nothing").status_code == 404
        assert ask(workspace, f"/activity.csv?project={held.name}&since=soon").status_code == 422
        workspace.database.write(members.grant, local_name(), held.name, "viewer")
        assert ask(workspace, f"/activity.csv?project={held.name}&person=lea").status_code == 403
        assert ask(workspace, f"/activity.csv?project={held.name}").status_code == 200
        workspace.database.write(members.withdraw, local_name(), held.name)
        workspace.database.write(members.everywhere, local_name(), False)
        assert ask(workspace, f"/activity.csv?project={held.name}").status_code == 404
        workspace.database.write(people.add_person, "ann", role="admin", password="a long password")
        assert ask(workspace, f"/activity.csv?project={held.name}").status_code == 401


@pytest.mark.parametrize("role", ["viewer", "reviewer", "lead", "owner"])
def test_every_page_in_every_role_offers_no_more_than_it_may(
    workspace: Workspace, held: Setting, screen: Screen, role: str
) -> None:
    me(workspace)
    workspace.database.write(members.grant, local_name(), held.name, role)
    for page in ("review", "queue", "insights", "data", "models", "find", "activity", "settings"):
        at = screen(page)
        assert not at.exception, page
        keys = {str(each.key) for each in at.button}
        for name, least in BUTTONS.get(page, {}).items():
            assert any(key.startswith(name) for key in keys) == (activity.RANKS[role] >= activity.RANKS[least]), (page, name)
        assert any("accept-" in key for key in keys) == (page == "review" and role != "viewer"), page


def test_a_closed_project_is_on_no_page(workspace: Workspace, held: Setting, screen: Screen) -> None:
    letters = factories.project(project="letters", title="Secret letters")
    key = workspace.keys.draw_key_id
    workspace.database.write(projects.apply, letters, factories.policy(), "", key, by=None)
    me(workspace)
    workspace.database.write(members.everywhere, local_name(), False)
    resources.forget()
    assert "No project" in html(screen("data", project="letters"))
    workspace.database.write(members.grant, local_name(), held.name)
    at = screen("data", project="letters")
    assert at.query_params["project"] == held.name
    actor = workspace.database.write(people.local_actor, local_name(), "desk")
    assert list(resources.project_names(actor)) == [held.name]


def test_a_press_on_a_page_that_was_drawn_in_another_role(workspace: Workspace, held: Setting, screen: Screen) -> None:
    at = screen("models")
    button(at, "models-freeze").click().run()
    workspace.database.write(members.grant, local_name(), held.name, "viewer")
    button(at, "models-freeze-yes").click().run()
    assert "nothing was done" in html(at)
    assert workspace.database.read(projects.get, held.name).frozen_at is None


class TestProvider:
    NEEDED = ("CLIENT_ID", "CLIENT_SECRET", "PUBLIC_URL")

    def settings(self, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
        held = {
            "METADATA_URL": "https://id.example/c",
            "CLIENT_ID": "x",
            "CLIENT_SECRET": "y",
            "PUBLIC_URL": "https://desk.example",
        }
        for name, value in {**held, **changes}.items():
            monkeypatch.setenv(f"SIGNOFF_OIDC_{name}", value)
        return Settings()

    def test_what_streamlit_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changes = {"GROUPS": "crew=reviewer, a=b=lead", "DOMAINS": "@Example.org", "PROJECTS": "claims"}
        found = oidc.provider(self.settings(monkeypatch, **changes), b"k")
        assert found is not None
        auth = found.secrets["auth"]
        assert auth["redirect_uri"] == "https://desk.example/oauth2callback"
        assert len(auth["cookie_secret"]) == 64
        assert found.rules.groups == {"crew": "reviewer", "a=b": "lead"}
        assert (found.rules.domains, found.rules.projects) == (frozenset({"example.org"}), ("claims",))
        assert "y" not in repr(self.settings(monkeypatch).oidc_client_id)
        assert "a secret" not in repr(self.settings(monkeypatch, CLIENT_SECRET="a secret"))

    @pytest.mark.parametrize("missing", NEEDED)
    def test_what_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
        with pytest.raises(NotReady, match=f"needs SIGNOFF_OIDC_{missing}"):
            oidc.provider(self.settings(monkeypatch, **{missing: ""}), b"k")

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("PUBLIC_URL", "desk.example", "write the desk's own address"),
            ("PUBLIC_URL", "https://desk.example/signoff", "write the desk's own address"),
            ("GROUPS", "crew", "is no GROUP=ROLE"),
            ("GROUPS", "crew=boss", "'boss' is no role"),
            ("ROLE", "boss", "'boss' is no role"),
        ],
    )
    def test_what_is_wrong_is_told(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
        with pytest.raises(NotReady, match=words):
            oidc.provider(self.settings(monkeypatch, **{name: value}), b"k")

    def test_without_an_address_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SIGNOFF_OIDC_METADATA_URL", raising=False)
        assert oidc.provider(Settings(), b"k") is None

    def test_the_ways_in_that_there_are(self) -> None:
        both = frame.sign_in("t", "/", provider=("<Us>", "/signin/provider?next=%2F"))
        assert "Sign in with &lt;Us&gt;" in both
        assert 'id="password"' in both
        assert 'id="password"' not in frame.sign_in("t", "/", provider=("Us", "/x"), passwords=False)


def test_streamlits_cookie_alone_opens_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in a browser that set out from our sign-in page is it believed."""
    settings = TestProvider().settings(monkeypatch)
    provider = oidc.provider(settings, workspace.keys.link)
    seen: list[str] = []
    monkeypatch.setattr(oidc, "vouched_for", lambda request: seen.append("asked") or {"iss": "i", "sub": "s"})

    async def work() -> tuple[httpx.Response, httpx.Response]:
        app = Starlette(routes=Door(workspace, local=False, provider=provider).routes())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
            http.cookies.set("_streamlit_user", "whatever")
            first = await http.get("/")
            http.cookies.set("signoff_goal", "forged")
            return first, await http.get("/")

    for reply in asyncio.run(work()):
        assert (reply.status_code, reply.headers["location"]) == (303, "/signin?next=%2F")
    assert seen == []
    assert not any(each.vouched for each in workspace.database.read(people.accounts))


@pytest.mark.parametrize(("minutes", "lets_in"), [(0, True), (-60, False), (None, False)])
def test_what_the_provider_said_before_somebody_set_out_opens_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, minutes: int | None, lets_in: bool
) -> None:
    """A browser keeps the last sign-in with the provider: whoever sits there next does not come in by it."""
    provider = oidc.provider(TestProvider().settings(monkeypatch), workspace.keys.link)
    claims: dict[str, Any] = {"iss": "i", "sub": "s", "email": "ann@example.org", "email_verified": True}
    if minutes is not None:
        claims["iat"] = int(time.time()) + 60 * minutes
    monkeypatch.setattr(oidc, "vouched_for", lambda request: claims)
    monkeypatch.setattr(oidc, "login_address", lambda: "/there")
    workspace.database.write(people.add_person, "ann", role="reviewer", email="ann@example.org")

    async def work() -> httpx.Response:
        app = Starlette(routes=Door(workspace, local=False, provider=provider).routes())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
            await http.get("/signin/provider?next=/queue")
            return await http.get("/")

    reply = asyncio.run(work())
    assert (resources.COOKIE in reply.cookies) is lets_in
    assert reply.headers.get("location") == ("/queue" if lets_in else None)

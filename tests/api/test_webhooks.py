"""Webhooks over HTTP: added by admins with a secret that is shown once, listed, sent again, ended."""

import re
from typing import Any

import pytest
from sqlalchemy import update

from app.settings import Settings
from app.workspace import Workspace
from db.engine import Database
from db.tables import Delivery
from review_queue import addresses, clock, deliveries, events
from review_queue.deliveries import Answer
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

PATH = "/projects/claims/webhooks"
URL, SHOWN = "https://example.com/signoff", "https://example.com/…"


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch, held: Setting) -> None:
    """No test asks the network for a name."""
    known = {"example.com": "93.184.215.14", "inside.example": "10.0.0.7"}

    def answers(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise OSError("unknown")
        return [(2, 1, 6, "", (known[host], port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", answers)


@pytest.fixture
def admin(key: MakeKey) -> dict[str, str]:
    return key("root", "admin", role="admin")


def test_adding_shows_the_secret_once(api: Api, admin: dict[str, str], key: MakeKey, workspace: Workspace) -> None:
    made = api.post(PATH, {"url": URL, "kinds": ["outcome"]}, admin)
    assert made.status_code == 201
    hook = made.json()
    assert hook["secret"] == workspace.keys.webhook_secret(int(hook["id"]), workspace.keys.webhook_key_id)
    (listed,) = api.get(PATH, key("lena", "read", role="lead")).json()["webhooks"]
    assert "secret" not in listed
    assert (listed["url"], listed["kinds"], listed["dead"], listed["position"]) == (SHOWN, ["outcome"], 0, "0")
    assert api.get(PATH, admin).json()["webhooks"][0]["url"] == URL


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"url": "http://example.com/"}, "https alone"),
        ({"url": "https://inside.example/"}, "SIGNOFF_WEBHOOKS_PRIVATE"),
        ({"url": "https://unknown.example/"}, "no address is known"),
        ({"url": "https://ann:pw@example.com/"}, "signature"),
        ({"url": "nothing"}, "no address"),
        ({"url": ""}, "url"),
        ({"url": URL, "kinds": ["outcomes"]}, "no kind of event"),
        ({"url": URL, "kinds": []}, "kinds"),
        ({"url": URL, "after": "7"}, "the sequence is at 0"),
        ({"url": URL, "after": "-1"}, "after"),
        ({"url": URL, "secret": "mine"}, "secret"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused(api: Api, admin: dict[str, str], wish: dict[str, Any], says: str) -> None:
    assert says in problem(api.post(PATH, wish, admin), 422, "invalid")["detail"]
    assert api.get(PATH, admin).json() == {"webhooks": []}


def test_inside_addresses_are_taken_where_the_setting_allows_them(database: Database, admin: dict[str, str], api: Api) -> None:
    here: Any = api.client.app
    here.routes[0].app.state.workspace = Workspace(
        Settings(secret_key=factories.SECRET, webhooks_private=True), database, factories.keys(database)
    )
    assert api.post(PATH, {"url": "http://inside.example/"}, admin).status_code == 201


def test_others_may_not(api: Api, reader: dict[str, str], producer: dict[str, str], key: MakeKey) -> None:
    for held in (reader, producer):
        problem(api.post(PATH, {"url": URL}, held), 403, "scope_lacks")
        problem(api.client.delete(f"/api/v1{PATH}/1", headers=held), 403, "scope_lacks")
    problem(api.get(PATH, producer), 403, "scope_lacks")
    problem(api.get(PATH), 401, "no_key")


def test_dead_letters_are_listed_sent_again_and_forgotten(
    api: Api, admin: dict[str, str], database: Database, held: Setting
) -> None:
    hook = int(api.post(PATH, {"url": URL}, admin).json()["id"])
    for _ in range(3):
        database.write(events.announce, held.id, "outcome", {}, item_id=None)
    database.write(events.sequence)
    load = database.write(deliveries.take, hook, "w")
    assert load is not None
    database.write(deliveries.settle, load, {n: Answer("500: no") for n in (1, 2, 3)})
    assert api.get(f"{PATH}/{hook}/deliveries", admin, dead=True).json() == {"deliveries": []}
    database.write(lambda s: s.execute(update(Delivery).values(state="dead", next_at=clock.now())) and None)
    listed = api.get(f"{PATH}/{hook}/deliveries", admin, dead=True, after=1).json()["deliveries"]
    assert [(each["seq"], each["last_error"]) for each in listed] == [("2", "500: no"), ("3", "500: no")]
    assert api.post(f"{PATH}/{hook}/resend", {"seq": "2"}, admin).json() == {"resent": 1}
    problem(api.post(f"{PATH}/{hook}/resend", {"seq": "2"}, admin), 404, "not_found")
    assert api.client.delete(f"/api/v1{PATH}/{hook}/deliveries/3", headers=admin).status_code == 204
    assert api.post(f"{PATH}/{hook}/resend", None, admin).json() == {"resent": 1}
    assert api.get(PATH, admin).json()["webhooks"][0]["dead"] == 0
    problem(api.get(f"{PATH}/99/deliveries", admin), 404, "not_found")


def test_an_ended_one_is_gone(api: Api, admin: dict[str, str]) -> None:
    hook = api.post(PATH, {"url": URL}, admin).json()["id"]
    assert api.client.delete(f"/api/v1{PATH}/{hook}", headers=admin).status_code == 204
    problem(api.client.delete(f"/api/v1{PATH}/{hook}", headers=admin), 404, "not_found")
    assert api.get(PATH, admin).json() == {"webhooks": []}


def test_metrics_say_how_webhooks_fare(
    api: Api, admin: dict[str, str], reader: dict[str, str], database: Database, held: Setting
) -> None:
    hook = int(api.post(PATH, {"url": URL}, admin).json()["id"])
    for _ in range(3):
        database.write(events.announce, held.id, "outcome", {}, item_id=None)
    database.write(events.sequence)
    load = database.write(deliveries.take, hook, "w")
    assert load is not None
    database.write(deliveries.settle, load, {1: Answer("500")})
    text = api.client.get("/api/metrics", headers=reader).text
    for name, value in {"waiting": 1, "dead": 0, "lag_events": 2}.items():
        assert f'signoff_webhook_{name}{{project="claims",webhook="{hook}"}} {value}.0' in text
    assert re.search(r"signoff_webhook_failing_seconds{[^}]*} 0\.\d*[1-9]", text)

"""Models in shadow over HTTP, and the way back."""

from typing import Any

import httpx2
import pytest

from db.engine import Database
from db.tables import Model
from review_queue import acting, succession
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem
from tests.review_queue.beside import DENY, PAY, say

Key = dict[str, str]
S, R = "/projects/claims/shadow", "/projects/claims/rollback"


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def lead(key: MakeKey) -> Key:
    return key("lea", "admin", role="lead")


@pytest.fixture
def version(database: Database, held: Setting) -> int:
    model_id = database.write(factories.version, held)
    return database.read(lambda s: s.get_one(Model, model_id).version)


def put(api: Api, body: dict[str, Any], key: Key) -> httpx2.Response:
    return api.client.put(f"/api/v1{S}", json=body, headers=key)


def drop(api: Api, key: Key) -> httpx2.Response:
    return api.client.delete(f"/api/v1{S}", headers=key)


def test_a_version_goes_into_shadow_and_out_of_it(
    api: Api, database: Database, held: Setting, version: int, lead: Key, reader: Key
) -> None:
    assert api.get(S, reader).json() == {"shadows": []}
    begun = put(api, {"version": version, "share": 1.0}, lead).json()
    assert (begun["version"], begun["kind"], begun["share"], begun["figures"]["n"]) == (version, "challenger", 1.0, 0)
    factories.routed(database, held, {"1": PAY, "2": PAY})
    say(database, held, {"1": DENY, "2": PAY})
    (shown,) = api.get(S, reader).json()["shadows"]
    assert (shown["figures"]["n"], shown["figures"]["agreed"], shown["figures"]["open"]) == (2, 1, 1)
    assert drop(api, lead).json()["ended_as"] == "withdrawn"
    assert api.get(S, reader).json() == {"shadows": []}


def test_what_cannot_be_is_a_problem(api: Api, version: int, lead: Key, key: MakeKey) -> None:
    assert "no model version 999" in problem(put(api, {"version": 999}, lead), 404, "not_found")["detail"]
    problem(put(api, {"version": version, "share": 2}, lead), 422, "invalid")
    problem(put(api, {"version": version, "shares": 1}, lead), 422, "invalid")
    assert "no model is in shadow" in problem(drop(api, lead), 404, "not_found")["detail"]
    reviewer = key("rob", "admin", role="reviewer")
    assert "by leads and up" in problem(put(api, {"version": version}, reviewer), 403, "forbidden")["detail"]


def test_a_lead_brings_the_former_champion_back(api: Api, database: Database, held: Setting, version: int, lead: Key) -> None:
    stood = database.read(acting.model_id, held.id)
    wanted = database.read(lambda s: s.query(Model.id).filter_by(version=version).scalar())
    key = factories.keys(database).draw_key_id
    database.write(succession.take_over, held.id, wanted, stood, by=None, draw_key_id=key, cause="promote")
    made = api.post(R, None, lead).json()
    assert (made["kind"], made["state"], made["signed_by"]) == ("rollback", "applied", ["lea"])
    assert database.read(acting.model_id, held.id) == stood
    assert "no former champion" in problem(api.post(R, None, lead), 409, "refused")["detail"]  # what was taken back is none

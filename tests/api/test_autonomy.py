"""Evidence and the ladder over HTTP: who reads, who proposes, who signs."""

import pytest

from db.engine import Database
from review_queue import autonomy, rules
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem
from tests.review_queue import earning

Key = dict[str, str]
P = "/projects/claims"
L = f"{P}/autonomy"


@pytest.fixture
def held(database: Database) -> Setting:
    held = earning.earned(database, evidence={"signers": 2})
    earning.traffic(database, held, 120)
    return held


@pytest.fixture
def one(key: MakeKey) -> Key:
    return key("one", "admin", role="owner")


@pytest.fixture
def two(key: MakeKey) -> Key:
    return key("two", "admin", role="owner")


def level(database: Database, held: Setting) -> str:
    return database.read(rules.level, held.id)


def test_evidence_is_read_threshold_by_threshold(api: Api, held: Setting, reader: Key) -> None:
    found = api.get(f"{P}/evidence", reader).json()
    (unit,) = found["units"]
    assert (found["alpha"], unit["alpha"], unit["begun"]) == (0.05, 0.05, 1)
    assert [band["threshold"] for band in unit["bands"]] == [0.95, 0.9, 0.8, 0.7, 0.5, 0.3]
    assert (unit["bands"][0]["n"], unit["bands"][0]["drawn"], unit["bands"][0]["errors"]) == (120, 120, 0)
    assert unit["bands"][0]["upper"] < 0.05
    assert unit["certified_from"] == 0.3
    assert found["vigilance"]["proven"] is True
    assert "watermark" not in found  # it is the item of a draw that is open, which nobody who holds it is to know


def test_without_a_model_there_is_no_evidence_and_nothing_rises(api: Api, database: Database, key: MakeKey) -> None:
    from review_queue import projects

    draw_key = factories.keys(database).draw_key_id
    database.write(projects.apply, factories.project(), factories.policy(), "", draw_key, by=None)
    reader, owner = key("olga", "read", role="owner"), key("own", "admin", role="owner")
    assert "no model acts yet" in problem(api.get(f"{P}/evidence", reader), 404, "not_found")["detail"]
    assert api.get(L, reader).json()["units"] == []
    assert "no model acts yet" in problem(api.post(f"{L}/raise", {}, owner), 422, "not_yet")["detail"]


def test_two_owners_sign_and_the_unit_acts(api: Api, database: Database, held: Setting, reader: Key, one: Key, two: Key) -> None:
    ready = api.get(L, reader).json()["units"][0]["rise"]
    assert (ready["ready"], ready["to_level"], ready["threshold"]) == (True, "audited", 0.3)
    made = api.post(f"{L}/raise", {"threshold": 0.9}, one).json()
    assert (made["state"], made["signers"], made["signed_by"]) == ("open", 2, ["one"])
    assert api.get(L, reader).json()["offers"][0]["id"] == made["id"]
    assert level(database, held) == "assist"
    done = api.post(f"{L}/steps/{made['id']}/sign", None, two).json()
    assert (done["state"], done["signed_by"], done["counts"]["threshold"]) == ("applied", ["one", "two"], 0.9)
    assert level(database, held) == "audited"
    assert problem(api.post(f"{L}/steps/{made['id']}/sign", None, two), 409, "refused")["detail"].endswith("applied already")
    assert [step["id"] for step in api.get(f"{L}/steps", reader, limit=5).json()["steps"]] == [made["id"]]


def test_what_is_not_proven_is_refused_with_what_is_missing(api: Api, held: Setting, one: Key) -> None:
    refused = problem(api.post(f"{L}/raise", {"threshold": 0.85}, one), 422, "invalid")
    assert "0.85 is not a threshold" in refused["detail"]
    assert "no unit 'small'" in problem(api.post(f"{L}/raise", {"unit": "small"}, one), 404, "not_found")["detail"]
    problem(api.post(f"{L}/raise", {"threshold": 2}, one), 422, "invalid")
    problem(api.post(f"{L}/raise", {"level": "floor"}, one), 422, "invalid")


def test_no_surface_raises_without_its_signers(api: Api, database: Database, held: Setting, key: MakeKey, one: Key) -> None:
    """One owner twice, a lead, a service, and somebody in another's name: nothing acts."""
    step = api.post(f"{L}/raise", {}, one).json()["id"]
    api.post(f"{L}/raise", {}, one)
    step = str(database.read(autonomy.overview, held).offers[0].id)
    assert api.post(f"{L}/steps/{step}/sign", None, one).json()["state"] == "open"
    lead = key("lea", "admin", role="lead")
    problem(api.post(f"{L}/steps/{step}/sign", None, lead), 403, "forbidden")
    problem(api.post(f"{L}/raise", {}, lead), 403, "forbidden")
    from review_queue import people

    database.write(people.add_person, "robot", role="owner", kind="service")
    robot = {"Authorization": f"Bearer {database.write(people.add_key, 'robot', scopes=['admin', 'act_as'])}"}
    assert "only people sign" in problem(api.post(f"{L}/steps/{step}/sign", None, robot), 403, "forbidden")["detail"]
    key("two", "admin", role="owner")
    posing = {**robot, "Signoff-Act-As": "two"}
    assert "in their own name" in problem(api.post(f"{L}/steps/{step}/sign", None, posing), 403, "forbidden")["detail"]
    assert level(database, held) == "assist"
    assert factories.routed(database, held, {"1": factories.says("pay", 0.99)}).auto == 0


def test_a_step_of_another_project_is_none(api: Api, database: Database, held: Setting, one: Key) -> None:
    factories.setting(database, factories.project(project="letters"))
    step = api.post(f"{L}/raise", {}, one).json()["id"]
    for verb in ("sign", "withdraw"):
        found = problem(api.post(f"/projects/letters/autonomy/steps/{step}/{verb}", None, one), 404, "not_found")
        assert "there is no step" in found["detail"]
        problem(api.post(f"{L}/steps/{2**64}/{verb}", None, one), 404, "not_found")
    assert api.post(f"{L}/steps/{step}/withdraw", None, one).json()["state"] == "withdrawn"


def test_leads_take_it_back_and_go_into_shadow(
    api: Api, database: Database, held: Setting, key: MakeKey, one: Key, two: Key
) -> None:
    lead = key("lea", "admin", role="lead")
    assert "assist already" in problem(api.post(f"{L}/lower", {}, lead), 409, "refused")["detail"]
    step = api.post(f"{L}/raise", {}, one).json()["id"]
    api.post(f"{L}/steps/{step}/sign", None, two)
    assert api.post(f"{L}/lower", {}, lead).json()["to_level"] == "assist"
    assert api.post(f"{L}/lower", {"to": "shadow"}, lead).json()["to_level"] == "shadow"
    assert level(database, held) == "shadow"
    refused = problem(api.post(f"{L}/raise", {"unit": "*"}, one), 409, "refused")
    assert "0 of 300 blind answers" in refused["detail"]


def test_a_lifted_freeze_says_what_it_waits_for(api: Api, held: Setting, one: Key, two: Key) -> None:
    api.post(f"{P}/freeze", None, one)
    waits = api.post(f"{P}/unfreeze", None, one).json()
    assert (waits["frozen"], waits["changed"]) == (True, False)
    done = api.post(f"{L}/steps/{waits['step']}/sign", None, two).json()
    assert (done["state"], done["from_level"], done["signed_by"]) == ("applied", "frozen", ["one", "two"])
    assert api.post(f"{P}/freeze", None, one).json() == {"project": "claims", "frozen": True, "changed": True}


def test_what_an_alarm_took_is_asked_for_again(api: Api, database: Database, key: MakeKey) -> None:
    evidence = {"max_error": 0.05, "most_missed": 0}
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.25}, evidence=evidence))
    owner = key("own", "admin", role="owner")
    assert "nothing" in problem(api.post(f"{L}/regrant", None, owner), 409, "refused")["detail"]
    earning.traffic(database, held, 200, errors=25)
    database.write(autonomy.look)
    again = api.post(f"{L}/regrant", None, owner).json()
    assert (again["state"], again["to_level"], again["signed_by"]) == ("applied", "set", ["own"])

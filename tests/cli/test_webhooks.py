"""`signoff webhook`: one after the other, as an owner would."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import update

from app.worker.delivering import Delivering
from app.workspace import Workspace
from db.tables import Delivery, Person, Webhook
from review_queue import addresses, clock, events, projects
from tests.app.receiving import Receiver, Reply
from tests.cli.conftest import Signoff

PRIVATE = {"SIGNOFF_WEBHOOKS_PRIVATE": "1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_from_adding_to_removing(claims: Signoff, workspace: Workspace, receiver: Receiver) -> None:
    assert claims("webhook", "list").stdout.strip() == "no webhook yet"
    assert "https alone" in claims.refused("webhook", "add", receiver.url)
    made = claims.json("webhook", "add", receiver.url, "--kinds", "outcome, revision", env=PRIVATE)
    assert made["secret"].startswith("whsec_")
    assert made["kinds"] == ["outcome", "revision"]
    assert claims("webhook", "show", "1", "--secret").stdout.strip() == made["secret"]
    (listed,) = claims.json("webhook", "list")
    assert (listed["id"], listed["url"], listed["dead"]) == ("1", receiver.url, 0)
    assert "took it" in claims("webhook", "test", "1", env=PRIVATE).stdout
    assert (receiver.got[0].seq, receiver.got[0].event["kind"]) == (0, "test")
    receiver.answer = lambda event, before: Reply(403, body=b"who are you?")
    assert "did not take it: 403: who are you?" in claims.refused("webhook", "test", "1", env=PRIVATE)
    assert "there is no webhook 7" in claims.refused("webhook", "show", "7")
    workspace.database.write(lambda s: s.execute(update(Person).values(role="lead")) and None)
    told = addresses.shown(receiver.url)
    assert claims.json("webhook", "list")[0]["url"] == claims.json("webhook", "show", "1")["webhook"]["url"] == told
    assert receiver.url not in claims.refused("webhook", "test", "1", env=PRIVATE)
    workspace.database.write(lambda s: s.execute(update(Person).values(role="owner")) and None)
    claims("webhook", "remove", "1")
    assert claims.json("webhook", "list") == []


def test_dead_letters(claims: Signoff, workspace: Workspace, receiver: Receiver) -> None:
    workspace.database.write(events.sequence)  # what setting the project up announced
    claims("webhook", "add", receiver.url, env=PRIVATE)
    receiver.answer = lambda event, before: Reply(500)
    database, held = workspace.database, workspace.database.read(projects.get, "claims")
    for _ in range(2):
        database.write(events.announce, held.id, "outcome", {}, item_id=None)
    database.write(events.sequence)
    private = workspace.settings.model_copy(update={"webhooks_private": True})
    Delivering(Workspace(private, database, workspace.keys), Event()).turn()
    assert "fails since" in claims("webhook", "list").stdout
    assert claims("webhook", "resend", "1").stdout.strip() == "no dead letter"
    database.write(lambda s: s.execute(update(Delivery).values(state="dead", next_at=clock.now())) and None)
    shown = claims("webhook", "show", "1", "--dead").stdout
    assert "500" in shown
    assert "dead" in shown
    assert claims.json("webhook", "resend", "1", "--seq", "2") == {"resent": 1}
    assert "no dead letter 2" in claims.refused("webhook", "resend", "1", "--seq", "2")
    claims("webhook", "drop", "1", "--seq", "3")
    assert [each["state"] for each in claims.json("webhook", "show", "1")["undelivered"]] == ["waiting"]


def test_the_doctor_names_one_that_took_nothing_for_a_day(claims: Signoff, workspace: Workspace, receiver: Receiver) -> None:
    claims("webhook", "add", receiver.url, env=PRIVATE)
    since = {"failing_since": clock.now() - timedelta(days=2), "last_error": "500: no"}
    workspace.database.write(lambda s: s.execute(update(Webhook).values(since)) and None)
    found = {row["check"]: row for row in claims.json("doctor", code=1)}
    assert "1 that took nothing for a day" in found["webhooks"]["saw"]
    assert "takes nothing: 500: no; `signoff webhook show 1`" in found["webhooks"]["mend"]


def test_a_wrong_kind_and_a_position_that_is_not_there(claims: Signoff, receiver: Receiver) -> None:
    assert "no kind of event" in claims.refused("webhook", "add", receiver.url, "--kinds", "outcomes", env=PRIVATE)
    assert "the sequence is at 0" in claims.refused("webhook", "add", receiver.url, "--after", "9", env=PRIVATE)

"""Keys: derived, fingerprinted, rotated; a strange one does not start."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select

from db.engine import Database
from db.tables import Draw, RoutingRule, SecretKey
from review_queue import rules
from review_queue.errors import StrangeKey
from review_queue.secrets import derive, fingerprint, open_keys
from tests import factories
from tests.review_queue.acting import at_once


def test_purposes_have_keys_of_their_own_that_do_not_tell_the_secret() -> None:
    draw, link = derive("s", "draw"), derive("s", "link")
    assert draw != link
    assert len(draw) == 32
    assert draw == HKDF(SHA256(), 32, salt=None, info=b"signoff draw").derive(b"s")
    assert len(fingerprint(draw)) == 16
    assert fingerprint(draw) not in draw.hex()


def test_a_strange_key_does_not_start_and_leaves_no_trace(database: Database) -> None:
    first = database.write(open_keys, ["old"])
    assert database.write(open_keys, ["old"]) == first
    with pytest.raises(StrangeKey, match="--new-key"):
        database.write(open_keys, ["other"])
    assert set(database.read(lambda s: s.scalars(select(SecretKey.purpose)).all())) == {"draw", "webhook"}
    assert len(database.read(lambda s: s.scalars(select(SecretKey)).all())) == 2
    assert str(next(iter(first.draw.values()))) not in repr(first)
    stored = str(database.read(lambda s: [vars(row) for row in s.scalars(select(SecretKey))]))
    assert "'old'" not in stored
    assert derive("old", "draw").hex() not in stored


def test_rotation_keeps_the_old_key_usable_and_draws_with_the_new(database: Database) -> None:
    old = database.write(open_keys, ["old"])
    both = database.write(open_keys, ["new", "old"])
    assert both.draw_key_id != old.draw_key_id
    assert both.draw == {old.draw_key_id: derive("old", "draw"), both.draw_key_id: derive("new", "draw")}
    assert both.link == derive("new", "link")
    assert database.write(open_keys, ["new"]).draw == {both.draw_key_id: derive("new", "draw")}
    with pytest.raises(StrangeKey):
        database.write(open_keys, ["old"])  # a process that was not told
    adopted = database.write(open_keys, ["lost all"], adopt=True)
    assert set(adopted.draw) == {adopted.draw_key_id}


def test_a_webhook_keeps_its_secret_through_a_rotation(database: Database) -> None:
    old = database.write(open_keys, ["old"])
    told = old.webhook_secret(7, old.webhook_key_id)
    assert told.startswith("whsec_")
    assert told != old.webhook_secret(8, old.webhook_key_id)
    both = database.write(open_keys, ["new", "old"])
    assert both.webhook_secret(7, old.webhook_key_id) == told
    assert both.webhook_secret(7, both.webhook_key_id) != told
    with pytest.raises(StrangeKey, match="add the webhook anew"):
        database.write(open_keys, ["new"]).webhook_secret(7, old.webhook_key_id)


def test_each_draw_names_the_key_it_was_made_with(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    old = factories.keys(database)
    both = database.write(open_keys, ["new", factories.SECRET])
    database.write(rules.renew, held.id, held.policy, list(held.project.labels), both.draw_key_id, "key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factories, "keys", lambda _: both)
        factories.routed(database, held, {"2": factories.says("pay", 0.97)})
    drawn = database.read(lambda s: list(s.scalars(select(Draw.key_id).order_by(Draw.item_id))))
    assert drawn == [old.draw_key_id, both.draw_key_id]
    named = database.read(lambda s: list(s.scalars(select(RoutingRule.draw_key_id).order_by(RoutingRule.id))))
    assert named == drawn


def test_processes_that_start_at_once_agree_on_one_key(database: Database) -> None:
    got: list[int] = []
    assert at_once([lambda: got.append(database.write(open_keys, ["s"]).draw_key_id) for _ in range(6)]) == []
    assert len(set(got)) == 1

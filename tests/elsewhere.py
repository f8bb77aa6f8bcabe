"""A project whose predictions come with its items, and items that bring them."""

from typing import Any

from contract.policy import Policy
from contract.project import Project
from db.engine import Database
from retrain import registry
from retrain.records import ModelInfo
from review_queue import batches, people, projects, rules
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories

VERSION = "2026-11"


def project(version: str | None = VERSION, **changes: Any) -> Project:
    return factories.project(model={"uri": "external", "version": version}, **changes)


def sent(external_id: str, pay: float, version: str | None = None, reasons: Any = None, **changes: Any) -> dict[str, Any]:
    """An item with a prediction: `pay` is the probability of pay, the rest is deny's."""
    said: dict[str, Any] = {"probabilities": {"deny": 1 - pay, "pay": pay}}
    said |= {name: value for name, value in (("model_version", version), ("reasons", reasons)) if value is not None}
    return {**factories.raw(external_id, **changes), "prediction": said}


def owner(database: Database) -> Actor:
    return database.write(people.local_actor, "olga", "cli")


def setting(database: Database, wanted: Project | None = None, wished: Policy | None = None, *, signed: bool = True) -> Setting:
    """The project applied; its version signed unless told otherwise."""
    key = factories.keys(database).draw_key_id
    held = database.write(projects.apply, wanted or project(), wished or factories.policy(), "", key, by=None).setting
    if signed:
        promote(database, held, register(database, held).version)
    return database.read(projects.get, held.name)


def register(database: Database, held: Setting, name: str = VERSION) -> ModelInfo:
    return database.write(registry.register_external, held.id, name, list(held.project.labels), None)


def promote(database: Database, held: Setting, version: int) -> None:
    """By an owner's word: whatever acts now, no gate is asked."""
    key, olga = factories.keys(database).draw_key_id, owner(database)
    acts = database.read(registry.champion, held.id) is not None
    past = {"force": True, "why": "a test of what follows"} if acts else {}
    database.write(registry.propose, held.id, version, by=olga, draw_key_id=key, **past)


def route(database: Database, held: Setting, worker: str = "w") -> batches.Written:
    """What a worker does with everything that waits."""
    held = database.read(projects.get, held.name)
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    sent = batches.answered_elsewhere(held, rule)
    leased = database.write(batches.lease, held.id, "score", worker, limit=1000, seconds=60, sent=sent)
    scored = [(item, item.answer) for item in leased]
    return database.write(batches.write, held.id, worker, scored, model_id=rule.model_id, keys=factories.keys(database))

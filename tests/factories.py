"""Projects, models and routed items for tests, made through the same verbs that the product uses."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from contract.policy import Policy
from contract.project import Project
from contract.records import Prediction, Scored
from db.engine import Database
from db.tables import Blob, Model, ModelAlias, Task
from review_queue import batches, clock, intake, people, projects, rules
from review_queue.activity import Actor
from review_queue.projects import Setting
from review_queue.secrets import Keys, open_keys

SECRET = "a secret for tests"
_counter = itertools.count(1)


def project(**changes: Any) -> Project:
    """Motor claims: two labels, a few kinds of features."""
    body: dict[str, Any] = {
        "project": "claims",
        "noun": "claim",
        "input": {
            "type": "tabular",
            "features": {
                "amount": {"type": "number", "unit": "EUR"},
                "region": {"type": "category"},
                "opened": {"type": "date", "optional": True},
            },
            "groups": ["sex"],
        },
        "labels": {"deny": {"key": "d"}, "pay": {"key": "y"}},
        "model": {"uri": "registry:claims@champion"},
        **changes,
    }
    if "model" not in changes:
        body["model"] = {"uri": f"registry:{body['project']}@champion"}
    return Project.model_validate(body)


def policy(**changes: Any) -> Policy:
    body: dict[str, Any] = {"autonomy": "set", "automate": {"at_least": 0.9}, "audit": {"rate": 0.0}, **changes}
    return Policy.model_validate(body)


def keys(database: Database) -> Keys:
    return database.write(open_keys, [SECRET])


def setting(database: Database, wanted: Project | None = None, wished: Policy | None = None) -> Setting:
    """An applied project with a champion: what items can be routed under."""
    wanted, wished = wanted or project(), wished or policy()
    applied = database.write(projects.apply, wanted, wished, "Read the file.", keys(database).draw_key_id, by=None)
    database.write(champion, applied.setting, keys(database).draw_key_id)
    return database.read(projects.get, wanted.project)


def version(session: Session, held: Setting, trainer: str = "test", labels: Sequence[str] | None = None) -> int:
    """A registered model that plays no role; no weights behind it."""
    n = next(_counter)
    session.execute(insert(Blob).values(sha256=f"{n:064x}", media_type="application/zip", size=0, made_at=clock.now()))
    grid = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
    row = {
        "project_id": held.id,
        "version": n,
        "trainer": trainer,
        "sha256": f"{n:064x}",
        "labels": list(labels or held.project.labels),
        "schema_hash": "0",
        "datasets": [],
        "figures": {"grids": {score: grid for score in ("max_probability", "margin", "entropy")}},
        "made_at": clock.now(),
    }
    return session.scalars(insert(Model).returning(Model.id), row).one()


def champion(session: Session, held: Setting, draw_key_id: int) -> int:
    """A registered model that acts from now on; no weights behind it."""
    model_id = version(session, held)
    standing = session.get(ModelAlias, (held.id, "champion"))
    if standing is None:
        session.execute(insert(ModelAlias).values(project_id=held.id, alias="champion", model_id=model_id, since=clock.now()))
    else:
        standing.model_id = model_id
        session.flush()
    rules.renew(session, held.id, held.policy, list(held.project.labels), draw_key_id, "promotion")
    return model_id


def person(database: Database, name: str, role: str = "reviewer") -> Actor:
    account = database.write(people.add_person, name, role=role)
    return Actor(account.id, account.name, account.role, "desk")


def raw(external_id: str, **changes: Any) -> dict[str, Any]:
    return {"external_id": external_id, "input": {"amount": 120.5, "region": "north", **changes}}


def submit(database: Database, held: Setting, items: Sequence[Mapping[str, Any]]) -> list[intake.Receipt]:
    return database.write(intake.accept, held, [intake.check(held.project, item) for item in items])


def says(label: str, sure: float, labels: Sequence[str] = ("deny", "pay")) -> Prediction:
    """A prediction of `label` with this probability; the others share the rest."""
    rest = (1 - sure) / (len(labels) - 1)
    return Prediction(tuple(labels), tuple(sure if each == label else rest for each in labels))


def routed(database: Database, held: Setting, answers: Mapping[str, Scored], **changes: Any) -> batches.Written:
    """Submit one item per answer, and route them as the worker does."""
    submit(database, held, [raw(external_id, **changes) for external_id in answers])
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    worker = f"test-{next(_counter)}"
    leased = database.write(batches.lease, held.id, "score", worker, limit=len(answers), seconds=60)
    scored = [(item, answers[item.external_id]) for item in leased]
    return database.write(batches.write, held.id, worker, scored, model_id=rule.model_id, keys=keys(database))


def tasks(database: Database, **where: Any) -> list[Task]:
    return database.read(lambda session: list(session.scalars(select(Task).filter_by(**where).order_by(Task.id))))

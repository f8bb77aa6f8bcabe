"""A project that has seen much, laid into the tables at once: for what must not grow with what was seen."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from db.bulk import put
from db.engine import Database
from db.tables import (
    Activity,
    Claim,
    Decision,
    Event,
    Explanation,
    Item,
    ItemKey,
    Outcome,
    Prediction,
    Routing,
    RoutingRule,
    Tally,
    Task,
    Work,
)
from db.types import microseconds
from review_queue import clock, days, tallies
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import conftest, factories

HELD, PARKED, UNSCORED = 20, 30, 500
REASON = {"unit": "log-odds", "base": 0.1, "contributions": [], "params": {}, "quality": {}, "seed": 0, "seconds": 0.1}


@contextmanager
def database(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[Database]:
    """A fresh migrated database for a whole module."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "crowd.db")
        held = Database(f"sqlite:///{folder / 'crowd.db'}")
        yield held
        held.close()
        return
    server, name = request.getfixturevalue("postgres_server"), f"crowd_{uuid.uuid4().hex[:12]}"
    conftest._administrate(server, f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgres_template')}")
    held = Database(conftest._named(server, name))
    yield held
    held.close()
    conftest._administrate(server, f"DROP DATABASE {name} WITH (FORCE)")


def fill(database: Database, n: int, *, done: int, people: int = 4, **changes: Any) -> tuple[Setting, list[Actor]]:
    """A project with `n` reviewed or waiting items, and half as many that acted alone; the first `done` are decided.

    Of the tasks that are open, some are held, some parked, one in ten is overdue, one in ten a second opinion. Everybody
    decided as many.
    """
    setting = factories.setting(database, wished=factories.policy(review={"second_opinion": 0.1}, **changes))
    actors = [factories.person(database, f"person-{k}", "lead" if k == 0 else "reviewer") for k in range(people)]
    database.write(_lay, setting, [actor.id for actor in actors], n, done)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT", signoff_write=True) as connection:
        connection.exec_driver_sql("ANALYZE")
    return setting, actors


def _lay(session: Session, setting: Setting, people: list[int], n: int, done: int) -> None:
    rule = session.query(RoutingRule).where(RoutingRule.project_id == setting.id).order_by(RoutingRule.id.desc()).first()
    model = session.scalar(
        text("SELECT model_id FROM model_alias WHERE alias = 'champion' AND project_id = :p"), {"p": setting.id}
    )
    every, now = list(range(1, n + n // 2 + UNSCORED + 1)), clock.now()
    at = [now - timedelta(seconds=n - i) if i < n else now for i in every]
    _items(session, setting, every, at)
    scored, alone = every[: n + n // 2], every[n : n + n // 2]
    sure = [0.95 if i > n else 0.5 + (i % 40) / 100 for i in scored]
    put(session, Prediction, item_id=scored, model_id=model, label="pay", confidence=sure,
        probabilities=[[1 - each, each] for each in sure], scored_at=at[: len(scored)])  # fmt: skip
    put(session, Routing, item_id=scored, n=1, project_id=setting.id, period_id=rule.period_id, routing_rule_id=rule.id,
        model_id=model, route=["auto" if i > n else "review" for i in scored], reason="so", segment="", band=3, p_evidence=0.0,
        p_second=0.1, pi=1.0, label="pay", confidence=sure, routed_at=at[: len(scored)])  # fmt: skip
    put(session, Outcome, item_id=alone, revision=1, project_id=setting.id, label="pay", source="auto", verdict=None,
        routing_n=1, decision_id=None, decided_at=now)  # fmt: skip
    _tasks(session, setting, n, done, at)
    _decided(session, setting, people, done, at)
    _held(session, setting, people, done, now)
    put(session, Explanation, item_id=list(range(done + 1, done + 151)), model_id=model, method="shap", label="pay",
        params_hash="0", hash="0", body=REASON, seconds=0.1, made_at=now)  # fmt: skip
    events = [i for i in every[: n + n // 2] if i > n or i <= done]
    first = (session.scalar(text("SELECT seq FROM event_head")) or 0) + 1
    put(session, Event, seq=list(range(first, first + len(events))), project_id=setting.id, kind="outcome", item_id=events,
        body={"external_id": "x"}, made_at=now)  # fmt: skip
    session.execute(text("UPDATE event_head SET seq = :seq"), {"seq": first + len(events) - 1})
    _advance(session)
    session.flush()
    session.execute(insert(Tally).values(project_id=setting.id, counts=dict(tallies.astray(session, setting.id))))
    days.mend(session, setting.id, days.astray(session, setting.id))


def _items(session: Session, setting: Setting, every: list[int], at: list[datetime]) -> None:
    given = '{"amount":120.5,"region":"north"}'
    put(session, ItemKey, item_id=every, project_id=setting.id, external_id=[f"C-{i:08}" for i in every], content_hash="0",
        revision=1)  # fmt: skip
    put(session, Item, id=every, project_id=setting.id, project_version_id=setting.project_version_id, input=given,
        received_at=at)  # fmt: skip
    put(session, Work, item_id=every[-UNSCORED:], kind="score", project_id=setting.id, ready_at=at[-1], attempts=0)


def _tasks(session: Session, setting: Setting, n: int, done: int, at: list[datetime]) -> None:
    """One review of each item, by its number; then a second opinion on every tenth."""
    now, reviews = clock.now(), list(range(1, n + 1))
    seconds = [i for i in reviews if i % 10 == 0]

    def state(i: int) -> str:
        if i <= done:
            return "completed"
        return "in_progress" if i <= done + HELD else "parked" if i <= done + HELD + PARKED else "pending"

    def due(i: int) -> datetime:
        return now + timedelta(hours=-1 - i % 50 if i % 10 == 3 else 100 + i % 50)

    shared = {"routing_n": 1, "project_id": setting.id, "seat": 1, "skips": 0, "weight": 0.5}
    put(session, Task, **shared, id=reviews, item_id=reviews, kind="review", blind=False, shared=[i % 10 == 0 for i in reviews],
        state=[state(i) for i in reviews],
        audience=["leads" if i % 100 == 7 else "reviewers" for i in reviews], rank=[microseconds(at[i - 1]) for i in reviews],
        due_at=[due(i) for i in reviews], made_at=at[:n], parked_at=[now if state(i) == "parked" else None for i in reviews],
        closed_at=[now if i <= done else None for i in reviews])  # fmt: skip
    put(session, Task, **shared, id=[n + i for i in seconds], item_id=seconds, kind="second", blind=True, shared=True,
        state=["completed" if i <= done else "pending" for i in seconds], audience="reviewers",
        rank=[microseconds(at[i - 1]) for i in seconds], due_at=[due(i) for i in seconds], made_at=at[:len(seconds)],
        closed_at=None)  # fmt: skip


def _decided(session: Session, setting: Setting, people: list[int], done: int, at: list[datetime]) -> None:
    """What was decided: claims, answers (one in five corrects), what happened and what stands."""
    reviews = list(range(1, done + 1))
    seconds = [i for i in reviews if i % 10 == 0]
    n = session.scalar(text("SELECT max(item_id) FROM task")) or 0
    tasks, items = reviews + [n + i for i in seconds], reviews + seconds
    who: Callable[[int, int], int] = lambda k, i: people[(i + (k >= done)) % len(people)]  # noqa: E731
    persons = [who(k, i) for k, i in enumerate(items)]
    said = [("correct", "deny") if i % 5 == 0 else ("accept", "pay") for i in items]
    when, ids = [at[i - 1] for i in items], list(range(1, len(items) + 1))
    put(session, Claim, id=ids, task_id=tasks, item_id=items, person_id=persons, session="s", token=[f"t{k}" for k in ids],
        state="answered", taken_at=when, expires_at=when, closed_at=when)  # fmt: skip
    put(session, Decision, id=ids, key=[f"k{k}" for k in ids], request_hash="0", project_id=setting.id, task_id=tasks,
        item_id=items, claim_id=ids, person_id=persons, stage="final", verdict=[v for v, _ in said], label=[x for _, x in said],
        seconds=12.0, blind=False, basis="routed", via="desk", decided_at=when)  # fmt: skip
    put(session, Activity, at=when, actor_id=persons, via="desk", verb="decision.accept", project_id=setting.id,
        subject=[f"item:{i}" for i in items], before=None, after={})  # fmt: skip
    put(session, Outcome, item_id=reviews, revision=1, project_id=setting.id, label="pay", source="human", verdict="accept",
        routing_n=1, decision_id=reviews, decided_at=when[:done])  # fmt: skip


def _held(session: Session, setting: Setting, people: list[int], done: int, now: datetime) -> None:
    held = list(range(done + 1, done + HELD + 1))
    put(session, Claim, id=[10_000_000 + i for i in held], task_id=held, item_id=held, person_id=people[-1], session="h",
        token=[f"h{i}" for i in held], state="held", taken_at=now, expires_at=now + timedelta(minutes=10))  # fmt: skip


def _advance(session: Session) -> None:
    """On PostgreSQL the next ids come after those that were given."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table, column in (("item_key", "item_id"), ("task", "id"), ("claim", "id"), ("decision", "id")):
        session.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT max({column}) FROM {table}))")
        )

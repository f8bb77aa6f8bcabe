"""No page and no call reads a large table whole or asks once more for every row, on either database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from app.api.main import create_api
from app.cli.main import app as commands
from app.settings import Settings
from app.similar import Similar
from app.ui import counts, look, resources, sitting, takeaway
from app.ui.screens import autonomy as autonomy_page
from app.ui.sitting import Seat
from app.worker.house import House
from app.workspace import Workspace
from contract.policy import Gold
from contract.records import Explanation
from db.engine import Database
from review_queue import (
    acted,
    answers,
    audits,
    autonomy,
    batches,
    bulk,
    claims,
    clock,
    drift,
    embeddings,
    explanations,
    filters,
    find,
    flags,
    insights,
    judging,
    lists,
    mixing,
    people,
    reason_quality,
    rules,
    shown,
    stuck,
)
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import crowd, factories
from tests.review_queue.plans import Seen

N, DONE = 33_000, 11_000
FEW, WINDOW = 300, 400
ROWS = 4_200
"""Rows that one step may look at: the longest is a person's own day, of which there are a quarter of DONE and its second
opinions."""
STEPS = 400
"""Thousands of steps of SQLite's machine for one statement; a table of this crowd takes more than ten times as many rows."""


class Crowd:
    """A workspace over a crowded database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.setting, self.actors = crowd.fill(database, N, done=DONE)
        self.workspace = Workspace(Settings(dir=folder, secret_key=factories.SECRET), database, factories.keys(database))
        self.database = database
        names = {"produce": ("shop", "viewer"), "review": ("person-1", "reviewer"), "read": ("olga", "owner")}
        self.keys = {scope: self._key(scope, *named) for scope, named in names.items()}
        self.admin = self._key("admin", "adam", "admin")

    def _key(self, scope: str, name: str, role: str) -> dict[str, str]:
        if not name.startswith("person"):
            self.database.write(people.add_person, name, role=role, kind="service")
        return {"Authorization": f"Bearer {self.database.write(people.add_key, name, scopes=[scope])}"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def there(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """One crowd for all tests of this module: what they change are a few rows."""
    folder = tmp_path_factory.mktemp("crowd")
    with crowd.database(request, request.param, folder) as database:
        yield Crowd(database, folder)


@pytest.fixture(autouse=True)
def _looks_back_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are bounds at any size: with small ones a small crowd will do."""
    monkeypatch.setattr(insights, "MOST", FEW)
    monkeypatch.setattr(stuck, "MOST", FEW)
    monkeypatch.setattr(drift, "MOST", FEW)
    monkeypatch.setattr(lists, "WINDOW", FEW)
    monkeypatch.setattr(filters, "MOST", FEW)
    monkeypatch.setattr(answers, "WINDOW", WINDOW)
    monkeypatch.setattr(judging, "WINDOW", WINDOW)
    monkeypatch.setattr(answers.latest, "__defaults__", (WINDOW,))


def hold(seen: Seen, database: Database, most: int) -> None:
    """What was seen is few statements, each by an index, over few rows."""
    assert seen.statements
    assert len(seen.statements) <= most, "\n\n".join(seen.texts)
    assert seen.wholes() == []
    if database.engine.dialect.name == "sqlite":
        assert seen.steps() <= STEPS
    else:
        assert seen.rows() <= ROWS


SCREENS = {"queue": 30, "insights": 20, "data": 20, "models": 20, "find": 30, "review": 40}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen(there: Crowd, name: str) -> None:
    resources.hand_over(there.workspace, local=True)
    resources.forget()

    def script(name: str) -> None:
        import importlib

        importlib.import_module(f"app.ui.screens.{name}").draw()

    screen = AppTest.from_function(script, kwargs={"name": name}, default_timeout=60)
    if name == "find":
        screen.query_params["id"] = "C-00000009"
    with Seen(there.database.engine) as seen:
        screen.run()
    assert not screen.exception
    hold(seen, there.database, SCREENS[name])


SECTIONS = {"Traffic": 25, "Model": 25, "Pace": 25, "People": 40}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("period", ["7 days", "1 year"])
def test_a_section_of_insights(there: Crowd, section: str, period: str) -> None:
    resources.hand_over(there.workspace, local=True)
    resources.forget()

    def script() -> None:
        from app.ui.screens import insights

        insights.draw()

    screen = AppTest.from_function(script, default_timeout=60)
    screen.query_params["section"], screen.query_params["period"] = section, period
    with Seen(there.database.engine) as seen:
        screen.run()
    assert not screen.exception
    hold(seen, there.database, SECTIONS[section])


@pytest.mark.parametrize("section", ["Now", "History"])
def test_a_section_of_autonomy(there: Crowd, section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resources.hand_over(there.workspace, local=True)
    resources.forget()
    monkeypatch.setattr(acted, "CHUNK", FEW)
    monkeypatch.setattr(autonomy_page, "MOST", FEW)

    def script() -> None:
        from app.ui.screens import autonomy

        autonomy.draw()

    screen = AppTest.from_function(script, default_timeout=60)
    screen.query_params["section"] = section
    with Seen(there.database.engine) as seen:
        screen.run()
    assert not screen.exception
    hold(seen, there.database, 60)


@pytest.mark.parametrize("figure", [*look.NAMES])
def test_the_numbers_of_a_figure(there: Crowd, figure: str) -> None:
    with Seen(there.database.engine) as seen:
        name, body = there.database.write(takeaway.take, there.setting.name, figure, "1 year", None, None, there.actors[1])
    assert name.endswith(".csv")
    assert body.count("\r\n") >= 2
    hold(seen, there.database, 20)


def test_the_idle_page(there: Crowd) -> None:
    """Review with nothing in hand, in a project whose queue is others' to answer."""
    resources.hand_over(there.workspace, local=True)

    def script(setting, actor, workspace):  # type: ignore[no-untyped-def]
        from app.ui import counts
        from app.ui.screens import idle
        from app.ui.sitting import Seat
        from app.ui.widgets import Place

        idle.draw(Place(workspace, setting, actor), Seat(setting, actor, "idle"), counts.Counts(1, 2, None))

    held = {"setting": there.setting, "actor": there.actors[0], "workspace": there.workspace}
    screen = AppTest.from_function(script, kwargs=held, default_timeout=60)
    with Seen(there.database.engine) as seen:
        screen.run()
    assert not screen.exception
    hold(seen, there.database, 25)


P = "/api/v1/projects/claims"
CALLS = {
    "/api/v1/projects": ("read", 6),
    f"{P}/stats": ("read", 25),
    f"{P}/items/C-00000009": ("read", 30),
    f"{P}/items/C-00020001": ("read", 30),
    f"{P}/events": ("read", 8),
    f"{P}/events?after=9000": ("read", 8),
    f"{P}/datasets": ("read", 8),
    "/api/v1/jobs": ("read", 8),
    "/api/metrics": ("read", 25),
}


@pytest.mark.parametrize("path", CALLS)
def test_a_call(there: Crowd, path: str) -> None:
    scope, most = CALLS[path]
    with (
        TestClient(Starlette(routes=[Mount("/api", create_api(there.workspace))])) as client,
        Seen(there.database.engine) as seen,
    ):
        assert client.get(path, headers=there.keys[scope]).status_code == 200
    hold(seen, there.database, most)


def test_items_in(there: Crowd) -> None:
    items = [factories.raw(f"new-{n}") for n in range(50)] + [factories.raw(f"C-{n:08}") for n in range(1, 51)]
    with (
        TestClient(Starlette(routes=[Mount("/api", create_api(there.workspace))])) as client,
        Seen(there.database.engine) as seen,
    ):
        reply = client.post(f"{P}/items", json={"items": items}, headers=there.keys["produce"])
    assert reply.status_code == 202, reply.text
    hold(seen, there.database, 25)


def test_claims_over_http(there: Crowd) -> None:
    """Ten cases, each of which is shown: a few statements a case, and no more."""
    with (
        TestClient(Starlette(routes=[Mount("/api", create_api(there.workspace))])) as client,
        Seen(there.database.engine) as seen,
    ):
        reply = client.post(f"{P}/claims", json={"count": 10, "session": "http"}, headers=there.keys["review"])
        assert len(reply.json()["claims"]) == 10
    hold(seen, there.database, 220)


COMMANDS = {
    "queue stats": 30,
    "queue list": 12,
    "queue list --overdue": 12,
    "queue list --stuck": 12,
    "queue list --flagged": 12,
    "queue list --where label=pay --where least=0.85 --where state=waiting --limit 5": 40,
    "queue list --where person=person-3 --where text=north": 16,
    "queue acts": 8,
    "item show C-00000009": 30,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(there: Crowd, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    from app.cli import console

    monkeypatch.setattr(console, "opened", lambda *_, **__: contextlib.nullcontext(there.workspace))
    with Seen(there.database.engine) as seen:
        result = CliRunner().invoke(commands, command.split())
    assert result.exit_code == 0, result.output
    hold(seen, there.database, COMMANDS[command])


READS: dict[str, tuple[Callable[[Any, Setting, Actor], Any], int]] = {
    "the counters": (lambda s, setting, actor: counts.of(s, setting, actor), 4),
    "stuck": (lambda s, setting, actor: stuck.tasks(s, setting.id), 8),
    "search": (lambda s, setting, actor: find.search(s, setting.id, "C-0000"), 1),
    "holders": (lambda s, setting, actor: claims.holders(s, setting.id), 1),
    "elsewhere": (lambda s, setting, actor: counts.elsewhere(s, setting, actor, "x"), 1),
}


@pytest.mark.parametrize("name", READS)
def test_a_read(there: Crowd, name: str) -> None:
    read, most = READS[name]
    with Seen(there.database.engine) as seen:
        there.database.read(read, there.setting, there.actors[1])
    hold(seen, there.database, most)


@pytest.mark.parametrize("who", [0, 1], ids=["a lead", "a reviewer"])
def test_a_claim_goes_by_the_order_and_by_what_one_had_a_part_in(there: Crowd, who: int) -> None:
    """With 22,000 tasks that wait and 11,000 that were decided."""
    actor, policy = there.actors[who], there.setting.policy
    with Seen(there.database.engine) as seen:
        taken = there.database.write(claims.claim, there.setting.id, actor, "claims", 1, policy.review.lease)
    assert len(taken) == 1
    assert {"task_next", "claim_item_person"} <= seen.indexes()
    hold(seen, there.database, 8)
    if there.database.engine.dialect.name == "postgresql":
        assert seen.rows() <= 100


FILTERS = ("label=deny", "state=escalated&least=0.6", "state=overdue&text=C-0001", "state=disputed", "state=parked", "state=held",
           "group.region=south", "older=1h&why=unsure", "person=person-3")  # fmt: skip


@pytest.mark.parametrize("query", FILTERS)
def test_pages_of_a_filter(there: Crowd, query: str) -> None:
    """The first page and the one after it look at a bounded stretch, however few fit."""
    held, actor = filters.read(there.setting, query), there.actors[0]
    with Seen(there.database.engine) as seen:
        page = there.database.read(lists.page, there.setting, actor, held)
        there.database.read(lists.page, there.setting, actor, held, after=page.after)
        there.database.read(lists.left_out, there.setting, actor, held)
        there.database.read(lists.words, page.rows)
    hold(seen, there.database, 50)


def test_many_are_counted_decided_and_taken_back(there: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BATCH", 20)
    held, wish, actor = filters.read(there.setting, "label=pay&least=0.8&newer=6h"), bulk.Wish("accept"), there.actors[0]
    with Seen(there.database.engine) as seen:
        counted = there.database.read(bulk.look, there.setting, actor, held, wish)
        act = there.database.write(bulk.begin, there.setting, actor, "crowd", held, wish, asked=counted.fit, upto=counted.upto)
        step = there.database.write(bulk.step, there.setting, actor, act.id)
        assert step.done == 20
        there.database.write(bulk.step, there.setting, actor, act.id, after=step.after)
        there.database.read(bulk.recent, there.setting)
        there.database.write(flags.toggle, there.setting, actor, 9)
        there.database.read(flags.listed, there.setting.id, actor)
    hold(seen, there.database, 90)
    with Seen(there.database.engine) as seen:
        assert there.database.write(bulk.undo, there.setting, actor, act.id).back == 20
    hold(seen, there.database, 20 * 20)


def test_a_lead_releases(there: Crowd) -> None:
    held = there.database.read(claims.holders, there.setting.id)[0]
    with Seen(there.database.engine) as seen:
        there.database.write(claims.release_of, held.task_id, by=there.actors[0])
    hold(seen, there.database, 8)


def test_a_batch_is_leased_and_written(there: Crowd) -> None:
    """With drawn cases among it, whose places are made alike."""
    setting, database = there.setting, there.database
    rule = database.read(rules.in_force, setting.id, setting.policy)
    assert rule is not None
    with Seen(database.engine) as seen:
        leased = database.write(batches.lease, setting.id, "score", "crowd", limit=60, seconds=60)
        scored = [(item, factories.says("pay", 0.6)) for item in leased]
        database.write(batches.write, setting.id, "crowd", scored, model_id=rule.model_id, keys=there.workspace.keys)
    assert any("FROM task JOIN (SELECT routing.item_id" in each for each in seen.texts)
    hold(seen, database, 30)


def test_reasons_are_ordered_ahead(there: Crowd) -> None:
    with Seen(there.database.engine) as seen:
        there.database.write(explanations.order_ahead, there.setting.id)
    hold(seen, there.database, 2)


def test_reasons_are_asked_for_made_and_kept(there: Crowd) -> None:
    database, setting, actor = there.database, there.setting, there.actors[3]
    held = database.write(claims.claim, setting.id, actor, "reasons", 1, setting.policy.review.lease)[0]
    aimed = database.read(explanations.target, held.item_id)
    assert aimed is not None
    made = Explanation("lime.tabular", aimed[1], "probability", 0.0, [], {}, 1, "", {}, 0.1)
    with Seen(database.engine) as seen:
        asked = database.write(explanations.ask, setting, held.item_id, method="lime.tabular", by=actor)
        database.write(explanations.hurry, setting.id, held.item_id)
        assert database.read(batches.explaining_projects) == [setting.id]
        leased = database.write(batches.lease_reasons, setting.id, "crowd", limit=20, seconds=60)
        assert [each.item_id for each in leased] == [held.item_id]
        database.read(explanations.wanted, [held.item_id])
        database.write(explanations.answer, asked.id, made)
        database.write(embeddings.keep, aimed[0], "answers", {held.item_id: b"12345678"})
        database.read(explanations.of_prediction, held.item_id, aimed[0])
        database.read(explanations.asked, held.item_id, aimed[0])
        database.read(reason_quality.of_model, aimed[0])
    hold(seen, database, 60)


def test_decided_cases_are_made_findable_and_found(there: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MOST", FEW)
    database, setting = there.database, there.setting
    rule = database.read(rules.in_force, setting.id, setting.policy)
    assert rule is not None
    with Seen(database.engine) as seen:
        ids = database.read(embeddings.lacking, setting.id, rule.model_id, 60)
        assert 40 < len(ids) <= 60
        database.write(
            embeddings.keep, rule.model_id, "answers", {item_id: bytes([n, 0, 0, 64] * 2) for n, item_id in enumerate(ids)}
        )
        found = Similar(database).near(ids[0], rule.model_id)
    assert found is not None
    assert len(found.cases) == 5
    hold(seen, database, 12)


def test_evidence_is_looked_at(there: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts of a period are of all its cases, from indexes that hold them side by side; the rest is bounded."""
    monkeypatch.setattr(audits, "LATEST", FEW)
    database, setting = there.database, there.setting
    with Seen(database.engine) as seen:
        database.read(autonomy.overview, setting)
        database.read(autonomy.rises, setting)
        database.read(autonomy.is_due)
        database.write(autonomy.look)
        database.read(shown.trial, setting.id, clock.now())
    assert seen.wholes() == []
    counted = [each for each in seen.texts if "WITH mark AS" in each]
    assert counted
    seen.statements = [each for each in seen.statements if each[0] not in counted]
    hold(seen, database, 90)


def test_house_keeping(there: Crowd) -> None:
    with Seen(there.database.engine) as seen:
        House(there.workspace, Event()).keep()
    hold(seen, there.database, 60)


def test_gold_is_drawn_chosen_and_put(there: Crowd) -> None:
    database, setting = there.database, there.setting
    database.write(_know, setting.id, there.actors[0].id)
    wished = setting.policy.model_copy(update={"review": setting.policy.review.model_copy(update={"gold": Gold(rate=0.5)})})
    drawn = replace(setting, policy=wished)
    with Seen(database.engine) as seen:
        assert database.write(mixing.put, drawn, there.actors[1].id)
        database.read(mixing._is_due, drawn)
        database.write(mixing._mix, drawn, 50)
        database.read(mixing.is_stale)
        database.write(judging.prompt, setting, there.actors[1])
    hold(seen, database, 60)


def _know(session: Session, project_id: int, by: int) -> None:
    """The answers to many that acted alone are known."""
    columns = "item_id, project_id, label, source, made_at, made_by"
    known = f"SELECT item_id, {project_id}, 'deny', 'named', decided_at, {by} FROM outcome WHERE source = 'auto'"
    session.connection().exec_driver_sql(f"INSERT INTO gold ({columns}) {known} ORDER BY item_id LIMIT 3000")


def test_a_sitting(there: Crowd) -> None:
    """Sit down, decide and go on, take it back: the desk's every act."""
    seat, database = Seat(there.setting, there.actors[2], "a tab"), there.database
    with Seen(database.engine) as seen:
        held = database.write(sitting.sit, seat)
        assert held.case is not None
        turn = sitting.turn_of(held.case)
        if turn.blind:
            database.write(sitting.answer, seat, turn, "pay")
            turn = sitting.turn_of(database.read(sitting.look, seat).case)
        database.write(sitting.decide, seat, turn, Said(turn.key, "accept"))
        database.write(sitting.undo, seat)
        database.write(sitting.beat, seat, held.tokens)
    hold(seen, database, 200)


def test_the_helper_sees_what_it_is_for(there: Crowd) -> None:
    """A statement that reads a table whole, and one that skips over most of an index, are told."""
    from sqlalchemy import func, select

    from db.tables import Task

    with Seen(there.database.engine) as seen:
        there.database.read(lambda s: s.scalar(select(func.count()).where(Task.weight > 2)))
    assert seen.wholes()
    with Seen(there.database.engine) as seen:
        there.database.read(lambda s: s.execute(select(Task.id).where(Task.id > 0, Task.weight > 2).order_by(Task.id)).all())
    assert seen.steps() > 20 if there.database.engine.dialect.name == "sqlite" else seen.rows() > ROWS


def test_a_look_for_drift(there: Crowd) -> None:
    database = there.database
    with Seen(database.engine) as seen:
        window = database.read(drift.due, there.setting)
        assert window is not None
        found = drift.check(*database.read(drift.read, window))
        assert database.write(drift.keep, window, found, there.workspace.keys.draw_key_id)
        assert database.read(drift.due, there.setting) is not None
        assert len(database.read(drift.latest, there.setting.id)) == 1
        assert not database.read(drift.is_settled)
    hold(seen, database, 30)

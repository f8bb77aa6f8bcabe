"""The worker's explaining: ahead of the people, on request, tried again; scoring never waits for more than a piece of it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from app.settings import Settings
from app.similar import Similar
from app.ui import sitting
from app.ui.sitting import Seat
from app.worker import explaining as explaining_module
from app.worker import reasons as reasons_module
from app.worker import sample as sample_module
from app.worker.explaining import Explaining
from app.worker.methods import Methods
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.worker.spare import Spare
from app.workspace import Workspace
from db.engine import Database
from db.tables import Embedding, Explanation, ReasonCheck, Routing, Task, Work
from explain import deletion
from explain.errors import NotExplainable
from inference.errors import ModelLoadError
from inference.predictors import TablePredictor
from retrain import registry
from review_queue import batches, clock, decisions, explanations, projects, reason_quality, rules, spreads
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.explanations import Asked
from review_queue.projects import Setting
from tests import factories, real_models
from tests.review_queue.acting import take


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


@pytest.fixture
def held(database: Database) -> Setting:
    return real_models.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


class Crew:
    """What a worker process has."""

    def __init__(self, workspace: Workspace) -> None:
        self.models, stop = Models(workspace.database, workspace.settings, "cpu"), threading.Event()
        self.scoring = Scoring(workspace, self.models, stop)
        self.explaining = Explaining(workspace, self.models, stop, self.scoring)
        self.spare = Spare(workspace, self.models, self.explaining)

    def work(self) -> None:
        """Until nothing is left to score or explain."""
        while self.scoring.turn() or self.explaining.turn():
            pass


@pytest.fixture
def crew(workspace: Workspace) -> Crew:
    return Crew(workspace)


def count(database: Database, table: Any, *where: Any) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0


def explained(database: Database) -> list[Explanation]:
    return database.read(lambda s: list(s.scalars(select(Explanation).order_by(Explanation.id))))


def leases_run_out(database: Database) -> None:
    database.write(lambda s: s.execute(update(Work).values(ready_at=clock.now())))


def one_case(database: Database, held: Setting, crew: Crew) -> int:
    """A case that waits for people, with its reasons."""
    real_models.arrive(database, held, 12)
    crew.work()
    return factories.tasks(database)[0].item_id


def asked(database: Database, item: int) -> list[Asked]:
    aimed = database.read(explanations.target, item)
    assert aimed is not None
    return database.read(explanations.asked, item, aimed[0])


def test_what_is_asked_for_is_made_or_it_is_said_why_not(crew: Crew, database: Database, held: Setting, ann: Actor) -> None:
    item = one_case(database, held, crew)
    aimed = database.read(explanations.target, item)
    assert aimed is not None
    other = next(label for label in held.project.labels if label != aimed[1])
    wishes: list[dict[str, Any]] = [
        {"method": "lime.tabular", "label": other, "params": {"samples": 300}},
        {"method": "shap.tree"},
        {"method": "shap.exact"},
    ]
    for wish in wishes:
        database.write(explanations.ask, held, item, by=ann, **wish)
    crew.work()
    lime, tree, exact = asked(database, item)
    assert (lime.state, tree.state, exact.state) == ("done", "failed", "done")
    assert tree.problem is not None
    assert "not suit" in tree.problem or "trees" in tree.problem
    made = database.read(explanations.of_prediction, item, aimed[0])
    assert [reason.requested for reason in made] == [False, False, True, True]
    assert (made[2].label, made[2].body["params"]["samples"]) == (other, 300)
    assert count(database, Work) == 0


def test_a_worker_that_dies_over_what_was_asked_does_it_again_and_then_says_so(
    workspace: Workspace, crew: Crew, database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = one_case(database, held, crew)
    database.write(explanations.ask, held, item, method="shap.exact", by=ann)

    def die(*_: Any) -> None:
        raise SystemExit("killed")

    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(Methods, "asked", die)
            with pytest.raises(SystemExit):
                Crew(workspace).explaining.turn()
        assert [each.state for each in asked(database, item)] == ["waiting"]
        leases_run_out(database)
    crew.work()
    failed = asked(database, item)[0]
    assert (failed.state, failed.problem) == ("failed", "explaining it failed 3 times")
    database.write(explanations.ask, held, item, method="shap.exact", by=ann)
    crew.work()
    assert [each.state for each in asked(database, item)] == ["done"]


def test_the_policy_says_what_is_made_ahead(workspace: Workspace, database: Database) -> None:
    wish = {"methods": ["lime.tabular", "lime.text"], "samples": 200, "ahead": 3}
    held = real_models.setting(database, factories.policy(automate={"at_least": "off"}, explain=wish))
    real_models.arrive(database, held, 20)
    Crew(workspace).work()
    made = explained(database)
    assert [(row.method, row.body["params"]["samples"]) for row in made] == [("lime.tabular", 200)] * 3
    ranked = [task.item_id for task in sorted(factories.tasks(database), key=lambda task: (task.rank, task.id))]
    assert {row.item_id for row in made} == set(ranked[:3])
    changed = factories.policy(automate={"at_least": "off"}, explain={"methods": ["shap.permutation"], "ahead": 4})
    database.write(projects.apply, held.project, changed, "", workspace.keys.draw_key_id, by=None)
    Crew(workspace).work()
    assert [(row.item_id, row.method) for row in explained(database)[3:]] == [(ranked[3], "shap.permutation")]


def test_a_model_that_cannot_be_explained_leaves_its_cases_reviewable(
    crew: Crew, database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotExplainable("Odd offers no view of a table, a text or an image to explain.")

    monkeypatch.setattr("explain.catalog.explainers_for", refuse)
    monkeypatch.setattr("app.worker.reasons.represented", refuse)
    real_models.arrive(database, held, 12)
    crew.work()
    rows = explained(database)
    assert rows
    assert {row.body["problem"] for row in rows} == {"Odd offers no view of a table, a text or an image to explain."}
    assert {row.method for row in rows} == {"lime.tabular"}
    assert count(database, Work) == 0
    assert count(database, Embedding, func.length(Embedding.vector) == 0) == len(rows)
    assert decide(database, held, ann) in {row.item_id for row in rows}


def test_nothing_that_a_model_does_when_it_is_represented_costs_a_case_its_reasons(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("app.worker.reasons.represented", fail)
    real_models.arrive(database, held, 12)
    crew.work()
    rows = explained(database)
    assert rows
    assert {row.body["problem"] for row in rows} == {None}
    assert count(database, Embedding, func.length(Embedding.vector) == 0) == len({row.item_id for row in rows})


def test_reasons_wait_as_long_as_their_model_does_not_load(
    workspace: Workspace, crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_models.arrive(database, held, 12)
    crew.scoring.turn()
    later = Crew(workspace)

    def fail(_: int) -> None:
        raise ModelLoadError("the file is not there")

    with monkeypatch.context() as absent:
        absent.setattr(later.models, "get", fail)
        for _ in range(batches.FAILED_AFTER + 2):
            while later.explaining.turn():
                pass
            leases_run_out(database)
    assert not explained(database)
    later.work()
    assert explained(database)
    assert {row.body["problem"] for row in explained(database)} == {None}


def test_a_row_that_cannot_be_explained_together_takes_no_other_down(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explain.lime_tabular import LimeTabular

    whole = LimeTabular.explain_all

    def explain_all(self: LimeTabular, asks: Any) -> Any:
        if any(ask.row[real_models.names()[0]] == 13.0 for ask in asks):
            raise RuntimeError("cannot digest 13")
        return whole(self, asks)

    monkeypatch.setattr(LimeTabular, "explain_all", explain_all)
    monkeypatch.setattr(explaining_module, "FIRST", 32)
    given = dict.fromkeys(real_models.names(), 13.0)
    factories.submit(database, held, [{"external_id": "odd", "input": given}])
    real_models.arrive(database, held, 30)
    crew.work()
    odd = database.read(
        lambda s: s.scalar(select(Task.item_id).where(Task.item_id == select(func.min(Routing.item_id)).scalar_subquery()))
    )
    problems = {row.item_id: row.body["problem"] for row in explained(database) if row.method == "lime.tabular"}
    assert len(problems) > 3
    assert [item for item, problem in problems.items() if problem] == ([odd] if odd is not None else [])


def test_scoring_has_its_turn_between_pieces_of_an_explanation(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_models.arrive(database, held, 10)
    crew.scoring.turn()
    real, routed = TablePredictor.table_probabilities, []

    def table_probabilities(self: TablePredictor, encoded: Any) -> Any:
        if not scoring[0]:
            if len(routed) == 3:
                real_models.arrive(database, held, 5, begin=200)
            time.sleep(0.03)
            routed.append(count(database, Routing))
        return real(self, encoded)

    scoring, turn = [False], crew.scoring.turn

    def watched() -> int:
        scoring[0] = True
        try:
            return turn()
        finally:
            scoring[0] = False

    monkeypatch.setattr(crew.scoring, "turn", watched)
    monkeypatch.setattr(TablePredictor, "table_probabilities", table_probabilities)
    assert crew.explaining.turn() > 0
    assert len(routed) > 8, "there are too few pieces to see anything"
    before, pieces = routed[3], int(explaining_module.TURN_SECONDS / 0.03) + 2
    assert max(routed[4 : 4 + pieces]) == before + 5


def test_what_fails_in_between_is_told_and_breaks_no_explanation(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_models.arrive(database, held, 10)
    crew.scoring.turn()
    failed: list[int] = []

    def fail() -> int:
        failed.append(1)
        raise OperationalError("SELECT 1", {}, Exception("the server went away"))

    monkeypatch.setattr(crew.scoring, "turn", fail)
    monkeypatch.setattr(explaining_module, "TURN_SECONDS", 0.0)
    while crew.explaining.turn():
        pass
    assert failed
    assert explained(database)
    assert all(row.body["problem"] is None for row in explained(database))


def test_a_fresh_worker_scores_while_what_explains_is_still_made(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explain import catalog

    real_models.arrive(database, held, 10)
    crew.scoring.turn()
    make, after = catalog.explainers_for, []

    def slowly(*args: Any, **told: Any) -> Any:
        real_models.arrive(database, held, 5, begin=200)
        time.sleep(1.0)
        after.append(count(database, Routing))
        return make(*args, **told)

    monkeypatch.setattr(catalog, "explainers_for", slowly)
    assert crew.explaining.turn() > 0
    assert after == [15]
    assert explained(database)


def test_a_sample_is_tried_again_when_nothing_else_waits(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "FIRST", 3)
    monkeypatch.setattr(sample_module, "MOST", 5)
    monkeypatch.setattr(sample_module, "EVERY", 2)
    real_models.arrive(database, held, 60)
    crew.work()
    assert count(database, ReasonCheck) == 0
    while crew.spare.turn():
        pass
    model_id = explained(database)[0].model_id
    found = database.read(reason_quality.of_model, model_id)
    assert {quality.method: quality.checked for quality in found} == database.read(reason_quality.checked, model_id)
    assert "lime.tabular" in {quality.method for quality in found if quality.checked == 5}
    assert all((quality.apart or 0.0) < 1e-6 for quality in found)
    assert next(quality for quality in found if quality.method == "lime.tabular").apart is not None
    for quality in found:
        assert min(3, quality.made) <= quality.checked <= 5
        assert quality.stability is not None
        assert 0 <= quality.stability <= 1
        assert (quality.made, quality.failed) == (count(database, Explanation, Explanation.method == quality.method), 0)
    tried = database.read(lambda s: s.scalars(select(ReasonCheck)).first())
    assert tried is not None
    reasons = database.read(explanations.of_prediction, tried.item_id, model_id)
    assert {reason.method: reason.stability for reason in reasons}[tried.method] == tried.stability


def test_scoring_has_its_turn_while_units_are_hidden_and_cases_represented(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, seen = list[int](), dict[str, int]()
    monkeypatch.setattr(explaining_module, "TURN_SECONDS", 0.0)
    real_models.arrive(database, held, 12)
    crew.scoring.turn()
    monkeypatch.setattr(crew.scoring, "turn", lambda: turns.append(1))

    def watch(module: Any, name: str) -> None:
        work = getattr(module, name)

        def counted(*args: Any) -> Any:
            before = len(turns)
            found = work(*args)
            seen[name] = len(turns) - before
            return found

        monkeypatch.setattr(module, name, counted)

    watch(deletion, "areas")
    watch(reasons_module, "represented")
    assert crew.explaining.turn()
    assert crew.spare.turn()
    assert min(seen["areas"], seen["represented"]) > 0


def test_a_trial_that_fails_is_told_and_the_next_is_made(
    crew: Crew, database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_models.arrive(database, held, 12)
    crew.work()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no order today")

    monkeypatch.setattr("app.worker.spare.checked", fail)
    while crew.spare.turn():
        pass
    assert count(database, ReasonCheck) == 0


def test_items_are_represented_with_their_reasons_and_decided_ones_after_a_promotion(
    crew: Crew, workspace: Workspace, database: Database, ann: Actor
) -> None:
    held = real_models.setting(database, factories.policy(automate={"at_least": 0.95}))
    real_models.arrive(database, held, 30)
    crew.work()
    waiting = count(database, Task)
    assert waiting > 4
    rows = database.read(lambda s: list(s.scalars(select(Embedding))))
    assert len(rows) == waiting
    vectors = np.array([np.frombuffer(row.vector, "<f4") for row in rows])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(waiting), abs=1e-5)
    decided = [decide(database, held, ann) for _ in range(3)]
    archive, fit = real_models.trained()
    second = database.write(
        registry.register, held.id, archive, trainer="torch-mlp", labels=fit.predictor.labels,
        schema_hash="", figures=fit.figures, datasets=[], by=None,
    )  # fmt: skip
    by = real_models.owner(database)
    database.write(
        registry.propose, held.id, second.version, by=by, draw_key_id=workspace.keys.draw_key_id, force=True, why="a test"
    )
    while crew.spare.turn():
        pass
    again = database.read(lambda s: list(s.scalars(select(Embedding).where(Embedding.model_id == second.id))))
    assert {row.item_id for row in again} == set(decided)
    found = Similar(database).near(decided[0], second.id)
    assert found is not None
    assert {case.item_id for case in found.cases} == set(decided[1:])
    assert found.space == rows[0].space


def test_how_the_background_of_a_model_is_spread_is_seen_once_where_it_was_not_kept(
    crew: Crew, database: Database, held: Setting
) -> None:
    assert database.read(spreads.acting, held.id) is None
    assert crew.spare.turn()
    found = database.read(spreads.acting, held.id)
    assert found is not None
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    background = crew.models.get(rule.model_id).background
    assert (found.rows, found.whole) == (len(background), False)
    assert set(found.features) == set(held.project.input.features)
    assert not crew.spare.turn()


def test_an_item_that_was_scored_by_nobody_leaves_no_work_behind(crew: Crew, database: Database, held: Setting) -> None:
    real_models.arrive(database, held, 3)
    crew.scoring.turn()
    database.write(lambda s: s.execute(update(Routing).values(label=None)))
    items = [task.item_id for task in factories.tasks(database)]
    row = {"kind": "explain", "project_id": held.id, "ready_at": clock.now(), "attempts": 0}
    database.write(lambda s: s.add_all([Work(item_id=item, **row) for item in items]))
    while crew.explaining.turn():
        pass
    assert count(database, Work) == 0


def decide(database: Database, held: Setting, person: Actor) -> int:
    """Answer the next case as predicted; its item."""
    case = take(database, held, person)[0]
    label = next(iter(held.project.labels))
    if case.blind:
        database.write(decisions.answer, person, case.task_id, case.token, f"first {case.task_id}", label)
        case = take(database, held, person)[0]
    assert case.prediction is not None
    same = case.prediction.label == label
    said = Said(f"{case.task_id}", "accept" if same else "correct", None if same else label)
    database.write(decisions.decide, person, case.task_id, case.token, said)
    return case.item_id


# At the desk


@pytest.fixture
def working(workspace: Workspace) -> Iterator[Crew]:
    """A worker that works until the test ends."""
    crew, over = Crew(workspace), threading.Event()

    def go() -> None:
        while not over.is_set():
            if not (crew.scoring.turn() or crew.explaining.turn() or crew.spare.turn()):
                over.wait(0.02)

    thread = threading.Thread(target=go)
    thread.start()
    yield crew
    over.set()
    thread.join()


def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_at_the_moment_a_case_is_opened_its_reasons_are_there(working: Crew, workspace: Workspace, database: Database) -> None:
    """Two people decide while items arrive, and the worker keeps up."""
    held = real_models.setting(database, factories.policy(automate={"at_least": "off"}, explain={"samples": 200}))
    people = [factories.person(database, name) for name in ("ann", "bob")]
    begun = time.monotonic()
    real_models.arrive(database, held, 60)
    until(lambda: len(explained(database)) >= 120)
    pace = max(0.5, 10 * (time.monotonic() - begun) / 60)  # two people take a fifth of what the worker makes
    opened: list[bool] = []

    def desk(person: Actor) -> None:
        """As the page does: the next case is held while one is looked at."""
        seat = Seat(held, person, person.name)
        page = database.write(sitting.sit, seat)
        while len(opened) < 100:
            if page.case is None:
                time.sleep(0.05)
                page = database.write(sitting.sit, seat)
                continue
            opened.append(bool(page.case.explanations))
            database.write(sitting.ahead, seat)
            time.sleep(pace)
            turn = sitting.turn_of(page.case)
            _, page = database.write(sitting.decide, seat, turn, Said(turn.key, "accept"))

    threads = [threading.Thread(target=desk, args=(person,)) for person in people]
    [thread.start() for thread in threads]
    for begin in range(160, 360):
        if len(opened) < 100:
            real_models.arrive(database, held, 1, begin=begin)
            time.sleep(pace / 2)
    [thread.join() for thread in threads]
    there = "".join("01"[each] for each in opened)
    assert sum(opened) >= 0.99 * len(opened), f"{there} at a pace of {pace:.2f} s"


def test_a_case_that_is_opened_before_its_reasons_comes_next(crew: Crew, database: Database, ann: Actor) -> None:
    held = real_models.setting(database, factories.policy(automate={"at_least": "off"}, explain={"samples": 200, "ahead": 40}))
    real_models.arrive(database, held, 60)
    crew.scoring.turn()
    crew.explaining._order()
    ranked = sorted(factories.tasks(database), key=lambda task: (task.rank, task.id))
    database.write(lambda s: s.execute(update(Task).where(Task.id == ranked[-1].id).values(rank=-1)))
    case = take(database, held, ann)[0]
    assert case.item_id == ranked[-1].item_id
    assert case.explanations == ()
    database.write(explanations.hurry, held.id, case.item_id)
    assert crew.explaining.turn() == 1
    assert {row.item_id for row in explained(database)} == {case.item_id}

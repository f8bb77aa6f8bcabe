"""The page Models: two models side by side, the gate, how a version learned, and the way back."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from app.ui.draw import beside
from app.workspace import Workspace
from db.tables import Model, Proposal, TrainingRun
from retrain import verdicts
from review_queue import acting, challenges, clock, succession
from review_queue.challenges import Challenge
from review_queue.differences import Day, Figures, Part
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.beside import DENY, PAY, begun, decide, say
from tests.ui.conftest import Screen
from tests.ui.test_screens import button, html

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
STOOD = Challenge(1, 1, 2, 2, 1, 1, "former", 0.1, AT, AT, None, None)


def figures(**changes: Any) -> Figures:
    held: dict[str, Any] = {
        "n": 200, "agreed": 180, "silent": 0, "waiting": 3, "judged": 9, "open": 1, "late": 0, "unseen": 0,
        "whole": Part("", "", 2, 6, 1), "difference": -0.02, "low": -0.05, "high": 0.01, "log_e": 1.2, "log_e_worse": -0.4,
        "line": 3.0, "parts": (), "days": (), **changes,
    }  # fmt: skip
    return Figures(**held)


def gate(**changes: Any) -> dict[str, Any]:
    overall = {"by": "overall", "value": "", "n": 200, "differ": 20, "difference": 0.001, "low": -0.02, "high": 0.03}
    part = {**overall, "by": "sex", "value": "<f>", "log_e": 0.2, "log_e_worse": 0.1, "state": "open"}
    return {
        "passed": False, "said": "no worse overall", "missing": ["about 240 more decided cases on which they differ"],
        "overall": {**overall, "log_e": 3.2, "log_e_worse": 0.0, "state": "shown"}, "parts": [part],
        "champion": 1, "challenger": 2, "size": {"champion": 1000, "challenger": 3_000_000},
        "speed": {"champion_ms": 0.5, "challenger_ms": 1.25, "ratio": 2.5}, **changes,
    }  # fmt: skip


@pytest.fixture
def held(workspace: Workspace) -> Setting:
    """A project of which a version acts whose number is 1."""
    held = factories.setting(workspace.database)
    workspace.database.write(lambda s: s.execute(update(Model).values(version=1)))
    return held


@pytest.fixture
def stood(workspace: Workspace, held: Setting) -> Challenge:
    """A challenger that differs on some cases, of which people have seen some."""
    database, ann = workspace.database, factories.person(workspace.database, "ann")
    each = begun(database, held)
    factories.routed(database, held, {str(n): PAY for n in range(10)})
    say(database, held, {str(n): PAY if n < 6 else DENY for n in range(10)})
    for label in ("deny", "deny", "pay", "deny"):
        decide(database, held, ann, label)
    factories.routed(database, held, {"last": PAY})
    say(database, held, {"last": DENY})
    return each


def promoted(workspace: Workspace, held: Setting) -> int:
    """Another version acts: the former champion."""
    database, key = workspace.database, workspace.keys.draw_key_id
    former, wanted = database.read(acting.model_id, held.id), database.write(factories.version, held)
    database.write(succession.take_over, held.id, wanted, former, by=None, draw_key_id=key, cause="promote")
    assert former is not None
    return former


class TestThePage:
    def test_a_challenger_stands_beside_the_champion_with_its_figures(self, screen: Screen, stood: Challenge) -> None:
        found = html(screen("models"))
        assert f"Version {stood.version}, the challenger, beside version 1, which acts" in found
        assert "<b>54.5 %</b><span>say the same</span>" in found
        assert "<td>deny</td><td>0</td><td>3</td><td>0</td>" in found
        assert "1 case on which they differ waits for people" in found

    def test_a_lead_puts_one_there_and_takes_it_out(self, workspace: Workspace, screen: Screen, held: Setting) -> None:
        workspace.database.write(factories.version, held)
        at = screen("models")
        button(at, "models-shadow").click().run()
        (stood,) = workspace.database.read(challenges.standing, held.id)
        assert stood.kind == "challenger"
        button(at, "models-shadow-end").click().run()
        assert "predicts no more" in html(at)
        assert workspace.database.read(challenges.standing, held.id) == []

    def test_one_press_and_a_yes_bring_the_former_champion_back(
        self, workspace: Workspace, screen: Screen, held: Setting
    ) -> None:
        former = promoted(workspace, held)
        at = screen("models")
        assert "Version 1, the former champion" in html(at)
        assert not [each for each in at.button if (each.key or "").startswith("models-propose")]
        button(at, "models-rollback").click().run()
        assert "by your word alone. Bring it back?" in html(at)
        button(at, "models-rollback-yes").click().run()
        assert workspace.database.read(acting.model_id, held.id) == former
        assert workspace.database.read(lambda s: s.scalars(select(Proposal.state)).one()) == "applied"

    def test_what_is_missing_at_the_gate_is_said_and_nothing_is_proposed(
        self, workspace: Workspace, screen: Screen, stood: Challenge
    ) -> None:
        pair = (stood.model_id, stood.against_id)
        workspace.database.write(verdicts.keep, stood.project_id, pair, 1, gate(), None)
        at = screen("models")
        assert "<li>about 240 more decided cases on which they differ</li>" in html(at)
        assert "sex &lt;f&gt;" in html(at)
        assert "version 2: 1.25 ms a case, 3.0 MB" in html(at)
        assert not [each for each in at.button if (each.key or "").startswith("models-propose")]
        workspace.database.write(verdicts.keep, stood.project_id, pair, 1, gate(passed=True, missing=[]), None)
        at = screen("models")
        assert button(at, "models-propose").label == f"Propose version {stood.version} as champion"
        assert not at.exception
        assert "At the gate" in html(at)

    def test_how_a_version_learned_is_drawn_with_its_card(self, workspace: Workspace, screen: Screen, stood: Challenge) -> None:
        curve = {"training": [0.7, 0.5, 0.45], "validation": [0.69, 0.52, 0.55], "best": 2, "ended": "no better for two"}
        run = {
            "project_id": 1,
            "key": "k",
            "state": "done",
            "spec": {},
            "curves": {"torch-mlp": curve},
            "model_id": stood.model_id,
        }
        when = {"begun_at": clock.now(), "seen_at": clock.now(), "ended_at": clock.now()}
        workspace.database.write(lambda s: s.execute(insert(TrainingRun).values(**run, **when)))
        at = screen("models")
        assert "How torch-mlp learned" in html(at)
        assert "Epoch 2 was kept. No better for two." in html(at)
        assert any(f"# Model {stood.version} of claims" in each.value for each in at.code)


class TestWords:
    def test_what_is_shown_and_what_is_missing(self) -> None:
        assert "Neither is shown" in beside.said(STOOD, figures())
        assert "version 2 is wrong less often" in beside.said(STOOD, figures(log_e=3.1))
        worse = beside.said(STOOD, figures(log_e_worse=3.1, late=2, unseen=1, silent=4, open=0))
        for part in ("wrong more often", "At 2 nobody looked in time", "At 1 nobody could look", "gave no answer to 4"):
            assert part in worse
        assert "wait for people" not in worse

    def test_nothing_is_said_of_nothing(self) -> None:
        none = figures(n=0, agreed=0, difference=None, whole=Part("", "", 0, 0, 0))
        assert [card[0] for card in beside.cards(STOOD, none)] == ["–", "0", "0", "–"]
        assert beside.course(STOOD, none) is None
        assert beside.curves("x", {"training": [0.3]}) is None

    def test_the_course_stays_in_the_picture(self) -> None:
        days = tuple(Day(date(2026, 11, day), 10, 9, log_e) for day, log_e in ((1, 0.0), (2, 900.0), (3, -900.0)))
        found = beside.course(STOOD, figures(days=days))
        assert found is not None
        assert (found.y.low, found.y.high) == (-beside.DECADES, beside.DECADES)
        assert "90.0 % alike" in found.aloud

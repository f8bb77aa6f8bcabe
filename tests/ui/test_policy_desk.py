"""The policy desk on a real database, without a browser."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from app.workspace import Workspace
from contract.policy import Policy
from db.tables import AutonomyEvent
from review_queue import people, projects
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.ui.test_screens import button, html

LABELS = ("deny", "pay")


@pytest.fixture
def desk(workspace: Workspace) -> Callable[[], AppTest]:
    def run() -> AppTest:
        def script() -> None:
            from app.ui import widgets
            from app.ui.screens import policy_desk

            widgets.said("autonomy")
            policy_desk.draw(widgets.place())

        return AppTest.from_function(script, default_timeout=30).run()

    return run


def filled(workspace: Workspace, labels: tuple[str, ...] = LABELS, **policy: Any) -> Setting:
    """Cases of rising confidence, routed."""
    wished = factories.policy(**{"automate": {"at_least": 0.9}, "audit": {"rate": 0.5}, **policy})
    held = factories.setting(workspace.database, factories.project(labels=list(labels)), wished)
    answers = [factories.says(labels[n % len(labels)], 0.5 + n / 100, labels) for n in range(50)]
    filling.route(workspace, held, [factories.raw(f"{n}") for n in range(50)], answers)
    return held


def standing(workspace: Workspace) -> Policy:
    return workspace.database.read(projects.get, "claims").policy


def slider(at: AppTest, name: str) -> Any:
    return next(each for each in [*at.select_slider, *at.slider, *at.multiselect] if each.key == f"policy-desk-{name}")


def test_without_a_model_there_is_nothing_to_try(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    project, policy = factories.project(), factories.policy()
    workspace.database.write(projects.apply, project, policy, "", workspace.keys.draw_key_id, by=None)
    at = desk()
    assert "Nothing to try a policy on yet" in html(at)
    assert not at.exception


def test_the_desk_begins_at_what_is_in_force(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace)
    at = desk()
    assert not at.exception
    assert (slider(at, "at").value, slider(at, "rate").value, slider(at, "error").value) == (0.9, 50.0, 0.01)
    assert "Tried on 50 logged cases of model" in html(at)
    assert html(at).count("20.0 % <small>10 of 50</small>") == 3
    assert not [each for each in at.button if (each.key or "").startswith("policy-desk-propose")]
    assert yaml.safe_load(at.code[0].value) == {"autonomy": "set", "automate": {"at_least": 0.9}, "audit": {"rate": 0.5}}


def test_sliders_change_the_figures_at_once_and_nothing_else(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace)
    at = desk()
    wider = next(each for each in slider(at, "at").options if each.startswith("0.7"))
    slider(at, "at").set_value(float(wider)).run()
    assert not at.exception
    shown = html(at)
    assert f"{100 * sum(0.5 + n / 100 >= float(wider) - 1e-9 for n in range(50)) / 50:.1f} %" in shown
    assert "It is looser than what was signed for" in shown
    assert "this log cannot say how wrong" in shown
    assert standing(workspace).automate.at_least == 0.9


def test_proposing_applies_it_and_says_that_the_file_differs(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace)
    at = desk()
    slider(at, "at").set_value("off").run()
    slider(at, "rate").set_value(75.0).run()
    button(at, "policy-desk-propose").click().run()
    button(at, "policy-desk-propose-yes").click().run()
    assert not at.exception
    assert (standing(workspace).automate.at_least, standing(workspace).audit.rate) == ("off", 0.75)
    assert "policy.yaml on disk still says the old" in html(at)
    assert slider(at, "at").value == "off"


def test_what_is_looser_waits_for_its_signatures(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace, evidence={"signers": 2})
    workspace.database.write(people.add_person, "olga", role="owner")
    at = desk()
    slider(at, "at").set_value(slider(at, "at").options and float(slider(at, "at").options[0])).run()
    button(at, "policy-desk-propose").click().run()
    button(at, "policy-desk-propose-yes").click().run()
    assert "until then the stricter holds" in html(at)
    found = workspace.database.read(lambda session: [each.state for each in session.query(AutonomyEvent).all()])
    assert "open" in found


def test_thresholds_from_costs_say_what_they_lack(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace)
    at = desk()
    button(at, "policy-desk-costs").click().run()
    assert "Costs.review is 0" in html(at)


def test_thresholds_of_labels(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace, costs={"review": 0.5}, automate={"at_least": 0.9, "per_label": {"deny": "never", "pay": 0.777}})
    at = desk()
    assert slider(at, "own").value == ["deny", "pay"]
    assert (slider(at, "own-deny").value, slider(at, "own-pay").value) == ("off", 0.777)
    button(at, "policy-desk-costs").click().run()
    assert "2 have too few looks and stay as they are" in html(at)
    slider(at, "own").set_value([]).run()
    assert yaml.safe_load(at.code[0].value)["automate"] == {"at_least": 0.9}
    assert not at.exception


def test_77_labels(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    labels = tuple(f"label {n}" for n in range(77))
    filled(workspace, labels)
    at = desk()
    assert not at.exception
    assert len(slider(at, "own").options) == 77
    slider(at, "own").set_value(["label 3"]).run()
    assert slider(at, "own-label 3").value == "off"


def test_under_earned_it_says_what_is_granted_and_what_is_left(workspace: Workspace, desk: Callable[[], AppTest]) -> None:
    filled(workspace, autonomy="earned", evidence={"most_missed": 0})
    at = desk()
    assert not at.exception
    assert "It is a wish" in html(at)
    assert "more looks without an error until" in html(at)
    assert "0.0 % <small>0 of 50</small>" in html(at)


def test_whoever_is_no_owner_cannot_propose(
    workspace: Workspace, desk: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from app.ui import resources

    filled(workspace)
    arrive = resources.arrive
    monkeypatch.setattr(resources, "arrive", lambda: (here := arrive()) and replace(here, actor=replace(here.actor, role="lead")))
    at = desk()
    slider(at, "at").set_value("off").run()
    assert not [each for each in at.button if (each.key or "").startswith("policy-desk-propose")]

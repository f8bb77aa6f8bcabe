"""Each screen on a real database, without a browser."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from app.ui import resources
from app.workspace import Workspace
from contract.records import Unscored
from db.tables import Claim, Decision, Job, Model, Person
from retrain.alone import alone
from review_queue import cases, flags, members, people, projects
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen

OFF = {"automate": {"at_least": "off"}}


def html(at: Any) -> str:
    return " ".join(str(each.proto.body) for each in at.get("html"))


def button(at: Any, name: str) -> Any:
    return next(each for each in at.button if (each.key or "").startswith(name))


def stored(workspace: Workspace) -> list[Decision]:
    return workspace.database.read(lambda session: list(session.scalars(select(Decision).order_by(Decision.id))))


def test_accepting_stores_the_decision_and_shows_the_next_case(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, True, **OFF)
    at = screen("review")
    first = html(at)
    button(at, "accept-").click().run()
    assert [row.verdict for row in stored(workspace)] == ["accept"]
    assert "Accepted:" in html(at)
    assert html(at) != first
    assert not at.exception


def test_the_key_of_another_label_corrects_and_of_the_predicted_one_accepts(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, False, **OFF)
    at = screen("review")
    predicted = at.session_state["review.turn"].predicted
    other = "deny" if predicted != "deny" else "pay"
    button(at, f"label-{other}").click().run()
    button(at, f"label-{at.session_state['review.turn'].predicted}").click().run()
    assert [(row.verdict, row.label) for row in stored(workspace)][:1] == [("correct", other)]
    assert stored(workspace)[1].verdict == "accept"


def test_a_press_that_was_meant_for_an_earlier_case_changes_nothing(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 5, False, **OFF)
    at = screen("review")
    late = button(at, "accept-")
    late.click().run()
    late.click().run()
    assert len(stored(workspace)) == 1


def test_a_blind_case_shows_labels_alone_and_then_the_prediction(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 3, True, review={"blind_first": "all"}, **OFF)
    at = screen("review")
    assert ", about " not in html(at)
    assert "so-bar" not in html(at)
    assert not [each for each in at.button if each.key.startswith("accept-")]
    button(at, "label-pay").click().run()
    assert "You said Pay" in html(at)
    assert ", about " in html(at)
    assert not [each for each in at.button if each.key.startswith(("skip-", "escalate-"))]
    button(at, "accept-").click().run()
    assert [row.stage for row in stored(workspace)] == ["first", "final"]


def test_what_was_not_scored_says_why_and_takes_a_label(workspace: Workspace, screen: Screen) -> None:
    setting = factories.setting(workspace.database)
    filling.route(workspace, setting, [factories.raw("u-1")], [Unscored("amount is beyond what the model knows")])
    at = screen("review")
    assert "amount is beyond what the model knows" in html(at)
    button(at, "label-pay").click().run()
    assert [(row.verdict, row.label) for row in stored(workspace)] == [("correct", "pay")]


def test_missing_reasons_are_said_and_failed_ones_give_their_sentence(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    at = screen("review")
    assert "Reasons are being made" in html(at)
    filling.explain(
        workspace,
        setting,
        lambda _: [
            {
                "method": "shap.permutation",
                "unit": "log-odds",
                "base": None,
                "contributions": [],
                "params": {},
                "quality": {},
                "problem": "The model gives <nan>.",
            }
        ],
    )
    drawn = html(at.run())
    assert "The model gives &lt;nan&gt;." in drawn


def test_undo_takes_back_the_last_decision(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, False, **OFF)
    at = screen("review")
    token = at.session_state["review.turn"].token
    button(at, "accept-").click().run()
    button(at, "undo-").click().run()
    assert at.session_state["review.turn"].token == token
    button(at, "accept-").click().run()
    assert len(stored(workspace)) == 2


@pytest.mark.parametrize("press", ["undo-", "gather"])
def test_who_is_shut_out_takes_nothing_up_again(workspace: Workspace, screen: Screen, press: str) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    actor = workspace.local_actor("desk")
    if press == "gather":
        workspace.database.write(cases.take, setting, actor, "another tab", 2)
    at = screen("review")
    if press == "undo-":
        button(at, "accept-").click().run()
    pressed = next(each for each in at.button if press in str(each.key) or "another tab" in each.label)
    workspace.database.write(members.everywhere, actor.name, False)
    pressed.click().run()
    states = workspace.database.read(lambda session: list(session.scalars(select(Claim.state))))
    assert sorted(states) == ["released" if press == "gather" else "answered", "released"]


def test_skip_asks_its_reason_and_back_returns(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 4, False, **OFF)
    at = screen("review")
    button(at, "skip-").click().run()
    button(at, "back-").click().run()
    button(at, "skip-").click().run()
    button(at, "reason-2").click().run()
    assert [(row.verdict, row.reason) for row in stored(workspace)] == [("skip", "not mine")]


def test_a_single_reason_is_not_asked_for(workspace: Workspace, screen: Screen) -> None:
    filling.texts(workspace, 4, False, **OFF)
    at = screen("review")
    button(at, "reject-").click().run()
    assert [(row.verdict, row.reason) for row in stored(workspace)] == [("reject", "illegible")]


@pytest.mark.parametrize("name", ["review", "queue", "insights", "data", "models", "find"])
def test_every_screen_stands_with_and_without_cases(workspace: Workspace, screen: Screen, name: str) -> None:
    assert not screen(name).exception
    filling.fill(workspace, claims=6, messages=2, digits=2, **OFF)
    at = screen("review")
    button(at, "accept-").click().run()
    assert not screen(name).exception


def test_an_empty_queue_says_what_comes_next(workspace: Workspace, screen: Screen) -> None:
    factories.setting(workspace.database)
    assert "Nothing waits" in html(screen("review"))


def test_cases_of_another_tab_can_be_taken_here(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    actor = workspace.local_actor("desk")
    workspace.database.write(cases.take, setting, actor, "another tab", 2)
    at = screen("review")
    assert "other hands" in html(at)
    next(each for each in at.button if "another tab" in each.label).click().run()
    assert at.session_state["review.turn"] is not None


def test_what_a_lead_releases_goes_back(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    ann = factories.person(workspace.database, "ann")
    workspace.database.write(cases.take, setting, ann, "s", 1)
    at = screen("queue")
    next(each for each in at.checkbox if each.key.startswith("queue-box-")).check().run()
    button(at, "queue-release").click().run()
    states = workspace.database.read(lambda session: list(session.scalars(select(Claim.state))))
    assert states == ["released"]


def test_a_dataset_version_and_a_training_are_jobs(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, **OFF)
    at = screen("data")
    button(at, "data-make").click().run()
    at.checkbox(key="data-reasons").check().run()
    button(at, "data-make").click().run()
    button(screen("models"), "models-train").click().run()
    asked = workspace.database.read(
        lambda session: [(job.kind, job.args) for job in session.scalars(select(Job).order_by(Job.id))]
    )
    export = {"format": "parquet"}
    assert asked == [("export", export), ("export", {**export, "with_reasons": True}), ("train", {})]


def test_freezing_shows_on_the_project(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    at = screen("models")
    button(at, "models-freeze").click().run()
    assert "Freeze it?" in html(at)
    button(at, "models-freeze-no").click().run()
    assert workspace.database.read(projects.get, setting.name).frozen_at is None
    button(at, "models-freeze").click().run()
    button(at, "models-freeze-yes").click().run()
    assert workspace.database.read(projects.get, setting.name).frozen_at is not None


def judge(workspace: Workspace, **changes: Any) -> None:
    """Give every model figures of what could act alone."""
    found = {**alone(np.linspace(0.6, 1, 1500), np.arange(1500) < 150).as_dict(), "score": "max_probability", **changes}

    def keep(session: Any) -> None:
        for row in session.scalars(select(Model)):
            row.figures = {**row.figures, "alone": found}

    workspace.database.write(keep)


def test_insights_say_what_could_act_alone(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, automate={"at_least": 0.8}, evidence={"max_error": 0.05})
    judge(workspace)
    drawn = html(screen("insights", section="Model"))
    assert re.search(r"At 5 % error 9\d % may act alone: confidence 0\.6\d+ or more\.", drawn)
    assert drawn.count("<td>") >= 20
    assert "In force: confidence 0.8 or more. About 50 % of these rows reach it; none of those is wrong." in drawn
    assert "1\u202f500 old, labelled rows" in drawn
    assert "Audits, spot checks" in drawn
    assert "Thresholds of single labels" not in drawn


def test_what_is_in_force_names_what_comes_on_top_and_a_freeze(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, automate={"at_least": 0.8, "never": ["amount > 5"]})
    judge(workspace)
    assert "Thresholds of single labels and vetoes come on top" in html(screen("insights", section="Model"))
    at = screen("models")
    button(at, "models-freeze").click().run()
    button(at, "models-freeze-yes").click().run()
    assert "In force: nothing acts alone." in html(screen("insights", section="Model"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"answered": 0}, "no labelled rows"), ({"score": "margin"}, "are for another score than the policy")],
)
def test_figures_that_say_nothing_are_told_in_words(workspace: Workspace, screen: Screen, changes: Any, said: str) -> None:
    filling.table(workspace, 2, False, **OFF)
    assert "no labelled rows" in html(screen("insights", section="Model"))
    judge(workspace, **changes)
    drawn = html(screen("insights", section="Model"))
    assert said in drawn
    assert "so-risk" not in drawn


def test_what_could_act_is_there_before_the_first_case(workspace: Workspace, screen: Screen) -> None:
    factories.setting(workspace.database)
    judge(workspace)
    drawn = html(screen("insights", section="Model"))
    assert "so-risk" in drawn
    assert "They begin with the first scored case" in html(screen("insights"))


def test_the_record_stays_closed_to_whoever_judges_it_blind(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, True, review={"blind_first": "all"}, **OFF)
    at = screen("find")
    at.text_input[0].set_value("M-1000").run()
    assert "waits for a blind answer" in html(at)
    assert "sure" not in html(at)


def test_with_a_password_in_the_house_the_page_asks_to_sign_in(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, **OFF)
    workspace.database.write(people.add_person, "ann", role="lead", password="a long password")
    assert "Please sign in" in html(screen("review"))


def test_the_desk_loads_no_model_library() -> None:
    heavy = "('torch', 'shap', 'lime', 'sklearn')"
    pages = "app.web, app.ui.screens.review, app.ui.screens.models, app.ui.screens.data, retrain.registry, retrain.datasets"
    code = f"import sys, {pages}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def test_a_cookie_names_a_person_only_under_our_key() -> None:
    value = resources.signer(b"k" * 32).dumps(7)
    assert resources.person_in(value, b"k" * 32) == 7
    assert resources.person_in(value, b"x" * 32) is None
    assert resources.person_in("7", b"k" * 32) is None


def test_commands_that_pages_name_exist() -> None:
    from app.cli.main import app

    texts = [file.read_text() for file in resources.HERE.rglob("*.py")]
    named = {found for text in texts for found in re.findall(r"<code>signoff ([a-z]+(?: [a-z]+)?)", text)}
    assert {"demo", "model train"} <= named
    for words in named:
        assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words


def test_a_viewer_is_told_why_there_is_nothing_to_decide(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, **OFF)
    workspace.local_actor("desk")
    workspace.database.write(lambda session: session.query(Person).update({"role": "viewer"}))
    at = screen("review")
    assert "A viewer decides no cases" in html(at)
    assert not at.exception


def test_a_flag_goes_up_and_down_and_the_case_stays(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 3, False, **OFF)
    at = screen("review")
    token = at.session_state["review.turn"].token
    button(at, "flag-").click().run()
    up = workspace.database.read(flags.count, setting.id)
    assert (up, at.session_state["review.turn"].token) == (1, token)
    assert "Flagged" in html(at)
    button(at, "flag-").click().run()
    assert workspace.database.read(flags.count, setting.id) == 0

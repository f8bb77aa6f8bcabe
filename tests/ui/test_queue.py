"""What is late, stuck or in other hands, on the pages Queue, Review and Insights."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from app.ui import formats, resources
from app.ui.draw import figures, waiting
from app.workspace import Workspace
from review_queue import agreement, answers, bulk, cases, clock, decisions, flags, members, people, saved_filters
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.filters import Filter
from review_queue.flags import Flagged
from review_queue.insights import MOST
from review_queue.lists import Row, Words
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import OFF, button, html


def queue(state: str = "open", **query: Any) -> Any:
    """The page Queue at an address."""

    def script() -> None:
        import importlib

        importlib.import_module("app.ui.screens.queue").draw()

    at = AppTest.from_function(script, default_timeout=30)
    for name, value in {"state": state, **query}.items():
        at.query_params[name.replace("__", ".")] = value
    return at.run()


def said(workspace: Workspace, setting: Setting, actor: Actor, label: str = "pay") -> None:
    """Answer the next case, blind where it is."""
    database = workspace.database
    case = database.write(cases.take, setting, actor, "s", 1)[0]
    if case.blind:
        database.write(decisions.answer, actor, case.task_id, case.token, f"f{case.task_id}", label)
        case = database.read(cases.held, setting, actor, "s")[0]
    assert case.prediction is not None
    verdict = "accept" if label == case.prediction.label else "correct"
    answer = Said(f"k{case.task_id}", verdict, label if verdict == "correct" else None)
    database.write(decisions.decide, actor, case.task_id, case.token, answer)


def later(monkeypatch: pytest.MonkeyPatch, span: timedelta) -> None:
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + span)


@pytest.fixture
def me(workspace: Workspace) -> Actor:
    """Who sits at this machine: an admin."""
    return workspace.local_actor("desk")


def test_late_cases_come_first_with_how_late_they_are(
    workspace: Workspace, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = filling.table(workspace, 3, False, review={"due": "4h"}, calendar={"days": "mon-sun", "hours": "0-24"}, **OFF)
    shown = html(screen("queue"))
    assert "nothing is late" in shown
    assert "late</b>" not in shown
    ann = factories.person(workspace.database, "ann")
    later(monkeypatch, timedelta(hours=6, minutes=10))
    workspace.database.write(cases.take, setting, ann, "s", 1)
    shown = html(screen("queue"))
    assert shown.count("2 h late") == 3
    assert "the latest by 2 h" in shown
    assert "held by ann" in shown


def test_what_nobody_here_may_take_is_said_with_the_mend_and_can_be_given_up(
    workspace: Workspace, screen: Screen, me: Actor
) -> None:
    setting = filling.table(workspace, 1, False, review={"second_opinion": 1.0}, **OFF)
    said(workspace, setting, me)
    assert "nobody here may take them" in html(screen("queue"))
    at = queue("stuck")
    assert "Stuck: nobody here may take them" in html(at)
    assert "<b>1</b> second opinion: add a person (<code>signoff user add NAME</code>)" in html(at)
    button(at, "queue-drop-").click().run()
    assert "Given up; the answer stands: M-1000" in html(at)
    assert [task.state for task in factories.tasks(workspace.database, kind="second")] == ["cancelled"]


def test_a_stuck_task_does_not_keep_review_from_being_done(workspace: Workspace, screen: Screen, me: Actor) -> None:
    setting = filling.table(workspace, 1, False, review={"second_opinion": 1.0}, **OFF)
    said(workspace, setting, me)
    shown = html(screen("review"))
    assert "Nothing waits for you" in shown
    assert "Not counted: 1 that wait for somebody who is not here." in shown
    assert "add a person" in shown
    assert '<b data-count="waiting">0</b>' in shown


def test_reviewers_are_told_of_what_is_stuck_but_not_which(
    workspace: Workspace, screen: Screen, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = filling.table(workspace, 1, False, review={"second_opinion": 1.0}, **OFF)
    said(workspace, setting, me)
    reviewer = Actor(me.id, me.name, "reviewer", "desk")
    monkeypatch.setattr(people, "actor", lambda *_: reviewer)
    monkeypatch.setattr(resources, "whoever", lambda *_, **__: reviewer)
    at = queue("stuck")
    assert "<b>1</b> second opinion" in html(at)
    assert not [each for each in at.button if each.key.startswith("queue-drop-")]


def test_what_waits_for_others_is_told_from_nothing(workspace: Workspace, screen: Screen, me: Actor) -> None:
    setting = filling.table(workspace, 2, False, review={"second_opinion": 1.0}, **OFF)
    factories.person(workspace.database, "ann")
    said(workspace, setting, me)
    said(workspace, setting, me)
    assert "2 cases wait for somebody else" in html(screen("review"))


def test_agreement_is_drawn_with_what_may_be_chance(workspace: Workspace, screen: Screen, me: Actor) -> None:
    setting = filling.table(workspace, 4, False, review={"second_opinion": 1.0}, **OFF)
    assert "How far people agree" not in html(screen("insights", section="People"))
    ann = factories.person(workspace.database, "ann")
    for actor in (me, ann):
        for n in range(4):
            said(workspace, setting, actor, "deny" if n == 0 else "pay")
    shown = html(screen("insights", section="People"))
    assert "How far people agree" in shown
    found = agreement.of(workspace.database.read(answers.latest, setting.id))
    assert f"{found.agreed.part} of 4, between" in shown
    assert "Cohen&#x27;s kappa" in shown or "Cohen's kappa" in shown


def test_figures_over_the_latest_decisions_say_so(
    workspace: Workspace, screen: Screen, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = filling.table(workspace, 3, False, **OFF)
    for _ in range(3):
        said(workspace, setting, me)
    assert "over the latest" not in html(screen("insights"))
    monkeypatch.setattr(answers.latest, "__defaults__", (2,))
    assert "What people said is taken over the latest 2 decisions." in html(screen("insights"))


@pytest.mark.parametrize(("n", "shown"), [(0, "0"), (MOST, "10\u202f000"), (MOST + 1, "10\u202f000+")])
def test_a_count_that_ends_says_that_there_is_more(n: int, shown: str) -> None:
    assert formats.upto(n) == shown


@pytest.mark.parametrize("logs", [False, True])
def test_a_list_for_leads_shows_some_of_each_case_unless_each_opening_is_logged(
    workspace: Workspace, logs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filling.claims_project().model_copy(update={"log_openings": logs})
    monkeypatch.setattr(filling, "claims_project", lambda: made)
    filling.table(workspace, 6, False, **OFF)
    at = queue()
    shown = html(at)
    assert (shown.count("Amount claimed"), "Region" in shown) == ((0, False) if logs else (6, True))
    assert "<script>" not in shown
    at.radio(key="queue-many-verdict").set_value("accept").run()
    button(at, "queue-many-count").click().run()
    assert html(at).count("Amount claimed") == (0 if logs else 12), "of the list and of the sample"


def test_what_may_be_html_in_ids_names_and_words_is_shown_as_it_is(workspace: Workspace) -> None:
    setting, now, zone = filling.table(workspace, 1, False, **OFF), clock.now(), ZoneInfo("UTC")
    late = now - timedelta(hours=1)
    each = Row(1, 1, "<b>x", now, late, "in_progress", "reviewers", 0, "<i>ann", "<u>bob", now, False, "pay", 0.6)
    shown = waiting.row(each, setting, zone, now)
    assert "<bdi>&lt;b&gt;x</bdi>" in shown
    assert "id=%3Cb%3Ex" in shown
    assert '<b class="so-late">1 h late</b> · held by &lt;i&gt;ann' in shown
    assert "for &lt;u&gt;bob alone" in shown
    assert "predicted Pay, 60 %" in shown
    told = waiting.words(Words("<i>ann", now, "<b>", "<script>"), zone) + waiting.flag(
        Flagged(1, 1, "x", "<i>ann", now, "<script>"), setting, zone
    )
    assert "<script>" not in told
    assert "<b>" not in told
    said = waiting.in_words(Filter(text="<script>", person="<i>", groups=(("region", "<b>"),)), setting.project)
    assert "<" not in said


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("pay", "pay")] * 3, "nothing can be said of agreement beyond chance"),
        ([("pay", "pay"), ("deny", "deny")], "kappa 1.00; 1 is full"),
        ([("pay", "pay"), ("deny", "deny"), ("pay", "deny")] * 9, "kappa 0.40 (between"),
    ],
)
def test_kappa_in_words(pairs: list[Any], words: str) -> None:
    assert words in figures.agreement(agreement.figures(pairs), str)


def test_an_answer_that_no_label_fits_is_one_like_others() -> None:
    shown = figures.agreement(agreement.figures([(None, None), ("pay", None)]), str.upper)
    assert "no label fits" in shown
    assert "PAY" in shown


def test_a_filter_in_the_address_is_said_shown_and_left_again(workspace: Workspace, screen: Screen, me: Actor) -> None:
    filling.table(workspace, 30, False, **OFF)
    assert "Only cases with region north." in html(queue(group__region="north"))
    at = queue(label="pay", least="0.3")
    assert "Only cases predicted Pay, with a confidence of 0.3 or more." in html(at)
    assert html(at).count("predicted Pay,") > 1
    assert "predicted Deny," not in html(at)
    button(at, "queue-clear").click().run()
    assert "Only cases" not in html(at)
    assert at.query_params.get("label") is None
    first = [each.key for each in at.checkbox if each.key.startswith("queue-box-")]
    button(at, "queue-next").click().run()
    second = [each.key for each in at.checkbox if each.key.startswith("queue-box-")]
    assert (len(first), len(second), set(first) & set(second)) == (25, 5, set())
    button(at, "queue-first").click().run()
    assert [each.key for each in at.checkbox if each.key.startswith("queue-box-")] == first


@pytest.mark.parametrize(("query", "said"), [({"label": "pey"}, "nearest is pay"), ({"after": "x"}, "no place in this list")])
def test_an_address_that_is_no_filter_is_said_with_the_way_on(
    workspace: Workspace, screen: Screen, me: Actor, query: dict[str, str], said: str
) -> None:
    filling.table(workspace, 2, False, **OFF)
    at = queue(**query)
    assert said in html(at)
    button(at, "queue-clear-bad" if "label" in query else "queue-first-bad").click().run()
    assert said not in html(at)


def test_a_filter_is_kept_under_a_name_and_opened(workspace: Workspace, screen: Screen, me: Actor) -> None:
    setting = filling.table(workspace, 4, False, **OFF)
    at = queue(label="pay")
    at.text_input(key="qs-name").set_value("those to pay")
    button(at, "FormSubmitter:queue-save").click().run()
    assert "Kept as those to pay" in html(at)
    (kept,) = workspace.database.read(saved_filters.listed, setting, me)
    assert (kept.name, kept.query) == ("those to pay", "label=pay")
    at = queue("held")
    button(at, "qs-go-").click().run()
    assert "Only cases predicted Pay." in html(at)
    button(at, "qs-forget-").click().run()
    assert workspace.database.read(saved_filters.listed, setting, me) == []


def test_chosen_cases_are_given_and_made_due(workspace: Workspace, screen: Screen, me: Actor) -> None:
    filling.table(workspace, 3, False, **OFF)
    factories.person(workspace.database, "ann")
    at = queue()
    button(at, "FormSubmitter:queue-assign").click().run()
    assert "Choose some cases first." in html(at)
    button(at, "queue-all").click().run()
    at.selectbox(key="queue-assign-name").select("ann")
    button(at, "FormSubmitter:queue-assign").click().run()
    assert "3 cases given to ann" in html(at)
    assert html(at).count("for ann alone until") == 3
    button(at, "queue-all").click().run()
    at.text_input(key="queue-due-at").set_value("whenever")
    button(at, "FormSubmitter:queue-due-form").click().run()
    assert "is no moment" in html(at)
    at.text_input(key="queue-due-at").set_value("2d")
    button(at, "FormSubmitter:queue-due-form").click().run()
    assert html(at).count("due in") == 3


def test_flags_are_looked_at_and_put_down(workspace: Workspace, screen: Screen, me: Actor) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    ann = factories.person(workspace.database, "ann")
    case = workspace.database.write(cases.take, setting, ann, "s", 1)[0]
    workspace.database.write(flags.flag, setting, ann, case.item_id, "<b>look</b>")
    at = queue("flagged")
    assert "by ann" in html(at)
    assert "&lt;b&gt;look&lt;/b&gt;" in html(at)
    button(at, "queue-unflag-").click().run()
    assert "Nothing is flagged." in html(at)
    assert f"The flag is down: {case.external_id}" in html(at)


def test_many_at_once_is_counted_before_it_is_done_and_not_for_reviewers(
    workspace: Workspace, screen: Screen, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    filling.table(workspace, 6, False, **OFF)
    at = queue()
    assert not [each for each in at.button if each.key == "queue-many-count"]
    at.radio(key="queue-many-verdict").set_value("reject").run()
    button(at, "queue-many-count").click().run()
    assert "A rejection needs a reason" in html(at)
    at.selectbox(key="queue-many-reason").select("no label fits").run()
    button(at, "queue-many-count").click().run()
    assert "<b>6 claims</b> would be rejected, reason: no label fits" in html(at)
    button(at, "queue-many-not").click().run()
    assert "would be rejected" not in html(at)
    reviewer = Actor(me.id, me.name, "reviewer", "desk")
    monkeypatch.setattr(people, "actor", lambda *_, **__: reviewer)
    monkeypatch.setattr(resources, "whoever", lambda *_, **__: reviewer)
    at = queue(label="pay")
    assert "Filtering by prediction, group or text is for leads." in html(at)
    assert not at.radio
    at = queue()
    assert not [each for each in at.checkbox if each.key.startswith("queue-box-")]
    assert html(at).count("waits for") == 6


@pytest.mark.parametrize("press", ["release", "many"])
def test_a_page_that_was_drawn_for_a_lead_does_nothing_for_who_is_none_any_more(
    workspace: Workspace, screen: Screen, me: Actor, press: str
) -> None:
    setting = filling.table(workspace, 2, False, **OFF)
    ann = factories.person(workspace.database, "ann")
    workspace.database.write(cases.take, setting, ann, "s", 1)
    at = queue("held" if press == "release" else "open")
    if press == "release":
        next(each for each in at.checkbox if str(each.key).startswith("queue-box-")).check().run()
        pressed = button(at, "queue-release")
    else:
        at.radio(key="queue-many-verdict").set_value("accept").run()
        button(at, "queue-many-count").click().run()
        pressed = button(at, "queue-many-do")
    workspace.database.write(members.set_role, me.name, "reviewer")
    shown = html(pressed.click().run())
    assert "has changed since this page was drawn" in shown
    assert len(workspace.database.read(cases.held, setting, ann, "s")) == 1
    assert workspace.database.read(bulk.recent, setting) == []

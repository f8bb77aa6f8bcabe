"""The life of a case at the desk: parked, taken back, listed, asked about, corrected, replaced."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from streamlit.testing.v1 import AppTest

from app.ui import resources, sitting
from app.ui.sitting import Seat
from app.workspace import Workspace
from review_queue import clock, decisions, find, intake, outcomes, parking, people, requests, withdrawal
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import OFF, button, html


@pytest.fixture
def claims(workspace: Workspace) -> Setting:
    return filling.table(workspace, 3, False, **OFF)


def test_a_decision_that_meets_another_is_tried_once_more(
    workspace: Workspace, screen: Screen, claims: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, met = decisions.decide, list[int]()

    def meet(*args: Any) -> decisions.Stored:
        met.append(1)
        if len(met) == 1:
            raise IntegrityError(None, None, Exception("another came first"))
        return decide(*args)

    monkeypatch.setattr(decisions, "decide", meet)
    at = screen("review")
    button(at, "accept-").click().run()
    assert not at.exception
    assert "Accepted" in html(at)
    assert len(met) == 2


def put_aside(workspace: Workspace, setting: Setting) -> list[parking.Parked]:
    me = workspace.local_actor("desk")
    return workspace.database.read(parking.parked, setting.id, me)


def title(at: Any) -> str:
    return html(at).partition("<bdi>")[2].partition("</bdi>")[0]


@pytest.mark.parametrize(("choice", "days"), [(1, 1), (2, 3), (3, 7), (4, None)])
def test_a_key_and_a_digit_put_a_case_aside(
    workspace: Workspace, screen: Screen, claims: Setting, choice: int, days: int | None
) -> None:
    at = screen("review")
    first = title(at)
    button(at, "park-").click().run()
    assert "Park until" in html(at)
    button(at, f"until-{choice}-").click().run()
    assert not at.exception
    (parked,) = put_aside(workspace, claims)
    assert (parked.external_id, parked.note) == (first, None)
    if days is None:
        assert parked.until is None
        assert "Parked until the claim changes · u takes it back" in html(at)
    else:
        assert parked.until is not None
        assert timedelta(days=0) < parked.until - clock.now() <= timedelta(days=days)
        assert f"Parked until {parked.until:%Y-%m-%d}" in html(at)
    assert title(at) != first


def test_undo_takes_the_parking_back_and_then_the_decision_before(workspace: Workspace, screen: Screen, claims: Setting) -> None:
    at = screen("review")
    decided = title(at)
    button(at, "accept-").click().run()
    parked = title(at)
    button(at, "park-").click().run()
    button(at, "until-1-").click().run()
    assert title(at) not in (decided, parked)
    button(at, "undo-").click().run()
    assert title(at) == parked
    assert "Taken back: Parked until" in html(at)
    assert put_aside(workspace, claims) == []
    button(at, "undo-").click().run()
    assert title(at) == decided
    assert "Taken back: Accepted" in html(at)


def test_another_day_is_typed_and_a_wrong_one_is_told(workspace: Workspace, screen: Screen, claims: Setting) -> None:
    at = screen("review")
    button(at, "park-").click().run()
    button(at, "day-").click().run()
    at.text_input[0].set_value("someday")
    at.text_input[1].set_value("  the garage ")
    submit(at).click().run()
    assert "someday is no moment; write 3d, 2026-12-01" in html(at)
    assert put_aside(workspace, claims) == []
    at.text_input[0].set_value("5d")
    submit(at).click().run()
    assert not at.exception
    (parked,) = put_aside(workspace, claims)
    assert parked.until is not None
    assert timedelta(days=4) < parked.until - clock.now() <= timedelta(days=5)
    assert parked.note == "the garage"


def test_a_day_that_is_past_is_told_and_back_leads_back(workspace: Workspace, screen: Screen, claims: Setting) -> None:
    at = screen("review")
    button(at, "park-").click().run()
    button(at, "day-").click().run()
    at.text_input[0].set_value("2020-01-01")
    submit(at).click().run()
    assert "is past" in html(at)
    assert put_aside(workspace, claims) == []
    button(at, "park-").click().run()
    button(at, "back-").click().run()
    assert button(at, "accept-")


def test_what_is_parked_stands_on_the_idle_page_and_comes_back(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 1, False, **OFF)
    at = screen("review")
    parked = title(at)
    button(at, "park-").click().run()
    button(at, "until-4-").click().run()
    assert "Parked by you" in html(at)
    assert parked in html(at)
    assert "Nothing waits for you" in html(at)
    button(at, "unpark-").click().run()
    assert title(at) == parked
    assert put_aside(workspace, setting) == []


def test_a_blind_case_that_was_answered_cannot_be_parked(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False, review={"blind_first": "all"}, **OFF)
    at = screen("review")
    assert button(at, "park-")
    button(at, "label-pay").click().run()
    assert not [each for each in at.button if (each.key or "").startswith("park-")]


def test_a_case_says_why_somebody_asked_and_what_was_noted(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 1, False, automate={"at_least": 0.0})
    lead = people_lead(workspace)
    workspace.database.write(requests.request, setting, "M-1000", "<b>they</b> complain", by=lead)
    at = screen("review")
    assert "Somebody asks for a look" in html(at)
    assert "&lt;b&gt;they&lt;/b&gt; complain" in html(at)
    button(at, "park-").click().run()
    button(at, "day-").click().run()
    at.text_input[1].set_value("ask them")
    submit(at).click().run()
    button(at, "unpark-").click().run()
    assert "Your note" in html(at)
    assert "ask them" in html(at)


def submit(at: AppTest) -> Any:
    """The button of the form that is open."""
    return next(each for each in at.button if each.label == "Park it")


def people_lead(workspace: Workspace) -> Actor:
    account = workspace.database.write(people.add_person, "lea", role="lead")
    return Actor(account.id, account.name, account.role, "desk")


def test_the_choices_are_days_on_which_somebody_works(workspace: Workspace) -> None:
    setting = factories.setting(workspace.database, wished=factories.policy(calendar={"days": "mon-fri", "hours": "9-17"}))
    friday = clock.now().replace(year=2026, month=11, day=27, hour=10)
    found = dict(sitting.choices(setting, friday))
    assert list(found) == ["Tomorrow", "In three days", "Next Monday", "Until the claim changes"]
    assert {f"{until:%a %H}" for until in found.values() if until is not None} == {"Mon 09"}


def test_a_seat_of_its_own_sees_its_own(workspace: Workspace, claims: Setting) -> None:
    me, lead = workspace.local_actor("desk"), people_lead(workspace)
    seat = Seat(claims, me, resources.seat(me.id))
    held = workspace.database.write(sitting.sit, seat)
    assert held.case is not None
    workspace.database.write(sitting.park, seat, sitting.turn_of(held.case), None, None)
    assert len(workspace.database.read(parking.parked, claims.id, lead)) == 1
    assert workspace.database.read(parking.parked, claims.id, lead, own=True) == []


# Find


def found(screen: Screen, external_id: str) -> Any:
    at = screen("find")
    at.text_input(key="find-id").set_value(external_id).run()
    return at


@pytest.fixture
def acted(workspace: Workspace) -> Setting:
    return filling.table(workspace, 1, False, automate={"at_least": 0.0})


def test_a_lead_corrects_on_the_page_find(workspace: Workspace, screen: Screen, acted: Setting) -> None:
    at = found(screen, "M-1000")
    form = next(each for each in at.button if each.label == "Correct it")
    form.click().run()
    assert "Choose what is right first" in html(at)
    standing = workspace.database.read(lambda s: outcomes.standing(s, 1))
    assert standing is not None
    other = "deny" if standing.label != "deny" else "pay"
    next(each for each in at.selectbox if each.label == "What is right").set_value(other)
    next(each for each in at.text_input if each.label == "Comment (optional)").set_value("see photo 3")
    next(each for each in at.button if each.label == "Correct it").click().run()
    assert not at.exception
    assert f"Corrected to {acted.project.title_of(other)}" in html(at)
    assert "see photo 3" in html(at)
    standing = workspace.database.read(lambda s: outcomes.standing(s, 1))
    assert standing is not None
    assert (standing.label, standing.revision) == (other, 2)


def test_somebody_is_asked_to_look_on_the_page_find(workspace: Workspace, screen: Screen, acted: Setting) -> None:
    at = found(screen, "M-1000")
    ask = lambda: next(each for each in at.button if each.label == "Ask somebody to look")  # noqa: E731
    ask().click().run()
    assert "Say why" in html(at)
    next(each for each in at.text_input if each.label.startswith("Why?")).set_value("they complain")
    ask().click().run()
    assert "It waits for somebody" in html(at)
    assert [task.requested for task in factories.tasks(workspace.database)] == ["they complain"]


def test_what_waits_or_was_cancelled_has_no_such_acts(workspace: Workspace, screen: Screen, claims: Setting) -> None:
    at = found(screen, "M-1000")
    assert not [each for each in at.button if each.label in ("Correct it", "Ask somebody to look")]
    workspace.database.write(withdrawal.cancel, claims, "M-1000", by=people_lead(workspace))
    assert "cancelled 20" in html(found(screen, "M-1000"))


def test_an_earlier_revision_is_chosen(workspace: Workspace, screen: Screen, claims: Setting) -> None:
    lead = people_lead(workspace)
    record = workspace.database.read(find.record, claims, "M-1000", by=lead)
    given = {**record.input, "story": "another story"}
    wanted = intake.check(claims.project, {"external_id": "M-1000", "input": given})
    workspace.database.write(withdrawal.replace, claims, wanted, by=lead)
    at = found(screen, "M-1000")
    assert "another story" in html(at)
    assert "revision 2" in html(at)
    at.selectbox[0].set_value(1).run()
    assert "another story" not in html(at)
    assert "replaced 20" in html(at)

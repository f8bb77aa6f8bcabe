"""How people judge, as a section of Insights and as a file."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest

from app.ui import takeaway
from app.ui.draw import judging as drawn
from app.workspace import Workspace
from review_queue import clock
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.judging import Both, Figures, Judging, Share, Week
from review_queue.pace import Quantile
from tests import factories
from tests.browser import filling
from tests.review_queue.acting import take
from tests.review_queue.known import say
from tests.ui.conftest import Screen
from tests.ui.test_screens import button, html

SOME, MANY, NONE = Share(4, 9), Share(7, 12), Share(0, 0)


def figures(**changed: object) -> Figures:
    whole = {
        "person": "ann <b>",
        "gold": 23,
        "caught": MANY,
        "wrong": Both(Share(5, 12), Share(6, 12)),
        "right": Both(SOME, SOME),
        "correct": Both(Share(15, 23), Share(16, 23)),
        "to_wrong": NONE,
        "to_right": SOME,
        "timed": (12, 12),
        "before": Quantile(4.0, 3.0, 6.5),
        "after": Quantile(1.25, None, None),
        "seen": Quantile(None, None, None),
        "weeks": (Week(clock.now().date(), MANY), Week(clock.now().date() + timedelta(days=7), SOME)),
    }
    return Figures(**{**whole, **changed})  # type: ignore[arg-type]


class Words(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_shares_have_their_interval_and_few_cases_are_no_figure() -> None:
    page = drawn.people(Judging(clock.now(), True, (figures(),)))
    words = Words(page).words
    assert "58 %" in words
    assert "7 of 12, 28 % to 85 %" in words
    assert words.count("too few: 9 cases") == 3
    assert "no cases yet" in words
    assert "44 %" not in words
    assert "ann <b>" in words
    assert "<b>ann" not in page
    assert tuple(each for each in words if each in ("4.0 s", "3.0 to 6.5", "no times yet")) == (
        "4.0 s",
        "3.0 to 6.5",
        "no times yet",
    )


def test_every_figure_says_its_method_and_source() -> None:
    told = drawn.how()
    for each in ("Clopper and Pearson 1934", "Schemmer et al. (2023)", "never twice", "fewer than 10"):
        assert each in told


def test_the_file_has_a_row_for_each_figure_and_runs_no_formula() -> None:
    lines = drawn.table(Judging(clock.now(), True, (figures(person="=ann"),))).csv().splitlines()
    assert lines[0] == "person,figure,cases,of,share,low,high,value"
    assert lines[1].startswith("'=ann,caught errors on known answers,7,12,0.58333")
    assert any("went over to a wrong prediction,0,0,,,," in line for line in lines)
    assert len(lines) == 1 + 9 + 2 + 3


def decided(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Actor, Actor]:
    """A project in which two people decided a case each, the day before."""
    held = filling.table(workspace, 6, False, automate={"at_least": "off"})
    both = factories.person(workspace.database, "ann"), factories.person(workspace.database, "lea", "lead")
    for actor in both:
        [say(workspace.database, actor, each, "pay") for each in take(workspace.database, held, actor)]
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + timedelta(days=1))
    return held.name, *both


def test_the_section_says_how_it_begins(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, False)
    words = " ".join(Words(html(screen("insights", section="People"))).words)
    assert "They begin on the day after the first decision" in words
    assert "review.gold.rate in policy.yaml" in words


def test_the_section_shows_whoever_decided(workspace: Workspace, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    decided(workspace, monkeypatch)
    page = html(screen("insights", section="People"))
    assert {"ann", "lea", "sees errors"} <= set(Words(page).words)
    assert "/csv/claims/judging?period=" in page


def test_the_file_tells_leads_of_all_and_others_of_themselves(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    name, ann, lea = decided(workspace, monkeypatch)
    told = {by.name: workspace.database.write(takeaway.take, name, "judging", None, None, None, by)[1] for by in (ann, lea)}
    assert {line.partition(",")[0] for line in told["lea"].splitlines()[1:]} == {"ann", "lea"}
    assert {line.partition(",")[0] for line in told["ann"].splitlines()[1:]} == {"ann"}
    with pytest.raises(NotFound, match="nearest is judging"):
        workspace.database.write(takeaway.take, name, "juding", None, None, None, ann)


def test_a_run_of_quick_accepts_brings_a_word_on_the_page(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 9, True, automate={"at_least": "off"}, review={"prompt": {"after": 5, "within": "1h"}})
    at = screen("review")
    said = []
    for _ in range(7):
        button(at, "accept-").click().run()
        said.append("accepted in a row" in html(at))
    assert said == [False] * 4 + [True] + [False] * 2
    assert not at.exception

"""The report: its figures against ones computed by hand, and a file that stands alone."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from app import known_answers
from app.report import groups, make, page
from app.report.records import Report
from app.worker.work import Jobs
from db import blobs
from db.engine import Database
from review_queue import acted, jobs, people, projects
from review_queue.acted import Acted
from review_queue.errors import Forbidden, Invalid
from review_queue.projects import Setting
from tests import factories

NASTY = "<script>alert(1)</script>"
NOW = datetime(2026, 11, 28, tzinfo=UTC)
VOID = ("meta", "br", "img", "input", "link", "hr")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "RESAMPLES", 20)


class Reader(HTMLParser):
    """Open elements, and everything that could ask somebody for something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asks: list[str] = []
        self.pictures = 0
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.pictures += ("role", "img") in attrs
        if tag not in VOID:
            self.open.append(tag)
        self.asks += [value for name, value in attrs if name in ("src", "href", "action", "srcset", "data") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def filled(database: Database, **evidence: Any) -> Setting:
    """20 cases act alone and are all checked, 3 of those of women and 1 of men's are wrong; 4 go to people."""
    policy = factories.policy(audit={"rate": 1.0}, evidence={"max_error": 0.5, "segments": {"big": "amount > 100"}, **evidence})
    held = factories.setting(database, factories.project(title=f"Claims {NASTY}"), policy)
    truth: dict[str, str] = {}
    for sex, wrong in (("f", 3), ("m", 1)):
        ids = [f"{sex}-{n}" for n in range(12)]
        factories.submit(database, held, [{**factories.raw(each), "groups": {"sex": sex}} for each in ids])
        factories.routed(database, held, {each: factories.says("pay", 0.95 if n < 10 else 0.6) for n, each in enumerate(ids)})
        truth |= {each: "deny" if n < wrong else "pay" for n, each in enumerate(ids)}
    players = [database.write(known_answers.player, "worker", name) for name in people.PLAYERS]
    known_answers.work(database, held, truth, players, 100)
    return database.read(projects.get, held.name)


def report(database: Database, **evidence: Any) -> Report:
    held = filled(database, **evidence)
    return make.made(database, held, 30)


def test_its_figures_are_those_computed_by_hand(database: Database) -> None:
    found = report(database)
    assert dict(found.routes) == {"auto": 20, "review": 4}
    assert (found.overall.alone, found.overall.checked, found.overall.wrong, found.overall.share) == (20, 20, 4, 0.2)
    assert [(cut.name, cut.wrong.wrong) for cut in found.labels] == [("pay", 4)]
    assert [(cut.name, cut.wrong.checked) for cut in found.segments] == [("big", 20)]
    (sex,) = found.groups
    assert {part.name: (part.routed, part.reviewed.part, part.reviewed.of, part.wrong.share) for part in sex.parts} == {
        "f": (12, 2, 12, 0.3),
        "m": (12, 2, 12, 0.1),
    }
    assert sex.between is not None
    assert sex.between.difference == pytest.approx(0.2)
    assert sex.between.ratio == pytest.approx(1 / 3)
    assert (found.played.part, found.played.of) == (28, 28)  # four disputes were settled
    assert (found.overridden.part, found.overridden.of) == (4, 24)
    assert (found.unsettled, found.unchecked, found.whole) == (0, 0, True)


def test_too_few_checks_are_unknown_and_nothing_is_compared(database: Database) -> None:
    held = filled(database, max_error=0.01)
    found = make.made(database, held, 30)
    assert found.overall.share is None
    (sex,) = found.groups
    assert sex.between is None
    drawn = make.drawn(found, held)
    assert drawn.count("unknown") >= 4
    assert "a share takes 400 checks" in drawn
    assert "the others went to people" in drawn
    assert "fair" not in drawn.lower()


def test_weights_are_those_of_fairlearn_by_hand() -> None:
    def case(n: int, sex: str, p: float, wrong: bool) -> Acted:
        return Acted(n, "auto", "pay", "", p, True, wrong, NOW, {"sex": sex})

    rows = [case(1, "f", 0.5, True), case(2, "f", 0.25, False), case(3, "m", 0.1, True), case(4, "m", 0.5, False)]
    rows.append(replace(rows[0], item_id=5, drawn=False, wrong=None))
    held = groups.frame(rows, "sex").by_group["error"]
    assert held["f"] == pytest.approx(2 / (2 + 4))
    assert held["m"] == pytest.approx(10 / (10 + 2))
    assert np.isclose(acted.wrong(rows[:2], 2).share or 0, 2 / 6)


def test_values_with_few_cases_are_not_shown(database: Database) -> None:
    held = filled(database)
    factories.submit(database, held, [{**factories.raw(f"x-{n}"), "groups": {"sex": "x"}} for n in range(groups.FEW - 1)])
    factories.routed(database, held, {f"x-{n}": factories.says("pay", 0.6) for n in range(groups.FEW - 1)})
    (sex,) = make.made(database, held, 30).groups
    assert ({part.name for part in sex.parts}, sex.left_out) == ({"f", "m"}, 1)


def test_the_file_stands_alone(database: Database) -> None:
    held = filled(database)
    drawn = make.drawn(make.made(database, held, 30), held)
    reader = Reader()
    reader.feed(drawn)
    assert reader.open == []
    assert reader.asks == []
    assert reader.tags["script"] == 0
    assert not re.search(r"(https?:)?//[a-z]", drawn.replace("http%3A%2F%2Fwww.w3.org", ""))
    assert not re.search(r"@import|url\((?!'data:)", drawn)
    assert NASTY not in drawn
    assert reader.pictures == drawn.count('class="so-behind"') == 2  # a table behind every picture
    for each in page.DOES_NOT_SAY:
        assert each.replace("'", "&#x27;") in drawn


def test_a_job_leaves_it_in_the_store(database: Database) -> None:
    held, lea = filled(database), factories.person(database, "lea", "lead")

    class Place:
        pass

    place = Place()
    place.database = database  # type: ignore[attr-defined]
    said: list[str] = []
    job = database.write(jobs.ask, held.id, "report", {"days": 7}, by=lea)
    runner = Jobs.__new__(Jobs)
    runner._workspace = place  # type: ignore[assignment]
    result = runner._report(held, job.args, lea, lambda share, step: said.append(step))
    kept = database.read(blobs.get, result["report"])
    assert kept is not None
    assert (kept[1], kept[0][:15]) == ("text/html", b"<!DOCTYPE html>")
    assert "comparing by sex" in said


def test_who_may_not_ask_and_what_is_no_period(database: Database) -> None:
    held, ann = factories.setting(database), factories.person(database, "ann")
    with pytest.raises(Forbidden, match="leads and up"):
        database.write(jobs.ask, held.id, "report", {}, by=ann)
    with pytest.raises(Invalid, match="1 to 1,100 days"):
        make.made(database, held, 0)


def test_a_project_before_its_first_case_has_a_report_too(database: Database) -> None:
    held = factories.setting(database)
    drawn = make.drawn(make.made(database, held, 90), held)
    assert "<b>0</b> of 0 claims acted alone" in drawn
    assert "unknown" in drawn

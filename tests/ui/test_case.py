"""What stands beside a value, a text and an image, and what helps through many fields."""

import re
from dataclasses import replace
from typing import Any

import pytest

from app.ui import sitting
from app.ui.draw import bars, case, chances, desk, marks, overlays, prediction, strips
from app.ui.draw.reasons import PLAIN, View
from contract.project import Project
from review_queue import clock, spreads
from review_queue.cases import Case, Predicted
from review_queue.explanations import Reason
from review_queue.spreads import Spread


def project(features: dict[str, Any], **changes: Any) -> Project:
    body: dict[str, Any] = {
        "project": "claims",
        "input": {"type": "tabular", "features": features},
        "labels": {"deny": {"key": "d", "guideline": "Nothing is <b>covered</b>."}, "pay": {"key": "y"}},
        "model": {"uri": "registry:claims@champion"},
        **changes,
    }
    return Project.model_validate(body)


def reason(body: dict[str, Any], **also: Any) -> Reason:
    return Reason(1, "hash", body["method"], "pay", body, **also)


def fields(html: str) -> list[str]:
    return re.findall(r'so-name">([^<]*)<|scope="row">([^<]*)<', html)


FEATURES = {
    "amount": {"type": "number", "unit": "EUR"},
    "region": {"type": "category"},
    "opened": {"type": "date"},
    "report": {"type": "boolean"},
    "story": {"type": "text"},
}


class TestStrips:
    @pytest.fixture
    def along(self) -> tuple[Project, Spread]:
        made = project(FEATURES)
        rows = [
            {
                "amount": float(n),
                "region": "north" if n < 97 else "south" if n < 1099 else "west",
                "opened": f"2026-01-{1 + n % 28:02}",
                "report": n % 4 == 0,
                "story": "x",
            }
            for n in range(1100)
        ]
        return made, spreads.spread(made, rows, whole=True)

    def said(self, along: tuple[Project, Spread], name: str, given: Any) -> str:
        made, spread = along
        return strips.strip(spread, name, made.input.features[name], given)

    @pytest.mark.parametrize(
        ("name", "given", "odd", "words"),
        [
            ("amount", 880.0, None, "above 80 % of the 1\u202f100 rows that the model learned from"),
            ("amount", 110.0, None, "below 90 % of the"),
            ("amount", 1099.5, "above all seen before", "above all, up to 1\u202f099\xa0EUR, of the"),
            ("amount", -1.0, "below all seen before", "below all, from 0\xa0EUR on, of the"),
            ("amount", 1098.5, "among the highest 1 %", "above 99 %"),
            ("amount", 2.0, "among the lowest 1 %", "below"),
            ("amount", None, "never missing else", "missing in 0 %"),
            ("region", "south", None, "like 91 %; none is more frequent"),
            ("region", "north", None, "like 9 %; the most frequent is south with 91 %"),
            ("region", "west", "rarer than 1 %", "like fewer than 1 %"),
            ("region", "<b>", "not seen before", "like none"),
            ("opened", "2026-03-01", "after all seen before", "later than all, up to 2026-01-28"),
            ("report", False, None, "like 75 %; none is more frequent"),
            ("report", True, None, "the most frequent is no with 75 %"),
        ],
    )
    def test_where_a_value_lies(self, along: tuple[Project, Spread], name: str, given: Any, odd: str | None, words: str) -> None:
        drawn = self.said(along, name, given)
        assert words in drawn.split('aria-label="')[1].split('"')[0]
        assert (re.findall(r'so-odd">([^<]*)<', drawn) or [None])[0] == odd

    def test_texts_and_what_is_unknown_have_none(self, along: tuple[Project, Spread]) -> None:
        assert self.said(along, "story", "x") == ""
        assert strips.strip(None, "amount", along[0].input.features["amount"], 3) == ""
        assert strips.strip(Spread(0, False, {}), "amount", along[0].input.features["amount"], 3) == ""

    def test_a_sample_is_called_one(self, along: tuple[Project, Spread]) -> None:
        made, spread = along
        few = Spread(500, False, spread.features)
        assert "of a sample of 500 rows" in strips.strip(few, "amount", made.input.features["amount"], 3.0)

    def test_a_strip_stays_within_its_ends_whatever_the_value(self, along: tuple[Project, Spread]) -> None:
        for given in (-1e300, 1e300, 5, 5.5):
            shares = [float(each) for each in re.findall(r"--\w+:([\d.]+)%", self.said(along, "amount", given))]
            assert len(shares) == 3
            assert all(0 <= each <= 100 for each in shares)

    def test_it_is_said_once_what_the_strips_mean(self, along: tuple[Project, Spread]) -> None:
        assert "against the 1\u202f100 rows that the model learned from" in strips.key(along[1])
        assert strips.key(None) == strips.key(Spread(3, False, {})) == ""

    def test_nothing_of_it_is_markup(self) -> None:
        made = project({"region": {"type": "category"}})
        spread = spreads.spread(made, [{"region": '"><script>'}], whole=True)
        drawn = strips.strip(spread, "region", made.input.features["region"], "<i>", words=True)
        assert "<script" not in drawn
        assert "<i>" not in drawn

    def test_it_stands_in_the_plain_table_and_beside_bars(self, along: tuple[Project, Spread]) -> None:
        made, spread = along
        given = {"amount": 3.0, "region": "north"}
        found = reason({"method": "shap.tree", "contributions": [{"feature": "amount", "contribution": 1.0}]})
        assert case.values(made, given, spread).count("so-strip") == 4
        assert bars.table(made, given, [found], View(spread=spread)).count("so-strip") == 4
        assert "so-strip" not in bars.table(made, given, [found], PLAIN)


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (0.0, "less than 1 in 100"), (0.004, "less than 1 in 100"), (0.006, "about 1 in 100"), (0.22, "about 1 in 5"),
        (1 / 3, "about 1 in 3"), (0.5, "about 1 in 2"), (0.64, "about 2 in 3"), (0.75, "about 3 in 4"),
        (0.9, "about 9 in 10"), (0.99, "about 99 in 100"), (0.996, "more than 99 in 100"), (1.0, "more than 99 in 100"),
    ],
)  # fmt: skip
def test_a_probability_is_a_plain_fraction(chance: float, said: str) -> None:
    assert chances.words(chance) == said


def test_a_fraction_is_never_far_from_what_it_stands_for() -> None:
    for n in range(5, 995):
        numerator, denominator = re.findall(r"\d+", chances.words(n / 1000))
        assert abs(int(numerator) / int(denominator) - n / 1000) <= 0.051


def test_a_label_without_a_probability_is_said_alone() -> None:
    assert prediction.sentence(Predicted("pay", None, {}, "1", "", True), str) == "pay"


MADE = project(
    {
        f"f{n:02}": {"type": "number", "title": f"Field {n}", **({"group": "Money" if n % 2 else "Person"} if n > 1 else {})}
        for n in range(14)
    }
)
GIVEN = {f"f{n:02}": n for n in range(14)}


def test_two_that_are_as_probable_are_said_together() -> None:
    said = Predicted("deny", None, {"deny": 0.51, "pay": 0.49}, "1", "")
    assert prediction.sentence(said, str.title) == "Deny or Pay, about 1 in 2 each"


class TestGuideline:
    MADE = project({"a": {"type": "number"}})

    def case(self, **changes: Any) -> Case:
        said = Predicted("deny", 0.8, {"deny": 0.8, "pay": 0.2}, "1", "")
        held = Case(1, 1, 1, "t", clock.now(), "x", {}, {}, False, None, False, (), said, ())
        return replace(held, **changes)

    def test_that_of_the_predicted_label_stands_beside_the_case(self) -> None:
        shown = self.case()
        drawn = desk.said(self.MADE, shown, sitting.turn_of(shown))
        assert "<b>deny:</b> Nothing is &lt;b&gt;covered&lt;/b&gt;." in drawn

    def test_that_of_the_own_answer_too_and_of_none_before_it(self) -> None:
        blind = self.case(blind=True, prediction=None)
        assert "Nothing is" not in desk.said(self.MADE, blind, sitting.turn_of(blind))
        told = Predicted("pay", 0.8, {"deny": 0.2, "pay": 0.8}, "1", "")
        given = self.case(blind=True, first_given=True, first_label="deny", prediction=told)
        assert desk.said(self.MADE, given, sitting.turn_of(given)).count("Nothing is") == 1
        assert desk.guideline(self.MADE, "pay") == ""
        assert desk.guideline(self.MADE, None) == ""


class TestManyFields:
    def weigh(self) -> Reason:
        parts = [{"feature": name, "contribution": float(n)} for n, name in enumerate(GIVEN)]
        return reason({"method": "shap.tree", "unit": "log-odds", "contributions": parts})

    def test_groups_stand_in_the_projects_order_after_what_has_none(self) -> None:
        drawn = case.values(MADE, GIVEN)
        assert re.findall(r"<summary><b>(\w+)</b> <small>(\d+ fields)", drawn) == [("Person", "6 fields"), ("Money", "6 fields")]
        assert [b for _, b in fields(drawn)][:4] == ["Field 0", "Field 1", "Field 2", "Field 4"]
        assert drawn.count("open data-fold=") == 2
        assert 'data-fold="claims Person"' in drawn

    def test_the_strongest_stand_before_the_groups_of_weaker_ones(self) -> None:
        drawn = bars.table(MADE, GIVEN, [self.weigh()])
        top, *rest = drawn.split("<details")
        assert [a for a, _ in fields(top)] == [f"Field {n}" for n in range(13, 5, -1)]
        assert [re.findall(r"<summary>(.*?)</summary>", each)[0] for each in rest] == [
            "2 weaker features", "<b>Person</b> 2 weaker features", "<b>Money</b> 2 weaker features",
        ]  # fmt: skip
        assert len(fields(drawn)) == 14

    def test_in_full_groups_hold_all_the_strongest_first_in_each(self) -> None:
        drawn = bars.table(MADE, GIVEN, [self.weigh()], View(full=True))
        *_, money = drawn.split("<details")
        assert [a for a, _ in fields(money)] == [f"Field {n}" for n in (13, 11, 9, 7, 5, 3)]
        assert drawn.count("<details") == 2

    def test_many_can_be_searched_and_few_need_not(self) -> None:
        for drawn in (case.values(MADE, {}), bars.table(MADE, {}, [self.weigh()]), bars.waiting(MADE, {})):
            assert drawn.count('data-act="search"') == 1
            assert drawn.count("data-field") == 14
        assert "search" not in case.values(project({"a": {"type": "number"}}), {})

    def test_each_part_has_its_heads_for_screen_readers(self) -> None:
        drawn = bars.table(MADE, GIVEN, [self.weigh()])
        assert drawn.count('role="table"') == drawn.count("so-head") == 4
        assert drawn.count("so-unseen") == 3


class TestMarks:
    def found(self, text: str, words: dict[str, float]) -> Reason:
        parts = [
            {"start": text.index(word), "end": text.index(word) + len(word), "text": word, "contribution": weight}
            for word, weight in words.items()
        ]
        return reason({"method": "lime.text", "unit": "probability", "contributions": parts})

    def test_marks_are_ranked_and_a_long_text_begins_at_the_strongest(self) -> None:
        text = "one two three four " + "and so on " * 80
        drawn = marks.words(text, [self.found(text, {"one": 0.1, "two": -0.5, "three": 0.3, "four": 0.01})])
        assert re.findall(r'data-rank="(\d)"[^>]*>(\w+)', drawn) == [("3", "one"), ("1", "two"), ("2", "three")]
        assert "3 marks, strongest first" in drawn
        assert "data-strongest" in drawn
        assert 'tabindex="0"' in drawn

    def test_late_marks_move_nothing(self) -> None:
        text = "one two " * 400
        found = self.found(text, {"one": 0.4, "two": 0.2})
        assert "data-strongest" in marks.words(text, [found], View(late=True, full=True))
        drawn = marks.words(text, [found], View(late=True))
        assert "data-strongest" not in drawn
        assert "so-strongest" not in drawn
        assert 'data-rank="1"' in drawn

    def test_a_short_text_has_no_buttons(self) -> None:
        drawn = marks.words("one two", [self.found("one two", {"one": 0.4, "two": 0.2})])
        assert "button" not in drawn
        assert "tabindex" not in drawn

    def test_what_is_listed_leads_to_its_mark(self) -> None:
        text = "one two " + "and so on " * 300
        drawn = marks.words(text, [self.found(text, {"one": -0.4, "two": 0.2})])
        assert re.findall(r'data-act="mark" data-to="(\d)"><bdi>(\w+)', drawn) == [("1", "one"), ("2", "two")]


class TestImages:
    def test_an_image_can_be_looked_into_and_reasons_taken_off(self) -> None:
        drawn = overlays.waiting("data:image/png;base64,AA", pixels=True)
        assert drawn.count("so-lens") == 3
        assert [act in drawn for act in ("zoom-in", "zoom-out", "overlay")] == [True, True, True]
        assert "overlay" not in overlays.plain("data:image/png;base64,AA", "the case", pixels=True)

    def test_one_that_is_gone_is_said(self) -> None:
        drawn = overlays.plain(None, "the case", pixels=False)
        assert "no longer in the store" in drawn
        assert "zoom-in" not in drawn


class TestKeys:
    def keys(self, labels: dict[str, Any], **moved: str) -> str:
        from app.ui.keys import keymap

        made = project({"a": {"type": "number"}}, labels=labels)
        return desk.case_keys(made, keymap(made, moved))

    def test_within_a_case_each_has_one_key(self) -> None:
        drawn = self.keys({"x": {}, "y": {}})
        for pair in ("o=overlay", "%2F=search", "%2B=zoom-in", "-=zoom-out", "n=mark-on", "N=mark-back"):
            assert pair in drawn

    def test_a_label_or_an_act_that_has_n_keeps_it(self) -> None:
        assert "mark-on" not in self.keys({"no": {"key": "n"}, "yes": {"key": "o"}})
        assert "overlay" not in self.keys({"no": {"key": "n"}, "yes": {"key": "o"}})
        assert "mark-on" not in self.keys({"x": {}, "y": {}}, overlay="n")

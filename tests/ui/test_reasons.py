"""Reasons as they are drawn: units, doubts, what stands in place of what, similar cases, quality; and what a turn remembers."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.similar import Near, Neighbourhood
from app.ui import keys, sitting
from app.ui.draw import asked as asked_html
from app.ui.draw import bars, desk, marks, overlays, quality, similar
from app.ui.draw import reasons as reasons_html
from app.ui.draw.reasons import View
from app.workspace import Workspace
from contract.project import Project
from review_queue import cases, people
from review_queue.explanations import Asked, Reason
from review_queue.reason_quality import Gain, Quality
from tests import factories
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import OFF, button, html, stored

DOUBT = "other random draws name other reasons (overlap 0.40, at least 0.6 is asked)"


def project() -> Project:
    features = {"age": {"type": "number", "title": "Age"}, "place": {"type": "category"}, "amount": {"type": "number"}}
    return factories.project(
        input={"type": "tabular", "features": features}, labels={"pay": {"title": "Pay it"}, "deny": {}, "ask": {}}
    )


def reason(method: str, weights: dict[str, float], label: str = "pay", **more: Any) -> Reason:
    parts = [{"feature": name, "value": 1, "contribution": weight} for name, weight in weights.items()]
    own = {name: more.pop(name) for name in ("requested", "stability") if name in more}
    body = {"method": method, "unit": "log-odds", "base": -0.25, "contributions": parts, "params": {}, "quality": {}, **more}
    return Reason(1, "h", method, label, body, **own)


FAILED = {
    "method": "lime.tabular",
    "unit": "probability",
    "base": None,
    "contributions": [],
    "quality": {},
    "problem": "It <cannot>.",
}
WEIGHTS = {"age": 0.1, "place": -0.5, "amount": 2.0}


def order(drawn: str) -> list[str]:
    at = {name: drawn.index(f">{title}<") for name, title in (("age", "Age"), ("place", "place"), ("amount", "amount"))}
    return sorted(at, key=at.__getitem__)


def test_an_unstable_method_takes_no_room_and_ranks_nothing() -> None:
    given = {"age": 41, "place": "north", "amount": 3}
    firm, loose = reason("shap.tree", WEIGHTS), reason("lime.tabular", {"age": 9.0, "place": 0.1, "amount": 0.1}, doubt=DOUBT)
    table, _, behind = bars.table(project(), given, [firm, loose]).partition("<details")
    assert order(table) == ["amount", "place", "age"]
    assert table.count("<i ") == 3
    assert "so-m1" in table
    assert "LIME" not in table
    assert "SHAP (trees) <small>log-odds</small>" in table
    assert f"LIME is unstable here:</b> {DOUBT}." in behind
    assert order(behind)[0] == "age"


def test_an_unstable_method_keeps_its_room_where_it_came_late() -> None:
    firm, loose = reason("shap.tree", WEIGHTS), reason("lime.tabular", {"age": 9.0}, doubt=DOUBT)
    table, _, behind = bars.table(project(), {}, [firm, loose], View(late=True)).partition("<details")
    assert "so-m2" in table
    assert table.count("so-none") == 3
    assert "LIME <small>unstable</small>" in table
    assert order(table) == ["age", "place", "amount"]
    assert order(behind)[0] == "age"


def test_where_all_is_unstable_the_features_keep_the_projects_order() -> None:
    drawn = bars.table(project(), {}, [reason("shap.tree", WEIGHTS, stability=0.4)])
    table, _, behind = drawn.partition("<details")
    assert order(table) == ["age", "place", "amount"]
    assert "<i " not in table
    assert behind.count("<i ") == 3


def test_late_reasons_keep_the_order_until_they_are_opened() -> None:
    found = [reason("shap.tree", WEIGHTS)]
    assert order(bars.table(project(), {}, found, View(late=True))) == ["age", "place", "amount"]
    assert order(bars.table(project(), {}, found, View(late=True, full=True))) == ["amount", "place", "age"]


def test_the_range_that_lime_counts_a_number_to_stands_beside_it_in_full_alone() -> None:
    parts = [
        {"feature": "age", "value": 41, "contribution": 0.2, "rule": "33 < age ≤ 45"},
        {"feature": "amount", "value": 9, "contribution": 0.1, "rule": "amount > 8"},
        {"feature": "place", "value": "north", "contribution": 0.1, "rule": "place = north"},
    ]
    found = [reason("lime.tabular", {}, contributions=parts)]
    given = {"age": 41, "amount": 9, "place": "north"}
    full = bars.table(project(), given, found, View(full=True))
    assert ">(over 33, up to 45)</small>" in full
    assert ">(over 8)</small>" in full
    assert full.count("so-rule") == 2
    assert "so-rule" not in bars.table(project(), given, found)


def test_the_small_print_says_the_unit_always_and_the_quality_in_full() -> None:
    found = reason("shap.permutation", WEIGHTS, quality={"additivity_gap": 3e-12, "relative_gap": 0.0007}, stability=0.9)
    short, full = (reasons_html.small_print([found], {"pay": "Pay <it>"}.__getitem__, full=each) for each in (False, True))
    assert "log-odds of Pay &lt;it&gt;, starting from −0.25" in short
    assert "adds up" not in short
    assert "adds up to the model's answer · misses 0.1 % of what it shares out · same first five" in full


@pytest.mark.parametrize(("missed", "said"), [(0.09, "missed by 9 %"), (None, "gave nothing")])
def test_what_stands_in_place_of_another_method_says_so(missed: float | None, said: str) -> None:
    params = {"instead_of": "shap.gradient", "missed_by": missed}
    drawn = reasons_html.small_print([reason("shap.permutation", WEIGHTS, params=params)], str, full=False)
    assert f"SHAP (gradients) {said}, so this stands in its place" in drawn


def test_the_runner_up_stands_beside_the_predicted_label() -> None:
    predicted, other = reason("shap.tree", WEIGHTS), reason("shap.tree", {"age": 1.0}, "deny", requested=True)
    drawn = asked_html.section(project(), {}, other, predicted, (None, False))
    assert "Why not deny?" in drawn
    assert "<b>for Pay it</b> <small>SHAP (trees)" in drawn
    assert drawn.index("for Pay it") < drawn.index("for deny")
    alone = asked_html.section(project(), {}, reason("lime.tabular", WEIGHTS), None, (None, False))
    assert "LIME for Pay it</h3>" in alone
    failed = asked_html.section(project(), {}, reason("lime.tabular", {}, problem="No <number>."), None, (None, False))
    assert "No &lt;number&gt;." in failed
    assert "so-bars" not in failed


def test_what_was_asked_for_says_how_it_stands() -> None:
    asks = [
        Asked(1, "lime.tabular", "pay", {"samples": 10_000}, "waiting"),
        Asked(2, "shap.deep", "pay", {}, "failed", problem="DeepLIFT knows no <layer>."),
        Asked(3, "shap.tree", "pay", {}, "done", 7),
    ]
    drawn = asked_html.states(asks, str)
    assert "<b>LIME</b> for pay, 10\u202f000 samples is being made" in drawn
    assert "DeepLIFT knows no &lt;layer&gt;." in drawn
    assert "trees" not in drawn


def test_a_long_text_lists_its_strongest_parts_first() -> None:
    line = "word " * 700
    parts = [{"start": 5 * n, "end": 5 * n + 4, "text": f"w<{n}>", "contribution": float(n - 5)} for n in range(11)]
    body = {"method": "shap.partition", "unit": "log-odds", "contributions": parts}
    drawn = marks.words(line, [Reason(1, "h", "shap.partition", "pay", body)])
    listed = drawn[: drawn.index("so-marked")]
    assert listed.count("<li>") == 5
    assert listed.index("w&lt;0&gt;") < listed.index("w&lt;1&gt;")
    found = [Reason(1, "h", "shap.partition", "pay", body)]
    assert "so-strongest" not in marks.words(line, found, View(late=True))
    assert "so-strongest" in marks.words(line, found, View(late=True, full=True))
    assert "so-strongest" not in marks.words("word " * 50, [Reason(1, "h", "shap.partition", "pay", body)])


def test_an_unstable_text_is_plain_and_an_unstable_picture_has_no_colour() -> None:
    body = {"method": "lime.text", "contributions": [{"start": 0, "end": 4, "text": "free", "contribution": 1.0}], "doubt": DOUBT}
    text, _, behind = marks.words("free now", [Reason(1, "h", "lime.text", "spam", body)]).partition("<details")
    assert "<mark" not in text
    assert "free now" in text
    assert "<mark" in behind
    body = {**filling.segments("lime.image", random.Random(1)), "doubt": DOUBT}
    picture, _, behind = overlays.segments("data:x", [Reason(1, "h", "lime.image", "7", body)], pixels=True).partition("<details")
    assert "so-over" not in picture
    assert "so-over" in behind


def test_while_reasons_are_made_their_place_is_kept() -> None:
    assert bars.waiting(project(), {"age": 1}).count("so-bar so-none") == 6
    assert "free &lt;now&gt;" in marks.waiting("free <now>")
    assert overlays.waiting("data:x", pixels=True).count("<figure") == 3


def near(name: str, decided: str | None, predicted: str | None = "pay") -> Near:
    return Near(1, name, 0.931, predicted, decided, datetime(2026, 11, 27, tzinfo=UTC))


def test_similar_cases_say_what_was_decided_and_how_often_against_the_model() -> None:
    answers = (("deny", 12), ("pay", 7), (None, 1))
    cases = (near("a/b&c", "deny"), near("<b>", "pay"), near("c", None, None))
    found = Neighbourhood("the <last> layer", cases, 20, 3, answers)
    given = {1: {"age": 41, "amount": 12.5, "place": None}}
    drawn = similar.panel(project(), found, given, ["amount", "place"], lambda sha: None)
    assert "<b>12</b> deny, <b>7</b> Pay it, <b>1</b> no label fits. " in drawn
    assert "Of the 20 nearest that people decided, <b>3</b> went against the model." in drawn
    assert "<b>deny</b> <small>the model said Pay it</small>" in drawn
    assert "<b>Pay it</b> <small>as the model said</small>" in drawn
    assert "no label fits" in drawn
    assert drawn.count('class="so-against"') == 1
    assert 'href="find?project=claims&amp;id=a%2Fb%26c"' in drawn
    assert "&lt;b&gt;" in drawn
    assert "near in the &lt;last&gt; layer" in drawn
    assert "amount <bdi>12.5</bdi> · place <bdi>not given</bdi>" in drawn
    assert "Age" not in drawn


def test_the_features_that_weigh_most_stand_beside_similar_cases() -> None:
    assert bars.leading(project(), [reason("lime.tabular", {"age": 9.0}, doubt=DOUBT), reason("shap.tree", WEIGHTS)], 2) == [
        "amount",
        "place",
    ]
    assert bars.leading(project(), [], 2) == ["age", "place"]


def test_quality_is_told_with_what_it_is_a_share_of() -> None:
    found = [
        Quality("lime.tabular", 150, 10, 35, 0.526, 0.0, 0.02, 30, 0.847, Gain(0.21, 0.03, 0.15, 0.211), 2e-9),
        Quality("shap.tree", 150, 0, 0, None, 0.031, 0.004, 12, 1.0, Gain(0.1, 0.08, -0.02, 0.06)),
        Quality("shap.linear", 3, 3, 0, None, 0.0, 0.004),
    ]
    lime, tree, linear = quality.rows(4, found)
    assert lime[1:8] == (
        "LIME",
        "150 <small>10 without result</small>",
        "25 % <small>35 of 140</small>",
        "0.53",
        "nothing",
        "0.85 <small>of 30</small>",
        "21 points, by chance 3 <small>15 to 21 further, of 30</small>",
    )
    assert tree[4:6] == ("–", "3.1 %")
    assert "so-late" in tree[7]
    assert "−2 to 6 further" in tree[7]
    assert quality.rows(4, [Quality("lime.text", 1, 0, 0, 0.9, 0.0, 0.1)])[0][5] == "–"
    assert quality.rows(4, [Quality("lime.text", 1, 0, 0, 0.9, 0.0, 0.1, apart=0.021)])[0][5] == "2.1 %"
    assert linear[3] == linear[6] == linear[7] == "–"
    assert len(quality.HEAD) == len(lime) == len(tree)


def test_a_turn_remembers_all_that_was_on_the_page(workspace: Workspace) -> None:
    setting = filling.table(workspace, 1, True, **OFF)
    me = workspace.database.write(people.local_actor, "me", "desk")
    (case,) = workspace.database.write(cases.take, setting, me, "s", 1)
    more = replace(case.explanations[0], id=99, hash="more", requested=True)
    asked = replace(case, explanations=(*case.explanations, more))
    turn = sitting.turn_of(replace(case, explanations=()))
    assert (turn.shown, turn.opened, turn.late) == ((), False, True)
    turn = sitting.kept(turn, asked)
    assert (len(turn.shown or ()), turn.opened, turn.late) == (2, False, True)
    turn = sitting.kept(turn, asked, full=True)
    assert (turn.shown or ())[2:] == ("99:more",)
    closed = sitting.kept(turn, case)
    assert (closed.shown, closed.opened, closed.key) == (turn.shown, True, turn.key)
    assert sitting.said_of(closed, "accept", None, None, None).reasons_opened is True
    bare = sitting.turn_of(replace(case, explanations=()), full=True)
    assert sitting.said_of(bare, "accept", None, None, None).reasons_opened is None


def test_the_keys_of_why_give_way_to_labels() -> None:
    taken = factories.project(labels={"yes": {"key": "y"}, "no": {"key": "n"}})
    held = keys.keymap(taken, {})
    assert (held["runner_up"], held["why"]) == (None, "w")
    drawn = desk.keys_help(taken, held)
    assert "why not the runner-up" not in drawn
    assert "<kbd>w</kbd>" in drawn


def test_another_method_is_asked_for_and_a_failed_ask_is_told(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, True, **OFF)
    at = screen("review")
    button(at, "why-").click().run()
    chosen = {each.label: each for each in at.selectbox}
    assert "SHAP (exact)" in chosen["Another method"].options
    at = chosen["Another method"].select("lime.tabular").run()
    at = next(each for each in at.selectbox if each.label == "Samples").select(10_000).run()
    button(at, "ask-").click().run()
    assert not at.exception
    assert "10\u202f000 samples is being made" in html(at)
    filling.answer(workspace, lambda _: FAILED)
    assert "It &lt;cannot&gt;." in html(at.run())


def test_a_blind_case_has_no_why(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 2, True, review={"blind_first": "all"}, **OFF)
    at = screen("review")
    assert not [each for each in at.button if (each.key or "").startswith("why-")]
    at.session_state["why.keep"] = True
    at.run()
    assert "so-bar" not in html(at)
    assert "Similar" not in html(at)
    button(at, "label-pay").click().run()
    assert "Similar" not in html(at)
    assert "so-bar" in html(at)
    assert stored(workspace)[0].reasons_shown is None


def test_the_record_says_which_reasons_were_seen(workspace: Workspace, screen: Screen) -> None:
    filling.table(workspace, 1, True, **OFF)
    at = screen("review")
    button(at, "why-").click().run()
    button(at, "accept-").click().run()
    found = screen("find")
    found.text_input(key="find-id").set_value("M-1000").run()
    assert "saw the reasons by SHAP (permutations), LIME, in full" in html(found)

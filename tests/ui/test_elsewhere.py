"""Predictions and reasons that a producer sent, on every screen: whose they are, and no more than was sent."""

from typing import Any

from app.ui.draw import bars, marks, prediction
from app.ui.draw import reasons as reasons_html
from app.workspace import Workspace
from review_queue.cases import Predicted
from review_queue.explanations import Reason
from tests import elsewhere, factories
from tests.ui.conftest import Screen
from tests.ui.test_screens import button, html, stored


def reason(body: dict[str, Any]) -> Reason:
    return Reason(1, "hash", body["method"], "pay", body)


SENT = {
    "method": "producer",
    "unit": "log-odds",
    "base": -0.25,
    "params": {"method": "their <TreeSHAP>", "model_version": "2026-11"},
    "quality": {},
    "contributions": [{"feature": "amount", "value": 120.5, "contribution": 1.5}],
}


def test_reasons_of_a_producer_say_whose_they_are_and_claim_no_quality() -> None:
    drawn = reasons_html.small_print([reason(SENT)], str)
    assert "<b>their &lt;TreeSHAP&gt;</b> sent by the producer, version 2026-11 · log-odds of pay" in drawn
    assert "starting from −0.25" in drawn or "starting from -0.25" in drawn
    assert "not checked here" in drawn
    assert not [word for word in ("R²", "gap", "fits") if word in drawn]
    named = "their &lt;TreeSHAP&gt; <small>log-odds</small></div>"
    assert named in bars.table(factories.project(), {"amount": 120.5}, [reason(SENT)])


def test_reasons_without_name_and_unit_say_no_more_than_was_sent() -> None:
    bare = {**SENT, "unit": None, "base": None, "params": {"method": None, "model_version": "v<1>"}}
    drawn = reasons_html.small_print([reason(bare)], str)
    assert "<b>the producer</b> sent by the producer, version v&lt;1&gt; · in a unit that was not said, for pay · not" in drawn
    words = {**bare, "contributions": [{"start": 0, "end": 4, "text": "free", "contribution": 1.0}]}
    assert "<h3>the producer</h3>" in marks.words("free now", [reason(words)])


def test_a_prediction_from_elsewhere_names_its_version_and_why_it_is_here() -> None:
    said = Predicted("pay", 0.64, {"pay": 0.64, "deny": 0.36}, "v<1>", "made by version v<1>, which nobody signed yet", True)
    drawn = prediction.heading(said, str)
    assert "Sent by the producer, version v&lt;1&gt;. Here because: made by version v&lt;1&gt;, which nobody signed yet." in drawn
    assert "Sent by" not in prediction.heading(Predicted("pay", 0.64, {"pay": 0.64}, "3", "below"), str)
    none = prediction.heading(Predicted(None, None, {}, "v", "not scored: it came without a prediction", True), str)
    assert "Not scored: it came without a prediction" in none


WHY = {"method": "TreeSHAP", "unit": "log-odds", "contributions": [{"feature": "amount", "contribution": 1.5}]}


def test_predictions_from_elsewhere_are_shown_as_such(workspace: Workspace, screen: Screen) -> None:
    held = elsewhere.setting(workspace.database)
    factories.submit(workspace.database, held, [elsewhere.sent("1", 0.6, reasons=WHY)])
    elsewhere.route(workspace.database, held)
    drawn = html(screen("review"))
    assert "Sent by the producer, version 2026-11" in drawn
    assert "<b>TreeSHAP</b> sent by the producer, version 2026-11" in drawn
    assert "Reasons are being made" not in drawn


def test_where_no_reasons_were_sent_the_desk_says_so(workspace: Workspace, screen: Screen) -> None:
    held = elsewhere.setting(workspace.database)
    factories.submit(workspace.database, held, [elsewhere.sent("1", 0.6, "2026-12")])
    elsewhere.route(workspace.database, held)
    at = screen("review")
    drawn = html(at)
    assert "The producer sent no reasons with this prediction (version 2026-12)." in drawn
    assert "Reasons are being made" not in drawn
    assert "which nobody signed yet" in drawn
    button(at, "accept-").click().run()
    assert [row.verdict for row in stored(workspace)] == ["accept"]


def test_what_came_without_a_prediction_says_so_and_takes_a_label(workspace: Workspace, screen: Screen) -> None:
    held = elsewhere.setting(workspace.database)
    factories.submit(workspace.database, held, [factories.raw("1")])
    elsewhere.route(workspace.database, held)
    assert "Not scored: it came without a prediction" in html(screen("review"))


def test_the_pages_know_versions_from_elsewhere_by_their_names(workspace: Workspace, screen: Screen) -> None:
    held = elsewhere.setting(workspace.database, signed=False)
    assert "No version acts yet" in html(screen("review"))
    assert "The first comes with the first prediction" in html(screen("models"))
    factories.submit(workspace.database, held, [elsewhere.sent("1", 0.97, reasons=WHY), elsewhere.sent("2", 0.6, "2026-12")])
    elsewhere.promote(workspace.database, held, 1)
    elsewhere.route(workspace.database, held)
    at = screen("models")
    assert "<b>2</b> <bdi>2026-12</bdi>" in html(at)
    assert "elsewhere" in html(at)
    assert not [each for each in at.button if each.key == "models-compare"]
    button(at, "models-propose-2").click().run()
    assert "Version 2 acts from the next batch on. Sign it?" in html(at)
    button(at, "models-propose-2-yes").click().run()
    assert "Version 2 is signed by you" in html(at)
    found = opened(screen, "1")
    assert "model version 2026-11: pay 97.0 %" in found
    assert "<b>TreeSHAP</b> sent by the producer, version 2026-11" in found
    assert "acted alone" in found
    assert not screen("insights").exception


def opened(screen: Screen, external_id: str) -> str:
    """What the page Find shows of an item."""
    at = screen("find")
    at.text_input[0].input(external_id).run()
    return html(at)

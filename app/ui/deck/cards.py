"""A case as the deck holds it: data, and trees of what is drawn. A blind case holds nothing of the prediction."""

from collections.abc import Mapping
from typing import Any

from app.ui import answers, further, resources, sitting
from app.ui.deck.trees import Node, tree
from app.ui.draw import case as case_html
from app.ui.draw import desk
from app.ui.draw.reasons import View
from app.ui.sitting import Seat, Turn
from review_queue.cases import Case

Keys = Mapping[str, str | None]


def card(
    seat: Seat, case: Case, keys: dict[str, str | None], *, flagged: bool, full: bool = False, late: bool = False
) -> dict[str, Any]:
    """One held case. `full`: opened in full, where there is a why to show. `late`: its reasons came while it was on the page."""
    turn = sitting.turn_of(case, full=full)
    opened = full and further.offered(case)
    project = seat.setting.project
    shown = answers.buttons(project, case.prediction)
    return {
        "name": case.external_id,
        "task": case.task_id,
        "item": case.item_id,
        "token": case.token,
        "blind": turn.blind,
        "given": case.first_given,
        "first": case.first_label,
        "predicted": turn.predicted,
        "buttons": [each.label for each in shown],
        "button_keys": {each.label: each.key for each in shown if each.key},
        "flagged": flagged,
        "shown": turn.shown,
        "opened": turn.opened,
        "awaited": sitting.awaited(case),
        "why": further.offered(case),
        "full": opened,
        "case": _case(seat, case, keys, View(opened, late, resources.spread(seat.setting))),
        "said": _said(seat, case, turn, keys),
    }


def _case(seat: Seat, case: Case, keys: Keys, view: View) -> list[Node]:
    project = seat.setting.project
    above = desk.title(case, seat.setting) + desk.about(case) + desk.past(project, case)
    shown = case_html.shown(project, case.show, resources.picture_uri, case.item_id)
    return tree(above + desk.body(project, case, resources.picture, view) + shown + desk.case_keys(project, keys))


def _said(seat: Seat, case: Case, turn: Turn, keys: Keys) -> list[Node]:
    """What the model said, or that the person's own answer comes first."""
    return tree(desk.said(seat.setting.project, case, turn) + desk.dead(keys, case, turn))

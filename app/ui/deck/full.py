"""Why, in full, as data: what was asked for, similar cases, and what may be asked for more."""

from typing import Any

from app.ui import resources, sitting
from app.ui.deck.trees import tree
from app.ui.draw import asked as asked_html
from app.ui.draw import bars, desk, prediction
from app.ui.draw import reasons as reasons_html
from app.ui.draw import similar as similar_html
from app.ui.formats import number
from app.ui.sitting import Reasons, Seat
from contract.reasons import METHODS, suiting
from db.engine import Database
from review_queue import embeddings
from review_queue.cases import Case
from review_queue.explanations import Reason

NUMBERS = (2_000, 10_000, 50_000)
"""Samples, or evaluations, that may be asked for instead of the usual number."""


def offered(case: Case) -> bool:
    """Whether there is a why to show: an answer of the model that may be seen."""
    return case.prediction is not None and case.prediction.label is not None


def below(database: Database, seat: Seat, case: Case) -> dict[str, Any]:
    """What stands below a case that is open in full; `waits`: something that was asked for is still being made."""
    stand = _stand(database, case)
    project = seat.setting.project
    drawn = asked_html.states(stand.asked, project.title_of) + _asked(seat, case) + _similar(database, seat, case)
    waits = any(each.state == "waiting" for each in stand.asked)
    return {"below": tree(drawn), "waits": waits, "runner_up": _runner_up(seat, case), "asks": _asks(seat, case)}


def main(case: Case) -> Reason | None:
    """The reasons that the runner-up is asked beside: the first that may be relied on, else the first."""
    found = reasons_html.usable(reasons_html.ahead(case.explanations))
    found = [reason for reason in found if reason.method in METHODS]
    return next((reason for reason in found if not reason.doubt), next(iter(found), None))


def beside(case: Case, reason: Reason) -> Reason | None:
    """The same method for the predicted label, for what was asked of another label."""
    if case.prediction is None or reason.label == case.prediction.label:
        return None
    same = (each for each in reasons_html.usable(case.explanations) if each.method == reason.method)
    return next((each for each in same if each.label == case.prediction.label), None)


def _stand(database: Database, case: Case) -> Reasons:
    if case.prediction is None or case.prediction.external:
        return Reasons((), ())
    return database.read(sitting.reasons, case)


def _asked(seat: Seat, case: Case) -> str:
    project = seat.setting.project
    picture = desk.shown_picture(project, case.input, resources.picture) if project.input.type == "image" else (None, False)
    wanted = reversed([reason for reason in case.explanations if reason.requested])
    return "".join(asked_html.section(project, case.input, each, beside(case, each), picture) for each in wanted)


def _similar(database: Database, seat: Seat, case: Case) -> str:
    """The nearest cases that people decided. Not for a case that is to be judged blind."""
    found = None if case.blind else resources.similar().near(case.item_id, case.model_id)
    if found is None or not found.cases:
        return ""
    project = seat.setting.project
    given = database.read(embeddings.inputs, seat.setting, [each.item_id for each in found.cases])
    leading = bars.leading(project, reasons_html.ahead(case.explanations)) if project.input.type == "tabular" else []
    return similar_html.panel(project, found, given, leading, resources.thumbnail)


def _runner_up(seat: Seat, case: Case) -> dict[str, str] | None:
    """Why not the second label? Of two labels, what speaks against the one speaks for the other: nothing is left to ask."""
    held, ranked = main(case), prediction.ranked(case.prediction) if case.prediction else []
    if held is None or len(ranked) < 3 or case.prediction is None:
        return None
    other = next(label for label, _ in ranked if label != case.prediction.label)
    return {"method": held.method, "label": other, "title": seat.setting.project.title_of(other)}


def _asks(seat: Seat, case: Case) -> dict[str, Any] | None:
    """Methods, labels and numbers to choose from; None where nothing here can be asked."""
    if case.prediction is None or not case.explanations or any(each.method not in METHODS for each in case.explanations):
        return None
    project = seat.setting.project
    return {
        "methods": [_method(name) for name in suiting(project.input.type)],
        "labels": [[label, project.title_of(label)] for label, _ in prediction.ranked(case.prediction)],
        "numbers": [[each, number(each)] for each in NUMBERS],
    }


def _method(name: str) -> dict[str, str | None]:
    counted = next((each for each in ("samples", "evaluations") if each in METHODS[name].asks), None)
    return {"name": name, "title": METHODS[name].title, "count": counted}

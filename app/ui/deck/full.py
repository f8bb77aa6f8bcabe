"""Why, in full, as data: what was asked for, similar cases, and what may be asked for more."""

from typing import Any

from app.ui import further, sitting
from app.ui.deck.trees import tree
from app.ui.draw import asked as asked_html
from app.ui.draw import prediction
from app.ui.formats import number
from app.ui.sitting import Reasons, Seat
from contract.reasons import METHODS, suiting
from db.engine import Database
from review_queue.cases import Case


def below(database: Database, seat: Seat, case: Case) -> dict[str, Any]:
    """What stands below a case that is open in full; `waits`: something that was asked for is still being made."""
    stand, setting = _stand(database, case), seat.setting
    said = asked_html.states(stand.asked, setting.project.title_of)
    drawn = said + further.asked(setting, case) + further.similar(database, setting, case)
    waits = any(each.state == "waiting" for each in stand.asked)
    return {"below": tree(drawn), "waits": waits, "runner_up": _runner_up(seat, case), "asks": _asks(seat, case)}


def _stand(database: Database, case: Case) -> Reasons:
    if case.prediction is None or case.prediction.external:
        return Reasons((), ())
    return database.read(sitting.reasons, case)


def _runner_up(seat: Seat, case: Case) -> dict[str, str] | None:
    found = further.runner_up(case)
    if found is None:
        return None
    method, label = found
    return {"method": method, "label": label, "title": seat.setting.project.title_of(label)}


def _asks(seat: Seat, case: Case) -> dict[str, Any] | None:
    """Methods, labels and numbers to choose from; None where nothing here can be asked."""
    if case.prediction is None or not further.asks(case):
        return None
    project = seat.setting.project
    return {
        "methods": [_method(name) for name in suiting(project.input.type)],
        "labels": [[label, project.title_of(label)] for label, _ in prediction.ranked(case.prediction)],
        "numbers": [[each, number(each)] for each in further.NUMBERS],
    }


def _method(name: str) -> dict[str, str | None]:
    return {"name": name, "title": METHODS[name].title, "count": further.counted(name)}

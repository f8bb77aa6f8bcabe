"""What else may be known about why a model says so, for page and deck alike: HTML, and what may be asked. Knows no screen."""

from app.ui import resources
from app.ui.draw import asked as asked_html
from app.ui.draw import bars, desk, prediction
from app.ui.draw import reasons as reasons_html
from app.ui.draw import similar as similar_html
from contract.reasons import METHODS
from db.engine import Database
from review_queue import embeddings
from review_queue.cases import Case
from review_queue.explanations import Reason
from review_queue.projects import Setting

NUMBERS = (2_000, 10_000, 50_000)
"""Samples, or evaluations, that may be asked for instead of the usual number."""


def offered(case: Case) -> bool:
    """Whether there is a why to show: an answer of the model that may be seen."""
    return case.prediction is not None and case.prediction.label is not None


def asks(case: Case) -> bool:
    """Whether more may be asked for: not where a producer sent the reasons."""
    return bool(case.explanations) and all(reason.method in METHODS for reason in case.explanations)


def runner_up(case: Case) -> tuple[str, str] | None:
    """Method and label of "why not the second". Of two labels, what speaks against the one speaks for the other: none then."""
    main, ranked = _main(case), prediction.ranked(case.prediction) if case.prediction else []
    if main is None or len(ranked) < 3 or case.prediction is None:
        return None
    return main.method, next(label for label, _ in ranked if label != case.prediction.label)


def counted(method: str) -> str | None:
    """What a method may be given another number of."""
    return next((each for each in ("samples", "evaluations") if each in METHODS[method].asks), None)


def asked(setting: Setting, case: Case) -> str:
    """What somebody asked for and is there, the latest first."""
    project = setting.project
    picture = desk.shown_picture(project, case.input, resources.picture) if project.input.type == "image" else (None, False)
    wanted = reversed([reason for reason in case.explanations if reason.requested])
    return "".join(asked_html.section(project, case.input, each, _beside(case, each), picture) for each in wanted)


def similar(database: Database, setting: Setting, case: Case) -> str:
    """The nearest cases that people decided. Nothing for a case that is to be judged blind."""
    found = None if case.blind else resources.similar().near(case.item_id, case.model_id)
    if found is None or not found.cases:
        return ""
    project = setting.project
    given = database.read(embeddings.inputs, setting, [each.item_id for each in found.cases])
    leading = bars.leading(project, reasons_html.ahead(case.explanations)) if project.input.type == "tabular" else []
    return similar_html.panel(project, found, given, leading, resources.thumbnail)


def _main(case: Case) -> Reason | None:
    """The reasons that the runner-up is asked beside: the first that may be relied on, else the first."""
    found = [reason for reason in reasons_html.usable(reasons_html.ahead(case.explanations)) if reason.method in METHODS]
    return next((reason for reason in found if not reason.doubt), next(iter(found), None))


def _beside(case: Case, reason: Reason) -> Reason | None:
    """The same method for the predicted label, for what was asked of another label."""
    if case.prediction is None or reason.label == case.prediction.label:
        return None
    same = (each for each in reasons_html.usable(case.explanations) if each.method == reason.method)
    return next((each for each in same if each.label == case.prediction.label), None)

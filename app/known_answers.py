"""The known answers play the operator: through the same verbs as a person, and marked by name wherever they did."""

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from db.engine import Database
from retrain import datasets
from review_queue import cases, claims, decisions, people, projects
from review_queue.activity import Actor, Via
from review_queue.cases import Case
from review_queue.decisions import Said
from review_queue.errors import Refused
from review_queue.projects import Setting

SESSION = "known-answers"
Progress = Callable[[float, str], None]


def play(database: Database, project_name: str, count: int, *, progress: Progress | None = None) -> int:
    """Decide up to `count` waiting cases with the answers known for them; how many. Raises Refused where none are known."""
    setting = database.read(projects.get, project_name)
    answers = database.read(_answers, setting)
    actor = database.write(player, "worker")
    done = 0
    while done < count and (taken := database.write(cases.take, setting, actor, SESSION, min(claims.MOST, count - done))):
        for case in taken:
            _decide(database, setting, actor, case, answers)
            done += 1
        if progress is not None:
            progress(done / count, f"the known answers decided {done} of {count}")
    return done


def player(session: Session, via: Via) -> Actor:
    """The actor that known answers speak through: a service, never a signer."""
    names = [account.name for account in people.accounts(session)]
    if people.KNOWN_ANSWERS not in names:
        people.add_person(session, people.KNOWN_ANSWERS, role="reviewer", kind="service")
    account = people.account(session, people.KNOWN_ANSWERS)
    return Actor(account.id, account.name, account.role, via, known_answers=True)


def _answers(session: Session, setting: Setting) -> Mapping[str, str]:
    info = datasets.known_answers(session, setting.id)
    if info is None:
        raise Refused(f"no answers are known for {setting.project.heading}")
    return {row["external_id"]: row["label"] for row in datasets.lines(session, info)}


def _decide(database: Database, setting: Setting, actor: Actor, case: Case, answers: Mapping[str, str]) -> None:
    truth = answers.get(case.external_id)
    key = f"{SESSION}-{case.token}"
    if truth is None:
        database.write(decisions.decide, actor, case.task_id, case.token, Said(key, "skip"))
        return
    if case.blind and not case.first_given:
        database.write(decisions.answer, actor, case.task_id, case.token, f"{key}-first", truth)
        held = database.read(cases.held, setting, actor, SESSION)
        case = next((each for each in held if each.token == case.token), case)
    right = case.prediction is not None and case.prediction.label == truth
    said = Said(key, "accept") if right else Said(key, "correct", truth)
    database.write(decisions.decide, actor, case.task_id, case.token, said)

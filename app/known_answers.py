"""The known answers play the operator: through the same verbs as a person, and marked by name wherever they did."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

from sqlalchemy.orm import Session

from db.engine import Database
from retrain import datasets
from review_queue import cases, claims, decisions, people, projects, rules
from review_queue.activity import Actor, Via
from review_queue.cases import Case
from review_queue.decisions import Said, Verdict
from review_queue.errors import Refused
from review_queue.projects import Setting

SESSION = "known-answers"
Progress = Callable[[float, str], None]
Answers = Mapping[str, str]
"""External id -> the right label."""


def play(database: Database, project_name: str, count: int, *, progress: Progress | None = None) -> int:
    """Decide up to `count` waiting cases with the answers known for them; how many. Raises Refused where none are known."""
    setting = database.read(projects.get, project_name)
    answers = database.read(_answers, setting)
    return work(database, setting, answers, [database.write(player, "worker")], count, progress=progress)


def work(
    database: Database,
    setting: Setting,
    answers: Answers,
    players: Sequence[Actor],
    count: int,
    *,
    progress: Progress | None = None,
) -> int:
    """The players take turns at the desk until `count` cases are decided or none is left for any of them; how many were.

    It takes two to settle a dispute. What has no known answer is skipped, and counts as decided.
    """
    done, idle = 0, 0
    for actor in cycle(players):
        if done >= count or idle == len(players):
            break
        taken = database.write(cases.take, setting, actor, SESSION, min(claims.MOST, count - done))
        idle = 0 if taken else idle + 1
        for case in taken:
            database.write(_decide, setting, actor, case, answers.get(case.external_id))
        done += len(taken)
        if progress is not None and taken:
            progress(done / count, f"the known answers decided {done} of {count}")
    return done


def player(session: Session, via: Via, name: str = people.KNOWN_ANSWERS) -> Actor:
    """An actor that known answers speak through: a service, never a signer."""
    if name not in people.PLAYERS:
        raise ValueError(f"{name!r} is no name that known answers are marked by; choose one of {', '.join(people.PLAYERS)}")
    if name not in [account.name for account in people.accounts(session)]:
        people.add_person(session, name, role="reviewer", kind="service")
    account = people.account(session, name)
    return Actor(account.id, account.name, account.role, via, known_answers=True)


def _answers(session: Session, setting: Setting) -> Answers:
    info = datasets.known_answers(session, setting.id)
    if info is None:
        raise Refused(f"no answers are known for {setting.project.heading}")
    return {row["external_id"]: row["label"] for row in datasets.lines(session, info)}


def _decide(session: Session, setting: Setting, actor: Actor, case: Case, truth: str | None) -> None:
    """First blind where the case is so; what it says of the prediction is the verdict. In shadow that is all there is to say."""
    key = f"{SESSION}-{case.token}"
    if truth is None:
        decisions.decide(session, actor, case.task_id, case.token, Said(key, "skip"))
        return
    verdict: Verdict | str = _verdict(case, truth)
    if case.blind and not case.first_given:
        verdict = decisions.answer(session, actor, case.task_id, case.token, f"{key}-first", truth).verdict
        if rules.level(session, setting.id) == "shadow":
            return
    said = Said(key, "accept") if verdict == "accept" else Said(key, "correct", truth)
    decisions.decide(session, actor, case.task_id, case.token, said)


def _verdict(case: Case, truth: str) -> Verdict:
    return "accept" if case.prediction is not None and case.prediction.label == truth else "correct"

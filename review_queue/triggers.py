"""When the next model is due: what the policy names, looked for in what people decided, in notices and on the clock.

A trigger writes a job, once; the job ends at the gate. One that has its first look at a challenger waits for it: with a new one
every day, none would ever have the cases to be judged by.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from contract.durations import write_duration
from contract.policy import Retrain
from contract.project import EXTERNAL
from db.statements import finds
from db.tables import Decision, Gate, Model, Proposal, TrainingRun
from db.tables import Job as JobRow
from db.tables import Notice as NoticeRow
from review_queue import acting, challenges, clock, drift, jobs, projects, rules
from review_queue.challenges import Challenge
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting

Cause = Literal["labels", "every", "on_error", "on_drift", "gate"]
ERRORS = ("alarm", "unsafe")
"""Notices that say that the model errs more often than is fit."""
PATIENCE = timedelta(days=14)
"""How long a challenger in shadow keeps new labels and the clock from training the next; errors and drift do not wait."""
GATE_EVERY = timedelta(days=1)
"""Between two looks whether a challenger in shadow passes the gate by now."""
TRAININGS = ("train", "retrain")


@dataclass(frozen=True, slots=True)
class Due:
    """A job that something asks for. `said`: what, in words."""

    project_id: int
    kind: Literal["retrain", "gate"]
    cause: Cause
    said: str
    args: dict[str, Any]


def is_due(session: Session) -> bool:
    """Whether a job is to be written somewhere: a look that writes nothing."""
    return any(due(session, each) is not None for each in projects.everything(session))


def ask(session: Session) -> int:
    """Write the job of every project in which one is due; how many. Two processes at once write one."""
    found = [each.id for each in projects.everything(session) if due(session, each) is not None]
    return sum(_asked(session, project_id) for project_id in found)


def due(session: Session, setting: Setting) -> Due | None:
    """What is due in a project now: training before another look at the challenger. None where nothing is."""
    return retraining(session, setting) or _look_at_gate(session, setting)


def retraining(session: Session, setting: Setting) -> Due | None:
    """The first trigger of the policy that has gone off, errors before drift before labels before the clock; None where none
    has, the last training is too near, one runs already, or no model acts that could be replaced."""
    wanted = setting.policy.retrain
    if not isinstance(wanted, Retrain) or not can_train(session, setting) or jobs.open_of(session, setting.id, "retrain"):
        return None
    learned = learned_at(session, setting.id)
    tried = max(filter(None, (learned, _asked_at(session, setting.id, TRAININGS))), default=None)
    if tried is not None and clock.now() < tried + wanted.rest:
        return None
    return next(_gone_off(session, setting, wanted, learned, tried), None)


def can_train(session: Session, setting: Setting) -> bool:
    """Whether a model is trained here for this project and another acts that it could replace."""
    return not setting.project.external and acting.model_id(session, setting.id) is not None


def learned_at(session: Session, project_id: int) -> datetime | None:
    """When the newest model that is here began to learn, or came; None before the first."""
    begun = func.coalesce(TrainingRun.begun_at, Model.made_at)
    query = select(begun).select_from(Model).outerjoin(TrainingRun, TrainingRun.model_id == Model.id)
    theirs = query.where(Model.project_id == project_id, Model.trainer != EXTERNAL)
    return session.scalar(theirs.order_by(Model.version.desc()).limit(1))


def new_labels(session: Session, project_id: int, since: datetime | None, most: int) -> int:
    """Cases answered since then, counted up to `most`; answers that were known beforehand do not count."""
    said = [Decision.project_id == project_id, Decision.verdict.in_(ANSWERS), Decision.basis != "gold"]
    said += [] if since is None else [Decision.decided_at > since]
    cases = select(Decision.item_id).where(*said).distinct().limit(most).subquery()
    return session.scalar(select(func.count()).select_from(cases)) or 0


def _gone_off(
    session: Session, setting: Setting, wanted: Retrain, learned: datetime | None, tried: datetime | None
) -> Iterator[Due]:
    def due(cause: Cause, said: str) -> Due:
        return Due(setting.id, "retrain", cause, said, {"cause": cause, "said": said})

    if wanted.on_error and _told(session, setting.id, ERRORS, tried):
        yield due("on_error", "evidence of more error than the policy allows")
    if wanted.on_drift and _told(session, setting.id, (drift.KIND,), tried):
        yield due("on_drift", "cases stray from what the model learned from")
    if _waits(session, setting.id):
        return
    if wanted.labels != "off" and new_labels(session, setting.id, learned, wanted.labels) >= wanted.labels:
        yield due("labels", f"{wanted.labels:,} new labels since the last training")
    if wanted.every != "off" and (tried is None or clock.now() >= tried + wanted.every):
        yield due("every", f"{write_duration(wanted.every)} since the last training")


def _told(session: Session, project_id: int, kinds: tuple[str, ...], since: datetime | None) -> bool:
    """Whether a notice of these kinds was opened since then, open still or not."""
    query = select(NoticeRow.id).where(NoticeRow.project_id == project_id, NoticeRow.kind.in_(kinds))
    return finds(session, query if since is None else query.where(NoticeRow.opened_at > since))


def _waits(session: Session, project_id: int) -> bool:
    stood = challenges.standing_as(session, project_id, "challenger")
    return stood is not None and clock.now() < stood.begun_at + PATIENCE


def _asked_at(session: Session, project_id: int, kinds: tuple[str, ...]) -> datetime | None:
    """When such a job was last asked for, whatever became of it."""
    query = select(JobRow.asked_at).where(JobRow.project_id == project_id, JobRow.kind.in_(kinds))
    return session.scalar(query.order_by(JobRow.id.desc()).limit(1))


def _look_at_gate(session: Session, setting: Setting) -> Due | None:
    """A challenger that stands in shadow, is not offered, and was not looked at for a day."""
    stood = challenges.standing_as(session, setting.id, "challenger")
    if stood is None or is_offered(session, stood.model_id) or jobs.open_of(session, setting.id, "retrain", "gate"):
        return None
    looked = max(filter(None, (stood.begun_at, _looked_at(session, stood), _asked_at(session, setting.id, ("gate",)))))
    if clock.now() < looked + GATE_EVERY:
        return None
    args = {"challenger": stood.version, "cause": "gate"}
    return Due(setting.id, "gate", "gate", f"model {stood.version} is in shadow", args)


def is_offered(session: Session, model_id: int) -> bool:
    """Whether a proposal of this model waits for signatures."""
    return finds(session, select(Proposal.id).where(Proposal.model_id == model_id, Proposal.state == "open"))


def _looked_at(session: Session, stood: Challenge) -> datetime | None:
    query = select(Gate.made_at).where(Gate.model_id == stood.model_id, Gate.against_id == stood.against_id)
    return session.scalar(query.order_by(Gate.id.desc()).limit(1))


def _asked(session: Session, project_id: int) -> bool:
    """Look again alone, and write the job."""
    rules.lock(session, project_id)
    wanted = due(session, projects.by_id(session, project_id))
    if wanted is None:
        return False
    jobs.put(session, project_id, wanted.kind, wanted.args, by=None)
    return True

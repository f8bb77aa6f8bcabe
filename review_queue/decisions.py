"""What a person said: append-only, bound to task and token, idempotent by a key that the client makes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import bindparam, exists, func, insert, select
from sqlalchemy.orm import Session, aliased

from contract.canonical import content_hash
from contract.files import nearest
from db.statements import insertion, run_all
from db.tables import Claim, Decision, Draw, Routing, Task
from review_queue import activity, audience, claims, clock, hands, outcomes, requests, rules, tallies
from review_queue.activity import Actor
from review_queue.errors import AlreadyDecided, AnswerFirst, Forbidden, Invalid, KeyReused, NotFound
from review_queue.hands import Hand, Seat
from review_queue.projects import Setting, by_id

Verdict = Literal["accept", "correct", "reject", "skip", "escalate"]
VERDICTS = ("accept", "correct", "reject", "skip", "escalate")
MAX_COMMENT = 10_000
MAX_KEY = 200
_later = aliased(Decision)
_EARLIER = select(func.max(Decision.id)).where(
    Decision.task_id == bindparam("task"),
    Decision.stage == bindparam("stage"),
    (Decision.claim_id == bindparam("claim")) | Decision.verdict.in_(outcomes.ANSWERS),
    ~exists().where(_later.supersedes_id == Decision.id),
)
"""The answer that another of the same stage takes the place of. Built once: to build it takes longer than to run it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the client sends. `key` is new for each act, and the same for each retry of it."""

    key: str
    verdict: Verdict
    label: str | None = None
    reason: str | None = None
    comment: str | None = None
    seconds: float | None = None
    reasons_shown: tuple[str, ...] | None = None
    reasons_opened: bool | None = None  # whether the person opened them


@dataclass(frozen=True, slots=True)
class Stored:
    """A decision as stored; `repeated` where the key had come before."""

    id: int
    task_id: int
    verdict: str
    label: str | None
    reason: str | None
    stage: str
    decided_at: datetime
    repeated: bool = False


def answer(
    session: Session, actor: Actor, task_id: int, token: str, key: str, label: str | None, seconds: float | None = None
) -> Stored:
    """The first answer of a blind task: a label, or None to reject. Stored once; it is what counts as evidence.

    In shadow it is final, since nothing is shown after it.
    """
    said = Said(key, "reject" if label is None else "correct", label, seconds=seconds)
    _check_sizes(said)
    if known := _known(session, actor, said, task_id, "first"):
        return known
    held, task = claims.require(session, actor, task_id, token)
    if not task.blind:
        raise Invalid("this task is not blind; decide it")
    if _first(session, held) is not None:
        raise AlreadyDecided("the first answer is stored already and cannot be changed; decide now")
    _check_label(by_id(session, task.project_id), label)
    predicted = session.get_one(Routing, (task.item_id, task.routing_n)).label
    verdict: Verdict = "reject" if label is None else "accept" if label == predicted else "correct"
    stored = _store(session, actor, held, task, Said(key, verdict, label, seconds=seconds), said, "first")
    outcomes.first_answer(session, task, label)
    if _hidden(session, task.project_id):
        claims.close(session, held, "answered")
        outcomes.finish_with_first(session, session.get_one(Decision, stored.id))
    return stored


def decide(session: Session, actor: Actor, task_id: int, token: str, said: Said) -> Stored:
    """A verdict on a held task: decision, task, outcome, event and activity together, or none of them.

    Raises Invalid, AnswerFirst, ClaimExpired, AlreadyDecided, KeyReused.
    """
    _check_sizes(said)
    if said.verdict in outcomes.ANSWERS and (hand := hands.alone(session, actor, task_id, token, said.key)):
        return _settled(session, actor, hand, said)
    if known := _known(session, actor, said, task_id, "final"):
        return known
    held, task = claims.require(session, actor, task_id, token)
    predicted = session.get_one(Routing, (task.item_id, task.routing_n)).label
    first = _first(session, held) is not None
    final = _checked(by_id(session, task.project_id), said, task.blind, first, predicted)
    stored = _store(session, actor, held, task, final, said, "final")
    if said.verdict == "skip":
        _hand_on(session, held, task, "skipped")
    elif said.verdict == "escalate":
        task.audience = "leads"
        _hand_on(session, held, task, "escalated")
    else:
        claims.close(session, held, "answered")
        task.state, task.closed_at = "completed", clock.now()
        session.flush()
        counted = tallies.answered(final.verdict, _basis(session, task), predicted)
        tallies.add(session, task.project_id, open=-1, decided=1, **counted)
        outcomes.settle(session, task)
    return stored


def undo(session: Session, actor: Actor, decision_id: int, *, session_name: str | None = None) -> int:
    """Take back one's own last answer, skip or escalation of a task and hold the task again; its id.

    What has not left the house yet is withdrawn; what has stands until the new decision revises it. A blind first
    answer stays as it is. What somebody else corrected, or looked at again, stays as well. Raises NotFound, Forbidden, Invalid.
    """
    row = session.get(Decision, decision_id)
    if row is None:
        raise NotFound(f"there is no decision {decision_id}")
    if row.person_id != actor.id:
        raise Forbidden("only your own decisions can be taken back; a lead can correct others' in Find")
    outcomes.lock(session, row.item_id)
    task = session.get_one(Task, row.task_id, populate_existing=True)
    claim = session.get_one(Claim, row.claim_id, with_for_update=True)
    if _corrected(session, row):
        raise Invalid("this can no longer be taken back: somebody answered it after you, and that answer stands")
    if row.basis == "bulk":
        raise Invalid(
            "this was decided with many others at once; take that whole act back on the page Queue, or correct it in Find"
        )
    if row.verdict == "escalate":
        _let_go(session, actor, task, claim)
    if row.stage != "final" or _superseded(session, row) or not _can_reopen(session, task, claim, row):
        raise Invalid("this can no longer be taken back: it was taken back before, or somebody else has the case")
    outcomes.retract(session, row)
    setting = by_id(session, task.project_id)
    claim.state, claim.closed_at, claim.expires_at = "held", None, clock.now() + setting.policy.review.lease
    claim.session = session_name or claim.session
    task.state, task.closed_at = "in_progress", None
    task.skips -= row.verdict == "skip"
    session.flush()
    if row.verdict in outcomes.ANSWERS:
        tallies.add(session, task.project_id, open=1)
        _uncount(session, task, row, decided=-1)
        outcomes.reconsider(session, task)
    else:
        audience.restore(session, task)
    activity.record(session, actor, "decision.undo", f"item:{task.item_id}", project_id=task.project_id, before=_seen_of(row))
    return task.id


def revise(session: Session, setting: Setting, actor: Actor, external_id: str, said: Said) -> Stored:
    """A lead's answer to a decided item stands, whatever was said before; `label` None rejects, `verdict` is worked out.

    Raises Forbidden, NotFound, Invalid, KeyReused; Refused where no answer stands yet, or the lead is to answer it first.
    """
    if not actor.at_least("lead"):
        raise Forbidden("correcting what others decided is for leads")
    _check_sizes(said)
    _check_label(setting, said.label)
    if known := _revised(session, actor, said):
        return known
    item_id = requests.decided(session, setting, external_id, actor)
    held, task = _seat(session, setting, actor, item_id)
    predicted = session.get_one(Routing, (task.item_id, task.routing_n)).label
    verdict: Verdict = "reject" if said.label is None else "accept" if said.label == predicted else "correct"
    final = replace(said, verdict=verdict)
    _check_form(setting, final)
    if (before := _final(session, held)) is not None:
        _uncount(session, task, before)
    basis = "requested" if task.kind == "gold" else _basis(session, task)  # their seat was gold: this answer stands
    stored = _store(session, actor, held, task, final, said, "final", basis)
    tallies.add(session, setting.id, **tallies.answered(final.verdict, basis, predicted))
    outcomes.revise(session, task, outcomes.Answer(stored.label, stored.verdict, stored.id))
    requests.withdraw(session, setting, item_id)
    return stored


def _revised(session: Session, actor: Actor, said: Said) -> Stored | None:
    task_id = session.scalar(select(Decision.task_id).where(Decision.key == said.key))
    return None if task_id is None else _known(session, actor, said, task_id, "final")


def _seat(session: Session, setting: Setting, actor: Actor, item_id: int) -> tuple[Claim, Task]:
    """Where a lead's correction is kept: the seat that they answered, else a new one."""
    mine = select(Claim).where(Claim.item_id == item_id, Claim.person_id == actor.id, Claim.state.in_(claims.TAKEN))
    held = session.scalar(mine.with_for_update())
    if held is not None and held.state == "answered":
        return held, session.get_one(Task, held.task_id, populate_existing=True)
    if held is not None:
        claims.close(session, held, "released")
    routed, tasks = requests.last_route(session, item_id)
    task = requests.add(session, setting, routed, tasks, "a lead corrected it", blind=False)
    held = claims.hand(session, task, actor, "correction", setting.policy.review.lease)
    claims.close(session, held, "answered")
    task.state, task.closed_at = "completed", clock.now()
    session.flush()
    tallies.add(session, setting.id, decided=1)
    return held, task


def may_reopen(session: Session, task: Task, claim: Claim, row: Decision) -> bool:
    """Whether a final decision still stands on its own, so that it can be taken back. Call under a lock on the item's tasks."""
    return not _superseded(session, row) and _can_reopen(session, task, claim, row)


def last_of(session: Session, actor: Actor, project_id: int) -> Stored | None:
    """The person's latest final decision in a project that still stands: what `u` takes back. An act over many cases is taken
    back as a whole, elsewhere."""
    query = select(Decision).where(Decision.person_id == actor.id, Decision.project_id == project_id, Decision.stage == "final")
    query = query.where(Decision.basis != "bulk")
    for row in session.scalars(query.order_by(Decision.decided_at.desc(), Decision.id.desc()).limit(5)):
        task, claim = session.get_one(Task, row.task_id), session.get_one(Claim, row.claim_id)
        if may_reopen(session, task, claim, row):
            return _stored(row)
    return None


def of_item(session: Session, item_id: int) -> Sequence[Decision]:
    """All decisions on an item, oldest first (rows: for this package and retrain)."""
    return session.scalars(select(Decision).where(Decision.item_id == item_id).order_by(Decision.id)).all()


def first_of_claim(session: Session, token: str) -> Stored | None:
    """The blind first answer given under a token, if any."""
    query = select(Decision).join(Claim, (Claim.id == Decision.claim_id) & (Claim.task_id == Decision.task_id))
    row = session.scalar(query.where(Claim.token == token, Decision.stage == "first"))
    return _stored(row) if row else None


def _settled(session: Session, actor: Actor, hand: Hand, said: Said) -> Stored:
    """An answer on which nobody else's depends: what follows from it is known at once, and goes in one round trip."""
    seat, new = hand.seat, hand.decision_id
    setting = by_id(session, seat.project_id)
    final = _checked(setting, said, seat.blind, hand.first_given, hand.predicted)
    row = _row(actor, seat, final, said, "final") | {"id": new, "supersedes_id": hand.earlier_id}
    seen = _seen(new, final.verdict, final.label, seat.blind, final.reasons_shown, final.reasons_opened)
    act = activity.row(actor, f"decision.{final.verdict}", f"item:{seat.item_id}", seat.project_id, after=seen)
    answered = outcomes.Answer(final.label, final.verdict, new)
    follows, counted = outcomes.stand(setting, hand.place, hand.stands, answered, "human")
    counted.update(open=-1, decided=1, **tallies.answered(final.verdict, seat.basis, hand.predicted))
    rows = [("decision", row), *follows, ("activity", act), *tallies.rows(setting.id, counted)]
    run_all(session, [*hands.closing(hand, row["decided_at"]), *(insertion(table, each) for table, each in rows)])
    return Stored(new, seat.task_id, final.verdict, final.label, final.reason, "final", row["decided_at"])


def _checked(setting: Setting, said: Said, blind: bool, first_given: bool, predicted: str | None) -> Said:
    """The decision with its label filled in. Raises Invalid or AnswerFirst."""
    _check_form(setting, said)
    if said.verdict in ("skip", "escalate"):
        if first_given:
            raise Invalid("the first answer is stored; keep it or change it")
        return said
    if blind and not first_given:
        raise AnswerFirst("this task is answered blind first: post the label to …/answer, then decide")
    if said.verdict == "accept":
        if predicted is None:
            raise Invalid("there is no prediction to accept; give the label with the verdict correct")
        _check_label(setting, predicted)
        return Said(**{**asdict(said), "label": predicted})
    if said.verdict == "reject":
        return Said(**{**asdict(said), "label": None})
    _check_label(setting, said.label)
    if said.label is None:
        raise Invalid("the verdict correct needs a label")
    if said.label == predicted:
        raise Invalid(f"{said.label!r} is what the model predicted; accept it")
    return said


def _check_form(setting: Setting, said: Said) -> None:
    if said.verdict not in VERDICTS:
        raise Invalid(f"{said.verdict!r} is no verdict{nearest(said.verdict, VERDICTS)}")
    reasons = setting.project.reasons_for(said.verdict)
    if said.reason is not None and said.reason not in reasons:
        raise Invalid(f"{said.reason!r} is no reason to {said.verdict} in this project{nearest(said.reason, reasons)}")
    if said.verdict == "reject" and said.reason is None and reasons:
        raise Invalid(f"a rejection needs a reason: {', '.join(reasons)}")


def _check_sizes(said: Said) -> None:
    """What must hold before anything is looked up or hashed."""
    if not 0 < len(said.key) <= MAX_KEY or not said.key.isprintable():
        raise Invalid(f"the key must have 1 to {MAX_KEY} characters that can be printed; a UUID serves")
    if said.comment is not None and (len(said.comment) > MAX_COMMENT or "\x00" in said.comment):
        raise Invalid(f"the comment has {len(said.comment):,} characters or a NUL in it; at most {MAX_COMMENT:,} are taken")
    if said.seconds is not None and not 0 <= said.seconds < 1e7:
        raise Invalid(f"seconds {said.seconds} is no time spent on a case")
    if any(_holds_surrogate(text) for text in (said.label, said.reason, said.comment)):
        raise Invalid("there is a lone surrogate in the text; send valid Unicode")


def _holds_surrogate(text: str | None) -> bool:
    return text is not None and any("\ud800" <= character <= "\udfff" for character in text)


def _check_label(setting: Setting, label: str | None) -> None:
    if label is not None and label not in setting.project.labels:
        raise Invalid(f"the project has no label {label!r}{nearest(label, setting.project.labels)}")


def _known(session: Session, actor: Actor, said: Said, task_id: int, stage: str) -> Stored | None:
    row = session.scalar(select(Decision).where(Decision.key == said.key))
    if row is None:
        return None
    if row.person_id != actor.id or row.request_hash != _request_hash(said, task_id, stage):
        raise KeyReused("this key came with other content before; make a new key for a new decision")
    return _stored(row, repeated=True)


def _request_hash(said: Said, task_id: int, stage: str) -> str:
    """What a retry must repeat: what was decided, not how long it took or what stood on the screen."""
    decided = {"verdict": said.verdict, "label": said.label, "reason": said.reason, "comment": said.comment}
    return content_hash({**decided, "task": str(task_id), "stage": stage})


def _store(
    session: Session, actor: Actor, held: Claim, task: Task, final: Said, request: Said, stage: str, basis: str | None = None
) -> Stored:
    earlier = session.scalar(_EARLIER, {"task": task.id, "stage": stage, "claim": held.id})
    seat = Seat(held.id, task.id, task.item_id, task.project_id, task.blind, basis or _basis(session, task))
    row = session.scalars(
        insert(Decision).returning(Decision), _row(actor, seat, final, request, stage) | {"supersedes_id": earlier}
    ).one()
    verb = f"decision.{stage if stage == 'first' else final.verdict}"
    activity.record(session, actor, verb, f"item:{task.item_id}", project_id=task.project_id, after=_seen_of(row))
    return _stored(row)


def _basis(session: Session, task: Task) -> str:
    """Why an answer to a task exists."""
    if task.requested is not None:
        return "requested"
    if task.kind == "gold":
        return "gold"
    if session.get_one(Routing, (task.item_id, task.routing_n)).route == "review":
        return "routed"
    return "drawn" if session.get(Draw, (task.item_id, task.routing_n, "evidence")) is not None else "shadow"


def _uncount(session: Session, task: Task, row: Decision, **counts: int) -> None:
    """An answer that stands no longer is taken from the counts of the day on which it was given."""
    predicted = session.get_one(Routing, (task.item_id, task.routing_n)).label
    gone = {name: -n for name, n in tallies.answered(row.verdict, row.basis, predicted).items()}
    tallies.add(session, task.project_id, tallies.day_of(row.decided_at), **counts, **gone)


def _final(session: Session, held: Claim) -> Decision | None:
    """The answer of a completed task that stands."""
    later = aliased(Decision)
    query = select(Decision).where(Decision.task_id == held.task_id, Decision.stage == "final")
    query = query.where(Decision.verdict.in_(outcomes.ANSWERS), ~exists().where(later.supersedes_id == Decision.id))
    return session.scalar(query.order_by(Decision.id.desc()).limit(1))


def _row(actor: Actor, seat: Seat, final: Said, request: Said, stage: str) -> dict[str, Any]:
    """A decision as its row."""
    return {
        "key": request.key,
        "request_hash": _request_hash(request, seat.task_id, stage),
        "project_id": seat.project_id,
        "task_id": seat.task_id,
        "item_id": seat.item_id,
        "claim_id": seat.claim_id,
        "person_id": actor.id,
        "recorded_by": actor.recorded_by,
        "stage": stage,
        "verdict": final.verdict,
        "label": final.label,
        "reason": final.reason,
        "comment": final.comment,
        "seconds": final.seconds,
        "blind": seat.blind,
        "basis": seat.basis,
        "reasons_shown": list(final.reasons_shown) if final.reasons_shown is not None else None,
        "reasons_opened": final.reasons_opened,
        "via": actor.via,
        "decided_at": clock.now(),
    }


def _hand_on(session: Session, held: Claim, task: Task, state: str) -> None:
    """Another person's turn: the task waits again."""
    claims.close(session, held, state)
    task.state = "pending"
    task.skips += state == "skipped"
    if state == "skipped":
        audience.skipped(session, task)
    session.flush()


def _first(session: Session, held: Claim) -> Decision | None:
    """Looked up by the task, which has an index."""
    query = select(Decision).where(Decision.task_id == held.task_id, Decision.claim_id == held.id)
    return session.scalar(query.where(Decision.stage == "first"))


def _superseded(session: Session, row: Decision) -> bool:
    return session.scalar(select(Decision.id).where(Decision.supersedes_id == row.id)) is not None


def _corrected(session: Session, row: Decision) -> bool:
    """Whether somebody else answered the item after this answer, as a correction or as they were asked to."""
    if row.stage != "final" or row.verdict not in outcomes.ANSWERS:
        return False
    later = aliased(Decision)
    query = select(Decision.id).join(Task, Task.id == Decision.task_id)
    after = query.where(Decision.item_id == row.item_id, Decision.id > row.id, Decision.person_id != row.person_id)
    answered = after.where(Decision.stage == "final", Decision.verdict.in_(outcomes.ANSWERS), Task.state == "completed")
    stands = answered.where(Task.requested.is_not(None), ~exists().where(later.supersedes_id == Decision.id))
    return session.scalar(stands.limit(1)) is not None


def _let_go(session: Session, actor: Actor, task: Task, but: Claim) -> None:
    """A lead who left a case to leads may have been handed it again already: that hold ends."""
    mine = Claim.person_id == actor.id, Claim.state == "held", Claim.id != but.id
    again = select(Claim.token).where(Claim.task_id == task.id, *mine)
    claims.release(session, actor, session.scalars(again).all())
    session.refresh(task)


def _hidden(session: Session, project_id: int) -> bool:
    """Whether people are shown nothing of the model here."""
    return rules.level(session, project_id) == "shadow"


def _can_reopen(session: Session, task: Task, claim: Claim, row: Decision) -> bool:
    if row.verdict in outcomes.ANSWERS:
        done = task.state == "completed" and claim.state == "answered" and not (row.blind and _hidden(session, task.project_id))
        return done and not outcomes.is_closed(session, task.item_id) and not _corrected(session, row)
    if row.verdict == "skip":
        return task.state == "pending" and claim.state == "skipped"
    return task.state == "pending" and claim.state == "escalated" and not claims.has_seat(session, row.item_id, row.person_id)


def _seen_of(row: Decision) -> dict[str, object]:
    return _seen(row.id, row.verdict, row.label, row.blind, row.reasons_shown, row.reasons_opened)


def _seen(
    number: int, verdict: str, label: str | None, blind: bool, shown: Sequence[str] | None, opened: bool | None
) -> dict[str, object]:
    """What the activity says of a decision; of reasons how many were on the screen, and whether they were opened."""
    seen: dict[str, object] = {"decision": str(number), "verdict": verdict, "label": label, "blind": blind}
    reasons = {"reasons_shown": None if shown is None else len(shown), "reasons_opened": opened}
    return seen | {name: value for name, value in reasons.items() if value is not None}


def _stored(row: Decision, *, repeated: bool = False) -> Stored:
    return Stored(row.id, row.task_id, row.verdict, row.label, row.reason, row.stage, row.decided_at, repeated)

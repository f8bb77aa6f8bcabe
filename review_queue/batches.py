"""The worker's side of the queue: lease a batch of items, write what became of it in one transaction."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import delete, func, insert, null, select, update
from sqlalchemy.orm import Session

from contract.given import Given, explanation, read_given
from contract.inputs import read_input
from contract.records import Prediction, Route, Scored, Unscored, Unshowable
from db.tables import Draw, ItemKey, Outbox, Outcome, Routing, Task, Work
from db.tables import Explanation as ExplanationRow
from db.tables import Item as ItemRow
from db.tables import Prediction as PredictionRow
from review_queue import clock, explanations, routing, rules, versions
from review_queue.calendar import add_working_time
from review_queue.errors import Moved
from review_queue.projects import Setting, by_id
from review_queue.routing import Rule
from review_queue.secrets import Keys
from review_queue.versions import Version

ALONE_AFTER = 2
"""An item whose lease died this often is scored alone."""
FAILED_AFTER = 3
"""An item whose lease died this often is failed."""
ALIKE = 200
"""An audit takes the urgency of one of this many review tasks made before it, so its place does not tell it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came with an item: the answer of a version that answers elsewhere."""

    version: Version
    given: Given
    said: Prediction


@dataclass(frozen=True, slots=True)
class Leased:
    """One item in the hands of a worker; with what came along where no model here is asked."""

    item_id: int
    external_id: str
    input: dict[str, Any]
    groups: dict[str, Any]
    attempts: int
    sent: Sent | None = None

    @property
    def answer(self) -> Scored:
        """What a model elsewhere says of it."""
        return self.sent.said if self.sent else Unscored("it came without a prediction")


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch became."""

    auto: int = 0
    review: int = 0
    failed: int = 0


def waiting_projects(session: Session, kind: str) -> Sequence[int]:
    """Projects with work of this kind that is ready, the longest waiting first."""
    query = select(Work.project_id).where(Work.kind == kind, Work.ready_at <= clock.now())
    return session.scalars(query.group_by(Work.project_id).order_by(func.min(Work.ready_at))).all()


def answered_elsewhere(setting: Setting, rule: Rule) -> bool:
    """Whether predictions come with the items: by the project, or while the model that acts is one that answers elsewhere."""
    return setting.project.external or rule.external


def lease(
    session: Session, project_id: int, kind: str, worker: str, *, limit: int, seconds: float, sent: bool = False
) -> list[Leased]:
    """Take up to `limit` items for `seconds`; `worker` is new for each lease, so a late writer writes nothing.

    `sent`: read what came along with them.
    """
    now = clock.now()
    pick = (
        select(Work.item_id)
        .where(Work.project_id == project_id, Work.kind == kind, Work.ready_at <= now)
        .order_by(Work.ready_at, Work.item_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = session.execute(
        update(Work)
        .where(Work.kind == kind, Work.item_id.in_(pick))
        .values(worker=worker, attempts=Work.attempts + 1, ready_at=now + timedelta(seconds=seconds))
        .returning(Work.item_id, Work.attempts),
        execution_options={"synchronize_session": False},
    )
    attempts = dict(taken.tuples().all())
    came = ItemRow.prediction if sent else null()
    query = select(ItemRow.id, ItemKey.external_id, ItemRow.input, ItemRow.groups, came).join(
        ItemKey, ItemKey.item_id == ItemRow.id
    )
    rows = [row for chunk in _chunks(sorted(attempts)) for row in session.execute(query.where(ItemRow.id.in_(chunk))).tuples()]
    project = by_id(session, project_id).project
    known = versions.known(session, project_id) if sent else {}
    return [
        Leased(i, external_id, read_input(project, given), json.loads(groups or "{}"), attempts[i], _sent(prediction, known))
        for i, external_id, given, groups, prediction in rows
    ]


def _sent(text: str | None, known: Mapping[str, Version]) -> Sent | None:
    if text is None:
        return None
    given = read_given(text)
    version = known[given.model_version]
    return Sent(version, given, given.prediction(version.labels))


def give_back(
    session: Session,
    kind: str,
    worker: str,
    item_ids: Sequence[int] | None = None,
    *,
    error: str | None = None,
    blame: bool = False,
) -> None:
    """Return a lease, or some items of it, at once; without blame the attempt does not count."""
    values: dict[str, Any] = {"ready_at": clock.now(), "worker": None, "last_error": error}
    if not blame:
        values["attempts"] = Work.attempts - 1
    held = update(Work).where(Work.kind == kind, Work.worker == worker).values(values)
    for chunk in [None] if item_ids is None else _chunks(item_ids):
        session.execute(held if chunk is None else held.where(Work.item_id.in_(chunk)))


def write(
    session: Session,
    project_id: int,
    worker: str,
    scored: Sequence[tuple[Leased, Scored]],
    *,
    model_id: int,
    keys: Keys,
) -> Written:
    """Route a scored batch by the rule in force and store it all: predictions, routes, draws, tasks, outcomes, events.

    The rule is held from here to the commit, so a freeze binds the batch in hand. Items that were leased to somebody
    else meanwhile drop out. Raises Moved where another model acts by now: score again.
    """
    rules.hold(session, project_id)
    setting = by_id(session, project_id)
    rule = rules.in_force(session, project_id, setting.policy)
    if rule is None or rule.model_id != model_id:
        raise Moved("another model acts by now; score the batch again")
    ours = _close_work(session, worker, [item.item_id for item, _ in scored])
    batch = [(item, answer) for item, answer in scored if item.item_id in ours]
    key = keys.draw_key(rule.draw_key_id)
    routed = [_Routed.of(setting, rule, key, item, answer) for item, answer in batch]
    _Writer(session, setting, rule, routed).write()
    counts = [r.route.route for r in routed]
    return Written(counts.count("auto"), counts.count("review"), counts.count("failed"))


def _close_work(session: Session, worker: str, item_ids: list[int]) -> set[int]:
    statement = delete(Work).where(Work.kind == "score", Work.worker == worker).returning(Work.item_id)
    return {i for chunk in _chunks(item_ids) for i in session.scalars(statement.where(Work.item_id.in_(chunk)))}


@dataclass(frozen=True, slots=True)
class _Routed:
    item: Leased
    scored: Scored
    route: Route
    model_id: int

    @classmethod
    def of(cls, setting: Setting, rule: Rule, key: bytes, item: Leased, scored: Scored) -> "_Routed":
        if item.attempts > FAILED_AFTER:
            scored = Unshowable(f"its worker died {item.attempts - 1} times while scoring it")
        drawn: Callable[[routing.Purpose], float] = lambda purpose: routing.draw(  # noqa: E731
            key, setting.name, item.external_id, rule.id, purpose
        )
        by = item.sent.version if item.sent and isinstance(scored, Prediction) else None
        barred = versions.stranger(by) if by and by.id != rule.model_id else None
        route = routing.route(rule, scored, {**item.groups, **item.input}, drawn, barred)
        return cls(item, scored, route, by.id if by else rule.model_id)


@dataclass(frozen=True, slots=True)
class _Writer:
    """The rows of one routed batch; each method one table."""

    session: Session
    setting: Setting
    rule: Rule
    routed: Sequence[_Routed]

    def write(self) -> None:
        now = clock.now()
        n = self._next_n()
        self._put(PredictionRow, self._predictions(now))
        self._put(ExplanationRow, self._explanations(now))
        self._put(Routing, (self._routing(r, n[r.item.item_id], now) for r in self.routed))
        self._put(Draw, (row for r in self.routed for row in self._draws(r, n[r.item.item_id], now)))
        self._put(Task, self._tasks(n, now))
        self._put(Outcome, (self._outcome(r, n[r.item.item_id], now) for r in self.routed if r.route.route == "auto"))
        self._put(Outbox, (self._event(r, now) for r in self.routed if r.route.route != "review"))

    def _put(self, table: Any, rows: Iterable[dict[str, Any]]) -> None:
        if held := list(rows):
            self.session.execute(insert(table), held)

    def _next_n(self) -> dict[int, int]:
        ids = [r.item.item_id for r in self.routed]
        query = select(Routing.item_id, func.max(Routing.n)).group_by(Routing.item_id)
        last = {i: n for chunk in _chunks(ids) for i, n in self.session.execute(query.where(Routing.item_id.in_(chunk)))}
        return {i: last.get(i, 0) + 1 for i in ids}

    def _predictions(self, now: datetime) -> Iterable[dict[str, Any]]:
        for r in self.routed:
            if isinstance(r.scored, Prediction) and r.route.confidence is not None:
                yield {
                    "item_id": r.item.item_id,
                    "model_id": r.model_id,
                    "label": r.scored.label,
                    "confidence": r.route.confidence,
                    "probabilities": list(r.scored.probabilities),
                    "scored_at": now,
                }

    def _explanations(self, now: datetime) -> Iterable[dict[str, Any]]:
        """The reasons that came along with predictions."""
        for r in self.routed:
            if r.item.sent and isinstance(r.scored, Prediction):
                sent = explanation(self.setting.project, r.item.sent.given, r.item.input)
                if sent is not None:
                    yield explanations.row(r.item.item_id, r.model_id, sent, now)

    def _placed(self, r: _Routed, n: int) -> dict[str, Any]:
        return {
            "item_id": r.item.item_id,
            "n": n,
            "project_id": self.setting.id,
            "period_id": self.rule.period_id,
            "routing_rule_id": self.rule.id,
            "segment": "",
            "band": r.route.band,
        }

    def _routing(self, r: _Routed, n: int, now: datetime) -> dict[str, Any]:
        return {
            **self._placed(r, n),
            "model_id": r.model_id,
            "route": r.route.route,
            "reason": r.route.reason,
            "p_evidence": r.route.p_evidence,
            "p_second": r.route.p_second,
            "pi": r.route.pi,
            "label": r.route.label,
            "confidence": r.route.confidence,
            "routed_at": now,
        }

    def _draws(self, r: _Routed, n: int, now: datetime) -> Iterable[dict[str, Any]]:
        policy = self.setting.policy
        for purpose in r.route.drawn:
            p = r.route.p_evidence if purpose == "evidence" else r.route.p_second
            due = add_working_time(now, policy.audit.due, policy.calendar, self.setting.project.zone)
            keyed = {"purpose": purpose, "p": p, "key_id": self.rule.draw_key_id, "drawn_at": now, "due_at": due}
            yield {**self._placed(r, n), **keyed}

    def _tasks(self, n: Mapping[int, int], now: datetime) -> list[dict[str, Any]]:
        review = self.setting.policy.review
        weights = {
            r.item.item_id: routing.urgency(review.order, r.scored, r.route, self.setting.policy.costs)
            for r in self.routed
            if r.route.route == "review"
        }
        alike = _Alike(self.session, self.setting.id, list(weights.values()))
        rows = []
        for r in self.routed:
            for kind, seat in self._seats(r):
                weight = weights[r.item.item_id] if kind == "review" else alike.weight()
                blind = bool(kind != "review" or "evidence" in r.route.drawn or review.blind_first == "all")
                rows.append(self._task(r, n[r.item.item_id], kind, seat, blind, weight, now))
        return rows

    def _seats(self, r: _Routed) -> Iterable[tuple[str, int]]:
        if r.route.route == "review":
            yield from (("review", seat + 1) for seat in range(self.setting.policy.review.reviewers))
        elif r.route.route == "auto" and "evidence" in r.route.drawn:
            yield "audit", 1
        if "second" in r.route.drawn:
            yield "second", 1

    def _task(self, r: _Routed, n: int, kind: str, seat: int, blind: bool, weight: float, now: datetime) -> dict[str, Any]:
        policy = self.setting.policy
        due = None
        if policy.review.due != "off":
            due = add_working_time(now, policy.review.due, policy.calendar, self.setting.project.zone)
        return {
            "item_id": r.item.item_id,
            "routing_n": n,
            "project_id": self.setting.id,
            "kind": kind,
            "seat": seat,
            "audience": "reviewers",
            "blind": blind,
            "state": "pending",
            "rank": routing.rank(policy.review.order, now, weight, due),
            "weight": weight,
            "due_at": due,
            "skips": 0,
            "made_at": now,
        }

    def _outcome(self, r: _Routed, n: int, now: datetime) -> dict[str, Any]:
        return {
            "item_id": r.item.item_id,
            "revision": 1,
            "project_id": self.setting.id,
            "label": r.route.label,
            "source": "auto",
            "verdict": None,
            "routing_n": n,
            "decided_at": now,
        }

    def _event(self, r: _Routed, now: datetime) -> dict[str, Any]:
        body = {"external_id": r.item.external_id, "confidence": r.route.confidence}
        if r.route.route == "failed":
            kind, body = "failed", {**body, "reason": r.route.reason}
        else:
            kind, body = "outcome", {**body, "revision": 1, "label": r.route.label, "source": "auto", "verdict": None}
        whole = {"project_id": self.setting.id, "kind": kind, "item_id": r.item.item_id, "body": body}
        return {**whole, "made_at": now, "ready_at": now}


class _Alike:
    """Urgencies for audits and second opinions, taken from review tasks that were routed with or shortly before them.

    Design 5.6 says "of a random waiting review task"; those that still wait are the less urgent ones, so an audit would
    stand out by coming late. Those routed about the same time are what it must look like.
    """

    def __init__(self, session: Session, project_id: int, batch: list[float]) -> None:
        self._session, self._project_id, self._batch = session, project_id, batch
        self._pool: list[float] = []

    def weight(self) -> float:
        if not self._pool:
            query = select(Task.weight).where(Task.project_id == self._project_id, Task.kind == "review")
            recent = self._session.scalars(query.order_by(Task.id.desc()).limit(max(ALIKE - len(self._batch), 1))).all()
            self._pool = [*self._batch, *recent] or [0.1, 0.55, 1.0]
        return Random().choice(self._pool)


def _chunks(values: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    for begin in range(0, len(values), size):
        yield values[begin : begin + size]

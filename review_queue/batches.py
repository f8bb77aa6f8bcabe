"""The worker's side of the queue: lease a batch of items, write what became of it in one transaction."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, exists, func, null, select, update
from sqlalchemy.orm import Session

from contract.given import Given, explanation, read_given
from contract.inputs import read_input
from contract.records import Prediction, Route, Scored, Unscored, Unshowable
from db import bulk
from db.statements import finds
from db.tables import Draw, ItemKey, Model, Outbox, Outcome, Project, ReasonRequest, Routing, Table, Task, Work
from db.tables import Explanation as ExplanationRow
from db.tables import Item as ItemRow
from db.tables import Prediction as PredictionRow
from review_queue import clock, events, explanations, names, parking, routing, rules, shadows, states, tallies, versions
from review_queue.alike import Alike
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
_LAST = 2**62
"""A rank after all others."""
_URGENT = exists().where(Task.item_id == Work.item_id, states.HELD) | exists().where(
    ReasonRequest.item_id == Work.item_id, ReasonRequest.done_at.is_(None)
)


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
    revision: int = 1

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

    @property
    def count(self) -> int:
        return self.auto + self.review + self.failed

    def __add__(self, other: "Written") -> "Written":
        return Written(self.auto + other.auto, self.review + other.review, self.failed + other.failed)


def waiting_projects(session: Session, kind: str) -> Sequence[int]:
    """Projects with work of this kind that is ready, the longest waiting first."""
    theirs = (Work.project_id == Project.id, Work.kind == kind)
    first = select(func.min(Work.ready_at)).where(*theirs).correlate(Project).scalar_subquery()  # by the index
    return session.scalars(select(Project.id).where(first <= clock.now()).order_by(first)).all()


def answered_elsewhere(setting: Setting, rule: Rule) -> bool:
    """Whether predictions come with the items: by the project, or while the model that acts is one that answers elsewhere."""
    return setting.project.external or rule.external


def lease(
    session: Session, project_id: int, kind: str, worker: str, *, limit: int, seconds: float, sent: bool = False
) -> list[Leased]:
    """Take up to `limit` items for `seconds`; `worker` is new for each lease, so a late writer writes nothing.

    `sent`: read what came along with them.
    """
    pick = (
        select(Work.item_id)
        .where(Work.project_id == project_id, Work.kind == kind, Work.ready_at <= clock.now())
        .order_by(Work.ready_at, Work.item_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _take(session, project_id, kind, worker, Work.item_id.in_(pick), seconds, sent=sent)


def explaining_projects(session: Session) -> list[int]:
    """Projects with explain work that is ready: those where somebody looks at such a case now, then the longest waiting."""
    waiting = waiting_projects(session, "explain")
    watched = {each for each in waiting if finds(session, _to_explain(each).where(_URGENT))}
    return sorted(waiting, key=lambda each: each not in watched)


def lease_reasons(session: Session, project_id: int, worker: str, *, limit: int, seconds: float) -> list[Leased]:
    """Take explain work: one item alone that somebody looks at or asked about, the longest waiting of these; where there is
    none, up to `limit` in the order in which people will get them. An item over which workers died is taken alone.
    """
    alone = case((_URGENT | (Work.attempts >= ALONE_AFTER), 1), else_=0)
    turn = select(func.min(Task.rank)).where(Task.item_id == Work.item_id, states.PENDING).scalar_subquery()
    place = (case((_URGENT, 0), else_=1), case((_URGENT, Work.ready_at), else_=None), func.coalesce(turn, _LAST), Work.item_id)
    query = _to_explain(project_id).add_columns(alone).order_by(*place).limit(limit)
    found = session.execute(query.with_for_update(of=Work, skip_locked=True)).tuples().all()
    apart = next((n for n, (_, by_itself) in enumerate(found) if by_itself), len(found))
    ids = [item_id for item_id, _ in found[: max(apart, 1)]]
    return _take(session, project_id, "explain", worker, Work.item_id.in_(ids), seconds) if ids else []


def _to_explain(project_id: int) -> Select[int]:
    return select(Work.item_id).where(Work.project_id == project_id, Work.kind == "explain", Work.ready_at <= clock.now())


def _take(
    session: Session,
    project_id: int,
    kind: str,
    worker: str,
    which: ColumnElement[bool],
    seconds: float,
    *,
    sent: bool = False,
) -> list[Leased]:
    taken = session.execute(
        update(Work)
        .where(Work.kind == kind, which)
        .values(worker=worker, attempts=Work.attempts + 1, ready_at=clock.now() + timedelta(seconds=seconds))
        .returning(Work.item_id, Work.attempts),
        execution_options={"synchronize_session": False},
    )
    attempts = dict(taken.tuples().all())
    came = ItemRow.prediction if sent else null()
    columns = (ItemRow.id, ItemKey.name, ItemKey.revision, ItemRow.input, ItemRow.groups, came)
    query = select(*columns).join(ItemKey, ItemKey.item_id == ItemRow.id)
    rows = session.execute(query.where(bulk.among(session, ItemRow.id, list(attempts))).order_by(ItemRow.id)).tuples().all()
    project = by_id(session, project_id).project
    known = versions.known(session, project_id) if sent else {}
    return [
        Leased(i, name, read_input(project, given), json.loads(groups) if groups else {}, attempts[i], _sent(came, known), n)
        for i, name, n, given, groups, came in rows
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
    session.execute(held if item_ids is None else held.where(bulk.among(session, Work.item_id, item_ids)))


def excuse(session: Session, kind: str, worker: str, item_ids: Sequence[int]) -> None:
    """What kept a lease from its end is no fault of these items: it runs on, and the attempt does not count."""
    held = update(Work).where(Work.kind == kind, Work.worker == worker, bulk.among(session, Work.item_id, item_ids))
    session.execute(held.values(attempts=Work.attempts - 1))


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
    routed = _route(setting, rule, keys.draw_key(rule.draw_key_id), batch)
    _Writer(session, setting, rule, routed).write()
    counts = Counter(r.route.route for r in routed)
    return Written(counts["auto"], counts["review"], counts["failed"])


def completed(session: Session, project_id: int, done: Mapping[int, Written]) -> None:
    """Tell that what had come in is scored: one event for each model that did, with what became of its items."""
    for model_id, became in sorted(done.items()):
        body = {"scored": became.count, "auto": became.auto, "review": became.review, "failed": became.failed}
        version = session.scalar(select(Model.version).where(Model.id == model_id))
        events.announce(session, project_id, "batch.completed", {**body, "model": version}, item_id=None)


def _close_work(session: Session, worker: str, item_ids: list[int]) -> set[int]:
    held = delete(Work).where(Work.kind == "score", Work.worker == worker, bulk.among(session, Work.item_id, item_ids))
    return set(session.scalars(held.returning(Work.item_id), execution_options={"synchronize_session": False}))


@dataclass(frozen=True, slots=True)
class _Routed:
    item: Leased
    scored: Scored
    route: Route
    model_id: int


def _route(setting: Setting, rule: Rule, key: bytes, batch: Sequence[tuple[Leased, Scored]]) -> list[_Routed]:
    answers = [_answer(item, scored) for item, scored in batch]
    sures = routing.confidences(rule.score, answers)
    triples = zip((item for item, _ in batch), answers, sures, strict=True)
    return [_route_one(setting, rule, key, *each) for each in triples]


def _answer(item: Leased, scored: Scored) -> Scored:
    if item.attempts <= FAILED_AFTER:
        return scored
    return Unshowable(f"its worker died {item.attempts - 1} times while scoring it")


def _route_one(setting: Setting, rule: Rule, key: bytes, item: Leased, scored: Scored, sure: float | None) -> _Routed:
    def drawn(purpose: routing.Purpose) -> float:
        return routing.draw(key, setting.name, names.draw(item.external_id, item.revision), rule.id, purpose)

    by = item.sent.version if item.sent and isinstance(scored, Prediction) else None
    barred = versions.stranger(by) if by and by.id != rule.model_id else None
    values = {**item.groups, **item.input} if rule.reads_values else {}
    route = routing.route(rule, scored, values, drawn, barred, sure)
    return _Routed(item, scored, route, by.id if by else rule.model_id)


class _Writer:
    """The rows of one routed batch; each method one table."""

    def __init__(self, session: Session, setting: Setting, rule: Rule, routed: Sequence[_Routed]) -> None:
        self._session, self._setting, self._rule, self._routed = session, setting, rule, routed
        self._now, self._n = clock.now(), self._next_n()

    def write(self) -> None:
        alone = [r for r in self._routed if r.route.route == "auto"]
        self._predictions([r for r in self._routed if isinstance(r.scored, Prediction)])
        self._reasons()
        self._routings()
        self._put(Draw, [row for r in self._routed for row in self._draws(r)])
        tasks = self._tasks()
        self._put(Task, tasks)
        self._outcomes(alone)
        shadows.order(self._session, self._setting.id, self._predicted(), self._now)
        self._events([r for r in self._routed if r.route.route != "review"])
        routes: Counter[str] = Counter(r.route.route for r in self._routed)
        sure = ((r.route.route, r.route.confidence) for r in self._routed if r.route.confidence is not None)
        bands = Counter(f"band/{tallies.band(confidence)}/{route}" for route, confidence in sure)
        changed = {"unscored": -len(self._routed), "open": len(tasks), "outcomes/auto": len(alone), **routes, **bands}
        tallies.add(self._session, self._setting.id, **changed)

    def _predicted(self) -> list[int]:
        return [r.item.item_id for r in self._routed if isinstance(r.scored, Prediction)]

    def _put(self, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            bulk.put(self._session, table, **{name: [row[name] for row in rows] for name in rows[0]})

    def _next_n(self) -> dict[int, int]:
        ids = [r.item.item_id for r in self._routed]
        query = select(Routing.item_id, func.max(Routing.n)).where(bulk.among(self._session, Routing.item_id, ids))
        last = dict(self._session.execute(query.group_by(Routing.item_id)).tuples().all())
        return {i: last.get(i, 0) + 1 for i in ids}

    def _predictions(self, scored: Sequence[_Routed]) -> None:
        bulk.put(
            self._session,
            PredictionRow,
            item_id=[r.item.item_id for r in scored],
            model_id=[r.model_id for r in scored],
            label=[r.route.label for r in scored],
            confidence=[r.route.confidence for r in scored],
            probabilities=[r.scored.probabilities for r in scored if isinstance(r.scored, Prediction)],
            strangeness=[r.scored.strangeness for r in scored if isinstance(r.scored, Prediction)],
            scored_at=self._now,
        )

    def _reasons(self) -> None:
        """The reasons that came along with predictions."""
        came = ((r, r.item.sent) for r in self._routed if r.item.sent and isinstance(r.scored, Prediction))
        said = ((r, explanation(self._setting.project, sent.given, r.item.input)) for r, sent in came)
        self._put(
            ExplanationRow,
            [explanations.row(r.item.item_id, r.model_id, each, self._now) for r, each in said if each is not None],
        )

    def _routings(self) -> None:
        routes = [r.route for r in self._routed]
        bulk.put(
            self._session,
            Routing,
            item_id=[r.item.item_id for r in self._routed],
            n=list(self._n.values()),
            project_id=self._setting.id,
            period_id=self._rule.period_id,
            routing_rule_id=self._rule.id,
            segment=[route.segment for route in routes],
            band=[route.band for route in routes],
            model_id=[r.model_id for r in self._routed],
            route=[route.route for route in routes],
            reason=[route.reason for route in routes],
            p_evidence=[route.p_evidence for route in routes],
            p_second=[route.p_second for route in routes],
            pi=[route.pi for route in routes],
            label=[route.label for route in routes],
            confidence=[route.confidence for route in routes],
            routed_at=self._now,
        )

    def _draws(self, r: _Routed) -> Iterable[dict[str, Any]]:
        policy = self._setting.policy
        for purpose in r.route.drawn:
            yield {
                "item_id": r.item.item_id,
                "n": self._n[r.item.item_id],
                "purpose": purpose,
                "project_id": self._setting.id,
                "period_id": self._rule.period_id,
                "routing_rule_id": self._rule.id,
                "segment": r.route.segment,
                "band": r.route.band,
                "p": r.route.p_evidence if purpose == "evidence" else r.route.p_second,
                "key_id": self._rule.draw_key_id,
                "drawn_at": self._now,
                "due_at": self._after(policy.audit.due),
            }

    def _after(self, amount: timedelta) -> datetime:
        return add_working_time(self._now, amount, self._setting.policy.calendar, self._setting.project.zone)

    def _tasks(self) -> list[dict[str, Any]]:
        review = self._setting.policy.review
        waiting = [r for r in self._routed if r.route.route == "review"]
        costs = self._setting.policy.costs
        weights = {r.item.item_id: routing.urgency(review.order, r.scored, r.route, costs) for r in waiting}
        urgency = Alike(self._session, self._setting.id, list(weights.values()))
        due = self._after(review.due) if review.due != "off" else None
        again = {r.item.external_id: r.item.revision for r in waiting if r.item.revision > 1}
        first = parking.first_of(self._session, self._setting.id, again)
        every_blind = review.blind_first == "all" or self._rule.level == "shadow"
        rows = []
        for r in self._routed:
            seats = list(self._seats(r))
            for kind, seat in seats:
                weight = weights[r.item.item_id] if kind == "review" else urgency.weight()
                blind = kind != "review" or "evidence" in r.route.drawn or every_blind
                whose = first.get(r.item.external_id, [])[seat - 1 : seat] if kind == "review" else []
                row = self._task(r, kind, seat, blind, weight, due)
                rows.append({**row, **self._theirs(whose), "shared": len(seats) > 1})
        return rows

    def _theirs(self, person: list[int]) -> dict[str, Any]:
        """The task is nobody's first, or that of one who had parked an earlier revision."""
        until = parking.first_until(self._setting) if person else None
        return {"assignee_id": person[0] if person else None, "assigned_until": until}

    def _seats(self, r: _Routed) -> Iterable[tuple[str, int]]:
        if r.route.route == "review":
            yield from (("review", seat + 1) for seat in range(self._setting.policy.review.reviewers))
        elif r.route.route == "auto" and "evidence" in r.route.drawn:
            yield "audit", 1
        if "second" in r.route.drawn:
            yield "second", 1

    def _task(self, r: _Routed, kind: str, seat: int, blind: bool, weight: float, due: datetime | None) -> dict[str, Any]:
        return {
            "item_id": r.item.item_id,
            "routing_n": self._n[r.item.item_id],
            "project_id": self._setting.id,
            "kind": kind,
            "seat": seat,
            "audience": "reviewers",
            "blind": blind,
            "state": "pending",
            "rank": routing.rank(self._setting.policy.review.order, self._now, weight, due),
            "weight": weight,
            "due_at": due,
            "skips": 0,
            "made_at": self._now,
        }

    def _outcomes(self, alone: Sequence[_Routed]) -> None:
        bulk.put(
            self._session,
            Outcome,
            item_id=[r.item.item_id for r in alone],
            revision=1,
            project_id=self._setting.id,
            label=[r.route.label for r in alone],
            source="auto",
            verdict=None,
            routing_n=[self._n[r.item.item_id] for r in alone],
            decided_at=self._now,
        )

    def _events(self, told: Sequence[_Routed]) -> None:
        bulk.put(
            self._session,
            Outbox,
            project_id=self._setting.id,
            kind=["failed" if r.route.route == "failed" else "outcome" for r in told],
            item_id=[r.item.item_id for r in told],
            body=[self._body(r) for r in told],
            made_at=self._now,
            ready_at=self._now,
        )

    def _body(self, r: _Routed) -> dict[str, Any]:
        body = {**names.event(r.item.external_id, r.item.revision), "confidence": r.route.confidence}
        if r.route.route == "failed":
            return {**body, "reason": r.route.reason}
        return {**body, "revision": 1, "label": r.route.label, "source": "auto", "verdict": None}

"""What models in shadow say of routed cases: work for a spare worker, what it wrote, and the cases that people look at for it.

Where a challenge and the model that acts differ on a case that acted alone, a secret draw may bring it to people as one more
blind spot check. It corrects what it finds as those do, and is no evidence: cases on which two models differ are harder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.records import Prediction, Scored
from db import bulk
from db.statements import finds
from db.tables import Challenge as ChallengeRow
from db.tables import Decision, Draw, ItemKey, Routing, RoutingRule, Shadow, Table, Task, Work
from db.tables import Prediction as PredictionRow
from review_queue import alike, challenges, clock, names, predictions, routing, tallies
from review_queue.calendar import add_working_time
from review_queue.challenges import Challenge
from review_queue.projects import Setting
from review_queue.secrets import Keys

MOST_WAITING = 20_000
"""Cases of a project that wait for its models in shadow: older ones are left out."""
Said = Mapping[int, Scored]
"""What each challenge says of one case, by the id of the challenge."""


def order(session: Session, project_id: int, item_ids: Sequence[int], now: datetime) -> None:
    """Work for the models in shadow, in the transaction that routes these cases; none where nothing stands there.

    One statement without a value for each row: the model that acts waits for it.
    """
    if item_ids and finds(session, select(ChallengeRow.id).where(*_standing(project_id))):
        shared = {"kind": "shadow", "project_id": project_id, "ready_at": now, "attempts": 0}
        values = [literal(value, Work.__table__.c[name].type) for name, value in shared.items()]
        rows = select(ItemKey.item_id, *values).where(bulk.among(session, ItemKey.item_id, list(item_ids)))
        session.execute(insert(Work).from_select(["item_id", *shared], rows))


def leave_out(session: Session, project_id: int, most: int = MOST_WAITING) -> int:
    """Leave out the oldest cases where more wait than that; how many."""
    ours = (Work.project_id == project_id, Work.kind == "shadow")
    newest = select(Work.item_id).where(*ours).order_by(Work.ready_at.desc(), Work.item_id.desc())
    last = session.scalar(newest.offset(most).limit(1))
    if last is None:
        return 0
    gone = delete(Work).where(*ours, Work.worker.is_(None), Work.item_id <= last).returning(Work.item_id)
    return len(session.scalars(gone).all())


def keep(session: Session, setting: Setting, worker: str, said: Mapping[int, Said], keys: Keys) -> int:
    """Store what the challenges said of leased cases, by item, and draw those that people look at; how many cases.

    What was leased to somebody else meanwhile, was closed, or was routed by another model drops out, as does what a challenge
    said that has ended.
    """
    standing = _held(session, setting.id, {each for answers in said.values() for each in answers})
    places = _places(session, _close_work(session, worker, list(said)))
    pairs = [
        (place, each, said[place.item_id][each.id])
        for place in places
        for each in standing
        if each.id in said[place.item_id] and each.against_id == place.model_id
    ]
    predictions.keep(
        session,
        setting,
        {(place.item_id, each.model_id): answer for place, each, answer in pairs if isinstance(answer, Prediction)},
    )
    apart = _compare(session, pairs)
    _look(session, setting, keys, apart)
    return len(places)


@dataclass(frozen=True, slots=True)
class _Place:
    """A routed case, with what its draws are made from."""

    item_id: int
    n: int
    model_id: int
    route: str
    label: str | None
    rule_id: int
    period_id: int
    segment: str
    band: int
    key_id: int
    routed_at: datetime
    name: str
    revision: int


_Pair = tuple[_Place, Challenge, Scored]


def _standing(project_id: int) -> tuple[Any, ...]:
    return (ChallengeRow.project_id == project_id, ChallengeRow.ended_at.is_(None))


def _held(session: Session, project_id: int, ids: Iterable[int]) -> list[Challenge]:
    """Those of these that stand, and do until this transaction ends."""
    kept = select(ChallengeRow.id).where(*_standing(project_id), ChallengeRow.id.in_(list(ids)))
    found = set(session.scalars(kept.order_by(ChallengeRow.id).with_for_update(read=True)))
    return [each for each in challenges.standing(session, project_id) if each.id in found]


def _close_work(session: Session, worker: str, item_ids: list[int]) -> list[int]:
    held = delete(Work).where(Work.kind == "shadow", Work.worker == worker, bulk.among(session, Work.item_id, item_ids))
    return list(session.scalars(held.returning(Work.item_id), execution_options={"synchronize_session": False}))


def _places(session: Session, item_ids: list[int]) -> list[_Place]:
    """The last routing of each case that nobody took back."""
    told = (
        Routing.item_id,
        Routing.n,
        Routing.model_id,
        Routing.route,
        Routing.label,
        Routing.routing_rule_id,
        Routing.period_id,
    )
    columns: tuple[Any, ...] = (*told, Routing.segment, Routing.band, RoutingRule.draw_key_id, Routing.routed_at)
    columns += (ItemKey.name, ItemKey.revision)
    query = select(*columns).join(RoutingRule, RoutingRule.id == Routing.routing_rule_id)
    query = query.join(ItemKey, ItemKey.item_id == Routing.item_id)
    theirs = (bulk.among(session, Routing.item_id, item_ids), ItemKey.closed_at.is_(None))
    rows = session.execute(query.where(*theirs).order_by(Routing.item_id, Routing.n)).all()
    return list({row.item_id: _Place(*row) for row in rows}.values())


def _compare(session: Session, pairs: Sequence[_Pair]) -> dict[_Place, float]:
    """Store who agrees; the cases that acted alone of which another label is said, with the chance that people look at them."""
    labels, rows, chances = _labels(session, pairs), [], dict[_Place, float]()
    for place, each, _ in pairs:
        label = labels.get((place.item_id, each.model_id))
        p = each.share if place.route == "auto" and label is not None and label != place.label else 0.0
        row = {"challenge_id": each.id, "item_id": place.item_id, "n": place.n, "agrees": label == place.label, "p": p}
        rows.append({**row, "scored_at": clock.now()})
        chances[place] = 1 - (1 - chances.get(place, 0.0)) * (1 - p)
    _add(session, Shadow, rows)
    return {place: p for place, p in chances.items() if p}


def _labels(session: Session, pairs: Sequence[_Pair]) -> dict[tuple[int, int], str]:
    """What each model says of each case, as it stands."""
    ids, models = [place.item_id for place, _, _ in pairs], [each.model_id for _, each, _ in pairs]
    theirs = (bulk.among(session, PredictionRow.item_id, ids), PredictionRow.model_id.in_(set(models)))
    query = select(PredictionRow.item_id, PredictionRow.model_id, PredictionRow.label).where(*theirs)
    return {(item_id, model_id): label for item_id, model_id, label in session.execute(query).tuples()}


def _look(session: Session, setting: Setting, keys: Keys, apart: Mapping[_Place, float]) -> None:
    """Draw, and make the blind checks of what is drawn. One that the evidence draws as well serves both."""
    drawn = {place: p for place, p in apart.items() if _uniform(setting, keys, place) < p}
    if not drawn:
        return
    checked = _checked(session, list(drawn))
    answered = _answered(session, list(checked.values()))
    now = clock.now()
    due = add_working_time(now, setting.policy.audit.due, setting.policy.calendar, setting.project.zone)
    _add(session, Draw, [_draw(setting, place, p, due, checked.get(place.item_id) in answered) for place, p in drawn.items()])
    fresh = [place for place in drawn if place.item_id not in checked]
    weights = alike.Alike(session, setting.id, [])
    _add(session, Task, [_task(setting, place, weights.weight(), now) for place in fresh])
    tallies.add(session, setting.id, open=len(fresh))


def _uniform(setting: Setting, keys: Keys, place: _Place) -> float:
    name = names.draw(place.name, place.revision)
    return routing.draw(keys.draw_key(place.key_id), setting.name, name, place.rule_id, "shadow")


def _checked(session: Session, places: Sequence[_Place]) -> dict[int, int]:
    """The spot checks that stand already, by item."""
    turns = {place.item_id: place.n for place in places}
    query = select(Task.item_id, Task.routing_n, Task.id).where(bulk.among(session, Task.item_id, list(turns)))
    rows = session.execute(query.where(Task.kind == "audit", Task.requested.is_(None))).tuples()
    return {item_id: task_id for item_id, n, task_id in rows if turns[item_id] == n}


def _answered(session: Session, task_ids: list[int]) -> set[int | None]:
    first = select(Decision.task_id).where(bulk.among(session, Decision.task_id, task_ids), Decision.stage == "first")
    return set(session.scalars(first))


def _draw(setting: Setting, place: _Place, p: float, due: datetime, answered: bool) -> dict[str, Any]:
    return {
        "item_id": place.item_id,
        "n": place.n,
        "purpose": "shadow",
        "project_id": setting.id,
        "period_id": place.period_id,
        "routing_rule_id": place.rule_id,
        "segment": place.segment,
        "band": place.band,
        "p": p,
        "key_id": place.key_id,
        "drawn_at": clock.now(),
        "due_at": due,
        "resolved_at": clock.now() if answered else None,
        "resolved_as": "blind" if answered else None,
        "loss": None,
    }


def _task(setting: Setting, place: _Place, weight: float, now: datetime) -> dict[str, Any]:
    """A spot check like any other, placed as if it had been drawn with those when the case was routed."""
    review = setting.policy.review
    span: timedelta | None = None if review.due == "off" else review.due
    due = add_working_time(place.routed_at, span, setting.policy.calendar, setting.project.zone) if span is not None else None
    return {
        "item_id": place.item_id,
        "routing_n": place.n,
        "project_id": setting.id,
        "kind": "audit",
        "seat": 1,
        "shared": False,
        "audience": "reviewers",
        "blind": True,
        "state": "pending",
        "rank": routing.rank(review.order, place.routed_at, weight, due),
        "weight": weight,
        "due_at": due,
        "skips": 0,
        "made_at": now,
    }


def _add(session: Session, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; what stands already stays."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    if rows:
        session.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def waiting(session: Session, project_id: int) -> int:
    """Cases that wait for the models in shadow."""
    ours = (Work.project_id == project_id, Work.kind == "shadow")
    return session.scalar(select(func.count()).where(*ours)) or 0

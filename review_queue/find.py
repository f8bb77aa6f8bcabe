"""Any item by its external id: its whole record on one page. Not for people who still have to judge it blind."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Activity, Decision, Draw, Item, ItemKey, Model, Outcome, Person, Routing, RoutingRule, Task
from db.tables import Prediction as PredictionRow
from review_queue import activity, claims, erasure, events, explanations, gold, names, truths
from review_queue.activity import Act, Actor
from review_queue.erasure import Erasing
from review_queue.errors import Forbidden, NotFound
from review_queue.events import Happened
from review_queue.explanations import Reason
from review_queue.projects import Setting
from review_queue.truths import Fact

SHOWN = 50
"""Earlier revisions of an item that its record names."""


@dataclass(frozen=True, slots=True)
class Routed:
    at: datetime
    route: str
    reason: str
    label: str | None
    confidence: float | None
    pi: float
    rule_id: int
    policy_version_id: int
    level: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Judged:
    at: datetime
    person: str
    recorded_by: str | None
    stage: str
    verdict: str
    label: str | None
    reason: str | None
    comment: str | None
    seconds: float | None
    blind: bool
    kind: str
    via: str
    reasons_shown: tuple[str, ...] | None = None  # hashes
    reasons_opened: bool | None = None
    among_many: bool = False  # one of many that a lead decided at once
    taken_back_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stood:
    at: datetime
    revision: int
    label: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Revision:
    """What the producer sent under an id: which time, when, and when it was replaced or cancelled."""

    revision: int
    received_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known of one item, in one of its revisions; `earlier` are those before, newest first."""

    external_id: str
    item_id: int
    item_revision: int
    closed_at: datetime | None
    earlier: tuple[Revision, ...]
    received_at: datetime
    input: dict[str, Any]
    show: dict[str, Any]
    groups: dict[str, Any]
    state: str
    predictions: dict[str, dict[str, float]]
    routings: tuple[Routed, ...]
    draws: tuple[dict[str, Any], ...]
    decisions: tuple[Judged, ...]
    outcomes: tuple[Stood, ...]
    events: tuple[Happened, ...]
    explanations: tuple[Reason, ...]
    activity: tuple[Act, ...]
    truths: tuple[Fact, ...] = ()
    erased: Erasing | None = None


def record(session: Session, setting: Setting, external_id: str, *, by: Actor, revision: int | None = None) -> Record:
    """The whole record of an item, of an earlier revision where one is named.

    Raises NotFound; Forbidden while this person may have to answer it, or the revision that stands, blind.
    """
    by.within(setting.id)
    key = standing = _key(session, setting, external_id)
    if revision is not None and revision != standing.revision:
        key = _key(session, setting, external_id, revision)
    item_id, noun = key.item_id, setting.project.noun
    if any(claims.waits_blind_for(session, each, by.id) for each in {item_id, standing.item_id}):
        raise Forbidden(f"this {noun} waits for a blind answer, and you are among those who may give it; it opens afterwards")
    item = session.get_one(Item, item_id)
    routed = _routings(session, item_id)
    stood = _outcomes(session, item_id)
    return Record(
        external_id=external_id,
        item_id=item_id,
        item_revision=key.revision,
        closed_at=key.closed_at,
        earlier=_earlier(session, key),
        received_at=item.received_at,
        input=json.loads(item.input or "{}"),
        show=json.loads(item.show or "{}"),
        groups=json.loads(item.groups or "{}"),
        state=_state(key, routed, stood),
        predictions=_predictions(session, item_id),
        routings=routed,
        draws=_draws(session, item_id),
        decisions=_decisions(session, item_id, by),
        outcomes=stood,
        events=tuple(events.of_item(session, item_id)),
        explanations=_explanations(session, item_id),
        activity=_activity(session, item_id, by),
        truths=truths.of_item(session, item_id),
        erased=erasure.of_item(session, item_id),
    )


def _key(session: Session, setting: Setting, external_id: str, revision: int | None = None) -> ItemKey:
    """The key that stands, or that of a replaced revision. Raises NotFound."""
    wanted = external_id if revision is None else names.place(external_id, revision)
    key = session.scalar(select(ItemKey).where(ItemKey.project_id == setting.id, ItemKey.external_id == wanted))
    if key is None or (revision is None and key.shown_id is not None):
        what = f"{setting.project.noun} {external_id!r}" + (f" of revision {revision}" if revision is not None else "")
        raise NotFound(f"{setting.project.heading} has no {what}")
    return key


def _earlier(session: Session, key: ItemKey) -> tuple[Revision, ...]:
    """The last revisions before one, as far as a page shows them."""
    places = [names.place(key.name, n) for n in range(max(1, key.revision - SHOWN), key.revision)]
    query = select(ItemKey.revision, Item.received_at, ItemKey.closed_at).join(Item, Item.id == ItemKey.item_id)
    of_id = query.where(ItemKey.project_id == key.project_id, ItemKey.external_id.in_(places))
    return tuple(Revision(*row) for row in session.execute(of_id.order_by(ItemKey.revision.desc())).tuples())


def _state(key: ItemKey, routed: tuple[Routed, ...], stood: tuple[Stood, ...]) -> str:
    if key.closed_at is not None:
        return "cancelled" if key.shown_id is None else "replaced"
    if not routed:
        return "received"
    return "failed" if routed[-1].route == "failed" else "decided" if stood else "waiting"


def search(session: Session, project_id: int, text: str, limit: int = 20) -> list[str]:
    """External ids that begin with a text, in order."""
    if "\x00" in text:
        return []
    begins = (ItemKey.external_id >= text, ItemKey.external_id < text + "\U0010ffff", ItemKey.shown_id.is_(None))
    query = select(ItemKey.external_id).where(ItemKey.project_id == project_id, *begins)
    rows = session.scalars(query.order_by(ItemKey.external_id).limit(limit))
    return [each for each in rows if each.startswith(text)]  # a language's order may put other letters between


def _routings(session: Session, item_id: int) -> tuple[Routed, ...]:
    query = (
        select(Routing, RoutingRule, Model)
        .join(RoutingRule, RoutingRule.id == Routing.routing_rule_id)
        .join(Model, Model.id == Routing.model_id)
        .where(Routing.item_id == item_id)
        .order_by(Routing.n)
    )
    return tuple(
        Routed(
            r.routed_at,
            r.route,
            r.reason,
            r.label,
            r.confidence,
            r.pi,
            rule.id,
            rule.policy_version_id,
            rule.level,
            model.name or str(model.version),
        )
        for r, rule, model in session.execute(query)
    )


def _predictions(session: Session, item_id: int) -> dict[str, dict[str, float]]:
    query = select(PredictionRow, Model).join(Model, Model.id == PredictionRow.model_id).where(PredictionRow.item_id == item_id)
    return {
        model.name or str(model.version): dict(zip(model.labels, row.probabilities, strict=True))
        for row, model in session.execute(query)
    }


def _draws(session: Session, item_id: int) -> tuple[dict[str, Any], ...]:
    rows = session.scalars(select(Draw).where(Draw.item_id == item_id).order_by(Draw.n, Draw.purpose))
    return tuple(
        {"purpose": d.purpose, "p": d.p, "drawn_at": d.drawn_at, "resolved_as": d.resolved_as, "loss": d.loss} for d in rows
    )


def _activity(session: Session, item_id: int, by: Actor) -> tuple[Act, ...]:
    """What was done about an item; that its answer is a known one is for owners to read."""
    acts = activity.of_subject(session, f"item:{item_id}")
    return tuple(act for act in acts if by.at_least("owner") or act.verb not in gold.VERBS)


def _kind(kind: str, person_id: int, by: Actor) -> str:
    """What kind of task an answer was given to. To reviewers, and to whoever gave it, gold is a check like any other."""
    return "audit" if kind == "gold" and (person_id == by.id or not by.at_least("lead")) else kind


def _decisions(session: Session, item_id: int, by: Actor) -> tuple[Judged, ...]:
    speaker = Person.__table__.alias("speaker")
    query = (
        select(Decision, Person.name, speaker.c.name, Task.kind)
        .join(Person, Person.id == Decision.person_id)
        .join(Task, Task.id == Decision.task_id)
        .outerjoin(speaker, speaker.c.id == Decision.recorded_by)
        .where(Decision.item_id == item_id)
        .order_by(Decision.id)
    )
    back = _taken_back(session, item_id)
    return tuple(
        Judged(
            d.decided_at,
            name,
            spoke,
            d.stage,
            d.verdict,
            d.label,
            d.reason,
            d.comment,
            d.seconds,
            d.blind,
            _kind(kind, d.person_id, by),
            d.via,
            tuple(d.reasons_shown) if d.reasons_shown is not None else None,
            d.reasons_opened,
            d.basis == "bulk",
            back.get(str(d.id)),
        )
        for d, name, spoke, kind in session.execute(query)
    )


def _taken_back(session: Session, item_id: int) -> dict[str, datetime]:
    """When decisions on an item were taken back, by their id."""
    said = select(Activity.at, Activity.before).where(Activity.subject == f"item:{item_id}", Activity.verb == "decision.undo")
    rows = session.execute(said.order_by(Activity.id)).tuples()
    return {str(before["decision"]): at for at, before in rows if before is not None}


def _outcomes(session: Session, item_id: int) -> tuple[Stood, ...]:
    rows = session.scalars(select(Outcome).where(Outcome.item_id == item_id).order_by(Outcome.revision))
    return tuple(Stood(o.decided_at, o.revision, o.label, o.source) for o in rows)


def _explanations(session: Session, item_id: int) -> tuple[Reason, ...]:
    models = session.scalars(select(PredictionRow.model_id).where(PredictionRow.item_id == item_id)).all()
    return tuple(reason for model in models for reason in explanations.of_prediction(session, item_id, model))

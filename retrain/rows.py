"""The rows of an exported dataset: every item that people answered by a position in the event sequence.

What the producer replaced or cancelled keeps its row where an answer had left the house before: it is a true label of the
content that was judged, and stands in earlier versions anyway. What had not left is in none. An item that was never
answered before it was taken back is not waited for any more.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from contract.canonical import digest
from contract.inputs import read_input
from contract.project import Project
from db.tables import (
    Blob,
    Dataset,
    Decision,
    Draw,
    Event,
    Item,
    Model,
    Person,
    PolicyVersion,
    Prediction,
    Routing,
    RoutingRule,
    Task,
)
from review_queue import events
from review_queue.intake import blobs_in
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting

KINDS = ("outcome", "revision", "confirmed", "disputed")
"""Events that carry an answer to an item."""
CLOSING = ("cancelled", "replaced")
"""Events after which nobody waits for an answer to the item."""
TEST_SHARE = 0.3
CHUNK = 500

META = (
    "label",
    "label_source",
    "label_basis",
    "task_kind",
    "verdict",
    "predicted_label",
    "confidence",
    "model_version",
    "policy_version",
    "review_probability",
    "weight",
    "window",
    "blind",
    "first_label",
    "reviewers",
    "agreement",
    "decided_at",
    "true_label",
    "split",
    "item_revision",
    "revises_watermark",
)
"""Columns beside external_id, the input fields and the groups."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows in the order of their external ids, the items behind them, and how far the queue is closed.

    Every routed or drawn item before `complete_through` has its answer; rows after it are open and carry no weight,
    because only the top of an ordered queue was decided there.
    """

    rows: tuple[dict[str, Any], ...]
    item_ids: tuple[int, ...]
    complete_through: datetime | None


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last answer to an item that had left the house by the watermark; `said`: positions and labels of all, in order."""

    item_id: int
    external_id: str
    body: Mapping[str, Any]
    said: tuple[tuple[int, str | None], ...]

    def label_at(self, watermark: int) -> tuple[bool, str | None]:
        """Whether the item was answered by then, and how."""
        held = [label for seq, label in self.said if seq <= watermark]
        return bool(held), held[-1] if held else None


def gather(session: Session, setting: Setting, watermark: int) -> Labelled:
    """The labelled rows as of a watermark: the same for the same watermark, whatever happened since."""
    answered, closed = _answered(session, setting.id, watermark)
    ordered = sorted(answered.values(), key=lambda each: (each.external_id, each.item_id))
    exported = _exported(session, setting.id, watermark)
    built = [row for chunk in _chunks(ordered) for row in _build(session, setting, chunk, exported)]
    by_design = {each.item_id for each, row in zip(ordered, built, strict=True) if row["_by_design"]}
    first_open = _first_open(session, setting.id, by_design | closed)
    before = [row["_routed_at"] for row in built if first_open is None or row["_routed_at"] < first_open]
    through = max(before, default=None)
    return Labelled(tuple(_finish(row, through) for row in built), tuple(each.item_id for each in ordered), through)


def latest(session: Session, project_id: int) -> int:
    """The position of a project's last answer that has left the house; 0 before the first."""
    while events.sequence(session):
        pass
    query = select(Event.seq, Event.body).where(Event.project_id == project_id, Event.kind.in_(KINDS))
    newest = session.execute(query.order_by(Event.seq.desc()).execution_options(yield_per=200))
    return next((seq for seq, body in newest if body["source"] != "auto"), 0)


def images(session: Session, project: Project, table: Labelled) -> dict[str, tuple[str, int]]:
    """Files of the images that rows name: path -> (SHA-256, size)."""
    fields = [name for name, feature in project.input.features.items() if feature.type == "image"]
    wanted = {path for row in table.rows for name in fields if (path := row[column(name)])}
    found: dict[str, tuple[str, int]] = {}
    for chunk in _chunks(sorted(wanted)):
        shas = {path.removeprefix("images/").partition(".")[0]: path for path in chunk}
        for sha, size in session.execute(select(Blob.sha256, Blob.size).where(Blob.sha256.in_(shas))):
            found[shas[sha]] = (sha, size)
    return found


def column(feature: str) -> str:
    """The column of an input field: its own name, unless a column of the dataset has it."""
    return f"input_{feature}" if feature in META or feature == "external_id" else feature


def split_of(project: str, external_id: str) -> str:
    """train or test, for good: a hash of the item's id decides, so no item ever changes sides."""
    share = int(digest(f"{project}\n{external_id}")[:12], 16) / 16**12
    return "test" if share < TEST_SHARE else "train"


def _answered(session: Session, project_id: int, watermark: int) -> tuple[dict[int, _Answered], set[int]]:
    """The answered items, and those that were taken back, as of a watermark."""
    of_project = (Event.project_id == project_id, Event.seq <= watermark, Event.kind.in_((*KINDS, *CLOSING)))
    query = select(Event.item_id, Event.seq, Event.kind, Event.body).where(*of_project, Event.item_id.is_not(None))
    answered, closed = dict[int, _Answered](), set[int]()
    for item_id, seq, kind, body in session.execute(query.order_by(Event.seq)):
        if kind in CLOSING:
            closed.add(item_id)
        elif body["source"] != "auto":
            before = answered[item_id].said if item_id in answered else ()
            answered[item_id] = _Answered(item_id, body["external_id"], body, (*before, (seq, body["label"])))
    return answered, closed


def _exported(session: Session, project_id: int, watermark: int) -> list[int]:
    """Watermarks of earlier versions, the newest first: those that there were when this one was first made."""
    exports = (Dataset.project_id == project_id, Dataset.kind == "export")
    same = session.scalar(select(func.min(Dataset.id)).where(*exports, Dataset.watermark == watermark))
    query = select(Dataset.watermark).where(*exports, Dataset.watermark < watermark).distinct()
    query = query if same is None else query.where(Dataset.id < same)
    return sorted((each for each in session.scalars(query) if each is not None), reverse=True)


def _revises(each: _Answered, exported: Sequence[int]) -> str | None:
    """The watermark of the newest earlier version in which the item had another label."""
    if len(each.said) == 1:
        return None
    other = (at for at in exported if each.label_at(at) not in ((False, None), (True, each.body["label"])))
    newest = next(other, None)
    return None if newest is None else str(newest)


def _first_open(session: Session, project_id: int, answered: set[int]) -> datetime | None:
    """When the first item was routed that a person should answer by rule or draw, and none has yet."""
    drawn = select(Draw.item_id).where(Draw.item_id == Routing.item_id, Draw.n == Routing.n).exists()
    query = (
        select(Routing.item_id, Routing.routed_at)
        .where(Routing.project_id == project_id, (Routing.route == "review") | drawn)
        .order_by(Routing.routed_at, Routing.item_id)
        .execution_options(yield_per=1000)
    )
    return next((at for item_id, at in session.execute(query) if item_id not in answered), None)


def _build(session: Session, setting: Setting, chunk: Sequence[_Answered], exported: Sequence[int]) -> Iterator[dict[str, Any]]:
    ids = [each.item_id for each in chunk]
    items = {row.id: row for row in session.scalars(select(Item).where(Item.id.in_(ids)))}
    media = _media(session, setting.project, items.values())
    said = _decisions(session, ids)
    routed = _routings(session, ids)
    for each in chunk:
        item = items[each.item_id]
        last = int(each.body["decision"])
        known = [(d, kind, n, name) for d, kind, n, name in said[each.item_id] if d.id <= last]
        yield {
            "external_id": each.external_id,
            **_inputs(setting.project, item, media),
            **_judgement(each, known),
            **routed[each.item_id, known[-1][2]],
            "true_label": None,
            "split": split_of(setting.name, each.external_id),
            "item_revision": each.body.get("item_revision", 1),
            "revises_watermark": _revises(each, exported),
            **_groups(setting.project, item),
            "_by_design": any(decision.basis != "requested" for decision, _, _, _ in known),
        }


def _judgement(each: _Answered, known: Sequence[tuple[Decision, str, int, str]]) -> dict[str, Any]:
    last, kind, _, _ = known[-1]
    finals = {d.task_id: d.label for d, _, _, _ in known if d.stage == "final" and d.verdict in ANSWERS}
    first = next((d for d, _, _, _ in known if d.stage == "first"), None)
    return {
        "label": each.body["label"],
        "label_source": each.body["source"],
        "label_basis": last.basis,
        "task_kind": kind,
        "verdict": last.verdict,
        "blind": first is not None,
        "first_label": first.label if first is not None else None,
        "reviewers": ";".join(dict.fromkeys(name for d, _, _, name in known if d.verdict in ANSWERS)),
        "agreement": sum(label == each.body["label"] for label in finals.values()) / len(finals),
        "decided_at": last.decided_at,
    }


def _finish(row: dict[str, Any], through: datetime | None) -> dict[str, Any]:
    """The columns in order; closed rows with the inverse of their probability, open ones without.

    What people answered only because somebody asked has no weight: no probability brought it to them.
    """
    closed = through is not None and row["_routed_at"] <= through
    pi = row["review_probability"]
    weighs = closed and pi > 0 and row["_by_design"]
    row = {**row, "window": "closed" if closed else "open", "weight": 1 / pi if weighs else None}
    del row["_routed_at"], row["_by_design"]
    return row


def _decisions(session: Session, ids: Sequence[int]) -> dict[int, list[tuple[Decision, str, int, str]]]:
    query = (
        select(Decision, Task.kind, Task.routing_n, Person.name)
        .join(Task, Task.id == Decision.task_id)
        .join(Person, Person.id == Decision.person_id)
        .where(Decision.item_id.in_(ids), Decision.verdict.in_(ANSWERS))
        .order_by(Decision.id)
    )
    found: dict[int, list[tuple[Decision, str, int, str]]] = {item_id: [] for item_id in ids}
    for decision, kind, n, name in session.execute(query):
        found[decision.item_id].append((decision, kind, n, name))
    return found


def _routings(session: Session, ids: Sequence[int]) -> dict[tuple[int, int], dict[str, Any]]:
    query = (
        select(Routing, Prediction.confidence, Model, PolicyVersion.content_hash)
        .join(RoutingRule, RoutingRule.id == Routing.routing_rule_id)
        .join(PolicyVersion, PolicyVersion.id == RoutingRule.policy_version_id)
        .join(Model, Model.id == Routing.model_id)
        .outerjoin(Prediction, (Prediction.item_id == Routing.item_id) & (Prediction.model_id == Routing.model_id))
        .where(Routing.item_id.in_(ids))
    )
    return {
        (r.item_id, r.n): {
            "predicted_label": r.label,
            "confidence": confidence,
            "model_version": model.name or str(model.version),
            "policy_version": policy[:12],
            "review_probability": r.pi,
            "_routed_at": r.routed_at,
        }
        for r, confidence, model, policy in session.execute(query)
    }


def _inputs(project: Project, item: Item, media: Mapping[str, str]) -> dict[str, Any]:
    held = read_input(project, item.input)
    return {column(name): _cell(held.get(name), media) for name in project.input.features}


def _groups(project: Project, item: Item) -> dict[str, Any]:
    held = json.loads(item.groups or "{}")
    return {column(name): held.get(name) for name in project.input.groups if name not in project.input.features}


def _cell(value: Any, media: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        sha = value["blob"].removeprefix("sha256:")
        return f"images/{sha}.{media.get(sha, 'bin')}"
    return value


def _media(session: Session, project: Project, items: Any) -> dict[str, str]:
    """The file ending of each image that the items name."""
    if not any(feature.type == "image" for feature in project.input.features.values()):
        return {}
    shas = sorted({sha for item in items for sha in blobs_in(item.input)})
    endings = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
    query = select(Blob.sha256, Blob.media_type)
    found = {sha: kind for chunk in _chunks(shas) for sha, kind in session.execute(query.where(Blob.sha256.in_(chunk)))}
    return {sha: endings.get(kind, "bin") for sha, kind in found.items()}


def counts(table: Labelled, name: str) -> dict[str, int]:
    """How often each value of a column stands there; a row without one counts as `(none)`."""
    held = Counter(row[name] if row[name] is not None else "(none)" for row in table.rows)
    return dict(sorted(held.items()))


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(values), CHUNK):
        yield values[begin : begin + CHUNK]

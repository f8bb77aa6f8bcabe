"""The rows of an exported dataset: every item that people answered by a position in the event sequence.

What the producer replaced or cancelled keeps its row where an answer had left the house before: it is a true label of the
content that was judged, and stands in earlier versions anyway. What had not left is in none. An item that was never
answered before it was taken back is not waited for any more.
"""

import json
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

from sqlalchemy import ColumnElement, Text, func, select, type_coerce
from sqlalchemy.orm import Session

from contract.canonical import digest
from contract.inputs import read_input
from contract.project import Project
from db import bulk
from db.engine import Database
from db.tables import (
    Blob,
    Dataset,
    Decision,
    Draw,
    Erased,
    Event,
    Explanation,
    Gold,
    Item,
    ItemKey,
    Model,
    Person,
    PolicyVersion,
    Prediction,
    Routing,
    RoutingRule,
    Task,
)
from review_queue import clock, truths
from review_queue.intake import blobs_in
from review_queue.outcomes import ANSWERS
from review_queue.projects import Setting
from review_queue.truths import Fact

KINDS = ("outcome", "revision", "confirmed", "disputed")
"""Events that carry an answer to an item."""
CLOSING = ("cancelled", "replaced", "erased")
"""Events after which nobody waits for an answer to the item."""
AUTO = '"source":"auto"'
"""How the body of an event says that no person gave the answer. Quotes within a text are escaped there."""
UNWEIGHTED = ("requested", "bulk", "shadow")
"""Why people were asked, where it was not by the rule or the draw whose probability the routing holds."""
TEST_SHARE = 0.3
CHUNK = 1000
"""Items of one reading."""
FEW = 50
"""Items of one reading with their explanations: those of images are long."""
Progress = Callable[[float, str], None]

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
    "true_at",
    "true_source",
    "split",
    "item_revision",
    "revises_watermark",
)
"""Columns beside external_id, the input fields and the groups."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An item that people answered, when it was routed, and its row."""

    item_id: int
    routed_at: datetime
    cells: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last answer to an item that had left the house by the watermark; `said`: positions and labels of all, in order."""

    item_id: int
    body: Mapping[str, Any]
    said: tuple[tuple[int, str | None], ...]

    @property
    def last(self) -> int:
        """The last decision that the answer rests on."""
        return int(self.body["decision"])

    def label_at(self, watermark: int) -> tuple[bool, str | None]:
        """Whether the item was answered by then, and how."""
        held = [label for seq, label in self.said if seq <= watermark]
        return bool(held), held[-1] if held else None


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all rows of a version share: watermarks of earlier ones, the newest first; since when the queue is open; names."""

    watermark: int
    at: datetime
    exported: Sequence[int]
    first_open: datetime | None
    models: Mapping[int, str]
    policies: Mapping[int, str]


def stream(database: Database, setting: Setting, watermark: int, progress: Progress | None = None) -> Iterator[Labelled]:
    """The labelled rows as of a watermark, by external id: the same for the same watermark, whatever happened since.

    Rows up to the first item that still waits for its answer are closed; later ones are open and carry no weight, because
    only the top of an ordered queue was decided there. Of the rows only those of one reading are in memory, and none is
    made in a transaction that lasts: what they are made of stands for good.
    """
    report = progress or (lambda share, step: None)
    report(0.0, "looking for what is still open")
    first_open = _first_open(database, setting.id, watermark)
    frame = database.read(_frame, setting.id, watermark, first_open)
    with tempfile.TemporaryFile() as spool:
        total, done = database.read(_order, setting.id, spool), 0
        spool.seek(0)
        while ids := read_ids(spool, CHUNK):
            yield from database.read(_rows, setting, frame, ids)
            done += len(ids)
            report(done / total, f"gathering rows: {done:,} of {total:,}")


def reasons(database: Database, watermark: int, ids: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The explanations that stood on the screen at a decision on one of these items, as of a watermark: in the order of the
    items, the decisions and the screen. `ids`: a file of the items' ids.

    What a client named that was no explanation of the item by then is told by its hash alone.
    """
    while chunk := read_ids(ids, FEW):
        yield from database.read(_reasons, watermark, chunk)


def latest(session: Session, project_id: int) -> int:
    """The position of a project's last answer that has left the house, or of what later proved true of an answered item; 0
    before the first."""
    told = Event.kind.in_((*KINDS, truths.KIND))
    theirs = (Event.project_id == project_id, told, Event.item_id.in_(_decided(project_id)))
    query = select(func.max(Event.seq)).where(*theirs, _not_automatic())
    return session.scalar(query) or 0


def erased(session: Session, project_id: int, watermark: int) -> int:
    """How many items that people had answered by a watermark are in no row, since they were erased."""
    told = select(Event.item_id).where(Event.item_id == Erased.item_id, Event.seq <= watermark, Event.kind.in_(KINDS))
    theirs = (Erased.project_id == project_id, told.where(_not_automatic()).exists())
    return session.scalar(select(func.count()).select_from(Erased).where(*theirs)) or 0


def images(session: Session, paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Files of images that rows name: path -> (SHA-256, size)."""
    shas = {path.removeprefix("images/").partition(".")[0]: path for path in paths}
    query = select(Blob.sha256, Blob.size).where(bulk.among(session, Blob.sha256, list(shas))).order_by(Blob.sha256)
    return {shas[sha]: (sha, size) for sha, size in session.execute(query)}


def read_ids(file: IO[bytes], count: int) -> "array[int]":
    """The next ids of a file of such, up to so many."""
    ids = array("q")
    ids.frombytes(file.read(count * ids.itemsize))
    return ids


def column(feature: str) -> str:
    """The column of an input field: its own name, unless a column of the dataset has it."""
    return f"input_{feature}" if feature in META or feature == "external_id" else feature


def split_of(project: str, external_id: str, test: float = TEST_SHARE) -> str:
    """train or test, for good: a hash of the item's id decides, so no item ever changes sides."""
    share = int(digest(f"{project}\n{external_id}")[:12], 16) / 16**12
    return "test" if share < test else "train"


def side(
    setting: Setting, external_id: str, subject_hash: str | None, given: Mapping[str, Any], received: datetime | None
) -> str:
    """train or test, for good, by what the project says of its split: a hash of the item's id; of its subject, so that all of one
    are on one side; or the day on which it arose, in the project's time zone, by the time field of the input where it has one,
    else when it came. An item without a subject stands for itself; a row without any time came before."""
    split = setting.project.split
    if split.by == "time" and split.start is not None:
        day = _day(setting.project, given.get(setting.project.input.time or ""), received)
        return "test" if day is not None and day >= split.start else "train"
    named = subject_hash if split.by == "subject" and subject_hash is not None else external_id
    return split_of(setting.name, named, split.test)


def sides(session: Session, setting: Setting, item_ids: Sequence[int], *, gold: bool = True) -> dict[int, str]:
    """The split of items as of now, by their ids: by `side`, and with `gold` test for those that were gold ever."""
    known = (Item.id, ItemKey.name, Item.subject_hash, Item.input, Item.received_at)
    query = select(*known).join(ItemKey, ItemKey.item_id == Item.id).where(bulk.among(session, Item.id, list(item_ids)))
    found = session.execute(query).all()
    asked = bulk.among(session, Gold.item_id, list(item_ids))
    known_answers = set(session.scalars(select(Gold.item_id).where(asked))) if gold else set()
    held = {row.id: side(setting, row.name, row.subject_hash, json.loads(row.input or "{}"), row.received_at) for row in found}
    return held | dict.fromkeys(known_answers & set(held), "test")


def _day(project: Project, text: Any, received: datetime | None) -> date | None:
    """The day on which a case arose, as the project's zone has it."""
    moment = datetime.fromisoformat(text) if isinstance(text, str) else received
    if moment is None:
        return None
    return moment.astimezone(project.zone).date() if moment.tzinfo is not None else moment.date()


def _decided(project_id: int) -> Any:
    """The items of a project that people ever answered."""
    return select(Decision.item_id).where(Decision.project_id == project_id, Decision.verdict.in_(ANSWERS))


def _not_automatic() -> ColumnElement[bool]:
    return type_coerce(Event.body, Text).not_like(f"%{AUTO}%")


def _order(session: Session, project_id: int, spool: IO[bytes]) -> int:
    """Write the ids of the items that people ever answered by external id, code point by code point; how many.

    The database sorts them, on its disk where they are many.
    """
    query = select(ItemKey.item_id).where(ItemKey.project_id == project_id, ItemKey.item_id.in_(_decided(project_id)))
    by_name = ItemKey.name.collate("C" if session.get_bind().dialect.name == "postgresql" else "BINARY")
    total = 0
    found = session.scalars(query.order_by(by_name, ItemKey.item_id).execution_options(yield_per=CHUNK))
    for ids in found.partitions():
        array("q", ids).tofile(spool)
        total += len(ids)
    return total


def _answered(session: Session, ids: Sequence[int], watermark: int) -> tuple[dict[int, _Answered], set[int]]:
    """Of these items those that were answered, and those that were taken back, as of a watermark."""
    told = (bulk.among(session, Event.item_id, list(ids)), Event.seq <= watermark, Event.kind.in_((*KINDS, *CLOSING)))
    query = select(Event.item_id, Event.seq, Event.kind, Event.body).where(*told, _not_automatic()).order_by(Event.seq)
    answered, closed = dict[int, _Answered](), set[int]()
    for item_id, seq, kind, body in session.execute(query).tuples():
        if kind in CLOSING:
            closed.add(item_id)
        else:
            before = answered[item_id].said if item_id in answered else ()
            answered[item_id] = _Answered(item_id, body, (*before, (seq, body["label"])))
    return answered, closed


def _frame(session: Session, project_id: int, watermark: int, first_open: datetime | None) -> _Frame:
    models = select(Model.id, Model.name, Model.version).where(Model.project_id == project_id)
    rules = select(RoutingRule.id, PolicyVersion.content_hash).where(RoutingRule.project_id == project_id)
    policies = rules.join(PolicyVersion, PolicyVersion.id == RoutingRule.policy_version_id)
    return _Frame(
        watermark=watermark,
        at=session.scalar(select(Event.made_at).where(Event.seq <= watermark).order_by(Event.seq.desc()).limit(1)) or clock.now(),
        exported=_exported(session, project_id, watermark),
        first_open=first_open,
        models={model_id: name or str(version) for model_id, name, version in session.execute(models)},
        policies={rule_id: hashed[:12] for rule_id, hashed in session.execute(policies)},
    )


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


def _first_open(database: Database, project_id: int, watermark: int) -> datetime | None:
    """When the first item was routed that a person should answer by rule or draw, and none had by a watermark.

    What was routed after the first one found so far is not looked at, so that the whole table is where nothing is open.
    """
    first, after = None, 0
    while True:
        opened, last = database.read(_open_after, project_id, watermark, after, first)
        first = min(filter(None, (first, opened)), default=None)
        if last is None:
            return first
        after = last


def _open_after(
    session: Session, project_id: int, watermark: int, after: int, before: datetime | None
) -> tuple[datetime | None, int | None]:
    """Of the next items for people that were routed `before` when the first was that is open, and the last item looked at."""
    theirs = (Draw.item_id == Routing.item_id, Draw.n == Routing.n, Draw.purpose != "shadow")
    drawn = select(Draw.item_id).where(*theirs).exists()
    query = select(Routing.item_id, func.min(Routing.routed_at)).group_by(Routing.item_id).order_by(Routing.item_id)
    query = query.where(Routing.project_id == project_id, Routing.item_id > after, (Routing.route == "review") | drawn)
    query = query if before is None else query.where(Routing.routed_at < before)
    asked = dict(session.execute(query.limit(CHUNK)).tuples().all())
    answered, closed = _answered(session, list(asked), watermark)
    settled = _by_design(session, answered) | closed
    opened = (at for item_id, at in asked.items() if item_id not in settled)
    return min(opened, default=None), max(asked) if len(asked) == CHUNK else None


def _by_design(session: Session, answered: Mapping[int, _Answered]) -> set[int]:
    """Items whose answer, or one before it, was not given only because somebody asked for it or two models differed."""
    by_design = Decision.basis.not_in(("requested", "shadow", "gold"))
    meant = (bulk.among(session, Decision.item_id, list(answered)), Decision.verdict.in_(ANSWERS), by_design)
    firsts = select(Decision.item_id, func.min(Decision.id)).where(*meant).group_by(Decision.item_id)
    return {item_id for item_id, first in session.execute(firsts) if first <= answered[item_id].last}


def _rows(session: Session, setting: Setting, frame: _Frame, ids: Sequence[int]) -> list[Labelled]:
    """Of these items those that were answered by the watermark and not erased since, in the order given."""
    answered, _ = _answered(session, ids, frame.watermark)
    erased = set(session.scalars(select(Erased.item_id).where(bulk.among(session, Erased.item_id, list(ids)))))
    kept = [answered[item_id] for item_id in ids if item_id in answered and item_id not in erased]
    return list(_build(session, setting, kept, frame))


def _build(session: Session, setting: Setting, chunk: Sequence[_Answered], frame: _Frame) -> Iterator[Labelled]:
    ids = [each.item_id for each in chunk]
    known_of = (Item.id, Item.input, Item.groups, Item.subject_hash, Item.received_at)
    query = select(*known_of).where(bulk.among(session, Item.id, ids))
    items = {row.id: row for row in session.execute(query)}
    media = _media(session, setting.project, [row.input for row in items.values()])
    said, routed, facts = _decisions(session, ids), _routings(session, ids), truths.of(session, ids, frame.watermark)
    aside = _test_only(session, ids, frame)
    for each in chunk:
        known = [row for row in said[each.item_id] if row.id <= each.last]
        routing = routed[each.item_id, known[-1].routing_n]
        cells = {
            "external_id": each.body["external_id"],
            **_inputs(setting.project, items[each.item_id].input, media),
            **_judgement(each, known),
            **_machine(routing, known, frame),
            **_truth(facts.get(each.item_id)),
            "split": "test" if each.item_id in aside else _side(setting, each, items[each.item_id]),
            "item_revision": each.body.get("item_revision", 1),
            "revises_watermark": _revises(each, frame.exported),
            **_groups(setting.project, items[each.item_id].groups),
        }
        yield Labelled(each.item_id, routing.routed_at, cells)


def _side(setting: Setting, each: _Answered, item: Any) -> str:
    given = json.loads(item.input or "{}") if setting.project.split.by == "time" else {}
    return side(setting, each.body["external_id"], item.subject_hash, given, item.received_at)


def _test_only(session: Session, ids: Sequence[int], frame: _Frame) -> set[int]:
    """Of these items those that no model learns from, whatever their id says: gold by then, and audits that were answered only
    after they had been counted as errors, since nobody looked in time."""
    gold = select(Gold.item_id).where(bulk.among(session, Gold.item_id, list(ids)), Gold.made_at <= frame.at)
    overdue = (Draw.purpose == "evidence", Draw.p < 1, Draw.resolved_as == "overdue", Draw.resolved_at <= frame.at)
    late = select(Draw.item_id).where(bulk.among(session, Draw.item_id, list(ids)), *overdue)
    answered = select(Decision.item_id).where(Decision.item_id == Draw.item_id, Decision.decided_at <= Draw.resolved_at)
    in_time = answered.where(Decision.verdict.in_(ANSWERS), Decision.basis == "drawn").exists()
    return {*session.scalars(gold), *session.scalars(late.where(~in_time))}


def _reasons(session: Session, watermark: int, ids: Sequence[int]) -> list[dict[str, Any]]:
    answered, _ = _answered(session, ids, watermark)
    told = (Decision.id, Decision.item_id, Decision.reasons_shown, Decision.reasons_opened, Decision.decided_at)
    given = (bulk.among(session, Decision.item_id, list(answered)), Decision.verdict.in_(ANSWERS), Decision.basis != "gold")
    query = select(*told).where(*given, Decision.reasons_shown.is_not(None)).order_by(Decision.id)
    by_item: dict[int, list[Any]] = {}
    for said in session.execute(query):
        if said.id <= answered[said.item_id].last:
            by_item.setdefault(said.item_id, []).append(said)
    there = _explanations(session, list(by_item))
    found = ((answered[item_id].body, said) for item_id in ids for said in by_item.get(item_id, ()))
    return [_reason(body, said, name, there) for body, said in found for name in said.reasons_shown]


def _explanations(session: Session, ids: Sequence[int]) -> dict[tuple[int, str], Any]:
    """Explanations of items by item and hash, and by item and id with hash, as the desk names them."""
    columns = (Explanation.id, Explanation.item_id, Explanation.hash, Explanation.method, Explanation.label, Explanation.made_at)
    query = select(*columns, type_coerce(Explanation.body, Text).label("body")).where(
        bulk.among(session, Explanation.item_id, ids)
    )
    rows = session.execute(query.order_by(Explanation.id.desc())).all()
    by_hash = {(row.item_id, row.hash): row for row in rows}
    return by_hash | {(row.item_id, f"{row.id}:{row.hash}"): row for row in rows}


def _reason(body: Mapping[str, Any], said: Any, name: str, there: Mapping[tuple[int, str], Any]) -> dict[str, Any]:
    row = there.get((said.item_id, name))
    known = row if row is not None and row.made_at <= said.decided_at else None
    return {
        "external_id": body["external_id"],
        "item_revision": body.get("item_revision", 1),
        "decision": str(said.id),
        "opened": said.reasons_opened,
        "explanation": str(known.id) if known else None,
        "hash": known.hash if known else name,
        "method": known.method if known else None,
        "label": known.label if known else None,
        "body": known.body if known else None,
    }


def _judgement(each: _Answered, known: Sequence[Any]) -> dict[str, Any]:
    last = known[-1]
    finals = {d.task_id: d.label for d in known if d.stage == "final" and d.verdict in ANSWERS}
    first = next((d for d in known if d.stage == "first"), None)
    return {
        "label": each.body["label"],
        "label_source": each.body["source"],
        "label_basis": last.basis,
        "task_kind": last.kind,
        "verdict": last.verdict,
        "blind": first is not None,
        "first_label": first.label if first is not None else None,
        "reviewers": ";".join(dict.fromkeys(d.name for d in known if d.verdict in ANSWERS)),
        "agreement": sum(label == each.body["label"] for label in finals.values()) / len(finals),
        "decided_at": last.decided_at,
    }


def _machine(routing: Any, known: Sequence[Any], frame: _Frame) -> dict[str, Any]:
    """What was predicted and why a person was asked; closed rows with the inverse of their probability, open ones without.

    What people answered only because somebody asked, or because two models differed, has no weight: not by the probability of the
    routing did it come to them. Nor has what a lead said of many cases at once, whom a filter brought.
    """
    closed = frame.first_open is None or routing.routed_at < frame.first_open
    brought = known[-1].basis != "bulk" and any(decision.basis not in UNWEIGHTED for decision in known)
    weighs = closed and routing.pi > 0 and brought
    return {
        "predicted_label": routing.label,
        "confidence": routing.confidence,
        "model_version": frame.models[routing.model_id],
        "policy_version": frame.policies[routing.routing_rule_id],
        "review_probability": routing.pi,
        "weight": 1 / routing.pi if weighs else None,
        "window": "closed" if closed else "open",
    }


def _truth(fact: Fact | None) -> dict[str, Any]:
    """What later proved true; without a label but with a date where none fits."""
    if fact is None:
        return dict.fromkeys(("true_label", "true_at", "true_source"))
    return {"true_label": fact.label, "true_at": fact.known_at, "true_source": fact.source}


def _decisions(session: Session, ids: Sequence[int]) -> dict[int, list[Any]]:
    told = (Decision.id, Decision.item_id, Decision.task_id, Decision.stage, Decision.verdict, Decision.label, Decision.basis)
    query = (
        select(*told, Decision.decided_at, Task.kind, Task.routing_n, Person.name)
        .join(Task, Task.id == Decision.task_id)
        .join(Person, Person.id == Decision.person_id)
        .where(bulk.among(session, Decision.item_id, ids), Decision.verdict.in_(ANSWERS), Decision.basis != "gold")
        .order_by(Decision.id)
    )
    found: dict[int, list[Any]] = {item_id: [] for item_id in ids}
    for row in session.execute(query):
        found[row.item_id].append(row)
    return found


def _routings(session: Session, ids: Sequence[int]) -> dict[tuple[int, int], Any]:
    told = (Routing.item_id, Routing.n, Routing.label, Routing.model_id, Routing.routing_rule_id, Routing.pi, Routing.routed_at)
    asked = (Prediction.item_id == Routing.item_id) & (Prediction.model_id == Routing.model_id)
    query = select(*told, Prediction.confidence).outerjoin(Prediction, asked).where(bulk.among(session, Routing.item_id, ids))
    return {(row.item_id, row.n): row for row in session.execute(query)}


def _inputs(project: Project, text: str | None, media: Mapping[str, str]) -> dict[str, Any]:
    held = read_input(project, text)
    return {column(name): _cell(held.get(name), media) for name in project.input.features}


def _groups(project: Project, text: str | None) -> dict[str, Any]:
    held = json.loads(text or "{}")
    return {column(name): held.get(name) for name in project.input.groups if name not in project.input.features}


def _cell(value: Any, media: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        sha = value["blob"].removeprefix("sha256:")
        return f"images/{sha}.{media.get(sha, 'bin')}"
    return value


def _media(session: Session, project: Project, inputs: Iterable[str | None]) -> dict[str, str]:
    """The file ending of each image that the inputs name."""
    if not any(feature.type == "image" for feature in project.input.features.values()):
        return {}
    shas = sorted({sha for text in inputs for sha in blobs_in(text)})
    endings = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
    query = select(Blob.sha256, Blob.media_type).where(bulk.among(session, Blob.sha256, shas))
    return {sha: endings.get(kind, "bin") for sha, kind in session.execute(query)}

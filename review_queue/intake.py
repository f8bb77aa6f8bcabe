"""Items in: each checked by itself, taken once, and never lost after the commit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from contract.canonical import canonical, digest, listed
from contract.given import check_prediction, keep, read_given, refuse_prediction
from contract.inputs import InputError, check_external_id, check_groups, check_input, check_shown
from contract.project import Project
from db import bulk
from db.tables import Blob, Item, ItemKey, Outcome, Routing, Work
from review_queue import backlog, clock, tallies, versions, waking
from review_queue.activity import Actor
from review_queue.projects import Setting
from review_queue.versions import Version

State = Literal["received", "waiting", "decided", "failed", "cancelled", "conflict", "invalid"]
MOST_NEW = 20
"""Model versions that one request may bring along for the first time."""
PARTS = ("external_id", "input", "show", "groups", "subject", "prediction")
_KNOWN = frozenset(PARTS)


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked item: canonical JSON texts and their hash. `model_version` made the prediction that came along."""

    external_id: str
    input: str
    show: str | None
    groups: str | None
    subject_hash: str | None
    content_hash: str
    prediction: str | None = None
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one item of a request. `problem` names the place and the mend where it was not taken."""

    external_id: str
    state: State
    new: bool = False
    route: str | None = None
    label: str | None = None
    confidence: float | None = None
    problem: str | None = None


def check(project: Project, raw: Mapping[str, Any]) -> Submission:
    """One raw item as a Submission. Raises InputError naming the place and the mend."""
    if not isinstance(raw, Mapping):
        raise InputError("item", "must be an object with external_id and input")
    if not _KNOWN.issuperset(raw):
        raise InputError(sorted(set(raw) - _KNOWN)[0], f"is no part of an item; send {', '.join(PARTS)}")
    sent = raw.get("prediction")
    refuse_prediction(project, sent)
    external_id = check_external_id(raw.get("external_id"))
    given = check_input(project, raw.get("input"))
    prediction = check_prediction(project, sent, given)
    shown = check_shown(project, raw.get("show"))
    groups = check_groups(project, raw.get("groups"))
    subject = raw.get("subject")
    subject_hash = hash_subject(project, subject)
    return _submission(project, external_id, given, shown, groups, subject_hash, prediction)


def _submission(
    project: Project,
    external_id: str,
    given: Mapping[str, Any],
    shown: Mapping[str, Any],
    groups: Mapping[str, Any],
    subject_hash: str | None,
    sent: Mapping[str, Any] | None,
) -> Submission:
    text = canonical(given)
    show_text = canonical(shown) if shown else None
    group_text = canonical(groups) if groups else None
    known = canonical({k: v for k, v in given.items() if v is not None}) if None in given.values() else text
    said = [known, *map(canonical, (show_text, group_text, subject_hash)), *([canonical(sent)] if sent else [])]
    content = digest(listed(said))  # without nulls: an optional feature added later adds one
    kept = keep(project, sent) if sent else None
    prediction, version = (canonical(kept), str(kept["model_version"])) if kept else (None, None)
    return Submission(external_id, text, show_text, group_text, subject_hash, content, prediction, version)


def accept(
    session: Session, setting: Setting, submissions: Sequence[Submission], *, by: Actor | None = None, freed: int = 0
) -> list[Receipt]:
    """Take what is new; answer for the rest what stands. One receipt per submission, in order.

    The same id with the same content is the same item, a cancelled one too; with other content it is a conflict for that
    item alone, which `withdrawal.replace` is for. An image or file whose bytes were never sent is invalid. A model version
    that is not known yet is registered. Raises Full where something is new and the policy lets no more wait, unless these take
    the place of as many, `freed`, that waited.
    """
    lacking = _lacking_blobs(session, setting.project, submissions)
    lacking |= _unfit_versions(session, setting, [s for s in submissions if s.external_id not in lacking], by)
    sound = {s.external_id: s for s in reversed(submissions) if s.external_id not in lacking}
    added = _insert(session, setting, [sound[external_id] for external_id in sorted(sound)], freed)
    held = _standing(session, setting.id, [external_id for external_id in sound if external_id not in added])
    held |= {each: (Receipt(each, "received", True), sound[each].content_hash) for each in added}
    return [_receipt(s, lacking, held) for s in submissions]


def standing(session: Session, project_id: int, external_ids: Sequence[str]) -> dict[str, Receipt]:
    """What became of items so far, by external id; unknown ids are absent."""
    return {external_id: receipt for external_id, (receipt, _) in _standing(session, project_id, external_ids).items()}


def _receipt(submission: Submission, lacking: Mapping[str, str], held: Mapping[str, tuple[Receipt, str]]) -> Receipt:
    if submission.external_id in lacking:
        return Receipt(submission.external_id, "invalid", problem=lacking[submission.external_id])
    receipt, content_hash = held[submission.external_id]
    if content_hash == submission.content_hash:
        return receipt
    problem = "this external_id came with other content before; send a new id, the content it had, or replace the item with PUT"
    return Receipt(submission.external_id, "conflict", problem=problem)


def _insert(session: Session, setting: Setting, submissions: Sequence[Submission], freed: int) -> set[str]:
    """Insert keys, items and work of what is new; their external ids. In the order of ids, so that two cannot deadlock."""
    ids = _insert_keys(session, setting.id, submissions) if submissions else {}
    new = [s for s in submissions if s.external_id in ids]
    if not new:
        return set()
    if len(new) > freed:
        backlog.require_room(session, setting)
    now, item_ids = clock.now(), [ids[s.external_id] for s in new]
    ready = select(Work.item_id).where(Work.project_id == setting.id, Work.kind == "score", Work.ready_at <= now)
    waking.call(session, "score", unless=ready)  # whoever scores that looks again before it waits
    bulk.put(
        session,
        Item,
        id=item_ids,
        project_id=setting.id,
        project_version_id=setting.project_version_id,
        input=[s.input for s in new],
        show=[s.show for s in new],
        groups=[s.groups for s in new],
        prediction=[s.prediction for s in new],
        subject_hash=[s.subject_hash for s in new],
        received_at=now,
    )
    bulk.put(session, Work, item_id=item_ids, kind="score", project_id=setting.id, ready_at=now, attempts=0)
    tallies.add(session, setting.id, items=len(new), unscored=len(new))
    return set(ids)


_KEYS = {
    "postgresql": text(
        "INSERT INTO item_key (project_id, external_id, content_hash) SELECT :project, e, h"
        " FROM json_to_recordset(CAST(:given AS json)) AS given(e text, h text)"
        " ON CONFLICT (project_id, external_id) DO NOTHING RETURNING external_id, item_id"
    ),
    "sqlite": text(
        "INSERT INTO item_key (project_id, external_id, content_hash) SELECT :project, value->>'e', value->>'h'"
        " FROM json_each(:given) WHERE true ON CONFLICT DO NOTHING RETURNING external_id, item_id"
    ),
}


def _insert_keys(session: Session, project_id: int, submissions: Sequence[Submission]) -> dict[str, int]:
    """Item ids of what is new, by external id."""
    given = json.dumps([{"e": s.external_id, "h": s.content_hash} for s in submissions])
    statement = _KEYS[session.get_bind().dialect.name]
    return dict(session.execute(statement, {"project": project_id, "given": given}).tuples().all())


def _standing(session: Session, project_id: int, external_ids: Sequence[str]) -> dict[str, tuple[Receipt, str]]:
    """Receipt and content hash of what is here, in one statement."""
    if not external_ids:
        return {}
    kept = (ItemKey.external_id, ItemKey.content_hash, ItemKey.closed_at)
    query = (
        select(*kept, Outcome.revision, Routing.route, Routing.label, Routing.confidence, Routing.reason)
        .outerjoin(Routing, Routing.item_id == ItemKey.item_id)
        .outerjoin(Outcome, Outcome.item_id == ItemKey.item_id)
        .order_by(ItemKey.item_id, Routing.n, Outcome.revision)
        .where(ItemKey.project_id == project_id, bulk.among(session, ItemKey.external_id, external_ids))
    )
    return {row.external_id: (_so_far(row), row.content_hash) for row in session.execute(query)}  # the last of each stands


def _so_far(row: Any) -> Receipt:
    if row.route is None:
        state: State = "received"
    else:
        state = "failed" if row.route == "failed" else "decided" if row.revision else "waiting"
    problem = row.reason if state == "failed" else None
    whole = "cancelled" if row.closed_at else state
    return Receipt(row.external_id, whole, False, row.route, row.label, row.confidence, problem)


def _lacking_blobs(session: Session, project: Project, submissions: Sequence[Submission]) -> dict[str, str]:
    kinds = [*(f.type for f in project.input.features.values()), *(f.type for f in project.input.show.values())]
    if not {"image", "file"} & set(kinds):
        return {}
    wanted = {s.external_id: set(blobs_in(s.input)) | set(blobs_in(s.show)) for s in submissions}
    every = sorted(set().union(*wanted.values())) if wanted else []
    stored = select(Blob.sha256).where(bulk.among(session, Blob.sha256, every)).order_by(Blob.sha256)
    kept = stored.with_for_update(read=True, key_share=True)  # what is being erased is waited for
    held = set(session.scalars(kept)) if every else set()
    return {
        external_id: f"the bytes of sha256:{sorted(shas - held)[0]} were never sent; post them to …/blobs first"
        for external_id, shas in wanted.items()
        if shas - held
    }


def _unfit_versions(session: Session, setting: Setting, submissions: Sequence[Submission], by: Actor | None) -> dict[str, str]:
    """Registers the versions of new items; why some are not taken: one new name too many, or a label its version never had."""
    named = [s for s in submissions if s.model_version is not None]
    if not named:
        return {}
    known, crowd = versions.known(session, setting.id), set[str]()
    if any(s.model_version not in known for s in named):
        crowd = _register_versions(session, setting, named, known, by)
        known = versions.known(session, setting.id)
    said = f"is one of more than {MOST_NEW} new ones at once; name the model that made the prediction, not its run or day"
    crowded = {s.external_id: f"prediction.model_version: {said}" for s in named if s.model_version in crowd}
    return crowded | dict(_newer_labels(named, known, set(setting.project.labels)))


def _register_versions(
    session: Session, setting: Setting, named: Sequence[Submission], known: Mapping[str, Version], by: Actor | None
) -> set[str]:
    """Register what new items name for the first time; the names that were too many. A conflict leaves no version behind."""
    here = _standing(session, setting.id, [s.external_id for s in named])
    fresh = dict.fromkeys(s.model_version for s in named if s.model_version and s.external_id not in here)
    new = [name for name in fresh if name not in known]
    versions.register_new(session, setting.id, new[:MOST_NEW], list(setting.project.labels), by=by)
    return set(new[MOST_NEW:])


def _newer_labels(named: Sequence[Submission], known: Mapping[str, Version], labels: set[str]) -> Iterator[tuple[str, str]]:
    newer = {name: labels - set(version.labels) for name, version in known.items()}
    for each in named:
        strange = newer.get(each.model_version or "")
        if strange and (given := sorted(strange & set(read_given(each.prediction or "").probabilities))):
            mend = "a model that gives it is another version: send its own model_version"
            yield each.external_id, f"prediction.model_version: {each.model_version} is older than the label {given[0]!r}; {mend}"


def hash_subject(project: Project, subject: Any) -> str | None:
    """What is kept of whom an item is about; None where nobody is named. Raises InputError."""
    return digest(f"{project.project}\n{check_external_id(subject, 'subject')}") if subject is not None else None


def blobs_in(text: str | None) -> Iterator[str]:
    """Every SHA-256 that a canonical JSON text names as a blob."""
    if text is None:
        return
    marker = '{"blob":"sha256:'
    at = text.find(marker)
    while at >= 0:
        begin = at + len(marker)
        yield text[begin : begin + 64]
        at = text.find(marker, begin)

"""Rows of the model table, and the versions of models that answer elsewhere: these register themselves as they arrive."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import exists, func, insert, select
from sqlalchemy.orm import Session

from contract.canonical import canonical
from contract.policy import Score
from contract.project import EXTERNAL, version_text
from db import blobs
from db.tables import Item, ItemKey, Model, Proposal
from review_queue import activity, clock, events, rules
from review_queue.activity import Actor
from review_queue.errors import Refused

GRID = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
"""Thresholds of an evidence period whose model answers elsewhere: fixed before any of its answers is seen."""


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version: the row, our number, the producer's name, its labels, whether it ever acted by signature."""

    id: int
    version: int
    name: str
    labels: tuple[str, ...]
    acted: bool


def known(session: Session, project_id: int) -> dict[str, Version]:
    """The versions of a project that answer elsewhere, by the producer's name."""
    acted = exists().where(Proposal.model_id == Model.id, Proposal.state == "applied")
    query = select(Model.id, Model.version, Model.name, Model.labels, acted).where(Model.project_id == project_id)
    rows = session.execute(query.where(Model.name.is_not(None)).order_by(Model.version)).tuples()
    return {name: Version(id_, version, name, tuple(labels), has) for id_, version, name, labels, has in rows if name}


def add(session: Session, project_id: int, sha: str, *, trainer: str, by: Actor | None, **held: Any) -> int:
    """A row of the model table as the next version of the project, told to everybody; its number.

    `held`: labels, schema_hash, datasets, figures, the producer's name where it answers elsewhere, and the last item that was
    there when it learned; what arrives after it was registered it cannot have learned from.
    """
    rules.lock(session, project_id)
    version = (session.scalar(select(func.max(Model.version)).where(Model.project_id == project_id)) or 0) + 1
    held = {"learned_through": last_item(session)} | held
    made = {"trainer": trainer, "sha256": sha, "made_at": clock.now(), "made_by": by.id if by else None}
    session.execute(insert(Model).values(project_id=project_id, version=version, **made, **held))
    activity.record(session, by, "model.register", f"model:{version}", project_id=project_id, after={"sha256": sha})
    told = {"version": version, "trainer": trainer} | ({"name": held["name"]} if held.get("name") else {})
    events.announce(session, project_id, "model.registered", told, item_id=None)
    return version


def last_item(session: Session) -> int:
    """The highest id of an item so far; 0 before the first."""
    return session.scalar(select(func.max(ItemKey.item_id))) or 0


def learned_through(session: Session, model_id: int) -> int:
    """The highest id of an item that a model may have learned from: where that was not kept, of what came before it was made."""
    model = session.get_one(Model, model_id)
    if model.learned_through is not None:
        return model.learned_through
    before = (Item.project_id == model.project_id, Item.received_at <= model.made_at)
    return session.scalar(select(Item.id).where(*before).order_by(Item.id.desc()).limit(1)) or 0


def register(
    session: Session,
    project_id: int,
    name: str,
    labels: Sequence[str],
    *,
    by: Actor | None,
    figures: Mapping[str, Any] | None = None,
) -> Version:
    """The version of that name; a new one plays no role yet. There are no files of it: its blob is a card that says so.

    `figures` are kept with a new one. Raises ValueError for what is no name, Refused where it stands with other labels.
    """
    name = version_text(name)
    rules.lock(session, project_id)
    standing = known(session, project_id).get(name)
    if standing is None:
        card = {"kind": EXTERNAL, "project": str(project_id), "model_version": name, "labels": list(labels)}
        sha = blobs.put(session, canonical(card).encode(), "application/json")
        kept = {"grids": {score: list(GRID) for score in get_args(Score)}, **(figures or {})}
        shape = {"labels": list(labels), "schema_hash": "", "datasets": [], "figures": kept}
        add(session, project_id, sha, trainer=EXTERNAL, by=by, name=name, **shape)
        return known(session, project_id)[name]
    if set(standing.labels) != set(labels):
        raise Refused(f"version {name} stands with the labels {', '.join(standing.labels)}; other labels are another version")
    return standing


def register_new(session: Session, project_id: int, names: Iterable[str], labels: Sequence[str], *, by: Actor | None) -> None:
    """Register those of the names that are not known yet."""
    standing = known(session, project_id)
    for name in dict.fromkeys(names):
        if name not in standing:
            register(session, project_id, name, labels, by=by)


def stranger(version: Version) -> str:
    """Why what a version says may not act that is not the champion."""
    if version.acted:
        return f"made by version {version.name}, which acts no longer"
    return f"made by version {version.name}, which nobody signed yet; `signoff model promote {version.version}` proposes it"

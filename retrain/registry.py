"""Model versions and the roles they play; a promotion is a proposal that people sign."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import insert, or_, select, true
from sqlalchemy.orm import Session

from contract.project import Project
from db import blobs
from db.tables import Blob, Model, ModelAlias, Person, Proposal, Signature
from retrain import verdicts
from retrain.records import ModelInfo, ProposalInfo
from review_queue import acting, activity, clock, events, projects, rules, spreads, succession, versions
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, Refused
from review_queue.projects import Setting
from review_queue.spreads import Spread

Kind = acting.Cause
MOST_BYTES = 512 * 2**20
"""Bytes of one packed model; both databases keep it as one value."""


def register(
    session: Session,
    project_id: int,
    archive: bytes,
    *,
    trainer: str,
    labels: Sequence[str],
    schema_hash: str,
    figures: Mapping[str, Any],
    datasets: Sequence[int],
    by: Actor | None,
    spread: Spread | None = None,
    learned_through: int | None = None,
) -> ModelInfo:
    """Keep a packed model as the next version of the project, with the spread of what it learned from where that is known.

    It plays no role yet. `learned_through`: the highest id of an item that it learned from; the last one of today where that is
    not known. Raises BlobTooLarge.
    """
    sha = blobs.put(session, archive, "application/zip", most=MOST_BYTES)
    kept: dict[str, Any] = {"labels": list(labels), "schema_hash": schema_hash, "figures": dict(figures)}
    kept |= {"learned_through": learned_through} if learned_through is not None else {}
    names = [str(each) for each in datasets]
    version = versions.add(session, project_id, sha, trainer=trainer, by=by, datasets=names, **kept)
    info = model(session, project_id, version)
    if spread is not None:
        spreads.keep(session, info.id, spread)
    return info


def register_external(
    session: Session,
    project_id: int,
    name: str,
    labels: Sequence[str],
    by: Actor | None,
    *,
    figures: Mapping[str, Any] | None = None,
) -> ModelInfo:
    """The version of a model that answers elsewhere, by the producer's name for it; a new one plays no role yet.

    `figures` are kept with a new one. Raises ValueError for what is no name, Refused where it stands with other labels.
    """
    version = versions.register(session, project_id, name, labels, by=by, figures=figures)
    return model(session, project_id, version.version)


def models(session: Session, project_id: int, limit: int | None = None) -> list[ModelInfo]:
    """The versions, newest first: all, or the latest and those that play a role."""
    roles = _roles(session, project_id)
    newest = select(Model.id).where(Model.project_id == project_id).order_by(Model.version.desc()).limit(limit)
    held = or_(Model.id.in_(newest), Model.id.in_(roles)) if limit is not None else true()
    query = select(Model, Blob.size).join(Blob, Blob.sha256 == Model.sha256).where(Model.project_id == project_id, held)
    return [_info(row, size, roles) for row, size in session.execute(query.order_by(Model.version.desc()))]


def model(session: Session, project_id: int, version: int) -> ModelInfo:
    """Raises NotFound."""
    query = select(Model, Blob.size).join(Blob, Blob.sha256 == Model.sha256)
    found = session.execute(query.where(Model.project_id == project_id, Model.version == version)).first()
    if found is None:
        raise NotFound(f"there is no model version {version}; `signoff model list` shows them")
    return _info(*found, _roles(session, project_id))


def model_by_id(session: Session, model_id: int) -> ModelInfo:
    """The version behind an id of the model table."""
    row = session.get_one(Model, model_id)
    return model(session, row.project_id, row.version)


def learned_through(session: Session, model_id: int) -> int:
    """The highest id of an item that a model may have learned from."""
    return versions.learned_through(session, model_id)


def champion(session: Session, project_id: int) -> ModelInfo | None:
    """The model that acts now."""
    held = acting.model_id(session, project_id)
    return model_by_id(session, held) if held is not None else None


def holds(session: Session, sha: str) -> bool:
    """Whether bytes are those of a model."""
    return session.scalar(select(Model.id).where(Model.sha256 == sha).limit(1)) is not None


def archive(session: Session, info: ModelInfo) -> bytes:
    """The packed model. Raises NotFound where the store lost it."""
    found = blobs.get(session, info.sha256)
    if found is None:
        raise NotFound(f"the files of model {info.version} are gone from the store")
    return found[0]


def propose(
    session: Session,
    project_id: int,
    version: int,
    *,
    by: Actor,
    draw_key_id: int,
    kind: Kind = "promote",
    comparison: Mapping[str, Any] | None = None,
    force: bool = False,
    why: str | None = None,
) -> ProposalInfo:
    """Ask that a version acts; whoever asks signs at once. Raises NotFound, Forbidden, Refused.

    Where another model acts, a promotion rests on a passed gate against that one. With `force` it does not, and `why` says the
    reason, which is kept. The first champion needs no gate, nor does a model that answers elsewhere and cannot be asked.
    """
    setting = projects.by_id(session, project_id)
    wanted, standing = model(session, project_id, version), champion(session, project_id)
    if standing is not None and standing.version == version:
        raise Refused(f"model {version} is the champion already")
    refuse_misfit(wanted, setting.project)
    _may_sign(session, by)
    if kind == "rollback" and wanted.id != acting.model_id(session, project_id, "previous"):
        raise Refused(f"model {version} did not act before this one; `signoff model promote {version}` proposes it")
    gate_id = None
    if kind == "promote" and standing is not None:
        _refuse_silent(wanted, force, why)
        gate_id = None if force else _passed(session, wanted, standing)
    held = {"comparison": dict(comparison) if comparison is not None else None, "gate_id": gate_id, "why": why}
    proposal_id = _put(session, setting, kind, (wanted, standing), by, held)
    after = {"proposal": str(proposal_id), **({"why": why} if why else {})}
    activity.record(session, by, f"model.{kind}", f"model:{version}", project_id=project_id, after=after)
    return sign(session, proposal_id, by=by, draw_key_id=draw_key_id)


def offer(session: Session, project_id: int, version: int, gate_id: int, *, by: Actor | None = None) -> ProposalInfo:
    """Put a version that passed the gate up for signing, with no name under it yet, and tell everybody; the open proposal of it
    where there is one, which rests on the newest gate from then on. Raises NotFound, Refused."""
    rules.lock(session, project_id)
    setting = projects.by_id(session, project_id)
    wanted, standing = model(session, project_id, version), champion(session, project_id)
    if standing is None or standing.version == version:
        raise Refused(f"model {version} has no other model to take over from; nothing is to be offered")
    refuse_misfit(wanted, setting.project)
    if (row := _open(session, wanted, standing)) is not None:
        row.gate_id = gate_id
        session.flush()
        return _proposal(session, row)
    made = proposal(session, _put(session, setting, "promote", (wanted, standing), by, {"gate_id": gate_id}))
    told = {"proposal": str(made.id), "gate": str(gate_id)}
    activity.record(session, by, "model.offer", f"model:{version}", project_id=project_id, after=told)
    events.announce(session, project_id, "model.offered", {"version": version, "against": made.against, **told}, item_id=None)
    return made


def _open(session: Session, wanted: ModelInfo, standing: ModelInfo) -> Proposal | None:
    """The open proposal that one takes over from the other."""
    theirs = (Proposal.model_id == wanted.id, Proposal.against_id == standing.id, Proposal.kind == "promote")
    return session.scalar(select(Proposal).where(*theirs, Proposal.state == "open").order_by(Proposal.id.desc()).limit(1))


def _put(
    session: Session,
    setting: Setting,
    kind: Kind,
    pair: tuple[ModelInfo, ModelInfo | None],
    by: Actor | None,
    held: Mapping[str, Any],
) -> int:
    wanted, standing = pair
    row = {
        "project_id": setting.id,
        "kind": kind,
        "model_id": wanted.id,
        "against_id": standing.id if standing else None,
        "signers": setting.policy.evidence.signers,
        "state": "open",
        "made_by": by.id if by else None,
        "made_at": clock.now(),
        **held,
    }
    return session.scalars(insert(Proposal).returning(Proposal.id), row).one()


def sign(session: Session, proposal_id: int, *, by: Actor, draw_key_id: int) -> ProposalInfo:
    """Put one's name under a proposal; with enough names the model acts from the next batch on.

    Raises NotFound; Forbidden for services, the known answers and people who are no owners; Refused where it is over.
    """
    row = session.scalar(select(Proposal).where(Proposal.id == proposal_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}")
    if row.state != "open":
        raise Refused(f"proposal {proposal_id} is {row.state} already")
    _may_sign(session, by)
    if session.get(Signature, (proposal_id, by.id)) is None:
        session.execute(insert(Signature).values(proposal_id=proposal_id, person_id=by.id, signed_at=clock.now()))
        activity.record(session, by, "proposal.sign", f"proposal:{proposal_id}", project_id=row.project_id)
    if len(_signed_by(session, proposal_id)) >= row.signers:
        _apply(session, row, by, draw_key_id)
    return _proposal(session, row)


def rollback(session: Session, project_id: int, *, by: Actor, draw_key_id: int) -> ProposalInfo:
    """Let the former champion act again: at once while it stands in shadow, by one lead or owner; after that it is proposed.

    Raises Refused where there is none, Forbidden for whoever may not.
    """
    if (stood := succession.way_back(session, project_id)) is not None:
        here = by.within(project_id)
        made = succession.step_back(session, stood, by=here, draw_key_id=draw_key_id, why=f"{here.name} brought it back")
        return proposal(session, made)
    held = acting.model_id(session, project_id, "previous")
    if held is None:
        raise Refused("there is no former champion to go back to")
    former = model_by_id(session, held)
    return propose(session, project_id, former.version, by=by, draw_key_id=draw_key_id, kind="rollback")


def withdraw(session: Session, proposal_id: int, *, by: Actor) -> None:
    """Take an open proposal off the table. Raises NotFound; Forbidden for who may not sign; Refused where it is over."""
    row = session.scalar(select(Proposal).where(Proposal.id == proposal_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}")
    if row.state != "open":
        raise Refused(f"proposal {proposal_id} is {row.state} already")
    _may_sign(session, by)
    row.state = "withdrawn"
    activity.record(session, by, "proposal.withdraw", f"proposal:{proposal_id}", project_id=row.project_id)


def proposal(session: Session, proposal_id: int) -> ProposalInfo:
    """Raises NotFound."""
    row = session.get(Proposal, proposal_id)
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}")
    return _proposal(session, row)


def proposals(session: Session, project_id: int, limit: int = 20) -> list[ProposalInfo]:
    """The latest proposals, newest first."""
    rows = session.scalars(select(Proposal).where(Proposal.project_id == project_id).order_by(Proposal.id.desc()).limit(limit))
    return [_proposal(session, row) for row in rows]


def _apply(session: Session, row: Proposal, by: Actor, draw_key_id: int) -> None:
    """The new champion acts from the next batch on."""
    _refuse_overtaken(session, row)
    setting = projects.by_id(session, row.project_id)
    refuse_misfit(model_by_id(session, row.model_id), setting.project)
    cause = cast(Kind, row.kind)
    succession.take_over(session, row.project_id, row.model_id, row.against_id, by=by, draw_key_id=draw_key_id, cause=cause)
    row.state, row.applied_at = "applied", clock.now()
    session.flush()


def _may_sign(session: Session, by: Actor) -> None:
    kind = session.scalar(select(Person.kind).where(Person.id == by.id))
    if kind != "person" or by.known_answers:
        raise Forbidden("only people sign: not services, and not the known answers")
    if not by.at_least("owner"):
        raise Forbidden("a promotion is signed by owners")


def refuse_misfit(wanted: ModelInfo, project: Project) -> None:
    """Raises Refused for a model that could not act in a project as it stands."""
    _refuse_strange_labels(wanted, project.labels)
    _refuse_unasked(wanted, project)


def _refuse_strange_labels(wanted: ModelInfo, labels: Mapping[str, Any]) -> None:
    strange = [label for label in wanted.labels if label not in labels]
    if strange:
        mend = "send predictions under another version" if wanted.external else "train a new one"
        raise Refused(f"model {wanted.called} predicts {strange[0]!r}, which the project no longer has; {mend}")


def _refuse_silent(wanted: ModelInfo, force: bool, why: str | None) -> None:
    if force and not (why or "").strip():
        raise Refused(
            f"say why model {wanted.called} is to act without the gate: --why TEXT; the reason is kept with the proposal"
        )


def _passed(session: Session, wanted: ModelInfo, standing: ModelInfo) -> int | None:
    """The passed gate that a promotion rests on; None for a model that cannot be asked. Raises Refused with what is missing."""
    if wanted.external:
        return None
    found = verdicts.latest(session, wanted.id, standing.id)
    if found is not None and found.passed and found.fresh:
        return found.id
    look = f"`signoff model compare {wanted.version}` looks at it"
    if found is None:
        lacking = f"nothing has held it against model {standing.called}, which acts, yet: {look}"
    elif found.passed:
        lacking = f"its look of {found.made_at:%Y-%m-%d} is more than {verdicts.FRESH.days} days old: {look} anew"
    else:
        lacking = f"{'; '.join(found.missing)} (looked at {found.made_at:%Y-%m-%d %H:%M} UTC; {look} anew)"
    forced = f"if it is to act all the same, `signoff model promote {wanted.version} --force --why TEXT`"
    raise Refused(f"model {wanted.version} has not passed the gate: {lacking}; {forced}")


def _refuse_overtaken(session: Session, row: Proposal) -> None:
    """A later look at the gate may have seen what an earlier one had not."""
    if row.gate_id is None or row.against_id is None:
        return
    found = verdicts.latest(session, row.model_id, row.against_id)
    if found is not None and not found.passed:
        raise Refused(
            f"since model {found.version} was proposed the gate has seen more, and does not let it pass any more: "
            f"{'; '.join(found.missing)}; withdraw the proposal"
        )


def _refuse_unasked(wanted: ModelInfo, project: Project) -> None:
    """Where predictions come from is said by project.yaml; a model that would not be asked cannot act."""
    name = project.project
    if project.external and not wanted.external:
        raise Refused(
            f"{name} takes the predictions that come with its items (model.uri: external), so model {wanted.version} "
            f"({wanted.trainer}) would never be asked; write `uri: registry:{name}@champion` in project.yaml, apply it, "
            f"and promote it then"
        )
    if wanted.external and not project.external:
        raise Refused(
            f"model {wanted.called} answers elsewhere, and {name} asks its own (model.uri: {project.model.uri}); write "
            f"`uri: external` in project.yaml, apply it, and promote it then"
        )


def _signed_by(session: Session, proposal_id: int) -> tuple[str, ...]:
    query = select(Person.name).join(Signature, Signature.person_id == Person.id).where(Signature.proposal_id == proposal_id)
    return tuple(session.scalars(query.order_by(Signature.signed_at)))


def _roles(session: Session, project_id: int) -> dict[int, list[str]]:
    roles: dict[int, list[str]] = {}
    for row in session.scalars(select(ModelAlias).where(ModelAlias.project_id == project_id).order_by(ModelAlias.alias)):
        roles.setdefault(row.model_id, []).append(row.alias)
    return roles


def _info(row: Model, size: int, roles: Mapping[int, Sequence[str]]) -> ModelInfo:
    return ModelInfo(
        id=row.id,
        version=row.version,
        trainer=row.trainer,
        labels=tuple(row.labels),
        datasets=tuple(int(each) for each in row.datasets),
        figures=row.figures,
        sha256=row.sha256,
        size=size,
        made_at=row.made_at,
        aliases=tuple(roles.get(row.id, ())),
        name=row.name,
    )


def _proposal(session: Session, row: Proposal) -> ProposalInfo:
    against = session.get(Model, row.against_id) if row.against_id is not None else None
    return ProposalInfo(
        id=row.id,
        kind=row.kind,
        version=session.get_one(Model, row.model_id).version,
        against=against.version if against else None,
        comparison=row.comparison,
        gate_id=row.gate_id,
        why=row.why,
        signers=row.signers,
        signed_by=_signed_by(session, row.id),
        state=row.state,
        made_at=row.made_at,
        applied_at=row.applied_at,
    )

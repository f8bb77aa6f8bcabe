"""Projects and policies as applied: each version kept under its content hash."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from contract.canonical import content_hash
from contract.policy import Policy
from contract.project import Project
from db.statements import finds, run
from db.tables import Dataset, ItemKey, Model, PolicyVersion, ProjectControl, ProjectVersion, Task
from db.tables import Project as ProjectRow
from db.types import moment
from review_queue import activity, clock, permits, rules, states, steps, tallies, terms
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, NotYet, Refused
from review_queue.permits import Permit
from review_queue.steps import Step, Wanted
from review_queue.terms import Terms

REMEMBERED = 1000
"""Versions of projects, and of policies, that a process keeps in memory."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A project as it stands: its files in force and the ids of their versions."""

    id: int
    name: str
    project: Project
    guidelines: str
    policy: Policy
    project_version_id: int
    policy_version_id: int
    frozen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying did: nothing where the same content stood already. `step`: the rise or fall that it is, open or applied."""

    project_changed: bool
    policy_changed: bool
    setting: Setting
    step: Step | None = None


def apply(session: Session, project: Project, policy: Policy, guidelines: str, draw_key_id: int, *, by: Actor | None) -> Applied:
    """Put both files in force.

    A policy is a wish: where it would let more act alone than was granted, that waits for signatures, that of `by` among them,
    and until then the stricter holds. None as `by` is the installation itself, and grants what it asks for.
    Raises Forbidden below owner, NotYet for a model that nothing asks, Refused where waiting work would be lost.
    """
    _refuse_unserved(project)
    row = session.scalar(select(ProjectRow).where(ProjectRow.name == project.project))
    _refuse_below(by, row)
    asked, permit = terms.terms(policy, list(project.labels)), None
    if row is not None:
        rules.lock(session, row.id)
        standing = by_id(session, row.id)
        _refuse_loss(session, standing, project)
        _refuse_other_split(session, standing, project)
        permit = permits.read(session, row.id) or Permit(terms.terms(standing.policy, list(standing.project.labels)))
    project_id = row.id if row is not None else _insert(session, project.project)
    body = {"project": project.model_dump(mode="json"), "guidelines": guidelines}
    version, changed = _keep(session, ProjectVersion, project_id, body, by)
    policy_version, policy_changed = _keep(session, PolicyVersion, project_id, policy.model_dump(mode="json"), by)
    _control(session, project_id, version, policy_version)
    step = None
    if changed or policy_changed:
        step = _ask(session, project_id, asked, permit, by.within(project_id) if by else None)
        cause = "policy" if policy_changed else "project"
        rule_id = rules.renew(session, project_id, policy, list(project.labels), draw_key_id, cause)
        if step is not None:
            steps.made_rule(session, step, rule_id)
        what = {"project": changed, "policy": policy_changed}
        activity.record(session, by, "project.apply", f"project:{project.project}", project_id=project_id, after=what)
    return Applied(changed, policy_changed, get(session, project.project), steps.step(session, step) if step else None)


def _ask(session: Session, project_id: int, asked: Terms, permit: Permit | None, by: Actor | None) -> int | None:
    """Grant what is no looser than what was granted; put the rest up for signing, with the name of whoever asks: the step."""
    granted = permit or Permit(terms.nothing(asked))
    why = terms.loosens(asked, granted.terms) if by is not None else ()
    held = terms.stricter(asked, granted.terms) if why else asked
    permits.write(session, project_id, Wanted(terms=held).over(granted))
    levels = (_level(granted.terms), _level(asked))
    if why and by is not None:
        signers, wanted = max(asked.signers, granted.terms.signers), Wanted(terms=asked, unit=terms.WHOLE)
        step = steps.offer(session, project_id, levels, "; ".join(why), wanted, signers=signers, by=by)
        if steps.may_sign(session, by, signers):
            steps.sign(session, step, by=by)
        return step
    if permit is not None and levels == ("set", "assist"):
        cause = "the policy says earned"
        return steps.fall(session, project_id, levels, cause, Wanted(terms=asked, unit=terms.WHOLE), by=by)
    return None


def _level(held: Terms) -> str:
    """What a project begins at under these terms."""
    return "assist" if held.autonomy == "earned" or not held.acts else "set"


def _refuse_below(by: Actor | None, row: ProjectRow | None) -> None:
    """A project is set by its owners, and made by whoever owns every one."""
    here = by if by is None or row is None else by.within(row.id)
    if here is not None and not here.at_least("owner"):
        raise Forbidden(f"{here.name} is a {here.role}; what is in force is set by owners and admins")


def _refuse_unserved(project: Project) -> None:
    """Raises NotYet with the mend where predictions would have to come from where nothing asks for them."""
    uri, served = project.model.uri, f"registry:{project.project}@champion"
    if project.external or uri == served:
        return
    mend = f"write {served}"
    if uri.startswith("oip:"):
        mend = "write `uri: external`, and let the service that asks that model post items with their predictions"
    elif not uri.startswith("registry:"):
        mend = f"take it in with `signoff model add {uri} --project {project.project} --sample FILE`, then write {served}"
    raise NotYet(f"model.uri {uri!r} is not served yet; {mend}")


def get(session: Session, name: str, *, by: Actor | None = None) -> Setting:
    """Raises NotFound, also for a project that is closed to `by`: then as if there were none."""
    found = _seen(_settings(session, "WHERE p.name = :it", name), by) if "\x00" not in name else []
    if not found:
        known = ", ".join(each.name for each in everything(session, by=by)) or "none yet"
        raise NotFound(f"there is no project {name!r}; known: {known}")
    return found[0]


def by_id(session: Session, project_id: int) -> Setting:
    return _settings(session, "WHERE p.id = :it", project_id)[0]


def everything(session: Session, *, by: Actor | None = None) -> Sequence[Setting]:
    """All projects, or those that are open to `by`, oldest first."""
    return _seen(_settings(session), by)


def _seen(found: list[Setting], by: Actor | None) -> list[Setting]:
    return [each for each in found if by is None or by.sees(each.id)]


def freeze(session: Session, name: str, draw_key_id: int, *, by: Actor, frozen: bool = True) -> bool:
    """Every new item goes to people from now on, the batch in hand included; or stop that. False: it was so, or waits for more
    signatures. Raises Forbidden, Refused."""
    setting = get(session, name, by=by)
    here = by.within(setting.id)
    step = rules.freeze(session, setting, by=here) if frozen else rules.lift(session, setting, by=here)
    setting = by_id(session, setting.id)  # as it stands now that the rule is held
    if step is None or (setting.frozen_at is not None) != frozen:
        return False
    cause = "freeze" if frozen else "unfreeze"
    rule_id = rules.renew(session, setting.id, setting.policy, list(setting.project.labels), draw_key_id, cause)
    steps.made_rule(session, step, rule_id)
    return True


def version_body(session: Session, version_id: int) -> tuple[Project, str]:
    """A kept project version: the project and its guidelines."""
    body = session.get_one(ProjectVersion, version_id).body
    return _project(json.dumps(body["project"])), body["guidelines"]


def _settings(session: Session, which: str = "", it: int | str | None = None) -> list[Setting]:
    """Projects as they stand, by one statement; a version is read once a process, since its hash says all of it."""
    return [_setting(session, *row) for row in run(session, f"{_STANDING} {which} ORDER BY p.id", {"it": it})]


_STANDING = """SELECT p.id, p.name, c.project_version_id, c.policy_version_id, c.frozen_at, v.content_hash, w.content_hash
    FROM project p JOIN project_control c ON c.project_id = p.id
    JOIN project_version v ON v.id = c.project_version_id JOIN policy_version w ON w.id = c.policy_version_id"""


def _setting(
    session: Session, id: int, name: str, version: int, policy: int, frozen: Any, body_hash: str, policy_hash: str
) -> Setting:
    if body_hash not in _projects:
        _remember(_projects, body_hash, version_body(session, version))
    if policy_hash not in _policies:
        _remember(_policies, policy_hash, _policy(json.dumps(session.get_one(PolicyVersion, policy).body)))
    frozen_at = moment(frozen) if frozen is not None else None
    return Setting(id, name, *_projects[body_hash], _policies[policy_hash], version, policy, frozen_at)


_projects: dict[str, tuple[Project, str]] = {}
_policies: dict[str, Policy] = {}


def _remember(kept: dict[str, Any], content: str, value: object) -> None:
    if len(kept) >= REMEMBERED:
        kept.clear()
    kept[content] = value


@lru_cache(maxsize=256)
def _project(text: str) -> Project:
    return Project.model_validate_json(text)


@lru_cache(maxsize=256)
def _policy(text: str) -> Policy:
    return Policy.model_validate_json(text)


def _insert(session: Session, name: str) -> int:
    return session.scalars(insert(ProjectRow).returning(ProjectRow.id), {"name": name, "made_at": clock.now()}).one()


def _keep(
    session: Session, table: type[ProjectVersion] | type[PolicyVersion], project_id: int, body: dict[str, Any], by: Actor | None
) -> tuple[int, bool]:
    """The id of the version with this content, and whether it is another than the one in force.

    The order of labels and features is content too: keys and columns follow it.
    """
    digest = content_hash(json.dumps(body))
    known = session.scalar(select(table.id).where(table.project_id == project_id, table.content_hash == digest))
    if known is None:
        row = {"project_id": project_id, "content_hash": digest, "body": body, "applied_at": clock.now()}
        known = session.scalars(insert(table).returning(table.id), {**row, "applied_by": by.id if by else None}).one()
    column = ProjectControl.project_version_id if table is ProjectVersion else ProjectControl.policy_version_id
    return known, session.scalar(select(column).where(ProjectControl.project_id == project_id)) != known


def _control(session: Session, project_id: int, project_version_id: int, policy_version_id: int) -> None:
    values = {"project_version_id": project_version_id, "policy_version_id": policy_version_id}
    if session.get(ProjectControl, project_id) is None:
        session.execute(insert(ProjectControl).values(project_id=project_id, **values))
    else:
        session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(values))
        session.expire_all()


def _refuse_loss(session: Session, standing: Setting, wanted: Project) -> None:
    """A label with open work cannot go, and a feature of items already here cannot change its type."""
    gone, counted = set(standing.project.labels) - set(wanted.labels), tallies.read(session, standing.id)
    if gone and finds(session, select(Task.id).where(Task.project_id == standing.id, states.OPEN)):
        raise Refused(f"label {sorted(gone)[0]!r} cannot go while {counted['open']} tasks are open; decide or cancel them first")
    items = max(counted["items"], 1) if finds(session, select(ItemKey.item_id).where(ItemKey.project_id == standing.id)) else 0
    for name, feature in wanted.input.features.items():
        before = standing.project.input.features
        old = before.get(name) or before.get(feature.was or name)
        if items and old is not None and old.type != feature.type:
            raise Refused(f"feature {name!r} cannot turn from {old.type} to {feature.type}: {items} items hold it; add a new one")
        if items and old is None and not feature.optional:
            raise Refused(f"feature {name!r} must be `optional: true`: {items} items already here lack it")


def _refuse_other_split(session: Session, standing: Setting, wanted: Project) -> None:
    """Cases would change sides: what a model learned from would judge the next one."""
    if standing.project.split == wanted.split:
        return
    for table, what in ((Dataset, "dataset version"), (Model, "model")):
        if finds(session, select(table.id).where(table.project_id == standing.id)):
            old, new = (_named(each.split.model_dump(mode="json", exclude_none=True)) for each in (standing.project, wanted))
            raise Refused(
                f"split cannot turn from {old} to {new}: a {what} rests on it, and cases that were learned from would judge; "
                f"leave it as it is, or begin another project"
            )


def _named(body: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in body.items())

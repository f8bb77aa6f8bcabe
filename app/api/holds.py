"""What a person holds, found by task or token: the glue between addresses of the API and verbs that want a session."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Claim, Item, ItemKey, Task
from review_queue import cases, intake, projects
from review_queue.activity import Actor
from review_queue.cases import Case
from review_queue.errors import ClaimExpired, NotFound
from review_queue.projects import Setting


def setting_of(session: Session, task_id: int) -> Setting:
    """The project of a task. Raises NotFound."""
    project_id = session.scalar(select(Task.project_id).where(Task.id == task_id))
    if project_id is None:
        raise NotFound(f"there is no task {task_id}")
    return projects.by_id(session, project_id)


def session_of(session: Session, actor: Actor, token: str) -> str:
    """The session in which a token was given to this person. Raises ClaimExpired."""
    name = session.scalar(select(Claim.session).where(Claim.token == token, Claim.person_id == actor.id))
    if name is None:
        raise ClaimExpired("this token does not hold the task; claim it again")
    return name


def case_of(session: Session, actor: Actor, task_id: int) -> tuple[Setting, Case] | None:
    """The case of a task as its holder may see it now; None where this person does not hold it."""
    query = select(Claim.session).where(Claim.task_id == task_id, Claim.person_id == actor.id, Claim.state == "held")
    name = session.scalar(query)
    if name is None:
        return None
    setting = setting_of(session, task_id)
    return setting, next(case for case in cases.held(session, setting, actor, name) if case.task_id == task_id)


def by_project(session: Session, actor: Actor, tokens: Sequence[str]) -> dict[int, list[str]]:
    """This person's tokens by the project of their tasks; tokens of nobody are absent."""
    query = select(Task.project_id, Claim.token).join(Claim, Claim.task_id == Task.id)
    found: dict[int, list[str]] = {}
    for project_id, token in session.execute(query.where(Claim.token.in_(tokens), Claim.person_id == actor.id)):
        found.setdefault(project_id, []).append(token)
    return found


def holds_blob(session: Session, setting: Setting, actor: Actor, sha: str) -> bool:
    """Whether a case that this person holds in the project shows these bytes."""
    mine = select(Claim.item_id).where(Claim.person_id == actor.id, Claim.state == "held")
    query = select(Item.input, Item.show).where(Item.project_id == setting.id, Item.id.in_(mine))
    return any(_names(row.input, row.show, sha) for row in session.execute(query))


def item_has_blob(session: Session, setting: Setting, external_id: str, sha: str) -> bool:
    """Whether an item of the project names these bytes."""
    query = select(Item.input, Item.show).join(ItemKey, ItemKey.item_id == Item.id)
    row = session.execute(query.where(ItemKey.project_id == setting.id, ItemKey.external_id == external_id)).first()
    return row is not None and _names(row.input, row.show, sha)


def _names(given: str | None, shown: str | None, sha: str) -> bool:
    return sha in {*intake.blobs_in(given), *intake.blobs_in(shown)}

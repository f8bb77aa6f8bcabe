"""Projects: which there are, how they do, and how to stop one."""

from fastapi import APIRouter
from sqlalchemy.orm import Session

from app.api import bodies, shapes
from app.api.access import Admin, Anyone, Here, Reader, Standing
from app.api.claims import labels
from app.api.problems import listed
from app.workspace import Workspace
from review_queue import insights, projects, steps
from review_queue.activity import Actor
from review_queue.projects import Setting

router = APIRouter(tags=["projects"], route_class=bodies.StrictRoute)


@router.get("/projects", summary="All projects")
def get_projects(here: Here, actor: Anyone) -> shapes.Projects:
    """Every project that is open to you, with its input and labels."""
    return shapes.Projects(projects=[_project(held) for held in here.database.read(projects.everything, by=actor)])


@router.get("/projects/{project}/stats", summary="How a project does", responses=listed(404))
def get_stats(here: Here, actor: Reader, held: Standing) -> shapes.Stats:
    """The backlog, totals, and the figures of the page Insights; each share with what it is a share of."""
    return here.database.read(_stats, held)


@router.post(
    "/projects/{project}/freeze",
    summary="Send everything to people",
    response_model_exclude_none=True,
    responses=listed(404, 409),
)
def post_freeze(here: Here, actor: Admin, held: Standing) -> shapes.Frozen:
    """From now on no prediction acts alone, those of the batch in hand included."""
    return _freeze(here, actor, held, frozen=True)


@router.post(
    "/projects/{project}/unfreeze", summary="Lift a freeze", response_model_exclude_none=True, responses=listed(404, 409)
)
def post_unfreeze(here: Here, actor: Admin, held: Standing) -> shapes.Frozen:
    """What was granted acts again, once as many have signed as the policy says; until then `step` names what waits. For owners
    and admins."""
    return _freeze(here, actor, held, frozen=False)


def _freeze(here: Workspace, actor: Actor, held: Setting, *, frozen: bool) -> shapes.Frozen:
    changed = here.database.write(projects.freeze, held.name, here.keys.draw_key_id, by=actor, frozen=frozen)
    offers = [] if frozen else here.database.read(steps.standing_offers, held.id)
    waits = next((str(each.id) for each in offers if each.wanted.frozen is False), None)
    return shapes.Frozen(project=held.name, frozen=frozen or waits is not None, changed=changed, step=waits)


def _project(held: Setting) -> shapes.ProjectOut:
    project = held.project
    return shapes.ProjectOut(
        project=held.name,
        title=project.heading,
        noun=project.noun,
        input_type=project.input.type,
        features={name: feature.type for name, feature in project.input.features.items()},
        labels=labels(project),
        frozen_at=held.frozen_at,
    )


def _stats(session: Session, held: Setting) -> shapes.Stats:
    return shapes.Stats(
        project=held.name,
        frozen_at=held.frozen_at,
        backlog=shapes.Backlog.model_validate(insights.backlog(session, held.id)),
        totals=insights.totals(session, held.id),
        insight=shapes.Insight.model_validate(insights.insight(session, held.id)),
    )

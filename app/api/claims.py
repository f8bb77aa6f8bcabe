"""Cases to work on: taken, held, given back."""

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.api import bodies, holds, shapes
from app.api.access import Here, Reviewer, Standing
from app.api.problems import listed
from contract.project import Project
from review_queue import cases, claims, projects
from review_queue.activity import Actor
from review_queue.cases import Case
from review_queue.projects import Setting

router = APIRouter(tags=["claims"], route_class=bodies.StrictRoute)


@router.post(
    "/projects/{project}/claims",
    summary="Take cases",
    response_model=shapes.Claims,
    responses={**listed(422), 204: {"description": "There is nothing for you to do now."}},
)
def post_claims(here: Here, actor: Reviewer, held: Standing, wanted: shapes.ClaimsIn) -> shapes.Claims | Response:
    """What you hold in this session, topped up to `count`; every lease of it is renewed. A case is yours until
    `expires_at`; renew it with a heartbeat while you work."""
    taken = here.database.write(cases.take, held, actor, wanted.session, wanted.count)
    return shapes.Claims(claims=[shown(held, case) for case in taken]) if taken else Response(status_code=204)


@router.post("/claims/heartbeat", summary="Keep cases", responses=listed(422))
def post_heartbeat(here: Here, actor: Reviewer, held: shapes.Tokens) -> shapes.Heartbeat:
    """Renews every lease whose token is named, and names those that are lost."""
    renewed = set(here.database.write(_renew, actor, held.tokens))
    lost = [token for token in held.tokens if token not in renewed]
    return shapes.Heartbeat(renewed=[token for token in held.tokens if token in renewed], lost=lost)


@router.post("/claims/release", summary="Give cases back", responses=listed(422))
def post_release(here: Here, actor: Reviewer, held: shapes.Tokens) -> shapes.Released:
    """Others may take them at once. A blind case whose first answer you gave is finished with that answer."""
    return shapes.Released(released=here.database.write(claims.release, actor, held.tokens))


def shown(held: Setting, case: Case) -> shapes.Case:
    """A case with what its project tells the person."""
    fields = {name: getattr(case, name) for name in Case.__slots__}
    told = {"labels": labels(held.project), "reasons": _reasons(held.project), "guidelines": held.guidelines}
    reasons = {"explanations": None} if case.prediction is None else {}
    return shapes.Case.model_validate({**fields, **told, **reasons}, from_attributes=True)


def labels(project: Project) -> list[shapes.LabelOut]:
    """The answers that a person may give, with the key of each."""
    keys = project.label_keys()
    return [
        shapes.LabelOut(label=label, title=project.title_of(label), key=keys.get(label), guideline=details.guideline)
        for label, details in project.labels.items()
    ]


def _reasons(project: Project) -> dict[str, list[str]]:
    return {verdict: list(reasons) for verdict, reasons in project.reasons.items()}


def _renew(session: Session, actor: Actor, tokens: list[str]) -> list[str]:
    renewed: list[str] = []
    for project_id, mine in holds.by_project(session, actor, tokens).items():
        lease = projects.by_id(session, project_id).policy.review.lease
        lost = set(claims.heartbeat(session, actor, mine, lease))
        renewed += [token for token in mine if token not in lost]
    return renewed

"""Policies tried on the traffic so far; nothing here changes what is in force."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from app.api import bodies, shapes
from app.api.access import Here, Reader, Standing
from app.api.problems import listed
from contract.files import FileError, parse_yaml
from contract.policy import Policy, policy_of
from review_queue import logged, simulate
from review_queue.errors import Invalid
from review_queue.projects import Setting

router = APIRouter(tags=["projects"], route_class=bodies.StrictRoute)


@router.post("/projects/{project}/policy/simulate", summary="Try a policy", responses=listed(404, 409, 422))
def post_simulate(here: Here, actor: Reader, held: Standing, wish: shapes.SimulateIn) -> shapes.Simulated:
    """What a policy would have done to the traffic so far: routes, errors with their interval, costs and work, beside what is in
    force (or another policy) and beside what happened. `unknown` counts what this log cannot answer. Changes nothing."""
    wanted = _policy(held, "policy", wish.policy)
    against = _policy(held, "against", wish.against) if wish.against is not None else None
    log = here.database.read(logged.read, held, wish.last)
    return shapes.Simulated.model_validate(simulate.compare(log, wanted, against, held.policy, list(held.project.labels)))


def _policy(held: Setting, name: str, given: Mapping[str, Any]) -> Policy:
    """A policy that came as JSON. Raises Invalid with everything that is wrong with it."""
    try:
        return policy_of(parse_yaml(json.dumps(given, ensure_ascii=False), name), held.project)
    except FileError as error:
        said = [f"{name}.{each.key}: {each.message}" if each.key else f"{name}: {each.message}" for each in error.problems]
        raise Invalid("; ".join(said)) from None

"""The API as one application: mounted at /api of the web process, or served alone."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.api import (
    autonomy,
    blobs,
    changes,
    claims,
    datasets,
    decisions,
    docs,
    erasing,
    events,
    health,
    items,
    jobs,
    models,
    parking,
    policy,
    problems,
    projects,
    reasons,
    shapes,
    truths,
    webhooks,
)
from app.api.bodies import BodyLimit
from app.api.problems import MEDIA_TYPE, Guard, listed
from app.similar import Similar
from app.workspace import Workspace

VERSION = "0.1.0"
_ABOUT = (
    "Post items, follow what becomes of them, or work on cases. Every call needs a key (`signoff key add`), sent as "
    "Authorization: Bearer KEY. Errors are problem documents (RFC 9457); `code` is for machines. Every id is a string, "
    "every time is UTC."
)
_OFF: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_api(workspace: Workspace) -> FastAPI:
    """The application for an opened installation."""
    api = _Api(
        title="Signoff",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        telemetry=_OFF,
    )
    api.state.workspace = workspace
    api.state.similar = Similar(workspace.database)
    api.add_middleware(BodyLimit)
    api.add_middleware(Guard)
    problems.install(api)
    api.include_router(_version_1())
    api.include_router(health.router)
    api.include_router(docs.router)
    return api


def _version_1() -> APIRouter:
    router = APIRouter(prefix="/v1", responses=listed(401, 403, 422, 500))
    parts = (
        items,
        truths,
        erasing,
        changes,
        blobs,
        claims,
        parking,
        decisions,
        reasons,
        events,
        projects,
        autonomy,
        policy,
        datasets,
        models,
        jobs,
        webhooks,
    )
    for part in parts:
        router.include_router(part.router)
    return router


def _operation_id(route: APIRoute) -> str:
    return route.name


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The document, with errors under their own media type and the bodies of items, which are read by hand."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for call in (call for methods in schema["paths"].values() for call in methods.values()):
                _mark_problems(call["responses"])
            for model in (shapes.Items, shapes.ItemContent, shapes.Truths):
                read = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schema["components"]["schemas"].update({**read.pop("$defs"), model.__name__: read})
        return self.openapi_schema or schema


def _mark_problems(responses: dict[str, Any]) -> None:
    for status, each in responses.items():
        if int(status) >= 400:
            each["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

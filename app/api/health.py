"""For those who watch over the process: alive, ready, and figures."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from app.api import lags, metrics, shapes
from app.api.access import Here, Reader
from app.api.problems import document, listed
from db.engine import Database
from db.migrate import misfit

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive")
def get_health() -> shapes.Health:
    """Says yes, and asks nothing else for it. Needs no key."""
    return shapes.Health(status="alive")


@router.get("/readyz", summary="Can it serve", response_model=shapes.Health, responses=listed(503))
def get_ready(request: Request, here: Here) -> shapes.Health | Response:
    """Whether the database answers and has the tables of this release; 503 with the reason otherwise. Needs no key."""
    reason = _unready(here.database)
    if reason is not None:
        return document(request.scope, 503, "not_ready", reason, {"Retry-After": "5"})
    return shapes.Health(status="ready")


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={**listed(401, 403, 422), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(here: Here, actor: Reader) -> Response:
    """Backlog, totals and webhooks per project, in Prometheus' text format."""
    text = metrics.text(here.database.read(metrics.figures, actor)) + lags.text(here.database.read(lags.figures, actor))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _unready(database: Database) -> str | None:
    try:
        return misfit(database)
    except (SQLAlchemyError, OSError):
        return "the database does not answer"

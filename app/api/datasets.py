"""Labelled data out: dataset versions and their files."""

import mimetypes
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api import bodies, jobs, shapes
from app.api.access import Exporter, Here, Reader, Standing
from app.api.decisions import BigId
from app.api.images import UNKNOWN
from app.api.problems import listed
from db.tables import Dataset as DatasetRow
from review_queue import projects
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.projects import Setting

if TYPE_CHECKING:
    from retrain.records import DatasetInfo

MOST_DATASETS = 100
router = APIRouter(tags=["datasets"], route_class=bodies.StrictRoute)


@router.get("/projects/{project}/datasets", summary="Dataset versions", responses=listed(404))
def get_datasets(
    here: Here,
    actor: Reader,
    held: Standing,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_DATASETS)] = 20,
) -> shapes.Datasets:
    """What was exported, and what the project began with, newest first."""
    return here.database.read(_page, held, before, limit)


@router.post("/projects/{project}/datasets", status_code=202, summary="Export a dataset", responses=listed(404, 422))
def post_dataset(
    here: Here, actor: Exporter, held: Standing, response: Response, wish: shapes.DatasetIn | None = None
) -> shapes.JobOut:
    """A worker writes what people have decided so far; the job's result names the dataset."""
    wished = wish or shapes.DatasetIn()
    args = {"format": wished.format} | ({"with_reasons": True} if wished.with_reasons else {})
    job = here.database.write(jobs.ask, actor, held.name, "export", args)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job


@router.get("/datasets/{dataset_id}", summary="One dataset version", responses=listed(404))
def get_dataset(here: Here, actor: Reader, dataset_id: BigId) -> shapes.Dataset:
    """Its manifest (dataset.json) and its files."""
    return here.database.read(_one, dataset_id)


@router.get(
    "/datasets/{dataset_id}/files/{name:path}",
    summary="A file of a dataset",
    responses={**listed(404), 200: {"content": {UNKNOWN: {"schema": {"type": "string", "format": "binary"}}}}},
    response_class=Response,
)
def get_file(here: Here, actor: Reader, dataset_id: BigId, name: Annotated[str, Path(max_length=1000)]) -> Response:
    """The bytes, as dataset.json lists them with their SHA-256. That you took them is recorded."""
    data = here.database.write(_take_out, actor, dataset_id, name)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2], safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(data, headers=headers, media_type=_harmless(name))


def _harmless(name: str) -> str:
    known = mimetypes.guess_type(name)[0] or UNKNOWN
    return known if known in ("text/csv", "application/json", "image/png", "image/jpeg") else UNKNOWN


def _page(session: Session, held: Setting, before: int | None, limit: int) -> shapes.Datasets:
    from retrain import datasets

    found = datasets.versions(session, held.id, before=before, limit=limit + 1)
    page = [_shown(info, held.name) for info in datasets.infos(session, [each.id for each in found[:limit]])]
    return shapes.Datasets(datasets=page, next=page[-1].id if len(found) > limit else None)


def _one(session: Session, dataset_id: int) -> shapes.Dataset:
    info, project_id = _known(session, dataset_id)
    return _shown(info, projects.by_id(session, project_id).name)


def _take_out(session: Session, actor: Actor, dataset_id: int, name: str) -> bytes:
    from retrain import datasets

    return datasets.take_out(session, dataset_id, name, by=actor)


def _known(session: Session, dataset_id: int) -> "tuple[DatasetInfo, int]":
    from retrain import datasets

    project_id = session.scalar(select(DatasetRow.project_id).where(DatasetRow.id == dataset_id))
    if project_id is None:
        raise NotFound(f"there is no dataset {dataset_id}")
    return datasets.dataset(session, dataset_id), project_id


def _shown(info: "DatasetInfo", project: str) -> shapes.Dataset:
    files = [
        shapes.DatasetFile(
            name=name, sha256=str(held["sha256"]), size=int(held["size"]), url=f"v1/datasets/{info.id}/files/{quote(name)}"
        )
        for name, held in info.files.items()
    ]
    return shapes.Dataset(
        id=str(info.id),
        project=project,
        kind=info.kind,
        rows=info.rows,
        watermark=str(info.watermark) if info.watermark is not None else None,
        content_hash=info.content_hash,
        files=files,
        manifest=dict(info.manifest),
        made_at=info.made_at,
        replaced_by=str(info.replaced_by) if info.replaced_by is not None else None,
    )

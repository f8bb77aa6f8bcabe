"""Which project an address lies in: the one it names, or that of the task, decision, job or dataset that it names."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Dataset, Decision, Job, Project, Task
from review_queue.errors import NotFound

TABLES: dict[str, type[Task | Decision | Job | Dataset]] = {
    "task_id": Task,
    "decision_id": Decision,
    "job_id": Job,
    "dataset_id": Dataset,
}


def of(session: Session, address: Mapping[str, Any]) -> int | None:
    """The id of the project; None where there is no such thing, or the address names none.

    `address`: the parameters of the path as they were sent.
    """
    if "project" in address:
        return session.scalar(select(Project.id).where(Project.name == address["project"]))
    name = next((name for name in TABLES if name in address), None)
    number = str(address[name]) if name is not None else ""
    if name is None or not number.isascii() or not number.isdigit() or int(number) >= 2**63:
        return None
    table = TABLES[name]
    return session.scalar(select(table.project_id).where(table.id == int(number)))


def unknown(address: Mapping[str, Any]) -> NotFound:
    """What is said of an address in a project that is closed to whoever asks: that there is nothing."""
    name, value = next((name, address[name]) for name in ("project", *TABLES) if name in address)
    shown = repr(value) if name == "project" else value
    return NotFound(f"there is no {name.removesuffix('_id')} {shown}")

"""A workspace that is made for a soak and goes with it: a database of its own, a project, a small model, people with keys."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from app.settings import Settings
from app.workspace import Workspace, open_workspace
from contract.policy import Policy
from contract.project import read_project
from review_queue import people, projects
from review_queue.projects import Setting

LEASE_SECONDS, UNDO_SECONDS = 5, 1
MOST_WAITING = 1_000
LEARN = 100


@dataclass(frozen=True, slots=True)
class Scratch:
    """What a soak works on. `inputs`: real rows that producers send again and again; `keys`: by person."""

    workspace: Workspace
    setting: Setting
    inputs: Sequence[dict[str, Any]]
    producer: str
    keys: dict[str, str]


@contextmanager
def scratch(url: str | None, crowd: int) -> Iterator[Scratch]:
    """Made, and gone afterwards. `url`: a PostgreSQL server on which a database is created; None is SQLite."""
    folder = Path(tempfile.mkdtemp(prefix="signoff-soak-"))
    try:
        with _database(url) as own:
            workspace = open_workspace(Settings(dir=folder, database_url=own, secret_key=secrets.token_urlsafe(32)))
            try:
                yield _fill(workspace, crowd)
            finally:
                workspace.database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database(url: str | None) -> Iterator[str | None]:
    if url is None:
        yield None
        return
    name = f"signoff_soak_{secrets.token_hex(4)}"
    _administrate(url, f"CREATE DATABASE {name}")
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        _administrate(url, f"DROP DATABASE {name} WITH (FORCE)")


def _administrate(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _fill(workspace: Workspace, crowd: int) -> Scratch:
    from app import demo
    from app.demo.data import sources
    from retrain import datasets, registry, training

    database = workspace.database
    source = next(each for each in sources() if each.project == "diagnosis")
    project = read_project(Path(demo.__file__).parent / "diagnosis" / "project.yaml")
    by, draw_key = workspace.local_actor("cli"), workspace.keys.draw_key_id
    setting = database.write(projects.apply, project, policy(), "", draw_key, by=by).setting
    known = source.items[:LEARN]
    rows = [{"external_id": item.external_id, "input": item.input, "label": item.label, "split": "train"} for item in known]
    database.write(datasets.add_base, setting, rows, by=by)
    info = training.train(database, setting.name, by=by, device="cpu", trainer="sklearn-linear")
    database.write(registry.propose, setting.id, info.version, by=by, draw_key_id=draw_key)
    keys = {f"person-{n}": _key(workspace, f"person-{n}", "lead" if n == 0 else "reviewer", "review") for n in range(crowd)}
    producer = _key(workspace, "producer", "lead", "produce", "read")
    return Scratch(workspace, setting, [item.input for item in source.items[LEARN:]], producer, keys)


def policy() -> Policy:
    """Everything there is, and soon: leases run out, answers leave, second opinions and checks are drawn, the queue is full."""
    review = {"lease": f"{LEASE_SECONDS}s", "undo_window": f"{UNDO_SECONDS}s", "second_opinion": 0.2, "max_skips": 2}
    alone = {"automate": {"at_least": 0.95}, "audit": {"rate": 0.2}, "intake": {"most_waiting": MOST_WAITING}}
    return Policy.model_validate({"autonomy": "set", "review": review, **alone})


def _key(workspace: Workspace, name: str, role: str, *scopes: str) -> str:
    workspace.database.write(people.add_person, name, role=role)
    return workspace.database.write(people.add_key, name, scopes=scopes)

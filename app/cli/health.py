"""What may be wrong with an installation: each check says what it saw, and the mend where something is wrong."""

import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from sqlalchemy import exists, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.settings import Settings
from db.engine import Database
from db.migrate import differences, misfit, standing
from db.tables import Claim, Draw, ModelAlias, Outbox, Project, Task, Work
from review_queue import addresses, clock, webhooks
from review_queue.errors import StrangeKey
from review_queue.secrets import open_keys

PATIENCE = timedelta(minutes=1)
"""How long work that is ready may lie before nobody seems to do it."""
ROOM = 2**30
"""Free bytes below which a disk is nearly full."""
WORKER = "start a worker: `signoff worker run`, or `signoff up`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `mend` is empty where all is well."""

    check: str
    saw: str
    mend: str = ""

    @property
    def ok(self) -> bool:
        return not self.mend


def examine(settings: Settings, port: int) -> Iterator[Finding]:
    """Every check, each in its turn; those of the database end where it cannot be read."""
    yield _python()
    yield _packages()
    yield _folder(settings)
    yield _room(settings)
    yield from _of_database(settings)
    yield _device(settings)
    yield _port(port)


# The machine


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", version, "" if sys.version_info >= (3, 11) else "use Python 3.11 or newer")


def _packages() -> Finding:
    try:
        required = metadata.requires("signoff") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", "signoff itself is not installed", "run `pip install -e .` in its folder")
    wrong = [problem for each in required if (problem := _misfit(each))]
    if wrong:
        return Finding("packages", "; ".join(wrong[:5]), "install what is named, best in a fresh environment: `make install`")
    return Finding("packages", f"signoff {metadata.version('signoff')} and all it needs")


def _misfit(required: str) -> str | None:
    from packaging.requirements import Requirement

    wanted = Requirement(required)
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return None
    try:
        held = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    return None if wanted.specifier.contains(held, prereleases=True) else f"{wanted.name} {held} is not {wanted.specifier}"


def _folder(settings: Settings) -> Finding:
    place = settings.dir.resolve()
    if not place.is_dir():
        if settings.database_url is not None and settings.secret_key:
            return Finding("workspace", f"no folder {place}, and none is needed")
        return Finding("workspace", f"there is no folder {place}", "make one with `signoff demo`, or name another with --dir")
    try:
        probe = place / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return Finding("workspace", f"{place} cannot be written to: {error.strerror}", "give this user the right to write there")
    return Finding("workspace", str(place))


def _room(settings: Settings) -> Finding:
    place = next((p for p in (settings.dir.resolve(), *settings.dir.resolve().parents) if p.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free
    return Finding("disk", f"{free / 1e9:.1f} GB free", "" if free > ROOM else f"make room on the disk of {place}")


def _device(settings: Settings) -> Finding:
    from inference.devices import resolve
    from inference.errors import InferenceError

    try:
        return Finding("device", f"{settings.device} is {resolve(settings.device)}")
    except (InferenceError, ImportError, OSError) as error:
        return Finding("device", str(error), "set SIGNOFF_DEVICE=cpu, or mend the driver and torch")


def _port(port: int) -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return Finding("port", f"{port} is free")
        except OSError:
            pass
    if _answers(port):
        return Finding("port", f"signoff answers on {port}")
    return Finding("port", f"{port} is taken by another program", "end that one, or give signoff another --port")


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError, ValueError):
        return False


# The database


def _of_database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None and not (settings.dir / "signoff.db").is_file():
        yield Finding("database", "there is none yet", "make one with `signoff demo` or `signoff project apply`")
        return
    database: Database | None = None
    try:
        database = Database(settings.url)
        reached = list(_reached(database))
        yield from reached
        if all(finding.ok for finding in reached):
            yield _secret(settings, database)
            yield from database.read(_state)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        yield Finding("database", _said(error), "see that it runs and that SIGNOFF_DATABASE_URL is right; restore a broken file")
    finally:
        if database is not None:
            database.close()


def _reached(database: Database) -> Iterator[Finding]:
    stands = standing(database)
    if stands == "empty":
        yield Finding("database", "it has no tables", "run `signoff db upgrade`")
        return
    if (reason := misfit(database)) is not None:
        saw, _, mend = reason.partition("; ")
        yield Finding("database", saw.replace("the database", "it"), mend)
        return
    found = differences(database) if stands == "current" else []
    mend = f"somebody changed the tables by hand: {found[0]}"[:200] if found else ""
    release = "this release" if stands == "current" else "a newer release, which this one fits"
    yield Finding("database", f"{database.engine.dialect.name}, of {release}", mend)
    if database.engine.dialect.name == "sqlite":
        yield database.read(_integrity)


def _integrity(session: Session) -> Finding:
    said = [str(row[0]) for row in session.execute(text("PRAGMA quick_check(5)"))]
    return Finding("integrity", said[0][:200], "" if said == ["ok"] else "restore the last backup of signoff.db")


def _secret(settings: Settings, database: Database) -> Finding:
    file = settings.dir / "secret.key"
    if not settings.secret_key and not file.is_file():
        return Finding("secret key", f"there is no {file}", "put the file back, or run `signoff doctor --new-key`")
    if not settings.secret_key and file.stat().st_mode & 0o077:
        return Finding("secret key", f"{file} can be read by others", f"chmod 600 {file}")
    try:
        if not settings.secrets:
            return Finding("secret key", f"{file} is empty", "put its content back, or run `signoff doctor --new-key`")
        keys = database.read(open_keys, settings.secrets)
    except StrangeKey as error:
        return Finding("secret key", "it is not the one of this database", str(error).partition("; ")[2])
    return Finding("secret key", f"{len(keys.draw)} in use")


def _state(session: Session) -> Iterator[Finding]:
    found = [_outbox(session), _webhooks(session), _waiting(session), _leases(session), _stuck(session), _draws(session)]
    return iter([*found, *_champions(session)])


def _outbox(session: Session) -> Finding:
    late = _number(session, select(func.count()).where(Outbox.ready_at < clock.now() - PATIENCE))
    return Finding("events", f"{late:,} ready for over a minute and not in sequence", WORKER if late else "")


def _webhooks(session: Session) -> Finding:
    found = webhooks.failing(session)
    mend = (
        f"{addresses.shown(found[0].url)} takes nothing: {found[0].last_error}; `signoff webhook show {found[0].id}`"
        if found
        else ""
    )
    return Finding("webhooks", f"{len(found)} that took nothing for a day", mend[:300])


def _waiting(session: Session) -> Finding:
    """Work that nobody has taken, in projects that have a model."""
    acting = select(ModelAlias.project_id).where(ModelAlias.alias == "champion")
    ready = select(func.count()).where(Work.worker.is_(None), Work.ready_at < clock.now() - 5 * PATIENCE)
    late = _number(session, ready.where(Work.project_id.in_(acting)))
    return Finding("work", f"{late:,} items ready for over five minutes", WORKER if late else "")


def _leases(session: Session) -> Finding:
    query = select(func.count()).where(Work.worker.is_not(None), Work.ready_at < clock.now() - PATIENCE)
    late = _number(session, query)
    return Finding("leases", f"{late:,} items whose worker went away", WORKER if late else "")


def _stuck(session: Session) -> Finding:
    held = exists().where(Claim.task_id == Task.id, Claim.state == "held")
    found = session.scalars(select(Task.id).where(Task.state == "in_progress", ~held).limit(5)).all()
    mend = f"report this as a fault, with the tasks {', '.join(map(str, found))}" if found else ""
    return Finding("tasks", f"{len(found)} in progress that nobody holds", mend)


def _draws(session: Session) -> Finding:
    late = _number(session, select(func.count()).where(Draw.due_at < clock.now() - PATIENCE, Draw.resolved_at.is_(None)))
    return Finding("draws", f"{late:,} overdue and not closed", WORKER if late else "")


def _champions(session: Session) -> Iterator[Finding]:
    acting = exists().where(ModelAlias.project_id == Project.id, ModelAlias.alias == "champion")
    without = set(session.scalars(select(Project.name).where(~acting)))
    for name in session.scalars(select(Project.name).order_by(Project.id)):
        mend = f"`signoff model train --project {name}`, then `signoff model promote VERSION`" if name in without else ""
        yield Finding(f"model of {name}", "none acts" if mend else "one acts", mend)


def _number(session: Session, query: Any) -> int:
    return session.scalar(query) or 0


def _said(error: Exception) -> str:
    lines: Sequence[str] = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

"""An opened installation: its database, migrated, and its keys."""

import getpass
from dataclasses import dataclass

from app.settings import Settings
from db.engine import Database, Limits
from db.migrate import misfit, standing, upgrade
from review_queue import people
from review_queue.activity import Actor, Via
from review_queue.secrets import Keys, open_keys


class NotReady(RuntimeError):
    """The installation cannot be used yet; the message says the mend."""


@dataclass(frozen=True)
class Workspace:
    settings: Settings
    database: Database
    keys: Keys

    def local_actor(self, via: Via) -> Actor:
        """The person at this machine."""
        return self.database.write(people.local_actor, local_name(), via)


def open_workspace(settings: Settings, *, adopt_key: bool = False, serving: bool = False) -> Workspace:
    """Open the database, making the tables where there are none. Raises NotReady, StrangeKey.

    `serving`: for people and programs that wait, so no statement may take longer than the settings say.
    """
    settings.bound_threads()
    if settings.database_url is None:
        settings.dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url, _limits(settings, serving))
    if standing(database) == "empty":
        upgrade(database)
    if (reason := misfit(database)) is not None:
        raise NotReady(reason)
    keys = database.write(open_keys, settings.secrets, adopt=adopt_key)
    return Workspace(settings, database, keys)


def _limits(settings: Settings, serving: bool) -> Limits:
    if not serving:
        return Limits(settings.connections)
    return Limits(settings.connections, settings.statement_seconds, idle_seconds=2 * settings.statement_seconds)


def local_name() -> str:
    """The name under which whoever runs this machine appears."""
    try:
        return getpass.getuser()
    except OSError:
        return "local"

"""What went wrong, as one sentence for the person at the terminal."""

import sys

DOMAIN = (
    ("contract.files", "FileError"),
    ("contract.inputs", "InputError"),
    ("contract.conditions", "ConditionError"),
    ("db.blobs", "BlobTooLarge"),
    ("db.migrate", "StrangeTables"),
    ("review_queue.errors", "Refused"),
    ("inference.errors", "InferenceError"),
    ("explain.errors", "ExplainError"),
    ("app.workspace", "NotReady"),
    ("app.soak.crew", "NotUp"),
    ("app.soak.server", "Unavailable"),
    ("app.loading", "LoadError"),
    ("app.cli.console", "Problem"),
)
"""Errors whose text is for people: module and class. What was never imported was never raised."""


def sentence(error: BaseException) -> str | None:
    """The message where the error is one that people can mend; None for a fault of the program."""
    if any(isinstance(error, kind) for kind in _known(DOMAIN)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}"
    return _of_database(error)


def _of_database(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name in ("psycopg", "psycopg2"):
        return "PostgreSQL needs a driver: write postgresql+psycopg://… and `pip install 'signoff[postgres]'`"
    if any(isinstance(error, kind) for kind in _known((("sqlalchemy.exc", "ArgumentError"),))):
        return "SIGNOFF_DATABASE_URL is no database URL; write e.g. postgresql+psycopg://USER:PASSWORD@HOST/NAME"
    if any(isinstance(error, kind) for kind in _known((("sqlalchemy.exc", "DBAPIError"),))):
        said = str(getattr(error, "orig", error)).strip().splitlines()
        return f"the database refuses: {said[0] if said else type(error).__name__}; `signoff doctor` tells more"
    return None


def _known(names: tuple[tuple[str, str], ...]) -> list[type]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in names)
    return [kind for kind in found if isinstance(kind, type)]

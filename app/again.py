"""Acts of a person that may meet another at the same moment."""

from typing import TypeVar

from sqlalchemy.exc import IntegrityError

from db.engine import Database, P, Verb
from review_queue.errors import AlreadyDecided

Result = TypeVar("Result")


def once_more(database: Database, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Write, and again where another came first: the second look finds what that one stored, under the same key the reply."""
    try:
        return database.write(verb, *args, **kwargs)
    except (AlreadyDecided, IntegrityError):
        return database.write(verb, *args, **kwargs)

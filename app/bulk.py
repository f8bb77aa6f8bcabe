"""An act over many cases from one end to the other: batch by batch, each a transaction of its own, with how far it is."""

from collections.abc import Callable

from app.again import once_more
from db.engine import Database
from review_queue import bulk
from review_queue.activity import Actor
from review_queue.bulk import Act, Counted, Undone, Wish
from review_queue.filters import Filter
from review_queue.projects import Setting

Progress = Callable[[int], None]
"""Told after each batch how many cases there are so far."""


def preview(
    database: Database, setting: Setting, actor: Actor, held: Filter, wish: Wish, progress: Progress = lambda _: None
) -> Counted:
    """What an act would do: gone through to the end, or until there are more than one act takes."""
    found = database.read(bulk.look, setting, actor, held, wish)
    while found.after is not None and found.fit <= bulk.MOST:
        progress(found.fit)
        found += database.read(bulk.look, setting, actor, held, wish, after=found.after)
    return found


def begin(
    database: Database, setting: Setting, actor: Actor, key: str, held: Filter, wish: Wish, *, asked: int, upto: int
) -> Act:
    """Write the act down, once for each key."""
    return once_more(database, bulk.begin, setting, actor, key, held, wish, asked=asked, upto=upto)


def act(database: Database, setting: Setting, actor: Actor, act_id: int, progress: Progress = lambda _: None) -> Act:
    """Do what is left of an act; one that was broken off is taken up from the beginning of its filter."""
    done = database.read(bulk.get, setting, act_id).done
    after: str | None = None
    while True:
        step = database.write(bulk.step, setting, actor, act_id, after=after)
        done, after = done + step.done, step.after
        progress(done)
        if after is None:
            return database.read(bulk.get, setting, act_id)


def undo(database: Database, setting: Setting, actor: Actor, act_id: int, progress: Progress = lambda _: None) -> Undone:
    """Take a whole act back."""
    found = Undone(after=0)
    while found.after is not None:
        found += database.write(bulk.undo, setting, actor, act_id, after=found.after)
        progress(found.back)
    return found

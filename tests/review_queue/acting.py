"""What the tests of the queue do again and again."""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event

from db.engine import Database
from review_queue import cases
from review_queue.activity import Actor
from review_queue.projects import Setting

Move = Callable[[timedelta], None]


def take(database: Database, held: Setting, actor: Actor, count: int = 1, session: str = "s") -> list[cases.Case]:
    return database.write(cases.take, held, actor, session, count)


def at_once(acts: Iterable[Callable[[], Any]]) -> list[BaseException]:
    """Run all acts in threads that start together; what they raised."""
    wanted = list(acts)
    ready, lost = threading.Barrier(len(wanted)), []

    def run(act: Callable[[], Any]) -> None:
        try:
            ready.wait()
            act()
        except BaseException as error:
            lost.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in wanted]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return lost


class Statements:
    """Counts what goes to the database."""

    def __init__(self, engine: Engine) -> None:
        self.texts: list[str] = []
        self._engine = engine

    def __enter__(self) -> "Statements":
        event.listen(self._engine, "before_cursor_execute", self._see)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._see)

    def _see(self, _: Any, __: Any, statement: str, *rest: Any) -> None:
        self.texts.append(statement)

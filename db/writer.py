"""SQLite under many hands: what waits to be written shares one commit, so that many wait for one flush and not for one each."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

try:
    import fcntl
except ImportError:  # not a POSIX system: processes then take turns as SQLite's own waiting has it
    fcntl = None  # type: ignore[assignment]

MOST = 64
"""Writes of one commit."""
SPAN = 0.02
"""Seconds after which a group is committed, whoever waits."""

Act = Callable[[Session], Any]


class _TakenBack(Exception):
    """SQLite took the whole transaction back by itself, as it does when the disk is full."""


class _Write:
    """One write that waits for its turn; `over` once it is committed, or refused with `error`."""

    __slots__ = ("act", "alone", "error", "over", "result", "turn")

    def __init__(self, act: Act) -> None:
        self.act, self.result = act, None
        self.alone = self.over = False
        self.error: Exception | None = None
        self.turn = threading.Lock()
        self.turn.acquire()

    def end(self) -> None:
        self.over = True
        self.turn.release()


class Writer:
    """The writes of a process, in the order they came.

    Whoever finds nobody writing leads: it writes for all that wait, commits once, and hands the lead to the first that
    came meanwhile. A write that fails takes back itself alone.
    """

    def __init__(self, engine: Engine, path: Path | None) -> None:
        """`path` of the database file, where it has one: processes then take turns."""
        self._engine, self._turns = engine, _Turns(path)
        self._mutex, self._led = threading.Lock(), False
        self._waiting: deque[_Write] = deque()
        self._connection: Connection | None = None  # kept: to ask the pool each time takes as long as to write

    def write(self, act: Act) -> Any:
        """Run `act(session)` and commit; what it returns. Raises what it raises, and what the commit raises."""
        mine = _Write(act)
        with self._mutex:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.turn.acquire()
        if not mine.over:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result

    def close(self) -> None:
        self._drop()
        self._turns.close()

    def _drop(self) -> None:
        held, self._connection = self._connection, None
        if held is not None:
            held.close()

    def _lead(self, mine: _Write) -> None:
        try:
            while not mine.over:
                self._commit()
        finally:
            with self._mutex:
                if not mine.over:  # interrupted, and nobody waits for it any more
                    self._waiting.remove(mine)
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            if following is not None:
                following.turn.release()

    def _commit(self) -> None:
        """One group: begin, write what waits, commit, and only then tell."""
        group: list[_Write] = []
        try:
            with self._turns.mine():
                connection = self._connection = self._connection or self._connected()
                with connection.begin():
                    self._fill(connection, group)
                _tell(group)
        except _TakenBack:
            self._put_back(group)
        except Exception as error:
            self._drop()
            self._failed(group, error)
        except BaseException:
            self._drop()
            self._put_back(group)
            raise

    def _connected(self) -> Connection:
        return self._engine.connect().execution_options(signoff_write=True)

    def _fill(self, connection: Connection, group: list[_Write]) -> None:
        until = time.monotonic() + SPAN
        while len(group) < MOST and (write := self._next(group)) is not None:
            group.append(write)
            _run(connection, write)
            if time.monotonic() > until:
                return

    def _next(self, group: list[_Write]) -> _Write | None:
        with self._mutex:
            if not self._waiting or (group and (group[0].alone or self._waiting[0].alone)):
                return None
            return self._waiting.popleft()

    def _put_back(self, group: list[_Write]) -> None:
        """Of those not told yet nothing was kept: tell those that failed by themselves, and do the others again."""
        left = [write for write in group if not write.over]
        _tell([write for write in left if write.error is not None])
        with self._mutex:
            self._waiting.extendleft(reversed([write for write in left if write.error is None]))

    def _failed(self, group: list[_Write], error: Exception) -> None:
        """The commit failed. Where several shared it, each is tried alone: it may be the fault of one."""
        if not group:  # not even begun
            with self._mutex:
                group.append(self._waiting.popleft())
        together = sum(write.error is None for write in group) > 1
        for write in group:
            if write.error is None and together:
                write.alone = True
            elif write.error is None:
                write.error = error
        self._put_back(group)


def _run(connection: Connection, write: _Write) -> None:
    """One write inside the transaction of its group. Raises _TakenBack where it took all others with it."""
    raw: Any = connection.connection.dbapi_connection
    raw.execute("SAVEPOINT one_write")
    session = Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
    try:
        write.result = write.act(session)
        session.flush()
    except Exception as error:
        write.error = error
        if not raw.in_transaction:
            raise _TakenBack from error
        raw.execute("ROLLBACK TO one_write")
    finally:
        session.close()
    raw.execute("RELEASE one_write")


def _tell(group: list[_Write]) -> None:
    for write in group:
        write.end()


class _Turns:
    """Whose turn it is among the processes on one file.

    SQLite lets whoever comes first write, so a process that writes without pause would starve the others. Here who waits
    for its turn holds the gate, and who has just written must pass the gate before it can write again.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path if fcntl is not None else None
        self._files: tuple[IO[bytes], IO[bytes]] | None = None

    @contextmanager
    def mine(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        gate, turn = self._files = self._files or self._opened(self._path)
        with _locked(turn, through=gate):
            yield

    def close(self) -> None:
        for file in self._files or ():
            file.close()
        self._files = None

    def _opened(self, path: Path) -> tuple[IO[bytes], IO[bytes]]:
        return open(f"{path}-gate", "ab"), open(f"{path}-turn", "ab")


@contextmanager
def _locked(turn: IO[bytes], *, through: IO[bytes]) -> Iterator[None]:
    fcntl.flock(through, fcntl.LOCK_EX)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
    finally:
        fcntl.flock(through, fcntl.LOCK_UN)
    try:
        yield
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)

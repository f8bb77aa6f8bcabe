"""Rows of a file or folder as items, a batch a transaction."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.orm import Session

from app.loading.items import Rows
from app.loading.media import BATCH_BYTES, Media
from app.loading.rejected import Rejected
from app.loading.sources import Found, Progress, Source, source_of
from app.workspace import Workspace
from db import blobs
from review_queue import activity, intake
from review_queue.activity import Actor
from review_queue.errors import Full
from review_queue.intake import Receipt, Submission
from review_queue.projects import Setting, by_id

P = ParamSpec("P")
Result = TypeVar("Result")
BATCH = 1_000
"""Rows of one transaction."""
LOOK_AGAIN = 5
"""Seconds after which a load that waits for room looks again at the latest."""
NAMED = 50
"""Unknown columns that are named."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did. `left_out`: columns that the project names nowhere; `rejected_file`: where rejected rows are;
    `said`: how the file is written."""

    added: int
    known: int
    rejected: int
    rejected_file: Path | None
    left_out: tuple[str, ...] = ()
    said: str = ""


def load(
    workspace: Workspace,
    setting: Setting,
    path: Path,
    *,
    progress: Progress | None = None,
    by: Actor | None = None,
    wait: bool = True,
) -> Loaded:
    """Take every sound row of a file or folder as an item. Raises LoadError where nothing of it can be read.

    Where as much waits as the policy lets wait, it goes on once there is room; without `wait` it raises Full.
    """
    source = source_of(path, setting.project)
    with (
        Rejected(path, workspace.settings.dir) as rejected,
        _writer(workspace) as writer,
    ):
        loader = Loader(workspace, setting, source, rejected, writer, by, progress, wait=wait)
        try:
            for found in source.rows(progress):
                loader.take(found)
            loader.flush()
            loader.settle()
        finally:
            loader.ended.set()
        left_out = tuple(sorted(loader.left_out))[:NAMED]
        return Loaded(loader.added, loader.known, rejected.count, rejected.file, left_out, source.said)


class _Here(Executor):
    """Runs at once what is submitted."""

    def submit(self, act: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Result]":
        future: Future[Result] = Future()
        future.set_result(act(*args, **kwargs))
        return future


def _writer(workspace: Workspace) -> Executor:
    """A thread where a server writes meanwhile. SQLite writes in this process: there a thread only hands Python's lock about."""
    return _Here() if workspace.database.engine.dialect.name == "sqlite" else ThreadPoolExecutor(1)


class Loader:
    """Rows into items, a batch a transaction; on PostgreSQL the next is read and checked while one is written."""

    def __init__(
        self,
        workspace: Workspace,
        setting: Setting,
        source: Source,
        rejected: Rejected,
        writer: Executor,
        by: Actor | None,
        progress: Progress | None,
        *,
        wait: bool,
    ) -> None:
        """`writer`: writes one batch at a time."""
        self._workspace, self._setting, self._rejected, self._by = workspace, setting, rejected, by
        self._writer, self._progress, self._wait = writer, progress, wait
        self._file = source.path.name
        self._rows = Rows(source, setting.project)
        self._media = Media(source.folder)
        self._batch: list[tuple[Found, Submission]] = []
        self._writing: Future[list[tuple[Found, Receipt]]] | None = None
        self.added = self.known = 0
        self.left_out: set[str] = set()
        self.ended = Event()
        """Set, it ends waiting for room: nobody waits for the load any more."""

    def take(self, found: Found) -> None:
        if found.problem is not None:
            self._rejected.add(found, found.problem)
            return
        try:
            item, left_out = self._rows.item(found, self._media)
            submission = intake.check(self._setting.project, item)
        except ValueError as error:
            self._rejected.add(found, str(error))
            return
        if len(self.left_out) < NAMED:
            self.left_out |= left_out
        self._batch.append((found, submission))
        if len(self._batch) >= BATCH or self._media.size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Begin to write what was taken, once the batch before it is written."""
        self.settle()
        if self._batch:
            batch, files = self._batch, list(self._media.files)
            self._batch = []
            self._media.clear()
            self._writing = self._writer.submit(self._write, batch, files)

    def settle(self) -> None:
        """Wait for the batch in hand and count what became of it. Raises what writing it raised."""
        if self._writing is None:
            return
        done = self._writing.result()
        self._writing = None
        taken = [receipt for _, receipt in done if receipt.state not in ("invalid", "conflict")]
        added = len({receipt.external_id for receipt in taken if receipt.new})
        self.added, self.known = self.added + added, self.known + len(taken) - added
        for found, receipt in done:
            if receipt.state in ("invalid", "conflict"):
                self._rejected.add(found, receipt.problem or receipt.state)

    def _write(
        self, batch: Sequence[tuple[Found, Submission]], files: Sequence[tuple[bytes, str]]
    ) -> list[tuple[Found, Receipt]]:
        """What became of the batch, once there is room for it."""
        note = None if self.added else {"file": self._file}
        submissions = [submission for _, submission in batch]
        while True:
            try:
                write = self._workspace.database.write
                receipts = write(_take, self._setting, submissions, files, by=self._by, note=note)
                return [(found, receipt) for (found, _), receipt in zip(batch, receipts, strict=True)]
            except Full as full:
                if not self._wait or self.ended.is_set():
                    raise
                self._pause(batch[-1][0], full)

    def _pause(self, last: Found, full: Full) -> None:
        self._tell(last, "; the queue is full, waiting for room")
        self.ended.wait(min(full.retry_after or LOOK_AGAIN, LOOK_AGAIN))
        self._tell(last)
        newer = self._workspace.database.read(by_id, self._setting.id)
        self._setting = replace(self._setting, policy=newer.policy)  # a limit that was raised meanwhile lets it go on

    def _tell(self, last: Found, said: str = "") -> None:
        if self._progress is not None:
            self._progress(last.share, f"{last.number:,} rows{said}")


def _take(
    session: Session,
    setting: Setting,
    submissions: Sequence[Submission],
    files: Sequence[tuple[bytes, str]],
    *,
    by: Actor | None,
    note: dict[str, Any] | None,
) -> list[Receipt]:
    """One batch with its bytes; the first that adds something leaves a note of who loaded what."""
    for data, media_type in files:
        blobs.put(session, data, media_type)
    receipts = intake.accept(session, setting, submissions, by=by)
    if note is not None and any(receipt.new for receipt in receipts):
        activity.record(session, by, "item.load", f"project:{setting.name}", project_id=setting.id, after=note)
    return receipts

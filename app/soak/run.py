"""One soak: load and faults for some minutes, then quiet, and a look at what is left."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from threading import Event

from sqlalchemy import select

from app.soak import findings
from app.soak.clients import Client, Person, Producer, Reader
from app.soak.crew import Crew
from app.soak.ledger import Ledger
from app.soak.scratch import Scratch, scratch
from app.soak.server import Server
from app.soak.wire import Wire
from db.tables import Work
from review_queue import events, keeping

PRODUCERS = 2
CALM_SECONDS = 3.0, 10.0
"""Between two faults."""
DOWN_SECONDS = 0.0, 2.0
"""How long what was killed stays away."""
DRAIN_SECONDS = 300.0

Tell = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a soak did and found. `p50` and `p95`: milliseconds of a decision with the next case, over HTTP."""

    database: str
    seed: int
    seconds: float
    counts: dict[str, int]
    faults: dict[str, int]
    p50: float
    p95: float
    found: list[str] = field(default_factory=list)


def run(minutes: float, *, people: int, workers: int, seed: int, url: str | None, own_server: bool, tell: Tell) -> Report:
    """Soak for some minutes; `tell` gets the share of it and a line, now and then.

    Raises Unavailable or NotUp for what cannot be started.
    """
    if not own_server:
        return _soak(minutes, people, workers, seed, url, None, tell)
    with Server() as server:
        return _soak(minutes, people, workers, seed, server.url, server, tell)


def _soak(minutes: float, people: int, workers: int, seed: int, url: str | None, server: Server | None, tell: Tell) -> Report:
    tell(0.0, "making a workspace, a model and its processes")
    with scratch(url, people) as held:
        soak = Soak(held, Crew(held.workspace, workers), Random(seed), server, tell)
        begun = time.monotonic()
        try:
            soak.crew.start_all()
            soak.load(60 * minutes)
            soak.drain()
        finally:
            soak.crew.end()
        found = soak.found()
        ledger, dialect = soak.ledger, held.workspace.database.engine.dialect.name
        p50, p95 = ledger.milliseconds(0.5), ledger.milliseconds(0.95)
        return Report(dialect, seed, time.monotonic() - begun, dict(ledger.counts), dict(soak.faults), p50, p95, found)


class Soak:
    """The load, the faults, and their counts."""

    def __init__(self, held: Scratch, crew: Crew, chance: Random, server: Server | None, tell: Tell) -> None:
        self.crew, self.ledger, self.faults = crew, Ledger(), Counter[str]()
        self._held, self._chance, self._server, self._tell = held, chance, server, tell
        self._stop = Event()
        self._reader = Reader(*self._for(held.producer))

    def load(self, seconds: float) -> None:
        """Everybody acts, and faults happen, for so long."""
        begun, everybody = time.monotonic(), self._everybody()
        for each in everybody:
            each.start()
        next_fault = begun + self._chance.uniform(*CALM_SECONDS)
        while (now := time.monotonic()) < begun + seconds:
            if now > next_fault:
                self._fault()
                next_fault = time.monotonic() + self._chance.uniform(*CALM_SECONDS)
            self._revive()
            self._tell((now - begun) / seconds, self._line(now - begun))
            time.sleep(0.5)
        self._stop.set()
        for each in everybody:
            each.join()

    def drain(self) -> None:
        """No load and no faults: what was sent is scored, and what was decided is told."""
        self._tell(1.0, "scoring what is left")
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and self._unscored():
            self._revive()
            time.sleep(0.5)

    def found(self) -> list[str]:
        """What is wrong now that all processes have ended."""
        self._tell(1.0, "checking every rule")
        database = self._held.workspace.database
        for chore in keeping.CHORES:
            database.write(chore.verb)
        while database.write(events.sequence):
            pass
        self.crew.start("api")
        self._stop.clear()
        while self._reader.read():
            pass
        self.crew.end()
        return database.read(findings.find, self._held, self.ledger)

    def _everybody(self) -> list[Client]:
        held = self._held
        producers = [Producer(*self._for(held.producer), name=f"item-{n}", inputs=held.inputs) for n in range(PRODUCERS)]
        return [self._reader, *producers, *(Person(*self._for(key), name=name) for name, key in held.keys.items())]

    def _for(self, key: str) -> tuple[Wire, str, Ledger, Random, Event]:
        own = Random(self._chance.random())
        return Wire(self.crew.port, key), self._held.setting.name, self.ledger, own, self._stop

    def _fault(self) -> None:
        kinds = [*self.crew.names, *(["database"] if self._server else [])]
        kind = self._chance.choice(kinds)
        if kind == "database" and self._server:
            self._server.fall()
            time.sleep(self._chance.uniform(*DOWN_SECONDS))
            self._server.rise()
        else:
            self.crew.kill(kind)
            time.sleep(self._chance.uniform(*DOWN_SECONDS))
            self.crew.start(kind)
        self.faults[kind] += 1

    def _revive(self) -> None:
        """Start what ended by itself; that it did is a finding where no fault explains it."""
        for name in self.crew.dead():
            if self._server is None:
                self.ledger.unexpected(f"{name} ended by itself and", 0, self.crew.last_words(name))
            self.crew.start(name)

    def _unscored(self) -> bool:
        query = select(Work.item_id).where(Work.kind == "score").limit(1)
        return self._held.workspace.database.read(lambda session: session.scalar(query)) is not None

    def _line(self, seconds: float) -> str:
        counts, ledger = self.ledger.counts, self.ledger
        rates = f"{counts['items'] / max(seconds, 1):.0f} items/s, {counts['decisions'] / max(seconds, 1):.0f} decisions/s"
        waits = f"p50 {ledger.milliseconds(0.5):.0f} ms, p95 {ledger.milliseconds(0.95):.0f} ms"
        return f"{rates}, {waits}, {self.faults.total()} faults, {len(ledger.strange)} found"

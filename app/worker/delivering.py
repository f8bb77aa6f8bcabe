"""Posts what has happened to the webhooks, beside scoring: each webhook by one process at a time, items in parallel."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from threading import Event as Flag
from threading import Thread

import structlog
from sqlalchemy.exc import DBAPIError

from app.worker.posting import Poster
from app.worker.waking import Waking
from app.workspace import Workspace
from review_queue import deliveries
from review_queue.deliveries import Answer, Load, Parcel
from review_queue.errors import StrangeKey

log = structlog.get_logger()
AT_ONCE = 8
"""Events of one webhook that are under way at once."""
WEBHOOKS = 8
"""Webhooks that a process serves at once."""
GIVE_UP = 8
"""Failures without success after which a turn begins no more."""
PATIENCE_SECONDS = 2.0


class Delivering(Thread):
    """Delivers until told to stop."""

    def __init__(self, workspace: Workspace, stop: Flag, waking: Waking | None = None) -> None:
        super().__init__(name="webhooks", daemon=True)
        self._workspace, self._over = workspace, stop
        self._waking = waking or Waking(workspace.database, stop)

    def run(self) -> None:
        asyncio.run(self._serve())

    def turn(self) -> int:
        """Deliver what is due now, and what becomes due by that; how many events were taken."""
        return asyncio.run(self._once())

    async def _once(self) -> int:
        taken = 0
        async with self._poster() as poster:
            while due := self._workspace.database.read(deliveries.due):
                taken += sum([await self._deliver(poster, each) for each in due])
        return taken

    async def _serve(self) -> None:
        busy: dict[int, asyncio.Task[None]] = {}
        async with self._poster() as poster:
            while not self._over.is_set():
                busy = {key: task for key, task in busy.items() if not task.done()}
                try:
                    for webhook_id in await asyncio.to_thread(self._workspace.database.read, deliveries.due):
                        if webhook_id not in busy and len(busy) < WEBHOOKS:
                            busy[webhook_id] = asyncio.create_task(self._until_done(poster, webhook_id))
                except DBAPIError as error:
                    log.error("the database does not answer; webhooks wait", error=str(error.orig))
                    await asyncio.sleep(PATIENCE_SECONDS)
                except Exception as error:
                    log.exception("webhooks could not look what is due; they look again", error=repr(error))
                    await asyncio.sleep(PATIENCE_SECONDS)
                await asyncio.to_thread(self._waking.wait, "webhooks", self._over)
            await asyncio.gather(*busy.values())

    async def _until_done(self, poster: Poster, webhook_id: int) -> None:
        """Turn after turn, while events are taken."""
        try:
            while not self._over.is_set() and await self._deliver(poster, webhook_id):
                pass
        except DBAPIError as error:
            log.error("the database does not answer; a webhook waits", webhook=webhook_id, error=str(error.orig))
        except Exception as error:
            log.exception("a webhook could not be served; it is tried again", webhook=webhook_id, error=repr(error))

    async def _deliver(self, poster: Poster, webhook_id: int) -> int:
        """One turn of a webhook; how many events it took."""
        database, worker = self._workspace.database, secrets.token_hex(8)
        load = await asyncio.to_thread(database.write, deliveries.take, webhook_id, worker)
        if load is None:
            return 0
        answers = await self._post_all(poster, load)
        await asyncio.to_thread(database.write, deliveries.settle, load, answers)
        taken = sum(answer.error is None for answer in answers.values())
        if answers:
            log.info("webhook", webhook=webhook_id, taken=taken, refused=len(answers) - taken)
        return taken or int(load.through > load.position and not answers)

    async def _post_all(self, poster: Poster, load: Load) -> dict[int, Answer]:
        try:
            secret = self._workspace.keys.webhook_secret(load.webhook_id, load.key_id)
        except StrangeKey as error:
            return {parcel.event.seq: Answer(str(error)) for parcel in load.parcels[:1]}
        turn = _Turn(poster, load, secret)
        await asyncio.gather(*(turn.post_in_order(chain) for chain in _chains(load.parcels)))
        return turn.answers

    def _poster(self) -> Poster:
        return Poster(private=self._workspace.settings.webhooks_private)


class _Turn:
    """The events of one load: those of an item one after the other, items beside each other."""

    def __init__(self, poster: Poster, load: Load, secret: str) -> None:
        self.answers: dict[int, Answer] = {}
        self._poster, self._load, self._secret = poster, load, secret
        self._room = asyncio.Semaphore(AT_ONCE)
        self._until = time.monotonic() + deliveries.LEASE.total_seconds() / 2

    async def post_in_order(self, chain: Sequence[Parcel]) -> None:
        for parcel in chain:
            async with self._room:
                if self._is_over():
                    return
                answer = await self._poster.post(self._load.url, self._secret, parcel.event)
            self.answers[parcel.event.seq] = answer
            if answer.error is not None:
                return

    def _is_over(self) -> bool:
        refused = [answer for answer in self.answers.values() if answer.error is not None]
        waits = any(answer.gone or answer.wait for answer in refused)
        return waits or time.monotonic() > self._until or len(refused) == len(self.answers) >= GIVE_UP


def _chains(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """By item, each in sequence; new ones and second tries in turn, so that neither keeps the other from being tried."""
    chains: dict[tuple[str, int], list[Parcel]] = {}
    pairs = zip_longest((p for p in parcels if p.new), (p for p in parcels if not p.new))
    for parcel in (each for pair in pairs for each in pair if each is not None):
        key = ("event", parcel.event.seq) if parcel.item_id is None else ("item", parcel.item_id)
        chains.setdefault(key, []).append(parcel)
    yield from chains.values()

"""One event to one address: signed, to an address that was checked when the connection is made, and never redirected."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpcore2

from app.api.shapes import Event
from review_queue import addresses, clock
from review_queue.deliveries import Answer
from review_queue.events import Happened

TIMEOUT_SECONDS = 10.0
"""For all of it: finding the address, connecting, sending, and the answer."""
MOST_READ = 4096
"""Bytes of an answer that are read."""
LONGEST_WAIT = 3600.0
"""Seconds that a receiver may ask to be left alone for."""
MOST_CONNECTIONS = 64
IDLE_SECONDS = 15.0


def signature(secret: str, seq: str, timestamp: str, body: bytes) -> str:
    """What the header Signoff-Signature says: HMAC-SHA256 of id, timestamp and body, joined by dots."""
    return "v1=" + hmac.new(secret.encode(), f"{seq}.{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def body_of(event: Happened) -> bytes:
    """The event as `GET /events` gives it."""
    return Event.model_validate(event).model_dump_json().encode()


class Poster:
    """Posts events; keeps connections for a while. An async context manager."""

    def __init__(self, *, private: bool, tls: ssl.SSLContext | None = None) -> None:
        """`private`: also to addresses inside, and over http."""
        self._private, self._backend = private, _Checked(private)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=self._backend,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._pool.aclose()
        self._backend.close()

    async def post(self, url: str, secret: str, event: Happened) -> Answer:
        """Post one event; what the receiver said to it, or why it could not be asked."""
        try:
            addresses.check_url(url, private=self._private)  # the setting may have changed since the webhook was added
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._post(url, secret, event)
        except TimeoutError:
            return Answer(f"no answer within {TIMEOUT_SECONDS:.0f} seconds")
        except Exception as error:  # whatever it is, this event is tried again, and the others are not held up
            return Answer(_plain(str(error) or type(error).__name__))

    async def _post(self, url: str, secret: str, event: Happened) -> Answer:
        body, seq, timestamp = body_of(event), str(event.seq), str(int(clock.now().timestamp()))
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "User-Agent": "Signoff",
            "Signoff-Id": seq,
            "Signoff-Timestamp": timestamp,
            "Signoff-Signature": signature(secret, seq, timestamp, body),
        }
        async with self._pool.stream("POST", url, headers=headers, content=body) as reply:
            return _answer(reply.status, dict(reply.headers), await _beginning(reply))


class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to the very address that was found to be public; a name that changes its mind meanwhile changes nothing."""

    def __init__(self, private: bool) -> None:
        self._private, self._inner = private, httpcore2.AnyIOBackend()
        self._lookups = ThreadPoolExecutor(MOST_CONNECTIONS, "lookup")
        """Apart, since a name server that hangs must not hold up the database."""

    def close(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        look = partial(addresses.lookup, host, port, private=self._private)
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, look)
        for address in found[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError:  # its other addresses may be reached
                continue
        return await self._inner.connect_tcp(found[-1], port, timeout, local_address, socket_options)


async def _beginning(reply: httpcore2.Response) -> bytes:
    read = b""
    async for part in reply.aiter_stream():
        read += part
        if len(read) >= MOST_READ:
            break
    return read[:MOST_READ]


def _answer(status: int, headers: dict[bytes, bytes], body: bytes) -> Answer:
    if 200 <= status < 300:
        return Answer()
    said = f"{status}: {_plain(body.decode('utf-8', 'replace'))}".rstrip(": ")
    if 300 <= status < 400:
        return Answer(f"{status}: redirects are not followed; add the webhook with its last address")
    wait = next((value for name, value in headers.items() if name.lower() == b"retry-after"), b"")
    return Answer(said, _seconds(wait.decode("latin-1")) if status in (429, 503) else None, gone=status == 410)


def _seconds(retry_after: str) -> float | None:
    """A Retry-After as seconds from now, bounded; None where it is none."""
    if retry_after.strip().isdigit():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)


def _plain(text: str, most: int = 200) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:most]).strip()

"""HTTP as an impatient client has it: calls that are cut, and calls of which the reply is never read."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30.0
BROKEN = (OSError, http.client.HTTPException)
"""What a call ends with when its server dies, or is not up."""


class Dropped(ConnectionError):
    """The request went out, and the reply was not waited for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is None where nothing did."""

    status: int
    body: Any
    seconds: float


class Wire:
    """One kept connection to an API on this machine, in the name of one key."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._headers = port, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._open: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, drop: bool = False) -> Reply:
        """Raises OSError or HTTPException where no reply came; Dropped, one of them, where `drop` asked for none."""
        begun = time.monotonic()
        try:
            held = self._open = self._open or http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
            held.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, self._headers)
            if drop:
                raise Dropped("nobody waits for the reply")
            answer = held.getresponse()
            text = answer.read()
        except BROKEN:
            self.close()
            raise
        return Reply(answer.status, json.loads(text) if text else None, time.monotonic() - begun)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

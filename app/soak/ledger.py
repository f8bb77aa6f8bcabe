"""What was acknowledged to clients, and what was counted on the way."""

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

RECENT = 20_000
"""Latencies that are kept: the latest of them tell the present."""


@dataclass(slots=True)
class Sent:
    """An item as its producer left it. `changes`: how often it was sent with other content; `sure`: the last act was answered."""

    changes: int = 0
    cancelled: bool = False
    sure: bool = True


@dataclass
class Ledger:
    """Written by every client under one lock; what is in here was answered for by the API."""

    items: dict[str, Sent] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, **counts: int) -> None:
        with self._lock:
            self.counts.update(counts)

    def took(self, seconds: float) -> None:
        """How long a decide-and-next took."""
        with self._lock:
            self._seconds.append(seconds)

    def sent(self, name: str) -> None:
        with self._lock:
            self.items.setdefault(name, Sent())

    def decided(self, key: str, verdict: str) -> None:
        with self._lock:
            self.said[key] = verdict

    def unexpected(self, what: str, status: int, body: Any) -> None:
        """A reply that no client should ever get."""
        with self._lock:
            if len(self.strange) < 100:
                self.strange.append(f"{what} was answered with {status}: {str(body)[:300]}")

    def milliseconds(self, share: float) -> float:
        """This quantile of the latest latencies; 0 before there is one."""
        with self._lock:
            held = sorted(self._seconds)
        return 1000 * held[min(int(share * len(held)), len(held) - 1)] if held else 0.0

"""What time it is, in one place, so that tests and replays can move it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_moved: "list[Hands]" = []


class Hands:
    """The hands of a clock that was set: time stands still until they are moved on."""

    def __init__(self, moment: datetime) -> None:
        self._moment = _aware(moment)

    @property
    def moment(self) -> datetime:
        return self._moment

    def move(self, moment: datetime) -> None:
        """On to another time. Raises ValueError where that is earlier: time goes one way."""
        if _aware(moment) < self._moment:
            raise ValueError(f"the clock stands at {self._moment.isoformat()} and cannot go back to {moment.isoformat()}")
        self._moment = moment.astimezone(UTC)


def now() -> datetime:
    """The present, aware, in UTC."""
    return _moved[-1].moment if _moved else datetime.now(UTC)


@contextmanager
def at(moment: datetime) -> Iterator[Hands]:
    """Within the block it is `moment` for every thread of this process: for replays and simulations, never for real work.

    Raises ValueError for a time without a zone, and where another block has set the clock already.
    """
    if _moved:
        raise ValueError(f"the clock is set to {_moved[-1].moment.isoformat()} already")
    hands = Hands(moment)
    _moved.append(hands)
    try:
        yield hands
    finally:
        _moved.remove(hands)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)

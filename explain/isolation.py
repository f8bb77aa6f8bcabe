"""Work on many parts at once in which one bad part takes no other down."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


def isolated(parts: Sequence[Part], work: Callable[[Sequence[Part]], list[Result]]) -> list[Result | Exception]:
    """What `work` makes of each part; where it raises each half is tried alone, and a part that fails alone has its error."""
    if not parts:
        return []
    try:
        return list(work(parts))
    except Exception as error:
        half = len(parts) // 2
        return [*isolated(parts[:half], work), *isolated(parts[half:], work)] if half else [error]

"""queue."""


def draw() -> None:
    """The screen."""

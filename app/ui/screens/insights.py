"""insights."""


def draw() -> None:
    """The screen."""

"""data."""


def draw() -> None:
    """The screen."""

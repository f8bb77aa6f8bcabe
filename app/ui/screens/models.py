"""models."""


def draw() -> None:
    """The screen."""

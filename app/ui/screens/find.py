"""find."""


def draw() -> None:
    """The screen."""

"""`signoff demo`: real cases within minutes."""

from typing import Annotated

import typer

from app.cli.options import Dir, Port


def demo(
    directory: Dir = None,
    port: Port = 8501,
    no_ui: Annotated[bool, typer.Option("--no-ui", envvar="SIGNOFF_NO_UI", help="Do the work without opening the desk.")] = False,
    decide: Annotated[
        int | None,
        typer.Option(
            "--decide",
            envvar="SIGNOFF_DECIDE",
            min=1,
            metavar="N",
            help="Let the known answers play the operator for N cases, then retrain and compare.",
        ),
    ] = None,
) -> None:
    """Real data, a small model trained on a part, the rest arrives, and the desk opens. Again: goes on where it was."""
    from app import demo as demonstration
    from app.cli.console import settings_of

    demonstration.run(settings_of(directory), port=port, ui=not no_ui, decide=decide)

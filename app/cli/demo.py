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
    replay: Annotated[
        bool,
        typer.Option("--replay", envvar="SIGNOFF_REPLAY", help="Play months of traffic under `autonomy: earned`, up to today."),
    ] = False,
    days: Annotated[
        int, typer.Option("--days", envvar="SIGNOFF_DAYS", min=30, max=730, metavar="N", help="How many days are replayed.")
    ] = 180,
) -> None:
    """Real data, a small model trained on a part, the rest arrives, and the desk opens. Again: goes on where it was."""
    from app import demo as demonstration
    from app.cli.console import settings_of

    if replay:
        from app.demo import replay as replaying

        replaying.run(settings_of(directory), days=days, port=port, ui=not no_ui)
        return
    demonstration.run(settings_of(directory), port=port, ui=not no_ui, decide=decide)

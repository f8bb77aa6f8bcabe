"""`signoff worker`: scores, explains, and does the long jobs."""

from typing import Annotated

import typer

from app.cli.options import Device, Dir, noun

app = noun("The worker: scores and explains items, keeps the order of events, runs jobs.")


@app.command()
def run(
    directory: Dir = None,
    drain: Annotated[bool, typer.Option("--drain", envvar="SIGNOFF_DRAIN", help="End when nothing is left to do.")] = False,
    device: Device = None,
) -> None:
    """Work for all projects, until Ctrl-C."""
    from app.cli.console import opened, settings_of

    settings = settings_of(directory, device=device)
    settings.bound_threads()
    from app.worker import loop
    from inference.devices import resolve

    resolve(settings.device)
    with opened(directory, make=True) as workspace:
        loop.run(workspace, drain=drain, device=settings.device)

"""Options that several commands share. Each has an environment variable."""

from pathlib import Path
from typing import Annotated

import typer

from contract.weighing import Weighing

Dir = Annotated[
    Path | None,
    typer.Option("--dir", envvar="SIGNOFF_DIR", metavar="DIR", help="The workspace folder; default ./signoff-data."),
]
AsJson = Annotated[bool, typer.Option("--json", envvar="SIGNOFF_JSON", help="Print one JSON document.")]
ProjectName = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", envvar="SIGNOFF_PROJECT", metavar="NAME", help="The project; may be left out where there is one."
    ),
]
Host = Annotated[str, typer.Option("--host", envvar="SIGNOFF_HOST", help="Where to listen; only this machine by default.")]
Port = Annotated[int, typer.Option("--port", envvar="SIGNOFF_PORT", min=1, max=65535, help="The port to listen on.")]
Device = Annotated[
    str | None,
    typer.Option("--device", envvar="SIGNOFF_DEVICE", metavar="auto|cpu|cuda", help="Where models run; default auto."),
]
ModelClass = Annotated[
    str | None,
    typer.Option("--class", envvar="SIGNOFF_CLASS", metavar="MODULE:CLASS", help="The torch module that the weights fill."),
]
TrustPickle = Annotated[
    bool,
    typer.Option("--trust-pickle", envvar="SIGNOFF_TRUST_PICKLE", help="Unpickle the file once, in a process of its own here."),
]
OutputLabels = Annotated[
    str | None,
    typer.Option("--labels", envvar="SIGNOFF_LABELS", metavar="A,B,…", help="What the model's outputs stand for, in order."),
]
Trainer = Annotated[
    str | None,
    typer.Option(
        "--trainer",
        envvar="SIGNOFF_TRAINER",
        metavar="NAME",
        help="Another trainer than the project names, or a function of yours: python:FILE.py:FUNCTION.",
    ),
]
Weights = Annotated[
    Weighing,
    typer.Option("--weights", envvar="SIGNOFF_WEIGHTS", help="By the inverse of the probability of a look, or its root."),
]
Limit = Annotated[int, typer.Option("--limit", envvar="SIGNOFF_LIMIT", min=1, help="How many rows at most.")]


def noun(help_text: str) -> typer.Typer:
    """A group of verbs."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)

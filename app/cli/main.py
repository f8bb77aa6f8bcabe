"""`signoff NOUN VERB`. Exit 0: done; 1: an error that says its mend; 2: misuse."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli import (
    api,
    autonomy,
    database,
    dataset,
    demo,
    doctor,
    evidence,
    gold,
    item,
    job,
    key,
    model,
    policy,
    project,
    queue,
    report,
    start,
    ui,
    up,
    user,
    webhook,
    worker,
)
from app.cli.errors import sentence


class Root(TyperGroup):
    """Turns errors of the domain into one sentence and exit 1; `--debug` is understood anywhere on the line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args.remove("--debug")
            args.insert(0, "--debug")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said = None if ctx.params.get("debug") else sentence(error)
            if said is None:
                raise
            typer.echo(f"signoff: {said}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Root,
    help="People review what machines predict: the sure predictions act, the unsure ones wait for a person who sees why.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("start", cls=start.Start)(start.start)
app.command("up")(up.up)
app.command("doctor")(doctor.doctor)
app.command("report")(report.report)
for name, group in {
    "project": project.app,
    "policy": policy.app,
    "item": item.app,
    "queue": queue.app,
    "gold": gold.app,
    "dataset": dataset.app,
    "model": model.app,
    "job": job.app,
    "evidence": evidence.app,
    "autonomy": autonomy.app,
    "user": user.app,
    "key": key.app,
    "webhook": webhook.app,
    "db": database.app,
    "ui": ui.app,
    "api": api.app,
    "worker": worker.app,
}.items():
    app.add_typer(group, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"signoff {version('signoff')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="SIGNOFF_DEBUG", help="Show the traceback of an error; works anywhere on the line.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """The console script."""
    app(prog_name="signoff")


if __name__ == "__main__":
    run()

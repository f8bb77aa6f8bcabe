"""`signoff user`: who may come in."""

import os
import sys
from typing import Annotated

import typer

from app.cli.options import AsJson, Dir, noun

app = noun("People: who may sign in, and as what.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")],
    role: Annotated[
        str, typer.Option("--role", envvar="SIGNOFF_ROLE", metavar="ROLE", help="viewer, reviewer, lead, owner or admin.")
    ] = "reviewer",
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Add a person. The password is asked for, or read from SIGNOFF_PASSWORD; never from the command line."""
    from app.cli.console import opened, say
    from review_queue import people

    password = _password()
    with opened(directory, make=True) as workspace:
        by = workspace.local_actor("cli")
        first = not workspace.database.read(people.anybody_can_sign_in)
        account = workspace.database.write(people.add_person, name, role=role, password=password, by=by)
    say(as_json, account, f"{account.name} may sign in as {account.role}")
    if first:
        typer.echo("From now on the desk asks everybody to sign in, you too: `signoff user add NAME --role admin`.", err=True)


@app.command("list")
def list_(directory: Dir = None, as_json: AsJson = False) -> None:
    """Everybody, people and services."""
    from app.cli.console import opened, say, table
    from review_queue import people

    with opened(directory) as workspace:
        every = workspace.database.read(people.accounts)
    rows = [(a.name, a.kind, a.role, a.has_password, a.disabled) for a in every]
    say(as_json, every, table(("name", "kind", "role", "password", "disabled"), rows) if rows else "nobody yet")


@app.command()
def disable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose access ends.")],
    directory: Dir = None,
) -> None:
    """End somebody's access, keys included. What they decided stays."""
    from app.cli.console import opened, say
    from review_queue import people

    with opened(directory) as workspace:
        workspace.database.write(people.disable, name, by=workspace.local_actor("cli"))
    say(False, None, f"{name} can no longer sign in")


def _password() -> str:
    given = os.environ.get("SIGNOFF_PASSWORD")
    if given is not None:
        return given
    if not _has_terminal():
        raise typer.BadParameter("there is no terminal to ask for the password on; set SIGNOFF_PASSWORD")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _has_terminal() -> bool:
    return sys.stdin.isatty()

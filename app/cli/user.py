"""`signoff user`: who may come in, as what, and what they see."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from review_queue.activity import Actor
    from review_queue.people import Account

app = noun("People: who may sign in, as what, and what they see.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the person.")]
Place = Annotated[
    list[str] | None,
    typer.Option(
        "--project",
        "-p",
        envvar="SIGNOFF_PROJECTS",
        metavar="PROJECT[:ROLE]",
        help="A project, with a role there where it is another; repeatable.",
    ),
]
Everywhere = Annotated[bool, typer.Option("--everywhere", envvar="SIGNOFF_EVERYWHERE", help="Every project.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")],
    role: Annotated[
        str, typer.Option("--role", envvar="SIGNOFF_ROLE", metavar="ROLE", help="viewer, reviewer, lead, owner or admin.")
    ] = "reviewer",
    project: Place = None,
    email: Annotated[
        str | None,
        typer.Option("--email", envvar="SIGNOFF_EMAIL", metavar="ADDRESS", help="By which an OIDC provider knows them."),
    ] = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", envvar="SIGNOFF_NO_PASSWORD", help="They sign in by OIDC alone.")
    ] = False,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Add a person, who sees every project unless some are named. The password is asked for, or read from SIGNOFF_PASSWORD; never
    from the command line."""
    from app.cli.console import opened, say
    from review_queue import people

    places = [_place(each) for each in project or []]
    password = None if no_password else _password()
    with opened(directory, make=True) as workspace:
        by = workspace.local_actor("cli")
        first = not workspace.database.read(people.anybody_can_sign_in)
        account = workspace.database.write(_add, name, role, password, email, places, by)
    where = f" in {', '.join(each for each, _ in places)}" if places else ""
    say(as_json, account, f"{account.name} may sign in as {account.role}{where}")
    if first and password is not None:
        typer.echo(
            "From now on the desk asks everybody to sign in, you too: `signoff user password NAME` gives you one.", err=True
        )


@app.command("list")
def list_(directory: Dir = None, as_json: AsJson = False) -> None:
    """Everybody, people and services, with the projects that they see."""
    from app.cli.console import opened, say, table
    from review_queue import members, people

    with opened(directory) as workspace:
        every = workspace.database.read(people.accounts)
        places = {each.name: workspace.database.read(members.of, each.name) for each in every}
    rows = [
        (a.name, a.kind, a.role, _seen(a, [(p.project, p.role) for p in places[a.name]]), _ways(a), a.disabled) for a in every
    ]
    value = [{**_plain(each), "projects": {p.project: p.role for p in places[each.name]}} for each in every]
    say(as_json, value, table(("name", "kind", "role", "projects", "signs in by", "disabled"), rows) if rows else "nobody yet")


@app.command()
def grant(name: Name, project: Place = None, everywhere: Everywhere = False, directory: Dir = None) -> None:
    """Open projects to somebody, or every one."""
    from app.cli.console import opened
    from review_queue import members

    places = _wanted(project, everywhere)
    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for place, role in places:
            workspace.database.write(members.grant, name, place, role, by=by)
            typer.echo(f"{place} is open to {name}" + (f" as {role}" if role else ""))
        if everywhere:
            workspace.database.write(members.everywhere, name, True, by=by)
            typer.echo(f"every project is open to {name}")


@app.command()
def withdraw(name: Name, project: Place = None, everywhere: Everywhere = False, directory: Dir = None) -> None:
    """Close projects to somebody; with --everywhere, all that were not granted by name. What they hold there goes back."""
    from app.cli.console import opened
    from review_queue import members

    places = _wanted(project, everywhere)
    if any(role for _, role in places):
        raise typer.BadParameter("a project is withdrawn whole; leave the role out")
    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for place, _ in places:
            workspace.database.write(members.withdraw, name, place, by=by)
            typer.echo(f"{place} is no longer granted to {name}")
        if everywhere:
            workspace.database.write(members.everywhere, name, False, by=by)
            typer.echo(f"{name} sees the granted projects alone")


@app.command()
def role(
    name: Name,
    wanted: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, reviewer, lead, owner or admin.")],
    directory: Dir = None,
) -> None:
    """Give somebody another role, where no project says otherwise."""
    from app.cli.console import opened
    from review_queue import members

    with opened(directory) as workspace:
        workspace.database.write(members.set_role, name, wanted, by=workspace.local_actor("cli"))
    typer.echo(f"{name} is a {wanted}")


@app.command()
def password(name: Name, directory: Dir = None) -> None:
    """Give somebody another password, or the first; asked for, or read from SIGNOFF_PASSWORD."""
    from app.cli.console import opened
    from review_queue import people

    wanted = _password()
    with opened(directory) as workspace:
        workspace.database.write(people.set_password, name, wanted, by=workspace.local_actor("cli"))
    typer.echo(f"{name} has a new password")


@app.command()
def email(
    name: Name,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address; empty for none.")],
    directory: Dir = None,
) -> None:
    """Set the address by which an OIDC provider is to introduce somebody; another sign-in of theirs no longer counts."""
    from app.cli.console import opened
    from review_queue import people

    with opened(directory) as workspace:
        workspace.database.write(people.set_email, name, address, by=workspace.local_actor("cli"))
    typer.echo(f"{name} is expected by {address}" if address else f"{name} is expected by no address")


@app.command()
def disable(name: Annotated[str, typer.Argument(metavar="NAME", help="Whose access ends.")], directory: Dir = None) -> None:
    """End somebody's access, keys included; what they hold goes back. What they decided stays."""
    from app.cli.console import opened, say
    from review_queue import people

    with opened(directory) as workspace:
        workspace.database.write(people.disable, name, by=workspace.local_actor("cli"))
    say(False, None, f"{name} can no longer sign in")


@app.command()
def enable(name: Annotated[str, typer.Argument(metavar="NAME", help="Who may come in again.")], directory: Dir = None) -> None:
    """Let somebody in again."""
    from app.cli.console import opened
    from review_queue import people

    with opened(directory) as workspace:
        workspace.database.write(people.enable, name, by=workspace.local_actor("cli"))
    typer.echo(f"{name} may sign in again")


def _add(
    session: "Session",
    name: str,
    role: str,
    password: str | None,
    email: str | None,
    places: list[tuple[str, str | None]],
    by: "Actor",
) -> "Account":
    """The account and what is open to it, in one transaction."""
    from review_queue import members, people

    account = people.add_person(session, name, role=role, password=password, email=email, everywhere=not places, by=by)
    for project, there in places:
        members.grant(session, name, project, there, by=by)
    return account


def _place(given: str) -> tuple[str, str | None]:
    """PROJECT or PROJECT:ROLE."""
    project, _, role = given.partition(":")
    return project.strip(), role.strip() or None


def _wanted(project: list[str] | None, everywhere: bool) -> list[tuple[str, str | None]]:
    if bool(project) == everywhere:
        raise typer.BadParameter("name projects with --project, or --everywhere")
    return [_place(each) for each in project or []]


def _plain(account: "Account") -> dict[str, object]:
    from app.cli.console import plain

    held: dict[str, object] = plain(account)
    return held


def _seen(account: "Account", places: list[tuple[str, str]]) -> str:
    named = [project if role == account.role else f"{project}:{role}" for project, role in places]
    return ", ".join((["all"] if account.everywhere else []) + named) or "none"


def _ways(account: "Account") -> str | None:
    ways = (["password"] if account.has_password else []) + (["OIDC"] if account.vouched or account.email else [])
    return " or ".join(ways) or None


def _password() -> str:
    given = os.environ.get("SIGNOFF_PASSWORD")
    if given is not None:
        return given
    if not _has_terminal():
        raise typer.BadParameter("there is no terminal to ask for the password on; set SIGNOFF_PASSWORD")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _has_terminal() -> bool:
    return sys.stdin.isatty()

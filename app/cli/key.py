"""`signoff key`: keys for programs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from review_queue.activity import Actor

app = noun("Keys: how programs come in.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person or service that the key speaks for.")],
    scopes: Annotated[
        str,
        typer.Option(
            "--scopes", envvar="SIGNOFF_SCOPES", metavar="SCOPES", help="Among produce, review, read, admin, act_as; by comma."
        ),
    ],
    expires: Annotated[
        str | None, typer.Option("--expires", envvar="SIGNOFF_EXPIRES", metavar="30d", help="When it ends; default never.")
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", envvar="SIGNOFF_SERVICE", help="Make NAME as a service where there is none.")
    ] = False,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed this once: only its hash is kept."""
    from app.cli.console import note, opened, say

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    ends = _end(expires)
    with opened(directory, make=True) as workspace:
        by = workspace.local_actor("cli")
        text = workspace.database.write(_add, name, scopes=wanted, expires_at=ends, service=service, by=by)
    say(as_json, {"person": name, "key": text, "scopes": sorted(wanted), "expires_at": ends}, text)
    if not as_json:
        note("Keep it now: it is not shown again.")


@app.command("list")
def list_(directory: Dir = None, as_json: AsJson = False) -> None:
    """All keys, without their text."""
    from app.cli.console import opened, say, table
    from review_queue import people

    with opened(directory) as workspace:
        every = workspace.database.read(people.keys)
    rows = [
        (str(k["id"]), k["person"], f"…{k['ends_in']}", k["scopes"], k["made_at"], k["expires_at"], k["revoked_at"])
        for k in every
    ]
    head = ("key", "of", "ends in", "scopes", "made", "expires", "revoked")
    say(as_json, every, table(head, rows) if rows else "no key yet")


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="KEY", help="The number of the key, as `signoff key list` shows it.")],
    directory: Dir = None,
) -> None:
    """End a key at once."""
    from app.cli.console import opened, say
    from review_queue import people

    with opened(directory) as workspace:
        workspace.database.write(people.revoke_key, number, by=workspace.local_actor("cli"))
    say(False, None, f"key {number} no longer works")


def _end(expires: str | None) -> datetime | None:
    from contract.durations import parse_duration

    if expires is None:
        return None
    try:
        return datetime.now(UTC) + parse_duration(expires)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--expires {expires!r} is not a duration; write e.g. 30d or 12h") from error


def _add(session: "Session", name: str, *, scopes: list[str], expires_at: datetime | None, service: bool, by: "Actor") -> str:
    """The key, and with `service` the account it speaks for, in one transaction."""
    from review_queue import people

    known = {account.name for account in people.accounts(session)}
    if service and name not in known:
        role = "admin" if "admin" in scopes else "reviewer" if "review" in scopes else "viewer"
        people.add_person(session, name, role=role, kind="service", by=by)
    return people.add_key(session, name, scopes=scopes, expires_at=expires_at, by=by)

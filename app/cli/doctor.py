"""`signoff doctor`: what is wrong with this installation, and the mend."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, Port

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.cli.health import Finding
    from app.workspace import Workspace
    from review_queue.activity import Actor


def doctor(
    new_key: Annotated[
        bool, typer.Option("--new-key", envvar="SIGNOFF_NEW_KEY", help="Put a new secret before the older ones, and use it.")
    ] = False,
    port: Port = 8501,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """What is wrong with this installation, and the mend of each."""
    from app.cli.console import say, settings_of
    from app.cli.health import examine

    if new_key:
        _rotate(directory)
    settings = settings_of(directory)
    findings = list(examine(settings, port))
    value = [{"check": f.check, "ok": f.ok, "saw": f.saw, "mend": f.mend or None} for f in findings]
    say(as_json, value, _page(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _page(findings: "Sequence[Finding]") -> str:
    width = max(len(finding.check) for finding in findings)
    lines = []
    for each in findings:
        lines.append(f"{'ok   ' if each.ok else 'WRONG'}  {each.check:<{width}}  {each.saw}")
        if each.mend:
            lines.append(f"{'':<{width + 9}}{each.mend}")
    return "\n".join(lines)


def _rotate(directory: Path | None) -> None:
    """A new secret before the older ones, known to the database and named by every rule in force."""
    from app.cli.console import note, require_workspace, settings_of
    from app.settings import write_secret
    from app.workspace import open_workspace

    settings = settings_of(directory)
    require_workspace(settings)
    if not settings.secret_key:
        file = settings.dir / "secret.key"
        write_secret(file, file.read_text(encoding="utf-8").split() if file.is_file() else [])
    workspace = open_workspace(settings_of(directory), adopt_key=True)
    try:
        workspace.database.write(_renew, workspace, by=workspace.local_actor("cli"))
    finally:
        workspace.database.close()
    where = "the first in SIGNOFF_SECRET_KEY" if settings.secret_key else "a new one, in secret.key"
    note(f"the secret in use is {where}; restart workers, the API and the desk")


def _renew(session: "Session", workspace: "Workspace", *, by: "Actor") -> None:
    from review_queue import activity, projects, rules

    key = workspace.keys.draw_key_id
    for each in projects.everything(session):
        rules.renew(session, each.id, each.policy, list(each.project.labels), key, "key")
    activity.record(session, by, "key.rotate", f"secret_key:{key}")

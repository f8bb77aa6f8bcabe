"""`signoff model shadow`: a model that predicts beside the one that acts."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, ProjectName

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.beside import ShadowOut
    from app.workspace import Workspace
    from review_queue.activity import Actor
    from review_queue.challenges import Challenge
    from review_queue.projects import Setting


def shadow(
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", help="The version that is to predict beside the one that acts.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            "--share", envvar="SIGNOFF_SHARE", min=0.0, max=1.0, metavar="X", help="Of what they differ on, seen by people."
        ),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", envvar="SIGNOFF_STOP", help="Take the challenger out of shadow.")] = False,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Let a version predict beside the one that acts, without acting; or tell what those that do have shown so far."""
    from app.beside import shadow_out
    from app.cli.console import chosen, opened, say
    from review_queue import challenges

    if stop and version is not None:
        raise typer.BadParameter("--stop takes the challenger out of shadow, whichever it is; leave VERSION out")
    if share is not None and version is None:
        raise typer.BadParameter("--share is of a version that goes into shadow; name it")
    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        if version is not None:
            made = workspace.database.read(shadow_out, workspace.database.write(_begin, setting, version, share, by))
            say(as_json, made.model_dump(mode="json"), _begun(made))
        elif stop:
            ended = workspace.database.read(shadow_out, workspace.database.write(challenges.end, setting, by=by))
            say(as_json, ended.model_dump(mode="json"), f"model {ended.version} is in shadow no more")
        else:
            _show(workspace, setting, as_json)


def _show(workspace: "Workspace", setting: "Setting", as_json: bool) -> None:
    from app.beside import shadows_out
    from app.cli.console import say

    found = workspace.database.read(shadows_out, setting.id)
    none = "no model is in shadow; `signoff model shadow VERSION` puts one there"
    say(as_json, found.model_dump(mode="json"), "\n\n".join(map(_told, found.shadows)) or none)


def _begin(session: "Session", setting: "Setting", version: int, share: float | None, by: "Actor") -> "Challenge":
    from review_queue import challenges

    model_id = challenges.model_of(session, setting, version)
    return challenges.begin(session, setting, model_id, share=share, by=by)


def _begun(shown: "ShadowOut") -> str:
    return (
        f"model {shown.version} predicts beside model {shown.against}, which acts; people look at {shown.share:.0%} of what acts "
        f"alone and they differ on. `signoff model shadow` tells what comes of it, `signoff model compare {shown.version}` "
        "whether it may be offered"
    )


def _told(shown: "ShadowOut") -> str:
    from app.cli.console import table

    found, role = shown.figures, "challenger" if shown.kind == "challenger" else "former champion"
    until = f", until {shown.until:%Y-%m-%d %H:%M} UTC" if shown.until else ""
    head = f"model {shown.version} ({role}) beside model {shown.against}, which acts{until}"
    alike = f": the same label on {found.agreed / found.n:.1%}" if found.n else ""
    lines = [head, f"{found.n:,} cases{alike}; {found.waiting:,} still to be scored"]
    lines.append(
        f"of {found.n - found.agreed:,} on which they differ, {found.judged:,} have their right label: model {shown.version} was "
        f"right in {found.whole.beside:,}, model {shown.against} in {found.whole.acting:,}, neither in {found.whole.neither:,}; "
        f"{found.open:,} wait for people"
    )
    if found.difference is not None:
        lines.append(
            f"wrong more often by {found.difference:+.2%} of all cases ({found.low:+.2%} to {found.high:+.2%} at all times)"
        )
    rows = [(part.by, part.value, part.acting, part.beside, part.neither) for part in found.parts]
    told = table(("by", "value", f"model {shown.against} right", f"model {shown.version} right", "neither"), rows) if rows else ""
    return "\n".join([*lines, *([told] if told else [])])

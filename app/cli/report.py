"""`signoff report`: what acted alone, how often it was wrong, for whom, and who signed for it; one file."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, Dir, ProjectName


def report(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", envvar="SIGNOFF_OUT", metavar="FILE", help="The file; default PROJECT-report-FROM-TO.html."),
    ] = None,
    days: Annotated[int, typer.Option("--days", envvar="SIGNOFF_DAYS", min=1, help="How many days back, today included.")] = 90,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """One HTML page for the accountable and for those to whom results are shown: what acted alone and how often it was wrong."""
    from app.cli.console import bar, chosen, opened, say
    from app.report import make, records
    from review_queue import activity

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        by = workspace.local_actor("cli").within(setting.id)
        with bar("report") as progress:
            found = make.made(workspace.database, setting, days, progress)
        taken = {"from": str(found.period.first), "to": str(found.period.last)}
        workspace.database.write(activity.record, by, "report.take", f"project:{setting.id}", project_id=setting.id, after=taken)
    if as_json:
        return say(True, found, "")
    file = out or Path(records.name(setting.name, str(found.period.first), str(found.period.last)))
    file.write_text(make.drawn(found, setting), encoding="utf-8")
    return say(False, None, f"{file}: what acted alone from {found.period.first} to {found.period.last}")

"""What `signoff item erase` does: the items at once, then datasets and models with a bar."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.cli import model_train
from app.cli.console import Problem, bar, note, say

if TYPE_CHECKING:
    from app.workspace import Workspace
    from review_queue.projects import Setting

SHOWN = 5
"""Ids that a question names."""


def named(
    workspace: "Workspace", setting: "Setting", external_ids: Sequence[str], subject: str | None, file: Path | None
) -> list[str]:
    """The ids that are meant. Raises Problem where none is, or a file cannot be read as text."""
    from review_queue import erasure

    wanted = [*external_ids, *(_lines(file) if file is not None else [])]
    if subject is not None:
        found = workspace.database.read(erasure.of_subject, setting, subject)
        if not found:
            raise Problem(f"{setting.project.heading} has no {setting.project.noun} of subject {subject!r}")
        wanted += found
    if not wanted:
        raise Problem("nothing is named: give ids, --subject ID, or --file FILE with an id on each line")
    return sorted(set(wanted))


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise Problem(f"{file} is no text in UTF-8; write an id on each line") from None


def confirm(setting: "Setting", wanted: Sequence[str], *, yes: bool) -> None:
    """Ask, unless told not to; ends the command where the answer is no."""
    if yes:
        return
    shown = ", ".join(wanted[:SHOWN]) + (f" and {len(wanted) - SHOWN:,} more" if len(wanted) > SHOWN else "")
    typer.confirm(f"Erase the content of {shown} in {setting.name} for good? There is no way back", abort=True, err=True)


def run(workspace: "Workspace", setting: "Setting", wanted: Sequence[str], why: str | None, *, as_json: bool) -> None:
    """Erase in parts of as many as one erasure takes."""
    from retrain import erasing

    results = []
    for start in range(0, len(wanted), erasing.MOST):
        results.append(_part(workspace, setting, wanted[start : start + erasing.MOST], why))
    again = sum(each["again"] for each in results)
    datasets = [each for part in results for each in part["datasets"]]
    models, learned = ({version for part in results for version in part[name]} for name in ("models", "learned"))
    found = {"erased": len(wanted) - again, "again": again, "datasets": datasets}
    found |= {"models": sorted(models), "learned": sorted(learned)}
    text = f"{setting.name}: {found['erased']:,} erased, {again:,} had been before"
    say(as_json, found, f"{text}; {len(datasets)} dataset versions and {len(models)} models made anew without them")
    if models:
        model_train.track(workspace, setting)
    if learned:
        note(
            f"models {', '.join(map(str, sorted(learned)))} learned from them; what they learned goes with `signoff model train`"
        )


def _part(workspace: "Workspace", setting: "Setting", wanted: Sequence[str], why: str | None) -> dict[str, Any]:
    from retrain import erasing
    from review_queue import jobs

    database, by, worker = workspace.database, workspace.local_actor("cli"), secrets.token_hex(8)
    begun = database.write(erasing.begin, setting, wanted, why=why, by=by, worker=worker)
    assert begun.job is not None
    job = database.read(jobs.get, begun.job)
    with bar("erasing") as tell:

        def report(share: float, step: str) -> None:
            tell(share, step)
            database.write(jobs.progress, job.id, worker, share, step)

        result = erasing.follow(database, setting, job.args, by=by, progress=report)
    database.write(jobs.finish, job.id, worker, result=result)
    return {**result, "again": sum(each.again for each in begun.items)}

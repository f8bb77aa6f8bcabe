"""`signoff gold`: the answers that are known, by which it is seen who notices errors."""

from typing import Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

app = noun("Known answers: cases mixed into people's work to see who notices errors.")
Names = Annotated[list[str], typer.Argument(metavar="ID...", help="Items by their external ids.")]


@app.command()
def add(
    items: Names,
    label: Annotated[
        str | None, typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="LABEL", help="The right answer to all of them.")
    ] = None,
    none_fits: Annotated[
        bool, typer.Option("--none", envvar="SIGNOFF_NONE", help="No label fits: they are to be rejected.")
    ] = False,
    project: ProjectName = None,
    directory: Dir = None,
) -> None:
    """Name the answer to items as known. What a dispute was settled as is known without this."""
    from app.cli.console import chosen, opened, say
    from review_queue import gold

    if (label is None) != none_fits:
        raise typer.BadParameter("give the right answer with --label LABEL, or --none where no label fits")
    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        for item in items:
            workspace.database.write(gold.add, setting, item, label, by=by)
            say(False, None, f"{item} is known: {'no label fits' if label is None else label}")


@app.command("list")
def list_(project: ProjectName = None, limit: Limit = 50, directory: Dir = None, as_json: AsJson = False) -> None:
    """Known answers that are given out, the newest items first, and whether the model was right."""
    from app.cli.console import chosen, opened, say, table
    from review_queue import gold

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        found = workspace.database.read(gold.listed, setting, by=by, limit=limit)
    head = ("item", "right answer", "model said", "model", "from", "since", "named by")
    rows = [
        (each.external_id, each.label or "no label fits", each.predicted, each.verdict, each.source, each.since, each.named_by)
        for each in found
    ]
    say(
        as_json, found, table(head, rows) if rows else "no answer is known: settle a dispute, or name one with `signoff gold add`"
    )


@app.command()
def end(items: Names, project: ProjectName = None, directory: Dir = None) -> None:
    """Give items to nobody any more as known ones; what was said of them counts on."""
    from app.cli.console import chosen, opened, say
    from review_queue import gold

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        for item in items:
            workspace.database.write(gold.end, setting, item, by=by)
            say(False, None, f"{item} is given out no more")

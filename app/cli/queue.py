"""`signoff queue`: what waits for people."""

from typing import Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

app = noun("The queue: what waits for people, and who holds what.")


@app.command()
def stats(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """How many wait, are held and are decided, by project."""
    from app.cli.console import chosen, opened, plain, say, table
    from review_queue import insights, projects

    with opened(directory) as workspace:
        every = [chosen(workspace, project)] if project else workspace.database.read(projects.everything)
        value = [
            {
                "project": each.name,
                **plain(workspace.database.read(insights.backlog, each.id)),
                **workspace.database.read(insights.totals, each.id),
            }
            for each in every
        ]
        oldest = [workspace.database.read(insights.backlog, each.id).oldest for each in every]
    names = ("project", "items", "waiting", "held", "overdue", "decided", "unscored", "unexplained")
    rows = [[*(row[name] for name in names), since] for row, since in zip(value, oldest, strict=True)]
    say(as_json, value, table((*names, "oldest"), rows) if rows else "no project yet")


@app.command("list")
def list_(project: ProjectName = None, limit: Limit = 50, directory: Dir = None, as_json: AsJson = False) -> None:
    """Open tasks, oldest first, and who holds them."""
    from app.cli.console import chosen, opened, plain, say, table
    from review_queue import claims, insights

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        waiting = workspace.database.read(insights.waiting_tasks, setting.id, limit)
        holders = {each.task_id: each for each in workspace.database.read(claims.holders, setting.id, limit)}
    value = [{**plain(each), "held_by": holders[each.task_id].person if each.task_id in holders else None} for each in waiting]
    head = ("task", setting.project.noun, "since", "due", "for", "held by", "skips")
    rows = [
        (str(w.task_id), w.external_id, w.since, w.due_at, w.audience, row["held_by"], w.skips)
        for w, row in zip(waiting, value, strict=True)
    ]
    say(as_json, value, table(head, rows) if rows else "nothing waits")


@app.command()
def release(
    tasks: Annotated[list[int], typer.Argument(metavar="TASK...", help="Task numbers, as `signoff queue list` shows them.")],
    directory: Dir = None,
) -> None:
    """Take tasks from whoever holds them, so that they wait for all again."""
    from app.cli.console import opened, say
    from review_queue import claims

    with opened(directory) as workspace:
        by = workspace.local_actor("cli")
        for task in tasks:
            workspace.database.write(claims.release_of, task, by=by)
            say(False, None, f"task {task} waits again")

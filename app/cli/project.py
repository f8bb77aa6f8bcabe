"""`signoff project`: decision tasks and their files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, Limit, noun

if TYPE_CHECKING:
    from contract.project import Project
    from review_queue.steps import Step

app = noun("Projects: each is one decision task, written in project.yaml.")

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="project.yaml, or the folder it lies in.")]


@app.command()
def apply(path: PathArgument, directory: Dir = None, as_json: AsJson = False) -> None:
    """Put a project.yaml, its policy and its guidelines in force."""
    from app.cli.console import note, opened, say
    from contract.policy import read_policy
    from contract.project import read_project
    from review_queue import projects

    file = file_in(path, "project.yaml")
    project = read_project(file)
    require_policy(file, project)
    policy = read_policy(file.parent / project.policy, project)
    guidelines = guidelines_of(file, project)
    with opened(directory, make=True) as workspace:
        by = workspace.local_actor("cli")
        applied = workspace.database.write(projects.apply, project, policy, guidelines, workspace.keys.draw_key_id, by=by)
    said = [changed("project", applied.project_changed), changed("policy", applied.policy_changed)]
    value = {
        "project": project.project,
        "project_changed": applied.project_changed,
        "policy_changed": applied.policy_changed,
        "project_version_id": applied.setting.project_version_id,
        "policy_version_id": applied.setting.policy_version_id,
        "step": applied.step,
    }
    say(as_json, value, "\n".join([f"{project.project}: {', '.join(said)}", *granted(applied.step)]))
    if project.external and applied.project_changed:
        note("predictions come with the items; their version registers itself, and acts once `signoff model promote 1` is signed")


def granted(step: "Step | None") -> list[str]:
    """What became of a wish that lets more act alone, or less, in a line."""
    if step is None:
        return []
    if step.state == "open":
        left = step.signers - len(step.signed_by)
        waits = f"step {step.id} waits for {left} of {step.signers} signatures, each at the desk or with a key of one's own"
        return [f"not granted yet: {step.cause}; {waits}. Until then the stricter of the two holds: `signoff autonomy show`"]
    if step.kind == "fall":
        return [f"{step.cause}: {step.from_level} -> {step.to_level} (step {step.id})"]
    return [f"granted: {step.cause} (step {step.id}, signed by {', '.join(step.signed_by)})"]


def require_policy(file: Path, project: "Project") -> None:
    """Raises Problem where the policy that a project names is not there."""
    from app.cli.console import Problem

    path = file.parent / project.policy
    if not path.exists():
        raise Problem(
            f"there is no {path}, which {file.name} names as its policy: write one; `autonomy: set` in it is enough, and lets "
            "nothing act alone"
        )


@app.command("list")
def list_(directory: Dir = None, as_json: AsJson = False) -> None:
    """All projects."""
    from app.cli.console import opened, say, table
    from review_queue import insights, projects

    with opened(directory) as workspace:
        every = workspace.database.read(projects.everything)
        counts = [workspace.database.read(insights.totals, each.id) for each in every]
    value = [
        {"project": s.name, "title": s.project.heading, "items": n["items"], "frozen_at": s.frozen_at}
        for s, n in zip(every, counts, strict=True)
    ]
    rows = [(row["project"], row["title"], row["items"], row["frozen_at"]) for row in value]
    say(as_json, value, table(("project", "title", "items", "frozen"), rows) if rows else "no project yet")


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", envvar="SIGNOFF_PROJECT", help="The project; may be left out where there is one."),
    ] = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """The project.yaml in force."""
    from app.cli.console import chosen, opened, say

    with opened(directory) as workspace:
        setting = chosen(workspace, name)
    body = setting.project.model_dump(mode="json", exclude_defaults=True)
    say(as_json, {**setting.project.model_dump(mode="json"), "guidelines_text": setting.guidelines}, as_yaml(body))


@app.command()
def drift(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", envvar="SIGNOFF_PROJECT", help="The project; may be left out where there is one."),
    ] = None,
    limit: Limit = 20,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """The latest looks whether inputs or scores stray from what the model learned from, newest first."""
    from app.cli.console import chosen, opened, say, table
    from review_queue import drift

    with opened(directory) as workspace:
        found = workspace.database.read(drift.latest, chosen(workspace, name).id, limit)
    rows = [(each.made_at, each.n, len(each.moved), "; ".join(m.said for m in each.moved if m.alarmed) or "-") for each in found]
    say(as_json, found, table(("looked at", "cases", "tested", "strayed"), rows) if rows else "no look yet")


@app.command()
def schema() -> None:
    """The JSON Schema of project.yaml."""
    from app.cli.console import say
    from contract.project import Project

    say(True, Project.model_json_schema(), "")


def file_in(path: Path, name: str) -> Path:
    """The file itself, or the one of that name in a folder."""
    return path / name if path.is_dir() else path


def guidelines_of(file: Path, project: "Project") -> str:
    """The text that people are told. Raises FileError where the named file cannot be read."""
    from contract.files import FileError, read_yaml

    if project.guidelines is None:
        return ""
    try:
        return (file.parent / project.guidelines).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = read_yaml(file).problem(("guidelines",), f"cannot be read: {reason}", project.guidelines)
        raise FileError([problem]) from error


def changed(what: str, was_changed: bool) -> str:
    return f"{what} {'is new and in force' if was_changed else 'unchanged'}"


def as_yaml(body: object) -> str:
    import yaml

    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True).rstrip()

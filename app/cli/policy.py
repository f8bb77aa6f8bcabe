"""`signoff policy`: what may act alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import policy_simulate
from app.cli.options import AsJson, Dir, ProjectName, noun
from app.cli.project import as_yaml, changed, file_in, granted

if TYPE_CHECKING:
    from contract.files import FileError

app = noun("Policies: what may act alone and how people check it, written in policy.yaml.")

app.command("simulate")(policy_simulate.simulate)
app.command("costs")(policy_simulate.costs)

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="policy.yaml, or the folder it lies in.")]


@app.command()
def check(
    path: PathArgument,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            "-p",
            envvar="SIGNOFF_PROJECT_FILE",
            metavar="FILE",
            help="The project.yaml it is for; default the one beside it.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say that a policy is in order, or everything that is wrong with it."""
    from app.cli.console import say
    from contract.files import FileError
    from contract.policy import read_policy
    from contract.project import read_project

    file = file_in(path, "policy.yaml")
    try:
        read_policy(file, read_project(project or file.parent / "project.yaml"))
    except FileError as error:
        if as_json:
            say(True, {"ok": False, "problems": _problems(error)}, "")
            raise typer.Exit(1) from error
        raise
    say(as_json, {"ok": True, "problems": []}, f"{file}: ok")


@app.command()
def apply(path: PathArgument, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Put another policy in force; the project stays as it is."""
    from app.cli.console import chosen, opened, say
    from contract.policy import read_policy
    from review_queue import projects

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        policy = read_policy(file_in(path, "policy.yaml"), setting.project)
        by, key = workspace.local_actor("cli"), workspace.keys.draw_key_id
        applied = workspace.database.write(projects.apply, setting.project, policy, setting.guidelines, key, by=by)
    value = {"project": setting.name, "policy_changed": applied.policy_changed}
    version = {"policy_version_id": applied.setting.policy_version_id}
    said = [f"{setting.name}: {changed('policy', applied.policy_changed)}", *granted(applied.step)]
    if policy.autonomy == "earned":
        said.append("it acts as far as evidence proves and people signed for: `signoff autonomy show`")
    say(as_json, {**value, **version, "step": applied.step}, "\n".join(said))


@app.command()
def show(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """The policy.yaml in force."""
    from app.cli.console import chosen, opened, say

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
    body = setting.policy.model_dump(mode="json")
    say(as_json, body, as_yaml(body))


@app.command()
def schema() -> None:
    """The JSON Schema of policy.yaml."""
    from app.cli.console import say
    from contract.policy import Policy

    say(True, Policy.model_json_schema(), "")


def _problems(error: "FileError") -> list[dict[str, object]]:
    problems = sorted(error.problems, key=lambda problem: problem.line)
    return [{name: getattr(each, name) for name in ("file", "line", "key", "value", "message")} for each in problems]

"""`signoff autonomy`: what the machine may do alone now."""

from typing import TYPE_CHECKING

from app.cli.options import AsJson, Dir, ProjectName, noun

if TYPE_CHECKING:
    from pathlib import Path

    from review_queue.projects import Setting
    from review_queue.routing import Rule

app = noun("Autonomy: what the machine may do alone now.")


@app.command()
def show(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """The routing rule in force."""
    from app.cli.console import chosen, listed, opened, say
    from review_queue import rules

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        rule = workspace.database.read(rules.in_force, setting.id, setting.policy)
    value = {"project": setting.name, "frozen_at": setting.frozen_at, "rule": rule}
    say(as_json, value, listed(_lines(setting, rule)))


@app.command()
def freeze(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Send every new item to people, within the batch in hand."""
    _set(project, directory, as_json, frozen=True)


@app.command()
def unfreeze(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Let the policy act as written again."""
    _set(project, directory, as_json, frozen=False)


def _set(project: str | None, directory: "Path | None", as_json: bool, *, frozen: bool) -> None:
    from app.cli.console import chosen, opened, say
    from review_queue import projects

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        by, key = workspace.local_actor("cli"), workspace.keys.draw_key_id
        changed = workspace.database.write(projects.freeze, setting.name, key, by=by, frozen=frozen)
    now = "frozen: every new item goes to people" if frozen else "not frozen: the policy acts as written"
    text = f"{setting.name} is {now}" if changed else f"{setting.name} was {now.split(':')[0]} already"
    say(as_json, {"project": setting.name, "frozen": frozen, "changed": changed}, text)


def _lines(setting: "Setting", rule: "Rule | None") -> list[tuple[str, object]]:
    if rule is None:
        return [("project", setting.name), ("acts alone", "nothing: no model acts yet; train one with `signoff model train`")]
    alone = {label: "never" if at is None else f"from {rule.score} {at:g}" for label, at in rule.thresholds.items()}
    if len(set(alone.values())) == 1:
        alone = {"every label": next(iter(alone.values()))}
    return [
        ("project", setting.name),
        ("rule", str(rule.id)),
        ("level", "frozen: everything goes to people" if rule.level == "frozen" else "set: the thresholds act as written"),
        ("frozen since", setting.frozen_at),
        *((f"{label} alone", at) for label, at in alone.items()),
        ("to people when", "; ".join(rule.vetoes)),
        ("spot checks", f"{rule.audit_rate:.1%} of what acts alone"),
        ("second opinion", f"{rule.second_opinion:.1%} of what people decide"),
    ]

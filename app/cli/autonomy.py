"""`signoff autonomy`: what the machine may do alone now, what it may do next, and who lets it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from pathlib import Path

    from review_queue.autonomy import Overview, Unit
    from review_queue.projects import Setting
    from review_queue.routing import Rule
    from review_queue.steps import Step

app = noun("Autonomy: what the machine may do alone now, and what it may rise to.")
UnitName = Annotated[
    str,
    typer.Option("--unit", envvar="SIGNOFF_UNIT", metavar="UNIT", help="A segment, :LABEL, or both; left out, all other cases."),
]
StepId = Annotated[int, typer.Argument(metavar="STEP", help="The number of the step.")]
SHOWN = 6
"""Units that `show` tells the conditions of; of more only the first line each."""


@app.command()
def show(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """The rule in force, the rung of each unit, and the conditions of its next rise."""
    from app.cli.console import chosen, listed, opened, say
    from app.earned import autonomy_out
    from review_queue import autonomy, rules

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        rule = workspace.database.read(rules.in_force, setting.id, setting.policy)
        found = workspace.database.read(autonomy.overview, setting)
    value = {"rule": rule, **autonomy_out(setting.name, found).model_dump(mode="json")}
    say(as_json, value, "\n".join([listed(_lines(setting, rule, found)), *_units(found), *_offers(found)]))


@app.command("raise")
def raise_(
    unit: UnitName = "",
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", envvar="SIGNOFF_THRESHOLD", metavar="T", help="This certified one, instead of the lowest."),
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Put the next step up for signing, with your name under it where it counts."""
    from review_queue import autonomy

    _step(project, directory, as_json, autonomy.raise_unit, unit, threshold=threshold)


@app.command()
def sign(step: StepId, directory: Dir = None, as_json: AsJson = False) -> None:
    """Put your name under a rise. Where several people sign, each does at the desk or with a key of their own."""
    from app.cli.console import opened
    from review_queue import autonomy

    with opened(directory) as workspace:
        by, key = workspace.local_actor("cli"), workspace.keys.draw_key_id
        _told(as_json, workspace.database.write(autonomy.sign, step, by=by, draw_key_id=key))


@app.command()
def withdraw(step: StepId, directory: Dir = None, as_json: AsJson = False) -> None:
    """Take a rise that waits for signatures off the table."""
    from app.cli.console import opened
    from review_queue import autonomy

    with opened(directory) as workspace:
        _told(as_json, workspace.database.write(autonomy.withdraw, step, by=workspace.local_actor("cli")))


@app.command()
def lower(
    unit: Annotated[
        str | None,
        typer.Option("--unit", envvar="SIGNOFF_UNIT", metavar="UNIT", help="One unit alone; left out, all of them."),
    ] = None,
    to: Annotated[
        str,
        typer.Option("--to", envvar="SIGNOFF_TO", metavar="assist|shadow", help="shadow: people are shown nothing of the model."),
    ] = "assist",
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Take autonomy back at once: people decide every case again."""
    from review_queue import autonomy

    _step(project, directory, as_json, autonomy.lower, to=to, unit=unit)


@app.command()
def regrant(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Put what the policy asks for up for signing again, after an alarm took it back."""
    from review_queue import autonomy

    _step(project, directory, as_json, autonomy.regrant)


@app.command()
def history(project: ProjectName = None, limit: Limit = 20, directory: Dir = None, as_json: AsJson = False) -> None:
    """Every step up and down, newest first, with its cause and who signed it."""
    from app.cli.console import chosen, opened, say, table
    from app.earned import step_out
    from review_queue import autonomy, terms

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        found = workspace.database.read(autonomy.history, setting, limit)
    head = ("step", "at", "of", "from", "to", "state", "signed by", "cause")
    rows = [(str(s.id), s.made_at, terms.called(s.unit), s.from_level, s.to_level, s.state, _who(s), s.cause) for s in found]
    said = table(head, rows) if rows else "no step was made yet"
    say(as_json, [step_out(each).model_dump(mode="json") for each in found], said)


def _who(step: "Step") -> str:
    """Who signed it; where nobody had to, who did it."""
    return ", ".join(step.signed_by) or step.made_by or "by itself"


@app.command()
def freeze(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Send every new item to people, within the batch in hand."""
    _set(project, directory, as_json, frozen=True)


@app.command()
def unfreeze(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Put it up for signing that a freeze is lifted, with your name under it."""
    _set(project, directory, as_json, frozen=False)


def _step(project: str | None, directory: "Path | None", as_json: bool, verb: Any, *args: Any, **more: Any) -> None:
    """Run a verb that makes a step, and say what it made."""
    from app.cli.console import chosen, opened

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        by, key = workspace.local_actor("cli"), workspace.keys.draw_key_id
        _told(as_json, workspace.database.write(verb, setting, *args, by=by, draw_key_id=key, **more))


def _told(as_json: bool, step: "Step") -> None:
    from app.cli.console import say
    from app.earned import step_out

    say(as_json, step_out(step).model_dump(mode="json"), _sentence(step))


def _sentence(step: "Step") -> str:
    from review_queue import terms

    what = f"{terms.called(step.unit)}: {step.from_level} -> {step.to_level} ({step.cause})"
    if step.state == "open":
        left = step.signers - len(step.signed_by)
        return (
            f"step {step.id} waits for {left} of {step.signers} signatures, each at the desk or with a key of one's own; {what}"
        )
    return f"step {step.id} is {step.state}; {what}"


def _set(project: str | None, directory: "Path | None", as_json: bool, *, frozen: bool) -> None:
    from app.cli.console import chosen, opened, say
    from review_queue import projects, steps

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        by, key = workspace.local_actor("cli"), workspace.keys.draw_key_id
        changed = workspace.database.write(projects.freeze, setting.name, key, by=by, frozen=frozen)
        waits = [each for each in workspace.database.read(steps.standing_offers, setting.id) if each.wanted.frozen is False]
    now = "frozen: every new item goes to people" if frozen else "not frozen any more: what was granted acts again"
    text = f"{setting.name} is {now}" if changed else f"{setting.name} was {'' if frozen else 'not '}frozen already"
    if waits and not frozen:
        text = f"{setting.name} is frozen until enough people sign: {_sentence(waits[0])}"
    value = {"project": setting.name, "frozen": frozen or bool(waits), "changed": changed}
    say(as_json, value | ({"step": str(waits[0].id)} if waits and not frozen else {}), text)


LEVELS = {
    "frozen": "frozen: everything goes to people",
    "set": "set: the thresholds act as written",
    "shadow": "shadow: people are shown nothing of the model, and decide all",
    "assist": "assist: people decide all, blind first",
    "audited": "audited: what is certified acts alone, and much of it is spot-checked",
    "floor": "floor: what is certified acts alone, and some of it is spot-checked",
}


def _lines(setting: "Setting", rule: "Rule | None", found: "Overview") -> list[tuple[str, object]]:
    if rule is None:
        return [("project", setting.name), ("acts alone", "nothing: no model acts yet; train one with `signoff model train`")]
    alone = {label: "never" if at is None else f"from {rule.score} {at:g}" for label, at in rule.thresholds.items()}
    if len(set(alone.values())) == 1:
        alone = {"every label": next(iter(alone.values()))}
    how = "alone" if found.autonomy == "set" else "asked for"
    checked = [("spot checks", f"{rule.audit_rate:.1%} of what acts alone")] if found.autonomy == "set" else []
    return [
        ("project", setting.name),
        ("rule", str(rule.id)),
        ("level", LEVELS[rule.level]),
        ("frozen since", setting.frozen_at),
        *((f"{label} {how}", at) for label, at in alone.items()),
        ("to people when", "; ".join(rule.vetoes)),
        *checked,
        ("second opinion", f"{rule.second_opinion:.1%} of what people decide"),
        *([("earned would allow", found.allows)] if found.autonomy == "set" else []),
    ]


def _units(found: "Overview") -> Iterator[str]:
    if found.whole is not None:
        yield from ["", *_rise(found.whole)]
        return
    if found.autonomy == "set":
        return
    for unit in found.units:
        yield from ["", _unit(unit), *(_rise(unit.rise) if len(found.units) <= SHOWN else ())]


def _unit(unit: "Unit") -> str:
    if unit.threshold is None:
        return f"{unit.called}: {unit.level}, nothing acts alone"
    asked = "" if unit.wish is None else f" (asked for {unit.wish:g})"
    return f"{unit.called}: {unit.level}, from {unit.threshold:g}{asked}; {unit.rate:.1%} is spot-checked"


def _rise(rise: Any) -> Iterator[str]:
    at = "" if rise.threshold is None else f" from {rise.threshold:g}"
    yield f"  next: {rise.to_level}{at}" + (", ready to be signed: `signoff autonomy raise`" if rise.ready else "")
    yield from (f"    {'yes' if each.met else 'no '}  {each.said}" for each in rise.conditions)


def _offers(found: "Overview") -> Iterator[str]:
    yield from ("", *map(_sentence, found.offers)) if found.offers else ()

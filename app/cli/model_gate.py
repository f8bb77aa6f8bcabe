"""`signoff model compare` and `card`: a version against the one that acts, and all that is known of one."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from app.cli.options import AsJson, Device, Dir, ProjectName

Version = Annotated[int, typer.Argument(metavar="VERSION", help="The version, as `signoff model list` shows it.")]


def compare(
    version: Version, project: ProjectName = None, device: Device = None, directory: Dir = None, as_json: AsJson = False
) -> None:
    """Hold a version against the champion, on labels that neither has learned from; what passes the gate is offered for
    signing."""
    from app.cli.console import bar, chosen, opened, say, settings_of
    from retrain import comparison

    with opened(directory) as workspace:
        setting, where = chosen(workspace, project), settings_of(directory, device=device).device
        by = workspace.local_actor("cli")
        with bar("comparing") as progress:
            found = comparison.compare(workspace.database, setting.name, version, device=where, by=by, progress=progress)
    say(as_json, found, f"{_compared(found)}\n\n{_gate(found['gate'])}")


def card(version: Version, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """What a version is: what it learned from, how good it is and for whom, what the gate found, who let it act."""
    from app.cli.console import chosen, opened, say
    from retrain import cards

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        found = workspace.database.read(cards.card, setting, version)
    say(as_json, found, cards.text(found))


def _compared(found: Mapping[str, Any]) -> str:
    from app.cli.console import table

    head = ("on", "labels", f"model {found['champion']}", f"model {found['challenger']}", "difference (95 %)")
    rows = [
        (v["name"], v["n"], v["champion"], v["challenger"], f"{v['difference']:+.3f} ({v['low']:+.3f} to {v['high']:+.3f})")
        for v in found["views"]
    ]
    return f"{table(head, rows)}\n\nmodel {found['challenger']} is {found['verdict']}"


def _gate(found: Mapping[str, Any]) -> str:
    from app.cli.console import table
    from retrain import cards

    head = ("at the gate", "cases", "differ", "difference", "no worse", "worse")
    parts = table(head, [cards.part(each) for each in (found["overall"], *found["parts"])])
    passed = f"; `signoff model promote {found['challenger']}` signs it" if found["proposal"] else ""
    lacking = [f"\n- {each}" for each in found["missing"]]
    said = found["said"] if found["passed"] else "not offered:"
    return f"{parts}\n\n{''.join([said, passed, *lacking])}{_speed(found)}"


def _speed(found: Mapping[str, Any]) -> str:
    if not (held := found["speed"]):
        return ""
    size, rate = found["size"], {name: f"{held[f'{name}_ms']:.3g} ms a row" for name in ("champion", "challenger")}
    each = (f"model {found[name]} takes {rate[name]} and {size[name]:,} bytes" for name in ("champion", "challenger"))
    return f"\n{', '.join(each)}"

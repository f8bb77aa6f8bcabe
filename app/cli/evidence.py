"""`signoff evidence`: what spot checks and blind answers prove."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, ProjectName, noun

if TYPE_CHECKING:
    from review_queue.evidence import Evidence, Ledger

app = noun("Evidence: how wrong what acts alone is, as far as it was looked at.")


@app.command()
def show(
    unit: Annotated[
        str | None,
        typer.Option("--unit", envvar="SIGNOFF_UNIT", metavar="UNIT", help="One unit alone: a segment, :LABEL, or both."),
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Every threshold with its looks, errors and e-value, and how many errors people are known to miss."""
    from app.cli.console import Problem, chosen, opened, say
    from app.earned import evidence_out
    from review_queue import evidence

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        found = workspace.database.read(evidence.read, setting)
    if found is None:
        raise Problem("no model acts yet, so there is no evidence; train one with `signoff model train`")
    if unit is not None and unit not in found.units:
        raise Problem(f"the project has no unit {unit!r}; there are {', '.join(map(repr, found.units))}")
    ledgers = [ledger for name, ledger in found.units.items() if unit in (None, name)]
    value = evidence_out(setting.name, found)
    value.units = [each for each in value.units if unit in (None, each.unit)]
    say(as_json, value.model_dump(mode="json"), "\n\n".join([_head(found), *map(_ledger, ledgers)]))


def _head(found: "Evidence") -> str:
    from app.cli.console import listed

    eyes, waits = found.vigilance, f"{found.open_draws:,} looks are open"
    proven = "taken for granted" if eyes.most == 0 else "proven" if eyes.proven else "not proven yet"
    return listed(
        [
            ("evidence since", found.opened_at),
            ("error to refute", f"{found.alpha:.2%} (max_error {found.max_error:.2%}, people may miss {eyes.most:.0%})"),
            ("people's eyes", f"missed {eyes.missed} of {eyes.n} known errors: {proven}"),
            ("counted", waits if found.watermark is None else f"items before number {found.watermark}; {waits}"),
        ]
    )


def _ledger(ledger: "Ledger") -> str:
    from math import exp

    from app.cli.console import table

    head = ("from", "cases", "looks", "errors", "estimate", "at most", "e", "e needed", "certified")
    rows = [
        (
            f"{band.threshold:g}",
            band.n,
            band.drawn,
            band.errors,
            None if band.estimate is None or not band.drawn else f"{band.estimate:.2%}",
            f"{band.upper:.2%}",
            f"{exp(min(band.log_e, 700)):.3g}",
            f"{exp(ledger.line):.3g}",
            band.certified_at,
        )
        for band in ledger.bands
    ]
    return f"{ledger.called}:\n{table(head, rows)}"

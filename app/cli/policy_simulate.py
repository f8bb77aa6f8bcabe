"""`signoff policy simulate` and `costs`: what a policy would have done to the logged traffic, and what would cost least."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Dir, ProjectName
from app.cli.project import as_yaml, file_in

if TYPE_CHECKING:
    from review_queue.costing import Costing
    from review_queue.simulate import Outcome, Part, Simulation

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="The policy.yaml to try, or the folder it lies in.")]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against", envvar="SIGNOFF_AGAINST", metavar="PATH", help="Another policy to hold it against; default: in force."
    ),
]
Last = Annotated[
    int | None,
    typer.Option("--last", envvar="SIGNOFF_LAST", min=1, metavar="N", help="The latest N routed cases; default 20,000."),
]


def simulate(
    path: PathArgument,
    against: Against = None,
    last: Last = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Say what a policy would have done to the traffic so far: routes, errors, costs and work. Changes nothing."""
    from app.cli.console import bar, chosen, opened, say
    from contract.policy import read_policy
    from review_queue import logged
    from review_queue import simulate as simulating

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        wanted = read_policy(file_in(path, "policy.yaml"), setting.project)
        other = read_policy(file_in(against, "policy.yaml"), setting.project) if against else None
        with bar("reading the log") as progress:
            log = workspace.database.read(logged.read, setting, last or logged.LAST)
            progress(0.5, "routing")
            found = simulating.compare(log, wanted, other, setting.policy, list(setting.project.labels))
    say(as_json, shown(found), "\n".join(_told(found)))


def costs(last: Last = None, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Print the thresholds by label that would have cost least, as policy.yaml takes them. Changes nothing."""
    from app.cli.console import chosen, note, opened, say, table
    from review_queue import costing, logged

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        log = workspace.database.read(logged.read, setting, last or logged.LAST)
    found = costing.thresholds(log, setting.policy, list(setting.project.labels))
    value = {"per_label": found.per_label, "labels": found.labels, "now": _priced(found.now), "then": _priced(found.then)}
    if not as_json:
        head = ("label", "predicted", "looks", "threshold")
        rows = [
            (each.label, each.n, each.looks, "too few looks" if each.few else each.threshold or "never") for each in found.labels
        ]
        note(table(head, rows))
        note(_saved(found, len(log.cases)))
    say(as_json, value, as_yaml({"automate": {"per_label": found.per_label}}))


def shown(found: "Simulation") -> dict[str, Any]:
    """A simulation as JSON has it, with the figures that follow from others."""
    from app.cli.console import plain

    body: dict[str, Any] = plain(found)
    for outcome, each in zip(found.outcomes, body["outcomes"], strict=True):
        each["share"] = outcome.share
        each["cost"]["total"] = outcome.cost.total
        each["load"] |= {
            "per_day": outcome.load.per_day,
            "hours_per_day": outcome.load.hours_per_day,
            "busiest": outcome.load.busiest,
        }
        for name in ("segments", "labels", "groups"):
            for part, held in zip(getattr(outcome, name), each[name], strict=True):
                held["share"] = part.share
    return body


def _told(found: "Simulation") -> Iterator[str]:
    from app.cli.console import table

    span = f" from {found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}" if found.since and found.until else ""
    whole = "all there are" if found.whole else "the latest"
    yield f"{found.n:,} cases of model {found.version}{span}; {found.read:,} routed cases were read, {whole}"
    if found.left_out:
        yield "left out: " + ", ".join(f"{n:,} {why}" for why, n in sorted(found.left_out.items()))
    yield ""
    yield table(("", *(each.called for each in found.outcomes)), list(_rows(found)))
    yield ""
    yield ", ".join(f"{n:,} {what}" for what, n in found.moved.items())
    for name in ("segments", "labels", "groups"):
        yield from _parts(name, found.outcomes[-1], getattr(found.outcomes[-1], name))
    yield from ("", *(f"note: {note}" for note in found.notes)) if found.notes else ()


def _rows(found: "Simulation") -> Iterator[tuple[str, ...]]:
    every = found.outcomes
    yield "acts alone", *(f"{each.wrong.alone:,} ({each.share:.1%})" for each in every)
    yield "of these wrong", *(_wrong(each) for each in every)
    yield "not answerable from it", *(f"{each.wrong.unknown:,} of them" if each.wrong.unknown else "-" for each in every)
    yield "errors seen, of looks", *(f"{each.wrong.errors:,} of {each.wrong.looks:,}" for each in every)
    yield "decisions a day", *(f"{each.load.per_day:,.1f}" for each in every)
    yield "in the busiest hour", *(f"{each.load.busiest:,.1f}" for each in every)
    yield "hours of work a day", *(_hours(each.load.hours_per_day) for each in every)
    yield "spot checks a day", *(f"{each.load.checks / max(each.load.days, 1):,.1f}" for each in every)
    yield "cost of errors", *(_hours(each.cost.errors) for each in every)
    yield "cost of decisions", *(_hours(each.cost.reviews) for each in every)


def _wrong(outcome: "Outcome | Part") -> str:
    found = outcome.wrong
    if found.value is None or found.low is None or found.high is None:
        return "-" if not found.alone else "unknown"
    return f"{found.value:.2%} ({found.low:.2%} to {found.high:.2%})"


def _hours(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _parts(name: str, outcome: "Outcome", parts: "tuple[Part, ...]") -> Iterator[str]:
    """A table of the candidate by part, where there is more than one."""
    from app.cli.console import table

    if len(parts) < 2:
        return
    head = (name, "cases", "act alone", "of these wrong", "not answerable")
    yield ""
    yield table(head, [(p.name, p.n, f"{p.share:.1%}", _wrong(p), p.wrong.unknown or None) for p in parts])


def _priced(cost: Any) -> dict[str, float | None]:
    return {"errors": cost.errors, "reviews": cost.reviews, "total": cost.total}


def _saved(found: "Costing", n: int) -> str:
    now, then = (_hours(each.total) for each in (found.now, found.then))
    what = f"{now} as the policy asks now, {then} with these thresholds"
    return f"cost of {n:,} cases: {what}; they raise, and never lower, what is certified"

"""What `signoff start` says while it works."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.starting.profile import HEAD, Profile
from app.starting.reading import Table
from app.starting.rows import Sampled
from app.workspace import Workspace
from retrain import alone
from retrain.alone import Alone
from review_queue import autonomy, insights
from review_queue.projects import Setting

if TYPE_CHECKING:
    from inference.own.adding import Brought

_MODEL = " A model of yours becomes a version of it by `signoff model add`."
WIDE = 100
"""Characters of a line of prose."""


def say(text: str = "") -> None:
    """A paragraph, folded."""
    print("\n".join(textwrap.wrap(text, WIDE)))


def goes_on(setting: Setting, folder: Path, passed_over: Sequence[str] = ()) -> None:
    """That a project is there, and what of the command line changes nothing about it."""
    say(
        f"{setting.name} is there already, so this goes on from where it was. Its files are in {folder}: change them and run "
        f"`signoff project apply {folder}`, or begin anew with another --name or --dir."
    )
    if passed_over:
        say(f"Not used, since it is there: {', '.join(passed_over)}.{_MODEL if 'model' in passed_over else ''}")


def columns(table: Table, profile: Profile) -> None:
    """How the file is written, and what each column was taken for and why."""
    from app.cli.console import table as aligned

    print(f"{table.source.path.name}: {table.said}\n")
    print(aligned(HEAD, profile.table()))
    for sentence in profile.said:
        print()
        say(sentence)
    print()


def rejected(held: Sampled) -> None:
    if held.rejected:
        say(f"{len(held.rejected):,} rows cannot be taken; the first: {held.rejected[0]}")
        print()


def brought(found: "Brought", truth: Sequence[str | None], before: Sequence[str] = ()) -> None:
    """What was found out about a brought model, `before` when it was opened."""
    for sentence in dict.fromkeys((*before, *found.said)):
        say(sentence)
    say(f"It answers {found.rows_per_second:,.0f} rows a second here.")
    for sentence in (*problems(found.problems), *never_answered(found, truth)):
        say(sentence)
    print()


def never_answered(found: "Brought", truth: Sequence[str | None]) -> list[str]:
    """Labels that stand beside rows and that the model does not know."""
    counts = Counter(label for label in truth if label is not None and label not in found.predictor.labels)
    return [f"It never answers {label}, which {_rows(n)} labelled: it is wrong there." for label, n in counts.items()]


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def problems(found: Mapping[int, str]) -> list[str]:
    """Rows that a model does not answer, and why the first of them."""
    if not found:
        return []
    first = min(found)
    which = "1 row, which goes" if len(found) == 1 else f"{len(found):,} rows, which go"
    return [f"It gives no answer for {which} to people; row {first + 1}, for one: {found[first]}"]


def model(figures: Mapping[str, Any], found: Alone | None, max_error: float) -> None:
    """How the model does on rows that it has not seen, and what could act alone."""
    held = figures.get("held_out")
    if held is None or found is None:
        say("No labelled row says how often the model is right, so nothing acts alone: people decide every case.")
        print()
        return
    learned = figures.get("rows", {}).get("base")
    before = f"The model ({figures['trainer']}) learned from {learned:,} rows and" if learned else "The model"
    kind = "held-out" if learned else "labelled"
    does = f"answers none of {held['n']:,}"
    if held["answered"]:
        does = f"is right in {held['accuracy']:.1%} of {held['answered']:,}"
    say(f"{before} {does} {kind} rows.")
    if not learned:
        say("That holds if it has not learned from these rows; of rows that it knows, it says too much.")
    print()
    for line in alone.lines(found, max_error):
        if len(line) > WIDE:
            say(line)
        else:
            print(line)
    print()


def files(folder: Path, found: Alone | None, max_error: float) -> None:
    threshold = found.threshold(max_error) if found is not None else None
    say(f"{folder}/policy.yaml says so: at_least: {alone.written(threshold)}. project.yaml and guidelines.md lie beside it.")


def earned(workspace: Workspace, setting: Setting) -> str:
    """In one line, what evidence would let act alone now, where thresholds are set."""
    found = workspace.database.read(autonomy.overview, setting)
    return f"Autonomy is {found.autonomy}. What `earned` would let act alone now is {found.allows}."


def waiting(workspace: Workspace, setting: Setting, port: int, ui: bool) -> None:
    """What became of the rows that arrived, and where to go on."""
    waits = workspace.database.read(insights.backlog, setting.id).waiting
    found = workspace.database.read(insights.totals, setting.id)
    alone_ = found.get("outcomes_auto", 0)
    decided = workspace.database.read(insights.backlog, setting.id).decided
    checks = waits + decided - (found["items"] - alone_)
    checked = f"; {checks:,} of those that acted are spot-checked" if checks > 0 else ""
    say(f"{found['items']:,} rows arrived: {alone_:,} acted alone, {found['items'] - alone_:,} go to people{checked}.")
    say(earned(workspace, setting))
    if ui:
        print(f"\nThe desk is at http://127.0.0.1:{port}   (stop it with Ctrl-C; `signoff up` opens it again)\n")
    else:
        print(f"Open the desk with: signoff up --dir {workspace.settings.dir}")

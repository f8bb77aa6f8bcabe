"""`signoff model`: training, comparing, and which one acts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import model_add, model_gate, model_retrain, model_shadow
from app.cli.options import AsJson, Device, Dir, ProjectName, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.loading import Labelled
    from app.workspace import Workspace
    from contract.policy import Policy
    from retrain.records import ProposalInfo
    from review_queue.activity import Actor
    from review_queue.projects import Setting

app = noun("Models: trained on what people decided; one of them acts, the champion.")

app.command("add")(model_add.add)
app.command("compare")(model_gate.compare)
app.command("card")(model_gate.card)
app.command("retrain")(model_retrain.retrain)
app.command("shadow")(model_shadow.shadow)

Version = Annotated[int, typer.Argument(metavar="VERSION", help="The version, as `signoff model list` shows it.")]


@app.command()
def train(
    project: ProjectName = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            envvar="SIGNOFF_ROWS",
            metavar="FILE",
            help="Labelled rows to keep and learn from: CSV, JSONL or Parquet, or a folder with a folder of images per label.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", envvar="SIGNOFF_LABEL", metavar="COLUMN", help="The column of FILE that holds the labels."),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option("--trainer", envvar="SIGNOFF_TRAINER", metavar="NAME", help="Another trainer than the project names."),
    ] = None,
    device: Device = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Train the next version, on labelled rows and on what people decided. It plays no role until it is promoted."""
    from app.cli.console import bar, chosen, note, opened, plain, say, settings_of
    from retrain import training

    if label is not None and rows is None:
        raise typer.BadParameter("--label names a column of the file that --rows gives; name both")
    with opened(directory) as workspace:
        setting, where = chosen(workspace, project), settings_of(directory, device=device).device
        by = workspace.local_actor("cli")
        kept = _keep(workspace, setting, rows, label) if rows is not None else None
        with bar("training") as progress:
            info = training.train(workspace.database, setting.name, by=by, device=where, trainer=trainer, progress=progress)
    figures = _judged(info.figures)
    said = f"model {info.version} ({info.trainer}){': ' if figures else ''}{figures}"
    text = f"{said}; `signoff model promote {info.version}` lets it act"
    say(as_json, {**plain(info), "labelled": plain(kept)} if kept is not None else info, text)
    if setting.project.external:
        note(
            f"predictions come with the items here; before it can act, write `uri: registry:{setting.name}@champion` and apply it"
        )


@app.command("list")
def list_(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """All versions, newest first."""
    from app.cli.console import chosen, opened, say, table
    from retrain import registry

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        every = workspace.database.read(registry.models, setting.id)
    rows = [(m.called, m.trainer, m.aliases, _judged(m.figures), None if m.external else m.size, m.made_at) for m in every]
    head = ("model", "trainer", "role", "figures", "bytes", "made")
    say(as_json, every, table(head, rows) if rows else "no model yet; train one with `signoff model train`")


@app.command()
def promote(
    version: Version,
    project: ProjectName = None,
    force: Annotated[
        bool, typer.Option("--force", envvar="SIGNOFF_FORCE", help="Although it has not passed the gate; --why says the reason.")
    ] = False,
    why: Annotated[
        str | None, typer.Option("--why", envvar="SIGNOFF_WHY", metavar="TEXT", help="Why it is to act without the gate.")
    ] = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Propose that a version acts, or sign what was proposed; with enough signatures it acts from the next batch on."""
    from app.cli.console import chosen, note, opened, say
    from retrain import registry

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        key = workspace.keys.draw_key_id
        proposal = workspace.database.write(_sign, setting.id, version, by=by, draw_key_id=key, force=force, why=why)
        figures = workspace.database.read(registry.model, setting.id, version).figures
    say(as_json, proposal, _state(proposal))
    if proposal.state == "applied" and (told := _threshold(figures, setting.policy)):
        note(told)


@app.command()
def rollback(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Let the former champion act again: at once while it stands in shadow; after that it is proposed."""
    from app.cli.console import chosen, opened, say
    from retrain import registry

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        proposal = workspace.database.write(registry.rollback, setting.id, by=by, draw_key_id=workspace.keys.draw_key_id)
    say(as_json, proposal, _state(proposal))


def _keep(workspace: "Workspace", setting: "Setting", rows: Path, label: str | None) -> "Labelled":
    """Labelled rows kept, and what became of them told beside the answer."""
    from app.cli.console import bar, note
    from app.loading import keep_labelled

    with bar(f"reading {rows.name}") as progress:
        kept = keep_labelled(workspace, setting, rows, label, progress=progress, by=workspace.local_actor("cli"))
    note(f"{rows.name} was read as {kept.said}")
    counts = ", ".join(f"{name} {count:,}" for name, count in kept.labels.items())
    note(f"{setting.name}: {kept.rows:,} labelled rows, {'now' if kept.new else 'already'} dataset {kept.dataset_id}: {counts}")
    if lacking := [name for name in setting.project.labels if name not in kept.labels]:
        note(f"no row is labelled {', '.join(lacking)}")
    if kept.left_out:
        note(f"left out, since the project names them nowhere: {', '.join(kept.left_out)}")
    if kept.rejected:
        note(f"{kept.rejected:,} rows could not be taken; each stands with its reason in {kept.rejected_file}")
    return kept


def _sign(
    session: "Session", project_id: int, version: int, *, by: "Actor", draw_key_id: int, force: bool, why: str | None
) -> "ProposalInfo":
    """The open proposal of this version signed, or a new one; one against a former champion, or that goes past the gate now, is
    withdrawn."""
    from retrain import registry

    registry.model(session, project_id, version)
    acting = registry.champion(session, project_id)
    for each in registry.proposals(session, project_id):
        if each.state != "open" or each.version != version:
            continue
        if each.against == (acting.version if acting else None) and not (force and each.gate_id is not None):
            return registry.sign(session, each.id, by=by, draw_key_id=draw_key_id)
        registry.withdraw(session, each.id, by=by)
    return registry.propose(session, project_id, version, by=by, draw_key_id=draw_key_id, force=force, why=why)


def _state(proposal: "ProposalInfo") -> str:
    signed = f"signed by {', '.join(proposal.signed_by)}"
    if proposal.state == "applied":
        return f"model {proposal.version} acts from the next batch on; {signed}"
    lacking = proposal.signers - len(proposal.signed_by)
    return f"model {proposal.version} is proposed, {signed}; {lacking} more must sign before it acts"


def _threshold(figures: Any, policy: "Policy") -> str | None:
    """What is to be said where the policy's threshold was not set for this model."""
    from retrain.alone import Alone, written

    if "alone" not in figures:
        return None
    found, error = Alone.from_dict(figures["alone"]), policy.evidence.max_error
    fits = next((level for level in found.levels if level.max_error == error), None)
    held, wanted = policy.automate.at_least, fits.threshold if fits is not None else None
    if fits is None or (held == "off" if wanted is None else held == wanted):
        return None
    return f"policy.yaml says at_least: {held}; by this model's labelled rows {written(wanted)} keeps errors to {error:.4g}"


def _judged(figures: Any) -> str:
    named = ("accuracy", "test_accuracy", "log_loss", "ece")
    figures = figures if isinstance(figures.get("accuracy"), float) else figures.get("held_out") or {}
    return ", ".join(f"{name.replace('_', ' ')} {figures[name]:.3f}" for name in named if isinstance(figures.get(name), float))

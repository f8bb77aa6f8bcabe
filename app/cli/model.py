"""`signoff model`: training, comparing, and which one acts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import model_add, model_gate, model_retrain, model_shadow, model_train
from app.cli.model_train import judged
from app.cli.options import AsJson, Dir, ProjectName, noun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from contract.policy import Policy
    from retrain.records import ProposalInfo
    from review_queue.activity import Actor

app = noun("Models: trained on what people decided; one of them acts, the champion.")

app.command("add")(model_add.add)
app.command("train")(model_train.train)
app.command("show")(model_train.show)
app.command("compare")(model_gate.compare)
app.command("card")(model_gate.card)
app.command("retrain")(model_retrain.retrain)
app.command("shadow")(model_shadow.shadow)

Version = Annotated[int, typer.Argument(metavar="VERSION", help="The version, as `signoff model list` shows it.")]


@app.command("list")
def list_(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """All versions, newest first."""
    from app.cli.console import chosen, opened, say, table
    from retrain import registry

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        every = workspace.database.read(registry.models, setting.id)
    rows = [(m.called, m.trainer, m.aliases, judged(m.figures), None if m.external else m.size, m.made_at) for m in every]
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

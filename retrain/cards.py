"""A model card: what a version learned from, how good it is and for whom, what the gate found, and who let it act.

After Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Dataset, Model, Proposal
from retrain import registry, runs, verdicts
from retrain.records import ModelInfo
from review_queue.projects import Setting

STATES = {"shown": "no worse", "harmed": "worse", "open": "not shown yet", "few": "too few to tell"}


def card(session: Session, setting: Setting, version: int) -> dict[str, Any]:
    """Everything that is known of a version, JSON-ready. Raises NotFound."""
    info = registry.model(session, setting.id, version)
    row = session.get_one(Model, info.id)
    verdict = verdicts.latest(session, info.id)
    return {
        "model": version,
        "name": info.name,
        "project": setting.name,
        "trainer": info.trainer,
        "labels": list(info.labels),
        "roles": list(info.aliases),
        "made_at": info.made_at.isoformat(),
        "sha256": info.sha256,
        "bytes": info.size,
        "datasets": [_dataset(session, each) for each in info.datasets],
        "learned_through": str(row.learned_through) if row.learned_through is not None else None,
        "training": _training(session, info.id),
        "figures": dict(info.figures),
        "gate": {**verdict.figures, "gate": str(verdict.id), "made_at": verdict.made_at.isoformat()} if verdict else None,
        "proposals": _proposals(session, info),
    }


def _dataset(session: Session, dataset_id: int) -> dict[str, Any]:
    row = session.get_one(Dataset, dataset_id)
    rows = row.manifest.get("rows")
    return {
        "dataset": str(row.id),
        "kind": row.kind,
        "rows": rows,
        "content_hash": row.content_hash,
        "replaced_by": row.replaced_by,
    }


def _training(session: Session, model_id: int) -> dict[str, Any] | None:
    run = runs.of_model(session, model_id)
    return {"run": str(run.id), "spec": run.spec, "curves": run.curves, "tracked": run.tracked} if run is not None else None


def _proposals(session: Session, info: ModelInfo) -> list[dict[str, Any]]:
    ids = session.scalars(select(Proposal.id).where(Proposal.model_id == info.id).order_by(Proposal.id)).all()
    found = (registry.proposal(session, each) for each in ids)
    return [
        {
            "kind": each.kind,
            "state": each.state,
            "against": each.against,
            "gate": str(each.gate_id) if each.gate_id is not None else None,
            "why": each.why,
            "signed_by": list(each.signed_by),
            "applied_at": each.applied_at.isoformat() if each.applied_at else None,
        }
        for each in found
    ]


def text(found: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    role = f", {' and '.join(found['roles'])}" if found["roles"] else ""
    yield f"# Model {found['model']} of {found['project']}{role}"
    yield f"\n{found['trainer']}, made {found['made_at'][:10]}, {found['bytes']:,} bytes, sha256 {found['sha256'][:12]}"
    yield f"labels: {', '.join(found['labels'])}"
    yield "\n## What it learned from\n"
    yield from _learned(found)
    yield "\n## How good it is\n"
    yield from _good(found["figures"])
    yield "\n## At the gate\n"
    yield from _passed(found["gate"])
    yield "\n## Who let it act\n"
    yield from _signed(found["proposals"])


def _learned(found: Mapping[str, Any]) -> Iterator[str]:
    for each in found["datasets"]:
        gone = f"; replaced by {each['replaced_by']}, since items were erased" if each["replaced_by"] else ""
        yield f"- dataset {each['dataset']} ({each['kind']}, {each['rows']:,} rows, {each['content_hash'][:12]}{gone})"
    if not found["datasets"]:
        yield "It was brought: what it learned from is not known here."
    if found["learned_through"] is not None:
        yield f"It learned from no item after {found['learned_through']}."


def _good(figures: Mapping[str, Any]) -> Iterator[str]:
    held = figures.get("held_out") or {}
    if held.get("accuracy") is not None:
        yield f"Right in {held['accuracy']:.1%} of {held['answered']:,} labelled rows that it had not seen."
    else:
        yield "No labelled rows that it had not seen were there to judge it by."
    for label, each in (figures.get("per_label") or {}).items():
        yield f"- {label}: " + ", ".join(f"{name} {value:.3g}" for name, value in each.items() if isinstance(value, int | float))


def _passed(gate: Mapping[str, Any] | None) -> Iterator[str]:
    if gate is None:
        yield "Nothing has held it against a model that acts."
        return
    yield f"Against model {gate['champion']}, {gate['made_at'][:10]}: {gate['said']}.\n"
    yield "| part | cases | differ | difference | no worse | worse |"
    yield "|---|---|---|---|---|---|"
    for each in (gate["overall"], *gate["parts"]):
        yield f"| {' | '.join(map(str, part(each)))} |"
    if gate["speed"]:
        yield f"\n{gate['speed']['challenger_ms']:.3g} ms a row, {gate['speed']['ratio']:.2f} times as long as the other."


def part(each: Mapping[str, Any]) -> tuple[str, int, int, str, str, str]:
    """One row of the gate's table: what, cases, on how many they differ, the difference, and both e-values with the state."""
    called = "overall" if each["by"] == "overall" else f"{each['by']} {each['value']}"
    points = "" if each["difference"] is None else f"{each['difference']:+.3f} ({each['low']:+.3f} to {each['high']:+.3f})"
    shown = f"{_number(each['log_e'])}, {STATES[each['state']]}"
    return called, each["n"], each["differ"], points, shown, _number(each["log_e_worse"])


def _number(log_e: float) -> str:
    return f"{math.exp(min(log_e, 700.0)):.3g}"


def _signed(proposals: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in proposals:
        names, why = ", ".join(each["signed_by"]) or "nobody", f"; past the gate: {each['why']}" if each["why"] else ""
        yield f"- {each['kind']}, {each['state']}, signed by {names}{why}"
    if not proposals:
        yield "Nobody: it was never proposed."

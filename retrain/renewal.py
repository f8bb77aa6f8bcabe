"""The next model of a project from its training to the gate: in shadow from then on, offered where it passes. None acts by it."""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy.orm import Session

from db.engine import Database
from retrain import gate, registry, training
from retrain.records import ModelInfo
from review_queue import acting, challenges
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.projects import Setting

End = Literal["offered", "not yet", "trained"]
Progress = Callable[[float, str], None]
TRAINING, WHOLE = 0.8, 1.0
"""The parts of the work at whose end a model is there, and is judged."""


def renew(
    database: Database,
    setting: Setting,
    *,
    by: Actor | None,
    device: str = "auto",
    trained: int | None = None,
    keep: Callable[[int], None] | None = None,
    progress: Progress | None = None,
    **wanted: Any,
) -> dict[str, Any]:
    """Train, put into shadow, look at the gate: how it ended, JSON-ready, with `ended`, `model` and `said`.

    `trained`: the version that an earlier try of this work ended with, which is not trained again; `keep` is told it. `wanted`
    goes to `training.train`. `ended`: offered for signing, not yet (in shadow until more is known), or trained where no model
    acts that it could replace. Raises Refused where predictions come with the items, and what training and the gate raise.
    """
    if setting.project.external:
        raise Refused(f"predictions come with the items of {setting.name}; its models are trained where they come from")
    report = progress or (lambda share, step: None)
    if trained is None:
        inner = _within(report, 0.0, TRAINING)
        info = training.train(database, setting.name, by=by, device=device, progress=inner, **wanted)
        if keep is not None:
            keep(info.version)
    else:
        info = database.read(registry.model, setting.id, trained)
    if database.read(acting.model_id, setting.id) is None:
        said = f"no model acts yet, so there is nothing to prove; `signoff model promote {info.version}` lets it act"
        return {"ended": "trained", "model": info.version, "said": said}
    report(TRAINING, "putting it into shadow")
    database.write(_shadow, setting, info, by)
    return look(database, setting, info.version, by=by, device=device, progress=_within(report, TRAINING, WHOLE))


def look(
    database: Database,
    setting: Setting,
    version: int,
    *,
    by: Actor | None,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Hold a challenger against the gate: `ended` says whether it is offered, `missing` what it lacks. Raises what it raises."""
    found = gate.run(database, setting.name, version, device=device, by=by, progress=progress)
    ended: End = "offered" if found["passed"] else "not yet"
    told = {name: found[name] for name in ("said", "missing", "gate", "proposal")}
    return {"ended": ended, "model": version, "champion": found["champion"], **told}


def _shadow(session: Session, setting: Setting, info: ModelInfo, by: Actor | None) -> None:
    """A model that acts by now, or stands there, stays where it is."""
    if acting.model_id(session, setting.id) != info.id:
        challenges.begin(session, setting, info.id, by=by)


def _within(report: Progress, low: float, high: float) -> Progress:
    return lambda share, step: report(low + (high - low) * min(share, 0.999), step)

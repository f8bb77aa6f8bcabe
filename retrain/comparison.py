"""Champion against challenger on the same held-out labels, with an interval for the difference, and at the gate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Predictor
from contract.records import Prediction
from db.engine import Database
from retrain import datasets, examples, gate, loading, registry
from retrain.examples import Examples
from retrain.records import ModelInfo
from review_queue import projects
from review_queue.activity import Actor
from review_queue.errors import Refused

Progress = Callable[[float, str], None]
Z = 1.959963984540054  # 95 %
FEW = 30
"""Below this many closed rows nothing is said of all traffic."""
RESAMPLES = 2000
CHUNK = 512


@dataclass(frozen=True, slots=True)
class View:
    """One set of held-out labels: accuracy of both models and the difference with its 95 % interval."""

    name: str
    n: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    note: str


def compare(
    database: Database,
    project_name: str,
    challenger: int,
    *,
    device: str = "auto",
    by: Actor | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Both models on every held-out label there is; neither has learned from them. Then the gate: what passes is offered for
    signing. JSON-ready.

    Where the model that acts answers elsewhere, the gate alone looks. Raises NotFound for an unknown version, Refused where there
    is no champion, or it is the challenger, or this one could not act here, or no label.
    """
    report = progress or (lambda share, step: None)
    setting = database.read(projects.get, project_name)
    acting = database.read(registry.champion, setting.id)
    wanted = database.read(registry.model, setting.id, challenger)
    if acting is None:
        raise Refused("there is no champion to compare with; promote this one")
    if acting.version == wanted.version:
        raise Refused(f"model {challenger} is the champion; train another one")
    if wanted.external:
        raise Refused(f"model {wanted.called} answers elsewhere and cannot be asked about held-out labels; compare it there")
    registry.refuse_misfit(wanted, setting.project)
    if acting.external:  # what it said of arrived cases is known, and nothing else
        passing = gate.run(database, project_name, challenger, device=device, by=by, progress=progress)
        said = f"held against model {acting.called} at the gate alone: that one answers elsewhere, and cannot be asked"
        return _found(acting, wanted, datasets.latest(database, setting.id), [], said, passing)
    report(0.05, "gathering held-out labels")
    _, watermark = examples.sources(database, setting)
    decided = examples.decided(database, setting, watermark, "test")
    base = database.read(examples.base, setting, "test")
    known = examples.known(database, setting, watermark)
    if not len(decided) + len(base) + len(known):
        raise Refused("there is no held-out label yet: decide more cases")
    report(0.2, "scoring with both models")
    models = [loading.load(database, info, device=device) for info in (acting, wanted)]
    views = [asdict(view) for view in _views(models, decided, base, known)]
    passing = gate.run(
        database, project_name, challenger, by=by, models=models, progress=lambda share, step: report(0.4 + 0.6 * share, step)
    )
    return _found(acting, wanted, watermark, views, verdict(views), passing)


def _found(
    acting: ModelInfo, wanted: ModelInfo, watermark: int, views: list[dict[str, Any]], said: str, passing: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "champion": acting.version,
        "challenger": wanted.version,
        "watermark": watermark,
        "views": views,
        "verdict": said,
        "gate": passing,
    }


def verdict(views: Sequence[dict[str, Any]]) -> str:
    """One sentence: of the views that tell the two apart the one of most labels, else the one of most labels."""
    told = [view for view in views if view["low"] > 0 or view["high"] < 0]
    shown = max(told or views, key=lambda view: int(view["n"]))
    points = f"{100 * shown['difference']:+.1f} points ({100 * shown['low']:+.1f} to {100 * shown['high']:+.1f})"
    found = "not told apart" if not told else "better" if shown["low"] > 0 else "worse"
    if len({view["low"] > 0 for view in told}) > 1:
        found += ", though elsewhere the other way round"
    return f"{found}: {points} on {shown['n']} held-out labels ({shown['name']})"


def _views(models: Sequence[Predictor], decided: Examples, base: Examples, known: Examples) -> list[View]:
    views = []
    if len(decided):
        hits = [_hits(model, decided) for model in models]
        note = "held-out cases that people answered; unsure ones are over-represented, so this is not all traffic"
        views.append(_paired("decided cases", hits, note))
        closed = np.array([weight is not None for weight in decided.weights])
        if closed.sum() >= FEW:
            weights = np.array([weight for weight in decided.weights if weight is not None])
            note = "closed rows, each at the inverse of the probability with which it was to be answered"
            views.append(_weighted("all traffic, estimated", hits[0][closed], hits[1][closed], weights, note))
    if len(base):
        note = "labelled rows that came with the project and no model learned from"
        views.append(_paired("rows set aside at the start", [_hits(model, base) for model in models], note))
    if len(known):
        note = "arrived items whose answers are known and that neither model learned from"
        views.append(_paired("all traffic, by known answers", [_hits(model, known) for model in models], note))
    return views


def _hits(model: Predictor, held: Examples) -> NDArray[np.float64]:
    """1 where the model gives the label, 0 where it gives another or none."""
    hits = []
    for begin in range(0, len(held), CHUNK):
        answers = model.predict(held.rows[begin : begin + CHUNK])
        truths = held.labels[begin : begin + CHUNK]
        hits += [isinstance(a, Prediction) and a.label == truth for a, truth in zip(answers, truths, strict=True)]
    return np.array(hits, dtype=np.float64)


def _paired(name: str, hits: Sequence[NDArray[np.float64]], note: str) -> View:
    old, new = hits
    difference, low, high = paired_difference(int((new > old).sum()), int((old > new).sum()), len(old))
    return View(name, len(old), float(old.mean()), float(new.mean()), difference, low, high, note)


def paired_difference(gained: int, lost: int, n: int) -> tuple[float, float, float]:
    """The difference of two paired shares and its 95 % interval.

    `gained`: pairs that only the new model has right, `lost`: only the old one. Adjusted Wald interval of Bonett and
    Price (2012), "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data".
    """
    b, c, m = (gained + 1) / (n + 2), (lost + 1) / (n + 2), n + 2
    half = Z * float(np.sqrt((b + c - (b - c) ** 2) / m))
    return (gained - lost) / n, max(b - c - half, -1.0), min(b - c + half, 1.0)


def _weighted(name: str, old: NDArray[np.float64], new: NDArray[np.float64], weights: NDArray[np.float64], note: str) -> View:
    """Hajek means under the weights; the interval by a paired bootstrap over items (percentiles of 2,000 resamples)."""
    draws = np.random.default_rng(0).integers(0, len(old), (RESAMPLES, len(old)))
    resampled = weights[draws]
    differences = ((new - old)[draws] * resampled).sum(axis=1) / resampled.sum(axis=1)
    low, high = np.quantile(differences, [0.025, 0.975])
    before, after = (float(np.average(hits, weights=weights)) for hits in (old, new))
    return View(name, len(old), before, after, after - before, float(low), float(high), note)

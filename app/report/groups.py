"""How cases of each value of a group fare, side by side: shares by fairlearn, every spot check at one over its chance."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from fairlearn.metrics import MetricFrame
from sklearn.metrics import zero_one_loss

from app.report.records import Between, Grouped, Part
from review_queue import acted, agreement
from review_queue.acted import Acted
from review_queue.answers import Answered

FEW = 10
"""A value with fewer cases is not shown: it may be about few enough people to know them by it."""
RESAMPLES = 200
SEED = 0
LIMITS = [0.025, 0.975]


def grouped(name: str, rows: Sequence[Acted], settled: Sequence[Acted], answers: Mapping[int, Answered], least: int) -> Grouped:
    """One group of a project over the cases that have a value of it. `answers`: what people said last, by item."""
    here = _by_value(name, rows)
    shown = sorted((value for value, held in here.items() if len(held) >= FEW), key=lambda value: -len(here[value]))
    back = _by_value(name, settled)
    parts = tuple(_part(value, here[value], back.get(value, []), answers, least) for value in shown)
    known = [part.name for part in parts if part.wrong.known]
    between = _between([each for value in known for each in back[value]], name) if len(known) > 1 else None
    return Grouped(name, parts, len(here) - len(shown), between)


def _by_value(name: str, rows: Sequence[Acted]) -> dict[str, list[Acted]]:
    found: dict[str, list[Acted]] = defaultdict(list)
    for each in rows:
        if name in each.groups:
            found[each.groups[name]].append(each)
    return found


def _part(value: str, rows: Sequence[Acted], settled: Sequence[Acted], answers: Mapping[int, Answered], least: int) -> Part:
    routes = Counter(each.route for each in rows)
    said = [(each, answers[each.item_id]) for each in rows if each.item_id in answers]
    judged = [answer for _, answer in said if answer.predicted is not None]
    took = [answer.seconds for _, answer in said if answer.seconds is not None]
    waits = [(answer.decided_at - each.routed_at).total_seconds() / 3600 for each, answer in said]
    return Part(
        name=value,
        routed=len(rows),
        reviewed=agreement.rate(routes["review"], routes["review"] + routes["auto"]),
        overridden=agreement.rate(sum(answer.verdict != "accept" for answer in judged), len(judged)),
        seconds=median(took) if took else None,
        hours=median(waits) if waits else None,
        wrong=acted.wrong(settled, least, alone=routes["auto"]),
    )


def frame(rows: Sequence[Acted], name: str) -> MetricFrame:
    """Error shares of spot checks by the value of a group, each check at one over its chance, with resamples."""
    checked = [each for each in rows if each.wrong is not None]
    wrong = np.array([int(each.wrong is True) for each in checked])
    weights = np.array([1 / each.p for each in checked])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without an error has no ratio
        return MetricFrame(
            metrics={"error": zero_one_loss},
            y_true=wrong,
            y_pred=np.zeros_like(wrong),
            sensitive_features={name: [each.groups[name] for each in checked]},
            sample_params={"error": {"sample_weight": weights}},
            n_boot=RESAMPLES,
            ci_quantiles=LIMITS,
            random_state=SEED,
        )


def _between(rows: Sequence[Acted], name: str) -> Between:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        held = frame(rows, name)
        low, high = (float(each["error"]) for each in held.difference_ci())
        ratio = [_finite(held.ratio()["error"]), *(_finite(each["error"]) for each in held.ratio_ci())]
    names = tuple(str(each) for each in held.by_group.index)
    return Between(names, float(held.difference()["error"]), low, high, *ratio)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

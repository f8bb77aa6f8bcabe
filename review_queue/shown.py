"""Whether a model that people are not shown has earned to be: held against the most frequent answer, on blind answers."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from review_queue import answers, betting, quality
from review_queue.ladder import SHADOW_AUROC, SHADOW_E, SHADOW_LABELS, Condition, Rise
from review_queue.quality import Judged
from review_queue.steps import Grounds
from review_queue.terms import WHOLE


@dataclass(frozen=True, slots=True)
class Trial:
    """`n` answers; `better`: only the prediction was right, `worse`: only the most frequent answer was. `sorts`: how often the
    surer of a right and a wrong prediction is the right one (AUROC), None where there are none of both. `off`: expected
    calibration error."""

    n: int
    better: int
    worse: int
    sorts: float | None
    off: float | None


def trial(session: Session, project_id: int, since: datetime) -> Trial:
    """Over the latest first answers since the evidence period began."""
    return held_against(quality.judged(answers.latest(session, project_id, since=since)))


def held_against(cases: Sequence[Judged]) -> Trial:
    said = Counter(case.answer for case in cases)
    usual = said.most_common(1)[0][0] if said else None
    better = sum(case.right and case.answer != usual for case in cases)
    worse = sum(not case.right and case.answer == usual for case in cases)
    return Trial(len(cases), better, worse, _sorts(cases), quality.reliability(cases).error)


def _sorts(cases: Sequence[Judged]) -> float | None:
    """The share of pairs, one right and one wrong, in which the right one is surer; equal ones count half."""
    right = sorted(case.confidence for case in cases if case.right)
    wrong = Counter(case.confidence for case in cases if not case.right)
    pairs = len(right) * wrong.total()
    if not pairs:
        return None
    over = sum(n * (len(right) - bisect_right(right, at)) for at, n in wrong.items())
    equal = sum(n * (bisect_right(right, at) - bisect_left(right, at)) for at, n in wrong.items())
    return (over + equal / 2) / pairs


def rise(found: Trial, frozen: bool) -> Rise:
    """The step from shadow to assist."""
    log_e = betting.mcnemar(found.worse, found.better)
    sorts = "not known yet" if found.sorts is None else f"{found.sorts:.2f}"
    off = "not known yet" if found.off is None else f"{found.off:.3f}"
    conditions = [
        Condition("labels", found.n >= SHADOW_LABELS, f"{found.n:,} of {SHADOW_LABELS} blind answers"),
        Condition(
            "better than the usual answer",
            log_e >= math.log(SHADOW_E),
            f"right where the most frequent answer is wrong {found.better:,} times, the other way {found.worse:,} times, "
            f"e = {math.exp(min(log_e, 700)):.3g} of {SHADOW_E}",
        ),
        Condition(
            "sorts",
            found.sorts is not None and found.sorts >= SHADOW_AUROC,
            f"the surer of a right and a wrong prediction is the right one: {sorts}, at least {SHADOW_AUROC:g} is asked for",
        ),
        Condition("calibration", True, f"confidence and truth are {off} apart on average"),
    ]
    if frozen:
        conditions.insert(0, Condition("not frozen", False, "automation is frozen: lift the freeze first"))
    counts = {"n": found.n, "better": found.better, "worse": found.worse, "sorts": found.sorts, "off": found.off}
    return Rise(WHOLE, "shadow", "assist", None, 1.0, tuple(conditions), Grounds(counts, log_e))

"""Why, for a table: bars beside the values, one column a method, around a zero line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ui import formats
from app.ui.draw.case import cell
from app.ui.draw.reasons import PLAIN, View, head, heads, unfold, usable
from app.ui.formats import text
from contract.project import Feature, Project
from review_queue.explanations import Reason

TOP = 8
"""Features that stand open; the rest folds."""
USUAL = 2
"""Columns that are kept free for reasons that are being made."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One method's column. `weights` is empty where nothing is to be drawn in it."""

    head: str
    weights: Mapping[str, float]
    rules: Mapping[str, str]

    @property
    def scale(self) -> float:
        return max((abs(weight) for weight in self.weights.values()), default=0.0)

    def share(self, name: str) -> float:
        return abs(self.weights.get(name, 0.0)) / self.scale if self.scale else 0.0


def table(project: Project, given: Mapping[str, Any], reasons: Sequence[Reason], view: View = PLAIN) -> str:
    """Every feature with its value and, per method, a bar to the right or left of a zero line; strongest first.

    A method that is unstable keeps its column, empty, and stands behind an unfold; where all are, and where reasons came
    late, the features keep the project's order.
    """
    found = usable(reasons)
    names = zip(found, heads(found, project.title_of), strict=True)
    columns = [_column(reason, name, hidden=bool(reason.doubt)) for reason, name in names]
    ranked = any(column.weights for column in columns) and (view.full or not view.late)
    drawn = _drawn(project, given, columns, ranked=ranked, view=view)
    return drawn + unfold(reasons, lambda r: _drawn(project, given, [_column(r, head(r))], ranked=True, view=view))


def waiting(project: Project, given: Mapping[str, Any], columns: int = USUAL) -> str:
    """The values as they stand once there are reasons, before there are any."""
    free = [_Column("", {}, {}) for _ in range(columns)]
    return _drawn(project, given, free, ranked=False, view=PLAIN)


def leading(project: Project, reasons: Sequence[Reason], count: int = 3) -> list[str]:
    """The features that weigh most by the first method that may be relied on; the first ones where there is none."""
    firm = [_column(reason, "") for reason in usable(reasons) if not reason.doubt]
    names = list(project.input.features)
    return sorted(names, key=lambda name: -firm[0].share(name) if firm else 0.0)[:count]


def _column(reason: Reason, name: str, *, hidden: bool = False) -> _Column:
    parts = [] if hidden else reason.body["contributions"]
    weights = {str(part["feature"]): float(part["contribution"]) for part in parts}
    return _Column(name, weights, {part["feature"]: part["rule"] for part in parts if part.get("rule")})


def _drawn(project: Project, given: Mapping[str, Any], columns: Sequence[_Column], *, ranked: bool, view: View) -> str:
    names = list(project.input.features)
    if ranked:
        names.sort(key=lambda name: -max(column.share(name) for column in columns))
    rows = [_row(name, project.input.features[name], given.get(name), columns, rules=view.full) for name in names]
    fold = len(rows) if view.full or not ranked else TOP
    heads = "".join(f'<div class="so-h" role="columnheader">{column.head}</div>' for column in columns)
    first = f'<div class="so-row so-head" role="row"><div class="so-h" role="columnheader">Value</div>{heads}</div>'
    return _grid([first, *rows[:fold]], columns) + _rest(rows[fold:], columns)


def _grid(rows: Sequence[str], columns: Sequence[_Column]) -> str:
    return f'<div class="so-bars so-m{len(columns)}" style="--m:{len(columns)}" role="table">{"".join(rows)}</div>'


def _rest(rows: Sequence[str], columns: Sequence[_Column]) -> str:
    if not rows:
        return ""
    return f'<details class="so-rest"><summary>{len(rows)} weaker features</summary>{_grid(rows, columns)}</details>'


def _row(name: str, feature: Feature, given: Any, columns: Sequence[_Column], *, rules: bool) -> str:
    bars = "".join(_bar(column.weights.get(name), column.scale) for column in columns)
    said = f"{cell(given, feature.unit)}{_rule(name, feature, given, columns) if rules else ''}"
    named = f'<span class="so-name">{text(feature.title or name)}</span><span>{said}</span>'
    return f'<div class="so-row" role="row"><div class="so-what" role="cell">{named}</div>{bars}</div>'


def _rule(name: str, feature: Feature, given: Any, columns: Sequence[_Column]) -> str:
    """The range that LIME counts a number to; that of anything else is the value itself."""
    rule = next((column.rules[name] for column in columns if name in column.rules), None)
    if rule is None or given is None or feature.type not in ("number", "integer", "date"):
        return ""
    low, _, high = rule.rpartition(f"{name} ")
    said = high.replace("> ", "over ").replace("≤ ", "up to ")
    said = f"over {low.removesuffix(' < ')}, {said}" if low else said
    return f' <small class="so-rule" title="the range that LIME counts this value to">({text(said)})</small>'


def _bar(weight: float | None, scale: float) -> str:
    if weight is None:
        return '<div class="so-bar so-none" role="cell"><span class="so-track"></span><span class="so-num"></span></div>'
    width = 50 * abs(weight) / scale if scale else 0
    side = f"left:50%;width:{width:.1f}%" if weight >= 0 else f"right:50%;width:{width:.1f}%"
    kind = "so-pro" if weight >= 0 else "so-con"
    return (
        f'<div class="so-bar" role="cell"><span class="so-track"><i class="{kind}" style="{side}"></i></span>'
        f'<span class="so-num">{formats.signed(weight)}</span></div>'
    )

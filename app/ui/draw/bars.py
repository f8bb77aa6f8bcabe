"""Why, for a table: bars beside the values, one column a method, around a zero line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ui import formats
from app.ui.draw.case import cell, find, fold, grouped
from app.ui.draw.reasons import PLAIN, View, head, heads, unfold, usable
from app.ui.draw.strips import strip
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

    A method that is unstable stands behind an unfold and takes no room; only where reasons came late it keeps its column,
    empty, and the features keep the project's order, as they do where all methods are unstable.
    """
    found = usable(reasons)
    names = zip(found, heads(found, project.title_of), strict=True)
    shown = [(reason, name) for reason, name in names if view.late or not reason.doubt]
    columns = [_column(reason, name, hidden=bool(reason.doubt)) for reason, name in shown]
    ranked = any(column.weights for column in columns) and (view.full or not view.late)
    drawn = find(project) + _drawn(project, given, columns, ranked=ranked, view=view)
    return drawn + unfold(reasons, lambda r: _drawn(project, given, [_column(r, head(r))], ranked=True, view=view))


def waiting(project: Project, given: Mapping[str, Any], view: View = PLAIN, columns: int = USUAL) -> str:
    """The values as they stand once there are reasons, before there are any."""
    free = [_Column("", {}, {}) for _ in range(columns)]
    return find(project) + _drawn(project, given, free, ranked=False, view=view)


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
    rows = {name: _row(name, project.input.features[name], given.get(name), columns, view) for name in names}
    ahead = TOP if ranked and not view.full else 0
    first = [_grid([rows[name] for name in names[:ahead]], columns)] if ahead else []
    return "".join([*first, *_rest(project, rows, names[ahead:], columns, weaker=bool(ahead))])


def _rest(
    project: Project, rows: Mapping[str, str], names: Sequence[str], columns: Sequence[_Column], *, weaker: bool
) -> Iterator[str]:
    """By group; what is `weaker` than the features that stand open before it is folded."""
    for n, (group, held) in enumerate(grouped(project, names)):
        drawn = _grid([rows[name] for name in held], columns, unseen=weaker or n > 0)
        if not weaker:
            yield fold(project, group, len(held), drawn)
        else:
            heading = f"<b>{text(group)}</b> " if group is not None else ""
            yield f'<details class="so-rest"><summary>{heading}{_weaker(len(held))}</summary>{drawn}</details>'


def _weaker(count: int) -> str:
    return formats.count(count, "weaker feature")


def _grid(rows: Sequence[str], columns: Sequence[_Column], *, unseen: bool = False) -> str:
    """Rows under their head. `unseen`: the head is there for screen readers alone."""
    heads = "".join(f'<div class="so-h" role="columnheader">{column.head}</div>' for column in columns)
    kind = "so-row so-head so-unseen" if unseen else "so-row so-head"
    first = f'<div class="{kind}" role="row"><div class="so-h" role="columnheader">Value</div>{heads}</div>'
    body = first + "".join(rows)
    return f'<div class="so-bars so-m{len(columns)}" style="--m:{len(columns)}" role="table">{body}</div>'


def _row(name: str, feature: Feature, given: Any, columns: Sequence[_Column], view: View) -> str:
    bars = "".join(_bar(column.weights.get(name), column.scale) for column in columns)
    rule = _rule(name, feature, given, columns) if view.full else ""
    lies = strip(view.spread, name, feature, given, words=view.full)
    value = f"<span>{cell(given, feature.unit)}{rule} {lies}</span>"
    named = f'<span class="so-name">{text(feature.title or name)}</span>{value}'
    return f'<div class="so-row" role="row" data-field><div class="so-what" role="cell">{named}</div>{bars}</div>'


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

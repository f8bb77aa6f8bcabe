"""Rows as raw items of a project."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.loading.columns import Plan, known
from app.loading.media import Media
from app.loading.sources import Found, Source
from contract.inputs import InputError, from_text
from contract.project import Project
from review_queue.intake import PARTS

PLANS = 1_000
"""Sets of columns that are remembered."""
_ITEM = set(PARTS)


@dataclass
class Rows:
    """Rows as raw items of the project."""

    source: Source
    project: Project
    plans: dict[tuple[str, ...], Plan] = field(default_factory=dict)

    def plan(self, values: Mapping[str, Any]) -> Plan:
        columns = tuple(values)
        if columns not in self.plans:
            if len(self.plans) > PLANS:
                self.plans.clear()
            self.plans[columns] = Plan.of(self.project, columns)
        return self.plans[columns]

    def item(self, found: Found, media: Media) -> tuple[dict[str, Any], frozenset[str]]:
        """The item, and the columns that went nowhere. Raises InputError."""
        values = found.values
        if self._is_item(values):
            return {name: values[name] for name in _ITEM & set(values)}, frozenset(set(values) - _ITEM)
        plan = self.plan(values)
        item: dict[str, Any] = {
            **self._scored(plan, found, media),
            "groups": {name: self._cell("category", values[name]) for name in plan.groups},
            "show": self._show(plan, values, media),
        }
        subject = self._cell("category", values.get(plan.subject)) if plan.subject else None
        further = {"subject": subject, "prediction": self._prediction(plan, values)}
        return {**item, **{name: value for name, value in further.items() if value is not None}}, plan.left_out

    def scored(self, found: Found, media: Media) -> tuple[dict[str, Any], frozenset[str]]:
        """Of the item, its id and what the model sees, and the columns that went nowhere. Raises InputError."""
        values = found.values
        if self._is_item(values):
            return {name: values.get(name) for name in ("external_id", "input")}, frozenset(set(values) - _ITEM)
        plan = self.plan(values)
        return self._scored(plan, found, media), plan.left_out

    def subject(self, found: Found) -> Any:
        """Whom a row is about, where it says so."""
        values = found.values
        if self._is_item(values):
            return values.get("subject")
        plan = self.plan(values)
        return self._cell("category", values.get(plan.subject)) if plan.subject else None

    def _is_item(self, values: Mapping[str, Any]) -> bool:
        """Whether a row is an item already, as one is posted."""
        return isinstance(values.get("input"), Mapping) and "input" not in known(self.project)

    def _scored(self, plan: Plan, found: Found, media: Media) -> dict[str, Any]:
        values = found.values
        return {
            "external_id": self._cell("category", values.get(plan.id)) if plan.id else self.source.name_of(found),
            "input": {n: self._value(f"input.{n}", kind, values[n], media) for n, kind in plan.inputs.items()},
        }

    def _show(self, plan: Plan, values: Mapping[str, Any], media: Media) -> dict[str, Any]:
        shown = {}
        for name, kind in plan.show.items():
            many, cell = self.project.input.show[name].many, values[name]
            if many:
                each = _many(cell) if self.source.text else cell
                shown[name] = [self._value(f"show.{name}", kind, one, media) for one in each or []]
            else:
                shown[name] = self._value(f"show.{name}", kind, cell, media)
        return shown

    def _prediction(self, plan: Plan, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The prediction in the columns of a row; None where all of them are empty. Raises InputError naming the column."""
        cells = {label: self._cell("number", values[column]) for label, column in plan.chances.items()}
        if all(cell is None for cell in cells.values()):
            return None
        for label, cell in cells.items():
            if isinstance(cell, bool) or not isinstance(cell, (int, float)) or not 0 <= cell <= 1:
                held = "an empty cell" if cell is None else repr(cell)
                raise InputError(plan.chances[label], f"{held} is no probability of {label}; it must be a number from 0 to 1")
        if len(self.project.labels) == 2 and len(self.project.model.probabilities or {}) == 1:
            ((label, p),) = cells.items()
            cells = {each: p if each == label else 1 - p for each in self.project.labels}
        version = self._cell("category", values[plan.version]) if plan.version else None
        return {"probabilities": cells} | ({"model_version": version} if version is not None else {})

    def _value(self, place: str, kind: str, value: Any, media: Media) -> Any:
        held = self._cell(kind, value)
        return media.keep(place, kind, held) if kind in ("image", "file") else held

    def _cell(self, kind: str, value: Any) -> Any:
        return read_cell(kind, value, text=self.source.text, decimal_comma=self.source.decimal_comma)


def read_cell(kind: str, value: Any, *, text: bool = False, decimal_comma: bool = False) -> Any:
    """What a file holds, as the JSON value of its type. `text`: it is a cell of text; else NaN is missing, as null is."""
    if text or (isinstance(value, str) and kind in ("number", "boolean", "date")):
        return from_text(kind, value, decimal_comma=decimal_comma)
    return _plain(kind, value)


def _many(cell: str | None) -> Any:
    """A cell that holds several values: a JSON list, or one value alone."""
    text = (cell or "").strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return [text]
    return [text] if text else []


def _plain(kind: str, value: Any) -> Any:
    """A Parquet value as JSON has it."""
    if isinstance(value, float) and value != value:
        return None
    if kind == "date" and isinstance(value, int) and not isinstance(value, bool):
        return from_text(kind, str(value))
    if isinstance(value, Decimal):
        return float(value) if kind == "number" else str(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value

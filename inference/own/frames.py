"""Rows as the DataFrame that pandas reads from the owner's file: the model's order of columns, the file's dtypes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from contract.files import nearest
from contract.project import Feature
from inference.errors import ModelAddError
from inference.own.cells import Coded
from inference.own.engine import Cells

Form = Literal["frame", "array", "series"]
_PLAIN = str(pd.Series(["a", None]).dtype)
"""The dtype of texts where none is said: str, in pandas 2 object."""


@dataclass(frozen=True, slots=True)
class Handing:
    """How a model is handed its rows. `columns`: in its order; `kinds`: their types in the project; `dtypes`: in the file."""

    form: Form
    columns: tuple[str, ...]
    kinds: Mapping[str, str]
    dtypes: Mapping[str, str]
    categories: Mapping[str, tuple[Any, ...]]

    def table(self, cells: Cells) -> Any:
        """A table by columns to a DataFrame, or to a matrix where the model was fitted without names."""
        if self.form == "array":
            return self._matrix(cells)
        return pd.DataFrame({name: self._column(name, cells[name]) for name in self.columns})

    def texts(self, texts: Sequence[str]) -> Any:
        """Texts to a Series of the feature's name, or to a DataFrame of one column."""
        series = pd.Series(list(texts), dtype=self.dtypes.get(self.columns[0], _PLAIN), name=self.columns[0])
        return series if self.form == "series" else series.to_frame()

    def settings(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "columns": list(self.columns),
            "kinds": dict(self.kinds),
            "dtypes": dict(self.dtypes),
            "categories": {name: list(values) for name, values in self.categories.items()},
        }

    def _matrix(self, cells: Cells) -> Any:
        columns = [self._column(name, cells[name]) for name in self.columns]
        if all(self.kinds[name] in ("number", "boolean") for name in self.columns):
            return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
        return pd.DataFrame(dict(zip(self.columns, columns, strict=True))).to_numpy(dtype=object)

    def _column(self, name: str, values: Sequence[Any]) -> Any:
        kind, dtype = self.kinds[name], self.dtypes.get(name, "")
        if not isinstance(values, Coded):
            return self._made(name, list(values), kind, dtype)
        used = np.unique(values.codes)
        held = self._made(name, [values.distinct[code] for code in used], kind, dtype)
        return held.take(np.searchsorted(used, values.codes)).reset_index(drop=True)

    def _made(self, name: str, values: list[Any], kind: str, dtype: str) -> Any:
        if name in self.categories:
            return pd.Series(pd.Categorical(values, categories=list(self.categories[name])))
        return _SERIES[kind](values, dtype)


def read(settings: Mapping[str, Any]) -> Handing:
    """As settings hold it. Raises KeyError, TypeError or ValueError for others."""
    columns, kinds = tuple(map(str, settings["columns"])), dict(settings["kinds"])
    if settings["form"] not in ("frame", "array", "series") or not columns or any(kinds[name] not in _SERIES for name in columns):
        raise ValueError(f"rows are not handed over as {settings['form']!r} of {columns}")
    categories = {name: tuple(values) for name, values in settings["categories"].items()}
    return Handing(settings["form"], columns, kinds, dict(settings["dtypes"]), categories)


def handing(
    form: Form, columns: Sequence[str], features: Mapping[str, Feature], dtypes: Mapping[str, str], cells: Cells
) -> Handing:
    """For a model of these columns; `cells`, the sample, gives the categories of columns of dtype category."""
    coded = [name for name in columns if dtypes.get(name) == "category"]
    categories = {name: tuple(sorted({value for value in cells[name] if value is not None})) for name in coded}
    kinds = {name: features[name].type for name in columns}
    return Handing(form, tuple(columns), kinds, {name: dtypes[name] for name in columns if name in dtypes}, categories)


def ordered(wanted: Sequence[str], features: Mapping[str, Feature]) -> tuple[str, ...]:
    """The features that a model names, in its order; LightGBM writes blanks as underscores. Raises ModelAddError."""
    blanks = {name.replace(" ", "_"): name for name in features}
    found = [name if name in features else blanks.get(name) for name in wanted]
    for name, feature in zip(wanted, found, strict=True):
        if feature is None:
            raise ModelAddError(
                f"the model needs the column {name!r}, which is no feature of the project{nearest(name, features)}; "
                "add it to input.features of project.yaml, or fit the model without it"
            )
    return tuple(feature for feature in found if feature is not None)


def _numbers(values: list[Any], dtype: str) -> Any:
    """A column of whole numbers in which one is missing becomes one of floats, as when pandas reads it."""
    held: Any = pd.Series(np.array([np.nan if value is None else value for value in values], dtype=np.float64))
    if dtype.lower().startswith("float"):
        return held.astype(dtype)
    known = held.dropna()
    fits = (known % 1 == 0).all() and (len(known) == len(held) or dtype[:1].isupper())
    return held.astype(dtype) if dtype.lower().startswith(("int", "uint")) and fits else held


def _booleans(values: list[Any], dtype: str) -> Any:
    if dtype in ("boolean", "object") or any(value is None for value in values):
        return pd.Series(values, dtype="boolean" if dtype == "boolean" else object)
    held: Any = pd.Series(values, dtype=bool)
    return held.astype(dtype) if dtype else held


def _dates(values: list[Any], dtype: str) -> Any:
    if dtype == "object" != _PLAIN:
        return pd.Series([None if value is None else datetime.fromisoformat(value).date() for value in values], dtype=object)
    if not dtype.startswith("datetime64"):
        return pd.Series(values, dtype=dtype or _PLAIN)
    zoned = "," in dtype
    held: Any = pd.Series(pd.to_datetime(values, format="ISO8601", utc=True))
    return held.astype(dtype) if zoned else held.dt.tz_localize(None).astype(dtype)


def _texts(values: list[Any], dtype: str) -> Any:
    return pd.Series(values, dtype=dtype or _PLAIN)


def _categories(values: list[Any], dtype: str) -> Any:
    """As texts, or as the numbers or booleans that the file holds them as; one that is none stays a text, as pandas reads it."""
    back = _BACK.get(dtype.lower().rstrip("0123456789"))
    if back is None:
        return _texts(values, dtype)
    try:
        plain = [None if value is None else back(value) for value in values]
    except ValueError:
        return pd.Series([_tried(back, value) for value in values], dtype=object)
    return _booleans(plain, dtype) if back is _boolean else _numbers(plain, dtype)


def _tried(back: Callable[[str], Any], value: Any) -> Any:
    try:
        return None if value is None else back(value)
    except ValueError:
        return value


def _boolean(text: str) -> bool:
    known = json.loads(text.lower())
    if not isinstance(known, bool):
        raise ValueError(f"{text!r} is neither true nor false")
    return known


_BACK: Mapping[str, Callable[[str], Any]] = {"int": int, "uint": int, "float": float, "bool": _boolean, "boolean": _boolean}
_SERIES: Mapping[str, Callable[[list[Any], str], Any]] = {
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "text": _texts,
    "category": _categories,
}

"""The label that stands beside a row."""

import re
from pathlib import Path
from typing import Any

from app.loading.columns import no_label_column
from app.loading.errors import LoadError
from app.loading.sources import Found, Source
from contract.files import nearest
from contract.inputs import InputError
from contract.project import Project

NAMED = 50
"""Columns and unknown labels that are remembered."""
SHOWN = 5
"""Unknown labels that an error names."""
LONGEST = 60
"""Characters of an unknown label that an error shows."""


class Labels:
    """The labels of a file or folder, as the project spells them, and what stood there instead."""

    def __init__(self, source: Source, project: Project) -> None:
        self._source, self._project = source, project
        self._columns: dict[str, None] = {}
        self._unknown: dict[str, None] = {}
        self._known = 0

    def of(self, found: Found) -> str:
        """The label of a row. Raises InputError with the mend."""
        self._remember(self._columns, *found.values)
        text = label_in(self._source.label_of(found))
        if not text:
            raise self._empty()
        label = next((each for each in (text, plain_label(text)) if each in self._project.labels), None)
        if label is None:
            self._remember(self._unknown, text)
            problem = f"{_short(text)} is no label of {self._project.project}{self._near(text)}"
            raise InputError(self._source.label or "folder", problem)
        self._known += 1
        return label

    def nothing(self, rejected: Path | None) -> LoadError:
        """Why no row is left of all."""
        path, label, name = self._source.path, self._source.label, self._project.project
        told = f"each row stands with its reason in {rejected}"
        if self._known:
            return LoadError(f"no row of {path} can be learned from; {told}")
        if self._unknown:
            held = ", ".join(_short(each) for each in list(self._unknown)[:SHOWN])
            return LoadError(f"{path} has no label of {name}, but {held}{self._near(next(iter(self._unknown)))}")
        if label is not None and self._columns and label not in self._columns:
            return no_label_column(path, label, self._columns)
        return LoadError(f"no row of {path} has a label; {told}")

    def _empty(self) -> InputError:
        if self._source.label is None:
            return InputError("folder", "lies in none; put it into a folder that is named as its label")
        return InputError(self._source.label, "holds nothing; a row needs its label")

    def _near(self, text: str) -> str:
        return nearest(text, self._project.labels)

    def _remember(self, names: dict[str, None], *more: str) -> None:
        if len(names) < NAMED:
            names.update(dict.fromkeys(more))


def label_in(value: Any) -> str:
    """A label in a file as text; nothing where there is none."""
    if value is None or value != value:
        return ""
    return plain_label(str(value)) if isinstance(value, (bool, float)) else str(value).strip()


def plain_label(text: str) -> str:
    """What tables make of whole numbers, and of true and false, as project.yaml has them."""
    whole = re.fullmatch(r"(-?[0-9]+)\.0", text)
    return whole[1] if whole else {"True": "true", "False": "false"}.get(text, text)


def _short(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")

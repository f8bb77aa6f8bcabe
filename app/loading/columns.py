"""Which column of a file goes where, and what its header lacks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.loading.errors import LoadError
from contract.files import nearest
from contract.project import Project

VERSION = "model_version"
"""The column that may name the version a row's prediction was made by."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which column goes where: column -> type; and label -> column for the probabilities that came along."""

    id: str | None
    subject: str | None
    inputs: Mapping[str, str]
    show: Mapping[str, str]
    groups: tuple[str, ...]
    left_out: frozenset[str]
    chances: Mapping[str, str]
    version: str | None

    @classmethod
    def of(cls, project: Project, columns: Iterable[str]) -> "Plan":
        there, wanted = set(columns), project.input
        inputs = {name: f.type for name, f in wanted.features.items() if name in there}
        inputs |= {f.was: f.type for name, f in wanted.features.items() if f.was in there and name not in there and f.was}
        if wanted.time in there and wanted.time:
            inputs.setdefault(wanted.time, "date")
        name_of = wanted.id or ("external_id" if "external_id" in there - set(wanted.features) - set(wanted.show) else None)
        show = {name: shown.type for name, shown in wanted.show.items() if name in there}
        groups = tuple(name for name in wanted.groups if name in there)
        chances = {label: column for label, column in (project.model.probabilities or {}).items() if column in there}
        used = {*inputs, *show, *groups, *chances.values(), name_of, wanted.subject}
        version = VERSION if chances and VERSION in there - used else None
        left_out = frozenset(there - used - {version})
        return cls(name_of, wanted.subject, inputs, show, groups, left_out, chances, version)


def known(project: Project) -> set[str]:
    """Every column that the project has a use for."""
    wanted = project.input
    renamed = {f.was for f in wanted.features.values() if f.was}
    single = {name for name in (wanted.id, wanted.time, wanted.subject, "external_id") if name}
    sent = {*(project.model.probabilities or {}).values(), *([VERSION] if project.model.probabilities else [])}
    return {*wanted.features, *wanted.show, *wanted.groups, *renamed, *single, *sent}


def check_header(path: Path, project: Project | None, names: Sequence[str], label: str | None = None) -> None:
    """Raises LoadError where a column stands twice, or one is lacking: of the project, if there is one, or that of the labels."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise LoadError(f"{path} has two columns called {twice[0]!r}; rename or drop one")
    if project is not None:
        _check_required(path, project, names)
    if project is not None and label is None:
        _check_probabilities(path, project, names)
    if label is not None and label not in names:
        raise no_label_column(path, label, names)


def _check_required(path: Path, project: Project, names: Sequence[str]) -> None:
    there, wanted = set(names), project.input
    required = [name for name, f in wanted.features.items() if not f.optional and name not in there and f.was not in there]
    if wanted.id and wanted.id not in there:
        required.insert(0, wanted.id)
    if required:
        lacking = required[0]
        more = f" (and {', '.join(required[1:6])})" if required[1:] else ""
        raise LoadError(f"{path} has no column {lacking!r}{more}, which {project.project} needs{nearest(lacking, names)}")


def _check_probabilities(path: Path, project: Project, names: Sequence[str]) -> None:
    for label, column in (project.model.probabilities or {}).items():
        if column not in names:
            raise LoadError(
                f"{path} has no column {column!r}, which model.probabilities names for {label}{nearest(column, names)}"
            )


def check_label(project: Project, label: str) -> None:
    """Raises LoadError where a column cannot hold labels, because the model sees it or an item is named by it."""
    seen = {*project.input.features, *(f.was for f in project.input.features.values())}
    if label in seen:
        raise LoadError(
            f"{label!r} is a feature of {project.project}: the model would be shown the answer; take it out of "
            f"input.features, or name another column with --label"
        )
    if label == project.input.id:
        raise LoadError(f"{label!r} is the id of {project.project}; name another column with --label")


def no_label_column(path: Path, label: str, names: Iterable[str]) -> LoadError:
    """The error of a file without the column that should hold the labels."""
    return LoadError(f"{path} has no column {label!r} to take labels from{nearest(label, names)}")

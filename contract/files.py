"""Reading the YAML files that people write, so that an error names file, line, key, value and the nearest valid key."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]
DEEPEST = 20
"""Levels of keys in one file; more is a mistake, or an alias that holds itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what stands there, and the mend."""

    file: str
    line: int
    key: str
    value: Any
    message: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {_short(self.value)}"
        where = f"{self.key}{shown}: " if self.key else ""
        return f"{self.file}:{self.line}: {where}{self.message}"


class FileError(ValueError):
    """A file that cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file that remembers on which line each key stands."""

    file: str
    data: Any
    lines: Mapping[KeyPath, int]

    def problem(self, path: KeyPath, message: str, value: Any = None) -> Problem:
        """A problem at the deepest known part of `path`."""
        known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in self.lines), ())
        return Problem(self.file, self.lines.get(known, 1), ".".join(map(str, path)), value, message)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: only true and false are booleans (a label may be called `no`), dates stay text, and so do `01`
    and `1:30`, which YAML 1.1 reads as an octal number and as ninety."""


_OLD = (":bool", ":timestamp", ":int", ":float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(_OLD)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_WHOLE = r"[-+]?(?:0|[1-9][0-9]*)"
_FRACTION = rf"(?:{_WHOLE}(?:\.[0-9]*)?|[-+]?\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", "true|false", "tf"),
    ("int", _WHOLE, "-+0123456789"),
    ("float", _FRACTION, "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read_yaml(path: Path) -> Document:
    """Parse a file. Raises FileError where it is missing, not UTF-8, not YAML, or says a key twice."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise FileError([Problem(str(path), 1, "", None, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte {error.start}); save it as UTF-8"
        raise FileError([Problem(str(path), 1, "", None, message)]) from error


def parse_yaml(text: str, file: str) -> Document:
    """Parse YAML text; `file` is only named in errors."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        if node is not None:
            _locate(node, (), lines, file)
        data = loader.construct_document(node) if node is not None else None
        return Document(file, {} if data is None else data, lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileError([Problem(file, line, "", None, f"is not YAML: {error.problem}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise FileError([Problem(file, line, "", None, f"is not YAML: {error.reason}")]) from error


def _locate(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], file: str) -> None:
    if len(path) > DEEPEST:
        raise FileError([Problem(file, node.start_mark.line + 1, ".".join(map(str, path[:3])), None, "is nested too deeply")])
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                raise FileError([Problem(file, key.start_mark.line + 1, ".".join(map(str, inner)), None, "stands twice")])
            lines[inner] = key.start_mark.line + 1
            _locate(value, inner, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _locate(value, (*path, index), lines, file)


def validate(model: type[Model], document: Document) -> Model:
    """A document as a model. Raises FileError with every problem found."""
    if not isinstance(document.data, dict):
        raise FileError([document.problem((), "must be a mapping of keys to values")])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise FileError(_merged(_problem(model, document, details) for details in error.errors())) from error


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """One problem per place: where a value may be of several kinds, pydantic says for each why it is none."""
    places: dict[tuple[str, int], Problem] = {}
    for problem in problems:
        place = problem.key, problem.line
        known = places.get(place)
        places[place] = problem if known is None else replace(known, message=f"{known.message}, or {problem.message}")
    return list(places.values())


def _problem(model: type[BaseModel], document: Document, details: Any) -> Problem:
    path = _known_path(document, details["loc"])
    if details["type"] == "extra_forbidden":
        key = str(details["loc"][-1])
        return document.problem(path, "unknown key" + nearest(key, _keys_at(model, path[:-1])), details["input"])
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", details["ctx"]["expected"])
        message = f"must be one of {', '.join(choices)}" + nearest(str(details["input"]), choices).split("; known")[0]
    value = None if isinstance(details["input"], (dict, BaseModel)) or details["type"] == "missing" else details["input"]
    return document.problem(path, message[0].lower() + message[1:], value)


def _known_path(document: Document, loc: tuple[str | int, ...]) -> KeyPath:
    """Pydantic's location without the names of union branches, which stand in no file."""
    path: KeyPath = ()
    for index, part in enumerate(loc):
        if (*path, part) in document.lines or (index == len(loc) - 1 and not _is_branch(part)):
            path = (*path, part)
    return path


def _is_branch(part: str | int) -> bool:
    kinds = {"str", "float", "int", "bool", "dict", "list"}
    return isinstance(part, str) and ("[" in part or part.removeprefix("constrained-") in kinds)


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that a model knows at a place in the file."""
    here: Any = model
    for part in path:
        fields = getattr(here, "model_fields", {})
        field = next((f for name, f in fields.items() if part in (name, f.alias)), None)
        here = (_model_in(field.annotation) if field is not None else None) or here
    return [field.alias or name for name, field in getattr(here, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; nearest is X`, or `; known: …` where nothing is near."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; nearest is {close[0]}"
    return f"; known: {', '.join(names)}" if names else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

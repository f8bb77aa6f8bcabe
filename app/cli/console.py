"""Opening a workspace for a command, and printing what it found: aligned text for people, one JSON document for programs."""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from app.settings import Settings
    from app.workspace import Workspace
    from db.engine import Database
    from review_queue.projects import Setting

NARROWEST, WIDEST = 80, 100
IDS = ("id", "asked_by", "datasets")
"""Names of values that are ids, beside those that end in `_id`."""


class Problem(Exception):
    """What a command cannot do, and the mend."""


# Opening


def settings_of(directory: Path | None, **given: Any) -> "Settings":
    """The settings, the folder and others as given on the command line. Raises Problem for one that cannot be used."""
    from pydantic import ValidationError

    from app.settings import Settings

    known = {name: value for name, value in {"dir": directory, **given}.items() if value is not None}
    try:
        return Settings(**known)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"SIGNOFF_{str(first['loc'][0]).upper()}" if first["loc"] else "the settings"
        raise Problem(f"{name} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}") from error


@contextmanager
def opened(directory: Path | None, *, make: bool = False, serving: bool = False) -> "Iterator[Workspace]":
    """The workspace; only with `make` is one made where there is none. Raises Problem."""
    from app.workspace import open_workspace

    settings = settings_of(directory)
    if not make:
        require_workspace(settings)
    workspace = open_workspace(settings, serving=serving)
    try:
        yield workspace
    finally:
        workspace.database.close()


@contextmanager
def database_of(settings: "Settings") -> "Iterator[Database]":
    """The database alone, without looking into it."""
    from db.engine import Database

    database = Database(settings.url)
    try:
        yield database
    finally:
        database.close()


def require_workspace(settings: "Settings") -> None:
    """Raises Problem where the default database was never made: a wrong folder should not become a new workspace."""
    if settings.database_url is None and not (settings.dir / "signoff.db").is_file():
        raise Problem(
            f"there is no workspace in {settings.dir}; make one with `signoff demo` or `signoff project apply`, "
            "or name another folder with --dir"
        )


def chosen(workspace: "Workspace", name: str | None) -> "Setting":
    """The project of that name, or the only one there is. Raises NotFound, Problem."""
    from review_queue import projects

    if name is not None:
        return workspace.database.read(projects.get, name)
    every = workspace.database.read(projects.everything)
    if not every:
        raise Problem("there is no project yet; write a project.yaml, then run `signoff project apply PATH`")
    if len(every) > 1:
        raise typer.BadParameter(f"there are several projects; name one with --project: {', '.join(p.name for p in every)}")
    return every[0]


# Printing


def say(as_json: bool, value: Any, text: str) -> None:
    """One JSON document, or the text."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False) if as_json else text)


def note(text: str) -> None:
    """A word beside the answer, where it does not disturb what reads the answer."""
    typer.echo(text, err=True)


def plain(value: Any, name: str = "") -> Any:
    """A record as JSON has it: ids as text, times in ISO 8601, what is no number as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each, str(key)) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, name) for each in value]
    return _atom(value, name)


def _atom(value: Any, name: str) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name in IDS or name.endswith("_id") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if value is None or isinstance(value, (str, bool)) else str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Aligned columns, numbers to the right, cut to the width of the terminal."""
    held = list(rows)
    cells = [list(head), *([cell(each) for each in row] for row in held)]
    widths = _fitted([max(len(row[n]) for row in cells) for n in range(len(head))])
    right = [bool(held) and all(isinstance(row[n], (int, float)) or row[n] is None for row in held) for n in range(len(head))]
    return "\n".join(_line(row, widths, right) for row in cells)


def listed(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one pair a line."""
    held = [(name, cell(value)) for name, value in pairs]
    width = max((len(name) for name, _ in held), default=0)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in held)


def cell(value: Any) -> str:
    """A value in a table: nothing is a dash, a time is to the minute in UTC."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%MZ}"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(each) for each in value) or "-"
    return " ".join(str(value).split())


def _fitted(widths: list[int]) -> list[int]:
    room = max(NARROWEST, min(shutil.get_terminal_size((WIDEST, 24)).columns, 2 * WIDEST)) - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cut = [text if len(text) <= width else text[: width - 1] + "…" for text, width in zip(row, widths, strict=True)]
    placed = [text.rjust(w) if to_right else text.ljust(w) for text, w, to_right in zip(cut, widths, right, strict=True)]
    return "  ".join(placed).rstrip()


@contextmanager
def bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on a terminal; nothing elsewhere. Told the share that is done, and a word about it."""
    from tqdm import tqdm

    shape = "{desc} {percentage:3.0f}%|{bar:30}| {postfix} [{elapsed}<{remaining}]"
    with tqdm(total=1.0, desc=title, bar_format=shape, disable=None, leave=False) as held:

        def progress(share: float, word: str = "") -> None:
            held.set_postfix_str(word, refresh=False)
            held.update(max(share - held.n, 0.0))

        yield progress

"""An owner's own code by name: a file or a module, and something in it."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from contract.files import nearest


class NotThere(ValueError):
    """Code that cannot be found or imported, and why."""


@dataclass(frozen=True, slots=True)
class Code:
    """What was found: the object, the file that it stands in, the folders that were importable, and how it is named."""

    value: Any
    path: Path
    folders: tuple[Path, ...]
    name: str


@contextmanager
def importable(folders: Sequence[Path]) -> Iterator[None]:
    """These folders come first among those that modules are looked for in."""
    before = [str(folder) for folder in folders]
    sys.path[:0] = before
    try:
        yield
    finally:
        for folder in before:
            if folder in sys.path:
                sys.path.remove(folder)


def found(spec: str, folders: Sequence[Path]) -> Code:
    """`FILE.py:NAME` or `package.module:NAME` with these folders importable; a file is taken from the current folder.

    Raises NotThere, with what is wrong and which names there are.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise NotThere(f"{spec!r} names nothing; write FILE.py:NAME or package.module:NAME")
    if place.endswith(".py"):
        path = Path(place).expanduser().resolve()
        searched: tuple[Path, ...] = (path.parent, *folders)
        module = from_file(path, searched)
    else:
        searched = tuple(folders)
        module = from_name(place, searched)
        path = Path(getattr(module, "__file__", None) or "").resolve()
    return Code(_attribute(module, name, place), path, tuple(dict.fromkeys(each.resolve() for each in searched)), name)


def from_file(path: Path, folders: Sequence[Path]) -> ModuleType:
    """The module of a file, under a name of its own, so that it replaces no other. Raises NotThere."""
    if not path.is_file():
        raise NotThere(f"{path} is not there")
    name = "_signoff_" + hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NotThere(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with importable(folders):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise NotThere(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def from_name(place: str, folders: Sequence[Path]) -> ModuleType:
    """A module by its dotted name. Raises NotThere."""
    try:
        with importable(folders):
            importlib.invalidate_caches()
            return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        looked = ", ".join(map(str, folders))
        raise NotThere(f"{place} cannot be imported: {type(error).__name__}: {error}; looked in {looked}") from error


def _attribute(module: ModuleType, name: str, place: str) -> Any:
    held: Any = module
    for part in name.split("."):
        if not hasattr(held, part):
            names = [each for each in vars(held) if not each.startswith("_")]
            raise NotThere(f"{place} has no {part}" + nearest(part, names))
        held = getattr(held, part)
    return held


def weightless(path: Path) -> str:
    """What is said of weights without a module."""
    return (
        f"{path} holds weights alone; say whose they are: --class package.module:Class (or FILE.py:Class), "
        "a class or function that makes the module without arguments"
    )

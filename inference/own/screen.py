"""Which torch.export archives may be loaded: numbers, and a graph of torch's own operators; nothing in them that runs Python.

`torch.export.load` (torch 2.9 to 2.13, `export/pt2_archive/_package.py` and `_export/serde/serialize.py`) trusts its file. It
unpickles weights and constants that ask for it, opaque constants, sample inputs that `weights_only=True` refuses, and weights
of the older layout; it runs compiled libraries under data/aotinductor; it evaluates the text of symbolic sizes (sympy.sympify)
and of guards (exec); it takes any attribute of `torch`, `operator` and `math` as an operator; it imports the modules that a
tree spec names for an enum; and it writes names of nodes into source code that it then runs.

So no archive reaches it as it came. `rebuilt` reads the zip and the JSON in it, refuses whatever of the above is asked for,
drops what no answer needs (sample inputs, guards, metadata with its stack traces, extra files), puts everything on the CPU, and
writes a new archive of what is left. What remains trusted is torch's own operators given odd numbers: they can fail, and use
much memory.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from inference import store

MAX_BYTES = store.MAX_BYTES
"""Bytes of an archive, and of what it unpacks to."""
_ROOT = "archive/"
_TIME = (1980, 1, 1, 0, 0, 0)
_MODEL = "models/model.json"
_CONFIGS = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
_SAMPLE = "data/sample_inputs/model.pt"
_KEPT = re.compile(r"data/weights/weight_\d+|data/constants/tensor_\d+")
_FIXED = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_IGNORED = re.compile(r"\.data/(version|serialization_id)|\.format_version|\.storage_alignment|extra/.*|" + re.escape(_SAMPLE))
_EMPTIED: Mapping[str, Any] = {"metadata": {}, "guards_code": [], "treespec_namedtuple_fields": {}}
_OBJECTS = frozenset({"as_custom_obj", "custom_obj", "custom_obj_values"})

_DOTTED = re.compile(r"[\w.+\-]{0,500}")
_SYMBOLIC = frozenset({
    "Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Max", "Min", "Mod", "And", "Or", "Not", "true", "false",
    "Equality", "Unequality", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "StrictLessThan", "LessThan", "StrictGreaterThan",
    "GreaterThan", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv",
    "PowByNatural", "FloatPow", "FloatTrueDiv", "IntTrueDiv", "TruncToFloat", "TruncToInt", "RoundToInt", "ToFloat", "Identity",
    "True", "False", "positive", "integer", "nonnegative", "real",
})  # fmt: skip
_TOKEN = re.compile(r"'[a-z]{1,6}\d{1,9}'|[A-Za-z_]\w*|\d+|\*\*|[<>=!]=|[-+*/%(),<>=&|~ ]")
_SYMBOL = re.compile(r"[a-z]{1,6}\d{1,9}")
_MAX_EXPRESSION, _MAX_DIGITS, _MAX_POWERS = 2_000, 19, 2
_PYTHON = frozenset(
    [f"_operator.{name}" for name in ("eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod")]
    + [f"_operator.{name}" for name in ("pow", "truediv", "and_", "or_", "getitem")]
    + [f"math.{name}" for name in ("trunc", "ceil", "floor", "sqrt")]
    + [f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min", "sqrt")]
    + [f"torch.ops.higher_order.{name}" for name in ("wrap_with_set_grad_enabled", "wrap_with_autocast", "cond")]
)
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_BARRED = re.compile(r"from_file|_test_.*|_print")
_TREES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})


class Refused(ValueError):
    """An archive that may not be loaded, and why."""


def rebuilt(data: bytes) -> bytes:
    """A torch.export archive as a new one that may be loaded; the same archive gives the same bytes. Raises Refused."""
    if len(data) > MAX_BYTES:
        raise Refused(f"it has {len(data) >> 20:,} MB; at most {MAX_BYTES >> 20:,} are taken")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            held = _held(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Refused(f"it is not a zip archive that can be read: {error}") from error
    for name, expected in _FIXED.items():
        if held.get(name, expected).strip() != expected:
            raise Refused(f"its {name} is {held[name][:20]!r}, and {expected!r} can be read; save it with another torch")
    kept = {name: held[name] for name in sorted(held) if _KEPT.fullmatch(name)}
    for folder, name in _CONFIGS.items():
        kept[name] = _json(_payload(_read(held, name), folder, held))
    kept[_MODEL] = _json(_screened(_read(held, _MODEL), ""))
    return _written(kept)


def _held(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise Refused(f"it unpacks to more than {MAX_BYTES >> 20:,} MB")
    held: dict[str, bytes] = {}
    for entry in entries:
        name = entry.filename.partition("/")[2]
        if name in held:
            raise Refused(f"it holds {name} twice")
        if not _IGNORED.fullmatch(name):
            held[_known(name)] = archive.read(entry)
    return held


def _known(name: str) -> str:
    if _KEPT.fullmatch(name) or name in (_MODEL, *_CONFIGS.values(), *_FIXED):
        return name
    if name.startswith("data/aotinductor/"):
        raise Refused("it holds compiled code (AOTInductor); save the exported program alone with torch.export.save")
    if re.fullmatch(r"data/(weights|constants)/.*", name):
        raise Refused(f"it holds the pickle {name}; export the model again with torch.export.save of torch 2.9 or newer")
    raise Refused(f"it holds {name!r}, which torch.export.save of one program does not write")


def _read(held: Mapping[str, bytes], name: str) -> Any:
    if name not in held:
        raise Refused(f"it holds no {name}; write it with torch.export.save of torch 2.9 or newer")
    try:
        return json.loads(held[name])
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} in it is not JSON: {error}") from error


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _payload(document: Any, folder: str, held: Mapping[str, bytes]) -> Any:
    """The list of weights or constants, each of which is plain numbers in the archive."""
    entries = document.get("config") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise Refused(f"the list of {folder} in it is not one that torch.export.save writes")
    for name, entry in entries.items():
        if entry.get("use_pickle") is not False or not isinstance(entry.get("tensor_meta"), dict):
            raise Refused(f"{name} is pickled (a tensor subclass, or an object of a class); keep plain tensors in the model")
        path = f"{folder}{entry.get('path_name')}"
        if not _KEPT.fullmatch(path) or path not in held:
            raise Refused(f"{name} has no numbers in it: {path} is missing")
        if not held[path] and {"as_int": 0} not in entry["tensor_meta"].get("sizes", []):
            raise Refused(f"{name} is empty and has a size all the same")
    return {"config": {_matches(_DOTTED, name, "name"): _screened(entry, "") for name, entry in entries.items()}}


def _screened(value: Any, key: str) -> Any:
    """A part of the program with every text in it looked at; raises Refused for one that is not plain."""
    if isinstance(value, dict):
        if key in ("device", "as_device"):
            return {"type": "cpu", "index": None}
        return {_matches(_DOTTED, name, "name"): _part(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_screened(each, key) for each in value]
    if isinstance(value, str):
        return _TEXTS.get(key, _plain)(value)
    return value


def _part(value: Any, key: str) -> Any:
    if key in _EMPTIED:
        return _EMPTIED[key]
    if key in _OBJECTS and value:
        raise Refused("it holds an object of a class, which only that class's own code can load; keep plain tensors in the model")
    return _screened(value, key)


def _matches(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise Refused(f"it holds the {what} {text[:80]!r}, which torch.export does not write")
    return text


def _plain(text: str) -> str:
    return _matches(_DOTTED, text, "text")


def _identifier(name: str) -> str:
    if name and not (name.isascii() and name.isidentifier() and len(name) <= 500):
        raise Refused(f"it holds the name {name[:80]!r}, which torch.export does not write")
    return name


def _string(text: str) -> str:
    if len(text) > 1_000:
        raise Refused("it holds a text of more than 1,000 characters as the argument of an operator")
    return text


def _expression(text: str) -> str:
    """A size in symbols, as torch.export writes it; sympy would evaluate anything else."""
    tokens = _TOKEN.findall(text) if len(text) <= _MAX_EXPRESSION else []
    numbers = [token for token in tokens if token.isdecimal()]
    powers = sum(token in ("**", "Pow", "PowByNatural", "FloatPow") for token in tokens)
    longest = 2 if powers else _MAX_DIGITS
    plain = "".join(tokens) == text and all(map(_token_known, tokens))
    if not plain or powers > _MAX_POWERS or any(len(number) > longest for number in numbers):
        raise Refused(f"it holds the size {text[:80]!r}, which torch.export does not write")
    return text


def _token_known(token: str) -> bool:
    return not (token[0].isalpha() or token[0] == "_") or token in _SYMBOLIC or bool(_SYMBOL.fullmatch(token))


def _operator(target: str) -> str:
    match = _ATEN.fullmatch(target)
    if match and not _BARRED.fullmatch(match[1]):
        name = match[1] if match[2] == "default" else f"{match[1]}.{match[2]}"
        if f"aten::{name}" in _operators():
            return target
    if target not in _PYTHON:
        raise Refused(f"it uses the operator {target[:80]}, which is none of torch's own (aten)")
    return target


@cache
def _operators() -> frozenset[str]:
    """Names that torch's dispatcher knows; operators of TorchScript alone, which open files, are not among them."""
    return frozenset(torch._C._dispatch_get_all_op_names())


def _spec(text: str) -> str:
    try:
        protocol, tree = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise Refused("it holds a tree of inputs or outputs that is not JSON") from None
    return json.dumps([int(protocol), _tree(tree)])


def _tree(tree: Any) -> Any:
    """A tree of tuples, lists and dicts; the names in a dict are texts."""
    if not isinstance(tree, dict) or tree.get("type") not in _TREES or not isinstance(tree.get("children_spec"), list):
        kind = tree.get("type") if isinstance(tree, dict) else tree
        raise Refused(f"it takes or returns a {str(kind)[:80]}; export a module that takes and returns tensors, tuples or dicts")
    context = json.loads(tree.get("context") or "null")
    names = context if isinstance(context, list) else []
    if context is not None and (not isinstance(context, list) or not all(isinstance(name, str) for name in names)):
        raise Refused("it holds a tree of inputs or outputs with names that are not texts")
    children = [_tree(child) for child in tree["children_spec"]]
    held = json.dumps([_plain(name) for name in names]) if context is not None else tree.get("context")
    return {"type": tree["type"], "context": held, "children_spec": children}


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "expr_str": _expression,
    "target": _operator,
    "as_operator": _operator,
    "in_spec": _spec,
    "out_spec": _spec,
    "name": _identifier,
    "as_name": _identifier,
    "forward_arg_names": _identifier,
    "as_string": _string,
    "as_strings": _string,
}


def _written(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    fixed = {**_FIXED, ".data/version": b"6\n", _SAMPLE: b""}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {**fixed, **files}.items():
            archive.writestr(zipfile.ZipInfo(_ROOT + name, _TIME), data)
    return target.getvalue()

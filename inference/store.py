"""A model as a folder and as an archive: JSON, safetensors and skops, never a pickle.

model.json           what the model is: kind, labels, input schema and its hash, figures, versions, hashes of the other files
weights.safetensors  or model.skops
background.jsonl     up to 100 training rows, for explaining (tables and texts)
"""

import io
import json
import platform
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.canonical import content_hash, digest
from contract.predictors import Column, ColumnKind
from contract.project import Feature
from inference.errors import ModelLoadError
from inference.predictors import BuiltIn, Card, ImagePredictor, Kind, TablePredictor, TextPredictor
from inference.training import Trained

FORMAT = 1
MODEL, BACKGROUND = "model.json", "background.jsonl"
WEIGHTS: Mapping[str, str] = {
    "torch-mlp": "weights.safetensors",
    "torch-text": "weights.safetensors",
    "torch-cnn": "weights.safetensors",
    "sklearn-hgb": "model.skops",
}
MAX_BYTES = 1 << 30
"""Bytes that an archive may unpack to."""
MAX_FILES = 16
_TIME = (1980, 1, 1, 0, 0, 0)


class _Column(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()


class _Model(BaseModel):
    """model.json."""

    model_config = ConfigDict(extra="forbid")
    format: int
    kind: Kind
    labels: tuple[str, ...] = Field(min_length=2)
    known: tuple[int, ...] = Field(min_length=2)
    features: dict[str, Feature] = Field(min_length=1)
    schema_hash: str
    data_hash: str
    temperature: float = Field(gt=0, allow_inf_nan=False)
    columns: tuple[_Column, ...]
    settings: dict[str, int]
    figures: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]


def save(model: Trained | BuiltIn, folder: Path) -> None:
    """Write a model into a folder, which is made where it is missing; files of an older model there are replaced."""
    predictor = model.predictor if isinstance(model, Trained) else model
    files = dict(predictor.engine.files())
    if predictor.background:
        files[BACKGROUND] = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in predictor.background).encode()
    text = json.dumps(_describe(predictor, files), indent=1, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MODEL, BACKGROUND, *set(WEIGHTS.values())):
        (folder / name).unlink(missing_ok=True)
    for name, data in {**files, MODEL: text.encode()}.items():
        (folder / name).write_bytes(data)


def load(folder: Path, *, version: str | None = None, device: str = "auto") -> BuiltIn:
    """The model of a folder; its version is the hash of the packed folder where none is given.

    Raises ModelLoadError where a file is missing, differs from its hash or does not fit, DeviceError for an absent device.
    """
    model = _read_model(folder)
    files = {name: _read_file(folder, name, expected) for name, expected in model.files.items()}
    if WEIGHTS[model.kind] not in files:
        raise ModelLoadError(f"{folder / MODEL} names no {WEIGHTS[model.kind]}, which a {model.kind} model needs")
    card = _card(model)
    engine = _engine(model, files, device)
    background = _background(files.get(BACKGROUND, b""))
    kinds = {"torch-text": TextPredictor, "torch-cnn": ImagePredictor}
    predictor: BuiltIn = kinds.get(model.kind, TablePredictor)(card, engine, background)
    return replace(predictor, version=version or digest(pack(folder)))


def pack(folder: Path) -> bytes:
    """The folder's model as a zip archive; the same files give the same bytes. Raises ModelLoadError."""
    names = sorted((*_read_model(folder).files, MODEL))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, _read(folder / name), zipfile.ZIP_DEFLATED, 6)
    return target.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Write an archive's files into a folder. Raises ModelLoadError for other than a few known, plain, moderate files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            files = _inflate(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ModelLoadError(f"the archive is not a zip file that can be read: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    allowed = {MODEL, BACKGROUND, *WEIGHTS.values()}
    names = [entry.filename for entry in entries]
    if len(names) > MAX_FILES or len(set(names)) != len(names):
        raise ModelLoadError("the archive holds too many files, or one name twice")
    for name in names:
        if name not in allowed:
            raise ModelLoadError(f"the archive holds {name!r}; a model has only {', '.join(sorted(allowed))}")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise ModelLoadError("the archive is packed with a method other than deflate")
    if MODEL not in names:
        raise ModelLoadError(f"the archive holds no {MODEL}")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ModelLoadError(f"the archive unpacks to more than {MAX_BYTES >> 20} MB")


def _inflate(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Contents by name. No entry is inflated beyond the size it names, and one that names another size fails its checksum."""
    files: dict[str, bytes] = {}
    for entry in archive.infolist():
        with archive.open(entry) as stream:
            files[entry.filename] = stream.read(entry.file_size)
    return files


def _describe(predictor: BuiltIn, files: Mapping[str, bytes]) -> dict[str, Any]:
    card = predictor.card
    columns = predictor.columns if isinstance(predictor, TablePredictor) else ()
    features = {
        name: feature.model_dump(exclude_defaults=True) | {"type": feature.type} for name, feature in card.features.items()
    }
    return {
        "format": FORMAT, "kind": card.kind, "labels": card.labels, "known": card.known,
        "features": features, "schema_hash": schema_hash(card.features), "data_hash": card.data_hash,
        "temperature": card.temperature,
        "columns": [{"name": each.name, "kind": each.kind, "categories": each.categories} for each in columns],
        "settings": predictor.engine.settings(), "figures": card.figures, "versions": versions(),
        "files": {name: digest(data) for name, data in sorted(files.items())},
    }  # fmt: skip


def schema_hash(features: Mapping[str, Feature]) -> str:
    """What a model needs of its input: names and types in order, and which may be absent."""
    return content_hash([[name, feature.type, feature.optional] for name, feature in features.items()])


def versions() -> dict[str, str]:
    """Of Python and of the libraries whose change could change a model."""
    found = {"python": platform.python_version()}
    for name, package in {"torch": "torch", "sklearn": "scikit-learn", "signoff": "signoff"}.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelLoadError(f"{path} cannot be read: {error.strerror}") from error


def _read_file(folder: Path, name: str, expected: str) -> bytes:
    data = _read(folder / name)
    if digest(data) != expected:
        raise ModelLoadError(f"{folder / name} is not the file that {MODEL} describes: its hash differs")
    return data


def _read_model(folder: Path) -> _Model:
    path = folder / MODEL
    try:
        held = json.loads(_read(path))
        if isinstance(held, dict) and held.get("format") != FORMAT:
            raise ModelLoadError(f"{path} has format {held.get('format')!r}; this version reads format {FORMAT}")
        model = _Model.model_validate(held)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelLoadError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is not JSON: {error}") from error
    _check_model(model, path)
    return model


def _check_model(model: _Model, path: Path) -> None:
    known = model.known
    if (
        len(set(model.labels)) != len(model.labels)
        or list(known) != sorted(set(known))
        or known[-1] >= len(model.labels)
        or known[0] < 0
    ):
        raise ModelLoadError(f"{path}: labels or known do not fit each other")
    if model.schema_hash != schema_hash(model.features):
        raise ModelLoadError(f"{path}: the input schema is not the one that was hashed")
    if model.settings.get("known") != len(known):
        raise ModelLoadError(f"{path}: settings and known do not fit each other")
    described = [(column.name, column.kind) for column in model.columns]
    if model.kind in ("torch-mlp", "sklearn-hgb") and described != [(name, each.type) for name, each in model.features.items()]:
        raise ModelLoadError(f"{path}: columns and features do not fit each other")
    for name in model.files:
        if name not in (WEIGHTS[model.kind], BACKGROUND):
            raise ModelLoadError(f"{path}: names the file {name!r}, which is no part of a {model.kind} model")


def _card(model: _Model) -> Card:
    return Card(model.kind, model.labels, model.known, model.features, model.temperature, model.data_hash, model.figures)


def _engine(model: _Model, files: dict[str, bytes], device: str) -> Any:
    columns = tuple(Column(each.name, each.kind, each.categories) for each in model.columns)
    try:
        if model.kind == "sklearn-hgb":
            from inference import boosting

            return boosting.load(columns, model.settings, files)
        from inference import cnn, mlp, textbag
        from inference.devices import resolve

        if model.kind == "torch-mlp":
            return mlp.load(columns, model.settings, files, resolve(device))
        return {"torch-text": textbag.load, "torch-cnn": cnn.load}[model.kind](model.settings, files, resolve(device))
    except KeyError as error:
        raise ModelLoadError(f"{MODEL}: settings lack {error}") from error


def _background(data: bytes) -> tuple[Any, ...]:
    try:
        rows = tuple(json.loads(line) for line in data.decode().splitlines())
    except ValueError as error:
        raise ModelLoadError(f"{BACKGROUND} is not JSON lines: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ModelLoadError(f"{BACKGROUND} holds a line that is not a row")
    return rows

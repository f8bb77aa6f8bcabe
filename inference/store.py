"""A model as a folder and as an archive: JSON, safetensors, skops, ONNX and torch.export, never a pickle.

model.json           what the model is: kind, labels, input schema and its hash, figures, versions, hashes of the other files
weights.safetensors  or model.skops; of brought models the files of their format (inference.own.formats.FILES)
background.jsonl     training rows, or of a brought model rows of its sample, for explaining (tables and texts)
ordinary.safetensors what is ordinary to the model, so that the strange is seen (inference/strange.py)
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
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.canonical import content_hash, digest
from contract.predictors import Column, ColumnKind
from contract.project import Feature
from contract.records import Row
from inference import strange
from inference.errors import ModelLoadError
from inference.own import formats
from inference.own.engine import Format
from inference.own.predictors import Modality, Own, OwnCard, own
from inference.predictors import BuiltIn, Card, ImagePredictor, Kind, TablePredictor, TextPredictor
from inference.training import TRAINERS, Trained

FORMAT = 1
MODEL, BACKGROUND = "model.json", "background.jsonl"
WEIGHTS: Mapping[str, str] = {
    "torch-mlp": "weights.safetensors",
    "torch-text": "weights.safetensors",
    "torch-cnn": "weights.safetensors",
    "sklearn-hgb": "model.skops",
    "sklearn-linear": "weights.safetensors",
}
MAX_BYTES = 1 << 30
"""Bytes that an archive may unpack to."""
MAX_FILES = 32
LARGE = 32 << 20
"""Files from this size are packed as they are: weights hardly shrink, and take long."""
OWN = "own:"
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
    labels: tuple[str, ...] = Field(min_length=2)
    features: dict[str, Feature] = Field(min_length=1)
    schema_hash: str
    figures: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]


class _BuiltIn(_Model):
    kind: Kind
    known: tuple[int, ...] = Field(min_length=2)
    data_hash: str
    temperature: float = Field(gt=0, allow_inf_nan=False)
    columns: tuple[_Column, ...]
    settings: dict[str, int]


class _Own(_Model):
    kind: Literal["own:sklearn", "own:torch-export", "own:onnx", "own:hf", "own:python"]
    modality: Modality
    dtypes: dict[str, str]
    settings: dict[str, Any]

    @property
    def own_format(self) -> Format:
        return cast(Format, self.kind.removeprefix(OWN))


def save(model: Trained | BuiltIn | Own, folder: Path) -> None:
    """Write a model into a folder, which is made where it is missing; files of an older model there are replaced."""
    predictor = model.predictor if isinstance(model, Trained) else model
    files = dict(predictor.engine.files())
    if predictor.background:
        files[BACKGROUND] = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in predictor.background).encode()
    if predictor.ordinary is not None:
        files[strange.FILE] = strange.dump(predictor.ordinary)
    text = json.dumps(_describe(predictor, files), indent=1, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _names():
        (folder / name).unlink(missing_ok=True)
    for name, data in {**files, MODEL: text.encode()}.items():
        (folder / name).write_bytes(data)


def load(folder: Path, *, version: str | None = None, device: str = "auto") -> BuiltIn | Own:
    """The model of a folder; its version is the hash of the packed folder where none is given.

    Raises ModelLoadError where a file is missing, differs from its hash or does not fit, where a brought model was taken with
    another scikit-learn or needs a library that is not installed; DeviceError for an absent device.
    """
    model = _read_model(folder)
    files = {name: _read_file(folder, name, expected) for name, expected in model.files.items()}
    for name in _files_of(model)[:1]:
        if name not in files:
            raise ModelLoadError(f"{folder / MODEL} names no {name}, which a {model.kind} model needs")
    background = _background(files.pop(BACKGROUND, b""))
    ordinary = strange.load(files.pop(strange.FILE)) if strange.FILE in files else None
    if isinstance(model, _BuiltIn):
        loaded: BuiltIn | Own = _built_in(model, files, background, device)
    else:
        loaded = _own(model, files, background, device)
    return replace(loaded, version=version or digest(pack(folder)), ordinary=ordinary)


def _built_in(model: _BuiltIn, files: dict[str, bytes], background: tuple[Row, ...], device: str) -> BuiltIn:
    kinds = {"torch-text": TextPredictor, "torch-cnn": ImagePredictor}
    predictor: BuiltIn = kinds.get(model.kind, TablePredictor)(_card(model), _engine(model, files, device), background)
    return predictor


def _own(model: _Own, files: dict[str, bytes], background: tuple[Row, ...], device: str) -> Own:
    formats.check_versions(model.own_format, model.versions)
    card = OwnCard(model.kind, model.modality, model.labels, model.features, model.dtypes, model.figures)
    return own(card, formats.load(model.own_format, model.labels, model.settings, files, device), background)


def _files_of(model: _BuiltIn | _Own) -> tuple[str, ...]:
    """The names of a model's own files; the first is always there."""
    return (WEIGHTS[model.kind],) if isinstance(model, _BuiltIn) else formats.FILES[model.own_format]


def _names() -> set[str]:
    """Every name that a file of any model may have."""
    return {MODEL, BACKGROUND, strange.FILE, *WEIGHTS.values(), *(name for names in formats.FILES.values() for name in names)}


def pack(folder: Path) -> bytes:
    """The folder's model as a zip archive; the same files give the same bytes. Raises ModelLoadError."""
    names = sorted((*_read_model(folder).files, MODEL))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            data = _read(folder / name)
            archive.writestr(entry, data, zipfile.ZIP_STORED if len(data) >= LARGE else zipfile.ZIP_DEFLATED, 6)
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
    allowed = _names()
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


def _describe(predictor: BuiltIn | Own, files: Mapping[str, bytes]) -> dict[str, Any]:
    card = predictor.card
    features = {
        name: feature.model_dump(exclude_defaults=True) | {"type": feature.type} for name, feature in card.features.items()
    }
    settings = predictor.engine.settings()
    return {
        "format": FORMAT, "kind": card.kind, "labels": card.labels,
        **(_describe_built_in(card, predictor) if isinstance(card, Card) else {"modality": card.modality, "dtypes": card.dtypes}),
        "features": features, "schema_hash": schema_hash(card.features), "settings": settings, "figures": card.figures,
        "versions": versions(_libraries(card.kind, settings)),
        "files": {name: digest(data) for name, data in sorted(files.items())},
    }  # fmt: skip


def _describe_built_in(card: Card, predictor: BuiltIn | Own) -> dict[str, Any]:
    columns = predictor.columns if isinstance(predictor, TablePredictor) else ()
    return {
        "known": card.known, "data_hash": card.data_hash, "temperature": card.temperature,
        "columns": [{"name": each.name, "kind": each.kind, "categories": each.categories} for each in columns],
    }  # fmt: skip


def _libraries(kind: str, settings: Mapping[str, Any]) -> Mapping[str, str]:
    if not kind.startswith(OWN):
        return {"torch": "torch", "sklearn": "scikit-learn"}
    used = {str(name): str(name) for name in settings.get("libraries", ())}
    return {**formats.LIBRARIES[cast(Format, kind.removeprefix(OWN))], **used}


def schema_hash(features: Mapping[str, Feature]) -> str:
    """What a model needs of its input: names and types in order, and which may be absent."""
    return content_hash([[name, feature.type, feature.optional] for name, feature in features.items()])


def versions(libraries: Mapping[str, str]) -> dict[str, str]:
    """Of Python, of this package and of the libraries whose change could change a model; `libraries`: name to package."""
    found = {"python": platform.python_version()}
    for name, package in {**libraries, "signoff": "signoff"}.items():
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


def _read_model(folder: Path) -> _BuiltIn | _Own:
    path = folder / MODEL
    try:
        held = json.loads(_read(path))
        if isinstance(held, dict) and held.get("format") != FORMAT:
            raise ModelLoadError(f"{path} has format {held.get('format')!r}; this version reads format {FORMAT}")
        brought = isinstance(held, dict) and str(held.get("kind")).startswith(OWN)
        model = (_Own if brought else _BuiltIn).model_validate(held)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelLoadError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is not JSON: {error}") from error
    _check_model(model, path)
    return model


def _check_model(model: _BuiltIn | _Own, path: Path) -> None:
    if len(set(model.labels)) != len(model.labels):
        raise ModelLoadError(f"{path}: labels or known do not fit each other: a label stands twice")
    if model.schema_hash != schema_hash(model.features):
        raise ModelLoadError(f"{path}: the input schema is not the one that was hashed")
    if isinstance(model, _BuiltIn):
        _check_known(model, path)
    for name in model.files:
        if name not in (*_files_of(model), BACKGROUND, strange.FILE):
            raise ModelLoadError(f"{path}: names the file {name!r}, which is no part of a {model.kind} model")


def _check_known(model: _BuiltIn, path: Path) -> None:
    known = model.known
    if list(known) != sorted(set(known)) or known[-1] >= len(model.labels) or known[0] < 0:
        raise ModelLoadError(f"{path}: labels or known do not fit each other")
    if model.settings.get("known") != len(known):
        raise ModelLoadError(f"{path}: settings and known do not fit each other")
    described = [(column.name, column.kind) for column in model.columns]
    if model.kind in TRAINERS["tabular"] and described != [(name, each.type) for name, each in model.features.items()]:
        raise ModelLoadError(f"{path}: columns and features do not fit each other")


def _card(model: _BuiltIn) -> Card:
    return Card(model.kind, model.labels, model.known, model.features, model.temperature, model.data_hash, model.figures)


def _engine(model: _BuiltIn, files: dict[str, bytes], device: str) -> Any:
    columns = tuple(Column(each.name, each.kind, each.categories) for each in model.columns)
    try:
        if model.kind == "sklearn-hgb":
            from inference import boosting

            return boosting.load(columns, model.settings, files)
        if model.kind == "sklearn-linear":
            from inference import linear

            return linear.load(columns, model.settings, files)
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

"""onnx: a model in ONNX, run by onnxruntime on a CPU, or on CUDA where it was built for it.

A graph is operators and numbers, and onnxruntime reads it from memory; a graph whose weights lie in other files, or that needs a
library of operators of its own, is refused. What its inputs are named decides what they get: one matrix of all features, one
column of each feature by its name, texts, or images.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from contract.predictors import Floats
from contract.project import Project
from inference.errors import ModelAddError, ModelLoadError
from inference.own import inputs, nodes, outputs, reading
from inference.own.engine import Options, Sample

logger = logging.getLogger(__name__)

FILE = "model.onnx"
CHUNK = {True: 64, False: 4_096}
"""Rows in one pass, of images and of all else."""
AGREED = 0.5
"""Share of the sample whose label, as the model itself names it, is that of its highest probability. SVMs vote and may differ."""
_FLOATS: Mapping[str, type] = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_WHOLE: Mapping[str, type] = {
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64,
}  # fmt: skip
_TEXT, _BOOL = "tensor(string)", "tensor(bool)"
_MAPS = "seq(map("
_LOOKED = 100
_LOCALE = (
    "its texts are put in small letters by a locale that this machine lacks: install en_US.UTF-8 (apt-get install locales, then "
    "locale-gen en_US.UTF-8), here and where the worker runs, or fit with TfidfVectorizer(lowercase=False)"
)
_WAYS = "bring a function that asks the model (python:FILE.py:FUNCTION)"
_FITS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((*_FLOATS, *_WHOLE), frozenset({"number", "boolean"})),
    _TEXT: frozenset({"category", "text", "date"}),
    _BOOL: frozenset({"boolean"}),
}


@dataclass(frozen=True, slots=True)
class _Port:
    """An input of a graph: None is an axis of any length. `feature`: whose column it gets."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    feature: str | None = None


@dataclass(frozen=True)
class Engine:
    """A graph in a session of onnxruntime. `ports` have a feature each, or are one matrix, text or image."""

    labels: tuple[str, ...]
    data: bytes
    session: Any
    ports: tuple[_Port, ...]
    output: str
    meaning: outputs.Meaning
    keys: tuple[str | int, ...]
    features: Mapping[str, str]
    picture: inputs.Picture | None = None
    findings: tuple[str, ...] = ()
    format: Literal["onnx"] = "onnx"

    def probabilities(self, given: Any) -> Floats:
        """Cells, texts, or (n, height, width, channels) images in 0..1, to (n, k)."""
        return outputs.probabilities(self.answers(given), self.meaning)

    def answers(self, given: Any) -> Floats:
        """What the graph gives, (n, k) or (n, 1)."""
        return outputs.table(_listed(self.raw(self.output, given), self.keys), _count(given))

    def raw(self, output: str, given: Any) -> list[Any]:
        """One output of the graph, as many parts as rows. Raises WrongShape for others."""
        fed, rows, found = _fed(self, given), _count(given), list[Any]()
        fixed = self.ports[0].shape[0]
        size = fixed or CHUNK[self.picture is not None]
        for start in range(0, rows, size):
            part = {name: _filled(values[start : start + size], fixed) for name, values in fed.items()}
            wanted = min(size, rows - start)
            answers = self.session.run([output], part)[0]
            if np.ndim(answers) == 0 or len(answers) != (fixed or wanted):
                shape = f"of shape {np.shape(answers)}"
                raise outputs.WrongShape(f"the model's answers are {shape} for {wanted} rows; give one row of numbers for each")
            found += list(answers[:wanted])
        return found

    def settings(self) -> dict[str, Any]:
        held = {
            "meaning": self.meaning, "output": self.output, "keys": list(self.keys), "features": dict(self.features)
        }  # fmt: skip
        return held | ({"picture": self.picture.settings()} if self.picture else {})

    def files(self) -> Mapping[str, bytes]:
        return {FILE: self.data}

    def said(self) -> Sequence[str]:
        return self.findings


@dataclass(frozen=True)
class PictureEngine(Engine):
    """A graph of images."""

    @property
    def size(self) -> inputs.Size:
        assert self.picture is not None
        return self.picture.size


def add(source: Path | str, sample: Sample, options: Options) -> Engine:
    """The model of an `.onnx` file, once it has answered the sample. Raises ModelAddError, with the mend."""
    path = Path(source)
    data = reading.content(path)
    try:
        facts = nodes.facts(data)
        if facts.external:
            raise ModelAddError(
                f"{path} keeps weights in other files beside it; write them into it with "
                "onnx.save(onnx.load(PATH), PATH, save_as_external_data=False), or torch.onnx.export(..., external_data=False)"
            )
        session = _session(data, options.device)
    except ValueError as error:
        raise ModelAddError(f"{path} cannot be read as an ONNX model: {error}") from error
    ports = _ports(session)
    engine, given = _untold(data, session, ports, sample)
    engine = replace(engine, keys=_keys(engine, given))
    values = outputs.tried(lambda rows: engine.answers(_taken(given, rows)), range(_count(given)))
    meaning = outputs.meaning(values)
    own = _own_labels(engine.keys, facts, values.shape[1])
    labels = outputs.named(own, options.labels, sample.project, values.shape[1])
    findings = (*engine.findings, outputs.of_labels(own, labels), outputs.said(meaning, labels))
    done = replace(engine, labels=labels, meaning=meaning, findings=findings)
    _check_labels(done, own or labels, given)
    return done


def load(labels: tuple[str, ...], settings: Mapping[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """The engine from its settings and files. Raises ModelLoadError."""
    try:
        data = files[FILE]
        if nodes.facts(data).external:
            raise ValueError("its weights lie in other files")
        session = _session(data, device)
        features = {str(name): str(kind) for name, kind in settings["features"].items()}
        picture = inputs.read_picture(settings["picture"]) if "picture" in settings else None
        meaning, output = outputs.read_meaning(settings["meaning"]), str(settings["output"])
        ports = _ports(session)
        if output not in [each.name for each in session.get_outputs()]:
            raise ValueError(f"it has no output {output}")
        if picture is None:
            ports = _matched(ports, features)
        keys = tuple(each if isinstance(each, int) else str(each) for each in settings["keys"])
    except (KeyError, TypeError, ValueError, AttributeError, ModelAddError) as error:
        raise ModelLoadError(f"{FILE} cannot be loaded: {error}") from error
    kind = PictureEngine if picture else Engine
    return kind(labels, data, session, ports, output, meaning, keys, features, picture)


def _session(data: bytes, device: str) -> Any:
    """Raises ValueError where onnxruntime cannot take the model, ModelAddError where it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelAddError("ONNX models are run by onnxruntime, which is not installed; pip install 'signoff[onnx]'") from error
    how = onnxruntime.SessionOptions()
    how.log_severity_level = 4
    how.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, how, providers=_providers(device, onnxruntime.get_available_providers()))
    except Exception as error:
        hint = f"; {_LOCALE}" if "locale" in str(error) else ""
        raise ValueError(f"onnxruntime says: {outputs.first_line(error)}{hint}") from error


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    name, _, number = device.partition(":")
    if name in ("auto", "cuda") and "CUDAExecutionProvider" in available:
        return [("CUDAExecutionProvider", {"device_id": int(number or 0), "use_tf32": 0}), "CPUExecutionProvider"]
    if name == "cuda":
        logger.warning("onnxruntime here knows no CUDA (pip install onnxruntime-gpu); the ONNX model runs on the CPU")
    return ["CPUExecutionProvider"]


def _ports(session: Any) -> tuple[_Port, ...]:
    return tuple(
        _Port(each.name, each.type, tuple(axis if isinstance(axis, int) and axis > 0 else None for axis in each.shape))
        for each in session.get_inputs()
    )


def _untold(data: bytes, session: Any, ports: tuple[_Port, ...], sample: Sample) -> tuple[Engine, Any]:
    """The engine before it is known what its answers mean, and the sample as it takes it."""
    features = {name: feature.type for name, feature in sample.project.input.features.items()}
    rows, name = sample.rows[: outputs.TRIED], next(iter(features))
    output = _output(session)
    if sample.project.input.type == "image":
        picture, given, said = _seen(ports, inputs.opened(rows, name))
        return PictureEngine((), data, session, ports, output, "log-odds", (), features, picture, (said,)), given
    ports = _matched(ports, features)
    said = _of_inputs(ports, sample.project)
    engine = Engine((), data, session, ports, output, "log-odds", (), features, None, (said,))
    if sample.project.input.type == "text":
        return engine, ["" if row.get(name) is None else row[name] for row in rows]
    return engine, inputs.columns(rows, tuple(features))


def _seen(ports: Sequence[_Port], held: Sequence[Any]) -> tuple[inputs.Picture, Floats, str]:
    if len(ports) != 1 or ports[0].kind not in _FLOATS:
        raise ModelAddError(f"the model takes {_shown(ports)}; for images it is handed one tensor of floats from 0 to 1; {_WAYS}")
    picture = inputs.picture(ports[0].shape, inputs.own_size(held))
    height, width, channels = picture.size
    said = f"The model takes images of {height} × {width} pixels and {channels} channels ({picture.layout.upper()}), from 0 to 1."
    return picture, inputs.stacked(held, picture.size), said


def _matched(ports: Sequence[_Port], features: Mapping[str, str]) -> tuple[_Port, ...]:
    """Each input with the feature whose column it gets; one input of floats may get all as a matrix. Raises ModelAddError."""
    plain = {re.sub(r"\W", "_", name): name for name in features}
    found = [port.name if port.name in features else plain.get(port.name) for port in ports]
    if len(ports) == 1 and (found[0] is None or (len(features) > 1 and ports[0].shape[1:] != (1,))):
        _check_single(ports[0], features)
        return (_Port(ports[0].name, ports[0].kind, ports[0].shape, next(iter(features)) if len(features) == 1 else None),)
    missing = [port.name for port, name in zip(ports, found, strict=True) if name is None]
    if missing:
        raise ModelAddError(
            f"the model takes {outputs.listed(missing)}, which the project has no feature for (it has "
            f"{outputs.listed(features, 10)}); name the features as the model's inputs"
        )
    for port, name in zip(ports, found, strict=True):
        _check_column(port, str(name), features[str(name)])
    return tuple(_Port(port.name, port.kind, port.shape, name) for port, name in zip(ports, found, strict=True))


def _check_single(port: _Port, features: Mapping[str, str]) -> None:
    """One input of all features: a matrix of numbers, or the column of the one feature there is."""
    if len(features) == 1:
        return _check_column(port, *next(iter(features.items())))
    if port.kind not in _FLOATS or len(port.shape) != 2 or port.shape[1] not in (None, len(features)):
        raise ModelAddError(
            f"the model takes {_shown([port])}, and the project has {len(features)} features: {outputs.listed(features, 10)}; "
            f"list those that the model was fitted to, in its order, or {_WAYS}"
        )
    for name, kind in features.items():
        if kind not in ("number", "boolean"):
            raise ModelAddError(
                f"the model takes a matrix of numbers, and {name} is a {kind}; export the whole Pipeline with an input per "
                f"column, or {_WAYS}"
            )
    return None


def _check_column(port: _Port, name: str, kind: str) -> None:
    if kind not in _FITS.get(port.kind, frozenset()) or port.shape[1:] not in ((), (1,), (None,)):
        raise ModelAddError(f"{name} is a {kind}, and the model takes {_shown([port])} for it; {_WAYS}")


def _shown(ports: Sequence[_Port]) -> str:
    texts = (f"{each.name}: {each.kind} of {['any' if axis is None else axis for axis in each.shape]}" for each in ports)
    return outputs.listed(texts).replace("'", "")


def _of_inputs(ports: Sequence[_Port], project: Project) -> str:
    if project.input.type == "text":
        return "The model takes texts."
    if ports[0].feature is None:
        names = outputs.listed(project.input.features, 10)
        return f"The model takes {len(project.input.features)} numbers a row, in the order {names}."
    used = [str(port.feature) for port in ports]
    left = [name for name in project.input.features if name not in used]
    unused = f" It does not look at {outputs.listed(left)}." if left else ""
    return f"The model takes {len(used)} columns by name: {outputs.listed(used, 10)}.{unused}"


def _output(session: Any) -> str:
    """The output that answers. Raises ModelAddError where it cannot be told."""
    held = session.get_outputs()
    maps = [each.name for each in held if each.type.startswith(_MAPS)]
    floats = {each.name: each.shape for each in held if each.type in _FLOATS}
    known = [name for name in outputs.NAMES if name in floats]
    if maps or known or len(floats) == 1:
        return str((maps or known or list(floats))[0])
    first = next(iter(floats), "")
    if first and len(floats[first]) == 2 and floats[first][1] != 1:
        return first
    shown = ", ".join(f"{each.name}: {each.type}" for each in held)
    raise ModelAddError(
        f"which output of the model answers cannot be told: it has {shown}; let it have one of floats, or name one logits or "
        "probabilities (skl2onnx: zipmap=False)"
    )


def _keys(engine: Engine, given: Any) -> tuple[str | int, ...]:
    """The keys of a ZipMap's dicts, from the first row of the sample that it answers; empty where the answers are none."""
    if not next(each for each in engine.session.get_outputs() if each.name == engine.output).type.startswith(_MAPS):
        return ()
    error: Exception = ModelAddError("the model answers no row of the sample")
    for n in range(min(_count(given), outputs.TRIED)):
        try:
            return tuple(engine.raw(engine.output, _taken(given, [n]))[0])
        except Exception as found:
            error = found
    raise ModelAddError(f"the model answers no row of the sample: {outputs.first_line(error)}")


def _own_labels(keys: Sequence[str | int], facts: nodes.Facts, columns: int) -> tuple[str, ...]:
    """The names that the graph keeps for its answers; empty where it keeps none, or several of which one cannot be told."""
    if keys:
        return tuple(map(outputs.as_label, keys))
    found = {tuple(map(outputs.as_label, each)) for each in facts.classes if len(each) == max(columns, 2)}
    return found.pop() if len(found) == 1 else ()


def _check_labels(engine: Engine, names: Sequence[str], given: Any) -> None:
    """The label that the graph itself gives is that of its highest probability. Raises ModelAddError."""
    label = next((each for each in engine.session.get_outputs() if each.type in (_TEXT, "tensor(int64)")), None)
    if label is None or not 0 < len(label.shape) <= 2:
        return
    said, top = list[str](), list[str]()
    for n in range(0, _count(given), _LOOKED):
        some = _taken(given, range(n, min(n + _LOOKED, _count(given))))
        try:
            found = engine.raw(label.name, some)
            top += [names[place] for place in engine.probabilities(some).argmax(axis=1)]
        except Exception as error:
            logger.debug("labels of rows from %d on were not compared: %s", n, error)
            continue
        said += [outputs.as_label(each) for each in np.ravel(found)]
    agreed = sum(one == other for one, other in zip(said, top, strict=True))
    if said and set(said) <= set(names) and agreed < AGREED * len(said):
        raise ModelAddError(
            f"the label that the model gives ({label.name}) is that of its highest answer in {agreed} of {len(said)} rows, "
            f"so its answers are not {', '.join(names)} in this order; correct --labels, or export with ZipMap, which names each"
        )


def _taken(given: Any, rows: Sequence[int]) -> Any:
    if isinstance(given, Mapping):
        return inputs.taken(given, rows)
    return given[list(rows)] if isinstance(given, np.ndarray) else [given[n] for n in rows]


def _count(given: Any) -> int:
    return inputs.count(given) if isinstance(given, Mapping) else len(given)


def _fed(engine: Engine, given: Any) -> dict[str, Any]:
    first = engine.ports[0]
    if engine.picture is not None:
        return {first.name: engine.picture.array(given).astype(_FLOATS[first.kind])}
    if not isinstance(given, Mapping):
        return {first.name: _column(first, given)}
    if first.feature is None:
        return {first.name: inputs.matrix(given, tuple(engine.features)).astype(_FLOATS[first.kind])}
    return {port.name: _column(port, given[str(port.feature)]) for port in engine.ports}


def _column(port: _Port, values: Sequence[Any]) -> Any:
    """One column as the input takes it. Raises ValueError for a missing value where it has none."""
    if port.kind in _FLOATS:
        column: Any = inputs.matrix({str(port.feature): values}, (str(port.feature),))[:, 0].astype(_FLOATS[port.kind])
    else:
        if any(value is None for value in values):
            raise ValueError(f"{port.feature} is missing, and the model takes no missing value there ({port.kind})")
        column = _typed(port, values)
    return column[:, None] if len(port.shape) == 2 else column


def _typed(port: _Port, values: Sequence[Any]) -> Any:
    if port.kind == _TEXT:
        return np.array(values, dtype=object)
    if port.kind == _BOOL:
        return np.array(values, dtype=bool)
    numbers = np.asarray(values, dtype=np.float64)
    if (numbers != np.floor(numbers)).any():
        raise ValueError(f"{port.feature} is {numbers[numbers != np.floor(numbers)][0]}, and the model takes whole numbers there")
    return numbers.astype(_WHOLE[port.kind])


def _filled(values: Any, fixed: int | None) -> Any:
    """A graph of a fixed number of rows gets the first again until they are as many."""
    if fixed is None or len(values) == fixed:
        return values
    return np.concatenate([values, np.repeat(values[:1], fixed - len(values), axis=0)])


def _listed(answers: list[Any], keys: Sequence[str | int]) -> Any:
    """Answers by row as an array; a ZipMap's dicts in the order of its keys."""
    return np.array([[answer[key] for key in keys] for answer in answers] if keys else answers)

"""torch-export: a program that torch.export wrote, or a state_dict put into its class and exported here.

A worker needs none of the owner's code: what is kept is `model.pt2`, rebuilt by `screen` when it is added and again whenever it
is loaded, so that nothing in it is unpickled or run as Python. Weights come from `.safetensors` or from `.pt` files through
`torch.load(weights_only=True)`, which makes tensors and plain containers only.
"""

import copy
import inspect
import io
import logging
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.passes import move_to_device_pass

from contract.inside import Smooth
from contract.predictors import Encoded, Floats
from contract.project import Project
from inference.devices import exact, resolve
from inference.errors import ModelAddError, ModelLoadError
from inference.own import importing, inputs, outputs, reading, screen, slopes
from inference.own.engine import Options, Sample, Table

FILE = "model.pt2"
CHUNK = {"cpu": {2: 4_096, 4: 64}, "cuda": {2: 65_536, 4: 1_024}}
"""Rows in one pass, by the kind of device and the axes of the input."""
SEEN = 4
"""Rows of a sample that a program is followed backwards at, to see whether it can be."""
SAME = 1e-6
"""How far the exported program may be from the module it was made of, in probabilities."""
_WAYS = "bring a function that asks the model (python:FILE.py:FUNCTION), or export it to ONNX"
_NESTED = ("state_dict", "model_state_dict")
_PARALLEL = "module."


@dataclass(frozen=True, slots=True)
class _Input:
    """The one tensor that a program takes: its axes (None is any length), its type, and the fewest rows at once."""

    name: str
    shape: tuple[int | None, ...]
    dtype: torch.dtype
    least: int


@dataclass(frozen=True)
class Engine:
    """An exported program on its device. `features` of a table or `picture` of images say what it is given."""

    labels: tuple[str, ...]
    data: bytes
    run: Callable[[Tensor], Any]
    device: torch.device
    takes: _Input
    meaning: outputs.Meaning
    features: tuple[str, ...] = ()
    picture: inputs.Picture | None = None
    findings: tuple[str, ...] = field(default=())
    format: Literal["torch-export"] = "torch-export"

    def probabilities(self, given: Any) -> Floats:
        """Cells, or (n, height, width, channels) images in 0..1, to (n, k)."""
        return outputs.probabilities(answers(self.run, self.takes, _tensor(self, given), self.device), self.meaning)

    def inside(self, table: Table) -> Smooth | None:
        """Gradients over the numbers of a row."""

        def design(encoded: Encoded) -> Floats:
            return inputs.matrix(table.cells(encoded), self.features)

        names = [column.name for column in table.columns]
        owners = np.array([names.index(name) for name in self.features], dtype=np.intp)
        points = design(table.rows)
        whole = points[np.isfinite(points).all(axis=1)][:SEEN]
        return slopes.view(self._program, lambda rows: rows, design, owners, self._where(2), whole) if len(whole) else None

    @property
    def _program(self) -> slopes.Program:
        return slopes.Program(self.run, self.meaning, self.labels, self.takes.shape[0], max(self.takes.least, 2))

    def _where(self, axes: int) -> tuple[torch.device, torch.dtype, int]:
        return self.device, self.takes.dtype, CHUNK[self.device.type][axes]

    def settings(self) -> dict[str, Any]:
        held: dict[str, Any] = {"meaning": self.meaning, "features": list(self.features)}
        return held | ({"picture": self.picture.settings()} if self.picture else {})

    def files(self) -> Mapping[str, bytes]:
        return {FILE: self.data}

    def said(self) -> Sequence[str]:
        return self.findings


@dataclass(frozen=True)
class PictureEngine(Engine):
    """An engine of images."""

    @property
    def size(self) -> inputs.Size:
        assert self.picture is not None
        return self.picture.size

    def inside_pixels(self) -> Smooth | None:
        """Gradients over the pixels."""
        height, width, channels = self.size
        first = self.picture is not None and self.picture.layout == "nchw"

        def shaped(points: Tensor) -> Tensor:
            images = points.view(-1, height, width, channels)
            return images.permute(0, 3, 1, 2).contiguous() if first else images

        owners = np.repeat(np.arange(height * width), channels)
        sample = np.full((1, len(owners)), 0.5)
        return slopes.view(self._program, shaped, lambda images: images.reshape(len(images), -1), owners, self._where(4), sample)


def _tensor(engine: Engine, given: Any) -> Floats:
    return engine.picture.array(given) if engine.picture else inputs.matrix(given, engine.features)


def add(source: Path | str, sample: Sample, options: Options) -> Engine:
    """The model of a `.pt2` file, or of weights in `.pt`, `.pth` or `.safetensors` with `Options.class_name`.

    Raises ModelAddError, with the mend, where it cannot be read, exported or understood.
    """
    path = Path(source)
    _check_kind(sample.project)
    if path.suffix == ".pt2":
        return _from_archive(path, sample, options)
    module, said = _module(path, options)
    return _from_module(module, said, path, sample, options)


def _check_kind(project: Project) -> None:
    if project.input.type == "text":
        raise ModelAddError(
            "a torch program takes numbers, and this project's input is a text; bring a Hugging Face folder (config.json, "
            "*.safetensors and its tokenizer), or a function that takes the texts (python:FILE.py:FUNCTION)"
        )


def load(labels: tuple[str, ...], settings: Mapping[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """The engine from its settings and files, on a device. Raises ModelLoadError, and DeviceError for an absent device."""
    where = resolve(device)
    try:
        data = screen.rebuilt(files[FILE])
        program = opened(data)
        taken = _taken(program)
        picture = inputs.read_picture(settings["picture"]) if "picture" in settings else None
        meaning = outputs.read_meaning(settings["meaning"])
        features = tuple(map(str, settings["features"]))
    except (KeyError, TypeError, ValueError, ModelAddError) as error:
        raise ModelLoadError(f"{FILE} cannot be loaded: {error}") from error
    kind = PictureEngine if picture else Engine
    return kind(labels, data, runner(program, where), where, taken, meaning, features, picture)


def _from_archive(path: Path, sample: Sample, options: Options) -> Engine:
    if options.class_name:
        raise ModelAddError(f"{path} holds its program, so it needs no class; leave --class out")
    try:
        data = screen.rebuilt(reading.content(path))
        program = opened(data)
    except ValueError as error:
        raise ModelAddError(f"{path} is no torch.export archive that can be taken: {error}; or {_WAYS}") from error
    return _found(program, data, sample, options, ())


def opened(data: bytes) -> ExportedProgram:
    """The program of a rebuilt archive. Raises ValueError."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(data))
    except Exception as error:
        raise ValueError(f"torch cannot read it: {outputs.first_line(error)}") from error
    finally:
        logging.disable(before)
    for node in program.graph.nodes:
        if _learns(node):
            raise ValueError(
                f"it was exported while it was learning ({node.target}); call model.eval() before torch.export.export"
            )
    return program


def _learns(node: torch.fx.Node) -> bool:
    """Whether an operator of dropout, of a normalisation or of a recurrent layer is told to train."""
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema is not None else []
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return given.get("train") is True or given.get("training") is True


def _taken(program: ExportedProgram) -> _Input:
    """Raises ModelAddError for other than one tensor of floats."""
    names = program.graph_signature.user_inputs
    if len(names) != 1 or not isinstance(names[0], str):
        shown = ", ".join(map(str, names)) or "nothing"
        raise ModelAddError(f"the program takes {shown}; one tensor of rows is handed over, so export a module that takes one")
    node = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == names[0])
    value = node.meta["val"]
    if not isinstance(value, Tensor) or value.dim() == 0 or not value.dtype.is_floating_point:
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise ModelAddError(f"the program's input {names[0]} is {kind}; it is handed a tensor of floats, one row per item")
    shape = tuple(axis if isinstance(axis, int) else None for axis in value.shape)
    return _Input(names[0], shape, value.dtype, _least(program, value.shape[0]))


def _least(program: ExportedProgram, axis: Any) -> int:
    bounds = None if isinstance(axis, int) else program.range_constraints.get(axis.node.expr)
    return max(1, int(bounds.lower)) if bounds is not None else 1


def runner(program: ExportedProgram, device: torch.device) -> Callable[[Tensor], Any]:
    """A program as a function on a device."""
    placed = move_to_device_pass(program, str(device)) if device.type != "cpu" else program
    run: Callable[[Tensor], Any] = placed.module()
    return run


def answers(run: Callable[[Tensor], Any], takes: _Input, given: Floats, device: torch.device) -> Floats:
    """(n, ...) inputs to (n, k) answers in full precision. Out of memory halves the rows of a pass."""
    size = takes.shape[0] or CHUNK[device.type].get(given.ndim, 256)
    found = list[Floats]()
    with torch.inference_mode(), exact(device):
        start = 0
        while start < len(given):
            part = torch.from_numpy(given[start : start + size]).to(takes.dtype)
            try:
                found.append(_pass(run, takes, part, device))
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if size == 1 or takes.shape[0] is not None:
                    raise
                size //= 2
                continue
            start += size
    return np.concatenate(found) if found else np.empty((0, 1))


def _pass(run: Callable[[Tensor], Any], takes: _Input, part: Tensor, device: torch.device) -> Floats:
    """A program of a fixed number of rows, or of at least two, gets the first row again until they are as many."""
    rows = len(part)
    wanted = takes.shape[0] or max(takes.least, 2)
    if rows < wanted:
        part = torch.cat([part, part[:1].expand(wanted - rows, *part.shape[1:])])
    values = outputs.chosen(run(part.to(device)))[1]
    if not isinstance(values, Tensor):
        raise ValueError(f"the model returns {type(values).__name__}; let it return a tensor of one row of answers per item")
    numbers = values.detach().cpu()
    return outputs.table(numbers.double().numpy() if numbers.is_floating_point() else numbers.numpy(), len(part))[:rows]


def _found(program: ExportedProgram, data: bytes, sample: Sample, options: Options, said: Sequence[str]) -> Engine:
    """The engine of a program, once it has answered the sample."""
    takes = _taken(program)
    device = resolve(options.device)
    features, picture, given, shape = _inputs(takes.shape, sample)
    run = runner(program, device)
    values = outputs.tried(lambda rows: answers(run, takes, given[list(rows)], device), range(len(given)))
    _check_steady(run, takes, given, device, values)
    meaning = outputs.meaning(values)
    labels = outputs.named((), options.labels, sample.project, values.shape[1])
    kind = PictureEngine if picture else Engine
    findings = (*said, shape, outputs.of_labels((), labels), outputs.said(meaning, labels))
    return kind(labels, data, run, device, takes, meaning, features, picture, findings)


def _inputs(axes: Sequence[int | None], sample: Sample) -> tuple[tuple[str, ...], inputs.Picture | None, Floats, str]:
    """Features or picture, the sample as the program takes it, and what was found, as a sentence."""
    rows = sample.rows[: outputs.TRIED]
    if sample.project.input.type == "image":
        held = inputs.opened(rows, next(iter(sample.project.input.features)))
        picture = inputs.picture(axes, inputs.own_size(held))
        height, width, channels = picture.size
        said = f"The program takes images of {height} × {width} pixels and {channels} channels, from 0 to 1."
        return (), picture, picture.array(inputs.stacked(held, picture.size)), said
    features = inputs.numeric(sample.project, "a torch program")
    if len(axes) != 2 or axes[1] not in (None, len(features)):
        shape = ", ".join("any" if axis is None else str(axis) for axis in axes)
        raise ModelAddError(
            f"the program takes a tensor of shape ({shape}), and the project has {len(features)} features: "
            f"{outputs.listed(features, 10)}; list those that the model was fitted to, in its order, or {_WAYS}"
        )
    said = f"The program takes {len(features)} numbers a row, in the order {outputs.listed(features, 10)}."
    return features, None, inputs.matrix(inputs.columns(rows, features), features), said


def _check_steady(run: Callable[[Tensor], Any], takes: _Input, given: Floats, device: torch.device, first: Floats) -> None:
    """Asked twice, a model gives the same answers."""
    again = outputs.tried(lambda rows: answers(run, takes, given[list(rows)], device), range(len(given)))
    if again.shape != first.shape or not np.allclose(again, first, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise ModelAddError(
            "the model answers the same rows differently when asked twice (dropout?); call model.eval() before it is exported"
        )


def _module(path: Path, options: Options) -> tuple[nn.Module, list[str]]:
    """The owner's module, filled from its weights and in evaluation mode, and what was found."""
    weights, said = _weights(path)
    if not options.class_name:
        raise ModelAddError(importing.weightless(path))
    module = _made(options.class_name, path)
    _fill(module, weights, path, options.class_name)
    return module.eval().cpu(), said


def _weights(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    data = reading.content(path)
    try:
        held = safetensors.torch.load(data) if path.suffix == ".safetensors" else _unpickled(data, path)
    except safetensors.SafetensorError as error:
        raise ModelAddError(f"{path} is not a safetensors file: {error}") from error
    said = list[str]()
    for name in _NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
            said.append(f"The weights were taken from {name} in the file.")
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise ModelAddError(f"{path} holds no state_dict; write it with torch.save(model.state_dict(), PATH)")
    if all(name.startswith(_PARALLEL) for name in held):
        held = {name.removeprefix(_PARALLEL): value for name, value in held.items()}
    return dict(held), said


def _unpickled(data: bytes, path: Path) -> Any:
    """A `.pt` file read by torch's restricted unpickler, which makes tensors and plain containers and runs nothing."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
        if any("/code/" in name for name in names):
            raise ModelAddError(f"{path} is TorchScript; export the module itself with torch.export.export and torch.export.save")
        if any(name.endswith("models/model.json") for name in names):
            raise ModelAddError(f"{path} is a torch.export archive; give it a name that ends in .pt2")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelAddError(
            f"{path} holds more than weights (a whole pickled module?), and loading it could run any code; where it was made, "
            f"write torch.save(model.state_dict(), PATH) or torch.export.save(torch.export.export(model, ...), 'model.pt2')"
        ) from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, TypeError) as error:
        raise ModelAddError(f"{path} is no file that torch.save wrote: {outputs.first_line(error)}") from error


def _made(name: str, path: Path) -> nn.Module:
    try:
        code = importing.found(name, (path.resolve().parent, Path.cwd()))
    except importing.NotThere as error:
        raise ModelAddError(f"--class {name}: {error}") from error
    try:
        with importing.importable(code.folders):
            module = code.value()
    except Exception as error:
        raise ModelAddError(
            f"--class {name} cannot be called without arguments{_signature(code.value)}: {outputs.first_line(error)}; "
            "name a function that makes the module with the arguments that it was fitted with"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelAddError(f"--class {name} makes a {type(module).__name__}, not a torch.nn.Module")
    return module


def _signature(value: Any) -> str:
    try:
        return f" (it takes {inspect.signature(value)})"
    except (TypeError, ValueError):
        return ""


def _fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Raises ModelAddError naming the keys that do not fit."""
    expected = module.state_dict()
    unknown, missing = sorted(set(weights) - set(expected)), sorted(set(expected) - set(weights))
    if unknown or missing:
        parts = [f"it has no {outputs.listed(missing)}"] if missing else []
        parts += [f"the class knows no {outputs.listed(unknown)}"] if unknown else []
        raise ModelAddError(
            f"{path} does not fit {name}: {', and '.join(parts)}; name the class that these weights were fitted in"
        )
    for key, value in weights.items():
        if value.shape != expected[key].shape:
            shapes = f"{list(value.shape)}, where {name} has {list(expected[key].shape)}"
            raise ModelAddError(
                f"{path} does not fit {name}: {key} is {shapes}; make the module with the sizes it was fitted with"
            )
    module.load_state_dict(dict(weights))


def _from_module(module: nn.Module, said: list[str], path: Path, sample: Sample, options: Options) -> Engine:
    given, axes = _sample_for(module, sample)
    example = torch.from_numpy(given[:2] if len(given) > 1 else np.concatenate([given, given])).float()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=({0: Dim("rows")},))
        target = io.BytesIO()
        torch.export.save(program, target)
        data = screen.rebuilt(target.getvalue())
        rebuilt = opened(data)
    except Exception as error:
        raise ModelAddError(
            f"{options.class_name} cannot be exported by torch.export: {outputs.first_line(error)}; {_WAYS}"
        ) from error
    engine = _found(rebuilt, data, sample, options, (*said, f"The weights of {path.name} fit {options.class_name}."))
    _check_same(module, engine, given, axes)
    return engine


def _sample_for(module: nn.Module, sample: Sample) -> tuple[Floats, tuple[int | None, ...]]:
    """The sample as the module takes it, and the axes of that. Raises ModelAddError where it takes it in no way."""
    if sample.project.input.type != "image":
        features = inputs.numeric(sample.project, "a torch module")
        axes: tuple[int | None, ...] = (None, len(features))
        given = inputs.matrix(inputs.columns(sample.rows[: outputs.TRIED], features), features)
        _accepted(module, given[:2])
        return given, axes
    held = inputs.opened(sample.rows[: outputs.TRIED], next(iter(sample.project.input.features)))
    size = inputs.own_size(held)
    if size is None:
        raise ModelAddError(
            "the images of the sample differ in size, so the size that the module sees is not known; bring them to one size, or "
            "export the module with torch.export.export at its size"
        )
    height, width, channels = size
    first, other = (height, width, channels), (height, width, 4 - channels)
    try:
        _accepted(module, inputs.stacked(held[:2], first).transpose(0, 3, 1, 2))
        seen = first
    except ModelAddError as error:
        _accepted(module, inputs.stacked(held[:2], other).transpose(0, 3, 1, 2), error)
        seen = other
    return np.ascontiguousarray(inputs.stacked(held, seen).transpose(0, 3, 1, 2)), (None, seen[2], height, width)


def _accepted(module: nn.Module, given: Floats, earlier: ModelAddError | None = None) -> None:
    try:
        with torch.no_grad():
            module(torch.from_numpy(np.ascontiguousarray(given)).float())
    except Exception as error:
        raise earlier or ModelAddError(
            f"the module does not take a float32 tensor of shape {list(given.shape)} (rows first): {outputs.first_line(error)}"
        ) from error


def _check_same(module: nn.Module, engine: Engine, given: Floats, axes: Sequence[int | None]) -> None:
    """The exported program answers as the module it was made of."""
    takes = _Input("", tuple(axes), torch.float32, 1)
    own, device, everything = copy.deepcopy(module).to(engine.device), engine.device, range(len(given))
    expected = outputs.tried(lambda rows: answers(own, takes, given[list(rows)], device), everything)
    actual = outputs.tried(lambda rows: answers(engine.run, engine.takes, given[list(rows)], device), everything)
    expected, actual = (outputs.probabilities(each, engine.meaning) for each in (expected, actual))
    if expected.shape != actual.shape or not np.allclose(expected, actual, rtol=0, atol=SAME, equal_nan=True):
        raise ModelAddError(f"the exported program answers the sample otherwise than the module, by more than {SAME}; {_WAYS}")

"""The modules of the formats, each with `add` and `load`; imported when a model of theirs comes."""

import importlib
from collections.abc import Mapping
from typing import Any

from inference.errors import ModelAddError, ModelLoadError
from inference.own.engine import Engine, Format, Options, Sample

MODULES: Mapping[Format, str] = {
    "sklearn": "pipeline",
    "torch-export": "exported",
    "onnx": "graph",
    "hf": "transformer",
    "python": "function",
}
_EXTRAS: Mapping[Format, str] = {
    "sklearn": "pip install 'signoff[worker]'",
    "torch-export": "pip install 'signoff[worker]'",
    "onnx": "pip install 'signoff[worker,onnx]'",
    "hf": "pip install 'signoff[worker,hf]'",
    "python": "pip install 'signoff[worker]'",
}


def add(kind: Format, source: Any, sample: Sample, options: Options) -> Engine:
    """By the module of a format. Raises ModelAddError, also where a library of it is not installed."""
    try:
        module = importlib.import_module(f"inference.own.{MODULES[kind]}")
    except ModuleNotFoundError as error:
        raise ModelAddError(f"a model of format {kind} needs {error.name}, which is not installed: {_EXTRAS[kind]}") from error
    engine: Engine = module.add(source, sample, options)
    return engine


def load(kind: Format, labels: tuple[str, ...], settings: dict[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """On a worker. Raises ModelLoadError, also where a library of the format is not installed, and DeviceError."""
    try:
        module = importlib.import_module(f"inference.own.{MODULES[kind]}")
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"a model of format {kind} needs {error.name}, which is not installed: {_EXTRAS[kind]}") from error
    engine: Engine = module.load(labels, settings, files, device)
    return engine

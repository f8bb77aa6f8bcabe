"""The modules of the formats, each with `add` and `load`; imported when a model of theirs comes."""

import importlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
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
PICKLES = (".joblib", ".pkl", ".pickle")
"""Endings of scikit-learn files that are turned into another kind before they are kept."""
_EXTRAS: Mapping[Format, str] = {
    "sklearn": "pip install 'signoff[worker]'",
    "torch-export": "pip install 'signoff[worker]'",
    "onnx": "pip install 'signoff[worker,onnx]'",
    "hf": "pip install 'signoff[worker,hf]'",
    "python": "pip install 'signoff[worker]'",
}
FILES: Mapping[Format, tuple[str, ...]] = {
    "sklearn": ("model.skops",),
    "torch-export": ("model.pt2",),
    "onnx": ("model.onnx",),
    "hf": (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tokenizer.model",
        "bpe.codes",
    ),
    "python": (),
}
"""The names that a model's files may have; the first is always there."""
LIBRARIES: Mapping[Format, Mapping[str, str]] = {
    "sklearn": {"sklearn": "scikit-learn"},
    "torch-export": {"torch": "torch"},
    "onnx": {"onnxruntime": "onnxruntime"},
    "hf": {"transformers": "transformers", "torch": "torch"},
    "python": {},
}
"""Libraries whose version a model of the format is kept with, and the packages that they are installed as."""


def add(kind: Format, source: Any, sample: Sample, options: Options) -> Engine:
    """By the module of a format. Raises ModelAddError, also where a library of it is not installed."""
    pickled = kind == "sklearn" and Path(source).suffix.lower() in PICKLES
    try:
        module = importlib.import_module(f"inference.own.{'conversion' if pickled else MODULES[kind]}")
    except ModuleNotFoundError as error:
        raise ModelAddError(f"a model of format {kind} needs {error.name}, which is not installed: {_EXTRAS[kind]}") from error
    engine: Engine = module.add(source, sample, options)
    return engine


def check_versions(kind: Format, versions: Mapping[str, str]) -> None:
    """Raises ModelLoadError where a scikit-learn model was taken with another minor version than the one that is installed."""
    if kind == "sklearn" and (other := other_minor(versions.get("sklearn", "unknown"))):
        raise ModelLoadError(other)


def other_minor(theirs: str) -> str:
    """What is said of a model of another minor version of scikit-learn; empty where it is this one's."""
    own = version("scikit-learn")
    if theirs.split(".")[:2] == own.split(".")[:2]:
        return ""
    return (
        f"the model was saved with scikit-learn {theirs}, and {own} is installed here, which may answer otherwise: "
        f"fit and save it again with {own}, or install theirs here and wherever it is loaded: pip install scikit-learn=={theirs}"
    )


def load(kind: Format, labels: tuple[str, ...], settings: dict[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """On a worker. Raises ModelLoadError, also where a library of the format is not installed, and DeviceError."""
    try:
        module = importlib.import_module(f"inference.own.{MODULES[kind]}")
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"a model of format {kind} needs {error.name}, which is not installed: {_EXTRAS[kind]}") from error
    engine: Engine = module.load(labels, settings, files, device)
    return engine

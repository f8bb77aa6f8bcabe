"""hf: a folder of Hugging Face transformers with a model for text classification and its tokenizer.

Only the files listed here are read and kept: JSON, vocabularies and safetensors, none of which runs anything. No code of a folder
or of a hub is taken (no `auto_map`, no attention kernels, no quantisers), and nothing is fetched: hubs are switched off.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from contract.predictors import Floats
from contract.project import Project
from inference.devices import exact, resolve
from inference.errors import ModelAddError, ModelLoadError
from inference.own import formats, outputs, reading
from inference.own.engine import Options, Sample

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer_config.json", "model.safetensors"
BATCH = {"cpu": 32, "cuda": 256}
"""Texts in one pass."""
_ATTENTION = frozenset({None, "eager", "sdpa"})
_ENDLESS = 1_000_000
_DEFAULT = re.compile(r"LABEL_\d+")


@dataclass(frozen=True)
class Engine:
    """A model with its tokenizer on a device. `feature`: the column of a table that holds the text, None where all is text."""

    labels: tuple[str, ...]
    kept: Mapping[str, bytes]
    model: Any
    tokenizer: Any
    device: torch.device
    longest: int
    feature: str | None
    findings: tuple[str, ...] = ()
    format: Literal["hf"] = "hf"

    def probabilities(self, given: Any) -> Floats:
        """n texts, or Cells with them, to (n, k) in double precision from the model's log-odds in single precision.

        Texts of alike length are answered together; beside which others one stands moves its answer by about 1e-7.
        """
        texts = ["" if text is None else text for text in (given[self.feature] if self.feature else given)]
        tokens = self.tokenizer(texts, truncation=True, max_length=self.longest)["input_ids"] if texts else []
        order = sorted(range(len(texts)), key=lambda n: len(tokens[n]))
        result = np.empty((len(texts), self.model.config.num_labels))
        size = BATCH[self.device.type] if self.tokenizer.pad_token is not None else 1
        with torch.inference_mode(), exact(self.device):
            while order:
                try:
                    result[order[:size]] = self._logits([texts[n] for n in order[:size]])
                except torch.OutOfMemoryError:
                    torch.cuda.empty_cache()
                    if size == 1:
                        raise
                    size //= 2
                    continue
                order = order[size:]
        return outputs.probabilities(result, "log-odds")

    def _logits(self, texts: Sequence[str]) -> Floats:
        padding = self.tokenizer.pad_token is not None
        fed = self.tokenizer(texts, truncation=True, max_length=self.longest, padding=padding, return_tensors="pt")
        return outputs.table(self.model(**fed.to(self.device)).logits.double().cpu().numpy(), len(texts))

    def settings(self) -> dict[str, Any]:
        return {"feature": self.feature}

    def files(self) -> Mapping[str, bytes]:
        return self.kept

    def said(self) -> Sequence[str]:
        return self.findings


def add(source: Path | str, sample: Sample, options: Options) -> Engine:
    """The model of a folder, once it has answered the sample. Raises ModelAddError, with the mend."""
    folder = Path(source)
    feature = _feature(sample.project)
    kept = _read(folder)
    device = resolve(options.device)
    try:
        config = _checked(kept)
        model, tokenizer = _opened(kept, device)
    except ValueError as error:
        raise ModelAddError(f"{folder} cannot be taken: {error}") from error
    own = _own_labels(config)
    labels = outputs.named(own, options.labels, sample.project, model.config.num_labels)
    longest = _longest(model, tokenizer)
    engine = Engine(labels, kept, model, tokenizer, device, longest, feature)
    findings = _tried(engine, sample, own)
    return Engine(labels, kept, model, tokenizer, device, longest, feature, findings)


def load(labels: tuple[str, ...], settings: Mapping[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """The engine from its settings and files, on a device. Raises ModelLoadError, and DeviceError for an absent device."""
    where = resolve(device)
    try:
        kept = {name: data for name, data in files.items() if name in formats.FILES["hf"]}
        _checked(kept)
        model, tokenizer = _opened(kept, where)
        feature = settings["feature"]
    except (KeyError, ValueError, ModelAddError) as error:
        raise ModelLoadError(f"the Hugging Face model cannot be loaded: {error}") from error
    return Engine(labels, kept, model, tokenizer, where, _longest(model, tokenizer), feature)


def _feature(project: Project) -> str | None:
    """None for a project of texts, else the one column of a table that is a text. Raises ModelAddError."""
    if project.input.type == "text":
        return None
    texts = [name for name, feature in project.input.features.items() if feature.type == "text"]
    if len(texts) != 1:
        named = (
            f"the project's features of type text are {', '.join(texts)}" if texts else "the project has no feature of type text"
        )
        raise ModelAddError(
            f"a Hugging Face model of text classification reads one text, and {named}; bring a function that makes the text "
            "(python:FILE.py:FUNCTION)"
        )
    return texts[0]


def _read(folder: Path) -> dict[str, bytes]:
    """The files of a folder that are allowed. Raises ModelAddError for a folder that has not those that are needed."""
    if not folder.is_dir():
        raise ModelAddError(f"{folder} is no folder; a Hugging Face model is a folder that save_pretrained wrote")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    kept = [name for name in names if name in formats.FILES["hf"]]
    if CONFIG not in kept:
        raise ModelAddError(f"{folder} holds no {CONFIG}; write it with model.save_pretrained(FOLDER)")
    if "adapter_config.json" in names:
        raise ModelAddError(f"{folder} holds an adapter (PEFT); merge it first: model.merge_and_unload().save_pretrained(FOLDER)")
    if any(name.endswith(".index.json") for name in names):
        raise ModelAddError(
            f"{folder} holds its weights in parts; write them as one: model.save_pretrained(FOLDER, max_shard_size='9GB')"
        )
    if WEIGHTS not in kept:
        pickled = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".h5", ".msgpack"))]
        why = f"only {outputs.listed(pickled)}, which may run code when it is loaded" if pickled else "no weights"
        raise ModelAddError(
            f"{folder} holds {why}; write the weights with model.save_pretrained(FOLDER, safe_serialization=True), as safetensors"
        )
    reading.check_size(folder, sum((folder / name).stat().st_size for name in kept))
    return {name: reading.content(folder / name) for name in kept}


def _checked(kept: Mapping[str, bytes]) -> dict[str, Any]:
    """The configuration, which asks for nothing but the library's own classes. Raises ValueError."""
    config, tokenizer = _json(kept, CONFIG), _json(kept, TOKENIZER)
    for name, held in ((CONFIG, config), (TOKENIZER, tokenizer)):
        if "auto_map" in held:
            raise ValueError(
                f"{name} asks for code of its own (auto_map), which is never run; save it as a model of transformers"
            )
    if config.get("quantization_config"):
        raise ValueError("its weights are quantised; save it in full or half precision")
    attention = {config.get(key) for key in ("attn_implementation", "_attn_implementation")}
    if not attention <= _ATTENTION:
        raise ValueError(
            f"{CONFIG} asks for the attention {outputs.listed(map(str, attention))}; take attn_implementation out of it"
        )
    if config.get("problem_type") in ("multi_label_classification", "regression") or config.get("num_labels") == 1:
        kind = config.get("problem_type") or "regression"
        raise ValueError(f"it was fitted for {kind.replace('_', ' ')}; one label of several is asked for, each text having one")
    classes = config.get("architectures") or [""]
    if not str(classes[0]).endswith("ForSequenceClassification"):
        raise ValueError(f"it is a {classes[0] or 'model without a head'}, and a model ...ForSequenceClassification is needed")
    if not any(name.startswith(("tokenizer", "vocab", "spiece", "spm", "sentencepiece")) for name in kept):
        raise ValueError("it holds no tokenizer; write it beside the model with tokenizer.save_pretrained(FOLDER)")
    return config


def _json(kept: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        held = json.loads(kept.get(name, b"{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if not isinstance(held, dict):
        raise ValueError(f"{name} is not an object")
    return held


def _opened(kept: Mapping[str, bytes], device: torch.device) -> tuple[Any, Any]:
    """Model and tokenizer from these files alone. Raises ValueError, or ModelAddError where the library is not installed."""
    library = _library()
    safe = {"local_files_only": True, "trust_remote_code": False}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, data in kept.items():
            (Path(folder) / name).write_bytes(data)
        try:
            tokenizer = library.AutoTokenizer.from_pretrained(folder, **safe)
            model, found = library.AutoModelForSequenceClassification.from_pretrained(
                folder, **safe, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:
            raise ValueError(f"transformers says: {outputs.first_line(error).replace(folder, 'the folder')}") from error
    if found["missing_keys"]:
        lacking = outputs.listed(sorted(found["missing_keys"]))
        raise ValueError(f"its weights lack {lacking}, so the model would answer at random; save the fitted model")
    return model.eval().to(device), tokenizer


def _library() -> Any:
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    try:
        import transformers
    except ImportError as error:
        raise ModelAddError(
            "Hugging Face models are run by transformers, which is not installed; pip install 'signoff[hf]'"
        ) from error
    library: Any = transformers
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def _own_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in id2label, in the order of the answers; empty where they are LABEL_0, LABEL_1 and so on."""
    held = config.get("id2label") or {}
    try:
        names = tuple(outputs.as_label(held[key]) for key in sorted(held, key=int))
    except (TypeError, ValueError, AttributeError):
        return ()
    return () if any(_DEFAULT.fullmatch(name) for name in names) else names


def _longest(model: Any, tokenizer: Any) -> int:
    """Tokens of a text that are read: what the tokenizer says, but no more than the model has positions for."""
    positions = getattr(model.config, "max_position_embeddings", None) or _ENDLESS
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer", "mpnet"):
        positions -= 2  # their positions count on from that of the padding
    said = tokenizer.model_max_length
    return int(min(said, positions)) if min(said, positions) < _ENDLESS else 512


def _tried(engine: Engine, sample: Sample, own: Sequence[str]) -> tuple[str, ...]:
    """What was found out from the sample. Raises ModelAddError where no row is answered."""
    name = engine.feature or next(iter(sample.project.input.features))
    texts = [row.get(name) for row in sample.rows[: outputs.TRIED]]

    def run(rows: Sequence[int]) -> Floats:
        some = [texts[n] for n in rows]
        return engine.probabilities({name: some} if engine.feature else some)

    if not np.isfinite(outputs.tried(run, range(len(texts)))).all(axis=1).any():
        raise ModelAddError("the model answers no row of the sample with numbers (all are NaN or infinite); look at its weights")
    lengths = [len(tokens) for tokens in engine.tokenizer([text or "" for text in texts])["input_ids"]]
    cut = sum(length > engine.longest for length in lengths)
    return (
        f"The model is a {engine.model.config.model_type} of {engine.model.num_parameters():,} numbers; it reads {name}, "
        f"the first {engine.longest:,} tokens; {cut} of {len(texts)} texts of the sample are longer.",
        outputs.of_labels(own, engine.labels),
        outputs.said("log-odds", engine.labels),
    )

"""Taking a brought model: which format it is in, whether it answers the sample, how fast, and what is kept to explain it by."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.canonical import content_hash
from contract.files import nearest
from contract.records import Prediction, Row, Scored
from inference import strange
from inference.batching import predict_in_batches
from inference.errors import ModelAddError
from inference.own import formats, importing
from inference.own.engine import Engine, Format, Options, Sample
from inference.own.predictors import Own, OwnCard, own

BACKGROUND = 1_000
"""Rows of the sample that are kept with a model of tables or texts, for explaining."""
FIRST, BATCH = 50, 1_024
SUFFIXES: Mapping[str, Format] = {
    ".skops": "sklearn",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".pt2": "torch-export",
    ".pt": "torch-export",
    ".pth": "torch-export",
    ".safetensors": "torch-export",
    ".onnx": "onnx",
}
WEIGHTS = (".pt", ".pth", ".safetensors")
"""Endings of files that hold weights and no module."""
_KNOWN = (
    "a scikit-learn estimator (.skops; .joblib or .pkl with --trust-pickle), a torch state_dict (.pt, .safetensors) with "
    "--class, torch.export (.pt2), ONNX (.onnx), a Hugging Face folder, an MLflow folder or mlflow:URI, or "
    "python:FILE.py:FUNCTION"
)


@dataclass(frozen=True, slots=True)
class Brought:
    """A model that was taken. `problems`: row of the sample to why the model gives no answer for it."""

    predictor: Own
    rows_per_second: float
    answered: int
    problems: Mapping[int, str]
    said: tuple[str, ...]
    answers: tuple[Scored, ...]
    """One for each row of the sample, in its order."""


def add(source: str, sample: Sample, options: Options) -> Brought:
    """Take a model and try it on the whole sample; nothing is trained.

    `source`: a file or folder, `python:FILE.py:FUNCTION` or `mlflow:URI`. Raises ModelAddError with the mend, also where the
    model answers no row at all.
    """
    if not sample.rows:
        raise ModelAddError("there are no rows to try the model on; give a file of some with --sample")
    engine = opened(source, sample, options)
    project = sample.project
    card = OwnCard(f"own:{engine.format}", project.input.type, engine.labels, project.input.features, dict(sample.dtypes))
    predictor = own(card, engine, version=f"unsaved-{content_hash([engine.format, *engine.labels])[:12]}")
    drawn = range(0, len(sample.rows), -(-len(sample.rows) // FIRST))
    _require_answers(drawn, predictor.predict([sample.rows[n] for n in drawn]))
    begun = time.perf_counter()
    answers = tuple(predict_in_batches(predictor, sample.rows, BATCH))
    rate = len(answers) / max(time.perf_counter() - begun, 1e-9)
    problems = {n: each.reason for n, each in enumerate(answers) if not isinstance(each, Prediction)}
    ordinary = strange.of_rows(card.features, sample.rows) if project.input.type == "tabular" else None
    kept = own(card, engine, _background(sample, answers), predictor.version, ordinary)
    return Brought(kept, rate, len(answers) - len(problems), problems, tuple(engine.said()), answers)


def _require_answers(drawn: Sequence[int], answers: Sequence[Scored]) -> None:
    """Raises ModelAddError where a model answers none of the rows that were drawn."""
    problems = {n: each.reason for n, each in zip(drawn, answers, strict=True) if not isinstance(each, Prediction)}
    if len(problems) == len(answers):
        raise ModelAddError(f"the model answers none of {len(answers):,} rows drawn evenly from the sample: {_reasons(problems)}")


def require(source: str, trust_pickle: bool, class_name: str | None) -> None:
    """Raises ModelAddError for what can be told of a model without opening it."""
    path = Path(source).expanduser()
    if source.startswith(("mlflow:", "python:")):
        return
    _require_there(path)
    if path.is_dir():
        return
    if _kind(path) == "sklearn" and path.suffix.lower() in formats.PICKLES and not trust_pickle:
        from inference.own import conversion

        raise ModelAddError(conversion.untrusted(path))
    if path.suffix.lower() in WEIGHTS and class_name is None:
        raise ModelAddError(importing.weightless(path))


def opened(source: str, sample: Sample, options: Options) -> Engine:
    """The engine of what `source` names. Raises ModelAddError."""
    if source.startswith("mlflow:"):
        from inference.own import flavors

        return flavors.fetched(source.removeprefix("mlflow:"), sample, options)
    if source.startswith("python:"):
        return formats.add("python", source.removeprefix("python:"), sample, options)
    path = Path(source).expanduser()
    _require_there(path)
    return _folder(path, sample, options) if path.is_dir() else _file(path, sample, options)


def _require_there(path: Path) -> None:
    if not path.exists():
        held = path.parent.iterdir() if path.parent.is_dir() else ()
        raise ModelAddError(f"{path} is not there{nearest(path.name, sorted(each.name for each in held)[:50])}")


def _folder(path: Path, sample: Sample, options: Options) -> Engine:
    if (path / "MLmodel").is_file():
        from inference.own import flavors

        return flavors.add(path, sample, options)
    if (path / "config.json").is_file():
        return formats.add("hf", path, sample, options)
    raise ModelAddError(f"{path} holds neither MLmodel (MLflow) nor config.json (Hugging Face); a model is {_KNOWN}")


def _file(path: Path, sample: Sample, options: Options) -> Engine:
    return formats.add(_kind(path), path, sample, options)


def _kind(path: Path) -> Format:
    """By the ending of a file. Raises ModelAddError."""
    ending = path.suffix.lower()
    if ending in SUFFIXES:
        return SUFFIXES[ending]
    if ending == ".py":
        raise ModelAddError(f"{path} is Python code: name the function in it, python:{path}:FUNCTION")
    if ending in (".json", ".ubj", ".bst", ".txt"):
        raise ModelAddError(
            f"{path} may be what save_model of XGBoost or LightGBM wrote: load it into an XGBClassifier or LGBMClassifier, whose "
            "classes_ say what it answers, and save that with skops.io.dump or joblib.dump"
        )
    raise ModelAddError(f"{path} is of a kind that is not known ({path.suffix or 'no ending'}); a model is {_KNOWN}")


def _reasons(problems: Mapping[int, str]) -> str:
    counts = Counter(problems.values()).most_common(3)
    return "; ".join(f"{reason} (row {next(n for n, each in problems.items() if each == reason)})" for reason, _ in counts)


def _background(sample: Sample, answers: Sequence[Scored]) -> tuple[Row, ...]:
    if sample.project.input.type == "image":
        return ()
    good = [n for n, each in enumerate(answers) if isinstance(each, Prediction)]
    chosen = np.random.default_rng(0).permutation(good)[:BACKGROUND]
    names = sample.project.input.features
    return tuple({name: sample.rows[n].get(name) for name in names} for n in sorted(chosen.tolist()))

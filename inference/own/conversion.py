"""A pickle turned into a skops file: read in a child process, and believed only where both models answer the same."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import inference
from contract.predictors import Floats
from inference.errors import ModelAddError, ModelLoadError
from inference.own import frames, outputs, pipeline
from inference.own.engine import Options, Sample

ASKED, SAID, ANSWERS = "asked.json", "said.json", "answers.npy"


def add(source: Path, sample: Sample, options: Options) -> pipeline.Engine:
    """The engine of a pickled estimator; `options.trust_pickle` lets it be read. Raises ModelAddError."""
    rows = pipeline.given(sample)
    if not source.is_file():
        raise ModelAddError(f"{source} is not there")
    if not options.trust_pickle:
        raise ModelAddError(untrusted(source))
    with tempfile.TemporaryDirectory(prefix="signoff-convert-") as folder:
        said = _child(source, rows, Path(folder))
        if said.get("error"):
            raise ModelAddError(f"{source.name}: {said['error']}")
        data = (Path(folder) / pipeline.FILE).read_bytes()
        expected: Floats = np.load(Path(folder) / ANSWERS, allow_pickle=False)
    try:
        model = pipeline.opened(data, source.name)
        held = frames.read(said["handing"])
    except ModelLoadError as error:
        raise ModelAddError(f"{error}. Ways on: {pipeline.WAYS}") from error
    some = pipeline.worth_asking(model, held, rows)
    _compare(expected, table(pipeline.answered(model, held, rows, some), expected.shape[1]), some, source.name)
    note = f"The pickle was turned into a skops file, which answers all {len(some):,} rows of the sample the same."
    notes = (*said["said"], note)
    return pipeline.engine(model, data, held, sample, options, notes)


def untrusted(source: Path) -> str:
    """What is said of a pickle that nobody trusts."""
    return (
        f"{source.name} is a pickle, and reading one runs whatever code its maker put into it, with your rights. If you made "
        "it, or trust who did, add --trust-pickle: it is then read here, in a process of its own, and turned into a "
        f"skops file, which runs nothing. Or save it as one: skops.io.dump(model, {source.with_suffix('.skops').name!r})"
    )


def table(answers: Sequence[Any], labels: int) -> Floats:
    """(n, k) probabilities, a row of NaN where there is no answer."""
    nothing = (np.nan,) * labels
    return np.array([nothing if each is None else each.probabilities for each in answers], dtype=np.float64).reshape(-1, labels)


def _child(source: Path, rows: pipeline.Given, folder: Path) -> dict[str, Any]:
    asked = {
        "modality": rows.modality,
        "features": {name: feature.model_dump(mode="json") for name, feature in rows.features.items()},
        "dtypes": dict(rows.dtypes),
        "rows": [rows.rows[n] for n in rows.good],
    }
    (folder / ASKED).write_text(json.dumps(asked), encoding="utf-8")
    root = str(Path(inference.__file__).parents[1])
    paths = os.pathsep.join(each for each in (root, os.environ.get("PYTHONPATH")) if each)
    command = [sys.executable, "-P", "-m", "inference.own.pickled", str(source.resolve()), str(folder), os.getcwd()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths})
    try:
        said: dict[str, Any] = json.loads((folder / SAID).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelAddError(f"the process that read {source.name} ended with {done.returncode}: {last[:300]}") from None
    return said


def _compare(before: Floats, after: Floats, places: Sequence[int], name: str) -> None:
    if before.shape != after.shape:
        raise ModelAddError(f"{name} gave answers of shape {before.shape}, and as a skops file of shape {after.shape}")
    wrong = np.flatnonzero(~np.isclose(before, after, rtol=0, atol=pipeline.TOLERANCE, equal_nan=True).all(axis=1))
    if not len(wrong):
        return
    at = int(wrong[0])
    raise ModelAddError(
        f"{name} answers otherwise once it is turned into a skops file, in {len(wrong):,} of {len(places):,} rows: row "
        f"{places[at]} was {_row(before[at])} and is {_row(after[at])}. Ways on: {pipeline.WAYS}"
    )


def _row(values: Floats) -> str:
    return outputs.listed(f"{value:.6g}" for value in values)

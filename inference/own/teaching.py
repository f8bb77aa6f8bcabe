"""An owner's own function that trains: what it is handed, and how what it returns becomes a model as `model add` takes one.

    def train(rows, labels, *, weights, seed, previous, report): ...

`rows`: a list of dicts as an own model gets them (see inference.own.function), `labels`: the label of each. By name, as far
as the function takes them: `weights`, a number for each row, mean 1, or None; `seed`; `previous`, the model to begin at, or
None; `report(share, step)`, to tell how far it is. It returns a fitted scikit-learn estimator, a torch module, or the path of
a file or folder that `model add` takes.
"""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.predictors import Predictor
from contract.project import Project
from contract.records import Row
from inference.errors import ModelAddError, TrainingError
from inference.own import adding, importing
from inference.own.engine import Options, Sample
from inference.splits import Progress

PREFIX = "python:"
TRIED = 2_000
"""Rows on which what comes back is tried."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What there is to learn from."""

    project: Project
    rows: Sequence[Row]
    labels: Sequence[str]
    weights: Sequence[float] | None
    seed: int
    previous: Predictor | None


def taught(trainer: str, lesson: Lesson, device: str, progress: Progress) -> adding.Brought:
    """What `python:FILE.py:FUNCTION` makes of a lesson, converted and tried. It runs here, with the rights of this process.

    Raises TrainingError for a function that is not there, takes other arguments or fails; ModelAddError, with the mend, for what
    it returns.
    """
    code = _code(trainer)
    given = [{name: row.get(name) for name in lesson.project.input.features} for row in lesson.rows]
    progress(0.0, f"{code.name} of {code.path.name}")
    with importing.importable(code.folders):
        made = _called(code, given, lesson, progress)
    progress(1.0, "taking what it made")
    step = -(-len(given) // TRIED)
    sample = Sample(lesson.project, tuple(lesson.rows[::step]), _dtypes(lesson.project, given), tuple(lesson.labels[::step]))
    with tempfile.TemporaryDirectory(prefix="signoff-taught-") as folder:
        return adding.add(_source(made, trainer, sample, Path(folder)), sample, Options(_labels(made, lesson), device=device))


def _code(trainer: str) -> importing.Code:
    try:
        code = importing.found(trainer.removeprefix(PREFIX), (Path.cwd(),))
    except importing.NotThere as error:
        raise TrainingError(f"{trainer}: {error}") from error
    if not callable(code.value):
        raise TrainingError(f"{trainer} is a {type(code.value).__name__}; write a function train(rows, labels, *, weights, seed)")
    return code


def _called(code: importing.Code, given: list[dict[str, Any]], lesson: Lesson, progress: Progress) -> Any:
    offered = {"weights": lesson.weights, "seed": lesson.seed, "previous": lesson.previous, "report": progress}
    held = inspect.signature(code.value).parameters
    every = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in held.values())
    named = {name: value for name, value in offered.items() if every or name in held}
    if lesson.weights is not None and "weights" not in named:
        raise TrainingError(f"{code.name} takes no weights: add the parameter, or leave out --weights")
    try:
        return code.value(given, list(lesson.labels), **named)
    except (Exception, SystemExit) as error:
        line = _last_line(error, code.path)
        raise TrainingError(f"{code.path}{line}: {code.name} failed: {type(error).__name__}: {error}") from error


def _last_line(error: BaseException, path: Path) -> str:
    """`:LINE`, the last one in the owner's own file that the error came through."""
    lines = [number for frame, number in _frames(error) if Path(frame).resolve() == path]
    return f":{lines[-1]}" if lines else ""


def _frames(error: BaseException) -> list[tuple[str, int]]:
    frames, trace = list[tuple[str, int]](), error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return frames


def _source(made: Any, trainer: str, sample: Sample, folder: Path) -> str:
    """What was returned as `model add` takes it. Raises ModelAddError."""
    from sklearn.base import BaseEstimator

    if isinstance(made, (str, Path)):
        return str(made)
    if isinstance(made, BaseEstimator):
        from inference import boosting

        (folder / "model.skops").write_bytes(boosting.dump(made))
        return str(folder / "model.skops")
    import torch

    if isinstance(made, torch.nn.Module):
        return str(_exported(made, trainer, sample, folder))
    raise ModelAddError(
        f"{trainer} returned a {type(made).__name__}; return a fitted scikit-learn estimator, a torch module, or the path of a "
        "file or folder that `signoff model add` takes"
    )


def _exported(module: Any, trainer: str, sample: Sample, folder: Path) -> Path:
    """A torch module as a program of two rows and more. Its `example` is one row of what it takes, with a first axis of one."""
    import torch

    example = getattr(module, "example", None)
    if not isinstance(example, torch.Tensor):
        width = len(sample.project.input.features)
        if sample.project.input.type != "tabular":
            raise ModelAddError(f"{trainer} returned a torch module: give it an attribute `example`, the tensor of one image")
        example = torch.zeros(1, width)
    path = folder / "model.pt2"
    try:
        program = torch.export.export(
            module.eval().cpu(), (torch.cat([example, example]),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
        )
        torch.export.save(program, path)
    except Exception as error:
        raise ModelAddError(f"{trainer}: torch cannot export the module: {type(error).__name__}: {error}") from error
    return path


def _labels(made: Any, lesson: Lesson) -> tuple[str, ...]:
    """A module's outputs stand for the project's labels, in order, unless it has `labels`; an estimator says its own."""
    from sklearn.base import BaseEstimator

    if isinstance(made, (BaseEstimator, str, Path)):
        return ()
    return tuple(getattr(made, "labels", lesson.project.labels))


def _dtypes(project: Project, given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The types that pandas gives these columns, as a function has them that makes a table of the rows."""
    import pandas as pd

    if project.input.type != "tabular":
        return {}
    table = pd.DataFrame(given)
    return {name: str(table[name].dtype) for name in project.input.features}

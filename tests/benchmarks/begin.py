"""What `signoff start` reaches on real data, beside the plain baseline on the same rows, and how long it takes.

python -m tests.benchmarks.begin [DATASET ...]      held-out accuracy beside the baseline
python -m tests.benchmarks.begin sizes              5,000 rows beside 200,000, in turns
"""

import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from app.settings import Settings
from app.starting import bringing, profile, reading, rows, run, writing
from app.starting.rows import Taken
from app.workspace import open_workspace
from contract.project import read_project
from contract.records import Prediction
from inference import training
from retrain import registry
from review_queue import insights, projects
from tests.end_to_end.processes import plain

SHARED = Path(__file__).parents[3] / "shared" / "data"
SETS = {
    "adult": ("income", ()),
    "bank_marketing": ("subscribed", ("duration",)),
    "credit_default": ("default_next_month", ()),
    "german_credit": ("credit_risk", ()),
    "banking77": ("label", ()),
    "sms_spam": ("label", ()),
    "fashion_mnist": ("label_name", ()),
}
ROUNDS, SPLITS = 3, 20


def reached(name: str) -> str:
    """One line of the table: start's own model and the baseline, on the same rows."""
    label, drop = SETS[name]
    file = SHARED / name / "data.parquet"
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(dir=Path(folder), device="cpu")
        begun = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run.start(settings, run.Wish(file, label=label, drop=drop, name="tried"), port=0, ui=False)
        took = time.perf_counter() - begun
        workspace = open_workspace(settings)
        setting = workspace.database.read(projects.get, "tried")
        champion = workspace.database.read(registry.champion, setting.id)
        waiting = workspace.database.read(insights.backlog, setting.id).waiting
        explained = workspace.database.read(insights.explained_ahead, setting.id, 10)
        project = read_project(Path(folder) / "projects" / "tried" / "project.yaml")
        workspace.database.close()
    table = reading.read(file, most=bringing.most(project.input.type))
    found = profile.profile(table, label=label, drop=drop)
    held = rows.sampled(table, project, found.of_rows, profile.split(table, found, "tried"))
    assert champion is not None
    ours, plain_ = champion.figures["held_out"]["accuracy"], baseline(project.input.type, held, held.learned(), held.held())
    return (
        f"| {name} | {len(held.learned()):,} | {len(held.held()):,} | {ours:.1%} | {plain_:.1%} | {100 * (ours - plain_):+.1f} | "
        f"{waiting:,} | {explained.part:.0f} of {explained.of:.0f} | {took:.0f} s |"
    )


def repeated(name: str) -> str:
    """The same by the model alone over SPLITS ways to hold rows out, since few rows are held out of a small set."""
    label, drop = SETS[name]
    table = reading.read(SHARED / name / "data.parquet")
    found = profile.profile(table, label=label, drop=drop)
    with tempfile.TemporaryDirectory() as folder:
        writing.write(Path(folder), writing.project(found, "tried", said="tried"), "", "")
        project = read_project(Path(folder) / "project.yaml")
    pairs = []
    for number in range(SPLITS):
        held = rows.sampled(table, project, found.of_rows, profile.split(table, found, f"tried-{number}"))
        learn, judge = held.learned(), held.held()
        fit = training.train(project, held.inputs(learn), [str(row.label) for row in learn], device="cpu")
        answers = fit.predictor.predict(held.inputs(judge))
        right = np.mean([isinstance(a, Prediction) and a.label == row.label for a, row in zip(answers, judge, strict=True)])
        pairs.append((float(right), baseline(project.input.type, held, learn, judge)))
    ours, beside = np.mean(pairs, axis=0)
    return f"{name} over {SPLITS} splits: {ours:.1%} beside {beside:.1%}, {100 * (ours - beside):+.1f} points"


def baseline(kind: str, held: rows.Sampled, learn: Sequence[Taken], judge: Sequence[Taken]) -> float:
    """The better of the plain models of the data's README on these rows."""
    fits = {"tabular": _tables, "text": _texts, "image": _images}[kind]
    truth, expected = [row.label for row in learn], [row.label for row in judge]
    inputs, asked = held.inputs(learn), held.inputs(judge)
    return max(float(np.mean(np.array(guess) == np.array(expected))) for guess in fits(inputs, truth, asked))


def _tables(learn: Sequence[Any], truth: Sequence[Any], judge: Sequence[Any]) -> list[Any]:
    from sklearn.compose import make_column_selector as having
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    frame, asked = (pd.DataFrame(list(each)).infer_objects() for each in (learn, judge))
    text, number = having(dtype_include=["object", "str", "bool"]), having(dtype_include="number")
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    linear = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), text), (scaled, number))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = make_column_transformer((codes, text), ("passthrough", number))
    models = (make_pipeline(linear, LogisticRegression(max_iter=1000)), make_pipeline(trees, HistGradientBoostingClassifier()))
    return [model.fit(frame, truth).predict(asked) for model in models]


def _texts(learn: Sequence[Any], truth: Sequence[Any], judge: Sequence[Any]) -> list[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    texts, asked = ([next(iter(row.values())) for row in each] for each in (learn, judge))
    return [model.fit(texts, truth).predict(asked)]


def _images(learn: Sequence[Any], truth: Sequence[Any], judge: Sequence[Any]) -> list[Any]:
    from sklearn.linear_model import LogisticRegression

    pixels, asked = (
        np.stack([np.asarray(Image.open(io.BytesIO(row["image"]))).ravel() / 255 for row in each]) for each in (learn, judge)
    )
    return [LogisticRegression(C=0.1, max_iter=300).fit(pixels, truth).predict(asked)]


def sizes() -> None:
    """5,000 rows and 200,000 rows of the same kind, in turns."""
    held = pd.read_parquet(SHARED / "adult" / "data.parquet")
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (5_000, 200_000):
            many = held.sample(count, replace=count > len(held), random_state=0).assign(row_id=range(count))
            many.to_csv(Path(folder) / f"rows-{count}.csv", index=False)
            many.to_parquet(Path(folder) / f"rows-{count}.parquet", index=False)
        for _ in range(ROUNDS):
            for file in sorted(Path(folder).glob("rows-*.*")):
                took.setdefault(file.name, []).append(_seconds(file))
    for name, each in took.items():
        print(f"{name}: median {statistics.median(each):.1f} s of {', '.join(f'{one:.1f}' for one in each)}")


def _seconds(file: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = ["start", str(file), "--label", "income", "--no-ui", "--dir", folder]
        subprocess.run([sys.executable, "-m", "app.cli.main", *command], check=True, stdout=subprocess.DEVNULL, env=plain())
        return time.perf_counter() - begun


def main() -> None:
    if sys.argv[1:] == ["sizes"]:
        return sizes()
    print("| data | learned from | held out | `start` | baseline | points | waiting | explained | took |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or SETS:
        print(reached(name), flush=True)
    for name in set(sys.argv[1:] or SETS) & {"german_credit", "sms_spam"}:
        print(repeated(name), flush=True)
    return None


if __name__ == "__main__":
    main()

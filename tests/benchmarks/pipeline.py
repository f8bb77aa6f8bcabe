"""Items scored, routed and kept by the worker, beside the bare pipeline of ../shared/perf: forward, then one plain row each.

    python -m tests.benchmarks.pipeline [sqlite] [postgresql] [--items N] [--rounds N]

Bare: arrays in memory, a model of PyTorch, one row an item by COPY or executemany (synchronous=FULL), a commit per batch.
With our model: the same with rows as dictionaries and a model that this repository trains. Ours: leased out of the database,
read, scored, routed under a policy with spot checks and second opinions, and every row of it kept, the next batch being read
and the last one written while one is scored. In turns, one thread for PyTorch, each on a database of its own.
"""

import argparse
import io
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from PIL import Image
from sqlalchemy.orm import Session

from app.settings import Settings
from app.worker.models import Loaded
from app.worker.scoring import Scoring
from app.workspace import Workspace
from contract.predictors import Predictor
from contract.project import Project
from contract.records import Prediction, Row
from db import blobs
from db.engine import Database
from inference import training
from inference.batching import probe
from review_queue import intake
from tests import factories
from tests.benchmarks import ground

BARE, BARE_OURS, OURS = "bare: arrays, one table", "bare, with our model", "ours: lease, score, route, keep"
LEARNED = 1_000
POLICY: dict[str, Any] = {"audit": {"rate": 0.05}, "review": {"second_opinion": 0.05}}


@dataclass(frozen=True)
class Kind:
    """A kind of input: its project, its rows, what the limit calls its model, and the batch that is fastest for that."""

    project: Project
    rows: Callable[[int], list[Row]]
    model: str
    batch: int


def tables(count: int) -> list[Row]:
    """Numbers of which the first tells the label: some are sure, some are not."""
    drawn = np.random.default_rng(0).random((count, 30)).round(4)
    return [{f"f{k}": value for k, value in enumerate(row)} for row in drawn.tolist()]


def images(count: int) -> list[Row]:
    """Noise with a bright bar, whose place is the label."""
    draw = np.random.default_rng(0)
    drawn = draw.integers(0, 200, (count, 28, 28), dtype=np.uint8)
    for n, each in enumerate(drawn):
        each[2 * (n % 10) + 4] = draw.integers(120, 255)
    return [{"image": _png(each)} for each in drawn]


def _png(pixels: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def kinds() -> dict[str, Kind]:
    columns = {f"f{k}": {"type": "number"} for k in range(30)}
    digits = factories.project(input={"type": "image"}, labels=[str(n) for n in range(10)])
    numbers = factories.project(input={"type": "tabular", "features": columns}, labels=["deny", "pay"])
    return {"table of 30 numbers": Kind(numbers, tables, "mlp", 1_024), "image of 28 x 28": Kind(digits, images, "cnn", 256)}


def trained(kind: Kind) -> Predictor:
    names = list(kind.project.labels)
    rows = kind.rows(LEARNED)
    trainer = "torch-mlp" if kind.model == "mlp" else "torch-cnn"
    told = [n % 10 if kind.model == "cnn" else int(row["f0"] > 0.5) for n, row in enumerate(rows)]
    labels = [names[label] for label in told]
    return training.train(kind.project, rows, labels, trainer=trainer, device="cpu", threads=1).predictor


class Held:
    """What the worker asks of its models, with one that is there already."""

    def __init__(self, predictor: Predictor, size: int) -> None:
        self._loaded, self._size = Loaded(predictor, ()), size

    def get(self, model_id: int) -> Loaded:
        return self._loaded

    def batch_size(self, model_id: int, sample: Sequence[Row]) -> int:
        return self._size

    def known_size(self, model_id: int) -> int:
        return self._size


def bare(put: ground.Put, kind: Kind, count: int) -> float:
    from serve.models import SHAPE, make  # type: ignore[import-not-found]

    model = make(kind.model)
    arrays = np.random.default_rng(0).random((count, *SHAPE[kind.model])).astype("float32")

    def scored(at: int) -> list[tuple[float, int]]:
        with torch.inference_mode():
            sure, label = torch.softmax(model(torch.from_numpy(arrays[at : at + kind.batch])), 1).max(1)
        return list(zip(sure.tolist(), label.tolist(), strict=True))

    return _through(put, scored, count, kind.batch)


def bare_ours(put: ground.Put, kind: Kind, predictor: Predictor, rows: Sequence[Row]) -> float:
    def scored(at: int) -> list[tuple[float, int]]:
        answers = predictor.predict(rows[at : at + kind.batch])
        given = [each.probabilities for each in answers if isinstance(each, Prediction)]
        return [(max(each), each.index(max(each))) for each in given]

    return _through(put, scored, len(rows), kind.batch)


def _through(put: ground.Put, scored: Callable[[int], list[tuple[float, int]]], count: int, batch: int) -> float:
    payload = ground.limit_rows(1)[0][5]
    begin = time.perf_counter()
    for at in range(0, count, batch):
        answers = enumerate(scored(at), at)
        put([(f"{n:032x}-000", "model-v1.0.0", str(label), sure, sure, payload) for n, (sure, label) in answers])
    return count / (time.perf_counter() - begin)


def ours(database: Database, kind: Kind, predictor: Predictor, size: int, rows: Sequence[Row]) -> float:
    held = factories.setting(database, kind.project, factories.policy(**POLICY))
    for at in range(0, len(rows), 1_000):
        given = [database.write(_input, row) for row in rows[at : at + 1_000]] if kind.model == "cnn" else rows[at : at + 1_000]
        items = [{"external_id": f"{n:032x}", "input": row} for n, row in enumerate(given, at)]
        database.write(intake.accept, held, [intake.check(kind.project, item) for item in items])
    workspace = Workspace(Settings(), database, factories.keys(database))
    worker = Scoring(workspace, Held(predictor, size), threading.Event())  # type: ignore[arg-type]
    begin = time.perf_counter()
    assert worker.turn() == len(rows)
    return len(rows) / (time.perf_counter() - begin)


def _input(session: Session, row: Row) -> dict[str, Any]:
    return {"image": {"blob": f"sha256:{blobs.put(session, row['image'], 'image/png')}"}}


def measured(database_kind: str, postgres: str, name: str, kind: Kind, count: int, rounds: int) -> None:
    predictor, rows = trained(kind), kind.rows(count)
    size = probe(predictor, rows[:64], budget_seconds=2.0)

    def beside(run: Callable[[ground.Put], float]) -> float:
        with tempfile.TemporaryDirectory() as folder, ground.bare(database_kind, postgres, Path(folder)) as put:
            return run(put)

    def whole() -> float:
        with tempfile.TemporaryDirectory() as folder, ground.migrated(database_kind, postgres, Path(folder)) as database:
            return ours(database, kind, predictor, size, rows)

    ways = {
        BARE: lambda: beside(lambda put: bare(put, kind, count)),
        BARE_OURS: lambda: beside(lambda put: bare_ours(put, kind, predictor, rows)),
        OURS: whole,
    }
    head = f"\n{database_kind}, {name}, {count:,} items, batches of {size:,}, {rounds} rounds"
    print(f"{head}\n\n| what | items a second | ratio |\n| --- | --- | --- |")
    print(*ground.table(ground.in_turns(rounds, ways), BARE, "/s"), sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=list(ground.KINDS))
    parser.add_argument("--items", type=int, default=8_192)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with ground.server() as postgres:
        for database_kind in wanted.databases:
            for name, kind in kinds().items():
                measured(database_kind, postgres, name, kind, wanted.items, wanted.rounds)


if __name__ == "__main__":
    main()

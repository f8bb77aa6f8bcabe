"""How far autonomy is earned on real data, and whether what acts alone keeps its promise: through the product itself.

    python -m tests.benchmarks.earned [adult] [bank_marketing] ... [--seeds N] [--errors 0.01 0.02 0.05] [--out FILE]
    python -m tests.benchmarks.earned --table FILE [FILE ...]

A model learns from some rows of ../shared/data, once for each set. In each run the others arrive in another order, posted to the
HTTP API day by day; the worker scores and routes them under `autonomy: earned`; two operators, who know the answers, decide what
waits; house-keeping runs, and an owner signs every rise that is ready. The clock is moved, nothing else is short-cut. A run ends
where nothing acts and no evidence that is left to come could change that. It is one line of FILE, and not done again.
"""

import argparse
import base64
import gc
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import known_answers
from app.api.main import create_api
from app.settings import Settings
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace, open_workspace
from contract.policy import Policy, Score
from contract.project import Project
from contract.records import Row
from db import blobs
from db.tables import AutonomyEvent, Decision, ItemKey, Routing
from retrain import datasets, judging, loading, registry, training
from review_queue import autonomy, clock, evidence, keeping, ladder, people, projects, rules
from review_queue.activity import Actor
from review_queue.exact import upper
from review_queue.projects import Setting

SHARED = Path(__file__).parents[3] / "shared" / "data"
RAM = Path("/dev/shm")
ERRORS = (0.01, 0.02, 0.05)
CONFIDENCE = 0.95
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
LOADS, APART = 45, timedelta(days=3)
"""How many loads arrive in a run, and how far apart."""
SCORE: Score = "max_probability"
MODEL_SEED = 20260105


@dataclass(frozen=True)
class Set:
    """A data set as a project with rows and labels, and how many the model learns from and is judged by."""

    project: Project
    rows: Sequence[dict[str, Any]]
    labels: Sequence[str]
    learn: int = 1_500
    aside: int = 500


@dataclass(frozen=True)
class Traffic:
    """What arrives: inputs with their right labels, how sure the model is of each, and whether it errs."""

    rows: Sequence[dict[str, Any]]
    labels: Sequence[str]
    sure: NDArray[np.float64]
    wrong: NDArray[np.bool_]

    def error(self, threshold: float) -> float:
        """The share of errors among all that reach a threshold; 0 where none does."""
        reached = self.sure >= threshold
        return float(self.wrong[reached].mean()) if reached.any() else 0.0

    def coverage(self, threshold: float | None) -> float:
        return float((self.sure >= threshold).mean()) if threshold is not None else 0.0


@dataclass(frozen=True)
class Prepared:
    """A workspace whose model has learned, to be copied for each run."""

    name: str
    folder: Path
    project: Project
    model: int
    grid: Sequence[float]
    traffic: Traffic


def adult() -> Set:
    frame = pd.read_parquet(SHARED / "adult" / "data.parquet").drop(columns=["row_id", "fnlwgt"])
    return _table("adult", frame, "income")


def bank_marketing() -> Set:
    frame = pd.read_parquet(SHARED / "bank_marketing" / "data.parquet").drop(columns=["row_id", "year", "duration"])
    return _table("bank_marketing", frame, "subscribed")


def banking77() -> Set:
    frame = pd.read_parquet(SHARED / "banking77" / "data.parquet")
    rows, labels = [{"text": text} for text in frame["text"]], frame["label"].tolist()
    return Set(_project("banking77", {"type": "text"}, labels), rows, labels, learn=2_000)


def fashion_mnist() -> Set:
    frame = pd.read_parquet(SHARED / "fashion_mnist" / "data.parquet")
    rows, labels = [{"image": bytes(data)} for data in frame["image"]], frame["label_name"].tolist()
    return Set(_project("fashion_mnist", {"type": "image"}, labels), rows, labels)


def sms_spam() -> Set:
    frame = pd.read_parquet(SHARED / "sms_spam" / "data.parquet")
    rows, labels = [{"text": text} for text in frame["text"]], frame["label"].tolist()
    return Set(_project("sms_spam", {"type": "text"}, labels), rows, labels, learn=500, aside=200)


def _table(name: str, frame: pd.DataFrame, target: str) -> Set:
    """A table with its columns as features; what may be missing is optional."""
    features, labels = frame.drop(columns=target), frame[target].astype(str).tolist()
    number = pd.api.types.is_numeric_dtype
    kinds = {
        column: {"type": "number" if number(features[column]) else "category", "optional": bool(features[column].isna().any())}
        for column in features
    }
    held = features.astype(object).where(features.notna(), None)
    rows = [dict(zip(kinds, row, strict=True)) for row in held.itertuples(index=False, name=None)]
    return Set(_project(name, {"type": "tabular", "features": kinds}, labels), rows, labels)


def _project(name: str, given: dict[str, Any], labels: Sequence[str]) -> Project:
    names = sorted(set(labels))
    return Project.model_validate(
        {"project": name, "input": given, "labels": names, "model": {"uri": f"registry:{name}@champion"}}
    )


SETS: dict[str, Callable[[], Set]] = {each.__name__: each for each in (adult, bank_marketing, banking77, fashion_mnist, sms_spam)}
ARRIVE = 45
"""Items of a run, over its target: more than twice what the first certificate takes, or all rows where there are fewer."""


@contextmanager
def prepared(name: str, data: Set) -> Iterator[Prepared]:
    """The set with its model, trained by the product itself, on a RAM disk where there is one."""
    with tempfile.TemporaryDirectory(dir=RAM if RAM.exists() else None) as folder:
        with clock.at(START - timedelta(days=1)):
            held = _prepare(name, data, Path(folder))
        yield held


def _prepare(name: str, data: Set, folder: Path) -> Prepared:
    order = np.random.default_rng(MODEL_SEED).permutation(len(data.rows)).tolist()
    known, arriving = order[: data.learn + data.aside], order[data.learn + data.aside :]
    workspace = open_workspace(Settings(dir=folder, secret_key="prepared", device="cpu"))
    by, database = workspace.local_actor("cli"), workspace.database
    setting = _apply(workspace, data.project, ERRORS[-1], by)
    database.write(datasets.add_base, setting, labelled(workspace, data, known, data.learn), by=by)
    info = training.train(database, setting.name, by=by, device="cpu")
    rows, labels = [data.rows[n] for n in arriving], [data.labels[n] for n in arriving]
    told = judging.asked(loading.load(database, info, device="cpu"), rows, labels, SCORE)
    database.close()
    traffic = Traffic([sent(row) for row in rows], labels, told.confidences, told.wrong)
    return Prepared(name, folder, data.project, info.version, info.figures["grids"][SCORE], traffic)


def labelled(workspace: Workspace, data: Set, known: Sequence[int], learn: int) -> list[dict[str, Any]]:
    """These rows as those that came with a project: the first so many to learn from, the others to judge by."""
    return [
        {"external_id": f"known-{n}", "input": row, "label": data.labels[n], "split": "train" if k < learn else "test"}
        for k, (n, row) in enumerate(zip(known, kept(workspace, data, known), strict=True))
    ]


def kept(workspace: Workspace, data: Set, chosen: Sequence[int]) -> list[Row]:
    """These rows as they are kept: images are blobs."""

    def one(session: Session, row: Row) -> Row:
        return {
            name: {"blob": f"sha256:{blobs.put(session, value, 'image/png')}"} if isinstance(value, bytes) else value
            for name, value in row.items()
            if value is not None
        }

    def every(session: Session) -> list[Row]:
        return [one(session, data.rows[n]) for n in chosen]

    return workspace.database.write(every)


def sent(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a producer posts it."""
    return {
        name: f"data:image/png;base64,{base64.b64encode(value).decode()}" if isinstance(value, bytes) else value
        for name, value in row.items()
        if value is not None
    }


def _apply(workspace: Workspace, project: Project, error: float, by: Actor) -> Setting:
    key = workspace.keys.draw_key_id
    return workspace.database.write(projects.apply, project, _policy(error), "", key, by=by).setting


def _policy(error: float) -> Policy:
    """All that evidence allows may act. The operators know every answer, so none is to be allowed for as missed."""
    return Policy.model_validate(
        {
            "autonomy": "earned",
            "score": SCORE,
            "automate": {"at_least": 0},
            "evidence": {"max_error": error, "confidence": CONFIDENCE, "most_missed": 0, "signers": 1},
            "drift": "off",
        }
    )


class Run:
    """One deployment: its own copy of the workspace, its own order of arrivals, its own secret."""

    def __init__(self, held: Prepared, error: float, seed: int, client: TestClient, workspace: Workspace) -> None:
        self._held, self._error, self._seed, self._client = held, error, seed, client
        self._workspace, self._database = workspace, workspace.database
        self._by = workspace.local_actor("cli")
        self._setting = _apply(workspace, held.project, error, self._by)
        propose = partial(registry.propose, by=self._by, draw_key_id=workspace.keys.draw_key_id)
        self._database.write(propose, self._setting.id, held.model)
        self._players = [self._database.write(known_answers.player, "worker", name) for name in people.PLAYERS[:2]]
        key = self._database.write(people.add_key, self._by.name, scopes=["produce"])
        self._headers = {"Authorization": f"Bearer {key}"}
        models = Models(self._database, workspace.settings, "cpu")
        self._scoring = Scoring(workspace, models, threading.Event())
        self._answers: dict[str, str] = {}
        self.thresholds: list[float | None] = []
        self.first_labels: int | None = None
        self.first_day: int | None = None

    def play(self, hands: clock.Hands, arrive: int, loads: int) -> None:
        """Loads come, are routed, are decided; then house-keeping, and the owner's look at what may rise."""
        order = np.random.default_rng(self._seed).permutation(len(self._held.traffic.rows))[:arrive].tolist()
        parts = np.array_split(order, loads)
        for number, part in enumerate(parts):
            begins = START + number * APART
            hands.move(begins)
            self._arrive(part.tolist())
            hands.move(begins + timedelta(hours=6))
            known_answers.work(self._database, self._setting, self._answers, self._players, 10**9)
            hands.move(begins + timedelta(hours=12))
            tidy(self._database)
            self._sign()
            self._note((begins - START).days)
            if self._hopeless(np.concatenate([*parts[number + 1 :], np.array([], dtype=int)]).astype(int)):
                return

    def _hopeless(self, left: NDArray[np.int_]) -> bool:
        """Whether nothing acts, and nothing could be certified even if no error were found in all that is left."""
        found = self._database.read(evidence.read, self._setting)
        if self.thresholds[-1] is not None or found is None or (ledger := found.units[""]).certified is not None:
            return False
        needed = ladder.more(ledger.bands[0], 1.0, ledger.alpha, ledger.delta)
        return needed is None or needed > int((self._held.traffic.sure[left] >= ledger.bands[0].threshold).sum())

    def _arrive(self, part: Sequence[int]) -> None:
        traffic = self._held.traffic
        self._answers |= {f"row-{n}": traffic.labels[n] for n in part}
        for begin in range(0, len(part), 500):
            items = [{"external_id": f"row-{n}", "input": traffic.rows[n]} for n in part[begin : begin + 500]]
            reply = self._client.post(f"/v1/projects/{self._held.name}/items", json={"items": items}, headers=self._headers)
            states = {each["state"] for each in reply.json()["items"]} if reply.status_code == 202 else {reply.text}
            if states != {"received"}:
                raise RuntimeError(f"items were not received: {states}")
        self._scoring.turn()

    def _sign(self) -> None:
        setting, key = self._setting, self._workspace.keys.draw_key_id
        for rise in self._database.read(autonomy.rises, setting):
            if rise.ready:
                self._database.write(autonomy.raise_unit, setting, rise.unit, by=self._by, draw_key_id=key)

    def _note(self, day: int) -> None:
        now = self._database.read(acting, self._setting)
        self.thresholds.append(now)
        if now is not None and self.first_day is None:
            self.first_day, self.first_labels = day, self._database.read(labels, self._setting.id)

    def result(self) -> dict[str, Any]:
        """What came of it, beside what a validation split of as many rows would have promised."""
        traffic, cost = self._held.traffic, self._database.read(labels, self._setting.id)
        ever = sorted({at for at in self.thresholds if at is not None})
        routed = self._database.read(routes, self._setting.id)
        last = routed[-len(routed) // 5 :]
        alone = [self._answers[name] != label for name, route, label in routed if route == "auto"]
        return {
            "set": self._held.name,
            "error": self._error,
            "seed": self._seed,
            "arrived": len(routed),
            "labels": cost,
            "first_day": self.first_day,
            "first_labels": self.first_labels,
            "automation": sum(route == "auto" for _, route, _ in routed) / len(routed),
            "last_fifth": sum(route == "auto" for _, route, _ in last) / len(last),
            "acted": len(alone),
            "acted_wrong": sum(alone),
            "thresholds": [[at, traffic.coverage(at), traffic.error(at)] for at in ever],
            "above": any(traffic.error(at) > self._error for at in ever),
            "steps": self._database.read(steps, self._setting.id),
            "validated": {rule: self._validated(min(cost, len(traffic.labels)), rule) for rule in VALIDATED},
        }

    def _validated(self, n: int, rule: str) -> dict[str, Any]:
        """The lowest threshold of the same grid that a sample of `n` rows allows, and how it does on all of them."""
        traffic = self._held.traffic
        rows = np.random.default_rng([self._seed, n]).permutation(len(traffic.labels))[:n]
        found = validated(traffic.sure[rows], traffic.wrong[rows], self._held.grid, self._error, VALIDATED[rule])
        true = traffic.error(found) if found is not None else 0.0
        return {"threshold": found, "coverage": traffic.coverage(found), "error": true, "above": true > self._error}


def _estimate(errors: int, n: int) -> float:
    return errors / n


def _limit(errors: int, n: int) -> float:
    return upper(errors, n, 1 - CONFIDENCE)


VALIDATED: dict[str, Callable[[int, int], float]] = {"estimate": _estimate, "limit": _limit}
"""The rules that a split is used by: its error itself, and its exact upper limit at 95 %."""


def validated(
    sure: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    grid: Sequence[float],
    error: float,
    judged: Callable[[int, int], float],
) -> float | None:
    """The lowest threshold at which the rows that reach it are judged to err at most so often; None where there is none."""
    for at in sorted(grid):
        reached = wrong[sure >= at]
        if len(reached) and judged(int(reached.sum()), len(reached)) <= error:
            return at
    return None


def tidy(database: Any) -> None:
    """House-keeping until nothing is due."""
    for chore in keeping.CHORES:
        while database.read(chore.look) and database.write(chore.verb):
            pass


def acting(session: Session, setting: Setting) -> float | None:
    """The threshold in force; None where nothing acts alone."""
    rule = rules.in_force(session, setting.id, setting.policy)
    return rule.units[""].threshold if rule is not None and rule.units is not None else None


def labels(session: Session, project_id: int) -> int:
    """Answers that people gave: one a case, and one more where a dispute was settled."""
    query = select(func.count()).select_from(Decision).where(Decision.project_id == project_id, Decision.stage == "final")
    return session.scalars(query).one()


def routes(session: Session, project_id: int) -> list[tuple[str, str, str]]:
    """External id, route and predicted label of everything, in the order of arrival."""
    query = select(ItemKey.external_id, Routing.route, Routing.label).join(ItemKey, ItemKey.item_id == Routing.item_id)
    ours = query.where(Routing.project_id == project_id, ItemKey.external_id.is_not(None), Routing.label.is_not(None))
    return [(str(name), route, str(label)) for name, route, label in session.execute(ours.order_by(Routing.item_id)).tuples()]


def steps(session: Session, project_id: int) -> list[list[Any]]:
    """Every step that was taken: day, levels and cause."""
    query = select(AutonomyEvent).where(AutonomyEvent.project_id == project_id, AutonomyEvent.state == "applied")
    rows = session.scalars(query.order_by(AutonomyEvent.id))
    return [[(row.made_at - START).days, row.from_level, row.to_level, row.cause] for row in rows]


def run(held: Prepared, error: float, seed: int, *, arrive: int | None = None, loads: int = LOADS) -> dict[str, Any]:
    """One run, from a copy of the prepared workspace."""
    begun = time.perf_counter()
    arrive = min(arrive or round(ARRIVE / error), len(held.traffic.rows))
    with tempfile.TemporaryDirectory(dir=held.folder.parent) as folder, clock.at(START) as hands:
        shutil.copytree(held.folder, folder, dirs_exist_ok=True)
        settings = Settings(dir=Path(folder), secret_key=f"{held.name} {error} {seed}", device="cpu", batch_size=256)
        workspace = open_workspace(settings, adopt_key=True)
        with TestClient(create_api(workspace)) as client:
            played = Run(held, error, seed, client, workspace)
            played.play(hands, arrive, loads)
        found = played.result()
        workspace.database.close()
    return found | {"seconds": round(time.perf_counter() - begun, 1)}


def table(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Means over the seeds of each set and target, and in how many runs something unsafe ever acted."""
    yield (
        "| data | target | runs | acts alone, last fifth | runs without | error of what acted | ever above target "
        "| labels, to the first | split, its error: acts alone | over target | split, its 95 % limit: acts alone | over target |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    cells: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for each in found:
        cells.setdefault((each["set"], each["error"]), []).append(each)
    for (name, error), runs in sorted(cells.items()):
        yield _row(name, error, runs)


def _row(name: str, error: float, runs: Sequence[Mapping[str, Any]]) -> str:
    first = [each["first_labels"] for each in runs if each["first_labels"] is not None]
    acted, wrong = sum(each["acted"] for each in runs), sum(each["acted_wrong"] for each in runs)
    ever = sum(each["above"] for each in runs)
    parts = [
        f"`{name}`",
        f"{error:.0%}",
        str(len(runs)),
        f"{np.mean([each['last_fifth'] for each in runs]):.0%}",
        f"{len(runs) - len(first)}",
        f"{wrong / acted:.2%}" if acted else "none acted",
        f"{ever} of {len(runs)}",
        f"{np.mean([each['labels'] for each in runs]):,.0f}, {np.median(first):,.0f}" if first else "not enough",
    ]
    for rule in VALIDATED:
        split = [each["validated"][rule] for each in runs]
        parts += [
            f"{np.mean([each['coverage'] for each in split]):.0%}",
            f"{sum(each['above'] for each in split)} of {len(split)}",
        ]
    return f"| {' | '.join(parts)} |"


def ever_above(found: Sequence[Mapping[str, Any]]) -> str:
    """The promise over all runs: at most delta, and what chance may add in as many."""
    ever, n, delta = sum(each["above"] for each in found), len(found), 1 - CONFIDENCE
    allowed = delta + 3 * (delta * (1 - delta) / n) ** 0.5
    return f"{ever} of {n} runs ever let something act above its target: {ever / n:.1%} (at most {allowed:.1%} is kept to)."


def _read(path: Path | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path is not None and path.exists() else []


def _append(path: Path | None, found: Mapping[str, Any]) -> None:
    line = json.dumps(found)
    if path is None:
        print(line, flush=True)
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--errors", type=float, nargs="*", default=list(ERRORS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="+")
    wanted = parser.parse_args()
    if wanted.table is not None:
        found = [each for path in wanted.table for each in _read(path)]
        print("\n".join([*table(found), "", ever_above(found)]))
        return
    done = {(each["set"], each["error"], each["seed"]) for each in _read(wanted.out)}
    with ExitStack() as stack:
        held = [stack.enter_context(prepared(name, SETS[name]())) for name in wanted.sets]
        gc.freeze()
        for seed, each, error in product(range(wanted.seeds), held, wanted.errors):
            if (each.name, error, seed) not in done:
                _append(wanted.out, run(each, error, seed))


if __name__ == "__main__":
    main()

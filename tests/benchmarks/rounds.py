"""Does the loop teach, and do its weights tell the truth: rounds of deciding and training on real data, through the product.

    python -m tests.benchmarks.rounds [adult] [banking77] [fashion_mnist] [--seeds N] [--out FILE]
    python -m tests.benchmarks.rounds --cover [--seeds N] [--out FILE]
    python -m tests.benchmarks.rounds --table FILE [--picture FILE.svg]

A first model learns from 1,000 rows of ../shared/data. Others arrive in loads; the worker scores them, what is sure enough acts
alone with one in ten drawn as a spot check, and two operators who know the answers decide all that waits. After 500, 1,000 and
2,000 decisions a model is trained on the dataset version of that moment, once as it is and once by weights, and the one without
weights acts from then on. Beside it, in a project of its own, people decide all that arrives until they decided as many: labels
at random. Every model is judged by the same rows, which no project has seen.

`--cover`: one model's stored answers are routed again and again, each time under another secret and with other arrivals; of the
last load a part stays undecided. The error is estimated from the closed rows of the dataset, beside all labels without weights
and the queue alone. A line of FILE is one run, and is not done again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import known_answers
from app.settings import Settings
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace, open_workspace
from contract.policy import Policy
from contract.project import Project
from contract.records import Prediction
from db.tables import Decision
from inference import training as fitting
from retrain import datasets, judging, loading, registry, training
from retrain import rows as labels
from retrain.records import ModelInfo
from review_queue import acting, clock, intake, people, projects, quality
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests.benchmarks import curves
from tests.benchmarks.earned import RAM, SETS, START, Set, kept, labelled, tidy

FIRST, HELD, STOPS = 1_000, 0.15, (500, 1_000, 2_000)
AT_LEAST = {"adult": 0.9, "banking77": 0.95, "fashion_mnist": 0.9}
"""Where the owner lets predictions act: about half of the first arrivals."""
SPOT_CHECKS = 0.1
ARMS = tuple(curves.NAMES)
LOADS, LOAD = 6, 100
"""Arrivals of one try of `--cover`."""
LOOSE = 20
"""Of its last load people decide so many, the most urgent: the others are open."""


@dataclass(frozen=True)
class Parts:
    """Which rows of a set the first model learns from, judge, and arrive."""

    first: Sequence[int]
    held: Sequence[int]
    arriving: Sequence[int]


def parts(data: Set, seed: int) -> Parts:
    order = np.random.default_rng(seed).permutation(len(data.rows)).tolist()
    held = round(HELD * len(order))
    return Parts(order[held : held + FIRST], order[:held], order[held + FIRST :])


class Arm:
    """A project of one workspace: what arrives there, who decides it, and what is trained on it."""

    def __init__(self, workspace: Workspace, data: Set, name: str, at_least: float | str) -> None:
        self._workspace, self._database, self._data = workspace, workspace.database, data
        self._by = workspace.local_actor("cli")
        self._setting = _applied(workspace, _named(data.project, name), at_least, self._by)
        self._players = [self._database.write(known_answers.player, "worker", each) for each in people.PLAYERS[:2]]
        self._scoring = Scoring(workspace, Models(self._database, workspace.settings, "cpu"), Event())
        self._answers: dict[str, str] = {}

    def begin(self, first: Sequence[int]) -> ModelInfo:
        """The first rows, and the model that learns from them."""
        rows = labelled(self._workspace, self._data, first, len(first))
        self._database.write(datasets.add_base, self._setting, rows, by=self._by)
        return self.train("none")

    def train(self, weights: str) -> ModelInfo:
        return training.train(self._database, self._setting.name, by=self._by, device="cpu", weights=weights)

    def act(self, info: ModelInfo) -> None:
        _act(self._workspace, self._setting, info, self._by)

    def decide(self, arriving: Iterator[int], count: int, hands: clock.Hands) -> int:
        """Loads arrive and are decided whole, none larger than what is missing, until so many cases are; how many arrived."""
        came = 0
        while (missing := count - self._database.read(_decided, self._setting.id)) > 0:
            load = [n for _, n in zip(range(missing), arriving, strict=False)]
            if not load:
                raise RuntimeError(f"{self._setting.name}: all has arrived, and {missing} of {count} decisions are missing")
            self._arrive(load)
            known_answers.work(self._database, self._setting, self._answers, self._players, 10**9)
            hands.move(clock.now() + timedelta(hours=1))
            tidy(self._database)
            came += len(load)
        return came

    def right(self, info: ModelInfo, held: Sequence[int]) -> float:
        """The share of these rows that a model is right on."""
        model = loading.load(self._database, info, device="cpu")
        inputs, truths = [self._data.rows[n] for n in held], [self._data.labels[n] for n in held]
        return float(1 - judging.asked(model, inputs, truths, "max_probability").wrong.mean())

    def _arrive(self, load: Sequence[int]) -> None:
        inputs = kept(self._workspace, self._data, load)
        given = [{"external_id": f"row-{n}", "input": row} for n, row in zip(load, inputs, strict=True)]
        self._answers |= {f"row-{n}": self._data.labels[n] for n in load}
        checked = [intake.check(self._setting.project, each) for each in given]
        self._database.write(intake.accept, self._setting, checked)
        self._scoring.turn()


def learn(name: str, data: Set, seed: int) -> dict[str, Any]:
    """Accuracy on untouched rows after each stop, of each arm, from one shuffle of the rows."""
    begun, split = time.perf_counter(), parts(data, seed)
    with _scratch(f"{name} {seed}") as workspace, clock.at(START) as hands:
        desk, chance = Arm(workspace, data, name, AT_LEAST[name]), Arm(workspace, data, f"{name}_all", "off")
        found: dict[str, list[float]] = {arm: [] for arm in ARMS}
        at_desk, at_random, came = iter(split.arriving), iter(split.arriving), 0
        first = desk.begin(split.first)
        desk.act(first)
        chance.act(chance.begin(split.first))
        for arm in ARMS:
            found[arm].append(desk.right(first, split.held))
        for stop in STOPS:
            came += desk.decide(at_desk, stop, hands)
            chance.decide(at_random, stop, hands)
            plain = desk.train("none")
            found["unweighted"].append(desk.right(plain, split.held))
            found["weighted"].append(desk.right(desk.train("full"), split.held))
            found["random"].append(chance.right(chance.train("none"), split.held))
            desk.act(plain)
    return {"set": name, "seed": seed, "arrived": came, "seconds": round(time.perf_counter() - begun, 1), **found}


# The estimate


@dataclass(frozen=True)
class Stored:
    """A model's answers to all that may arrive, and the truth. `wrong`: its true error there."""

    name: str
    labels: Sequence[str]
    answers: Sequence[Prediction]
    truths: Sequence[str]

    @property
    def wrong(self) -> float:
        return float(np.mean([said.label != truth for said, truth in zip(self.answers, self.truths, strict=True)]))


def stored(name: str, data: Set) -> Stored:
    """The answers of a model that learned from the first rows."""
    split = parts(data, 0)
    inputs, truths = [data.rows[n] for n in split.first], [data.labels[n] for n in split.first]
    model = fitting.train(data.project, inputs, truths, device="cpu", threads=1).predictor
    asked = [(n, model.predict([data.rows[n]])[0]) for n in split.arriving]
    said = [(n, each) for n, each in asked if isinstance(each, Prediction)]
    return Stored(name, model.labels, [each for _, each in said], [data.labels[n] for n, _ in said])


def cover(held: Stored, seed: int) -> dict[str, Any]:
    """One try: arrivals drawn with replacement, routed, decided, exported; what each way of counting says of the error."""
    with _scratch(f"{held.name} {seed}") as workspace, clock.at(START) as hands:
        return {"set": held.name, "seed": seed, "true": held.wrong, **_closed(workspace, held, seed, hands)}


def _closed(workspace: Workspace, held: Stored, seed: int, hands: clock.Hands) -> dict[str, Any]:
    database, by, rng = workspace.database, workspace.local_actor("cli"), np.random.default_rng(seed)
    setting = _applied(workspace, _elsewhere(held.labels), AT_LEAST[held.name], by)
    info = database.write(registry.register_external, setting.id, "stored", list(held.labels), by)
    _act(workspace, setting, info, by)
    players = [database.write(known_answers.player, "worker", each) for each in people.PLAYERS[:2]]
    scoring = Scoring(workspace, Models(database, workspace.settings, "cpu"), Event())
    answers: dict[str, str] = {}
    for load in range(LOADS):
        drawn = rng.integers(len(held.answers), size=LOAD).tolist()
        answers |= {f"{load}-{k}": held.truths[n] for k, n in enumerate(drawn)}
        given = [_sent(f"{load}-{k}", held.answers[n]) for k, n in enumerate(drawn)]
        database.write(intake.accept, setting, [intake.check(setting.project, each) for each in given])
        scoring.turn()
        known_answers.work(database, setting, answers, players, 10**9 if load < LOADS - 1 else LOOSE)
        hands.move(clock.now() + timedelta(hours=1))
        tidy(database)
    return counted([each.cells for each in labels.stream(database, setting, datasets.latest(database, setting.id))])


def counted(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The error by closed rows and their weights; by all labels without weights; by the queue alone."""
    weighed = [row for row in every if row["weight"] is not None]
    mine = quality.estimate([_errs(row) for row in weighed], [row["weight"] for row in weighed])
    return {
        "rows": len(every),
        "closed": len(weighed),
        "effective": mine.effective,
        "weighted": [mine.value, mine.low, mine.high],
        "labels": float(np.mean([_errs(row) for row in every])),
        "queue": float(np.mean([_errs(row) for row in every if row["task_kind"] == "review"])),
    }


def _errs(row: Mapping[str, Any]) -> bool:
    return bool(row["label"] != row["predicted_label"])


def _sent(external_id: str, said: Prediction) -> dict[str, Any]:
    """An item whose answer comes along."""
    shares = dict(zip(said.labels, said.probabilities, strict=True))
    return {"external_id": external_id, "input": {"n": 0}, "prediction": {"probabilities": shares, "model_version": "stored"}}


# Projects


@contextmanager
def _scratch(secret: str) -> Iterator[Workspace]:
    """A workspace on a RAM disk where there is one."""
    with tempfile.TemporaryDirectory(dir=RAM if RAM.exists() else None) as folder:
        workspace = open_workspace(Settings(dir=Path(folder), secret_key=secret, device="cpu", batch_size=256))
        try:
            yield workspace
        finally:
            workspace.database.close()


def _named(project: Project, name: str) -> Project:
    held = project.model_dump(mode="json", exclude_unset=True, by_alias=True)
    return Project.model_validate({**held, "project": name, "model": {"uri": f"registry:{name}@champion"}})


def _elsewhere(labels: Sequence[str]) -> Project:
    """A project with these labels whose input says nothing: its answers come along."""
    given = {"type": "tabular", "features": {"n": {"type": "number"}}}
    return Project.model_validate({"project": "stored", "input": given, "labels": list(labels), "model": {"uri": "external"}})


def _applied(workspace: Workspace, project: Project, at_least: float | str, by: Actor) -> Setting:
    policy = Policy.model_validate(
        {"autonomy": "set", "automate": {"at_least": at_least}, "audit": {"rate": SPOT_CHECKS}, "drift": "off"}
    )
    key = workspace.keys.draw_key_id
    return workspace.database.write(projects.apply, project, policy, "", key, by=by).setting


def _act(workspace: Workspace, setting: Setting, info: ModelInfo, by: Actor) -> None:
    """Let a model act from now on; whether it may is the gate's business, which has figures of its own."""
    against = workspace.database.read(acting.model_id, setting.id)
    key = workspace.keys.draw_key_id
    workspace.database.write(acting.take_over, setting.id, info.id, against, by=by, draw_key_id=key, cause="promote")


def _decided(session: Session, project_id: int) -> int:
    """Cases that people gave an answer to."""
    return session.scalar(select(func.count(Decision.item_id.distinct())).where(Decision.project_id == project_id)) or 0


# Telling


def tables(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was learned, and what the estimates were worth: whichever of the two the lines hold."""
    learned, covered = [each for each in found if "arrived" in each], [each for each in found if "true" in each]
    if learned:
        yield f"| data | decisions | {' | '.join(curves.NAMES.values())} | weighted less not | desk less random |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for name in dict.fromkeys(each["set"] for each in learned):
            yield from _learned([each for each in learned if each["set"] == name])
    if covered:
        yield "| data | tries | true error | by weights, mean | interval holds it | half of its width | all labels | queue |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
        for name in dict.fromkeys(each["set"] for each in covered):
            yield _covered([each for each in covered if each["set"] == name])


def _learned(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    arms = {arm: 100 * np.array([each[arm] for each in runs]) for arm in ARMS}
    for place, stop in enumerate((0, *STOPS)):
        here = {arm: values[:, place] for arm, values in arms.items()}
        means = " | ".join(f"{here[arm].mean():.1f} %" for arm in ARMS)
        gaps = (here["weighted"] - here["unweighted"], here["unweighted"] - here["random"])
        told = " | ".join(_gap(gap) if place else "" for gap in gaps)
        head = f"`{runs[0]['set']}`, {len(runs)} seeds" if not place else ""
        yield f"| {head} | {stop:,} | {means} | {told} |"


def _gap(values: Any) -> str:
    """Mean with its 95 % t-interval over the seeds."""
    mean, half = float(np.mean(values)), float(curves.half_width(values))
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def _covered(tries: Sequence[Mapping[str, Any]]) -> str:
    true, said = tries[0]["true"], np.array([each["weighted"] for each in tries])
    holds = int(np.sum((said[:, 1] <= true) & (true <= said[:, 2])))
    half = float(np.mean(said[:, 2] - said[:, 1])) / 2
    others = " | ".join(f"{np.mean([each[way] for each in tries]):.1%}" for way in ("labels", "queue"))
    return (
        f"| `{tries[0]['set']}` | {len(tries)} | {true:.1%} | {said[:, 0].mean():.1%} | {holds} ({holds / len(tries):.1%}) "
        f"| {100 * half:.1f} points | {others} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(AT_LEAST))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--cover", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path)
    wanted = parser.parse_args()
    if wanted.table is not None:
        found = [each for path in wanted.table for each in _read(path)]
        print("\n".join(tables(found)))
        if wanted.picture is not None:
            wanted.picture.write_text(curves.picture([each for each in found if "arrived" in each]), encoding="utf-8")
        return
    done = {(each["set"], each["seed"]) for each in _read(wanted.out)}
    for seed, name in product(range(wanted.seeds or (200 if wanted.cover else 5)), wanted.sets):
        if (name, seed) not in done:
            _append(wanted.out, cover(_stored(name), seed) if wanted.cover else learn(name, _set(name), seed))


_set = lru_cache(lambda name: SETS[name]())
_stored = lru_cache(lambda name: stored(name, _set(name)))


def _read(path: Path | None) -> list[dict[str, Any]]:
    there = path is not None and path.exists()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path and there else []


def _append(path: Path | None, found: Mapping[str, Any]) -> None:
    line = json.dumps(found)
    print(line, flush=True)
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()

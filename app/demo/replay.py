"""`signoff demo --replay`: months of traffic under `autonomy: earned` in minutes. The clock is moved, all else is as ever.

Known answers play the operators, and whoever signs is named so that nobody takes it for a person. After some months a scanner
feeds sheets upside down: a 6 then looks like a 9 and the model is sure of it.
"""

import json
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session
from tqdm import tqdm

from app import known_answers, logs
from app.demo.data import Known, Source, png
from app.demo.run import HERE, apply, first_model, inputs
from app.filling import Steps, become, fill
from app.settings import Settings
from app.worker.drifting import Drifting
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace, open_workspace
from db.engine import Database
from retrain import datasets, registry
from review_queue import autonomy, clock, insights, intake, keeping, people, projects, steps
from review_queue.activity import Actor
from review_queue.projects import Setting

PROJECT = "mailroom"
DIARY = "replay.json"
OWNER = "replay-owner"
"""Who signs the rises: a name of its own, since no person did."""
LEARN, ASIDE = 500, 300
PER_DAY = (26, 26, 26, 26, 26, 10, 6)
"""Cases from Monday to Sunday."""
SITTINGS = ((2, 8), (3, 8), (5, 10**6))
"""Hours after the first case, and how many are decided then: known cases are mixed in between."""
LOOKS_EVERY = 21
"""Days from one look of the owner at what may rise to the next: more is proven by then than at the first chance."""
NOISE = 1.0
"""Standard deviation of what is added to each pixel, of 16 levels of ink."""
TURNED_FROM = 0.45
"""The part of the replay after which a scanner feeds its sheets upside down."""
TURNED_SHARE = 0.8
"""The share of all cases that it reads."""
FOUND_AFTER = timedelta(days=5)
"""How long after a fall somebody looks and puts the scanner right."""


@dataclass(frozen=True, slots=True)
class Diary:
    """How far a replay was played: it stands before `day`, counted from 0, of so many `days`."""

    begun: datetime
    days: int
    day: int

    @property
    def over(self) -> bool:
        return self.day >= self.days

    @property
    def morning(self) -> datetime:
        return self.begun + timedelta(days=self.day)


class Mail:
    """The cases of each day: digits, moved by up to a pixel and with noise, the same ones whenever it is asked again."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        held = load_digits()
        order = np.random.default_rng(11).permutation(len(held.target))
        self._images: NDArray[np.float64] = held.images[order]
        self._labels = [str(label) for label in held.target[order]]

    def known(self) -> Source:
        """What the model learns from and is judged by: each digit once."""
        chance = np.random.default_rng(12)
        drawn = [self._case(f"known-{n:04}", n, chance, turned=False) for n in range(LEARN + ASIDE)]
        return Source(PROJECT, LEARN, ASIDE, tuple(drawn))

    def day(self, number: int, weekday: int, *, turned: bool) -> list[Known]:
        """The cases of one day. `turned`: one scanner feeds them upside down."""
        chance = np.random.default_rng([13, number])
        rows = chance.integers(LEARN + ASIDE, len(self._labels), PER_DAY[weekday]).tolist()
        which = chance.random(len(rows)) < TURNED_SHARE
        return [
            self._case(f"mail-{number:03}-{k:02}", row, chance, turned=turned and bool(which[k])) for k, row in enumerate(rows)
        ]

    def _case(self, name: str, row: int, chance: np.random.Generator, *, turned: bool) -> Known:
        moved = np.roll(self._images[row], chance.integers(-1, 2, 2).tolist(), (0, 1))
        inked = np.clip(moved + chance.normal(0.0, NOISE, moved.shape), 0.0, 16.0)
        return Known(name, {}, self._labels[row], png(np.rot90(inked, 2) if turned else inked))


def run(settings: Settings, *, days: int, port: int, ui: bool) -> None:
    """Play the replay, or what is left of one that was cut off, up to today; then open the desk."""
    logs.configure(logging.WARNING)
    workspace = open_workspace(settings)
    with tqdm(total=100, bar_format="{desc:<62} {percentage:3.0f}% |{bar:16}|", leave=False, disable=None) as bar:
        setting = play(workspace, days, Steps(bar, 0, 95))
        fill(workspace, [setting], Steps(bar, 95, 5))
    print("\n".join(told(workspace.database, setting)))
    workspace.database.close()
    if ui:
        become("up", "--dir", str(settings.dir), "--port", str(port))
    print(f"Ready in {settings.dir}. Open the desk with: signoff up --dir {settings.dir}")


def play(workspace: Workspace, days: int, step: Steps) -> Setting:
    """Day after day up to today; the cases of the last one are left to whoever comes to the desk."""
    folder = workspace.settings.dir / "projects" / PROJECT
    if not folder.exists():
        shutil.copytree(HERE / PROJECT, folder)
    diary = _read(folder) or Diary(
        clock.now().replace(hour=7, minute=0, second=0, microsecond=0) - timedelta(days=days - 1), days, 0
    )
    with clock.at(diary.morning - timedelta(hours=2)) as hands:
        replay = Replay(workspace, folder, step)
        while not diary.over:
            step(0.2 + 0.8 * diary.day / diary.days, f"{PROJECT}: {diary.morning:%d %B %Y} (day {diary.day + 1} of {diary.days})")
            replay.day(diary, hands)
            diary = Diary(diary.begun, diary.days, diary.day + 1)
            _write(folder, diary)
    return workspace.database.read(projects.get, PROJECT)


class Replay:
    """Everybody in it: two scanners that send cases, the worker, three operators, the house, and whoever signs."""

    def __init__(self, workspace: Workspace, folder: Path, step: Steps) -> None:
        self._workspace, self._database, self._mail = workspace, workspace.database, Mail()
        self._owner = self._database.write(_owner)
        self._setting = self._set_up(folder, step)
        self._players = [self._database.write(known_answers.player, "worker", name) for name in people.PLAYERS]
        models = Models(self._database, workspace.settings, workspace.settings.device)
        self._scoring = Scoring(workspace, models, threading.Event())
        self._drifting = Drifting(workspace, threading.Event())
        self._answers: dict[str, str] = {}

    def _set_up(self, folder: Path, step: Steps) -> Setting:
        by, database = self._workspace.local_actor("cli"), self._database
        setting = apply(self._workspace, folder, by)
        if database.read(registry.champion, setting.id) is None:
            info = first_model(self._workspace, setting, self._mail.known(), by, step.part(0.0, 0.2))
            database.write(registry.propose, setting.id, info.version, by=self._owner, draw_key_id=self._key)
        return setting

    @property
    def _key(self) -> int:
        return self._workspace.keys.draw_key_id

    def day(self, diary: Diary, hands: clock.Hands) -> None:
        """Cases come in the morning and are decided by noon; in the evening the house is kept, on some the owner looks too."""
        hands.move(diary.morning)
        self._arrive(self._mail.day(diary.day, diary.morning.weekday(), turned=self._is_turned(diary)))
        if diary.day == diary.days - 1:
            self._database.write(datasets.add_answers, self._setting, self._answers, by=None)
            return
        for number, (hours, most) in enumerate(SITTINGS):
            hands.move(diary.morning + timedelta(hours=hours))
            turn = (diary.day + number) % len(self._players)
            order = [*self._players[turn:], *self._players[:turn]]
            known_answers.work(self._database, self._setting, self._answers, order, most)
            keep_house(self._database)
        hands.move(diary.morning + timedelta(hours=10))
        keep_house(self._database)
        self._drifting.turn()
        if diary.day % LOOKS_EVERY == 0:
            self._sign()

    def _arrive(self, cases: Sequence[Known]) -> None:
        self._answers |= {case.external_id: case.label for case in cases}
        given = zip(cases, inputs(self._workspace, cases), strict=True)
        checked = [intake.check(self._setting.project, {"external_id": case.external_id, "input": row}) for case, row in given]
        self._database.write(intake.accept, self._setting, checked)
        self._scoring.turn()

    def _is_turned(self, diary: Diary) -> bool:
        """From its day on until somebody looked why autonomy fell."""
        begin = diary.begun + timedelta(days=round(TURNED_FROM * diary.days))
        if diary.morning < begin:
            return False
        falls = [each.made_at for each in self._database.read(steps.latest, self._setting.id) if each.kind == "fall"]
        seen = min((at for at in falls if at >= begin), default=None)
        return seen is None or diary.morning < seen + FOUND_AFTER

    def _sign(self) -> None:
        for rise in self._database.read(autonomy.rises, self._setting):
            if rise.ready:
                self._database.write(autonomy.raise_unit, self._setting, rise.unit, by=self._owner, draw_key_id=self._key)


def keep_house(database: Database) -> None:
    """House-keeping until nothing is due."""
    for chore in keeping.CHORES:
        while database.read(chore.look) and database.write(chore.verb):
            pass


def told(database: Database, setting: Setting) -> Iterator[str]:
    """What happened, for the terminal: every step of autonomy, with its day."""
    found = database.read(insights.insight, setting.id)
    share = f"{found.automation.part:,} of {found.automation.of:,} cases acted alone"
    yield f"{setting.project.heading}: {share}; the known answers decided the others (marked so everywhere)."
    for each in reversed(database.read(steps.latest, setting.id)):
        if each.state == "applied":
            yield f"  {each.made_at:%Y-%m-%d}  {each.from_level} -> {each.to_level}: {each.cause}"


def _owner(session: Session) -> Actor:
    if OWNER not in [account.name for account in people.accounts(session)]:
        people.add_person(session, OWNER, role="owner")
    account = people.account(session, OWNER)
    return Actor(account.id, account.name, account.role, "worker")


def _read(folder: Path) -> Diary | None:
    path = folder / DIARY
    if not path.exists():
        return None
    held = json.loads(path.read_text(encoding="utf-8"))
    return Diary(datetime.fromisoformat(held["begun"]), held["days"], held["day"])


def _write(folder: Path, diary: Diary) -> None:
    held = {"begun": diary.begun.isoformat(), "days": diary.days, "day": diary.day}
    (folder / DIARY).write_text(json.dumps(held), encoding="utf-8")

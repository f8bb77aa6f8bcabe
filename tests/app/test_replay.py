"""The replay: the same mail whenever it is asked, a project that says what it is, and days that are played once."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from app.demo import replay
from app.demo.replay import HERE, PROJECT, Diary, Mail
from app.settings import Settings
from app.workspace import Workspace, open_workspace
from contract.policy import read_policy
from contract.project import read_project
from db.tables import Decision, Item, Person
from review_queue import autonomy, clock, people, projects, steps


@pytest.fixture(scope="module")
def mail() -> Mail:
    return Mail()


def test_its_files_ask_for_earned_autonomy_and_say_that_nobody_decided(mail: Mail) -> None:
    project = read_project(HERE / PROJECT / "project.yaml")
    policy = read_policy(HERE / PROJECT / "policy.yaml", project)
    guidelines = (HERE / PROJECT / "guidelines.md").read_text()
    assert policy.autonomy == "earned"
    assert policy.gold_rate > 0
    assert "replay" in str(project.title)
    assert all(name in guidelines for name in (*people.PLAYERS, replay.OWNER))
    assert {case.label for case in mail.known().items} == set(project.labels)


def test_a_day_is_the_same_whenever_it_is_asked_for(mail: Mail) -> None:
    assert mail.day(7, 2, turned=False) == Mail().day(7, 2, turned=False)
    assert mail.day(7, 2, turned=False) != mail.day(8, 2, turned=False)
    assert [len(mail.day(5, weekday, turned=False)) for weekday in range(7)] == list(replay.PER_DAY)


def test_no_case_that_arrives_is_one_that_was_learned_from(mail: Mail) -> None:
    known = {case.media for case in mail.known().items}
    assert len(known) == replay.LEARN + replay.ASIDE
    assert not known & {case.media for day in range(20) for case in mail.day(day, 0, turned=False)}


def test_a_turned_scanner_feeds_most_sheets_upside_down_and_their_labels_stay(mail: Mail) -> None:
    pairs = list(zip(mail.day(3, 0, turned=False), mail.day(3, 0, turned=True), strict=True))
    moved = [(_pixels(before.media), _pixels(after.media)) for before, after in pairs if before.media != after.media]
    assert all(before.label == after.label for before, after in pairs)
    assert len(pairs) / 2 < len(moved) < len(pairs)
    assert all((np.rot90(before, 2) == after).all() for before, after in moved)


def test_a_diary_is_read_as_it_was_written(tmp_path: Path) -> None:
    diary = Diary(datetime(2026, 3, 2, 7, tzinfo=UTC), 180, 12)
    assert replay._read(tmp_path) is None
    replay._write(tmp_path, diary)
    assert replay._read(tmp_path) == diary
    assert diary.morning == datetime(2026, 3, 14, 7, tzinfo=UTC)
    assert not diary.over
    assert Diary(diary.begun, 180, 180).over


class Cut(Exception):
    """Somebody pressed Ctrl-C."""


class Watch:
    """Steps that count days, and can be cut off."""

    def __init__(self, most: int) -> None:
        self.days, self.most = 0, most

    def part(self, begin: float, share: float) -> "Watch":
        return Watch(self.most)

    def __call__(self, share: float, step: str) -> None:
        self.days += "(day " in step
        if self.days > self.most:
            raise Cut


@pytest.mark.slow
def test_it_goes_on_where_it_was_cut_off_and_ends_today(tmp_path: Path) -> None:
    workspace = open_workspace(Settings(dir=tmp_path, device="cpu", batch_size=64))
    with pytest.raises(Cut):
        replay.play(workspace, 5, Watch(2))  # type: ignore[arg-type]
    assert _counts(workspace)[0] > 0
    setting = replay.play(workspace, 5, Watch(9))  # type: ignore[arg-type]
    items, left, names = _counts(workspace)
    begun = replay._read(tmp_path / "projects" / PROJECT).begun  # type: ignore[union-attr]
    assert items == sum(replay.PER_DAY[(begun + timedelta(days=n)).weekday()] for n in range(5))
    assert left == replay.PER_DAY[clock.now().weekday()]
    assert names <= set(people.PLAYERS)
    found = workspace.database.read(autonomy.overview, setting)
    assert (found.autonomy, found.level) == ("earned", "assist")
    assert workspace.database.read(steps.latest, setting.id) == []
    assert [each.name for each in workspace.database.read(projects.everything)] == [PROJECT]
    again = replay.play(workspace, 5, Watch(0))  # type: ignore[arg-type]
    assert (again, _counts(workspace)[0]) == (setting, items)
    workspace.database.close()


def _counts(workspace: Workspace) -> tuple[int, int, set[str]]:
    """Items, those without a decision, and who decided."""

    def read(session: object) -> tuple[int, int, set[str]]:
        items = session.scalar(select(func.count()).select_from(Item))  # type: ignore[attr-defined]
        decided = session.scalar(select(func.count(Decision.item_id.distinct())))  # type: ignore[attr-defined]
        names = session.scalars(select(Person.name).join(Decision, Decision.person_id == Person.id).distinct())  # type: ignore[attr-defined]
        return items, items - decided, set(names)

    return workspace.database.read(read)


def _pixels(media: bytes | None) -> np.ndarray:
    assert media is not None
    return np.asarray(Image.open(io.BytesIO(media)))

"""`signoff start` as somebody runs it: a model trained from a file of each kind, killed and run again, no row learned twice."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_breast_cancer, load_digits

from retrain import datasets
from tests.end_to_end import processes
from tests.end_to_end.starting import Desk, desk, signoff
from tests.inference.data import encoded

pytestmark = pytest.mark.timeout(300)
ROWS, ITEMS = 200, 25
KILLS = 2


def samples() -> pd.DataFrame:
    held = load_breast_cancer(as_frame=True)
    rows: pd.DataFrame = held.data.iloc[:ROWS, :4].rename(columns=lambda name: name.replace(" ", "_"))
    rows.insert(0, "sample_id", [f"s{n:03}" for n in range(ROWS)])
    rows["diagnosis"] = held.target_names[held.target][:ROWS]
    return rows


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "csv": lambda rows, path: rows.to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "jsonl": lambda rows, path: rows.to_json(path, orient="records", lines=True),
    "parquet": lambda rows, path: rows.to_parquet(path, index=False),
}


def file(folder: Path, kind: str = "csv") -> Path:
    path = folder / f"samples.{kind}"
    WRITERS[kind](samples(), path)
    return path


def base(there: Desk) -> dict[str, str]:
    """Base rows to the part that they are in."""
    info = there.database.read(datasets.newest, there.setting.id, "base")
    rows = there.database.read(lambda session: list(datasets.lines(session, info))) if info is not None else []
    assert len(rows) == len({row["external_id"] for row in rows})
    return {row["external_id"]: row["split"] for row in rows}


def check_whole(there: Desk, rows: int = ROWS, items: int = ITEMS) -> None:
    """A champion, items that are scored and explained, and every row either an item or kept to learn from or judge by."""
    arrived, kept = there.arrived(), base(there)
    assert len(arrived) == items
    assert not arrived & set(kept)
    assert len(arrived) + len(kept) == rows
    assert set(there.predictions()) == arrived
    assert there.waiting > 0
    assert len(there.explained()) == min(10, there.waiting)
    answers = there.database.read(datasets.known_answers, there.setting.id)
    assert answers is not None
    assert answers.rows == items


@pytest.mark.parametrize("kind", ["csv", *(pytest.param(kind, marks=pytest.mark.slow) for kind in WRITERS if kind != "csv")])
def test_a_model_is_trained_from_a_file_of_each_kind(tmp_path: Path, kind: str) -> None:
    told = signoff(tmp_path, "start", file(tmp_path, kind), "--label", "diagnosis", "--items", str(ITEMS), "--no-ui")
    assert "acts alone" in told.stdout
    with desk(tmp_path, "samples") as there:
        check_whole(there)
        held_out = there.arrived() | {name for name, part in base(there).items() if part == "test"}
        assert there.champion is not None
        figures = there.champion.figures
        assert figures["held_out"]["n"] == len(held_out)
        assert figures["rows"]["base"] == ROWS - len(held_out)
        assert figures["held_out"]["accuracy"] > 0.8
    folder = tmp_path / "signoff-data" / "projects" / "samples"
    project = yaml.safe_load((folder / "project.yaml").read_text())
    assert project["input"]["id"] == "sample_id"
    assert project["noun"] == "sample"
    assert "unchanged" in signoff(tmp_path, "project", "apply", folder).stdout


@pytest.mark.slow
def test_a_folder_of_images_for_each_label(tmp_path: Path) -> None:
    held = load_digits()
    for n, (image, digit) in enumerate(zip(held.images, held.target, strict=True)):
        if digit < 3 and n < 400:
            path = tmp_path / "digits" / ("zero", "one", "two")[digit] / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded((image * 15.9).astype("uint8")))
    count = len(list((tmp_path / "digits").glob("*/*.png")))
    told = signoff(tmp_path, "start", tmp_path / "digits", "--items", "12", "--no-ui")
    assert "12 rows arrived" in told.stdout
    with desk(tmp_path, "digits") as there:
        check_whole(there, count, 12)
        assert sorted(there.setting.project.labels) == ["one", "two", "zero"]
        assert there.champion is not None
        assert there.champion.figures["held_out"]["accuracy"] > 0.8


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_ends_whole(tmp_path: Path) -> None:
    chance = random.Random(20261127)
    folder = tmp_path / "signoff-data"
    command = ["start", str(file(tmp_path)), "--label", "diagnosis", "--items", str(ITEMS), "--no-ui", "--dir", str(folder)]
    env = {**processes.plain(), "OMP_NUM_THREADS": "1"}
    for _ in range(KILLS):
        with processes.running(command, env) as process:
            wait_for(folder / "projects" / "samples" / "project.yaml")
            time.sleep(chance.uniform(0, 6))
            processes.kill(process)
    signoff(tmp_path, *command)
    with desk(tmp_path, "samples") as there:
        check_whole(there)
    again = signoff(tmp_path, *command)
    assert f"{ITEMS} rows arrived" in again.stdout
    with desk(tmp_path, "samples") as there:
        check_whole(there)


def wait_for(path: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.05)

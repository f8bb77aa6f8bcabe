"""The interval for a paired difference, and the whole way from decisions to a judged challenger on real data."""

import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from app import known_answers
from app.settings import Settings
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace
from db.engine import Database
from retrain import comparison, datasets, registry, training
from review_queue import clock, people
from review_queue.errors import Forbidden, NotFound, Refused
from tests import factories, real_models


def test_the_interval_is_that_of_bonett_and_price() -> None:
    difference, low, high = comparison.paired_difference(12, 3, 100)
    b, c, m = 13 / 102, 4 / 102, 102
    half = 1.959964 * ((b + c - (b - c) ** 2) / m) ** 0.5
    assert difference == pytest.approx(0.09)
    assert (low, high) == (pytest.approx(b - c - half, abs=1e-6), pytest.approx(b - c + half, abs=1e-6))


@pytest.mark.parametrize(("gain", "loss", "n"), [(0.15, 0.05, 60), (0.05, 0.05, 200), (0.3, 0.02, 40), (0.02, 0.0, 50)])
def test_the_interval_covers_at_its_rate(gain: float, loss: float, n: int) -> None:
    rng = np.random.default_rng(11)
    draws = rng.multinomial(n, [gain, loss, 1 - gain - loss], size=4000)
    covered = [low <= gain - loss <= high for b, c, _ in draws for _, low, high in [comparison.paired_difference(b, c, n)]]
    assert np.mean(covered) > 0.945


def test_a_difference_of_nothing_is_not_told_apart() -> None:
    even = {"name": "few", "n": 3, "difference": 0.0, "low": -0.2, "high": 0.2}
    better = {"name": "many", "n": 10, "difference": 0.2, "low": 0.1, "high": 0.3}
    worse = {"name": "most", "n": 90, "difference": -0.2, "low": -0.3, "high": -0.1}
    assert comparison.verdict([even]).startswith("not told apart")
    assert comparison.verdict([even, better]) == "better: +20.0 points (+10.0 to +30.0) on 10 held-out labels (many)"
    assert comparison.verdict([even, worse]).startswith("worse: -20.0 points")
    assert comparison.verdict([better, worse]).startswith("worse, though elsewhere the other way round: -20.0 points")


def test_from_decisions_to_a_judged_challenger(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = sqlite
    held = real_models.setting(database, factories.policy(automate={"at_least": 0.999}, audit={"rate": 0.2}))
    truths = real_models.arrive(database, held, 300)
    workspace = Workspace(
        Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=64), database, factories.keys(database)
    )
    Scoring(workspace, Models(database, workspace.settings, "cpu"), threading.Event()).turn()
    with pytest.raises(Refused, match="no answers are known"):
        known_answers.play(database, held.name, 5)
    database.write(datasets.add_answers, held, truths, by=None)
    assert known_answers.play(database, held.name, 120) == 120
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + timedelta(seconds=20))
    info = datasets.export(database, held, format="jsonl", by=None)
    assert info.rows == 120
    assert info.manifest["reviewers"] == {people.KNOWN_ANSWERS: 120}
    steps: list[float] = []
    challenger = training.train(database, held.name, by=None, device="cpu", progress=lambda share, step: steps.append(share))
    assert steps == sorted(steps)
    assert len(challenger.datasets) == 2
    assert challenger.figures["rows"]["base"] == real_models.LEARN
    assert 70 < challenger.figures["rows"]["decided"] < 100
    compared = comparison.compare(database, held.name, challenger.version, device="cpu")
    decided, *_, base, known = compared["views"]
    assert known["n"] == 300 - challenger.figures["rows"]["decided"]
    assert decided["n"] + challenger.figures["rows"]["decided"] == 120
    assert base["n"] == real_models.ASIDE
    assert decided["low"] <= decided["difference"] <= decided["high"]
    assert decided["challenger"] == pytest.approx(decided["champion"] + decided["difference"])
    with pytest.raises(Refused, match="is the champion"):
        comparison.compare(database, held.name, compared["champion"], device="cpu")
    with pytest.raises(NotFound):
        comparison.compare(database, held.name, 99, device="cpu")
    player = database.write(known_answers.player, "cli")
    with pytest.raises(Forbidden):
        database.write(registry.propose, held.id, challenger.version, by=player, draw_key_id=workspace.keys.draw_key_id)

"""What a new champion brings along: cases of earlier periods, each with the chance of a look that it had then."""

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import AutonomyEvent, Draw, EvidencePeriod, Model, PolicyVersion, Prediction, ProjectControl, Replayed, Routing
from review_queue import acting, betting, clock, evidence, replays, succession
from review_queue.betting import Group
from review_queue.evidence import Band
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import earning

LABELS = ("deny", "pay")


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(audit={"rate": 0.25}, evidence={"most_missed": 0}))


def challenger(database: Database, held: Setting) -> int:
    """A model that has learned from nothing that arrives from now on."""

    def put(session: Session) -> int:
        model_id = factories.version(session, held)
        session.execute(update(Model).where(Model.id == model_id).values(learned_through=_last(session)))
        return model_id

    return database.write(put)


def _last(session: Session) -> int:
    return session.scalar(select(func.max(Routing.item_id))) or 0


def says(database: Database, model_id: int, label: str = "pay", sure: float = 0.97, *, other: int = 0) -> None:
    """What the model says of every case so far; of the first `other` it says the other label."""

    def put(session: Session) -> None:
        ids = session.scalars(select(Routing.item_id).order_by(Routing.item_id)).all()
        session.execute(insert(Prediction), [_said(i, model_id, label, sure, n < other) for n, i in enumerate(ids)])

    database.write(put)


def _said(item_id: int, model_id: int, label: str, sure: float, flipped: bool) -> dict[str, object]:
    mine = next(each for each in LABELS if (each != label) == flipped)
    probabilities = [sure if each == mine else 1 - sure for each in LABELS]
    shape = {"label": mine, "confidence": sure, "probabilities": probabilities, "scored_at": clock.now()}
    return {"item_id": item_id, "model_id": model_id, **shape}


def takes_over(database: Database, held: Setting, model_id: int) -> None:
    against = database.read(acting.model_id, held.id)
    key = factories.keys(database).draw_key_id
    database.write(succession.take_over, held.id, model_id, against, by=None, draw_key_id=key, cause="promote")


def top(database: Database, held: Setting) -> Band:
    found = database.read(evidence.read, held)
    assert found is not None
    return found.units[""].bands[0]


def test_cases_after_its_training_count_with_the_chance_of_then(database: Database, held: Setting) -> None:
    earning.traffic(database, held, 100)
    model_id = challenger(database, held)
    earning.traffic(database, held, 400)
    says(database, model_id)
    takes_over(database, held, model_id)
    band = top(database, held)
    assert (band.n, band.drawn, band.before, band.errors) == (400, 100, 100, 0)
    assert band.log_e == pytest.approx(betting.log_e([Group(1, 0.25, 0.25, False, 400)], 0.01))
    earning.traffic(database, held, 40, errors=1)
    band = top(database, held)
    assert (band.n, band.drawn, band.before, band.errors) == (440, 110, 100, 1)


def test_of_very_many_the_latest_count(database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MOST", 30)
    model_id = challenger(database, held)
    earning.traffic(database, held, 40)
    says(database, model_id, other=10)
    takes_over(database, held, model_id)
    assert (top(database, held).n, top(database, held).errors) == (30, 0)


def test_the_answer_and_not_the_loss_of_the_former_says_who_is_right(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 40)
    says(database, model_id, other=8)
    takes_over(database, held, model_id)
    assert (top(database, held).drawn, top(database, held).errors) == (10, 2)


def test_what_was_late_counts_as_an_error_and_nothing_counts_behind_an_open_draw(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 40, late=1)
    earning.traffic(database, held, 40, open_=1)
    earning.traffic(database, held, 40)
    says(database, model_id)
    takes_over(database, held, model_id)
    assert (top(database, held).n, top(database, held).errors) == (76, 1)


def test_where_nobody_could_look_a_sure_case_is_an_error(database: Database) -> None:
    held = factories.setting(database)
    model_id = challenger(database, held)
    earning.traffic(database, held, 30)
    says(database, model_id)
    takes_over(database, held, model_id)
    band = top(database, held)
    assert (band.n, band.drawn, band.errors) == (30, 30, 30)


def test_an_unsure_case_is_in_no_strict_band(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 40)
    says(database, model_id, sure=0.75)
    takes_over(database, held, model_id)
    found = database.read(evidence.read, held)
    assert found is not None
    assert [(band.threshold, band.n) for band in found.units[""].bands] == [
        (0.95, 0), (0.9, 0), (0.8, 0), (0.7, 40), (0.5, 40), (0.3, 40)
    ]  # fmt: skip


def test_what_happened_since_a_moment_leaves_out_what_was_brought(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 400)
    says(database, model_id)
    takes_over(database, held, model_id)
    earning.traffic(database, held, 20)
    found = database.read(evidence.read, held)
    assert found is not None
    since = found.since("", found.opened_at, 0.9)
    assert since is not None
    assert (since.n, since.before) == (20, 0)


def test_an_alarm_ends_what_was_brought_and_what_was_before_it(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 400)
    says(database, model_id)
    takes_over(database, held, model_id)
    database.write(_alarm, held)
    assert top(database, held).n == 0
    other = challenger(database, held)
    takes_over(database, held, other)
    takes_over(database, held, model_id)
    assert top(database, held).n == 0


def _alarm(session: Session, held: Setting) -> None:
    """The evidence of the open period began anew with a rule that was made then."""
    period = session.scalar(select(EvidencePeriod.id).where(EvidencePeriod.closed_at.is_(None)))
    policy = session.scalar(select(func.max(PolicyVersion.id)))
    shape = {
        "unit": "",
        "kind": "fall",
        "from_level": "audited",
        "to_level": "assist",
        "cause": "alarm",
        "asked": {},
        "counts": {},
    }
    row = {"project_id": held.id, "period_id": period, "policy_version_id": policy, "signers": 0}
    rule = session.scalar(select(ProjectControl.routing_rule_id).where(ProjectControl.project_id == held.id))
    row |= {"routing_rule_id": rule, "code_version": "0", "state": "applied", "made_at": clock.now() + timedelta(seconds=1)}
    session.execute(insert(AutonomyEvent).values(**row, **shape))


def test_a_model_that_said_nothing_brings_nothing(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 40)
    takes_over(database, held, model_id)
    assert top(database, held).n == 0
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Replayed))) == 0


def test_counting_again_from_the_rows_gives_the_same(database: Database, held: Setting) -> None:
    model_id = challenger(database, held)
    earning.traffic(database, held, 200, errors=3)
    says(database, model_id, other=4)
    takes_over(database, held, model_id)
    rows = database.read(lambda s: s.execute(select(func.sum(Replayed.n), func.sum(Replayed.drawn))).one())
    drawn = database.read(lambda s: s.scalar(select(func.count()).select_from(Draw).where(Draw.p == 0.25)))
    assert tuple(map(int, rows)) == (200, drawn)


def test_what_is_replayed_after_the_gate_chose_by_it_keeps_its_level_and_saves_looks() -> None:
    """A challenger whose error is just `alpha` is let through the gate by the very cases that are then replayed: it is certified
    no more often than `delta` all the same. A good one is certified after fewer looks."""
    alpha, delta, tries, n = 0.05, 0.05, 300, 2000
    rng = np.random.default_rng(3)
    level = [_certified(rng, alpha, alpha, delta, n) for _ in range(tries)]
    assert np.mean([chosen is not None for chosen, _, _ in level]) > 0.5
    assert np.mean([at is not None for _, at, _ in level]) <= delta + 3 * (delta * (1 - delta) / tries) ** 0.5
    good = [_certified(rng, alpha / 4, alpha, delta, n) for _ in range(40)]
    saved = [(anew, max(at - (chosen or 0), 0)) for chosen, at, anew in good if at is not None and anew is not None]
    assert len(saved) > 30
    assert np.median([later for _, later in saved]) < 0.8 * np.median([anew for anew, _ in saved])


def _certified(
    rng: np.random.Generator, error: float, alpha: float, delta: float, n: int, p: float = 0.25
) -> tuple[int | None, int | None, int | None]:
    """After how many cases the gate chose it, it was certified with what was replayed, and would have been from nothing on after
    it was chosen. The model that acts errs in 15 %."""
    new, old, looked = rng.random(n) < error, rng.random(n) < 0.15, rng.random(n) < p
    d = np.where(looked, (new.astype(float) - old) / p, 0.0)
    margin = alpha / 5
    stakes = np.geomspace(1 / 256, 0.98, 40) / (1 / p - margin)
    gate = betting.mixed(np.cumsum(np.log1p(stakes * (margin - d)[:, None]), axis=0))
    steps = betting.bets(alpha, np.full(n, p), np.where(looked & new, 1 / p, 0.0))
    chosen = _first(gate, delta)
    if chosen is None:
        return None, None, None
    return (
        chosen,
        _first(betting.mixed(np.cumsum(steps, axis=0)), delta),
        _first(betting.mixed(np.cumsum(steps[chosen:], axis=0)), delta),
    )


def _first(log_es: betting.Array, delta: float) -> int | None:
    over = log_es >= -np.log(delta)
    return int(np.argmax(over)) if over.any() else None

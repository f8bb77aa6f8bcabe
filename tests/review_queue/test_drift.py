"""Drift: alarms on real change, hardly ever without one, raises spot checks, tells the owners, and never reassures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqlalchemy import insert, select, update

from contract.project import Project
from db.engine import Database
from db.tables import DriftCheck, Event, Model, Notice, Outbox, ProjectControl, RoutingRule
from review_queue import batches, drift, keeping, notices, projects, rules, spreads
from review_queue.drift import Seen
from review_queue.projects import Setting
from review_queue.spreads import Along, Counted, Named
from tests import factories
from tests.inference import data
from tests.review_queue.acting import at_once

WISH = {"every": 100, "audit_rate": 0.25}


# Two samples


def counted(values: Sequence[float]) -> Counted:
    found = spreads.along("number", list(values))
    assert isinstance(found, Counted)
    return found


@pytest.mark.parametrize("case", [(3, 20, 10, 400), (0, 50, 30, 100), (7, 7, 1, 90), (5, 100, 50, 1000), (2, 40, 0, 5)])
def test_rarity_is_twice_the_smaller_tail(case: tuple[int, int, int, int]) -> None:
    found, n, known, m = case
    tails = stats.hypergeom(n + m, found + known, n)
    assert drift.rarity(*case) == pytest.approx(min(1.0, 2 * min(tails.cdf(found), tails.sf(found - 1))))


def test_the_bound_is_above_what_scipy_computes_exactly() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        one, other = generator.normal(size=60), generator.normal(0.2, 1, size=80)
        exact = stats.ks_2samp(one, other, method="exact")
        assert drift.by_chance(float(exact.statistic), 60, 80) >= exact.pvalue


def drawn(generator: np.random.Generator, values: str, n: int) -> Any:
    if values == "ties":
        return generator.integers(0, 4, size=n).astype(float)
    return np.full(n, 3.0) if values == "constant" else generator.normal(size=7 if values == "few" else n)


@pytest.mark.parametrize("values", ["normal", "ties", "constant", "few"])
def test_the_distance_is_never_above_the_true_one(values: str) -> None:
    for seed in range(30):
        generator = np.random.default_rng(seed)
        reference, known = drawn(generator, values, 700), np.sort(drawn(generator, values, 200))
        apart, _, was, now = drift.furthest(counted(reference.tolist()), known)
        assert apart <= stats.ks_2samp(reference, known, method="asymp").statistic + 1e-9
        assert 0 <= was <= 1
        assert 0 <= now <= 1


def test_the_distance_by_hand() -> None:
    apart, at, was, now = drift.furthest(counted([0.0] * 80 + [1.0] * 20), np.array([0.0] * 2 + [1.0] * 8))
    assert 0.0 <= at < 1.0
    assert now == 0.2
    assert was == pytest.approx(0.8, abs=0.011)
    assert apart == pytest.approx(0.6, abs=0.03)
    apart, at, was, now = drift.furthest(counted([5.0] * 100), np.array([4.0] * 10))
    assert (apart, was, now) == (pytest.approx(0.99), 0.0, 1.0)
    assert at < 5.0


def look(kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]], fresh: int, references: Mapping[str, Along]) -> drift.Check:
    values: Any = {("input", name): (kind, [row[name] for row in rows]) for name, kind in kinds.items()}
    return drift.check(Seen(tuple(range(1, len(rows) + 1)), values), fresh, references)


def references(kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Along]:
    found = {f"input:{name}": spreads.along(kind, [row[name] for row in rows]) for name, kind in kinds.items()}
    return {name: each for name, each in found.items() if each is not None}


def test_without_change_hardly_one_look_in_a_thousand_alarms() -> None:
    """References and windows anew each time: numbers, ties, categories, what is missing."""
    kinds = {"a": "number", "b": "number", "c": "category"}
    alarms = 0
    for seed in range(1_500):
        generator = np.random.default_rng(seed)
        n = 300 + 400
        rows = [
            {"a": a, "b": None if gone else float(b), "c": f"c{c}"}
            for a, b, gone, c in zip(
                generator.normal(size=n).tolist(),
                generator.integers(0, 3, n).tolist(),
                generator.random(n) < 0.1,
                generator.zipf(2, n).tolist(),
                strict=True,
            )
        ]
        alarms += look(kinds, rows[300:], 100, references(kinds, rows[:300])).alarmed
    assert alarms <= 5  # 1.5 expected at most; 6 or more come by chance once in 200 such tests


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"a": lambda row: row["a"] + 1.0}, "a"),
        ({"b": lambda row: None}, "b"),
        ({"c": lambda row: "new"}, "c"),
    ],
)
def test_what_changed_is_named_with_its_numbers(change: Mapping[str, Any], name: str) -> None:
    kinds = {"a": "number", "b": "number", "c": "category"}
    generator = np.random.default_rng(0)
    rows = [{"a": float(a), "b": 1.0, "c": "old" if a > 0 else "older"} for a in generator.normal(size=900)]
    moved = [{**row, **{key: of(row) for key, of in change.items()}} for row in rows[500:]]
    found = look(kinds, rows[400:500] + moved, len(moved), references(kinds, rows[:400]))
    assert [each.name for each in found.moved if each.alarmed] == [name]
    assert found.moved[0].name == name
    assert f"{found.moved[0].now:.1%}" in found.moved[0].said


def test_slow_drift_is_seen_in_the_windows_together() -> None:
    generator = np.random.default_rng(0)
    kinds = {"a": "number"}
    refs = references(kinds, [{"a": float(a)} for a in generator.normal(size=5_000)])
    rows = [{"a": float(a)} for a in generator.normal(0.25, 1, size=800)]
    assert not look(kinds, rows[-100:], 100, refs).alarmed
    assert look(kinds, rows, 100, refs).alarmed


def test_rare_categories_count_together() -> None:
    reference = Named(1_000, 0, {"a": 600, "b": 300}, others=100)
    found = drift._categories("input", "c", reference, {"a": 60, "b": 30, "x": 6, "y": 4, None: 0})
    assert found.p > 0.5
    assert drift._categories("input", "c", reference, {"a": 10, "b": 10, "x": 80}).at == "(others)"


# Real data


def shared(name: str) -> pd.DataFrame:
    path = data.SHARED / name / "data.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return pd.read_parquet(path).sort_values("row_id")


def kinds_of(frame: pd.DataFrame, *without: str) -> dict[str, str]:
    names = [name for name in frame.columns if name not in ("row_id", *without)]
    return {name: "number" if pd.api.types.is_numeric_dtype(frame[name]) else "category" for name in names}


def alarms(learned: pd.DataFrame, stream: pd.DataFrame, kinds: Mapping[str, str], every: int = 500) -> list[list[str]]:
    """By window, the names that strayed; the last eight windows are looked at as well, as the product does."""
    before, rows = ([*part[list(kinds)].astype(object).where(part[list(kinds)].notna(), None).to_dict("records")]
                    for part in (learned, stream))  # fmt: skip
    held = references(kinds, before)
    found = []
    for end in range(every, len(rows) + 1, every):
        seen = look(kinds, rows[max(0, end - drift.POOLED * every) : end], every, held)
        found.append([each.name for each in seen.moved if each.alarmed])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_people_in_random_order_do_not_drift(seed: int) -> None:
    adult = shared("adult").sample(frac=1, random_state=seed)
    found = alarms(adult[:1_000], adult[1_000:13_000], kinds_of(adult, "income"))
    assert not any(found)


def test_prices_stray_when_the_market_opens() -> None:
    """At row 17,424 of elec2 three columns that were constant start to move."""
    prices = shared("elec2")
    moving = {name: "number" for name in ("vicprice", "vicdemand", "transfer")}
    found = alarms(prices[:2_000], prices[2_000:], moving)
    first = next(n for n, names in enumerate(found) if names)
    assert 2_000 + first * 500 <= 17_424 < 2_000 + (first + 1) * 500
    assert all(found[first + 1 :])


def test_the_years_of_a_bank_differ() -> None:
    bank = shared("bank_marketing")
    kinds = kinds_of(bank, "subscribed", "year", "duration")
    first = bank[bank.year == 2008].sample(frac=1, random_state=0)
    assert not any(alarms(first[:2_000], first[2_000:8_000], kinds))
    assert all(alarms(first[:2_000], bank[bank.year == 2009][:3_000], kinds))


# In a project


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(drift=WISH, audit={"rate": 0.05}))


def come(database: Database, held: Setting, name: str, *, amount: float, region: str = "north", count: int = 100) -> None:
    """A window of items around an amount."""
    sure = np.random.default_rng(0).uniform(0.91, 0.99, count).tolist()
    answers = {f"{name}-{n}": factories.says("pay" if n % 2 else "deny", sure[n]) for n in range(count)}
    raws = [factories.raw(each, amount=amount + n, region=region) for n, each in enumerate(answers)]
    route(database, held, raws, answers)


def route(database: Database, held: Setting, raws: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> None:
    factories.submit(database, held, raws)
    worker = str(raws[0]["external_id"])
    leased = database.write(batches.lease, held.id, "score", worker, limit=len(raws), seconds=60)
    scored = [(item, answers[item.external_id]) for item in leased]
    keys = factories.keys(database)
    database.write(batches.write, held.id, worker, scored, model_id=rule(database, held).model_id, keys=keys)


def turn(database: Database, held: Setting) -> drift.Check | None:
    window = database.read(drift.due, held)
    if window is None:
        return None
    found = drift.check(*database.read(drift.read, window))
    assert database.write(drift.keep, window, found, factories.keys(database).draw_key_id)
    return found


def rule(database: Database, held: Setting) -> Any:
    return database.read(rules.in_force, held.id, held.policy)


def settled(database: Database) -> int:
    return database.write(drift.settle) if database.read(drift.is_settled) else 0


def test_a_first_window_is_what_later_ones_are_held_against(database: Database, held: Setting) -> None:
    assert turn(database, held) is None
    come(database, held, "a", amount=100)
    first = turn(database, held)
    assert first is not None
    assert first.n == 100
    assert {"input:amount", "input:region", "score:confidence", "score:label"} == set(first.reference)
    assert first.moved == ()
    assert turn(database, held) is None
    come(database, held, "b", amount=100)
    again = turn(database, held)
    assert again is not None
    assert again.reference == {}
    assert {each.name for each in again.moved} == {"amount", "region", "confidence", "label"}
    assert not again.alarmed
    assert database.read(notices.standing, held.id) == []


def test_an_alarm_raises_spot_checks_and_tells_the_owners_once(database: Database, held: Setting) -> None:
    before = rule(database, held)
    for n, amount in enumerate((100, 500, 900)):
        come(database, held, f"w{n}", amount=amount, region="south" if n else "north")
        turn(database, held)
    after = rule(database, held)
    assert (before.audit_rate, after.audit_rate) == (0.05, 0.25)
    assert (after.level, after.thresholds, after.period_id) == (before.level, before.thresholds, before.period_id)
    [notice] = database.read(notices.standing, held.id)
    assert notice.kind == "drift"
    assert "amount (at or below" in notice.said
    assert "region (" in notice.said
    assert "Whether the model errs more often is for the spot checks to say." in notice.said
    checks = database.read(lambda s: list(s.scalars(select(DriftCheck.alarmed).order_by(DriftCheck.id))))
    assert checks == [False, True, True]
    told = database.read(lambda s: [*s.scalars(select(Outbox.kind)), *s.scalars(select(Event.kind))])
    assert told.count("notice.opened") == 1
    assert database.read(lambda s: s.scalar(select(RoutingRule.cause).where(RoutingRule.id == after.id))).startswith(
        "cases stray"
    )


def test_closing_the_notice_gives_back_the_rate_that_was_signed_for(database: Database, held: Setting) -> None:
    owner = factories.person(database, "olga", "owner")
    for n, amount in enumerate((100, 500)):
        come(database, held, f"w{n}", amount=amount)
        turn(database, held)
    assert settled(database) == 0
    [notice] = database.read(notices.standing, held.id)
    database.write(notices.close, notice.id, by=owner)
    assert settled(database) == 1
    assert rule(database, held).audit_rate == 0.05
    assert settled(database) == 0
    come(database, held, "later", amount=900)
    turn(database, held)
    assert rule(database, held).audit_rate == 0.25
    assert len(database.read(notices.latest, held.id)) == 2


def test_the_house_settles(database: Database, held: Setting) -> None:
    assert any(chore.verb is drift.settle for chore in keeping.CHORES)
    database.write(lambda s: s.execute(update(ProjectControl).values(raised_rate=0.5)) and None)
    assert settled(database) == 1
    assert database.read(lambda s: s.scalar(select(ProjectControl.raised_rate))) is None


def test_a_policy_that_is_applied_meanwhile_keeps_the_rate_raised(database: Database, held: Setting) -> None:
    for n, amount in enumerate((100, 500)):
        come(database, held, f"w{n}", amount=amount)
        turn(database, held)
    changed = factories.policy(drift=WISH, audit={"rate": 0.05}, review={"order": "fifo"})
    key = factories.keys(database).draw_key_id
    database.write(projects.apply, held.project, changed, "Read the file.", key, by=None)
    assert rule(database, held).audit_rate == 0.25


def test_off_looks_at_nothing(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(drift="off"))
    come(database, held, "a", amount=1, count=500)
    assert turn(database, held) is None


def test_before_a_model_acts_there_is_nothing_to_look_at(database: Database) -> None:
    wanted = factories.project()
    key = factories.keys(database).draw_key_id
    applied = database.write(projects.apply, wanted, factories.policy(drift=WISH), "", key, by=None)
    assert database.read(drift.due, applied.setting) is None


def learned(database: Database, held: Setting, amounts: Sequence[float], decided: int) -> None:
    """The champion learned from claims of these amounts, so many of them answered by people here."""
    model_id = rule(database, held).model_id
    rows = [{"amount": amount, "region": "north"} for amount in amounts]
    figures = {"rows": {"base": len(rows) - decided, "decided": decided}, "grids": {"max_probability": [0.5, 0.9]}}
    database.write(spreads.keep, model_id, spreads.spread(held.project, rows, whole=True))
    database.write(lambda s: s.execute(update(Model).where(Model.id == model_id).values(figures=figures)) and None)


def test_the_first_window_is_held_against_what_the_model_learned_from(database: Database, held: Setting) -> None:
    learned(database, held, [5_000.0 + n for n in range(300)], 0)
    come(database, held, "a", amount=100)
    found = turn(database, held)
    assert found is not None
    assert [each.name for each in found.moved if each.alarmed] == ["amount"]
    assert set(found.reference) == {"score:confidence", "score:label"}


def test_rows_that_people_were_asked_for_are_no_picture_of_what_comes(database: Database, held: Setting) -> None:
    learned(database, held, [5_000.0 + n for n in range(300)], 100)
    come(database, held, "a", amount=100)
    found = turn(database, held)
    assert found is not None
    assert not found.alarmed
    assert "input:amount" in found.reference


def test_another_model_begins_anew(database: Database, held: Setting) -> None:
    come(database, held, "a", amount=100)
    turn(database, held)
    database.write(factories.champion, held, factories.keys(database).draw_key_id)
    come(database, held, "b", amount=900)
    found = turn(database, held)
    assert found is not None
    assert not found.alarmed
    assert "input:amount" in found.reference


def test_two_processes_keep_a_window_once(database: Database, held: Setting) -> None:
    come(database, held, "a", amount=100)
    window = database.read(drift.due, held)
    assert window is not None
    found = drift.check(*database.read(drift.read, window))
    key = factories.keys(database).draw_key_id
    kept: list[bool] = []
    assert at_once([lambda: kept.append(database.write(drift.keep, window, found, key))] * 2) == []
    assert sorted(kept) == [False, True]
    assert len(database.read(drift.latest, held.id)) == 1


def test_an_installation_that_saw_much_begins_near_its_end(database: Database, held: Setting) -> None:
    come(database, held, "a", amount=100, count=900)
    window = database.read(drift.due, held)
    assert window is not None
    assert window.last - window.after == 100
    assert window.after > 0


def test_texts_are_seen_by_their_length_and_how_strange_they_are(database: Database) -> None:
    body = {"type": "text", "features": {"text": {"type": "text"}}}
    wanted: Project = factories.project(project="mail", input=body)
    held = factories.setting(database, wanted, factories.policy(drift=WISH))
    for name, words, strange in (("a", 10, 0.5), ("b", 200, 0.0)):
        raws = [{"external_id": f"{name}{n}", "input": {"text": "word " * (words + n % 7)}} for n in range(100)]
        said = factories.says("pay", 0.95)
        answers = {each["external_id"]: type(said)(said.labels, said.probabilities, strange) for each in raws}
        route(database, held, raws, answers)
        found = turn(database, held)
    assert found is not None
    assert {each.name for each in found.moved if each.alarmed} == {"length", "strangeness"}
    assert "characters (at or below" in found.moved[0].said + found.moved[1].said


def test_a_refused_notice_raises_nothing(database: Database, held: Setting) -> None:
    """One is open already: the rate is as that one made it."""
    row = {"project_id": held.id, "kind": "drift", "subject": "cases", "body": {"said": "", "figures": {}}}
    database.write(lambda s: s.execute(insert(Notice).values(**row, opened_at=held.frozen_at or _then())) and None)
    for n, amount in enumerate((100, 500)):
        come(database, held, f"w{n}", amount=amount)
        turn(database, held)
    assert rule(database, held).audit_rate == 0.05


def _then() -> Any:
    from review_queue import clock

    return clock.now()

"""How good a version's explanations are: sums that many workers keep together, and the sample that was tried again."""

from typing import Any

import pytest

from contract.records import Explanation
from db.engine import Database
from review_queue import explanations, reason_quality
from review_queue.projects import Setting
from review_queue.reason_quality import Quality
from tests import factories
from tests.review_queue.acting import at_once


def made(method: str, seconds: float = 0.5, **changes: Any) -> Explanation:
    return Explanation(
        method, "pay", "log-odds", 0.1, [], changes.pop("params", {}), 1, "b", changes.pop("quality", {}), seconds, **changes
    )


def aimed(database: Database, held: Setting, count: int = 1) -> tuple[list[int], int]:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(count)})
    items = [task.item_id for task in factories.tasks(database)]
    found = database.read(explanations.target, items[0])
    assert found is not None
    return items, found[0]


def test_what_is_stored_is_counted_once(database: Database, held: Setting) -> None:
    items, model_id = aimed(database, held, 3)
    assert database.read(reason_quality.of_model, model_id) == []
    first = [made("lime.tabular", quality={"local_r2": 0.9}), made("shap.permutation", quality={"relative_gap": 0.01})]
    second = [
        made("lime.tabular", 1.5, quality={"local_r2": 0.3}, doubt="a straight line fits badly"),
        made("shap.permutation", 0.1, quality={"relative_gap": 0.002}),
    ]
    third = [made("lime.tabular", 1.0, problem="no surrogate"), made("shap.permutation", 0.3)]
    for item, each in zip(items, (first, second, third), strict=True):
        database.write(explanations.store, item, model_id, each)
        database.write(explanations.store, item, model_id, each)
    lime, shap = database.read(reason_quality.of_model, model_id)
    assert lime == Quality("lime.tabular", 3, 1, 1, pytest.approx(0.6), 0.0, pytest.approx(1.0))
    assert shap == Quality("shap.permutation", 3, 0, 0, None, 0.01, pytest.approx(0.3))


def test_many_workers_add_to_the_same_sums(database: Database, held: Setting) -> None:
    items, model_id = aimed(database, held, 8)
    both = [made("shap.permutation", quality={"relative_gap": 0.5}), made("lime.tabular", quality={"local_r2": 1.0})]
    acts = [lambda item=item: database.write(explanations.store, item, model_id, both) for item in items]  # type: ignore[misc]
    assert at_once(acts) == []
    lime, shap = database.read(reason_quality.of_model, model_id)
    assert (lime.made, lime.fit, lime.most_gap, lime.seconds) == (8, 1.0, 0.0, 0.5)
    assert (shap.made, shap.fit, shap.most_gap, shap.seconds) == (8, None, 0.5, 0.5)


def test_a_trial_shows_beside_its_explanation_and_in_the_figures(database: Database, held: Setting) -> None:
    items, model_id = aimed(database, held, 20)
    for n, item in enumerate(items):
        both = [made("lime.tabular"), made("shap.permutation"), made("lime.tabular", params={"features": 5})]
        database.write(explanations.store, item, model_id, both)
        apart = None if n == 7 else n * 1e-9
        seen = {"stability": 0.5 if n == 0 else 0.9, "areas": (0.30 + n / 1000, 0.10), "apart": apart}
        database.write(reason_quality.check, item, model_id, method="lime.tabular", label="pay", **seen)
        database.write(reason_quality.check, item, model_id, method="lime.tabular", label="deny", **seen)  # the first stays
    assert database.read(reason_quality.checked, model_id) == {"lime.tabular": 20}
    swaying, shap, _ = database.read(explanations.of_prediction, items[0], model_id)
    assert swaying.stability == 0.5
    assert swaying.doubt == "other random draws name other reasons (overlap 0.50, at least 0.6 is asked)"
    assert (shap.stability, shap.doubt) == (None, None)
    steady = database.read(explanations.of_prediction, items[1], model_id)[0]
    assert (steady.stability, steady.doubt) == (0.9, None)
    lime, untried = database.read(reason_quality.of_model, model_id)
    assert (lime.checked, lime.stability) == (20, pytest.approx(0.88))
    assert lime.apart == 19e-9
    assert lime.gain is not None
    assert (lime.gain.own, lime.gain.chance) == pytest.approx((0.3095, 0.1))
    assert lime.gain.low + lime.gain.high == pytest.approx(2 * 0.2095)
    assert lime.gain.high - lime.gain.low == pytest.approx(2 * 1.959964 * 0.00591608 / 20**0.5, rel=1e-4)
    assert (untried.checked, untried.stability, untried.gain, untried.apart) == (0, None, None, None)


@pytest.mark.parametrize(("count", "below"), [(9, 0.1), (12, 0.0), (12, -0.1)])
def test_few_trials_give_no_interval_and_random_orders_may_move_nothing(sqlite: Database, count: int, below: float) -> None:
    held = factories.setting(sqlite)
    items, model_id = aimed(sqlite, held, count)
    for item in items:
        sqlite.write(explanations.store, item, model_id, [made("lime.tabular")])
        areas = (0.3, below)
        sqlite.write(reason_quality.check, item, model_id, method="lime.tabular", label="pay", stability=1.0, areas=areas)
    found = sqlite.read(reason_quality.of_model, model_id)[0]
    assert found.checked == count
    assert (found.gain is None) == (count < 10)
    if found.gain is not None:
        assert found.gain.low == pytest.approx(0.3 - below) == found.gain.high

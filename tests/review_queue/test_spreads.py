"""Where a value lies among what a model learned from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from contract.project import Project
from db.engine import Database
from review_queue import rules, spreads
from review_queue.projects import Setting
from review_queue.spreads import Counted, Named, Place, Spread
from tests import factories


def of(kind: str, values: list[Any]) -> Any:
    features = {"a": {"type": kind, "optional": True}, "b": {"type": "number"}}
    made = Project.model_validate(
        {
            "project": "p",
            "input": {"type": "tabular", "features": features},
            "labels": ["x", "y"],
            "model": {"uri": "registry:p@champion"},
        }
    )
    found = spreads.spread(made, [{"a": value, "b": 1.0} for value in values], whole=True)
    assert found.rows == len(values)
    return found.of("a", made.input.features["a"])


def test_a_number_is_placed_among_all_of_them() -> None:
    along = of("number", [*range(101), None])
    assert (along.n, along.missing) == (101, 1)
    assert along.place(83) == Place(0.83, 0.0)
    assert along.place(82.5) == Place(0.82, 0.0)
    assert along.place(0) == Place(0.0, 0.0)
    assert along.place(100) == Place(pytest.approx(100 / 101), 0.0)
    assert along.place(-1) == Place(0.0, 0.0, below=True)
    assert along.place(100.5) == Place(1.0, 0.0, above=True)


def test_what_most_have_is_the_same_as_theirs_and_not_higher() -> None:
    along = of("number", [0] * 92 + list(range(1, 9)))
    place = along.place(0)
    assert place.smaller == 0
    assert place.same == pytest.approx(0.92, abs=0.02)


def test_a_constant_is_the_same_as_all() -> None:
    assert of("number", [3, 3]).place(3) == Place(0.0, 1.0)
    assert of("number", [3]).place(2).below
    assert of("number", [3]).place(4).above


@given(some.lists(some.floats(-1e6, 1e6), min_size=1, max_size=300), some.integers(0, 299))
def test_shares_are_right_to_a_hundredth(values: list[float], at: int) -> None:
    value = values[at % len(values)]
    place = of("number", list(values)).place(value)
    assert not place.below
    assert not place.above
    smaller = sum(each < value for each in values) / len(values)
    upto = sum(each <= value for each in values) / len(values)
    assert place.smaller <= upto + 0.011
    assert place.smaller + place.same >= smaller - 0.011 - 1 / len(values)


def test_dates_are_days_whatever_their_zone() -> None:
    along = of("date", ["2026-01-01", "2026-01-03T00:00:00Z", None, "no date"])
    assert (along.n, along.missing) == (2, 2)
    assert spreads.number("date", "2026-01-02T02:00:00+02:00") == along.borders[0] + 1
    assert along.place(along.borders[0] + 1).smaller == pytest.approx(0.5, abs=0.011)


@pytest.mark.parametrize("value", [None, "7", True, float("nan"), float("inf"), {"blob": "x"}, [1]])
def test_what_is_no_number_has_no_place(value: Any) -> None:
    assert spreads.number("number", value) is None


def test_categories_are_counted_and_the_rest_is_known_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    along = of("category", ["red"] * 97 + ["blue"] * 2 + ["green", None])
    assert along == Named(100, 1, {"red": 97, "blue": 2, "green": 1})
    assert along.most == ("red", 0.97)
    assert along.share("blue") == 0.02
    assert along.share("pink") == 0.0
    monkeypatch.setattr(spreads, "MOST", 2)
    few = of("category", ["red"] * 3 + ["blue"] * 2 + ["green"])
    assert few == Named(6, 0, {"red": 3, "blue": 2}, others=1)
    assert few.share("green") is None  # it may be one of the others


def test_booleans_are_counted_by_their_words() -> None:
    assert of("boolean", [True, False, True, None]).counts == {"true": 2, "false": 1}
    assert spreads.name_of("boolean", True) == "true"


@pytest.mark.parametrize(("kind", "values"), [("text", ["a"]), ("number", [None, "x"]), ("category", [None]), ("date", [""])])
def test_what_has_no_values_or_no_line_is_left_out(kind: str, values: list[Any]) -> None:
    assert of(kind, values) is None


def test_a_renamed_feature_is_found_under_its_old_name() -> None:
    renamed = {"type": "tabular", "features": {"sum": {"type": "number", "was": "amount"}}}
    feature = factories.project(input=renamed).input.features["sum"]
    assert Spread(1, True, {"amount": Counted(1, 0, (1.0,) * 101)}).of("sum", feature) is not None


def test_the_acting_model_is_the_one_that_is_read(database: Database, held: Setting) -> None:
    assert database.read(spreads.acting, held.id) is None
    first = spreads.spread(held.project, [{"amount": 1.5, "region": "north", "opened": None}], whole=True)
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    acting = rule.model_id
    assert database.read(spreads.lacks, acting)
    database.write(spreads.keep, acting, first)
    database.write(spreads.keep, acting, spreads.spread(held.project, [{"amount": 9.0}], whole=False))
    assert not database.read(spreads.lacks, acting)
    assert database.read(spreads.acting, held.id) == first  # what is there stays
    database.write(factories.champion, held, factories.keys(database).draw_key_id)
    assert database.read(spreads.acting, held.id) is None

import math

import numpy as np
import pytest

from contract.predictors import Column, Encoded
from contract.project import Feature
from inference import boosting, mlp, tables

COLUMNS = (
    Column("age", "number"), Column("job", "category", ("clerk", "smith")), Column("own", "boolean"),
    Column("born", "date"), Column("note", "text"),
)  # fmt: skip
ROW = {"age": 3, "job": "smith", "own": True, "born": "1970-01-02", "note": "hello"}


def test_values_become_numbers() -> None:
    encoded, problems = tables.read(COLUMNS, frozenset(), [ROW, dict.fromkeys(ROW), {**ROW, "job": "priest", "note": "bye"}])
    assert not problems
    assert encoded.matrix[0].tolist() == [3, 1, 1, 1, 0]
    assert np.isnan(encoded.matrix[1]).all()
    assert encoded.matrix[2].tolist() == [3, 2, 1, 1, 1]
    assert encoded.texts == {4: ("hello", "bye")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", "3"), ("age", True), ("age", math.inf), ("age", 10**400), ("age", [3]), ("age", {}),
        ("job", ["clerk"]), ("job", {"a": 1}), ("own", 1), ("own", "true"), ("born", 1970), ("born", "soon"), ("note", 5),
    ],
)  # fmt: skip
def test_value_of_the_wrong_type_is_named_and_alone(name: str, value: object) -> None:
    encoded, problems = tables.read(COLUMNS, frozenset(), [ROW, {**ROW, name: value}, ROW])
    assert list(problems) == [1]
    assert problems[1].startswith(f"{name}: ")
    assert np.array_equal(encoded.matrix[0], encoded.matrix[2])


@pytest.mark.parametrize(("value", "code"), [(True, 1.0), (3, 0.0), (3.0, 0.0), (np.int64(3), 0.0), (math.nan, None), ("", 2.0)])
def test_categories_that_are_no_text(value: object, code: float | None) -> None:
    encoded, problems = tables.read((Column("job", "category", ("3", "true")),), frozenset(), [{"job": value}])
    assert not problems
    assert np.array_equal(encoded.matrix[0, 0], np.nan if code is None else code, equal_nan=True)


def test_absent_column_is_missing_only_where_it_is_optional() -> None:
    _, problems = tables.read(COLUMNS, frozenset({"age"}), [{name: ROW[name] for name in ROW if name != "age"}])
    assert not problems
    _, problems = tables.read(COLUMNS, frozenset(), [ROW, {name: ROW[name] for name in ROW if name != "age"}])
    assert problems == {1: "age: is not in the row, and the model needs it"}


def test_row_that_is_no_mapping() -> None:
    _, problems = tables.read(COLUMNS, frozenset(), [ROW, None, [1]])  # type: ignore[list-item]
    assert set(problems) == {1, 2}


def test_no_rows() -> None:
    encoded, problems = tables.read(COLUMNS, frozenset(), [])
    assert encoded.matrix.shape == (0, 5)
    assert problems == {}


def test_rare_categories_count_as_never_seen() -> None:
    rows = [{"zip": f"{n % 300:03}"} for n in range(299)] + [{"zip": "000"}]
    (column,) = tables.fit_columns({"zip": Feature(type="category")}, rows)
    assert len(column.categories) == tables.MAX_CATEGORIES
    assert list(column.categories) == sorted(column.categories)
    assert "000" in column.categories


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2026-11-24T13:45:00Z", (2026, 11, 1, 13.75)),
        ("2026-11-24T13:45:00+02:00", (2026, 11, 1, 11.75)),
        ("1969-12-31", (1969, 12, 2, 0)),
        ("0001-01-01", (1, 1, 0, 0)),
        ("9999-12-31T23:00:00", (9999, 12, 4, 23)),
    ],
)
def test_parts_of_dates(text: str, parts: tuple[float, ...]) -> None:
    encoded, problems = tables.read((Column("born", "date"),), frozenset(), [{"born": text}])
    assert not problems
    assert tables.date_parts(encoded.matrix[:, 0])[0, 1:].tolist() == pytest.approx(parts)


def test_days_that_no_calendar_has_are_taken_to_its_ends() -> None:
    assert tables.date_parts(np.array([1e12, -1e12]))[:, 1].tolist() == [9999, 1]


def test_codes_between_and_beyond_categories() -> None:
    matrix = np.array([[np.nan], [0.0], [1.0], [2.0], [7.0], [-3.0], [0.6]])
    parts = tables.parts((Column("job", "category", ("clerk", "smith")),), matrix)
    assert parts.codes[:, 0].tolist() == [0, 1, 2, 3, 3, 3, 1]


def test_design_of_trees_has_the_width_it_says() -> None:
    encoded, _ = tables.read(COLUMNS, frozenset(), [ROW, dict.fromkeys(ROW)])
    matrix = boosting.design(COLUMNS, encoded)
    assert matrix.shape == (2, boosting.width(COLUMNS))
    assert np.isnan(matrix[1]).all()


def test_network_knows_no_text_apart_from_an_empty_one() -> None:
    network = mlp.build(COLUMNS, 2).eval()
    rows = [{**ROW, "note": None}, {**ROW, "note": ""}]
    encoded, _ = tables.read(COLUMNS, frozenset(), rows)
    scores = mlp.Engine(COLUMNS, network).scores(encoded)
    assert not np.allclose(scores[0], scores[1])
    alone = mlp.Engine(COLUMNS, network).scores(Encoded(encoded.matrix[1:], encoded.texts))
    assert np.allclose(scores[1], alone[0], atol=1e-6)

"""What every column is taken for, and why."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.loading import LoadError
from app.starting import writing
from app.starting.profile import Profile, profile, split
from app.starting.reading import Table, read
from app.starting.rows import sampled
from contract.project import read_project
from retrain.rows import split_of
from tests.app.starting.making import csv_file, jsonl_file, parquet_file, png, shaped, table

SOME = random.Random(5)
ROWS = 400


def many(values: Sequence[Any], count: int = ROWS) -> list[Any]:
    """Values drawn at random, every one of them there."""
    return [*values, *SOME.choices(values, k=count - len(values))]


WORDS = ["the", "claim", "was", "filed", "because", "a", "storm", "broke", "window", "garage", "roof", "car", "water", "pipe"]


def sentences(count: int = ROWS) -> list[str]:
    return [" ".join(SOME.choices(WORDS, k=9)) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "values", "taken_as", "why"),
    [
        ("amount", many([1.5, 2.25, 100]), "number", "numbers 1.5 to 100"),
        ("age", many(list(range(18, 90))), "number", "whole numbers 18 to 89"),
        ("stars", many([1, 2, 3, 4, 5]), "number", "whole numbers 1 to 5"),
        ("flag", many([0, 1]), "number", "whole numbers 0 to 1"),
        ("amount", many([1.5, 2, "n/a", "?"]), "number", "numbers 1.5 to 2; '?', 'n/a' is missing ("),
        ("amount", many([1.5, 2, ""]), "number", "numbers 1.5 to 2"),
        ("cost_inf", many([1.5, "inf"]), "left out", "holds infinite values; leave these empty to use it"),
        ("zip", many(["01001", "99501", "10115"]), "category", "codes with leading zeros, 3 values"),
        ("zip", many([f"0{n}" for n in range(1000, 1300)]), "left out", "codes with leading zeros, 300 different"),
        ("country_code", many([1, 44, 49]), "category", "codes by the name, 3 values"),
        ("customer_id", many(list(range(300))), "left out", "ids by the name, 300 different: they name"),
        ("shop_id", many([1, 2, 3]), "category", "ids by the name, 3 values"),
        ("card", many([2**60, 2**60 + 2]), "category", "whole numbers too long to be numbers, 2 values"),
        ("region", many(["north", "south"]), "category", "2 values: "),
        ("region", many(["north", "unknown"]), "category", "2 values: "),
        ("insured", many(["yes", "no"]), "boolean", "yes or no"),
        ("insured", many(["True", "False", ""]), "boolean", "true or false"),
        ("insured", many(["yes", "no", "unknown"]), "category", "3 values: "),
        ("opened_at", many(["2026-01-02", "2026-02-03", "n/a"]), "date", "dates 2026-01-02 to 2026-02-03; 'n/a' is missing"),
        ("opened", many(["24.11.2026", "1.2.2026"]), "date", "dates 2026-02-01 to 2026-11-24"),
        ("opened", many(["11/24/2026", "1/2/2026"]), "left out", "dates such as 11/24/2026 can be read in two ways"),
        ("created_at", many([1_700_000_000, 1_700_000_500]), "date", "seconds since 1970"),
        ("created_at", many([20260102, 20261231]), "date", "dates such as 20260102"),
        ("number_of", many([20260102, 20261231]), "number", "whole numbers"),
        ("note", sentences(), "text", "free text, 9 words on average"),
        ("remark", [f"東京{n}は日本の首都です" for n in range(ROWS)], "text", "free text"),
        ("agent", many([f"name{n} x" for n in range(300)]), "left out", "300 different short values: names or codes"),
        ("level", many([*map(str, range(300)), "high"]), "left out", "numbers but for some, such as 'high'"),
        ("page", [f"https://a.example/{n}" for n in range(ROWS)], "shown (link)", "links, for the person to open"),
        ("version", ["v1"] * ROWS, "left out", "constant: always v1"),
        ("nothing", [""] * ROWS, "left out", "empty"),
        ("rare", ["x", "y", *[""] * (ROWS - 2)], "left out", "almost empty: 398 of 400 are missing"),
        ("score", [f"{n}.5" for n in range(ROWS)], "number", "numbers 0.5 to 399.5"),
        ("line", list(range(ROWS)), "id", "names the row: numbers the rows, in order"),
        ("amount", SOME.sample(range(10**6), ROWS), "number", "whole numbers"),
        ("email", [f"u{n * n}@example.org" for n in range(ROWS)], "id", "names the row: all values differ"),
    ],
)
def test_one_column(tmp_path: Path, name: str, values: list[Any], taken_as: str, why: str) -> None:
    other = many(["a", "b"], len(values))
    found = {column.name: column for column in shaped(tmp_path, {name: values, "other": other}).columns}[name]
    assert found.taken_as == taken_as
    assert found.why.startswith(why), found.why
    assert len(found.example) <= 24


def test_an_almost_constant_column_is_left_out(tmp_path: Path) -> None:
    values = ["0"] * 4_998 + ["1", "2"]
    columns = {column.name: column for column in shaped(tmp_path, {"x": values, "y": many([1, 2], 5_000)}).columns}
    assert columns["x"].why == "almost constant: 0 in 4,998 of 5,000"


def test_values_of_parquet_and_json(tmp_path: Path) -> None:
    from datetime import date, timedelta
    from decimal import Decimal

    columns: dict[str, Any] = {
        "day": many([date(2026, 1, 2), date(2026, 2, 3)]),
        "price": pa.array(many([Decimal("1.50"), Decimal("2.00")])),
        "flag": many([True, False]),
        "gap": many([1.5, float("nan"), None]),
        "word": many(["12", "n/a", "7"]),
        "yes": many(["yes", "no"]),
        "span": pa.array(many([timedelta(1), timedelta(2)])),
        "photo": many([png(1), png(200)]),
        "raw": many([b"no image", b"none"]),
        "outcome": [("pay", "deny")[n % 2] for n in range(ROWS)],
    }
    found = profile(read(parquet_file(tmp_path / "a.parquet", columns)), label="outcome", type="tabular")
    assert {column.name: column.taken_as for column in found.columns} == {
        "day": "date",
        "price": "number",
        "flag": "boolean",
        "gap": "number",
        "word": "number",
        "yes": "boolean",
        "span": "left out",
        "photo": "shown (image)",
        "raw": "left out",
        "outcome": "label",
    }
    mixed = {"n": many([1, 2.5, "?"]), "m": many(["a", 3, True]), "outcome": many([0, 1])}
    found = profile(read(jsonl_file(tmp_path / "a.jsonl", mixed)), label="outcome")
    assert [column.taken_as for column in found.columns] == ["number", "category", "label"]
    assert found.labels == ("0", "1")


def test_a_field_that_some_lines_lack_is_optional(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [{"a": n % 7, "y": "no" if n % 3 else "si", **({"b": 2.5} if n % 5 else {})} for n in range(90)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = profile(read(file), label="y", keep=["b"])
    assert [(column.name, column.optional) for column in found.features] == [("a", False), ("b", True)]


# The id


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["email", "claim_id"], "claim_id"), (["claim_id", "id"], "id"), (["email", "line"], "line"), (["email", "fax"], "email")],
)
def test_one_id_is_chosen_and_the_others_are_no_features(tmp_path: Path, names: list[str], chosen: str) -> None:
    values = {name: [f"{name}{n * 7}" for n in range(ROWS)] for name in names}
    if "line" in names:
        values["line"] = [str(n + 1) for n in range(ROWS)]
    found = shaped(tmp_path, {**values, "x": many([1.5, 2.5])})
    assert found.id == chosen
    assert [column.name for column in found.features] == ["x"]
    assert all(column.why.startswith("all values differ") for column in found.of("left out"))


def test_an_id_that_is_named_must_name_each_row(tmp_path: Path) -> None:
    columns = {"claim": ["a", "b", "a", "c"], "gap": ["a", "b", "", "c"], "x": [1.5, 2.5, 3.5, 1.5]}
    with pytest.raises(LoadError, match=r"--id claim: 'a' stands in rows 2 and 4, and an id names one row; name another"):
        shaped(tmp_path, columns, id="claim")
    with pytest.raises(LoadError, match=r"--id gap: row 4 has none"):
        shaped(tmp_path, columns, id="gap")
    assert shaped(tmp_path, {**columns, "claim": [1, 2, 3, 4]}, id="claim").id == "claim"
    held = parquet_file(tmp_path / "a.parquet", {"f": [1.5, 2.5], "x": [1, 2], "y": ["a", "b"]})
    with pytest.raises(LoadError, match=r"--id f: 1.5 is no id"):
        profile(read(held), label="y", id="f")


# What was asked


def test_columns_go_where_they_are_asked_to(tmp_path: Path) -> None:
    columns = {
        "sex": many(["f", "m"]),
        "age_band": many(["young", "old"]),
        "opened_at": many(["2026-01-02", "2026-02-03"]),
        "price": many([1.5, 2.5]),
        "weight": many([1.5, 2.5]),
        "same": ["v1"] * ROWS,
    }
    wish: dict[str, Any] = {"groups": ["sex", "age_band"], "keep": ["age_band", "same"], "show": ["price"], "drop": ["weight"]}
    found = shaped(tmp_path, columns, time="opened_at", **wish)
    assert {column.name: column.role for column in found.columns} == {
        "sex": "group",
        "age_band": "feature",
        "opened_at": "time",
        "price": "show",
        "weight": "left out",
        "same": "feature",
        "outcome": "label",
    }
    assert (found.groups, found.time) == (("sex", "age_band"), "opened_at")
    with pytest.raises(LoadError, match="price is named by --drop and by --show; it can be one of them"):
        shaped(tmp_path, columns, drop=["price"], show=["price"])
    with pytest.raises(LoadError, match=r"--drop prise: .* has no such column; nearest is price"):
        shaped(tmp_path, columns, drop=["prise"])
    with pytest.raises(LoadError, match=r"--time price: .* is not a date; write dates as 2026-11-24"):
        shaped(tmp_path, columns, time="price")


def test_what_a_brought_model_needs_is_what_it_gets(tmp_path: Path) -> None:
    columns = {
        "plz": many(["10115", "99501"]),
        "insured": many(["yes", "no"]),
        "same": ["v1"] * ROWS,
        "when": many(["2026-01-02", "2026-02-03"]),
        "note": sentences(),
        "price": many([1.5, 2.5]),
        "gives_away": [("a", "b")[n % 2] for n in range(ROWS)],
        "claim_id": [f"c{n * 7}" for n in range(ROWS)],
    }
    wanted = ["note", "plz", "same", "insured", "gives_away", "when"]
    found = shaped(tmp_path, columns, features=wanted)
    assert {column.name: column.type for column in found.features} == {
        "plz": "number",
        "insured": "category",
        "same": "category",
        "when": "category",
        "note": "text",
        "gives_away": "category",
    }
    assert [column.name for column in found.features] == wanted
    assert found.id == "claim_id"
    assert found.of("left out")[0].why == "the model does not need it"
    assert found.said == (
        "gives_away may be a leak (alone it gives 100.0% of outcome away); it is kept, since the model was fitted on it.",
    )
    with pytest.raises(LoadError, match=r"the model's input foo: .* has no such column"):
        shaped(tmp_path, columns, features=["foo"])


# Labels


def test_without_a_label_the_likely_ones_are_named(tmp_path: Path) -> None:
    held = table(tmp_path, {"x": [n / 7 for n in range(300)], "sex": many(["f", "m"], 300), "income": many(["low", "high"], 300)})
    with pytest.raises(LoadError, match=r"Name it with --label; likely: income \(2 values\), sex \(2 values\)\. Where another"):
        profile(held)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([n * 1.37 for n in range(ROWS)], r"holds 400 different numbers, such as 0 and 546.63: an amount"),
        (list(range(ROWS)), r"holds 400 different numbers, such as 0 and 399: an amount, .* cut it into classes"),
        ([f"l{n}" for n in range(600)], r"holds 600 different labels, such as 'l0'; at most 500 are taken"),
        (["pay"] * ROWS, r"every row is labelled 'pay'; a decision needs at least two labels"),
        ([""] * ROWS, r"no row of .* has a label there"),
        (["x" * 300, "y"] * 50, r"is no label: longer than 200 characters"),
    ],
)
def test_what_is_no_label(tmp_path: Path, values: list[Any], said: str) -> None:
    held = table(tmp_path, {"x": many([1.5, 2.5], len(values)), "y": values})
    with pytest.raises(LoadError, match=f"--label y: .*{said}" if "holds" in said else said):
        profile(held, label="y")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 0, None], ("0", "1")),
        ([1.0, 0.0, float("nan")], ("0", "1")),
        ([True, False, None], ("false", "true")),
        (["b", "10", "9", None], ("9", "10", "b")),
    ],
)
def test_labels_are_texts_and_rows_without_are_counted(tmp_path: Path, values: list[Any], labels: tuple[str, ...]) -> None:
    held = [*values * 30, None]
    file = parquet_file(tmp_path / "a.parquet", {"x": many([1.5, 2.5], len(held)), "y": held})
    found = profile(read(file), label="y")
    assert found.labels == labels
    assert found.of_rows.count(None) == 31
    assert f"31 of {len(held)} rows have no label" in found.said[0]


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["good", "bad"], {"bad": "b", "good": "g"}),
        (["yes", "no"], {"no": "n", "yes": "y"}),
        (["ham", "spam"], {}),
        (["big", "bad"], {}),
        (["<=50K", ">50K"], {}),
        (["0", "1"], {}),
    ],
)
def test_keys_remind_of_the_labels(tmp_path: Path, labels: list[str], keys: dict[str, str]) -> None:
    assert profile(table(tmp_path, {"x": many([1.5, 2.5]), "y": many(labels)}), label="y").keys == keys


# Leaks


def test_a_column_that_gives_the_label_away_is_left_out_unless_it_is_kept(tmp_path: Path) -> None:
    outcome = ["pay" if n % 2 == 0 else "deny" for n in range(ROWS)]
    columns = {
        "paid": [SOME.uniform(1, 900) if each == "pay" else 0.0 for each in outcome],
        "state": [f"S{each[0]}{SOME.randrange(3)}" for each in outcome],
        "closed_at": ["2026-02-01" if each == "pay" else "2025-01-05" for each in outcome],
        "strong": [SOME.gauss(2 if each == "pay" else 0, 1) for each in outcome],
        "noise": [SOME.random() for _ in outcome],
    }
    found = shaped(tmp_path, columns)
    assert set(found.leaks) == {"paid", "state", "closed_at"}
    assert [column.name for column in found.features] == ["strong", "noise"]
    assert "If it is known when a case arrives, keep it with --keep paid." in found.said[0]
    kept = shaped(tmp_path, columns, keep=["paid"])
    assert [column.name for column in kept.features] == ["paid", "strong", "noise"]
    shown = shaped(tmp_path, columns, show=["state"])
    assert any(each.startswith("state is shown, and may give the answer away") for each in shown.said)


def test_a_rare_label_is_no_leak_by_always_saying_the_other(tmp_path: Path) -> None:
    outcome = ["fraud" if n % 100 == 0 else "fine" for n in range(2_000)]
    held = table(tmp_path, {"x": [SOME.random() for _ in outcome], "y": outcome})
    assert not profile(held, label="y").leaks


def test_few_rows_tell_of_no_leak(tmp_path: Path) -> None:
    held = table(tmp_path, {"x": [n % 2 * 1.5 for n in range(40)], "y": ["a", "b"] * 20})
    assert not profile(held, label="y").leaks


def test_words_for_numbered_labels_become_their_titles(tmp_path: Path) -> None:
    names = {0: "cat", 1: "dog", 2: "bird"}
    labels = many([0, 1, 2])
    held = table(tmp_path, {"x": [SOME.random() for _ in labels], "name": [names[n] for n in labels], "y": labels})
    found = profile(held, label="y")
    assert found.titles == {"0": "cat", "1": "dog", "2": "bird"}
    assert [column.name for column in found.features] == ["x"]
    assert found.said[0].startswith("name calls the labels by name (")


# The type


def test_texts_and_images_are_found(tmp_path: Path) -> None:
    columns = {"message": sentences(), "lang": ["en"] * ROWS}
    assert shaped(tmp_path, columns).type == "text"
    assert shaped(tmp_path, {**columns, "lang": many(["en", "de"])}).type == "tabular"
    forced = shaped(tmp_path, {**columns, "lang": many(["en", "de"])}, type="text")
    assert [column.name for column in forced.features] == ["message"]
    assert forced.of("left out")[0].why == "a project of texts has one feature, message; --show lang shows it"
    with pytest.raises(LoadError, match=r"--type image: .* has no column of images"):
        shaped(tmp_path, columns, type="image")
    with pytest.raises(LoadError, match=r"--type text: .* has no column of text"):
        shaped(tmp_path, {"x": many([1.5, 2.5])}, type="text")


def test_paths_of_images_beside_the_file(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(60)]
    for n, name in enumerate(names):
        (tmp_path / name).write_bytes(png(n))
    found = shaped(tmp_path, {"file": names, "x": many([1.5, 2.5], 60)})
    assert (found.type, [column.name for column in found.features]) == ("image", ["file"])


def test_a_folder_labels_itself(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for n in range(3):
            (tmp_path / "pets" / label / f"{n}.png").write_bytes(png(n))
    found = profile(read(tmp_path / "pets"))
    assert (found.type, found.label, found.labels) == ("image", "label", ("cat", "dog"))


def test_nothing_left_to_decide_by(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"no column left to decide by \(same: constant: always v1\); name one with --keep"):
        shaped(tmp_path, {"same": ["v1"] * ROWS})


# Probabilities


def predicted(folder: Path, **columns: list[Any]) -> Table:
    rows = max(map(len, columns.values()))
    return table(folder, {"x": many([1.5, 2.5], rows), **columns})


@pytest.mark.parametrize("names", [("p_yes", "p_no"), ("PROB_YES", "no"), ("yes", "Proba-No"), ("yes_score", "p(no)")])
def test_columns_are_matched_to_labels_by_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    held = predicted(tmp_path, **{names[0]: [0.9] * 60, names[1]: [0.1] * 60, "y": ["no", "yes", ""] * 20})
    found = profile(held, label="y", probabilities=names)
    assert found.probabilities == {"no": names[1], "yes": names[0]}
    assert [column.name for column in found.features] == ["x"]


def test_one_column_does_for_two_labels(tmp_path: Path) -> None:
    held = predicted(tmp_path, p_yes=[0.9] * 60, y=["no", "yes"] * 30)
    found = profile(held, label="y", probabilities=["p_yes"])
    assert (found.probabilities, found.labels) == ({"yes": "p_yes"}, ("no", "yes"))


def test_without_known_answers_the_labels_are_the_names(tmp_path: Path) -> None:
    held = predicted(tmp_path, model_p_very_high_v2=[0.5] * 60, model_p_low_v2=[0.3] * 60, model_p_mid_v2=[0.2] * 60)
    names = ["model_p_very_high_v2", "model_p_low_v2", "model_p_mid_v2"]
    found = profile(held, probabilities=names)
    assert found.probabilities == {"low": names[1], "mid": names[2], "very_high": names[0]}
    assert (found.label, found.labels) == (None, ("low", "mid", "very_high"))


def test_a_label_that_no_row_has_is_one_by_its_column(tmp_path: Path) -> None:
    held = predicted(tmp_path, p_a=[0.5] * 60, p_b=[0.3] * 60, p_c=[0.2] * 60, y=["a", "b"] * 30)
    assert profile(held, label="y", probabilities=["p_a", "p_b", "p_c"]).labels == ("a", "b", "c")


def test_a_row_without_a_prediction_is_for_a_person_and_a_version_is_no_feature(tmp_path: Path) -> None:
    columns = {"p_a": [0.5, "", "n/a"] * 20, "p_b": [0.5, "", "-"] * 20, "model_version": ["v1", "v2", ""] * 20}
    found = profile(predicted(tmp_path, **columns, y=["a", "b"] * 30), label="y", probabilities=["p_a", "p_b"])
    assert [column.name for column in found.features] == ["x"]
    with pytest.raises(LoadError, match=r"row 3 of .*: p_b is '', which is no probability from 0 to 1"):
        profile(
            predicted(tmp_path, p_a=[0.5] * 60, p_b=[0.5, "", 0.5] * 20, y=["a", "b"] * 30),
            label="y",
            probabilities=["p_a", "p_b"],
        )


@pytest.mark.parametrize(
    ("columns", "label", "said"),
    [
        (
            {"p_0": [0.9], "p_1": [0.1]},
            "y",
            r"p_0, p_1 names none of the labels 'no', 'yes'; rename it after its label, e.g. p_no",
        ),
        ({"score": [0.9]}, "y", r"score names none of the labels"),
        ({"score": [0.9]}, None, r"one column says of no second label what it is called"),
        ({"p_yes": [0.9], "yes": [0.1]}, "y", r"p_yes and yes both name the label 'yes'"),
        ({"p_yes": [90], "p_no": [10]}, "y", r"row 2 of .*: p_\w+ is '\d+', .* write percentages as shares, 0.87 for 87 %"),
        ({"p_yes": [-0.5]}, "y", r"p_yes is '-0.5', which is no probability from 0 to 1; mend the row"),
        ({"p_yes": ["x"]}, "y", r"p_yes is 'x', which is no probability"),
        ({"p_yes": [0.9], "p_no": [0.9]}, "y", r"row 2 of .*: p_yes, p_no sum to 1.8, not to 1"),
    ],
)
def test_probabilities_that_are_none(tmp_path: Path, columns: dict[str, list[Any]], label: str | None, said: str) -> None:
    held = predicted(tmp_path, **{name: values * 60 for name, values in columns.items()}, y=["no", "yes"] * 30)
    with pytest.raises(LoadError, match=said):
        profile(held, label=label, probabilities=list(columns), drop=[] if label else ["y"])


def test_a_label_without_its_column_is_named(tmp_path: Path) -> None:
    held = predicted(tmp_path, p_a=[0.5] * 60, p_b=[0.5] * 60, y=["a", "b", "c"] * 20)
    with pytest.raises(LoadError, match=r"no column holds the probability of 'c'; bring one for each label"):
        profile(held, label="y", probabilities=["p_a", "p_b"])


# What is held out


def test_the_newest_rows_are_held_out_ties_together(tmp_path: Path) -> None:
    days = [f"2026-01-{1 + n % 10:02}" for n in range(400)] + [""] * 10
    held = table(tmp_path, {"day": days, "x": many([1.5, 2.5], 410), "y": many(["a", "b"], 410)})
    found = profile(held, label="y", time="day")
    out = list(split(held, found, "claims"))
    assert {day for day, newest in zip(days, out, strict=True) if newest} == {"2026-01-08", "2026-01-09", "2026-01-10"}
    assert sum(out) == 120
    one = table(tmp_path, {"day": ["2026-01-02"] * 60, "x": many([1.5, 2.5], 60), "y": ["a", "b"] * 30})
    with pytest.raises(LoadError, match="--time day: all rows are of one moment"):
        list(split(one, profile(one, label="y", time="day"), "claims"))
    half = table(tmp_path, {"day": ["2026-01-02"] * 30 + ["2026-01-03"] * 30, "x": many([1.5, 2.5], 60), "y": ["a", "b"] * 30})
    assert sum(split(half, profile(half, label="y", time="day"), "claims")) == 30


def test_else_the_id_says_which_rows_are_held_out(tmp_path: Path) -> None:
    held = table(tmp_path, {"claim_id": [f"c{n}" for n in range(400)], "x": many([1.5, 2.5]), "y": many(["a", "b"])})
    found = profile(held, label="y")
    out = list(split(held, found, "claims"))
    assert 0.2 < sum(out) / len(out) < 0.4
    assert list(split(held, found, "claims")) == out
    assert list(split(held, found, "other")) != out
    arriving = [split_of("claims", f"c{n}") for n, one in enumerate(out) if one]
    assert 0.5 < arriving.count("train") / len(arriving) < 0.9  # most of what people decide is to train
    assert 80 < sum(out) < 160
    by_number = profile(held, label="y", drop=["claim_id"])
    names = [held.source.name_of(row) for row in held.rows]
    assert list(split(held, by_number, "claims")) == [split_of("claims\nstart", name) == "test" for name in names]


# What is inferred is what the loader accepts

PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
TEXTS = (
    PLAIN,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6),
    st.sampled_from(["yes", "no", "", "unknown", "?"]),
    st.sampled_from(["north", "south", "-", "n/a"]),
    st.integers(-(10**20), 10**20).map(str),
    st.integers(0, 40).map(str),
    st.floats().map(str),
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.2f}"),
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.2f}".replace(".", ",")),
    st.dates().map(str),
    st.dates().map(lambda day: f"{day:%d.%m.%Y}"),
    st.datetimes().map(str),
    st.sampled_from(["01/02/2026", "2026-01-02", "1700000000", "20260102"]),
    st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(" ".join),
    st.sampled_from(["https://a.example", "http://b", "ftp://c"]),
    st.integers(0, 99_999).map(lambda n: f"{n:05}"),
    PLAIN | st.integers().map(str),
)
TYPED = (
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=4),
    st.sampled_from([1, 2, None]),
    st.decimals(-1000, 1000, places=2),
)
NAMES = st.sampled_from(["id", "opened_at", "date", "zip", "a b", "x", "input", "external_id", "label", "ä", "größe", "key"])


@st.composite
def frames(draw: st.DrawFn, kinds: Sequence[st.SearchStrategy[Any]], gaps: Any) -> dict[str, list[Any]]:
    count = draw(st.integers(4, 30))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        values = draw(st.sampled_from(kinds))
        columns[name] = draw(st.lists(values | st.just(gaps), min_size=count, max_size=count))
    return {**columns, "outcome": [("pay", "deny")[n % 2] for n in range(count)]}


def loaded(held: Table) -> Iterator[str]:
    """What the loader says to the rows of a table, held against the project that is made of it."""
    try:
        found: Profile = profile(held, label="outcome")
    except LoadError as error:
        assume("no column left to decide by" not in str(error) and "external_id" not in str(error))
        raise
    folder = held.source.path.parent / "project"
    text = writing.project(found, "claims", said="a test")
    writing.write(folder, text, "", "")
    project = read_project(folder / "project.yaml")
    yield from sampled(held, project, found.of_rows, [False] * len(held.rows)).rejected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(columns=frames(TEXTS, ""), sep=st.sampled_from(",;\t"))
def test_no_row_of_a_csv_file_is_rejected(tmp_path: Path, columns: dict[str, list[Any]], sep: str) -> None:
    held = read(csv_file(tmp_path / "a.csv", columns, delimiter=sep, quoting=1))
    assert list(loaded(held)) == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(columns=frames((*TEXTS, *TYPED), None))
def test_no_row_of_a_parquet_file_is_rejected(tmp_path: Path, columns: dict[str, list[Any]]) -> None:
    held = read(parquet_file(tmp_path / "a.parquet", columns))
    assert list(loaded(held)) == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(columns=frames((*TEXTS, *TYPED[:3], st.integers() | PLAIN, st.booleans() | st.none() | PLAIN), None))
def test_no_row_of_a_file_of_json_lines_is_rejected(tmp_path: Path, columns: dict[str, list[Any]]) -> None:
    held = read(jsonl_file(tmp_path / "a.jsonl", columns))
    assert list(loaded(held)) == []


# Real data

REAL = {
    "adult": ("income", "tabular", 14, {}),
    "bank_marketing": ("subscribed", "tabular", 17, {}),
    "credit_default": ("default_next_month", "tabular", 23, {}),
    "german_credit": ("credit_risk", "tabular", 21, {}),
    "elec2": ("price_up", "tabular", 6, {}),
    "banking77": ("label", "text", 1, {}),
    "sms_spam": ("label", "text", 1, {}),
    "fashion_mnist": ("label", "image", 1, {"label_name": 1.0}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_is_taken_for_what_it_is(shared_data: Path, name: str) -> None:
    label, kind, features, leaking = REAL[name]
    held = read(shared_data / name / "data.parquet", most=6_000)
    found = profile(held, label=label)
    assert (found.type, len(found.features), found.id) == (kind, features, "row_id")
    assert found.leaks == leaking
    share = sum(split(held, found, name)) / len(held.rows)
    assert 0.25 < share < 0.35


def test_a_table_is_given_back_as_rows_of_text(tmp_path: Path) -> None:
    found = shaped(tmp_path, {"x": many([1.5, 2.5])})
    assert found.table() == [
        ("x", "number", "numbers 1.5 to 2.5", "1.5"),
        ("outcome", "label", "the known answer, as named", "pay"),
    ]
    assert replace(found, labels=("a",)).labels == ("a",)


def test_labels_that_are_named_need_no_column_of_known_answers(tmp_path: Path) -> None:
    found = profile(table(tmp_path, {"x": many([1.5, 2.5])}), labels=("pay", "deny"))
    assert (found.label, found.labels, set(found.of_rows)) == (None, ("pay", "deny"), {None})


def test_a_column_that_tells_the_prediction_is_left_out_unless_kept(tmp_path: Path) -> None:
    chance = random.Random(3)
    shares = [round(chance.random(), 3) for _ in range(ROWS)]
    columns: dict[str, Any] = {
        "amount": [round(chance.random(), 3) for _ in range(ROWS)],
        "predicted": ["pay" if p > 0.5 else "deny" for p in shares],
        "points": [round(100 * p, 1) for p in shares],
        "p_pay": shares,
    }
    found = shaped(tmp_path, columns, probabilities=["p_pay"])
    assert [column.name for column in found.features] == ["amount"]
    assert [c.name for c in found.of("left out") if c.why.startswith("tells the prediction: alone it gives ")] == [
        "predicted", "points"
    ]  # fmt: skip
    assert sum("--keep predicted" in sentence for sentence in found.said) == 1
    kept = shaped(tmp_path, columns, probabilities=["p_pay"], keep=["points"])
    assert [column.name for column in kept.features] == ["amount", "points"]
    shown = shaped(tmp_path, columns, probabilities=["p_pay"], show=["predicted"])
    assert shown.of("show")
    assert any("predicted is shown, also to whoever" in sentence for sentence in shown.said)


def test_without_labels_a_column_that_tells_the_prediction_is_found_too(tmp_path: Path) -> None:
    chance = random.Random(4)
    shares = [round(chance.random(), 3) for _ in range(ROWS)]
    columns: dict[str, Any] = {
        "amount": [round(chance.random(), 3) for _ in range(ROWS)],
        "call": ["x" if p > 0.5 else "y" for p in shares],
        "p_pay": shares,
        "p_deny": [round(1 - p, 3) for p in shares],
    }
    found = profile(table(tmp_path, columns), probabilities=["p_pay", "p_deny"])
    assert [column.name for column in found.features] == ["amount"]

"""A file of unknown shape as a table."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from app.loading import LoadError
from app.starting import reading
from app.starting.reading import read
from tests.app.starting.making import csv_file, jsonl_file, parquet_file, png

COLUMNS = {"n": list(range(500)), "word": [f"w{n}" for n in range(500)]}
WRITERS = {"csv": csv_file, "jsonl": jsonl_file, "parquet": parquet_file}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_sample_is_drawn_evenly_and_again_the_same(tmp_path: Path, kind: str) -> None:
    file = WRITERS[kind](tmp_path / f"claims.{kind}", COLUMNS)
    drawn = Counter(found.number for seed in range(200) for found in read(file, most=50, seed=seed).rows)
    assert len(drawn) == 500
    assert 4 <= min(drawn.values()) <= max(drawn.values()) <= 42
    tenths = [sum(drawn[n] for n in range(1 + start, 51 + start)) for start in range(0, 500, 50)]
    assert min(tenths) > 850
    assert max(tenths) < 1150
    one, two = read(file, most=50, seed=7), read(file, most=50, seed=7)
    assert [found.number for found in one.rows] == [found.number for found in two.rows]
    assert [found.number for found in one.rows] == sorted(found.number for found in one.rows)
    assert one.total == 500
    assert one.said.endswith("; 500 rows, of which 50 drawn evenly are looked at")
    assert all(int(found.values["n"]) == found.number - 1 for found in one.rows)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_small_enough_is_read_whole(tmp_path: Path, kind: str) -> None:
    table = read(WRITERS[kind](tmp_path / f"claims.{kind}", COLUMNS))
    assert table.columns == ("n", "word")
    assert len(table.rows) == table.total == 500
    assert table.values("word")[:2] == ["w0", "w1"]
    assert table.source.name_of(table.rows[2]).endswith("-3")


def test_rows_of_many_groups_of_a_parquet_file(tmp_path: Path) -> None:
    file = parquet_file(tmp_path / "claims.parquet", COLUMNS, row_group_size=7)
    seen: list[float] = []
    table = read(file, most=20, progress=lambda share, _: seen.append(share))
    assert [found.values["n"] + 1 for found in table.rows] == [found.number for found in table.rows]
    assert seen[-1] == 1.0


def test_broken_rows_are_counted_and_told(tmp_path: Path) -> None:
    file = tmp_path / "claims.csv"
    file.write_text("a,b\n1,2\n3\n" + "4,5\n" * 20 + "6\n" * 9)
    table = read(file)
    assert (table.total, table.broken_count, len(table.broken)) == (21, 10, 5)
    assert (table.broken[0].place, table.broken[0].problem) == (3, "has 1 cells where the header has 2")
    file.write_text("sep=,\na,b\n1\n")
    with pytest.raises(LoadError, match=r"no row of .* can be read; the first, at 3, has 1 cells"):
        read(file)
    lines = tmp_path / "claims.jsonl"
    lines.write_text('{"a": 1}\nno json\n{"a": 2, "b": 3}\n')
    table = read(lines)
    assert (table.columns, table.broken_count) == (("a", "b"), 1)
    assert table.values("b") == [None, 3]


def test_nested_values_are_named_and_left_out(tmp_path: Path) -> None:
    table = {"a": [1, 2], "list": [[1], [2]], "struct": [{"x": 1}, {"x": 2}], "image": [{"bytes": png(1), "path": None}] * 2}
    read_back = read(parquet_file(tmp_path / "a.parquet", table))
    assert read_back.columns == ("a", "image")
    assert read_back.unread["list"] == "holds nested values (list<element: int64>)"
    rows = read(jsonl_file(tmp_path / "a.jsonl", {"a": [1, 2], "list": [None, [2]], "object": [{"x": 1}, None]}))
    assert (rows.columns, rows.unread) == (("a",), {"list": "holds lists", "object": "holds objects"})
    with pytest.raises(LoadError, match="--time list: this column holds lists, so it cannot be used"):
        read(tmp_path / "a.jsonl", time="list")


def test_the_row_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=[5, 9])
    frame.to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").columns == ("a",)
    frame.to_csv(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv").unread == {"": "has no name"}
    frame.rename_axis("claim_id").to_parquet(tmp_path / "b.parquet")
    named = read(tmp_path / "b.parquet")
    assert named.columns == ("a", "claim_id")
    assert named.dtypes == {"a": "int64", "claim_id": "int64"}


def test_dtypes_are_those_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "float": [1.5, None, 2.0],
            "gap": pd.Series([1, None, 3], dtype="float64"),
            "text": ["a", "b", None],
            "flag": [True, False, True],
            "kind": pd.Categorical(["x", "y", "x"]),
            "when": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    wanted = {name: str(dtype) for name, dtype in pd.read_parquet(tmp_path / "a.parquet").dtypes.items()}
    assert read(tmp_path / "a.parquet").dtypes == wanted
    for how in ({}, {"sep": ";", "decimal": ","}, {"sep": "\t"}):
        frame.to_csv(tmp_path / "a.csv", index=False, **how)  # type: ignore[call-overload]
        wanted = {name: str(dtype) for name, dtype in pd.read_csv(tmp_path / "a.csv", **how).dtypes.items()}
        assert read(tmp_path / "a.csv").dtypes == wanted
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    wanted = {name: str(dtype) for name, dtype in pd.read_json(tmp_path / "a.jsonl", lines=True).dtypes.items()}
    assert read(tmp_path / "a.jsonl").dtypes == wanted


def test_a_gap_outside_the_sample_still_makes_a_column_of_floats(tmp_path: Path) -> None:
    held = pa.table({"n": pa.array([None, *range(5_000)], pa.int64())})
    parquet.write_table(held, tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet", most=10, seed=3)
    assert None not in table.values("n")
    assert table.dtypes == {"n": "float64"}


def test_images_bound_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0)
    file = parquet_file(tmp_path / "a.parquet", {"n": list(range(100)), "image": [noise.bytes(10_000) for _ in range(100)]})
    assert len(read(file).rows) == 100
    monkeypatch.setattr(reading, "MOST_BYTES", 200_000)
    table = read(file)
    assert 15 <= len(table.rows) <= 20
    assert table.total == 100


def test_a_folder_of_images_with_a_folder_per_label(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for n in range(3):
            (tmp_path / "pets" / label / f"{n}.png").write_bytes(png(n))
    (tmp_path / "pets" / "dog" / "notes.txt").write_text("no picture")
    table = read(tmp_path / "pets")
    assert table.columns == ("image", "label")
    assert Counter(table.values("label")) == {"cat": 3, "dog": 3}
    assert table.values("image")[0] == "cat/0.png"
    assert (table.broken_count, table.broken[0].problem) == (1, "is no image (.txt)")
    (tmp_path / "pets" / "cat").rename(tmp_path / "pets" / "train")
    (tmp_path / "pets" / "dog").rename(tmp_path / "pets" / "test")
    with pytest.raises(LoadError, match="are test, train, which are no labels; give one of them"):
        read(tmp_path / "pets")


def test_items_as_they_are_posted_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"external_id": "1", "input": {"a": 1}}) + "\n")
    with pytest.raises(LoadError, match="write the fields of the input side by side"):
        read(file)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="there is no file"):
        read(tmp_path / "no.csv")
    empty = parquet_file(tmp_path / "none.parquet", {"a": pa.array([], pa.int64())})
    with pytest.raises(LoadError, match="holds no rows"):
        read(empty)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(LoadError, match="is not a Parquet file that can be read"):
        read(tmp_path / "bad.parquet")
    file = csv_file(tmp_path / "a.csv", {"opened_at": [datetime(2026, 1, 1)], "b": [1]})
    with pytest.raises(LoadError, match=r"--time opend_at: .* has no such column; nearest is opened_at"):
        read(file, time="opend_at")

"""How the cells of a CSV file are written, found and said."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loading.dialects import Dialect, detect
from app.loading.items import Rows
from app.loading.media import Media
from app.loading.sources import Found, source_of
from contract.inputs import check_input
from contract.project import Project

PLAIN = [["a", "b", "c"], ["1", "x y", "2"], ["3", "z", "4"]]


def rows_of(folder: Path, text: str | bytes) -> tuple[list[Found], str]:
    file = folder / "file.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = source_of(file)
    return list(source.rows()), source.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,x y,2\n3,z,4\n", "separated by ,"),
        ("a;b;c\n1;x y;2\n3;z;4\n", "separated by ;"),
        ("a\tb\tc\n1\tx y\t2\n3\tz\t4\n", "separated by tabs"),
        ("a|b|c\n1|x y|2\n3|z|4\n", "separated by |"),
        ("a:b:c\n1:x y:2\n3:z:4\n", "separated by :"),
        ("sep=;\na;b;c\n1;x y;2\n3;z;4\n", "separated by ;"),
        ("sep=^\r\na^b^c\r\n1^x y^2\r\n3^z^4\r\n", "separated by ^"),
        ("\n\na,b,c\n1,x y,2\n3,z,4\n", "separated by ,"),
        ("a, b, c\n1, x y, 2\n3, z, 4\n", "separated by ,, spaces after it"),
        ('a, b, c\n1, "x y", 2\n3, "z", 4\n', "separated by ,, spaces after it"),
        ("a,b,c,\n1,x y,2,\n3,z,4,\n", "separated by ,"),
        ("a;b;c\n1;x y;2;\n3;z;4;\n", "separated by ;"),
        ("'a','b','c'\n'1','x y','2'\n'3','z','4'\n", "separated by ,, quoted by '"),
        ('"a";"b";"c"\r\n"1";"x y";"2"\r\n"3";"z";"4"\r\n', "separated by ;"),
        ("a,b,c\r1,x y,2\r3,z,4\r", "separated by ,"),
    ],
)
def test_every_dialect_gives_the_same_rows(tmp_path: Path, text: str, said: str) -> None:
    rows, told = rows_of(tmp_path, text)
    assert [list(found.values) for found in rows] == [PLAIN[0]] * 2
    assert [list(found.values.values()) for found in rows] == PLAIN[1:]
    assert told == f"CSV, UTF-8, {said}"


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a,b\n1,"say ""no"", twice"\n', ["1", 'say "no", twice']),
        ('a,b\n1,"say \\"no\\", twice"\n', ["1", 'say "no", twice']),
        ('a,b\n1,C:\\new\n2,"D:\\"\n', ["1", "C:\\new"]),
        ("'a';'b'\n'1';'it''s; here'\n", ["1", "it's; here"]),
        ("a,b\n1,'tis so\n2,'twas\n", ["1", "'tis so"]),
        ('a,b\n1,"two\nlines"\n', ["1", "two\nlines"]),
        ("a;b\n1;Doe, John\n2;Roe, Jane\n", ["1", "Doe, John"]),
        ("when;what\n12:30;a, b\n12:40;c\n", ["12:30", "a, b"]),
        ("text\nshort, and with a comma\nlonger, with two, commas\n", ["short, and with a comma"]),
        ("a;b\n12,5;1.234,56\n7,1;8,0\n", ["12,5", "1.234,56"]),
    ],
)
def test_cells_stay_whole(tmp_path: Path, text: str, cells: list[str]) -> None:
    rows, _ = rows_of(tmp_path, text)
    assert list(rows[0].values.values()) == cells
    assert all(found.problem is None for found in rows)


def test_lines_are_counted_from_the_first_of_the_file(tmp_path: Path) -> None:
    rows, _ = rows_of(tmp_path, 'sep=;\na;b\n1;"x\ny"\n2;z;3\n\n4;w\n')
    assert [(found.place, found.problem) for found in rows] == [
        (3, None),
        (5, "has 3 cells where the header has 2"),
        (7, None),
    ]


@pytest.mark.parametrize(
    ("text", "comma"),
    [
        ("a;b\n12,5;1.234\n", True),
        ("a;b\n1.234,56;x\n", True),
        ("a;b\n12,5;1.5\n", False),
        ("a;b\n12,5;0.123\n", False),
        ("a;b\n1.234;x\n", False),
        ('a,b\n"12,5",x\n', True),
        ("a;b\n1,2,3;x\n", False),
    ],
)
def test_a_decimal_comma_is_one_where_no_point_is(text: str, comma: bool) -> None:
    assert detect(text.splitlines(keepends=True)).decimal_comma == comma


def test_known_names_decide_where_both_would_do() -> None:
    lines = ["amount;region,claim;id\n", "1;2,3;4\n"]
    assert detect(lines, {"region,claim"}).delimiter == ";"
    assert detect(lines, {"amount;region"}).delimiter == ","


def test_numbers_with_a_decimal_comma_are_numbers(tmp_path: Path) -> None:
    project = Project.model_validate(
        {
            "project": "p",
            "input": {"type": "tabular", "features": {"x": {"type": "number"}, "y": {"type": "category"}}},
            "labels": ["a", "b"],
            "model": {"uri": "external"},
        }
    )
    file = tmp_path / "file.csv"
    file.write_text("x;y\n1.234,56;1,5\n-7,5;2,5\n12.000;3,5\n;4,5\n8;5,5\n")
    source = source_of(file, project)
    items = [Rows(source, project).item(found, Media(tmp_path))[0] for found in source.rows()]
    assert [check_input(project, item["input"])["x"] for item in items] == [1234.56, -7.5, 12000.0, None, 8.0]
    assert items[0]["input"]["y"] == "1,5"


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip)


@given(
    cells=st.lists(st.tuples(CELL, CELL, CELL), min_size=3, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_quoted_is_read_back(cells: list[tuple[str, str, str]], delimiter: str, end: str) -> None:
    held = io.StringIO()
    writer = csv.writer(held, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([("first", "second", "third"), *(("1", *row[1:]) for row in cells)])
    found = detect(io.StringIO(held.getvalue(), newline="").readlines())
    assert (found.delimiter, found.quote) == (delimiter, '"')
    read = list(found.reader(io.StringIO(held.getvalue(), newline="")))
    assert read[1:] == [["1", *row[1:]] for row in cells]


def test_an_empty_file_of_blank_lines_has_the_plainest_dialect() -> None:
    assert detect([]) == Dialect()
    assert detect(["\n"]).delimiter == ","


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("w") as handle:
        handle.write("claim;amount;region;words\n")
        for n in range(300_000):
            handle.write(f"c{n};{n % 977},5;region {n % 7};some words that make the row a little longer\n")
    tracemalloc.start()
    try:
        count = sum(1 for _ in source_of(file).rows())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 300_000
    assert most < file.stat().st_size / 3

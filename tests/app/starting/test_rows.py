"""The rows of a file as a project takes them."""

from pathlib import Path

import pytest

from app.starting import profile as profiles
from app.starting import rows
from app.starting.reading import Table, read
from app.starting.rows import Sampled
from contract.project import Project
from tests.app.starting.making import Columns, csv_file, png


def project(kind: str = "tabular", **features: str) -> Project:
    held = {name: {"type": each} for name, each in features.items()}
    given = {"type": kind, "id": "claim_id", "features": held}
    return Project.model_validate({"project": "claims", "input": given, "labels": ["pay", "deny"], "model": {"uri": "external"}})


CLAIMS: Columns = {
    "claim_id": ["a", "b", "b", "c", "d"],
    "amount": [1, 2, 3, "much", 5],
    "outcome": ["pay", "deny", "pay", "pay", ""],
}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return read(csv_file(tmp_path / "claims.csv", CLAIMS))


@pytest.fixture
def held(table: Table) -> Sampled:
    return rows.sampled(table, project(amount="number"), ["pay", "deny", "pay", "pay", None], [False, True, False, False, True])


def test_rows_by_what_they_are_for(held: Sampled) -> None:
    assert [row.external_id for row in held.rows] == ["a", "b", "d"]
    assert [row.external_id for row in held.learned()] == ["a"]
    assert [row.external_id for row in held.held()] == ["b"]
    assert held.inputs(held.rows) == ({"amount": 1}, {"amount": 2}, {"amount": 5})


def test_what_is_wrong_with_the_others_is_said_with_their_place(held: Sampled) -> None:
    twice, much = held.rejected
    assert "the id 'b' came before" in twice
    assert twice.startswith("row 4")
    assert "must be a number" in much
    assert much.startswith("row 5")


def test_as_many_labels_as_rows(table: Table) -> None:
    with pytest.raises(ValueError, match="shorter"):
        rows.sampled(table, project(amount="number"), ["pay"], [True])


def test_images_become_bytes_again(tmp_path: Path) -> None:
    for label, shade in (("cat", 10), ("dog", 200)):
        (tmp_path / "animals" / label).mkdir(parents=True)
        (tmp_path / "animals" / label / "1.png").write_bytes(png(shade))
    (tmp_path / "animals" / "dog" / "2.png").write_bytes(b"no image")
    table = read(tmp_path / "animals")
    found = profiles.profile(table)
    given = {"type": "image", "features": {"image": {"type": "image"}}}
    made = Project.model_validate({"project": "p", "input": given, "labels": ["cat", "dog"], "model": {"uri": "external"}})
    held = rows.sampled(table, made, found.of_rows, [True] * 3)
    assert [row["image"] for row in held.inputs(held.rows)] == [png(10), png(200)]
    assert [row.label for row in held.rows] == ["cat", "dog"]
    assert len(held.files) == 2
    (bad,) = held.rejected
    assert "2.png" in bad

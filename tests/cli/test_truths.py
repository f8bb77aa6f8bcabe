"""`signoff item truth`: files of what proved true, and everything that can be wrong with one."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import select

from app.loading import truths as reading
from app.workspace import Workspace
from db.tables import ItemKey, Truth
from tests.cli.conftest import Signoff


@pytest.fixture
def loaded(claims: Signoff, tmp_path: Path) -> Signoff:
    """Three claims."""
    file = tmp_path / "claims.csv"
    file.write_text("claim_id,amount,region\nc1,1,north\nc2,2,south\nc3,3,east\n")
    claims("item", "load", file)
    return claims


def kept(workspace: Workspace) -> list[tuple[str, str | None, datetime, str | None]]:
    query = select(ItemKey.external_id, Truth.label, Truth.known_at, Truth.source).join(Truth, Truth.item_id == ItemKey.item_id)
    return workspace.database.read(lambda session: [tuple(row) for row in session.execute(query.order_by(Truth.id))])


def test_a_file_is_told_once_and_bad_rows_are_told(loaded: Signoff, workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "back.csv"
    file.write_text(
        "claim_id;outcome;booked on\nc1;deny;24.11.2025\nnobody;pay;24.11.2025\nc2;payed;24.11.2025\nc2;;\n"
        "c3;pay;soon\nc3;pay;2025-12-01\n"
    )
    args = ("item", "truth", file, "--label", "outcome", "--at", "booked on", "--source", "chargeback")
    first = loaded.json(*args)
    assert (first["kept"], first["known"], first["rejected"], first["conflicts"]) == (2, 0, 4, 0)
    reasons = [json.loads(line)["reason"] for line in Path(first["rejected_file"]).read_text().splitlines()]
    assert sorted(reason.split(":")[0] for reason in reasons) == [
        "Motor claims has no claim 'nobody'; send the item first",
        "known_at",
        "label",
        "outcome",
    ]
    assert next(reason for reason in reasons if reason.startswith("label")).endswith("nearest is pay")
    again = loaded.json(*args)
    assert (again["kept"], again["known"]) == (0, 2)
    assert kept(workspace) == [
        ("c1", "deny", datetime(2025, 11, 24, tzinfo=UTC), "chargeback"),
        ("c3", "pay", datetime(2025, 12, 1, tzinfo=UTC), "chargeback"),
    ]


def test_a_load_that_was_cut_off_goes_on(
    loaded: Signoff, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH", 1)
    file = tmp_path / "t.jsonl"
    file.write_text("".join(f'{{"claim_id": "c{n}", "label": "pay"}}\n' for n in (1, 2, 3)))
    keep = reading.truths.keep

    def dies(session, setting, told, *, by):  # type: ignore[no-untyped-def]
        if told[0].external_id == "c2":
            raise KeyboardInterrupt
        return keep(session, setting, told, by=by)

    monkeypatch.setattr(reading.truths, "keep", dies)
    loaded("item", "truth", file, code=130)
    monkeypatch.setattr(reading.truths, "keep", keep)
    found = loaded.json("item", "truth", file)
    assert (found["kept"], found["known"]) == (2, 1)
    assert [row[0] for row in kept(workspace)] == ["c1", "c2", "c3"]


def test_parquet_has_dates_and_other_labels_are_told(loaded: Signoff, workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    rows = [
        {"external_id": "c1", "label": "pay", "known_at": date(2025, 1, 2)},
        {"external_id": "c1", "label": "deny", "known_at": date(2025, 1, 3)},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), file)
    result = loaded("item", "truth", file)
    assert "2 kept, 0 known already, 0 rejected" in result.stdout
    assert "c1: 'pay' was told as of 2025-01-02; 'deny' stands" in result.stderr
    assert kept(workspace)[1][2] == datetime(2025, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("claim_id,outcom\nc1,pay\n", ["--label", "outcome"], "no column 'outcome'"),
        ("claim,label\nc1,pay\n", [], "no column 'claim_id'"),
        ("claim_id,label\nc1,pay\n", ["--at", "when"], "no column 'when'"),
        ("", [], "is empty"),
        ("claim_id,label\n", [], "no rows below it"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(loaded: Signoff, tmp_path: Path, text: str, args: list[str], said: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    assert said in loaded.refused("item", "truth", file, *args)


def test_a_folder_is_no_file_of_truths(loaded: Signoff, tmp_path: Path) -> None:
    assert "is a folder; give a file with a row for each claim" in loaded.refused("item", "truth", tmp_path)


def test_nothing_taken_is_an_error(loaded: Signoff, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("claim_id,label\nx,pay\n")
    assert "1 rejected" in loaded("item", "truth", file, code=1).stdout

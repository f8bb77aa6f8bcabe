"""`signoff item load`: every kind of file, and everything that can be wrong with one."""

import hashlib
import io
import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from sqlalchemy import func, select

from app import loading
from app.loading import loader
from app.workspace import Workspace
from contract.policy import Intake
from db import blobs
from db.tables import Activity, Blob, Item
from review_queue import find, projects
from tests.cli.conftest import Signoff

HEAD = "claim_id,amount,region,fraud,note,page,pages,sex,person_id,opened_at\n"
GOOD = 'c1,12.5,north,yes,a note,https://a.example/1,"[""https://a.example/2""]",f,p7,2026-01-02\n'
IMAGES = """\
project: digits
input: {type: image}
labels: [zero, one]
model: {uri: "registry:digits@champion"}
"""


def record(workspace: Workspace, external_id: str, project: str = "claims") -> find.Record:
    setting = workspace.database.read(projects.get, project)
    return workspace.database.read(find.record, setting, external_id, by=workspace.local_actor("cli"))


def count(workspace: Workspace, table: Any = Item) -> int:
    return workspace.database.read(lambda session: session.scalar(select(func.count()).select_from(table)) or 0)


def rejected(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (file.parent / f"{file.name}.rejected.jsonl").read_text().splitlines()]


def written(folder: Path, text: str | bytes, name: str = "claims.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_a_csv_file_goes_in_once(claims: Signoff, workspace: Workspace, files: Path) -> None:
    file = written(files, HEAD + GOOD + "c2,3,south,,,,,,,\n")
    said = "CSV, UTF-8, separated by ,"
    loaded = {"added": 2, "known": 0, "rejected": 0, "rejected_file": None, "left_out": [], "said": said}
    assert claims.json("item", "load", file) == loaded
    assert f"claims.csv was read as {said}\n" in claims("item", "load", file).stderr
    assert claims("item", "load", file).stdout == "claims: 0 added, 2 known already, 0 rejected\n"
    held = record(workspace, "c1")
    assert held.input == {"amount": 12.5, "region": "north", "fraud": True, "note": "a note", "opened_at": "2026-01-02"}
    assert held.show == {"page": "https://a.example/1", "pages": ["https://a.example/2"]}
    assert held.groups == {"sex": "f"}
    assert record(workspace, "c2").input == {"amount": 3, "region": "south", "fraud": None, "note": None}


def test_who_loaded_what_is_kept(claims: Signoff, workspace: Workspace, files: Path) -> None:
    file = written(files, HEAD + GOOD)
    claims("item", "load", file)
    claims("item", "load", file)
    query = select(Activity.after).where(Activity.verb == "item.load")
    assert workspace.database.read(lambda session: list(session.scalars(query))) == [{"file": "claims.csv"}]


def test_bad_rows_go_to_a_file_and_the_rest_goes_in(claims: Signoff, files: Path) -> None:
    file = written(
        files,
        "claim_id,amount,region\n"
        "c1,12,north\n"
        "c2,twelve,north\n"
        "c3,-inf,north\n"
        "\n"
        "c4,1\n"
        "c5,1,north,more\n"
        ",1,north\n"
        'c6,1,"two\nlines"\n'
        "c7,inf,north\n"
        "c1,13,north\n"
        "c1,12,north\n"
        'c8,1,"north"x\n'
        "c9,1,north\n",
    )
    result = claims("item", "load", file)
    assert "claims: 3 added, 1 known already, 8 rejected" in result.stdout
    assert f"8 rows could not be taken; each stands with its reason in {file}.rejected.jsonl" in result.stderr
    rows = rejected(file)
    reasons = {row["line"]: row["reason"] for row in rows}
    assert reasons[3] == "input.amount: must be a number, not text 'twelve'"
    assert "-inf is not a number that can be scored" in reasons[4]
    assert reasons[6] == "has 2 cells where the header has 3"
    assert reasons[7] == "has 4 cells where the header has 3"
    assert reasons[8].startswith("external_id: None is no id")
    assert "inf is not a number that can be scored" in reasons[11]
    assert "came with other content before" in reasons[12]
    assert reasons[14].startswith("cannot be read: ")
    assert next(row["row"] for row in rows if row["line"] == 3) == {"claim_id": "c2", "amount": "twelve", "region": "north"}


def test_an_old_file_of_rejected_rows_goes_when_the_rows_are_mended(claims: Signoff, files: Path) -> None:
    file = written(files, "claim_id,amount,region\nc1,x,north\nc2,1,north\n")
    claims("item", "load", file)
    assert len(rejected(file)) == 1
    written(files, "claim_id,amount,region\nc1,1,north\nc2,1,north\n")
    assert claims.json("item", "load", file)["added"] == 1
    assert not (files / "claims.csv.rejected.jsonl").exists()


def test_nothing_taken_is_an_error(claims: Signoff, files: Path) -> None:
    file = written(files, "claim_id,amount,region\nc1,x,north\n")
    claims("item", "load", file, code=1)
    assert claims.json("item", "load", file, code=1)["rejected"] == 1


def test_unknown_columns_are_named_once(claims: Signoff, files: Path) -> None:
    file = written(files, "claim_id,amount,region,label,weight,\n" + "".join(f"c{n},1,north,pay,2,\n" for n in range(5)))
    result = claims("item", "load", file)
    assert "left out, since the project names them nowhere" in result.stderr
    assert result.stderr.count("label") == 1
    assert claims.json("item", "load", file)["left_out"] == ["label", "weight"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty: there is not even a header in it"),
        (b"claim_id,amount,region\n", "has a header and no rows below it"),
        (b"claim_id,amount,region\n\n\n", "has a header and no rows below it"),
        (b"claim_id,amout,region\nc1,1,north\n", "has no column 'amount', which claims needs; nearest is amout"),
        (b"amount,region\n1,north\n", "has no column 'claim_id', which claims needs"),
        (b"a,b\n1,2\n", "has no column 'claim_id' (and amount, region), which claims needs; known: a, b"),
        (b"claim_id,amount,region,amount\nc1,1,north,2\n", "has two columns called 'amount'; rename or drop one"),
        (b"sep=,\nclaim_id,'amount'x,\"region\"y\nc1,1,north\n", "the header of {file} cannot be read"),
        (b"\x00\x00\x00\x01" * 9, "holds NUL bytes: it is no text"),
        ("claim_id,amount,region\nc1,1,Köln\nc2,1,".encode() + b"K\xf6ln\n", "is not UTF-8 (the byte 0xf6 in or after line 3"),
        (b"\xff\xfec\x00l\x00\x00\xd8", "is not UTF-16"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(
    claims: Signoff, workspace: Workspace, files: Path, text: bytes, said: str
) -> None:
    file = written(files, text)
    assert said.format(file=file) in claims.refused("item", "load", file)
    assert count(workspace) == 0


def test_a_byte_that_breaks_utf_8_far_into_a_file_takes_nothing(claims: Signoff, workspace: Workspace, files: Path) -> None:
    rows = "".join(f"c{n},1,Köln\n" for n in range(100_000))
    file = written(files, f"claim_id,amount,region\n{rows}".encode() + b"last,1,K\xf6ln\n")
    assert "line 100002 is none of it); mend it, or save the file as UTF-8" in claims.refused("item", "load", file)
    assert count(workspace) == 0


def test_windows_letters_far_into_a_file_are_found_before_anything_is_taken(
    claims: Signoff, workspace: Workspace, files: Path
) -> None:
    rows = "".join(f"c{n};1,5;north\r\n" for n in range(5_000))
    file = written(files, f"claim_id;amount;region\r\n{rows}last;2,5;Köln\r\n".encode("cp1252"))
    loaded = claims.json("item", "load", file)
    assert (loaded["added"], loaded["rejected"]) == (5_001, 0)
    assert loaded["said"].startswith("CSV, Windows-1252 (guessed by its letters;")
    assert loaded["said"].endswith("separated by ;, decimal comma")
    held = record(workspace, "last").input
    assert (held["region"], held["amount"]) == ("Köln", 2.5)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_marks_are_understood(claims: Signoff, workspace: Workspace, files: Path, encoding: str, newline: str) -> None:
    claims("item", "load", written(files, newline.join(("claim_id,amount,region", "c1,1,Köln", "")).encode(encoding)))
    assert record(workspace, "c1").input["region"] == "Köln"


@pytest.mark.parametrize("mark", [",", ";", "\t", "|", ":"])
def test_what_separates_columns_is_found(claims: Signoff, workspace: Workspace, files: Path, mark: str) -> None:
    text = "claim_id,amount,region\nc1,1,north\n".replace(",", mark)
    claims("item", "load", written(files, text, "claims.tsv" if mark == "\t" else "claims.csv"))
    assert record(workspace, "c1").input["region"] == "north"


def test_a_quote_that_never_closes_is_one_bad_row(claims: Signoff, files: Path) -> None:
    file = written(files, 'claim_id,amount,region\nc1,1,north\nc2,1,"north\n')
    assert claims.json("item", "load", file)["added"] == 1
    (row,) = rejected(file)
    assert row["line"] == 3
    assert "unexpected end of data" in row["reason"]


def test_a_renamed_feature_is_taken_under_its_old_name(claims: Signoff, workspace: Workspace, files: Path) -> None:
    claims("item", "load", written(files, "claim_id,amount,region,remark\nc1,1,north,old\n"))
    assert record(workspace, "c1").input["note"] == "old"


def test_rows_without_ids_are_named_by_file_and_number(signoff: Signoff, files: Path) -> None:
    text = (files / "project.yaml").read_text().replace("  id: claim_id\n", "")
    (files / "project.yaml").write_text(text)
    signoff("project", "apply", files)
    file = written(files, "amount,region\n1,north\n1,north\n")
    assert signoff.json("item", "load", file)["added"] == 2
    assert signoff.json("item", "load", file)["known"] == 2
    sha = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert signoff.json("item", "show", f"{sha}-2")["external_id"] == f"{sha}-2"
    named = written(files, "external_id,amount,region\nmine,1,north\n", "named.csv")
    signoff("item", "load", named)
    assert signoff.json("item", "show", "mine")["state"] == "received"


def test_json_lines_flat_and_as_the_api_takes_them(claims: Signoff, workspace: Workspace, files: Path) -> None:
    flat = {"claim_id": 1, "amount": 1, "region": "north", "fraud": False, "pages": ["https://a.example"], "other": 1}
    whole = {"external_id": "two", "input": {"amount": 2, "region": "south"}, "groups": {"sex": "m"}}
    lines = [json.dumps(flat), "", json.dumps(whole), "[1]", "{", "x" * 50, json.dumps({"claim_id": 3, "amount": "much"})]
    file = written(files, "\n".join(lines), "claims.jsonl")
    loaded = claims.json("item", "load", file)
    assert (loaded["added"], loaded["rejected"], loaded["left_out"]) == (2, 4, ["other"])
    assert record(workspace, "1").show == {"pages": ["https://a.example"]}
    assert record(workspace, "two").groups == {"sex": "m"}
    reasons = [row["reason"] for row in rejected(file)]
    assert reasons[0] == "is not a JSON object with a name for each value"
    assert reasons[1].startswith("is not JSON: ")
    assert reasons[3] == "input.amount: must be a number, not text 'much'"


def test_numbers_beyond_what_can_be_scored_are_one_bad_row(claims: Signoff, files: Path) -> None:
    huge = (
        f'{{"claim_id": "a", "amount": 1{"0" * 400}, "region": "north"}}\n{{"claim_id": "b", "amount": 1, "region": "north"}}\n'
    )
    file = written(files, huge, "claims.jsonl")
    assert claims.json("item", "load", file)["added"] == 1
    assert "beyond 2^53" in rejected(file)[0]["reason"]


def test_a_json_array_is_told(claims: Signoff, files: Path) -> None:
    assert "is one JSON array; write one object a line" in claims.refused("item", "load", written(files, "[{}]", "claims.json"))


def test_parquet(claims: Signoff, workspace: Workspace, files: Path) -> None:
    table = pa.table(
        {
            "claim_id": [1, 2, 3],
            "amount": pa.array([Decimal("1.50"), Decimal("2.00"), None]),
            "region": pa.array(["north", None, "south"]).dictionary_encode(),
            "fraud": [True, None, False],
            "opened_at": [date(2026, 1, 2), None, None],
            "pages": [["https://a.example"], [], None],
        }
    )
    file = files / "claims.parquet"
    parquet.write_table(table, file)
    assert claims.json("item", "load", file)["added"] == 3
    assert claims.json("item", "load", file)["known"] == 3
    held = record(workspace, "1")
    assert held.input == {"amount": 1.5, "region": "north", "fraud": True, "note": None, "opened_at": "2026-01-02"}
    assert record(workspace, "2").input["region"] is None


def test_bad_parquet_is_told(claims: Signoff, files: Path) -> None:
    said = claims.refused("item", "load", written(files, b"PAR1 nothing", "claims.parquet"))
    assert "is not a Parquet file that can be read" in said
    parquet.write_table(pa.table({"claim_id": ["a"], "amount": [float("inf")], "region": ["north"]}), files / "inf.parquet")
    claims("item", "load", files / "inf.parquet", code=1)
    assert "inf is not a number that can be scored" in rejected(files / "inf.parquet")[0]["reason"]
    parquet.write_table(pa.table({"claim_id": ["a"], "amount": [1.0]}), files / "less.parquet")
    assert "has no column 'region'" in claims.refused("item", "load", files / "less.parquet")
    parquet.write_table(pa.table({"claim_id": [], "amount": [], "region": []}), files / "none.parquet")
    assert "holds no rows" in claims.refused("item", "load", files / "none.parquet")


def test_other_kinds_of_files_are_told(claims: Signoff, files: Path, tmp_path: Path) -> None:
    assert "is none of the kinds that can be loaded: CSV" in claims.refused("item", "load", written(files, "x", "claims.xlsx"))
    assert "there is no file" in claims.refused("item", "load", tmp_path / "nowhere.csv")
    assert "is a folder of images, but claims takes tabular" in claims.refused("item", "load", files)


def test_what_stands_for_a_missing_value_is_missing_where_it_can_be_no_value(
    claims: Signoff, workspace: Workspace, files: Path
) -> None:
    head = "claim_id,amount,region,fraud,opened_at\n"
    file = written(files, head + "c1,n/a,unknown,?,-\nc2,NaN,n/a,NULL,24.11.2026\n")
    assert claims.json("item", "load", file)["added"] == 2
    assert record(workspace, "c1").input == {"amount": None, "region": "unknown", "fraud": None, "note": None}
    assert (record(workspace, "c2").input["region"], record(workspace, "c2").input["opened_at"]) == ("n/a", "2026-11-24")
    table = {"claim_id": ["c3"], "amount": ["12.5"], "region": ["x"], "fraud": ["yes"], "opened_at": [1_700_000_000]}
    parquet.write_table(pa.table(table), files / "claims.parquet")
    parquet.write_table(pa.table({**table, "claim_id": ["c4"], "amount": [float("nan")]}), files / "nan.parquet")
    assert claims.json("item", "load", files / "claims.parquet")["added"] == 1
    assert claims.json("item", "load", files / "nan.parquet")["added"] == 1
    held = record(workspace, "c3").input
    assert (held["amount"], held["fraud"], held["opened_at"]) == (12.5, True, "2023-11-14T22:13:20+00:00")
    assert record(workspace, "c4").input["amount"] is None


@pytest.fixture
def digits(signoff: Signoff, tmp_path: Path) -> Signoff:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "project.yaml").write_text(IMAGES)
    (folder / "policy.yaml").write_text("autonomy: set\n")
    signoff("project", "apply", folder)
    return signoff


def png(shade: int, size: int = 16, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("L", (size, size), shade).save(held, kind)
    return held.getvalue()


def test_a_folder_of_images(digits: Signoff, workspace_of: Any, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(png(0))
    (folder / "deep" / "b.jpg").write_bytes(png(200, 64, "JPEG"))
    (folder / "broken.png").write_bytes(png(9)[:40])
    (folder / "text.txt").write_text("no image")
    (folder / ".hidden").write_text("passed over")
    Image.new("1", (9000, 6000)).save(folder / "large.png")
    with (folder / "heavy.png").open("wb") as handle:
        handle.truncate(blobs.MOST + 1)
    result = digits("item", "load", folder)
    assert "digits: 2 added, 0 known already, 4 rejected" in result.stdout
    reasons = {row["line"]: row["reason"] for row in rejected(folder)}
    assert set(reasons) == {"broken.png", "text.txt", "large.png", "heavy.png"}
    assert "54 megapixels; at most 50 are taken" in reasons["large.png"]
    assert "at most 33,554,432 are taken" in reasons["heavy.png"]
    assert digits.json("item", "load", folder)["known"] == 2
    held = record(workspace_of(digits), "deep/b.jpg", "digits").input["image"]["blob"].removeprefix("sha256:")
    data, media_type = workspace_of(digits).database.read(blobs.get, held)
    assert (data, media_type) == ((folder / "deep" / "b.jpg").read_bytes(), "image/jpeg")


def test_images_named_by_rows_lie_beside_the_file(digits: Signoff, workspace_of: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0))
    file = written(
        tmp_path, "external_id,image\none,a.png\ntwo,../digits/a.png\nthree,/etc/hostname\nfour,no.png\n", "digits.csv"
    )
    assert digits.json("item", "load", file)["added"] == 1
    reasons = {row["row"]["external_id"]: row["reason"] for row in rejected(file)}
    assert "lies outside" in reasons["two"]
    assert "lies outside" in reasons["three"]
    assert "'no.png' cannot be read: No such file" in reasons["four"]
    parquet.write_table(pa.table({"external_id": ["raw"], "image": [png(7)]}), tmp_path / "raw.parquet")
    assert digits.json("item", "load", tmp_path / "raw.parquet")["added"] == 1
    assert count(workspace_of(digits), Blob) == 2


def test_an_empty_folder_is_told(digits: Signoff, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "holds no rows" in digits.refused("item", "load", tmp_path / "images")


def test_a_load_that_broke_off_is_finished_by_repeating_it(
    claims: Signoff, workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH", 10)
    file = written(files, "claim_id,amount,region\n" + "".join(f"c{n},1,north\n" for n in range(35)))
    setting = workspace.database.read(projects.get, "claims")

    class Cut(Exception):
        pass

    monkeypatch.setattr(loader.Loader, "flush", _after(2, loader.Loader.flush, Cut))
    with pytest.raises(Cut):
        loading.load(workspace, setting, file)
    assert count(workspace) == 20
    monkeypatch.undo()
    done = loading.load(workspace, setting, file)
    assert (done.added, done.known) == (15, 20)


def _after(times: int, verb: Any, error: type[Exception]) -> Any:
    calls = iter(range(times))

    def wrapped(self: Any) -> None:
        if next(calls, None) is None:
            raise error
        verb(self)

    return wrapped


@pytest.fixture
def much(claims: Signoff, workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of 30 rows, of which 20 may wait."""
    monkeypatch.setattr(loader, "BATCH", 10)
    _limit(workspace, 20)
    return written(files, "claim_id,amount,region\n" + "".join(f"c{n},1,north\n" for n in range(30)))


def _limit(workspace: Workspace, most: int) -> None:
    setting = workspace.database.read(projects.get, "claims")
    policy = setting.policy.model_copy(update={"intake": Intake(most_waiting=most)})
    key = workspace.keys.draw_key_id
    workspace.database.write(projects.apply, setting.project, policy, setting.guidelines, key, by=None)


def test_without_waiting_a_full_queue_is_an_error_and_what_went_in_stays(
    claims: Signoff, workspace: Workspace, much: Path
) -> None:
    said = claims.refused("item", "load", much, "--no-wait")
    assert said.startswith("20 items and tasks of claims wait, and its policy takes new ones below 20 (intake.most_waiting)")
    assert count(workspace) == 20
    _limit(workspace, 100)
    assert claims.json("item", "load", much, "--no-wait")["added"] == 10


def test_progress_grows_to_the_end(workspace: Workspace, files: Path) -> None:
    file = written(files, "claim_id,amount,region\n" + "".join(f"c{n},1,north\n" for n in range(1500)))
    seen: list[float] = []
    loading.load(workspace, workspace.database.read(projects.get, "claims"), file, progress=lambda share, _: seen.append(share))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) == 16


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_rejected_rows_go_to_the_workspace_where_the_folder_is_closed(claims: Signoff, files: Path) -> None:
    file = written(files, "claim_id,amount,region\nc1,x,north\nc2,1,north\n")
    files.chmod(0o555)
    loaded = claims.json("item", "load", file)
    assert Path(loaded["rejected_file"]).parent == claims.folder.resolve()

"""`signoff item erase` and `erased`: by id, by subject, by file; asked first; told afterwards."""

from pathlib import Path

import pytest

from app.workspace import Workspace
from tests.cli.conftest import Signoff
from tests.review_queue.test_erasure import CANARY, leaks


@pytest.fixture
def loaded(claims: Signoff, tmp_path: Path) -> Signoff:
    """Three claims of two people."""
    file = tmp_path / "claims.csv"
    file.write_text(f"claim_id,amount,region,person_id\nc1,1,{CANARY},p1\nc2,2,{CANARY},p2\nc3,3,{CANARY},p1\n")
    claims("item", "load", file)
    return claims


def test_it_asks_and_no_is_no(loaded: Signoff, workspace: Workspace) -> None:
    result = loaded("item", "erase", "c1", given="n\n", code=1)
    assert "Erase the content of c1 in claims for good? There is no way back" in result.stderr
    assert "item.input" in leaks(workspace.database)


def test_all_of_a_subject_go_and_the_record_says_so(loaded: Signoff, workspace: Workspace) -> None:
    found = loaded.json("item", "erase", "--subject", "p1", "--yes", "--why", "article 17")
    assert found == {"erased": 2, "again": 0, "datasets": [], "models": [], "learned": []}
    assert loaded.json("item", "erase", "c1", "--yes")["again"] == 1
    shown = loaded("item", "show", "c1").stdout
    assert "its content was erased at" in shown
    assert "article 17" in shown
    assert CANARY not in shown
    assert [(row["external_id"], row["why"]) for row in loaded.json("item", "erased")] == [
        ("c3", "article 17"),
        ("c1", "article 17"),
    ]
    assert [job["state"] for job in loaded.json("job", "list")] == ["done", "done"]
    loaded("item", "erase", "c2", "--yes")
    assert leaks(workspace.database) == set()


def test_loading_the_file_again_brings_nothing_back(loaded: Signoff, workspace: Workspace, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("c1\n\n c2 \nc3\n")
    loaded("item", "erase", "--file", ids, "--yes")
    assert loaded.json("item", "load", tmp_path / "claims.csv")["known"] == 3
    assert leaks(workspace.database) == set()


def test_what_cannot_be_meant_is_told(loaded: Signoff, tmp_path: Path) -> None:
    strange = tmp_path / "ids.bin"
    strange.write_bytes(b"\xff\xfe")
    assert "nothing is named" in loaded.refused("item", "erase", "--yes")
    assert "no claim of subject 'p9'" in loaded.refused("item", "erase", "--subject", "p9", "--yes")
    assert "is no text in UTF-8" in loaded.refused("item", "erase", "--file", strange, "--yes")
    assert "has no claim 'c9'" in loaded.refused("item", "erase", "c1", "c9", "--yes")
    assert loaded("item", "erased").stdout.strip() == "nothing was erased"

"""`signoff start` through the command line: what it takes, writes, keeps and refuses. Predictions come with most of the files,
since what is held here has nothing to do with who predicts; `tests/end_to_end` has the models."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from sqlalchemy import func, select

from app.workspace import Workspace
from db.tables import Item, ItemKey, ModelAlias, ProjectVersion
from retrain import datasets, registry
from review_queue import insights, intake, projects
from tests.app.starting.making import Columns, csv_file, jsonl_file, parquet_file
from tests.cli.conftest import Signoff

ROWS = 120
SPLIT_SHARE = 0.3
Opened = Callable[[Signoff], Workspace]
ELSEWHERE = ("--label", "outcome", "--predictions", "p_deny", "p_pay", "--no-ui")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def claims(rows: int = ROWS, **more: Any) -> dict[str, list[Any]]:
    """Claims with what another system answered, which is right for all but a few."""
    chance = random.Random(7)
    chances = [round(chance.random(), 3) for _ in range(rows)]
    return {
        "claim_id": [f"c{n:03}" for n in range(rows)],
        "amount": [round(100 + 5000 * chance.random(), 2) for _ in range(rows)],
        "region": [chance.choice(["north", "south", "west"]) for _ in range(rows)],
        "p_deny": chances,
        "p_pay": [round(1 - p, 3) for p in chances],
        "outcome": ["deny" if p > 0.5 else "pay" for p in chances],
        **more,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return csv_file(tmp_path / "claims.csv", claims())


def written(signoff: Signoff, name: str = "claims") -> tuple[dict[str, Any], dict[str, Any]]:
    """project.yaml and policy.yaml."""
    folder = signoff.folder / "projects" / name
    project, policy = (yaml.safe_load((folder / each).read_text()) for each in ("project.yaml", "policy.yaml"))
    return project, policy


def arrived(workspace: Workspace, name: str = "claims") -> set[str]:
    setting = workspace.database.read(projects.get, name)
    query = select(ItemKey.external_id).where(ItemKey.project_id == setting.id)
    return set(workspace.database.read(lambda session: list(session.scalars(query))))


def base(workspace: Workspace, name: str = "claims") -> dict[str, str]:
    """Base rows to the part that they are in."""
    setting = workspace.database.read(projects.get, name)
    held = workspace.database.read(datasets.versions, setting.id, kind="base")
    found: dict[str, str] = {}
    for info in workspace.database.read(datasets.infos, [each.id for each in held]):
        found |= {line["external_id"]: line["split"] for line in workspace.database.read(_lines, info)}
    return found


def _lines(session: Any, info: Any) -> list[dict[str, Any]]:
    return list(datasets.lines(session, info))


# What arrives, and what is kept of the rest


def test_rows_that_arrive_are_in_no_base_and_none_that_was_held_out_is_learned_from(
    signoff: Signoff, file: Path, workspace_of: Opened
) -> None:
    printed = signoff("start", file, *ELSEWHERE, "--items", "10").stdout
    assert "10 rows arrived" in printed
    workspace = workspace_of(signoff)
    items, kept = arrived(workspace), base(workspace)
    assert len(items) == 10
    assert not items & set(kept)
    assert len(items) + len(kept) == ROWS
    assert set(kept.values()) == {"train", "test"}
    held_out = items | {name for name, part in kept.items() if part == "test"}
    assert 0.15 * ROWS < len(held_out) < 0.45 * ROWS
    setting = workspace.database.read(projects.get, "claims")
    answers = workspace.database.read(datasets.known_answers, setting.id)
    assert answers is not None
    assert {line["external_id"] for line in workspace.database.read(_lines, answers)} == items


def test_all_rows_arrive_where_they_are_few_and_nothing_learned_from_them(
    signoff: Signoff, file: Path, workspace_of: Opened
) -> None:
    signoff("start", file, *ELSEWHERE)
    assert len(arrived(workspace_of(signoff))) == ROWS


def test_run_again_it_goes_on_and_adds_nothing(signoff: Signoff, file: Path, workspace_of: Opened) -> None:
    signoff("start", file, *ELSEWHERE, "--items", "10")
    workspace = workspace_of(signoff)
    before = counted(workspace), {path: path.read_bytes() for path in (signoff.folder / "projects" / "claims").iterdir()}
    printed = signoff("start", file, *ELSEWHERE, "--items", "30").stdout
    assert "goes on from where it was" in " ".join(printed.split())
    assert "10 rows arrived" in printed
    after = counted(workspace), {path: path.read_bytes() for path in (signoff.folder / "projects" / "claims").iterdir()}
    assert after == before


def counted(workspace: Workspace) -> tuple[int, ...]:
    def count(session: Any) -> tuple[int, ...]:
        return tuple(session.scalar(select(func.count()).select_from(each)) for each in (Item, ModelAlias, ProjectVersion))

    return workspace.database.read(count)


STEPS = ((projects, "apply"), (datasets, "add_base"), (registry, "propose"), (datasets, "add_answers"), (intake, "accept"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "step"), STEPS, ids=lambda value: value if isinstance(value, str) else "")
def test_interrupted_at_any_step_and_run_again_it_ends_in_a_whole_project(
    signoff: Signoff, file: Path, workspace_of: Opened, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, when: str
) -> None:
    done = getattr(module, step)

    def interrupted(*args: Any, **named: Any) -> None:
        if when == "after":
            done(*args, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, step, interrupted)
        signoff("start", file, *ELSEWHERE, "--items", "10", code=130)
    assert "10 rows arrived" in signoff("start", file, *ELSEWHERE, "--items", "10").stdout
    whole(workspace_of(signoff))


def test_interrupted_while_it_scores_it_goes_on(
    signoff: Signoff, file: Path, workspace_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.starting.run.fill", interrupted)
        signoff("start", file, *ELSEWHERE, "--items", "10", code=130)
    assert "goes on from where it was" in " ".join(signoff("start", file, *ELSEWHERE, "--items", "10").stdout.split())
    whole(workspace_of(signoff))


def whole(workspace: Workspace) -> None:
    setting = workspace.database.read(projects.get, "claims")
    champion = workspace.database.read(registry.champion, setting.id)
    assert champion is not None
    assert "alone" in champion.figures
    items, kept = arrived(workspace), base(workspace)
    assert len(items) == 10
    assert len(items) + len(kept) == ROWS
    assert workspace.database.read(insights.backlog, setting.id).unscored == 0
    assert workspace.database.read(datasets.known_answers, setting.id) is not None


@pytest.mark.parametrize("write", [csv_file, jsonl_file, parquet_file])
def test_rows_without_a_label_arrive(
    signoff: Signoff, tmp_path: Path, workspace_of: Opened, write: Callable[[Path, Columns], Path]
) -> None:
    held = claims()
    unknown = {name for n, name in enumerate(held["claim_id"]) if n % 10 == 0}
    held["outcome"] = [None if name in unknown else label for name, label in zip(held["claim_id"], held["outcome"], strict=True)]
    printed = signoff("start", write(tmp_path / f"claims.{SUFFIX[write]}", held), *ELSEWHERE).stdout
    assert "12 of 120 rows have no label" in printed
    workspace = workspace_of(signoff)
    assert unknown < arrived(workspace)
    assert not unknown & set(base(workspace))


SUFFIX: dict[Any, str] = {csv_file: "csv", jsonl_file: "jsonl", parquet_file: "parquet"}


def test_with_a_time_the_newest_are_held_out(signoff: Signoff, tmp_path: Path, workspace_of: Opened) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n * 37 % ROWS) for n in range(ROWS)]
    opened = {f"c{n:03}": day for n, day in enumerate(days)}
    file = csv_file(tmp_path / "claims.csv", claims(opened=[day.isoformat() for day in days]))
    signoff("start", file, *ELSEWHERE, "--time", "opened")
    workspace = workspace_of(signoff)
    newest, oldest = arrived(workspace), set(base(workspace))
    assert min(opened[name] for name in newest) > max(opened[name] for name in oldest)
    assert len(newest) == pytest.approx(SPLIT_SHARE * ROWS, abs=2)
    project, _ = written(signoff)
    assert project["input"]["time"] == "opened"
    assert "opened" not in project["input"]["features"]


def test_no_more_rows_than_asked_are_used(signoff: Signoff, file: Path, workspace_of: Opened) -> None:
    printed = signoff("start", file, *ELSEWHERE, "--rows", "60").stdout
    assert "120 rows, of which 60 drawn evenly are looked at" in printed
    workspace = workspace_of(signoff)
    names = arrived(workspace) | set(base(workspace))
    assert len(names) == 60
    assert max(names) > "c100"


# Columns


def test_useless_columns_are_named_and_left_out(signoff: Signoff, tmp_path: Path) -> None:
    more = {
        "country": ["DE"] * ROWS,
        "remark": ["seen", *[""] * (ROWS - 1)],
        "serial": [f"x{(n * 7919) % 10007}" for n in range(ROWS)],
    }
    printed = signoff("start", csv_file(tmp_path / "claims.csv", claims(**more)), *ELSEWHERE).stdout
    line = {row.split()[0]: " ".join(row.split()) for row in printed.splitlines() if row.strip()}
    assert "left out constant: always DE" in line["country"]
    assert "left out almost empty: 119 of 120 are missing" in line["remark"]
    assert "left out all values differ" in line["serial"]
    assert "id names the row: all values differ" in line["claim_id"]
    project, _ = written(signoff)
    assert list(project["input"]["features"]) == ["amount", "region"]
    assert project["input"]["id"] == "claim_id"


@pytest.mark.parametrize("keep", [False, True])
def test_a_column_that_gives_the_label_away_is_left_out_unless_kept(signoff: Signoff, tmp_path: Path, keep: bool) -> None:
    held = claims()
    held["paid_out"] = [amount if label == "pay" else 0 for amount, label in zip(held["amount"], held["outcome"], strict=True)]
    file = csv_file(tmp_path / "claims.csv", held)
    printed = " ".join(signoff("start", file, *ELSEWHERE, *(["--keep", "paid_out"] if keep else [])).stdout.split())
    project, _ = written(signoff)
    assert ("paid_out" in project["input"]["features"]) == keep
    assert ("paid_out may be a leak" if keep else "keep it with --keep paid_out") in printed


def test_columns_are_told_apart_by_what_was_said_of_them(signoff: Signoff, tmp_path: Path) -> None:
    more = {
        "sex": ["f" if n % 2 else "m" for n in range(ROWS)],
        "note": [f"seen by {n % 4}" for n in range(ROWS)],
        "age": [20 + n % 50 for n in range(ROWS)],
    }
    said = ("--groups", "sex", "--show", "note", "--drop", "age", "region")
    signoff("start", csv_file(tmp_path / "claims.csv", claims(**more)), *ELSEWHERE, *said)
    given = written(signoff)[0]["input"]
    assert (list(given["features"]), list(given["show"]), given["groups"]) == (["amount"], ["note"], ["sex"])


# What acts alone


def test_the_error_that_was_asked_for_is_written_and_held(signoff: Signoff, tmp_path: Path) -> None:
    file = csv_file(tmp_path / "claims.csv", claims(2000))
    printed = signoff("start", file, *ELSEWHERE, "--max-error", "0.01").stdout
    _, policy = written(signoff)
    assert policy["evidence"]["max_error"] == 0.01
    assert 0.5 <= policy["automate"]["at_least"] < 0.99
    assert f"at_least: {policy['automate']['at_least']}" in printed


def test_where_nothing_can_be_certified_nothing_acts_alone(signoff: Signoff, tmp_path: Path) -> None:
    chance = random.Random(1)
    file = csv_file(tmp_path / "claims.csv", claims(outcome=[chance.choice(["deny", "pay"]) for _ in range(ROWS)]))
    printed = " ".join(signoff("start", file, *ELSEWHERE).stdout.split())
    _, policy = written(signoff)
    assert policy["automate"]["at_least"] in ("off", False)
    assert "At 5 % error nothing may act alone" in printed
    assert ": 0 acted alone" in printed


def test_without_any_label_nothing_is_measured_and_people_decide(signoff: Signoff, tmp_path: Path) -> None:
    held = claims()
    del held["outcome"]
    said = ("--predictions", "p_deny,p_pay", "--no-ui", "--items", "20")
    printed = " ".join(signoff("start", csv_file(tmp_path / "claims.csv", held), *said).stdout.split())
    assert "No labelled row says how often the model is right" in printed
    assert "20 rows arrived: 0 acted alone, 20 go to people" in printed
    assert written(signoff)[0]["labels"].keys() == {"deny", "pay"}


# Names, and several projects


def test_two_projects_in_one_workspace(signoff: Signoff, file: Path, tmp_path: Path, workspace_of: Opened) -> None:
    signoff("start", file, *ELSEWHERE, "--items", "10")
    signoff("start", csv_file(tmp_path / "refunds.csv", claims(80)), *ELSEWHERE, "--items", "5")
    signoff("start", file, *ELSEWHERE, "--items", "7", "--name", "again")
    workspace = workspace_of(signoff)
    assert [len(arrived(workspace, name)) for name in ("claims", "refunds", "again")] == [10, 5, 7]
    assert written(signoff, "again")[0]["project"] == "again"


def test_a_project_that_start_did_not_make_is_left_alone(claims: Signoff, file: Path) -> None:
    assert "give this one another --name" in claims.refused("start", file, *ELSEWHERE)
    assert not (claims.folder / "projects").exists()


def test_no_name_that_a_project_cannot_have(signoff: Signoff, file: Path) -> None:
    assert "e.g. my-claims" in signoff.refused("start", file, *ELSEWHERE, "--name", "My Claims")


def test_another_file_of_the_same_name_is_not_taken_for_the_first(
    signoff: Signoff, file: Path, tmp_path: Path, workspace_of: Opened
) -> None:
    signoff("start", file, *ELSEWHERE, "--items", "10")
    (tmp_path / "other").mkdir()
    other = csv_file(tmp_path / "other" / "claims.csv", claims(90))
    said = signoff.refused("start", other, *ELSEWHERE, "--items", "10")
    assert "was made of another file" in said
    assert "--name" in said
    assert len(arrived(workspace_of(signoff))) == 10


# What is refused


def test_no_column_of_labels_is_named(signoff: Signoff, file: Path) -> None:
    said = signoff.refused("start", file, "--no-ui")
    assert "which column of" in said
    assert "Name it with --label; likely: outcome (2 values)" in said


def test_a_label_that_is_no_column(signoff: Signoff, file: Path) -> None:
    assert "has no such column; nearest is outcome" in signoff.refused("start", file, "--label", "outcom", "--no-ui")


def test_one_label_alone(signoff: Signoff, tmp_path: Path) -> None:
    said = signoff.refused("start", csv_file(tmp_path / "claims.csv", claims(outcome=["pay"] * ROWS)), *ELSEWHERE)
    assert "every row is labelled 'pay'; a decision needs at least two labels" in said


def test_an_amount_is_no_label(signoff: Signoff, file: Path) -> None:
    said = signoff.refused("start", file, "--label", "amount", "--no-ui")
    assert "cut it into classes in a column of its own" in said


def test_a_file_that_is_not_there(signoff: Signoff, file: Path) -> None:
    assert "there is no file" in signoff.refused("start", file.with_name("claim.csv"), *ELSEWHERE)


def test_a_type_that_is_none(signoff: Signoff, file: Path) -> None:
    assert "--type is one of tabular, text, image" in signoff("start", file, "--type", "video", "--no-ui", code=2).stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--max-error", "0"), ("--max-error", "0.9"), ("--items", "0"), ("--rows", "10"), ("--port", "0")]
)
def test_numbers_out_of_range(signoff: Signoff, file: Path, option: str, value: str) -> None:
    assert option in signoff("start", file, *ELSEWHERE, option, value, code=2).stderr


def test_an_error_before_the_project_leaves_no_project(signoff: Signoff, tmp_path: Path, workspace_of: Opened) -> None:
    file = csv_file(tmp_path / "claims.csv", claims(p_pay=[0.9] * ROWS))
    assert "sum to" in signoff.refused("start", file, *ELSEWHERE)
    assert workspace_of(signoff).database.read(projects.everything) == []


# The desk


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the process went on as."""
    found: list[str] = []

    def execv(_: str, arguments: list[str]) -> None:
        found.extend(arguments[3:])
        raise SystemExit(0)

    monkeypatch.setattr("os.execv", execv)
    return found


def test_without_a_file_the_desk_opens(signoff: Signoff, became: list[str]) -> None:
    signoff("start", "--port", "9000")
    assert became == ["up", "--dir", str(signoff.folder), "--port", "9000"]


def test_with_a_file_the_desk_opens_when_all_is_there(
    signoff: Signoff, file: Path, became: list[str], workspace_of: Opened
) -> None:
    printed = signoff("start", file, *ELSEWHERE[:-1], "--items", "10").stdout
    assert became[0] == "up"
    assert "The desk is at http://127.0.0.1:8501" in printed
    assert len(arrived(workspace_of(signoff))) == 10

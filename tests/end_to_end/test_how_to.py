"""Every how-to page, done as it is written: its files saved, its commands run, and cases on the desk at the end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from db.engine import Database
from review_queue import insights, projects
from tests.end_to_end.processes import plain

README = Path(__file__).parents[2] / "README.md"
PAGES = sorted((Path(__file__).parents[2] / "docs" / "how-to").glob("*.md"))
EXPLAINED = {"bring-a-pytorch-model", "bring-a-scikit-learn-pipeline"}
"""Pages that bring a model, whose cases are explained."""
QUICK = {"bring-probabilities"}
"""Pages that are done in every run; the others are done by `make test-slow`."""


def done(page: Path) -> object:
    return pytest.param(page, id=page.stem, marks=[] if page.stem in QUICK else [pytest.mark.slow])


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def script(page: Path, folder: Path) -> str:
    """Shell blocks in order; a block that begins with `# NAME` or `// NAME` is saved under that name when its turn comes."""
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, (language, body) in enumerate(blocks(page)):
        name = re.match(r"# ([\w./-]+\.\w+)\n", body)
        if language == "sh":
            lines.append(body)
        elif name:
            held = folder / f".block-{number}"
            held.write_text(body, encoding="utf-8")
            lines.append(f"cp {held} {name[1]}")
    return "\n".join(lines)


@pytest.mark.timeout(300)
def test_the_readme_starts_in_three_commands(tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").split("\n## Your own data in three commands\n")[1]
    install, *rest = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1].splitlines()  # type: ignore[index]
    assert install == "make install"
    assert len(rest) == 2
    run = _bash("\n".join(["set -e", *(line.replace(".venv/bin/", "") for line in rest)]) + " --no-ui", tmp_path)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert "At 5 % error" in run.stdout
    assert "sample_id" in (tmp_path / "signoff-data" / "projects" / "samples" / "project.yaml").read_text()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", map(done, PAGES))
def test_the_page_works_as_it_is_written(page: Path, tmp_path: Path) -> None:
    run = _bash(script(page, tmp_path), tmp_path)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    database = Database(f"sqlite:///{tmp_path / 'signoff-data' / 'signoff.db'}")
    (setting,) = database.read(projects.everything)
    assert database.read(insights.totals, setting.id)["items"] > 0
    assert database.read(insights.backlog, setting.id).waiting > 0
    if page.stem in EXPLAINED:
        assert database.read(insights.explained_ahead, setting.id, 10).value == 1
    database.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_three_commands_at_most(page: Path) -> None:
    """Those that set up: what makes the example's own files, and what looks at the result, counts apart."""
    own = [
        line for language, body in blocks(page) if language == "sh" for line in body.splitlines() if line.startswith("signoff ")
    ]
    assert 1 <= len([line for line in own if not re.match(r"signoff (queue|item show|up|key)", line)]) <= 3


def _bash(text: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    env = {**plain(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(["bash", "-c", text], cwd=folder, env=env, capture_output=True, text=True, timeout=540)

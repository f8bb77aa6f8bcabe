"""What the docs say is there, what is there the docs say, and what they show is valid."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from app.cli.main import app
from app.settings import Settings
from contract import policy, project
from contract.canonical import content_hash
from contract.files import parse_yaml, validate
from contract.policy import Policy
from contract.project import Project
from db.tables import Table

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def every_word() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCS)


# The command line


def commands() -> Iterator[tuple[str, Any]]:
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        verbs = getattr(command, "commands", None)
        yield from ((f"{name} {verb}", inner) for verb, inner in verbs.items()) if verbs else ((name, command),)


def options() -> Iterator[tuple[str, str]]:
    root: Any = typer.main.get_command(app)
    for name, command in (("signoff", root), *commands()):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield from ((name, option) for option in parameter.opts if option.startswith("--") and option != "--help")


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_readme_names_every_command(name: str) -> None:
    noun, _, verb = name.partition(" ")
    rows = [line for line in text("README.md").splitlines() if re.match(rf"\| .*`signoff {noun}\b", line)]
    assert rows, f"README.md has no row for `signoff {noun}`"
    assert any(re.search(rf"`(signoff {noun} )?{verb}`" if verb else "`", row) for row in rows), f"no row names `{name}`"


def test_readme_names_no_command_that_is_not_there() -> None:
    known = {name for name, _ in commands()} | {name.partition(" ")[0] for name, _ in commands()}
    named = re.findall(r"`signoff ([a-z]+)(?: ([a-z]+))?", every_word())
    assert {noun for noun, _ in named} <= known
    nouns = {name.partition(" ")[0] for name in known if " " in name}
    assert {f"{noun} {verb}" for noun, verb in named if noun in nouns and verb} <= known


@pytest.mark.parametrize("option", sorted({option for _, option in options()}))
def test_docs_name_every_option(option: str) -> None:
    assert re.search(rf"`[^`\n]*{option}\b", every_word()), f"no page names {option}"


# Keys of the two files


def keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """(model, key) of a model and of every model of ours within it."""
    seen, left = set[str](), [model]
    while left:
        here = left.pop()
        if here.__name__ in seen:
            continue
        seen.add(here.__name__)
        for name, field in here.model_fields.items():
            yield here.__name__, field.alias or name
            left.extend(inner for inner in _models(field.annotation))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)


CASES = [(page, key) for page, model in (("project", Project), ("policy", Policy)) for key in sorted(set(keys(model)))]


@pytest.mark.parametrize(("page", "key"), CASES, ids=lambda value: value if isinstance(value, str) else ".".join(value))
def test_every_key_has_a_row(page: str, key: tuple[str, str]) -> None:
    assert re.search(rf"^\| `{key[1]}`[ ,|]", text(f"docs/{page}.md"), re.MULTILINE), f"docs/{page}.md has no row for {key[1]}"


def test_defaults_in_the_tables_are_those_of_the_models() -> None:
    page = text("docs/policy.md")
    models = {
        "audit": policy.Audit(),
        "evidence": policy.Evidence(),
        "review": policy.Review(),
        "review.gold": policy.Gold(),
        "review.prompt": policy.Prompt(),
        "calendar": policy.Calendar(),
        "intake": policy.Intake(),
        "drift": policy.Drift(),
        "explain": policy.Explain(),
    }
    for heading, model in models.items():
        section = page.partition(f"### `{heading}`")[2].partition("\n#")[0]
        rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
        cells = {row[1].strip(" `"): row[3].strip(" `") for row in rows}
        written = {name: parse_yaml(f"cell: {cell}", "a cell").data["cell"] for name, cell in cells.items()}
        assert type(model).model_validate(written) == model
        assert set(written) == set(type(model).model_fields)


def test_the_page_names_the_keys_that_labels_cannot_have() -> None:
    row = next(line for line in text("docs/project.md").splitlines() if "Not one that the desk or Streamlit uses" in line)
    assert set(row.rpartition("uses:")[2].replace("|", "").split()) == project.DESK_KEYS


# Blocks of YAML


def blocks(path: Path) -> Iterator[tuple[int, str]]:
    body = path.read_text(encoding="utf-8")
    for match in re.finditer(r"^```yaml\n(.*?)^```", body, re.MULTILINE | re.DOTALL):
        yield body[: match.start()].count("\n") + 2, re.sub(r"\A# [\w.]+\n", "", match[1])  # the name it is to be saved under


YAML = [pytest.param(path, block, id=f"{path.name}:{line}") for path in DOCS for line, block in blocks(path)]


@pytest.mark.parametrize(("path", "block"), YAML)
def test_yaml_in_the_docs_is_valid(path: Path, block: str, tmp_path: Path) -> None:
    if block.startswith("project:"):
        project.read_project(_written(tmp_path / "project.yaml", block))
    else:
        policy.read_policy(_written(tmp_path / "policy.yaml", block), _documented_project(tmp_path))


def _documented_project(folder: Path) -> Project:
    block = next(block for _, block in blocks(ROOT / "docs/project.md"))
    return project.read_project(_written(folder / "project.yaml", block))


def _written(path: Path, block: str) -> Path:
    path.write_text(block, encoding="utf-8")
    return path


def test_the_policy_of_the_page_holds_the_defaults_where_it_says_nothing_new() -> None:
    smallest = validate(Policy, parse_yaml("autonomy: set", "policy.yaml"))
    body = next(block for _, block in blocks(ROOT / "docs/policy.md"))
    shown = validate(Policy, parse_yaml(body, "policy.yaml"))
    assert content_hash(shown.review.model_dump(mode="json")) == content_hash(smallest.review.model_dump(mode="json"))


# Settings, dependencies, calls


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_a_row(name: str) -> None:
    assert f"| `SIGNOFF_{name.upper()}` |" in text("docs/operations.md")


def test_dependencies_and_their_page_are_the_same() -> None:
    held = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = [*held["dependencies"], *(each for extra in held["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[^\w-]", each)[0] for each in wanted}
    rows = re.findall(r"^\| ([\w-]+) \|", text("docs/dependencies.md"), re.MULTILINE)
    assert sorted(set(rows) - {"package", "---"}) == sorted(names)
    assert len([row for row in rows if row not in ("package", "---")]) == len(names), "a package stands twice"


def test_every_call_of_the_api_is_on_its_page(tmp_path: Path) -> None:
    from app.api.main import create_api
    from app.workspace import open_workspace

    workspace = open_workspace(Settings(dir=tmp_path))
    try:
        paths = [path.removeprefix("/v1") for path in create_api(workspace).openapi()["paths"]]
    finally:
        workspace.database.close()
    page = text("docs/http-api.md")
    lacking = [path for path in paths if not any(part in page for part in (path, f"`/{path.rpartition('/')[2]}`", f"/api{path}"))]
    assert not lacking


def test_every_metric_is_on_the_page_of_operations() -> None:
    from app.api import metrics

    source = Path(metrics.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'"(signoff_\w+)"', source))
    assert named
    assert [name for name in sorted(named) if f"`{name}`" not in text("docs/operations.md")] == []


def test_the_diagram_of_tables_holds_every_table() -> None:
    diagram = text("docs/how-it-works.md").rpartition("```mermaid")[2].partition("```")[0]
    drawn = set(re.findall(r"\b[a-z_]+\b", re.sub(r"flowchart TB|subgraph.*|\bend\b", "", diagram)))
    assert drawn == set(Table.metadata.tables)


# Links, and what must not stand anywhere


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for goal in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", goal):
            continue
        name, _, anchor = goal.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name}: {goal}"
        assert not anchor or anchor in anchors(there), f"{path.name}: {goal}"


def test_decision_records_have_their_three_parts_and_are_listed() -> None:
    listed = text("docs/adr/README.md")
    records = sorted((ROOT / "docs/adr").glob("0*.md"))
    for number, path in enumerate(records, 1):
        body = path.read_text(encoding="utf-8")
        places = [body.find(f"## {part}") for part in ("Context", "Decision", "Consequences")]
        assert min(places) > 0, path.name
        assert all(one < other for one, other in pairwise(places)), path.name
        assert body.startswith(f"# {number:04} "), path.name
        assert path.name in listed


@cache
def tracked() -> tuple[Path, ...]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if answer.returncode:
        pytest.skip("no git repository to list the files of")
    return tuple(path for name in answer.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


# Written so that these lines do not find themselves.
MACHINE = r"(?<![\w.~])/(?:" + "|".join(("home", "root", "opt", "work", "farm", "Users")) + r")/\w"
INDEXES = ("py" + "pi", "files.python" + "hosted", "registry.npm" + "js", "deb" + "ian", "download.py" + "torch")
HOST = r"\b(?:" + "|".join(map(re.escape, INDEXES)) + r")\.(?:org|com)\b"


def test_no_file_names_a_machine_or_a_host_of_packages() -> None:
    found = []
    for path in tracked():
        try:
            body = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(body.splitlines(), 1):
            if re.search(MACHINE, line) or re.search(HOST, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found

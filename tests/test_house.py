"""The house around the code: licence, CI, Makefile, arrows, pins, images."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "retrain", "review_queue", "explain", "inference", "contract", "db")


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", each)[0].lower() for each in requirements}


def test_licence_is_the_one_that_is_declared() -> None:
    assert pyproject()["project"]["license"] == "Apache-2.0"
    words = text("LICENSE")
    assert "Apache License" in words
    assert "END OF TERMS AND CONDITIONS" in words


def test_ci_calls_the_tests_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci/run"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_every_target_of_the_makefile_has_help() -> None:
    targets = re.findall(r"^([a-z-]+):(.*)$", text("Makefile"), re.MULTILINE)
    assert {"install", "demo", "check", "fix", "test", "test-slow", "bench", "migration"} <= {name for name, _ in targets}
    assert [name for name, rest in targets if "  ## " not in rest] == []


def test_contributing_names_the_targets() -> None:
    page = text("CONTRIBUTING.md") + text("README.md")
    targets = re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE)
    assert [name for name in targets if name != "help" and f"make {name}" not in page] == []


def test_imports_point_down() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_dependency_is_pinned() -> None:
    pinned = {line.split("==")[0].lower() for line in text("constraints.txt").splitlines() if "==" in line}
    held = pyproject()["project"]
    wanted = names(held["dependencies"]).union(*(names(extra) for extra in held["optional-dependencies"].values()))
    assert sorted(wanted - pinned) == []
    assert "torch==2.13.0" in text("constraints.txt").splitlines()


def test_the_installed_package_holds_every_file() -> None:
    data = pyproject()["tool"]["setuptools"]["package-data"]
    lacking = []
    for package in PACKAGES:
        folder = ROOT / package
        kept = {path for pattern in data.get(package, ()) for path in folder.glob(pattern)}
        others = {p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
        lacking += [str(path.relative_to(ROOT)) for path in sorted(others - kept)]
    assert not lacking


CAN_RUN = "|".join(
    (
        r"\bpickle\.(?:load|loads|Unpickler)\b",
        r"\bjoblib\.load\b",
        r"(?<!safetensors\.)torch\.load\((?!.*weights_only=True)",
        r"allow_pickle *= *True",
        r"\byaml\.(?:load|unsafe_load|full_load)\(",
        r"(?<![\w.])(?:eval|exec)\(",
    )
)


READS_PICKLES = "inference/own/pickled.py"
"""A process of its own on the machine of a model's owner, at their word (docs/adr/0011); nothing may import it."""


def test_nothing_is_loaded_in_a_way_that_could_run_it() -> None:
    found = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(CAN_RUN, line) and path != ROOT / READS_PICKLES:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


def test_what_reads_pickles_is_started_and_never_imported() -> None:
    named = r"\bpickled\b"
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(from|import)\b", line) and re.search(named, line)
    ]
    assert not lines
    assert 'if __name__ == "__main__":' in text(READS_PICKLES)


HEAVY = "torch", "sklearn", "shap", "lime", "skops", "safetensors", "numba", "skimage", "scipy"


def test_desk_and_api_load_nothing_that_computes(tmp_path: Path) -> None:
    """The image for them does not hold it."""
    script = f"""
import json, sys
from pathlib import Path
from app import web
from app.settings import Settings
from app.workspace import open_workspace
web.build(open_workspace(Settings(dir=Path({str(tmp_path)!r}))), api=True, desk=True)
from retrain import comparison, datasets, registry, training
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    answer = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1]) == []


# Images. There may be no engine here; what can be held against the files is.


def test_image_for_desk_and_api_leaves_out_what_only_workers_import() -> None:
    held = pyproject()["project"]
    apart = {"torch", "shap", "lime", "scikit-learn"}
    assert not apart & names(held["dependencies"])
    assert apart <= names(held["optional-dependencies"]["worker"])
    installs = re.findall(r'^RUN pip install -c constraints.txt "\.\[(.*)\]"$', text("Dockerfile"), re.MULTILINE)
    assert installs == ["postgres,oidc", "postgres,oidc,worker,onnx,hf"]


def test_images_run_as_nobody_in_particular_and_tell_nobody() -> None:
    dockerfile = text("Dockerfile")
    assert re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)[-2:] == ["ui", "worker"]
    base = dockerfile.partition("AS base\n")[2].partition("FROM base AS ui")[0]
    assert "USER 10001:10001" in base
    assert "DO_NOT_TRACK=1" in base
    assert "STREAMLIT_BROWSER_GATHER_USAGE_STATS=false" in base
    assert "VOLUME" in base
    assert "/healthz" in dockerfile
    assert "pip install" not in base


def test_the_context_of_the_build_holds_what_it_copies_and_no_data() -> None:
    kept = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert kept == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", *PACKAGES}
    assert text(".dockerignore").splitlines()[0] == "*"


def test_compose_publishes_on_this_machine_alone_and_keeps_no_secret() -> None:
    services = yaml.safe_load(text("compose.yaml"))["services"]
    assert set(services) == {"postgres", "migrate", "ui", "api", "worker"}
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert re.fullmatch(r"postgres:\d+\.\d+", services["postgres"]["image"])
    for name in ("migrate", "ui", "api", "worker"):
        assert services[name]["environment"]["SIGNOFF_SECRET_KEY"].startswith("${SIGNOFF_SECRET_KEY:?")
        assert services[name]["build"]["target"] in ("ui", "worker")
        assert services[name]["depends_on"] == (
            {"postgres": {"condition": "service_healthy"}}
            if name == "migrate"
            else {"migrate": {"condition": "service_completed_successfully"}}
        )


def test_commands_of_compose_are_there() -> None:
    import typer

    from app.cli.main import app

    root: Any = typer.main.get_command(app)
    for service in yaml.safe_load(text("compose.yaml"))["services"].values():
        if command := service.get("command"):
            noun, verb = command
            assert verb in root.commands[noun].commands


def test_compose_reads_it() -> None:
    asked = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    values = {**os.environ, "POSTGRES_PASSWORD": "p", "SIGNOFF_SECRET_KEY": "s"}
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, env=values, check=True)

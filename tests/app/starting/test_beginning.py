"""What `start` begins, breaks off and goes on with. Probabilities from elsewhere, so that nothing is trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from app.loading import LoadError
from app.settings import Settings
from app.starting import run
from app.starting.run import Beginning, Wish
from app.workspace import Workspace, open_workspace
from db.tables import Dataset
from retrain import datasets, examples, registry
from retrain.rows import split_of
from review_queue import insights, intake, projects
from review_queue.errors import Refused
from review_queue.projects import Setting

ROWS = 400


def rows(path: Path, *, name: str = "claims.csv", seed: int = 0, lacking: int = 0) -> Path:
    chance = np.random.default_rng(seed)
    lines = ["claim_id,amount,p_pay,p_deny,outcome"]
    for n in range(ROWS):
        pay = round(float(chance.beta(4, 1)), 4)
        outcome = "pay" if chance.random() < pay else "deny"
        given = f"{pay},{round(1 - pay, 4)}" if n >= lacking else ","
        lines.append(f"c{n},{n * 1.5 % 97},{given},{outcome}")
    file = path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def wish(file: Path, **more: Any) -> Wish:
    return Wish(file, **{"label": "outcome", "predictions": ("p_pay", "p_deny"), **more})


def begin(folder: Path, held: Wish) -> None:
    run.start(Settings(dir=folder, device="cpu"), held, port=0, ui=False)


def opened(folder: Path) -> tuple[Workspace, Setting]:
    workspace = open_workspace(Settings(dir=folder, device="cpu"))
    return workspace, workspace.database.read(projects.get, "claims")


def base_of(workspace: Workspace, setting: Setting) -> dict[str, str]:
    info = workspace.database.read(datasets.newest, setting.id, "base")
    assert info is not None
    assert len(workspace.database.read(datasets.versions, setting.id, kind="base")) == 1
    lines = workspace.database.read(lambda session: list(datasets.lines(session, info)))
    return {line["external_id"]: line["split"] for line in lines}


def test_rows_that_arrive_are_in_no_dataset_and_most_are_to_train(tmp_path: Path) -> None:
    begin(tmp_path / "data", wish(rows(tmp_path), items=60))
    workspace, setting = opened(tmp_path / "data")
    answers = workspace.database.read(datasets.known_answers, setting.id)
    assert answers is not None
    arrived = {line["external_id"] for line in workspace.database.read(lambda s: list(datasets.lines(s, answers)))}
    kept = base_of(workspace, setting)
    assert len(arrived) == 60
    assert not arrived & set(kept)
    assert len(kept) == ROWS - 60
    split = [split_of("claims", each) for each in arrived]
    assert split.count("train") > split.count("test") > 0
    judged = workspace.database.read(examples.judges, setting)
    assert len(judged) == list(kept.values()).count("test") + split.count("test")
    workspace.database.close()


@pytest.mark.parametrize("broken", ["register_external", "propose", "accept"])
def test_what_was_broken_off_is_begun_anew(tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = wish(rows(tmp_path), items=50)
    with monkeypatch.context() as patched:
        patched.setattr(intake if broken == "accept" else registry, broken, _killed)
        with pytest.raises(KeyboardInterrupt):
            begin(tmp_path / "data", held)
    begin(tmp_path / "data", wish(held.file, items=50, max_error=0.03))
    workspace, setting = opened(tmp_path / "data")
    champion = workspace.database.read(registry.champion, setting.id)
    assert champion is not None
    assert [level["max_error"] for level in champion.figures["alone"]["levels"]] == [0.01, 0.02, 0.03, 0.05, 0.1]
    assert workspace.database.read(insights.totals, setting.id)["items"] == 50
    assert setting.policy.evidence.max_error == 0.03
    workspace.database.close()


def _killed(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_rows_without_a_prediction_count_as_never_alone(tmp_path: Path) -> None:
    begin(tmp_path / "data", wish(rows(tmp_path, lacking=100)))
    workspace, setting = opened(tmp_path / "data")
    champion = workspace.database.read(registry.champion, setting.id)
    assert champion is not None
    assert champion.figures["held_out"]["n"] == ROWS
    assert champion.figures["held_out"]["answered"] == ROWS - 100
    workspace.database.close()


def test_again_adds_nothing_and_says_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = wish(rows(tmp_path), items=40)
    begin(tmp_path / "data", held)
    begin(tmp_path / "data", held)
    workspace, setting = opened(tmp_path / "data")
    assert workspace.database.read(insights.totals, setting.id)["items"] == 40
    assert workspace.database.read(lambda session: session.query(Dataset).count()) == 2
    assert "goes on from where it was" in " ".join(capsys.readouterr().out.split())
    workspace.database.close()


def test_another_file_of_that_name_is_not_passed_over(tmp_path: Path) -> None:
    begin(tmp_path / "data", wish(rows(tmp_path), items=40))
    other = rows(tmp_path / "other", seed=1)
    with pytest.raises(Refused, match=r"made of another file .* was not read.*--name"):
        begin(tmp_path / "data", wish(other))
    begin(tmp_path / "data", wish(other, name="others", items=30))


def test_a_project_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "data" / "projects" / "claims" / "project.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("project: claims\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"did not make; give this one another --name"):
        begin(tmp_path / "data", wish(rows(tmp_path)))
    assert own.read_text() == "project: claims\n"


@pytest.mark.parametrize("name", ["../../out", "My Claims", "1st"])
def test_a_name_is_checked_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(LoadError, match=r"a name is small letters"):
        begin(tmp_path / "data", wish(rows(tmp_path), name=name))
    assert {each.name for each in tmp_path.iterdir()} <= {"claims.csv", "data"}
    assert not (tmp_path / "data" / "projects").exists()


def test_a_folder_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"one")
    before = run.fingerprint(folder)
    assert run.fingerprint(folder) == before
    (folder / "b.png").write_bytes(b"two")
    assert run.fingerprint(folder) != before


def test_the_sample_of_a_beginning_is_the_same_each_time(tmp_path: Path) -> None:
    workspace = open_workspace(Settings(dir=tmp_path / "data", device="cpu"))
    held = wish(rows(tmp_path), items=20)
    first = Beginning(workspace, held, workspace.local_actor("cli")).begin()
    assert json.loads(json.dumps(first.project.model.probabilities)) == {"deny": "p_deny", "pay": "p_pay"}
    workspace.database.close()


def test_a_model_of_images_is_brought_to_a_folder_of_them(tmp_path: Path) -> None:
    held = load_digits()
    for n in range(80):
        file = tmp_path / "pics" / str(held.target[n] % 2) / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((held.images[n] * 15).astype(np.uint8)).save(file)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).eval()
    rows_free = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=rows_free), tmp_path / "net.pt2")
    workspace = open_workspace(Settings(dir=tmp_path / "data", device="cpu"))
    brought = Wish(tmp_path / "pics", model=str(tmp_path / "net.pt2"), labels=("0", "1"), items=20)
    setting = Beginning(workspace, brought, workspace.local_actor("cli")).begin()
    champion = workspace.database.read(registry.champion, setting.id)
    assert setting.project.input.type == "image"
    assert champion is not None
    assert champion.trainer == "own:torch-export"
    assert champion.figures["held_out"]["n"] == 80
    assert workspace.database.read(insights.totals, setting.id)["items"] == 20
    workspace.database.close()

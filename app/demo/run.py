"""Set the demo up where it is not there yet, then open the desk."""

import logging
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app import logs
from app.demo.data import Known, Source, sources
from app.filling import Steps, become, fill
from app.settings import Settings
from app.starting import telling
from app.workspace import Workspace, open_workspace
from contract.policy import read_policy
from contract.project import read_project
from db import blobs
from retrain import alone, datasets, registry, training
from retrain.alone import Alone
from retrain.records import ModelInfo
from review_queue import insights, intake, projects
from review_queue.activity import Actor
from review_queue.projects import Setting

HERE = Path(__file__).parent


def run(settings: Settings, *, port: int = 8501, ui: bool = True, decide: int | None = None) -> None:
    """From nothing to cases on a desk; where the demo is there already, on from where it was."""
    logs.configure(logging.WARNING)
    workspace = open_workspace(settings)
    by = workspace.local_actor("cli")
    with tqdm(total=100, bar_format="{desc:<46} {percentage:3.0f}% |{bar:24}|", leave=False, disable=None) as bar:
        for number, source in enumerate(sources()):
            _prepare(workspace, source, by, Steps(bar, 40 * number, 40))
        fill(workspace, workspace.database.read(projects.everything), Steps(bar, 80, 20))
    if decide:
        _decide(workspace, decide, by)
    _say(workspace, port, ui)
    workspace.database.close()
    if ui:
        become("up", "--dir", str(settings.dir), "--port", str(port))


def _prepare(workspace: Workspace, source: Source, by: Actor, step: Steps) -> None:
    """Files, the first labels, the first model, and the items that arrive."""
    folder = workspace.settings.dir / "projects" / source.project
    if not folder.exists():
        shutil.copytree(HERE / source.project, folder)
    step(0.0, f"{source.project}: applying project and policy")
    setting, database = apply(workspace, folder, by), workspace.database
    if database.read(registry.champion, setting.id) is None:
        info = first_model(workspace, setting, source, by, step)
        _let_act(folder, setting, _judged(info))
        setting = apply(workspace, folder, by)
        database.write(registry.propose, setting.id, info.version, by=by, draw_key_id=workspace.keys.draw_key_id)
    arriving = source.items[source.learn + source.aside :]
    step(0.8, f"{setting.project.heading}: {len(arriving)} items arrive")
    _arrive(workspace, setting, arriving, by)


def apply(workspace: Workspace, folder: Path, by: Actor) -> Setting:
    """The files of a folder put in force."""
    project = read_project(folder / "project.yaml")
    policy = read_policy(folder / project.policy, project)
    guidelines = (folder / (project.guidelines or "guidelines.md")).read_text(encoding="utf-8")
    key = workspace.keys.draw_key_id
    return workspace.database.write(projects.apply, project, policy, guidelines, key, by=by).setting


def first_model(workspace: Workspace, setting: Setting, source: Source, by: Actor, step: Steps) -> ModelInfo:
    """The first labels kept, and a model from a part of them, judged by the rest; it plays no role yet."""
    database = workspace.database
    labelled = list(_labelled(workspace, source))
    database.write(datasets.add_base, setting, labelled, by=by)
    title = f"{setting.project.heading}: learning from {source.learn}"
    return training.train(
        database,
        setting.name,
        by=by,
        device=workspace.settings.device,
        progress=lambda share, _: step(0.05 + 0.7 * share, title),
    )


def _let_act(folder: Path, setting: Setting, found: Alone) -> None:
    """The threshold that held-out rows allow written into policy.yaml, where it still says `off`."""
    path = folder / setting.project.policy
    line = alone.at_least(found, setting.policy.evidence.max_error)
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^( +)at_least: off\b.*$", rf"\g<1>{line}", text), encoding="utf-8")


def _judged(info: ModelInfo) -> Alone:
    return Alone.from_dict(info.figures["alone"])


def _labelled(workspace: Workspace, source: Source) -> Iterator[dict[str, Any]]:
    known = source.items[: source.learn + source.aside]
    for n, (item, given) in enumerate(zip(known, inputs(workspace, known), strict=True)):
        split = "train" if n < source.learn else "test"
        yield {"external_id": item.external_id, "input": given, "label": item.label, "split": split}


def inputs(workspace: Workspace, items: Sequence[Known]) -> list[dict[str, Any]]:
    """Inputs as the API takes them; images are kept as blobs."""

    def put(session: Any) -> list[dict[str, Any]]:
        return [
            {"image": {"blob": f"sha256:{blobs.put(session, item.media, 'image/png')}"}} if item.media else item.input
            for item in items
        ]

    return workspace.database.write(put)


def _arrive(workspace: Workspace, setting: Setting, items: Sequence[Known], by: Actor) -> None:
    """What comes in is accepted once; the known answers are kept apart."""
    given = zip(items, inputs(workspace, items), strict=True)
    checked = [intake.check(setting.project, {"external_id": item.external_id, "input": row}) for item, row in given]
    workspace.database.write(intake.accept, setting, checked)
    workspace.database.write(datasets.add_answers, setting, {item.external_id: item.label for item in items}, by=by)


def _decide(workspace: Workspace, count: int, by: Actor) -> None:
    """The known answers play the operator on the first project; then a new model is trained and compared."""
    from app.worker.work import Jobs
    from review_queue import jobs

    first = workspace.database.read(projects.everything)[0]
    job = workspace.database.write(jobs.ask, first.id, "known-answers", {"count": count}, by=by)
    runner = threading.Thread(target=Jobs(workspace, workspace.settings.device, threading.Event()).turn)
    with tqdm(total=100, bar_format="{desc:<62} {percentage:3.0f}% |{bar:16}|", leave=False, disable=None) as bar:
        runner.start()
        while runner.is_alive():
            runner.join(0.3)
            job = workspace.database.read(jobs.get, job.id)
            Steps(bar, 0, 100)(job.progress, job.step or "starting")
    job = workspace.database.read(jobs.get, job.id)
    if job.error is not None or job.result is None:
        print(f"The known answers stopped: {job.error}")
        return
    result = job.result["comparison"]
    print(f"The known answers decided {job.result['decided']} cases of {first.project.heading} (marked so everywhere).")
    print(f"Model {result['challenger']} against champion {result['champion']}:")
    for view in result["views"]:
        line = f"{view['champion']:.1%} -> {view['challenger']:.1%}, {100 * view['difference']:+.1f} points"
        print(f"  {view['name']} (n={view['n']}): {line} ({100 * view['low']:+.1f} to {100 * view['high']:+.1f})")
    print(f"At the gate: {result['gate']['said']}.")
    if result["gate"]["passed"]:
        print(f"`signoff model promote {result['challenger']} --project {first.name}` signs it; then it acts.")


def _say(workspace: Workspace, port: int, ui: bool) -> None:
    for setting in workspace.database.read(projects.everything):
        waiting = workspace.database.read(insights.backlog, setting.id).waiting
        found = workspace.database.read(insights.insight, setting.id)
        print(
            f"{setting.project.heading}: {found.routed:,} arrived, {found.automation.part:,} acted alone, {waiting:,} wait for "
            "you (spot checks of what acted alone among them)."
        )
        acting = workspace.database.read(registry.champion, setting.id)
        if acting is not None and "alone" in acting.figures:
            print("\n".join(["", *alone.lines(_judged(acting), setting.policy.evidence.max_error), ""]))
        print(f"{telling.earned(workspace, setting)}\n")
    where = f"http://127.0.0.1:{port}"
    if ui:
        print(f"""
The desk is at {where}   (stop it with Ctrl-C; `signoff demo` goes on from here)

Three things to try:
  1. Decide ten digits with the keyboard: the digit itself, `a` to accept, `u` to take one back.
  2. On Data, under Practice, let the known answers decide 200; then Models compares the new model with the old.
  3. On Data, make a dataset version and download it.
""")
    else:
        print(f"Ready in {workspace.settings.dir}. Open the desk with: signoff up --dir {workspace.settings.dir}")

"""`signoff start`: from one's own file to cases on a desk."""

import hashlib
import json
import logging
import random
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.orm import Session
from tqdm import tqdm

from app import logs
from app.filling import Steps, become, fill
from app.loading.errors import LoadError
from app.settings import Settings
from app.starting import bringing, reading, rows, telling, writing
from app.starting import profile as profiles
from app.starting.profile import Profile
from app.starting.reading import Table
from app.starting.rows import Sampled, Taken
from app.workspace import Workspace, open_workspace
from contract.canonical import digest
from contract.given import read_given
from contract.policy import read_policy
from contract.project import NAME, Project, read_project
from contract.records import Scored, Unscored
from db import blobs
from retrain import adding, alone, datasets, judging, registry, training
from retrain.alone import Alone
from retrain.examples import Examples
from retrain.records import ModelInfo
from review_queue import insights, intake, projects
from review_queue.activity import Actor
from review_queue.errors import NotFound, Refused
from review_queue.projects import Setting

if TYPE_CHECKING:
    from inference.own.adding import Brought
    from inference.own.engine import Options

UNMEASURED = "not measured yet"
NEEDED = "since your model may need it; --drop leaves it out"
VERSION = "as-given"
"""What the version of probabilities in a file is called."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person said on the command line. `rows`: rows of the file to use at most."""

    file: Path
    label: str | None = None
    model: str | None = None
    predictions: tuple[str, ...] = ()
    kind: str | None = None
    id: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    class_name: str | None = None
    trust_pickle: bool = False
    max_error: float = 0.05
    items: int = 1000
    rows: int | None = None
    name: str | None = None

    @property
    def project(self) -> str:
        return self.name or writing.project_name(self.file)


def start(settings: Settings, wish: Wish, *, port: int, ui: bool) -> None:
    """From a file to cases on a desk; where that was done already, on from where it was."""
    logs.configure(logging.WARNING)
    _require(wish)
    workspace = open_workspace(settings)
    by = workspace.local_actor("cli")
    standing = _standing(workspace, wish)
    if standing is None:
        standing = Beginning(workspace, wish, by).begin()
    else:
        telling.goes_on(standing, _folder(workspace, wish.project), _passed_over(wish))
    with _bar() as bar:
        fill(workspace, [standing], Steps(bar, 0, 100))
    telling.waiting(workspace, standing, port, ui)
    workspace.database.close()
    if ui:
        open_desk(settings, port)


def _passed_over(wish: Wish) -> list[str]:
    """What was said on the command line and changes nothing of a project that is there."""
    used = ("file", "name", "label")
    return [field.name for field in fields(wish) if field.name not in used and getattr(wish, field.name) != field.default]


def _require(wish: Wish) -> None:
    """Raises LoadError where there is no file, or the project could not be called so."""
    if not wish.file.exists():
        raise LoadError(f"there is no file {wish.file}")
    if not re.match(NAME, wish.project):
        better = writing.plain_name(wish.project) or "my-project"
        raise LoadError(
            f"--name {wish.project}: a name is small letters, digits, - and _, and begins with a letter, e.g. {better}"
        )


def open_desk(settings: Settings, port: int) -> NoReturn:
    """The desk on the workspace that is there."""
    become("up", "--dir", str(settings.dir), "--port", str(port))


def _standing(workspace: Workspace, wish: Wish) -> Setting | None:
    """The project, where `start` made it of this file before. Raises Refused where its name is taken by another."""
    file, setting = _folder(workspace, wish.project) / "project.yaml", _known(workspace, wish.project)
    arrived = setting is not None and workspace.database.read(insights.totals, setting.id)["items"] > 0
    made_of = _made_of(file)
    if (setting is not None and not file.exists()) or (file.exists() and made_of is None and not arrived):
        raise Refused(
            f"there is a project {wish.project} already, which `signoff start` did not make; give this one another --name"
        )
    if made_of is not None and made_of != fingerprint(wish.file):
        raise Refused(
            f"{wish.project} was made of another file than {wish.file}, which was not read: make a project of its own of it with "
            f"--name, or give its rows to this one with `signoff item load {wish.file} --project {wish.project}`"
        )
    return setting if arrived else None


def _known(workspace: Workspace, name: str) -> Setting | None:
    try:
        return workspace.database.read(projects.get, name)
    except NotFound:
        return None


def _made_of(file: Path) -> str | None:
    """The fingerprint of the file that a project.yaml was written from."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = re.search(r"^# Written by `signoff start` from .* \((\w+)\)", text, re.MULTILINE)
    return found[1] if found else None


def fingerprint(path: Path) -> str:
    """What tells a file from another, and a folder by the names and sizes in it."""
    if path.is_dir():
        held = sorted((each.relative_to(path).as_posix(), each.stat().st_size) for each in path.rglob("*") if each.is_file())
        return digest(json.dumps(held))[:16]
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def _folder(workspace: Workspace, name: str) -> Path:
    return workspace.settings.dir / "projects" / name


def _bar() -> Any:
    return tqdm(total=100, bar_format="{desc:<46} {percentage:3.0f}% |{bar:24}|", leave=False, disable=None)


class Beginning:
    """A project out of a file: what its columns are, who predicts, what may act alone, and which rows arrive."""

    def __init__(self, workspace: Workspace, wish: Wish, by: Actor) -> None:
        self.workspace, self.wish, self.by = workspace, wish, by
        self.folder = _folder(workspace, wish.project)
        self.source = wish.model or ""
        self.said: Sequence[str] = ()

    def begin(self) -> Setting:
        """Raises LoadError, ModelAddError, TrainingError with the mend."""
        with tempfile.TemporaryDirectory(prefix="signoff-start-") as spare:
            return self._begin(Path(spare))

    def _begin(self, spare: Path) -> Setting:
        wish = self.wish
        if wish.model is not None:
            named = bool(wish.label or wish.labels) or wish.file.is_dir()
            bringing.require(wish.model, wish.trust_pickle, wish.class_name, named=named)
        with _bar() as bar:
            table = self._read(Steps(bar, 0, 100))
        profile = self._profile(table, spare)
        telling.columns(table, profile)
        project = self._project(profile, spare)
        held = rows.sampled(table, project, profile.of_rows, profiles.split(table, profile, project.project))
        telling.rejected(held)
        brought = self._tried(table, project, held)
        setting = self._apply(profile, self._off(UNMEASURED))
        self._keep_base(setting, held)
        info, figures = self._model(setting, held, brought)
        found = Alone.from_dict(figures["alone"]) if "alone" in figures else None
        telling.model(figures, found, wish.max_error)
        setting = self._apply(profile, self._policy(found))
        telling.files(self.folder, found, wish.max_error)
        self.workspace.database.write(self._complete, setting, held, info, figures)
        return setting

    # The file

    def _read(self, step: Steps) -> Table:
        wish = self.wish
        table = reading.read(wish.file, time=wish.time, most=wish.rows or bringing.MOST, progress=step)
        if wish.rows is None and bringing.holds_images(table):
            return reading.read(wish.file, time=wish.time, most=bringing.MOST_IMAGES, progress=step)
        return table

    def _profile(self, table: Table, spare: Path) -> Profile:
        """What each column is; a brought model sees the columns that it names, or all that could be features."""
        if self.wish.model is None or bringing.holds_images(table):
            return self._profiled(table)
        if named := self._named(table, spare):
            return self._profiled(table, features=named)
        first = self._profiled(table)
        could = [
            c.name for c in first.of("left out") if not c.unique and c.name in table.columns and c.name not in self.wish.drop
        ]
        return self._profiled(table, keep=(*self.wish.keep, *could), why=NEEDED) if first.type == "tabular" else first

    def _profiled(self, table: Table, **more: Any) -> Profile:
        """By what the person said, and what is said here instead."""
        wish = self.wish
        said = {
            "label": wish.label,
            "labels": wish.labels if wish.model else (),
            "type": wish.kind,
            "id": wish.id,
            "time": wish.time,
            "drop": wish.drop,
            "show": wish.show,
            "groups": wish.groups,
            "keep": wish.keep,
            "probabilities": wish.predictions,
        }
        return profiles.profile(table, **{**said, **more})

    def _named(self, table: Table, spare: Path) -> tuple[str, ...] | None:
        """The columns that the model names itself. What was a pickle is not opened again, but what was made of it."""
        wish = self.wish
        other = {wish.label, wish.id, wish.time, *wish.drop, *wish.show, *wish.predictions}
        profile = self._profiled(table, features=[name for name in table.columns if name not in other], type="tabular")
        project = self._project(profile, spare)
        held = rows.sampled(table, project, profile.of_rows, [True] * len(table.rows))
        engine = bringing.opened(self.source, bringing.sample(table, project, held, held.rows), self._options())
        if engine is None:
            return None
        self.source = bringing.kept(engine, self.source, spare)
        named: tuple[str, ...] | None = getattr(engine, "named", None)
        self.said = engine.said() if named else ()
        return named

    def _options(self) -> "Options":
        from inference.own.engine import Options

        wish = self.wish
        return Options(wish.labels, wish.class_name, wish.trust_pickle, self.workspace.settings.device)

    # The project

    def _write(self, folder: Path, profile: Profile, policy: str) -> None:
        made_of = f"{self.wish.file.name} ({fingerprint(self.wish.file)})"
        said = f"Written by `signoff start` from {made_of}; change what you know better, then `signoff project apply`."
        version = VERSION if self.wish.predictions else None
        text = writing.project(profile, self.wish.project, said=said, version=version)
        writing.write(folder, text, policy, writing.guidelines(profile, self.wish.project))

    def _project(self, profile: Profile, spare: Path) -> Project:
        """As it will be applied once a model is known to work."""
        self._write(spare, profile, self._off(UNMEASURED))
        return read_project(spare / "project.yaml")

    def _off(self, said: str) -> str:
        return writing.policy(None, self.wish.max_error, said)

    def _apply(self, profile: Profile, policy: str) -> Setting:
        self._write(self.folder, profile, policy)
        project = read_project(self.folder / "project.yaml")
        wanted = read_policy(self.folder / project.policy, project)
        guidelines = (self.folder / "guidelines.md").read_text(encoding="utf-8")
        database, key = self.workspace.database, self.workspace.keys.draw_key_id
        return database.write(projects.apply, project, wanted, guidelines, key, by=self.by).setting

    def _policy(self, found: Alone | None) -> str:
        error = self.wish.max_error
        if found is None:
            return self._off("no labelled rows say how often the model is right")
        unless = ", if the model has not learned from them" if self.wish.model or self.wish.predictions else ""
        tested = (
            f"Tested on {found.n:,} old, labelled rows with {found.confidence:.0%} confidence{unless}; spot checks prove or "
            "disprove it."
        )
        return writing.policy(found.threshold(error), error, f"{alone.headline(found, error)}\n{tested}")

    # Who predicts

    def _tried(self, table: Table, project: Project, held: Sampled) -> "Brought | None":
        """The model that was brought, on all rows, before anything is applied. Raises ModelAddError."""
        if self.wish.model is None:
            return None
        from inference.own import adding as own

        brought = own.add(self.source, bringing.sample(table, project, held, held.rows), self._options())
        truth = [row.label for row in held.rows]
        bringing.require_order(brought, truth)
        telling.brought(brought, truth, self.said)
        return brought

    def _model(self, setting: Setting, held: Sampled, brought: "Brought | None") -> tuple[ModelInfo | None, Mapping[str, Any]]:
        """The version that is to act, None where it answers elsewhere, and what labelled rows say of it."""
        if self.wish.predictions:
            return None, self._elsewhere(setting, held)
        if brought is not None:
            truth = [row.label for row in held.rows]
            info = adding.register(self.workspace.database, setting, brought, truth, by=self.by)
        else:
            info = self._trained(setting, held)
        return info, info.figures

    def _trained(self, setting: Setting, held: Sampled) -> ModelInfo:
        judges = held.held()
        with _bar() as bar:
            return training.train(
                self.workspace.database,
                setting.name,
                by=self.by,
                device=self.workspace.settings.device,
                held=Examples(held.inputs(judges), tuple(str(row.label) for row in judges), (None,) * len(judges)),
                progress=Steps(bar, 0, 100),
            )

    def _elsewhere(self, setting: Setting, held: Sampled) -> Mapping[str, Any]:
        """What the labels that are known say of predictions that came with the rows."""
        labels = list(setting.project.labels)
        known = [row for row in held.rows if row.label is not None]
        wish = judging.wished(setting.policy)
        told = judging.told([_given(row, labels) for row in known], [str(row.label) for row in known], wish["score"])
        return judging.figures(told, **wish)

    # The rows

    def _keep_base(self, setting: Setting, held: Sampled) -> None:
        """Labelled rows as the base dataset, but those that arrive as items: people decide them anew."""
        arriving = {row.external_id for row in self._arriving(held)}
        base = [row for row in held.rows if row.label is not None and row.external_id not in arriving]
        if base:
            lines = [
                {"external_id": r.external_id, "input": r.input, "label": r.label, "split": "test" if r.held_out else "train"}
                for r in base
            ]
            self.workspace.database.write(_keep, setting, held, lines, by=self.by)

    def _arriving(self, held: Sampled) -> list[Taken]:
        """Rows drawn evenly, in the order of the file: of those held out and those without a label where a model learned from
        the others, or the newest are held out; else of all."""
        learned = self.wish.model is None and not self.wish.predictions
        could = [row for row in held.rows if row.held_out or row.label is None or not (learned or self.wish.time)]
        chosen = random.Random(0).sample(range(len(could)), min(self.wish.items, len(could)))
        return [could[n] for n in sorted(chosen)]

    def _complete(self, session: Session, setting: Setting, held: Sampled, info: ModelInfo | None, figures: Any) -> None:
        """The model acts and the rows arrive, both or neither: what was begun and broken off is begun anew."""
        if info is None:
            info = registry.register_external(
                session, setting.id, VERSION, list(setting.project.labels), self.by, figures=figures
            )
        registry.propose(session, setting.id, info.version, by=self.by, draw_key_id=self.workspace.keys.draw_key_id)
        arriving = self._arriving(held)
        answers = {row.external_id: row.label for row in arriving if row.label is not None}
        if answers:
            datasets.add_answers(session, setting, answers, by=self.by)
        _accept(session, setting, held, arriving, by=self.by)


def _given(row: Taken, labels: Sequence[str]) -> Scored:
    given = row.submission.prediction
    return read_given(given).prediction(labels) if given else Unscored("it came without a prediction")


def _keep(session: Session, setting: Setting, held: Sampled, lines: Sequence[dict[str, Any]], *, by: Actor) -> None:
    for data, media_type in held.files.values():
        blobs.put(session, data, media_type)
    datasets.add_base(session, setting, lines, by=by)


def _accept(session: Session, setting: Setting, held: Sampled, part: Sequence[Taken], *, by: Actor) -> None:
    for row in part:
        for text in (row.submission.input, row.submission.show):
            for sha in intake.blobs_in(text):
                blobs.put(session, *held.files[sha])
    intake.accept(session, setting, [row.submission for row in part], by=by)

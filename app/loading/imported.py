"""Labels that were given elsewhere: finished tasks of Label Studio, a dataset version of another workspace, or a table."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.loading.errors import LoadError
from app.loading.items import read_cell
from app.loading.labelled import Labelled, keep, keep_labelled, store
from app.loading.media import BATCH_BYTES, Media
from app.loading.rejected import Rejected
from app.loading.sources import Found, Progress
from app.workspace import Workspace
from contract.canonical import content_hash
from contract.files import nearest
from contract.inputs import InputError, check_external_id, check_input
from contract.project import Project
from db import blobs
from retrain.formats import label_studio, layouts
from retrain.rows import column, side
from review_queue.activity import Actor
from review_queue.projects import Setting

STUDIO, VERSION = "label-studio", "version"
FORMATS = (STUDIO, "parquet", "jsonl", "csv")
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Given:
    """A case with the label that it was given elsewhere; `files`: images by their SHA-256, as paths below the folder."""

    external_id: Any
    input: Mapping[str, Any]
    label: str
    annotators: Sequence[str] = ()
    annotated_at: str | None = None
    agreement: float = 1.0


def keep_imported(
    workspace: Workspace,
    setting: Setting,
    path: Path,
    *,
    format: str | None = None,
    label: str | None = None,
    progress: Progress | None = None,
    by: Actor | None = None,
) -> Labelled:
    """Keep every sound row as the project's imported dataset, in place of an earlier one; the others are told beside the file.

    `format`: one of FORMATS, by default what the file is: a list of tasks is Label Studio's, a folder with a dataset.json a
    version of a workspace, all else a table, of which `label` names the column of the labels. Raises LoadError.
    """
    form = format or _form(path)
    if form not in (STUDIO, VERSION):
        return keep_labelled(workspace, setting, path, label, kind="imported", progress=progress, by=by)
    with Rejected(path, workspace.settings.dir) as rejected:
        reader = _Reader(workspace, setting, path if path.is_dir() else path.parent)
        for found in _version(path) if form == VERSION else _tasks(path):
            try:
                reader.take(_of_cells(setting.project, found) if form == VERSION else of_task(setting.project, found), found)
            except ValueError as error:
                rejected.add(found, str(error))
            except (AttributeError, LookupError, TypeError) as error:
                rejected.add(found, f"it is not written as one of {form} is: {type(error).__name__}: {error}")
        if not reader.rows:
            where = f"; {rejected.file} says why" if rejected.file else ""
            raise LoadError(f"no row of {path} could be taken{where}")
        rows, files = list(reader.rows.values()), reader.media.files
        info, new = workspace.database.write(keep, setting, "imported", rows, files, file=path.name, by=by)
        counts = Counter(row["label"] for row in reader.rows.values())
        labels = {each: counts[each] for each in setting.project.labels if counts[each]}
        return Labelled(info.id, info.rows, labels, new, reader.repeated, rejected.count, rejected.file)


def of_task(project: Project, found: Found) -> Given:
    """A finished task of Label Studio. Raises InputError where nobody finished it, or people do not agree.

    An annotation that is marked as ground truth stands; else the label that most of the finished ones give.
    """
    task = found.values
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise InputError("data", "is not there; export the tasks from Label Studio as JSON")
    finished = [each for each in task.get("annotations") or [] if not each.get("was_cancelled")]
    if not finished:
        raise InputError("annotations", "nobody has finished the task; label it, or leave it out")
    label, theirs = _agreed([(_chosen(each), each) for each in finished])
    known = (data.get("external_id"), data.get(project.input.id or ""), task.get("id"))
    external_id = next((each for each in known if each is not None), None)
    people = tuple(dict.fromkeys(_annotator(each) for each in theirs))
    times = [str(each.get("updated_at") or each.get("created_at")) for each in theirs if each.get("created_at")]
    return Given(external_id, _task_input(project, data), label, people, max(times, default=None), len(theirs) / len(finished))


def _agreed(said: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[str, list[Mapping[str, Any]]]:
    """The label that stands, and the annotations that give it. Raises InputError where there is none."""
    truth = {label for label, each in said if each.get("ground_truth")}
    counts = Counter(label for label, _ in said)
    most = truth or {label for label, n in counts.items() if n == max(counts.values())}
    if len(most) > 1:
        shown = ", ".join(f"{counts[label]} say {label!r}" for label in sorted(most))
        raise InputError("annotations", f"{shown}; mark one as ground truth in Label Studio, and export again")
    label = next(iter(most))
    return label, [each for other, each in said if other == label]


def _chosen(annotation: Mapping[str, Any]) -> str:
    results = [each for each in annotation.get("result") or [] if each.get("type") == "choices"]
    ours = [each for each in results if each.get("from_name") == label_studio.FROM] or results
    chosen = [choice for each in ours for choice in each["value"].get("choices", [])]
    if len(chosen) != 1:
        named = ", ".join(map(repr, chosen)) or "nothing"
        raise InputError("annotations", f"{named} was chosen where one label is wanted; choose one, or leave the task out")
    return str(chosen[0])


def _annotator(annotation: Mapping[str, Any]) -> str:
    who = annotation.get("completed_by")
    return str(who.get("email") or who.get("id")) if isinstance(who, Mapping) else str(who if who is not None else "unknown")


def _task_input(project: Project, data: Mapping[str, Any]) -> dict[str, Any]:
    kind, held = project.input.type, data
    if isinstance(data.get("input"), Mapping):
        held = data["input"]
    elif kind != "tabular" and kind in data:
        held = {next(iter(project.input.features)): data[kind]}
    named = {name: held[key] for name in project.input.features for key in (name, column(name)) if key in held}
    time = project.input.time
    return named | ({time: held[time]} if time and time in held else {})


def _of_cells(project: Project, found: Found) -> Given:
    row = found.values
    if row["label"] is None:
        raise InputError("label", "is not there: a person rejected the case, and a model learns nothing from it")
    given = {name: row[column(name)] for name in project.input.features if column(name) in row}
    people, agreement = tuple((row["reviewers"] or "").split(";")), row["agreement"]
    at = row["decided_at"].isoformat() if row["decided_at"] else None
    return Given(row["external_id"], given, row["label"], people, at, 1.0 if agreement is None else agreement)


def _form(path: Path) -> str | None:
    if path.is_dir():
        return VERSION if (path / "dataset.json").is_file() else None
    if path.suffix.lower() != ".json":
        return None
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return STUDIO if file.read(64).lstrip().startswith("[") else None


def _tasks(path: Path) -> Iterator[Found]:
    try:
        held = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise LoadError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(held, list):
        raise LoadError(f"{path} is no list of tasks; export from Label Studio as JSON")
    for n, each in enumerate(held, 1):
        task = each if isinstance(each, dict) else {}
        yield Found(f"task {task.get('id', n)}", n, task, n / len(held))


def _version(folder: Path) -> Iterator[Found]:
    """The rows of an exported folder, each image under the name that it has there."""
    try:
        manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        names, columns = manifest["data"], manifest["columns"]
        rows = layouts.read(manifest["format"], names, columns, lambda name: _within(folder, name).read_bytes())
        where = {details["sha256"]: name for name, details in manifest["files"].items()}
        images = [name for name, kind in columns.items() if kind == "image"]
        for n, row in enumerate(rows, 1):
            paths = {name: where.get(row[name].removeprefix("images/")[:64], row[name]) for name in images if row[name]}
            yield Found(f"row {n}", n, row | paths, n / max(manifest["rows"], 1))
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise LoadError(f"{folder} cannot be read ({problem}); `signoff dataset verify {folder}` says what was changed") from None


def _within(folder: Path, name: str) -> Path:
    """A file of a folder. Raises ValueError for one that lies elsewhere."""
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise ValueError(f"{name!r} lies outside {folder}")
    return path


class _Reader:
    """Cases into the rows of an imported dataset, by their ids."""

    def __init__(self, workspace: Workspace, setting: Setting, folder: Path) -> None:
        self._workspace, self._setting, self._project = workspace, setting, setting.project
        self.media, self.repeated = Media(folder), 0
        self.rows: dict[str, dict[str, Any]] = {}
        self._places: dict[str, int | str] = {}

    def take(self, given: Given, found: Found) -> None:
        """Raises InputError."""
        row = self._row(given)
        if self.media.size >= BATCH_BYTES:
            self._workspace.database.write(store, self.media.files)
            self.media.clear()
        known = self.rows.setdefault(row["external_id"], row)
        place = self._places.setdefault(row["external_id"], found.place)
        if known is row:
            return
        if content_hash(known) != content_hash(row):
            raise InputError(
                "external_id", f"{row['external_id']!r} came with another input or label before, at {place}; keep one"
            )
        self.repeated += 1

    def _row(self, given: Given) -> dict[str, Any]:
        if given.label not in self._project.labels:
            raise InputError("label", f"{given.label!r} is no label of the project{nearest(given.label, self._project.labels)}")
        external_id = check_external_id(given.external_id)
        checked = check_input(self._project, {name: self._value(name, value) for name, value in given.input.items()})
        row = {"external_id": external_id, "input": checked, "label": given.label}
        row |= {"split": side(self._setting, external_id, None, checked, None), "basis": "imported"}
        return row | {"annotators": list(given.annotators), "annotated_at": given.annotated_at, "agreement": given.agreement}

    def _value(self, name: str, value: Any) -> Any:
        feature = self._project.input.features.get(name)
        if feature is None or feature.type != "image":
            return read_cell(feature.type if feature else "date", value)
        path = label_studio.plain(value)
        if isinstance(path, str) and not os.path.isfile(self.media.folder / path):  # False for what is too long a name, too
            return self._stored(f"input.{name}", path)
        return self.media.keep(f"input.{name}", "image", path)

    def _stored(self, place: str, path: str) -> dict[str, str]:
        """The image that a path names by its hash, where the store has it. Raises InputError."""
        sha = _SHA.search(path)
        if sha is None or self._workspace.database.read(blobs.get, sha[0]) is None:
            raise InputError(place, f"{path!r} is neither below {self.media.folder} nor in the store; put the image there")
        return {"blob": f"sha256:{sha[0]}"}

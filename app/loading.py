"""Items out of files: CSV, JSONL, Parquet, or a folder of images, streamed in batches and held against the project.

A sound row goes in, a bad one goes to a file beside the input with its place and the reason. Content is known, so
loading the same file again adds nothing and an interrupted load is finished by repeating it.
"""

import codecs
import csv
import hashlib
import io
import json
import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from sqlalchemy.orm import Session

from app.workspace import Workspace
from contract.files import nearest
from contract.inputs import InputError, from_text
from contract.project import Project
from db import blobs
from review_queue import activity, intake
from review_queue.activity import Actor
from review_queue.intake import Receipt, Submission
from review_queue.projects import Setting

BATCH = 1_000
"""Rows of one transaction."""
BATCH_BYTES = 32 * 2**20
"""Bytes of images that one transaction holds before it is written."""
LONGEST = 16 * 2**20
"""Characters of one line or one cell."""
NAMED = 50
"""Unknown columns that are named."""
TYPES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
TYPES |= {".parquet": "parquet", ".pq": "parquet"}
KINDS = "CSV (.csv, .tsv), JSON lines (.jsonl), Parquet (.parquet), or a folder of images"
DELIMITERS = (",", ";", "\t", "|")
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ITEM = {"external_id", "input", "show", "groups", "subject"}

Progress = Callable[[float, str], None]
"""Told the share that is done, 0 to 1, and a word about it."""


class LoadError(ValueError):
    """A file that cannot be loaded at all: which, why, and the mend."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did. `left_out`: columns that the project names nowhere; `rejected_file`: where rejected rows are."""

    added: int
    known: int
    rejected: int
    rejected_file: Path | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One row: where it stands, its number from 1, its values or what is wrong, and the share of the file it ends at."""

    place: int | str
    number: int
    values: Mapping[str, Any]
    share: float
    problem: str | None = None


def load(
    workspace: Workspace, setting: Setting, path: Path, *, progress: Progress | None = None, by: Actor | None = None
) -> Loaded:
    """Take every sound row of a file or folder as an item. Raises LoadError where nothing of it can be read."""
    source = _source(path, setting.project)
    with _Rejected(path, workspace.settings.dir) as rejected:
        loader = _Loader(workspace, setting, source, rejected, by)
        for found in source.rows():
            loader.take(found)
            if progress is not None and found.number % 100 == 0:
                progress(found.share, f"{found.number:,} rows")
        loader.flush()
        if not source.count:
            raise LoadError(source.empty)
        if progress is not None:
            progress(1.0, f"{source.count:,} rows")
        left_out = tuple(sorted(loader.left_out))[:NAMED]
        return Loaded(loader.added, loader.known, rejected.count, rejected.file, left_out)


# Where rows come from


class _Source:
    """A file or folder. `text`: values are cells of text, to be read by the type of their column."""

    text = False
    empty = ""

    def __init__(self, path: Path, project: Project) -> None:
        self.path, self.project = path, project
        self.count = 0
        self.empty = f"{path} holds no rows"

    @property
    def folder(self) -> Path:
        """What paths of images and files in a row are relative to."""
        return self.path.parent

    def name_of(self, found: Found) -> str:
        """The id of a row that brings none: the file's SHA-256 and the row number."""
        raise NotImplementedError

    def rows(self) -> Iterator[Found]:
        for found in self._rows():
            self.count += 1
            yield found

    def _rows(self) -> Iterator[Found]:
        raise NotImplementedError


def _source(path: Path, project: Project) -> _Source:
    if not path.exists():
        raise LoadError(f"there is no file {path}")
    if path.is_dir():
        return _Folder(path, project)
    kind = TYPES.get(path.suffix.lower())
    if kind is None:
        raise LoadError(f"{path} is none of the kinds that can be loaded: {KINDS}; save it as one of them")
    if path.stat().st_size == 0:
        raise LoadError(f"{path} is empty: there is not even a header in it")
    return {"csv": _Csv, "jsonl": _Jsonl, "parquet": _Parquet}[kind](path, project)


class _File(_Source):
    """One file, whose content names rows without an id."""

    def __init__(self, path: Path, project: Project) -> None:
        super().__init__(path, project)
        self.size = path.stat().st_size
        self.encoding, self.sha = self._scan()

    def name_of(self, found: Found) -> str:
        return f"{self.sha[:12]}-{found.number}"

    def _scan(self) -> tuple[str, str]:
        """Encoding and SHA-256, by one pass over the file before anything is taken."""
        digest = hashlib.sha256()
        with self.path.open("rb") as handle:
            for chunk in _chunks(handle):
                digest.update(chunk)
        return "", digest.hexdigest()


class _TextFile(_File):
    def _scan(self) -> tuple[str, str]:
        with self.path.open("rb") as handle:
            encoding = _encoding(handle.read(4096), self.path)
            handle.seek(0)
            return encoding, _decoded(handle, encoding, self.path)

    def _open(self, binary: BinaryIO) -> TextIO:
        return io.TextIOWrapper(binary, encoding=self.encoding, newline="")

    def _share(self, binary: BinaryIO) -> float:
        return min(binary.tell() / self.size, 1.0)


class _Csv(_TextFile):
    text = True

    def _rows(self) -> Iterator[Found]:
        csv.field_size_limit(LONGEST)
        with self.path.open("rb") as binary, self._open(binary) as handle:
            header, delimiter = self._header(handle)
            reader = csv.reader(_lines(handle), delimiter=delimiter, strict=True)
            for number, (line, cells) in enumerate(_guarded(reader), 1):
                yield self._found(header, cells, line, number, self._share(binary))

    def _header(self, handle: TextIO) -> tuple[list[str], str]:
        """The names of the columns and what separates them: that which yields the most names the project knows."""
        line = handle.readline(LONGEST)
        known = _known(self.project)
        best = max(DELIMITERS, key=lambda mark: len(known & set(_names(line, mark))))
        names = _names(line, best)
        _check_header(self.path, self.project, names)
        self.empty = f"{self.path} has a header and no rows below it"
        return names, best

    def _found(self, header: Sequence[str], cells: list[str] | str, line: int, number: int, share: float) -> Found:
        if isinstance(cells, str):
            return Found(line, number, {}, share, f"cannot be read: {cells}")
        values = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            return Found(line, number, values, share, f"has {len(cells)} cells where the header has {len(header)}")
        return Found(line, number, values, share)


class _Jsonl(_TextFile):
    def _rows(self) -> Iterator[Found]:
        with self.path.open("rb") as binary, self._open(binary) as handle:
            number = 0
            for line, text in enumerate(_lines(handle), 1):
                if not text.strip():
                    continue
                number += 1
                if number == 1 and text.lstrip().startswith("["):
                    raise LoadError(f"{self.path} is one JSON array; write one object a line, e.g. with `jq -c '.[]'`")
                yield self._found(text, line, number, self._share(binary))

    def _found(self, text: str, line: int, number: int, share: float) -> Found:
        cut = {"text": text.strip()[:1000]}
        if len(text) >= LONGEST:
            return Found(line, number, cut, share, f"is longer than {LONGEST:,} characters")
        try:
            values = json.loads(text)
        except ValueError as error:
            return Found(line, number, cut, share, f"is not JSON: {error}")
        except RecursionError:
            return Found(line, number, cut, share, "is nested too deep")
        if not isinstance(values, dict):
            return Found(line, number, cut, share, "is not a JSON object with a name for each value")
        return Found(line, number, values, share)


class _Parquet(_File):
    def _rows(self) -> Iterator[Found]:
        import pyarrow
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self.path) as file:
                _check_header(self.path, self.project, list(file.schema_arrow.names))
                number, total = 0, max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield Found(number, number, row, number / total)
        except (pyarrow.ArrowException, OSError) as error:
            raise LoadError(f"{self.path} is not a Parquet file that can be read: {str(error).splitlines()[0]}") from error


class _Folder(_Source):
    """Every file below is one item: an image, named by its path."""

    def __init__(self, path: Path, project: Project) -> None:
        super().__init__(path, project)
        if project.input.type != "image":
            raise LoadError(f"{path} is a folder of images, but {project.project} takes {project.input.type}; give a file")

    @property
    def folder(self) -> Path:
        return self.path

    def name_of(self, found: Found) -> str:
        return str(found.place)

    def _rows(self) -> Iterator[Found]:
        feature = next(iter(self.project.input.features))
        total = sum(1 for _ in self._files())
        for number, file in enumerate(self._files(), 1):
            place = file.relative_to(self.path).as_posix()
            yield Found(place, number, {feature: place}, number / total)

    def _files(self) -> Iterator[Path]:
        for folder, inner, names in os.walk(self.path):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _chunks(handle: BinaryIO) -> Iterator[bytes]:
    while chunk := handle.read(2**20):
        yield chunk


def _encoding(start: bytes, path: Path) -> str:
    """By the byte order mark where there is one; else UTF-8. Nothing else is guessed."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    if b"\x00" in start:
        raise LoadError(f"{path} holds NUL bytes: it is UTF-16 without a byte order mark, or not text; save it as UTF-8")
    return "utf-8"


def _decoded(handle: BinaryIO, encoding: str, path: Path) -> str:
    """SHA-256 of a file that decodes to its end. Raises LoadError."""
    digest, decoder, line = hashlib.sha256(), codecs.getincrementaldecoder(encoding)(), 1
    try:
        for chunk in _chunks(handle):
            digest.update(chunk)
            line += decoder.decode(chunk).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        byte = f"the byte 0x{error.object[error.start]:02x} in or after line {line} is none of it"
        raise LoadError(
            f"{path} is not {encoding.upper()} ({byte}); no other encoding is guessed: save it as UTF-8, "
            f"e.g. with `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error
    return digest.hexdigest()


def _lines(handle: TextIO) -> Iterator[str]:
    """Lines, none longer than LONGEST; the rest of a longer one is passed over."""
    while text := handle.readline(LONGEST):
        yield text
        while len(text) >= LONGEST and not text.endswith("\n"):
            text = handle.readline(LONGEST)


def _guarded(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Rows below the header and the line each begins on, blank ones left out; a text is what is wrong with a row."""
    while True:
        line = reader.line_num + 2
        try:
            cells: list[str] = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, str(error)
            continue
        if cells:
            yield line, cells


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


# What the columns are for


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which column goes where: column -> type."""

    id: str | None
    subject: str | None
    inputs: Mapping[str, str]
    show: Mapping[str, str]
    groups: tuple[str, ...]
    left_out: frozenset[str]

    @classmethod
    def of(cls, project: Project, columns: Iterable[str]) -> "_Plan":
        there, wanted = set(columns), project.input
        inputs = {name: f.type for name, f in wanted.features.items() if name in there}
        inputs |= {f.was: f.type for name, f in wanted.features.items() if f.was in there and name not in there and f.was}
        if wanted.time in there and wanted.time:
            inputs.setdefault(wanted.time, "date")
        name_of = wanted.id or ("external_id" if "external_id" in there - set(wanted.features) - set(wanted.show) else None)
        show = {name: shown.type for name, shown in wanted.show.items() if name in there}
        groups = tuple(name for name in wanted.groups if name in there)
        used = {*inputs, *show, *groups, name_of, wanted.subject}
        return cls(name_of, wanted.subject, inputs, show, groups, frozenset(there - used))


def _known(project: Project) -> set[str]:
    wanted = project.input
    renamed = {f.was for f in wanted.features.values() if f.was}
    single = {name for name in (wanted.id, wanted.time, wanted.subject, "external_id") if name}
    return {*wanted.features, *wanted.show, *wanted.groups, *renamed, *single}


def _check_header(path: Path, project: Project, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise LoadError(f"{path} has two columns called {twice[0]!r}; rename or drop one")
    there, wanted = set(names), project.input
    required = [name for name, f in wanted.features.items() if not f.optional and name not in there and f.was not in there]
    if wanted.id and wanted.id not in there:
        required.insert(0, wanted.id)
    if required:
        lacking = required[0]
        more = f" (and {', '.join(required[1:6])})" if required[1:] else ""
        raise LoadError(f"{path} has no column {lacking!r}{more}, which {project.project} needs{nearest(lacking, names)}")


@dataclass
class _Rows:
    """Rows as raw items of the project."""

    source: _Source
    project: Project
    plans: dict[tuple[str, ...], _Plan] = field(default_factory=dict)

    def plan(self, values: Mapping[str, Any]) -> _Plan:
        columns = tuple(values)
        if columns not in self.plans:
            if len(self.plans) > BATCH:
                self.plans.clear()
            self.plans[columns] = _Plan.of(self.project, columns)
        return self.plans[columns]

    def item(self, found: Found, bytes_: "_Bytes") -> tuple[dict[str, Any], frozenset[str]]:
        """The item, and the columns that went nowhere. Raises InputError."""
        values = found.values
        if isinstance(values.get("input"), Mapping) and "input" not in _known(self.project):
            return {name: values[name] for name in _ITEM & set(values)}, frozenset(set(values) - _ITEM)
        plan = self.plan(values)
        item: dict[str, Any] = {
            "external_id": self._cell("category", values.get(plan.id)) if plan.id else self.source.name_of(found),
            "input": {n: self._value(f"input.{n}", kind, values[n], bytes_) for n, kind in plan.inputs.items()},
            "groups": {name: self._cell("category", values[name]) for name in plan.groups},
            "show": self._show(plan, values, bytes_),
        }
        subject = self._cell("category", values.get(plan.subject)) if plan.subject else None
        return {**item, "subject": subject} if subject is not None else item, plan.left_out

    def _show(self, plan: _Plan, values: Mapping[str, Any], bytes_: "_Bytes") -> dict[str, Any]:
        shown = {}
        for name, kind in plan.show.items():
            many, cell = self.project.input.show[name].many, values[name]
            if many:
                each = _many(cell) if self.source.text else cell
                shown[name] = [self._value(f"show.{name}", kind, one, bytes_) for one in each or []]
            else:
                shown[name] = self._value(f"show.{name}", kind, cell, bytes_)
        return shown

    def _value(self, place: str, kind: str, value: Any, bytes_: "_Bytes") -> Any:
        held = self._cell(kind, value)
        if isinstance(held, float) and held != held:
            how = "leave the cell empty" if self.source.text else "write null"
            raise InputError(place, f"holds NaN, which is no number; {how} where the value is missing")
        return bytes_.keep(place, kind, held) if kind in ("image", "file") else held

    def _cell(self, kind: str, value: Any) -> Any:
        return from_text(kind, value) if self.source.text else _plain(kind, value)


def _many(cell: str | None) -> Any:
    """A cell that holds several values: a JSON list, or one value alone."""
    text = (cell or "").strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return [text]
    return [text] if text else []


def _plain(kind: str, value: Any) -> Any:
    """A Parquet value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value) if kind == "number" else str(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value


@dataclass
class _Bytes:
    """Images and files that the rows of a batch hold or name, to be stored with them."""

    folder: Path
    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    size: int = 0

    def keep(self, place: str, kind: str, value: Any) -> Any:
        """The blob that stands for bytes, or for a path below the folder. Raises InputError."""
        inner = value.get("bytes") if isinstance(value, Mapping) else value
        if inner is None or not isinstance(inner, (bytes, str)):
            return value
        data = inner if isinstance(inner, bytes) else self._read(place, inner)
        media_type = _image_type(place, data) if kind == "image" else _file_type(inner)
        sha = hashlib.sha256(data).hexdigest()
        if sha not in self.held:
            self.held[sha] = (data, media_type)
            self.size += len(data)
        return {"blob": f"sha256:{sha}"}

    def clear(self) -> None:
        self.held.clear()
        self.size = 0

    def _read(self, place: str, name: str) -> bytes:
        try:
            file = Path(os.path.normpath(self.folder / name))
            if not file.is_relative_to(os.path.normpath(self.folder)):
                raise InputError(place, f"{name!r} lies outside {self.folder}; put the file there")
            size = file.stat().st_size
            if size > blobs.MOST:
                raise InputError(place, f"{name!r} has {size:,} bytes; at most {blobs.MOST:,} are taken")
            return file.read_bytes()
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(place, f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _image_type(place: str, data: bytes) -> str:
    """The media type of an image that opens. Raises InputError with the reason where it does not."""
    from PIL import Image

    from inference.images import open_image

    try:
        open_image(data, near=64)
    except ValueError as error:
        raise InputError(place, str(error)) from error
    with Image.open(io.BytesIO(data)) as image:
        return image.get_format_mimetype() or "application/octet-stream"


def _file_type(name: bytes | str) -> str:
    guessed = mimetypes.guess_type(name)[0] if isinstance(name, str) else None
    return guessed or "application/octet-stream"


# Where they go


class _Rejected:
    """The file of rejected rows beside the input, made with the first of them; an older one is replaced."""

    def __init__(self, path: Path, otherwise: Path) -> None:
        self.name = f"{path.resolve().name}.rejected.jsonl"
        self.places = (path.resolve().parent, otherwise)
        self.count = 0
        self.file: Path | None = None
        self._handle: TextIO | None = None

    def __enter__(self) -> "_Rejected":
        for place in self.places:
            if os.access(place, os.W_OK):
                (place / self.name).unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.close()

    def add(self, found: Found, reason: str) -> None:
        self.count += 1
        if self._handle is None:
            self.file, self._handle = self._open()
        values = {name: repr(v) if isinstance(v, float) and not isfinite(v) else v for name, v in found.values.items()}
        row = {"line": found.place, "reason": reason, "row": values}
        self._handle.write(json.dumps(row, ensure_ascii=False, default=_readable) + "\n")

    def _open(self) -> tuple[Path, TextIO]:
        place = next((place for place in self.places if os.access(place, os.W_OK)), self.places[0])
        file = place / self.name
        return file, file.open("w", encoding="utf-8", errors="backslashreplace")


def _readable(value: Any) -> str:
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)


class _Loader:
    """Rows into items, a batch a transaction."""

    def __init__(self, workspace: Workspace, setting: Setting, source: _Source, rejected: _Rejected, by: Actor | None) -> None:
        self._workspace, self._setting, self._rejected, self._by = workspace, setting, rejected, by
        self._file = source.path.name
        self._rows = _Rows(source, setting.project)
        self._bytes = _Bytes(source.folder)
        self._batch: list[tuple[Found, Submission]] = []
        self.added = self.known = 0
        self.left_out: set[str] = set()

    def take(self, found: Found) -> None:
        if found.problem is not None:
            self._rejected.add(found, found.problem)
            return
        try:
            item, left_out = self._rows.item(found, self._bytes)
            submission = intake.check(self._setting.project, item)
        except ValueError as error:
            self._rejected.add(found, str(error))
            return
        if len(self.left_out) < NAMED:
            self.left_out |= left_out
        self._batch.append((found, submission))
        if len(self._batch) >= BATCH or self._bytes.size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._batch:
            return
        note = None if self.added else {"file": self._file}
        submissions = [submission for _, submission in self._batch]
        receipts = self._workspace.database.write(
            _take, self._setting, submissions, list(self._bytes.held.values()), by=self._by, note=note
        )
        taken = [receipt for receipt in receipts if receipt.state not in ("invalid", "conflict")]
        added = len({receipt.external_id for receipt in taken if receipt.new})
        self.added, self.known = self.added + added, self.known + len(taken) - added
        for (found, _), receipt in zip(self._batch, receipts, strict=True):
            if receipt.state in ("invalid", "conflict"):
                self._rejected.add(found, receipt.problem or receipt.state)
        self._batch.clear()
        self._bytes.clear()


def _take(
    session: Session,
    setting: Setting,
    submissions: Sequence[Submission],
    files: Sequence[tuple[bytes, str]],
    *,
    by: Actor | None,
    note: dict[str, Any] | None,
) -> list[Receipt]:
    """One batch with its bytes; the first that adds something leaves a note of who loaded what."""
    for data, media_type in files:
        blobs.put(session, data, media_type)
    receipts = intake.accept(session, setting, submissions)
    if note is not None and any(receipt.new for receipt in receipts):
        activity.record(session, by, "item.load", f"project:{setting.name}", project_id=setting.id, after=note)
    return receipts

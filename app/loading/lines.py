"""Bytes of a file as lines of text: which encoding, and where it breaks."""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from app.loading import dialects, encodings
from app.loading.errors import LoadError

LONGEST = 16 * 2**20
"""Characters of one line or one cell."""
_FIRST = 2**20
"""Characters of the first lines that are looked at before the rest."""
_LINE_ENDS = ("\n", "\r")


def chunks(handle: BinaryIO) -> Iterator[bytes]:
    """A file piece by piece."""
    while chunk := handle.read(2**20):
        yield chunk


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one look at a whole file tells. `guessed`: nothing in the file says its encoding, its letters suggest it."""

    encoding: str
    sha: str
    guessed: bool = False

    @property
    def said(self) -> str:
        """The encoding, for a person."""
        name = encodings.NAMES.get(self.encoding, self.encoding)
        return f"{name} (guessed by its letters; save it as UTF-8 if they look wrong)" if self.guessed else name


def scan(path: Path) -> Scanned:
    """SHA-256 and encoding of a file that decodes to its end. Raises LoadError, naming the line where it breaks."""
    with path.open("rb") as handle:
        proven = _proven(handle.read(4096), path)
        handle.seek(0)
        beyond = encodings.Beyond()
        sha, broken = _decoded(handle, proven or "utf-8", beyond)
    if broken is None:
        return Scanned(proven or "utf-8", sha)
    if proven is not None or beyond.is_mostly_utf8():
        name = encodings.NAMES[proven or "utf-8"]
        raise LoadError(f"{path} is not {name} ({broken} is none of it); mend it, or save the file as UTF-8")
    return Scanned(next(each for each in beyond.guesses() if _decodes(path, each)), sha, guessed=True)


def first(handle: TextIO) -> list[str]:
    """The first lines, by which a dialect is judged."""
    held: list[str] = []
    room = _FIRST
    while len(held) <= dialects.LINES + 2 and room > 0 and (text := handle.readline(LONGEST)):
        held.append(text)
        room -= len(text)
    return held


def _proven(start: bytes, path: Path) -> str | None:
    encoding = encodings.by_start(start)
    if encoding is None and start.count(0) >= encodings.NULS:
        raise LoadError(f"{path} holds NUL bytes: it is no text; save it as CSV or JSON lines in UTF-8")
    return encoding


def _decoded(handle: BinaryIO, encoding: str, beyond: encodings.Beyond) -> tuple[str, str | None]:
    """SHA-256 of a file to its end, and where it breaks; its lines beyond ASCII are gathered on the way."""
    digest, decoder, line = hashlib.sha256(), codecs.getincrementaldecoder(encoding)(), 1
    broken: str | None = None
    for chunk in chunks(handle):
        digest.update(chunk)
        beyond.add(chunk)
        if broken is None:
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                broken = _place(error, line)
    try:
        decoder.decode(b"", final=broken is None)
    except UnicodeDecodeError as error:
        broken = _place(error, line)
    return digest.hexdigest(), broken


def _place(error: UnicodeDecodeError, line: int) -> str:
    line += error.object[: error.start].count(b"\n")
    return f"the byte 0x{error.object[error.start]:02x} in or after line {line}"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as handle:
            for chunk in chunks(handle):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read(handle: TextIO) -> Iterator[str]:
    """Lines, none longer than LONGEST; the rest of a longer one is passed over."""
    while text := handle.readline(LONGEST):
        yield text
        while len(text) >= LONGEST and not text.endswith(_LINE_ENDS):
            text = handle.readline(LONGEST)


def guarded(reader: Any, skipped: int) -> Iterator[tuple[int, list[str] | str]]:
    """Rows and the line each begins on, blank ones left out; a text is what is wrong with a row. `skipped`: lines before."""
    while True:
        line = reader.line_num + skipped + 1
        try:
            cells: list[str] = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, str(error)
            continue
        if cells:
            yield line, cells

"""Bytes of a file as lines of text: which encoding, and where it breaks."""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from app.loading.errors import LoadError

LONGEST = 16 * 2**20
"""Characters of one line or one cell."""
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def chunks(handle: BinaryIO) -> Iterator[bytes]:
    """A file piece by piece."""
    while chunk := handle.read(2**20):
        yield chunk


def encoding(start: bytes, path: Path) -> str:
    """By the byte order mark where there is one; else UTF-8. Nothing else is guessed."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    if b"\x00" in start:
        raise LoadError(f"{path} holds NUL bytes: it is UTF-16 without a byte order mark, or not text; save it as UTF-8")
    return "utf-8"


def decoded(handle: BinaryIO, encoding: str, path: Path) -> str:
    """SHA-256 of a file that decodes to its end. Raises LoadError."""
    digest, decoder, line = hashlib.sha256(), codecs.getincrementaldecoder(encoding)(), 1
    try:
        for chunk in chunks(handle):
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


def read(handle: TextIO) -> Iterator[str]:
    """Lines, none longer than LONGEST; the rest of a longer one is passed over."""
    while text := handle.readline(LONGEST):
        yield text
        while len(text) >= LONGEST and not text.endswith("\n"):
            text = handle.readline(LONGEST)


def guarded(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
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


def names(line: str, delimiter: str) -> list[str]:
    """The names in a header; none where the line cannot be read."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []

"""Which encoding the text of a file has: by its byte order mark, as UTF-8, by its NUL bytes, or else by its letters."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "koi8-r": "KOI8-R",
    "cp1253": "Windows-1253",
    "cp1254": "Windows-1254",
    "cp932": "Shift JIS",
    "euc-jp": "EUC-JP",
    "cp949": "EUC-KR",
    "gb18030": "GB 18030",
}
_LETTERS = (  # letters beyond ASCII, a language each; of equals the first
    ("cp1252", "éèêëàâçùûüîïôœæ"),
    ("cp1252", "äöüß"),
    ("cp1252", "áéíóúüñ"),
    ("cp1252", "áâãàçéêíóôõúü"),
    ("cp1252", "àèéìòù"),
    ("cp1252", "åäöøæéðþ"),
    ("cp1250", "ąćęłńóśźż"),
    ("cp1250", "áčďéěíňóřšťúůýžäľĺŕô"),
    ("cp1250", "áéíóöőúüű"),
    ("cp1250", "čćđšž"),
    ("cp1250", "ăâîşţ"),
    ("cp1254", "çğıİöşüâ"),
    ("cp1251", "абвгдежзийклмнопрстуфхцчшщъыьэюяёєіїґў"),
    ("koi8-r", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    ("cp1253", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ"),
)
_SCRIPTS = (  # what the text of each holds: the share of it among the characters beyond ASCII that must be there
    ("cp932", "[\u3040-\u30ff]", 0.15),
    ("euc-jp", "[\u3040-\u30ff]", 0.15),
    ("cp949", "[\uac00-\ud7a3]", 0.9),
    ("gb18030", "[\u4e00-\u9fff]", 0.7),
)
_PUNCTUATION = set("€£§°«»„“”‘’‚–—…·¿¡ªº№®©™\u00a0\u3000、。，「」・ー！？：；（）")
_PAIRS = re.compile(rb"(?<![\x80-\xff])(?:[\x80-\xff]{2})+(?![\x80-\xff])")
_WORD = re.compile(r"[^\W\d_]+")
SAMPLE = 2**15
"""Bytes of lines beyond ASCII by which letters are judged."""


NULS = 4
"""NUL bytes at the start of a file from which it is UTF-16, or no text."""


def by_start(start: bytes) -> str | None:
    """The encoding that the first bytes prove: a byte order mark, or the NUL bytes of UTF-16 text; None where they do not."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    even, odd = start[::2].count(0), start[1::2].count(0)
    if even + odd < max(NULS, len(start) / 10):
        return None
    return "utf-16-le" if odd >= 9 * even else "utf-16-be" if even >= 9 * odd else None


@dataclass
class Beyond:
    """Lines with bytes beyond ASCII, gathered while a file goes by."""

    held: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes) -> None:
        if len(self.held) < SAMPLE and not chunk.isascii():
            self.held += b"\n".join(line for line in chunk.splitlines() if not line.isascii())[:SAMPLE] + b"\n"

    def is_mostly_utf8(self) -> bool:
        """Whether these are UTF-8 with something broken in it: as many of its characters are whole as not."""
        text = bytes(self.held).decode("utf-8", errors="replace")
        broken = text.count("\ufffd")
        return sum(not char.isascii() for char in text) - broken >= broken

    def guesses(self) -> Iterator[str]:
        """Encodings by how well the letters suit them, best first; Latin-1 last, which takes any byte."""
        ranked = sorted(((-_suits(bytes(self.held), *each), n, each[0]) for n, each in enumerate(_LETTERS)), key=lambda r: r[:2])
        scripts = [name for name, pattern, share in _SCRIPTS if _is_script(bytes(self.held), name, pattern, share)]
        letters = [name for score, _, name in ranked if score < 0]
        yield from dict.fromkeys([*scripts, *letters, "cp1252", "latin-1"])


def _suits(data: bytes, encoding: str, alphabet: str) -> float:
    """How well text beyond ASCII suits an alphabet, -1 to 1: letters that it has against letters and signs it has not."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    beyond = [char for char in text if not char.isascii() and char not in _PUNCTUATION]
    if not beyond:
        return 1.0
    known = set(alphabet) | set(alphabet.upper())
    good = sum(char in known for char in beyond)
    bent = sum(_upper_inside(word) for word in _WORD.findall(text))
    return max((2 * good - len(beyond) - 2 * bent) / len(beyond), 0.0)


def _upper_inside(word: str) -> int:
    """Capitals beyond ASCII that follow a small letter: what text in another encoding is full of."""
    return sum(a.islower() and b.isupper() and not b.isascii() for a, b in pairwise(word))


def _is_script(data: bytes, encoding: str, pattern: str, share: float) -> bool:
    """Whether text reads as this script; but for Shift JIS, its bytes beyond ASCII come in pairs."""
    high = sum(byte > 127 for byte in data)
    if encoding != "cp932" and sum(map(len, _PAIRS.findall(data))) < 0.9 * high:
        return False
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    beyond = [char for char in text if not char.isascii() and char not in _PUNCTUATION]
    return len(re.findall(pattern, text)) >= share * max(len(beyond), 1) and not re.search("[\ue000-\uf8ff\uff61-\uff9f]", text)

"""Which encoding a file has, found and said."""

from pathlib import Path

import pytest

from app.loading import LoadError, lines
from app.loading.sources import source_of

TEXTS = {
    "german": ("id,stadt\n1,Köln\n", ("cp1252", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
    "one word among many": ("id,t\n" + "1,plain words\n" * 500 + "2,Köln\n", ("cp1252",)),
    "capitals": ("id,stadt\n1,MÜNCHEN\n2,KÖLN\n", ("cp1252",)),
    "french": ("id,texte\n1,Le café était fermé à cause de la grève ; c’est très dommage – 5 €\n", ("cp1252",)),
    "spanish": ("id,texto\n1,El niño comió una piña en la estación\n", ("cp1252", "latin-1")),
    "swedish": ("id,stad\n1,Malmö\n2,Göteborg\n3,Ängelholm\n", ("cp1252",)),
    "polish": ("id,miasto\n1,Łódź\n2,Gdańsk\n3,Kraków\n4,Poznań\n", ("cp1250",)),
    "czech": ("id,text\n1,Příliš žluťoučký kůň úpěl ďábelské ódy\n", ("cp1250",)),
    "hungarian": ("id,v\n1,Győr\n2,Hódmezővásárhely\n3,Tű\n", ("cp1250",)),
    "turkish": ("id,s\n1,İstanbul çok güzel bir şehirdir\n", ("cp1254",)),
    "russian": ("id,город\n1,Москва большой город\n2,ПЕРМЬ\n", ("cp1251", "koi8-r")),
    "greek": ("id,πόλη\n1,Η Αθήνα είναι η πρωτεύουσα\n", ("cp1253", "iso8859_7")),
    "japanese": ("id,都市\n1,東京は日本の首都です。カタカナも使います\n", ("shift_jis", "euc_jp", "utf-16-le")),
    "chinese": ("id,城市\n1,北京是中国的首都，人口很多\n", ("gb18030", "gbk")),
    "korean": ("id,도시\n1,서울은 대한민국의 수도입니다\n", ("cp949",)),
}
SAMPLES = [(text, encoding) for text, encodings in TEXTS.values() for encoding in encodings]


@pytest.mark.parametrize(("text", "encoding"), SAMPLES, ids=[encoding for _, encoding in SAMPLES])
def test_letters_come_out_as_they_were(tmp_path: Path, text: str, encoding: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(text.encode(encoding))
    rows = [list(found.values.values()) for found in source_of(file).rows()]
    assert rows == [line.split(",", 1) for line in text.splitlines()[1:]]


def test_a_guess_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes("id,stadt\n1,Köln\n".encode("cp1252"))
    said = "CSV, Windows-1252 (guessed by its letters; save it as UTF-8 if they look wrong), separated by ,"
    assert source_of(file).said == said
    file.write_bytes(b"id,stadt\n1,Bonn\n")
    assert source_of(file).said == "CSV, UTF-8, separated by ,"


def test_utf_8_with_one_broken_byte_is_not_another_encoding(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes('{"t": "Köln"}\n'.encode() * 3 + b'{"t": "K\xf6ln"}\n')
    with pytest.raises(LoadError, match=r"is not UTF-8 \(the byte 0xf6 in or after line 4 is none of it\); mend it"):
        source_of(file)


def test_bytes_that_windows_1252_has_not_are_taken_as_latin_1(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(b"a,b\n1,\x00\x00\x00\x00\x81\xff\n")
    with pytest.raises(LoadError, match="holds NUL bytes: it is no text"):
        source_of(file)
    file.write_bytes(b"a,b\n1,\x81 \x8d \xff \xe9\n")
    assert "Latin-1 (guessed" in source_of(file).said


@pytest.mark.parametrize("data", [b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", b"\xef\xbb\xbfa,b\n1,\xff\n"])
def test_a_mark_that_the_rest_belies(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(data)
    with pytest.raises(LoadError, match=r"is not UTF-(8|16) \(the byte"):
        lines.scan(file)


def test_a_character_cut_in_two_by_the_end(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes("a,b\n1,Köln\n2,ö".encode()[:-1])
    with pytest.raises(LoadError, match="in or after line 3"):
        source_of(file)

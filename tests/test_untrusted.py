"""Files from outside: YAML without tricks, bounded reading, words that cannot move a terminal."""

import os
import time
from pathlib import Path

import pytest

from justzoomin.errors import ConfigError, DataError, LayoutError
from justzoomin.geometry import load_grid
from justzoomin.tiles import TileLayout
from justzoomin.untrusted import files_in, load_yaml, plain_yaml, printable, read_limited

BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("j")))


def test_plain_values_are_what_they_are_written_as():
    text = b"\xef\xbb\xbfa: 1\nb: [1.5, two, {c: true}]\n# note\nd:\n  e: -7\n  f: ~\n"
    assert plain_yaml(text, "x") == {"a": 1, "b": [1.5, "two", {"c": True}], "d": {"e": -7, "f": None}}
    assert plain_yaml(b"", "x") is None
    assert plain_yaml(b"a: '010'\nb: \"1:30\"\nc: 0\nd: 0.5\n", "x") == {"a": "010", "b": "1:30", "c": 0, "d": 0.5}
    assert plain_yaml("ort: Malm\u00f6\r\n".encode(), "x") == {"ort": "Malm\u00f6"}


@pytest.mark.parametrize(("text", "words"), [
    (BOMB, "anchors or aliases"), (b"a: &x 1\n", "anchors or aliases"), (b"a: *x\n", "anchors or aliases"),
    (b"x: !!python/object/apply:os.system ['true']\n", "YAML tag"), (b"x: !!binary aGk=\n", "YAML tag"),
    (b"!local x", "YAML tag"), (b"!!map {a: 1}", "YAML tag"), (b"a: 1\nb: 2\na: 3\n", "stated twice"),
    (b"a:\n  b: 1\n  b: 2\n", "stated twice"),
    (b"a: [{b: 1, b: 2}]\n", "stated twice"), (b"a: 1\n? a\n: 2\n", "stated twice"), (b"[" * 17 + b"]" * 17, "nested deeper"),
    (b"[" * 50_000, "nested deeper|not plain YAML"), (b"- " * 20_000, "nested deeper|not plain YAML"),
    (b"{" * 3000, "nested deeper|not plain YAML"), (b"a: 1\n---\nb: 2\n", "not plain YAML"), (b"a: [1\n", "not plain YAML"),
    (b"a: 2001-99-99\n", "not plain YAML"), (b"\xff\xfe", "not plain YAML"), (b"\0", "not plain YAML"),
    (b"? [a]\n: 1\n", "not plain YAML"),
    (b"a: " + b"9" * 5000, "not plain YAML"), (b"a: 0x" + b"f" * 5000, "6021 digits"), (b"a: " + b"9" * 20, "20 digits"),
    (b"a: [-" + b"9" * 40 + b"]", "40 digits"), (b"0b" + b"1" * 900 + b": 1", "271 digits"),
    (b"a: " + b"1:" * 9000 + b"1", "another base"), (b"a: 1:30", "1:30 is a number with another base"),
    (b"a: [-1:30:00.5]", "base"), (b"a: 010", "010 is a number with another base"),
])
def test_tricks_are_refused_with_words(text, words):
    start = time.monotonic()
    with pytest.raises(LayoutError, match=words) as caught:
        plain_yaml(text, "file.yaml")
    assert caught.value.where.startswith("file.yaml") and len(str(caught.value)) < 500
    assert time.monotonic() - start < 5
    with pytest.raises(ConfigError):
        plain_yaml(text, "file.yaml", ConfigError)


def test_every_reader_of_yaml_refuses_them(tmp_path):
    path = tmp_path / "file.yaml"
    for text in (BOMB, b"min_zoom: 0x" + b"f" * 60_000, b"tile_shape_crs: [0x" + b"f" * 60_000 + b", 1]", b"#" * 70_000):
        path.write_bytes(text)
        for read in (TileLayout.load, load_grid):
            with pytest.raises(LayoutError, match=r"file\.yaml"):
                read(path)


def test_reading_is_bounded_and_waits_for_nobody(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_limited(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_limited(path, 4)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(OSError):
            read_limited(other, 9)
        with pytest.raises(LayoutError, match="cannot be read"):
            load_yaml(other, 9)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path, monkeypatch):
    for name in ("b.csv", "a.csv", ".c.csv", "d.CSV", "e.txt"):
        (tmp_path / name).touch()
    assert files_in(tmp_path, "[!.]*.csv") == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert files_in(tmp_path / "none", "*") == []
    (tmp_path / "circle").symlink_to("circle")
    for other in ("e.txt", "circle"):
        with pytest.raises(DataError, match=f"{other}: the folder cannot be read"):
            files_in(tmp_path / other, "*")

    def closed(path):  # root may read everything
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(DataError, match=r"the folder cannot be read \(Permission denied\)\. Make it readable\."):
        files_in(tmp_path, "*")


def test_words_cannot_move_a_terminal():
    assert printable("a\nb\t c\x1b[2J\x07\u202e") == "a b c\\x1b[2J\\x07\\u202e"
    assert len(printable("x" * 10**6)) == 300 and printable("Malm\u00f6") == "Malm\u00f6"
    assert printable("\ud800") == "\\ud800"

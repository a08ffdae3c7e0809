"""Photos that are odd, unreadable or panoramas, their names and lists, through the commands that take photos."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from running import Jzi

import fakes

PANO = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
        b'GPano:ProjectionType="equirectangular"/></x:xmpmeta>')


def jpeg(seed: int = 0, **options: object) -> bytes:
    return fakes.encoded(fakes.picture(160, 90, seed), **options)


def timed(second: int) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: f"2024:05:01 10:00:{second:02d}", 0x9011: "+02:00"})
    return jpeg(second, exif=exif)


def test_all_photos_of_a_folder_are_localized_and_the_rest_is_named(jzi: Jzi, model: Path, repository: Path,
                                                                    tmp_path: Path) -> None:
    reader = pytest.importorskip("pillow_heif")
    (tmp_path / "in" / "100MEDIA").mkdir(parents=True)
    for k, name in enumerate(("a.jpg", "b.JFIF", "c.insp", "d.mpo", "100MEDIA/e.jpe", "f.photo")):
        (tmp_path / "in" / name).write_bytes(jpeg(k))
    reader.from_pillow(Image.fromarray(fakes.picture(160, 90, 9))).save(tmp_path / "in" / "g.HIF")
    (tmp_path / "in" / "._a.jpg").write_bytes(b"\0\5\x16\7Mac OS X")
    (tmp_path / "in" / "notes.txt").write_text("a text")
    ran = jzi("localize", tmp_path / "in", "--model", model, "--map", repository, "--json")
    assert ran.code == 0 and not any("error" in row for row in ran.json)
    assert [Path(row["photo"]).name for row in ran.json] == ["a.jpg", "b.JFIF", "c.insp", "d.mpo", "f.photo", "g.HIF", "e.jpe"]
    assert ran.err == f"{tmp_path / 'in'}: 2 entries skipped: ._a.jpg (a hidden file), notes.txt (a text)\n"
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "x.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    ran = jzi("localize", tmp_path / "none", "--model", model, "--map", repository)
    assert ran.code == 1 and "x.mp4 (a video)" in ran.err and "neither the folder nor a subfolder holds a photo" in ran.err


def test_one_unreadable_photo_does_not_refuse_the_others(jzi: Jzi, model: Path, repository: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    good, closed = tmp_path / "good.jpg", tmp_path / "closed.jpg"
    for path in (good, closed):
        path.write_bytes(jpeg())
    opened = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "closed.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(os, "access", lambda path, mode, **_: not str(path).endswith("closed.jpg"))  # for root as well
    monkeypatch.setattr(Path, "read_bytes", read)
    ran = jzi("localize", closed, good, "--model", model, "--map", repository, "--json")
    assert ran.code == 1
    assert [row.get("error", "")[-70:] for row in ran.json] == [
        "it cannot be read (Permission denied). Give the path of a readable photo."[-70:], ""]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_other_systems(encoding: str, jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    cafe = unicodedata.normalize("NFD", "Café.jpg")
    (tmp_path / "walk").mkdir()
    for name in ("0.jpg", "walk/1.jpg", cafe):
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "list.txt").write_bytes("0.jpg\r\nwalk\\1.jpg\r\nCafé.jpg\r\n".encode(encoding))
    ran = jzi("localize", tmp_path / "list.txt", "--model", model, "--map", repository, "--json")
    assert ran.code == 0
    assert [row["photo"] for row in ran.json] == [str(tmp_path / name) for name in ("0.jpg", "walk/1.jpg", cafe)]
    (tmp_path / "list.txt").write_bytes("C:\\photos\\0.jpg\r\nC:\\photos\\walk\\1.jpg\r\nC:\\photos\\2.jpg".encode(encoding))
    ran = jzi("localize", tmp_path / "list.txt", "--model", model, "--map", repository, "--json")
    assert ran.code == 1 and ["error" in row for row in ran.json] == [False, False, True]


def test_a_declared_panorama_is_not_localized_as_a_photo(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "pano.jpg").write_bytes(fakes.encoded(fakes.picture(128, 64), xmp=PANO))
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    ran = jzi("localize", tmp_path, "--model", model, "--map", repository)
    assert ran.code == 1 and ran.out.count("90 % within ") == 1
    assert ran.err == (f"error: {tmp_path / 'pano.jpg'}: it is a panorama (equirectangular in its XMP), not an ordinary "
                       "photo. Give a photo of about 90 degrees cut from it; jzi photos import cuts such photos.\n")


@pytest.mark.parametrize(("name", "content", "said", "code"), [
    ("._2.jpg", b"\0\5\x16\7", "1 entry skipped: ._2.jpg (a hidden file)", 0), ("2.jpg", b"", "an empty file", 1),
    ("2.jpg", jpeg(7), "its EXIF has no time", 1), ("2.jpg", b"a text", "it looks like a text", 1)])
def test_one_bad_photo_does_not_end_a_track(name: str, content: bytes, said: str, code: int, jzi: Jzi, model: Path,
                                            repository: Path, tmp_path: Path) -> None:
    for second in (0, 2, 4):
        (tmp_path / f"{second // 2}.jpg").write_bytes(timed(second))
    whole = jzi("track", tmp_path, "--model", model, "--map", repository, "--json").json
    (tmp_path / name).write_bytes(content)
    ran = jzi("track", tmp_path, "--model", model, "--map", repository, "--json")
    assert ran.code == code and said in ran.err
    assert [Path(row["photo"]).name for row in ran.json] == (["0.jpg", "1.jpg", "2.jpg"] if code == 0 else ["0.jpg", "1.jpg"])
    assert code or ran.json == whole
    (tmp_path / "times.csv").write_text("photo,time\n0.jpg,2024-05-01T10:00:00Z\nC:\\x\\1.jpg,2024-05-01T10:00:02Z\n")
    by_table = jzi("track", tmp_path, "--model", model, "--map", repository, "--json", "--times", tmp_path / "times.csv")
    assert by_table.code == 1 and len(by_table.json) == 2 and "times.csv has no row for this photo" in by_table.err


def test_names_that_are_not_utf8_are_spelled_out(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo = os.fsencode(folder) + b"/caf\xe9.jpg"
    with open(photo, "wb") as file:  # noqa: PTH123
        file.write(timed(1))
    use, spelled = ("--model", model, "--map", repository), str(folder / "caf\\xe9.jpg")
    assert jzi("localize", folder, *use, "--json").json[0]["photo"] == spelled
    ran = jzi("localize", folder, *use, "--geojson", tmp_path / "p.geojson")
    assert ran.code == 0 and ran.out.splitlines()[0] == spelled
    assert json.loads((tmp_path / "p.geojson").read_bytes().decode())["features"][0]["properties"]["photo"] == spelled
    for ending, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet), (".jsonl", pl.read_ndjson)):
        assert jzi("localize", folder, *use, "--out", tmp_path / f"x{ending}").code == 0
        assert read(tmp_path / f"x{ending}")["photo"].to_list() == [spelled]
    ran = jzi("track", folder, *use, "--gpx", tmp_path / "t.gpx", "--json")
    assert ran.json[0]["photo"] == spelled and "caf\\xe9.jpg" in (tmp_path / "t.gpx").read_text("utf-8")
    shutil.rmtree(folder)
    assert "caf\\xe9.jpg: it cannot be read" in jzi("localize", os.fsdecode(photo), *use).err

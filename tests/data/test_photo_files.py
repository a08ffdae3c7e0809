"""Which files are photos, what is passed over, and files by the paths that tables and lists state."""

import unicodedata
from pathlib import Path

import pytest

import fakes
from justzoomin.data import PHOTO_ENDINGS, StatedFiles, decode_photo, is_photo, photo_files, photofiles
from justzoomin.errors import DataError

JPEG = fakes.encoded(fakes.picture(32, 24))


def put(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_every_ending_of_what_can_be_decoded_is_that_of_a_photo(tmp_path: Path) -> None:
    for ending in ("jpg", "JPEG", "jpe", "jfif", "mpo", "insp", "png", "webp", "tif", "TIFF", "bmp", "gif", "heic", "HIF"):
        assert f".{ending.lower()}" in PHOTO_ENDINGS
        assert is_photo(tmp_path / f"x.{ending}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_a_photo_with_another_ending_is_known_by_its_content(kind: str, tmp_path: Path) -> None:
    (tmp_path / "PXL_1.photo").write_bytes(fakes.encoded(fakes.picture(32, 24), kind))
    (tmp_path / "without").write_bytes(fakes.encoded(fakes.picture(32, 24), kind))
    photos, others = photo_files(tmp_path)
    assert [p.name for p in photos] == ["PXL_1.photo", "without"] and not others
    assert decode_photo(photos[0].read_bytes(), "x").shape == (24, 32, 3)


def test_all_that_is_passed_over_is_named(tmp_path: Path) -> None:
    tiff = fakes.encoded(fakes.picture(32, 24), "TIFF")
    put(tmp_path, **{"b.jpg": JPEG, "a__c.JFIF": JPEG, "a__film.thm": JPEG, "a__1.dng": tiff, "notes.txt": b"a text",
                     "track.gpx": b"<?xml version='1.0'?><gpx/>", "v.mp4": b"\0\0\0\x18ftypmp42",
                     "x.avif": b"\0\0\0\x18ftypavif", "empty.dat": b"", "._b.jpg": JPEG, ".thumbs__b.jpg": JPEG,
                     "@eaDir__b.jpg": JPEG})
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    photos, others = photo_files(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in photos] == ["b.jpg", "a/c.JFIF"]
    assert {o.path.relative_to(tmp_path).as_posix(): o.why for o in others} == {
        "a/film.thm": "a thumbnail", "a/1.dng": "a camera raw file", "notes.txt": "a text", "track.gpx": "an XML text",
        "v.mp4": "a video", "x.avif": "an AVIF picture", "empty.dat": "an empty file", "._b.jpg": "a hidden file",
        ".thumbs": "a hidden folder", "@eaDir": "a folder of the system", "gone.jpg": "a broken link",
        "linked": "a link to a folder"}
    assert not any(o.failed for o in others)


def test_a_folder_that_cannot_be_read_is_a_failure_and_the_others_are_walked(tmp_path: Path,
                                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, **{"a__1.jpg": JPEG, "b__2.jpg": JPEG, "3.jpg": JPEG})
    scandir = photofiles.os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(photofiles.os, "scandir", refuse)
    closed = "a"
    photos, [other] = photo_files(tmp_path)
    assert [p.name for p in photos] == ["3.jpg", "2.jpg"]
    assert other.failed and other.path == tmp_path / "a" and other.why == "a folder that cannot be read (Permission denied)"
    closed = tmp_path.name
    with pytest.raises(DataError, match="cannot be read"):
        photo_files(tmp_path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_in_either_normal_form(form: str, tmp_path: Path) -> None:
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    there = tmp_path / unicodedata.normalize(form, "Café") / unicodedata.normalize(form, "Å.jpg")
    there.parent.mkdir()
    there.write_bytes(JPEG)
    stated = unicodedata.normalize(other, "Café/Å.jpg")
    assert StatedFiles([stated]).find(tmp_path, stated) == there
    assert StatedFiles().find(tmp_path, "Cafe/Å.jpg") is None
    (there.parent / unicodedata.normalize(other, "Å.jpg")).write_bytes(b"another")
    assert StatedFiles().find(tmp_path, f"{there.parent.name}/{there.name}") == there  # the exact name comes first


def test_paths_of_another_computer_are_taken_below_the_folder_that_they_share(tmp_path: Path) -> None:
    put(tmp_path, **{"0.jpg": JPEG, "walk__0.jpg": JPEG, "walk__1.jpg": JPEG, "drive__0.jpg": JPEG})

    def found(*stated: str) -> list[str | None]:
        files = StatedFiles(stated)
        paths = [files.find(tmp_path, one) for one in stated]
        return [p and p.relative_to(tmp_path).as_posix() for p in paths]

    assert found(r"walk\1.jpg", r"0.jpg") == ["walk/1.jpg", "0.jpg"]
    assert found(r"C:\photos\0.jpg") == ["0.jpg"]
    assert found(r"C:\photos\walk\0.jpg") == ["walk/0.jpg"], "the longest end of the path comes first"
    assert found(r"D:\x\walk\0.jpg", r"D:\x\drive\0.jpg", r"D:\x\9.jpg") == ["walk/0.jpg", "drive/0.jpg", None]
    assert found(r"D:\x\one\0.jpg", r"D:\x\two\0.jpg") == [None, None], "both would be 0.jpg"
    assert found(r"C:\x\0.jpg", r"D:\x\0.jpg") == [None, None]
    assert found(r"\\server\share\walk\1.jpg", "/nowhere/at/all/0.jpg")[0] is None
    assert found("/nowhere/at/all/0.jpg") == ["0.jpg"]
    assert found(str(tmp_path / "walk" / "0.jpg")) == ["walk/0.jpg"]
    assert found("x" * 5000, "a\0b", "") == [None, None, "."]

"""Ids, folders, and which reader a source gets."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import LUND, gps_tags, photo

from justzoomin.errors import ConfigError, DataError
from justzoomin.photos.readers import KINDS, Camera, SourceOptions, read_source
from justzoomin.photos.readers.ids import unique_ids


@given(st.lists(st.text(max_size=120), unique=True, max_size=30))
def test_ids_are_unique_safe_and_depend_on_their_names_alone(names: list[str]) -> None:
    ids = unique_ids(names)
    assert len({i.lower() for i in ids}) == len(names)
    for one in ids:
        assert one and len(one) <= 100 and not one.startswith((".", "-")) and set(one) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    turned = unique_ids(names[::-1])[::-1]
    assert ids == turned


def test_plain_names_stay_and_others_get_a_hash() -> None:
    assert unique_ids(["IMG_1", "a.b-c"]) == ["IMG_1", "a.b-c"]
    [one, other] = unique_ids(["walk/IMG_1", "walk-IMG_1"])
    assert other == "walk-IMG_1" and one.startswith("walk-IMG_1-") and len(one) == len(other) + 9
    upper, lower = unique_ids(["A", "a"])
    assert upper.startswith("A-") and lower.startswith("a-") and upper[2:] != lower[2:]
    with pytest.raises(DataError, match="same name"):
        unique_ids(["x", "x"])


def test_a_folder_is_read_without_rubbish(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "a/1.jpg", "a/1.png", ".thumbs/x.jpg", "__MACOSX/a/1.jpg", "a/._1.jpg", "å/3.jpg"):
        photo(tmp_path / name, gps_tags(*LUND), kind="PNG" if name.endswith("png") else "JPEG")
    (tmp_path / "a" / "1.dng").write_bytes(b"raw beside a photo")
    (tmp_path / "b" / "9.NEF").write_bytes(b"raw alone")
    (tmp_path / "notes.md").write_text("no photo")
    seen: list[tuple[int, int]] = []
    source = read_source(tmp_path, options=SourceOptions(folder_sequences=True), progress=lambda k, n: seen.append((k, n)))
    assert source.kind == "exif"
    assert [r.path.relative_to(tmp_path).as_posix() for r in source.records] == ["a/1.jpg", "a/1.png", "b/2.JPG", "å/3.jpg"]
    assert [r.sequence_id for r in source.records] == ["a", "a", "b", "å"]
    assert len({r.image_id for r in source.records}) == 4
    assert [(s.item, s.kind, s.detail) for s in source.skipped] == [
        (".thumbs", "not_a_photo", "it is a hidden folder"), ("__MACOSX", "not_a_photo", "it is a folder of the system"),
        ("notes.md", "not_a_photo", "it is a text"), ("a/._1.jpg", "not_a_photo", "it is a hidden file"),
        ("b/9.NEF", "raw", "camera raw files are not read; export it as JPEG")]
    assert seen[-1] == (4, 4)
    assert read_source(tmp_path).records[0].image_id == source.records[0].image_id


def test_missing_facts_come_from_the_options(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", gps_tags(*LUND), {0xA405: 28}, {0x8298: "Some Body"})
    photo(tmp_path / "b.jpg", gps_tags(*LUND))
    camera = Camera("fisheye", 0.4)
    source = read_source(tmp_path, options=SourceOptions(camera=camera, attribution="The Club", license="CC0-1.0"))
    a, b = source.records
    assert a.camera.projection == "perspective" and b.camera == camera
    assert (a.attribution, b.attribution, a.license) == ("Some Body", "The Club", "CC0-1.0")
    assert (source.attribution, source.license) == ("The Club", "CC0-1.0")


def test_notes_list_what_was_kept_and_not_used(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", gps_tags(*LUND, _16="M", _17=12.0), {0x9003: "2024:05:17 13:04:59"})
    notes = read_source(tmp_path).notes
    assert len(notes) == 2 and notes[0].startswith("1 of 1 photos have a magnetic heading") and "--time-zone" in notes[1]


def image(image_id: str) -> dict[str, object]:
    return {"id": image_id, "geometry": {"type": "Point", "coordinates": [LUND[1], LUND[0]]}}


TRACK = ('<gpx version="1.1"><trk><trkseg><trkpt lat="55" lon="13"><time>2024-05-17T11:00:00Z</time></trkpt>'
         "</trkseg></trk></gpx>")


def test_each_kind_is_found(tmp_path: Path) -> None:
    files = {"csv/a.csv": "file,lat,lon\n1.jpg,55,13\n", "geo/a.geojson": '{"type": "FeatureCollection", "features": [{"type": '
             '"Feature", "geometry": {"type": "Point", "coordinates": [13, 55]}, "properties": {"file": "1.jpg"}}]}',
             "mly/1.json": json.dumps(image("1")), "gpx/walk.gpx": TRACK}
    for name, text in files.items():
        photo(tmp_path / Path(name).parent / "1.jpg", gps_tags(*LUND))
        (tmp_path / name).write_text(text)
    (tmp_path / "geo" / "b.json").write_text(files["geo/a.geojson"])
    (tmp_path / "mly" / "2.jsonl").write_text(json.dumps(image("2")) + "\n" + json.dumps(image("3")))
    kinds = {"csv/a.csv": "table", "geo/a.geojson": "table", "geo/b.json": "table", "mly/1.json": "mapillary",
             "mly/2.jsonl": "mapillary", "mly": "mapillary", "gpx/walk.gpx": "gpx", "gpx": "gpx", "csv/1.jpg": "exif"}
    assert {name: read_source(tmp_path / name).kind for name in kinds} == kinds
    assert read_source(tmp_path / "csv", kind="exif").records
    assert read_source(tmp_path / "csv", kind="table").records[0].lat == 55.0
    assert read_source(tmp_path / "csv", options=SourceOptions(images=tmp_path / "mly")).kind == "table"
    for name, options in (("csv/1.jpg", SourceOptions(images=tmp_path)), ("mly", SourceOptions(columns={"lat": "Y"})),
                          ("csv/a.csv", SourceOptions(folder_sequences=True))):
        with pytest.raises(ConfigError, match=r"--.*: the option has no effect: the source is read as (exif|mapillary|table)"):
            read_source(tmp_path / name, options=options)


def test_an_ambiguous_folder_says_what_it_found(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", gps_tags(*LUND))
    (tmp_path / "list.csv").write_text("file,lat,lon\n1.jpg,55,13\n")
    with pytest.raises(DataError, match=r"1 photos, list\.csv, so .* in several ways\. .*--kind exif, table, gpx, mapillary"):
        read_source(tmp_path)
    (tmp_path / "walk.gpx").write_text(TRACK)
    with pytest.raises(DataError, match="1 GPX tracks"):
        read_source(tmp_path)


def test_foreign_sidecars_do_not_hide_the_photos(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", gps_tags(*LUND))
    (tmp_path / "1.jpg.json").write_text('{"title": "1.jpg", "geoData": {"latitude": 0.0}}')
    (tmp_path / "broken.json").write_text("{")
    assert read_source(tmp_path).kind == "exif"


def test_wrong_sources_and_kinds(tmp_path: Path) -> None:
    assert KINDS == ("exif", "table", "gpx", "mapillary")
    with pytest.raises(DataError, match="the file or folder does not exist"):
        read_source(tmp_path / "none")
    with pytest.raises(DataError, match="neither photos nor positions"):
        read_source(tmp_path)
    with pytest.raises(DataError, match="the source contains no photos"):
        read_source(tmp_path, kind="exif")
    with pytest.raises(ConfigError, match="unknown kind of source 'video'"):
        read_source(tmp_path, kind="video")
    (tmp_path / "a.mp4").write_bytes(b"video")
    with pytest.raises(DataError, match=r"unsupported file extension '\.mp4'"):
        read_source(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="does not have the extension of a gpx file"):
        read_source(tmp_path / "a.mp4", kind="gpx")
    with pytest.raises(DataError, match="the folder contains 0 tables"):
        read_source(tmp_path, kind="table")

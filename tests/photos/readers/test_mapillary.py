"""JSON of the Mapillary API v4, joined with images on disk."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import photo

from justzoomin.errors import DataError, JustZoomInError
from justzoomin.geometry import haversine_m
from justzoomin.photos.readers import Camera, Source, SourceOptions, read_source
from justzoomin.photos.readers.mapillary import mapillary_camera


def image(image_id: object = "498763468214164", **more: Any) -> dict[str, Any]:
    """Return an image as the API describes it."""
    return {"id": image_id, "geometry": {"type": "Point", "coordinates": [13.2, 55.7]},
            "computed_geometry": {"type": "Point", "coordinates": [13.2001, 55.7001]}, "camera_type": "perspective",
            "camera_parameters": [0.85, -0.05, 0.01], "compass_angle": 20.5, "computed_compass_angle": 350.25,
            "sequence": "f1ihYvTZNTEhCCnRjyMAuQ", "captured_at": 1507560881000, "make": "Acme", "height": 3024,
            "altitude": 12.5, "creator": {"username": "walker", "id": "7"},
            "thumb_2048_url": "https://example.org/x.jpg?secret=1", **more}


def read(tmp_path: Path, value: object, name: str = "images.json", **options: Any) -> Source:
    (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return read_source(tmp_path / name, kind="mapillary", options=SourceOptions(**options))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    photo(tmp_path / "498763468214164.jpg")
    return tmp_path


def test_everything_the_api_says_finds_its_place(images: Path) -> None:
    source = read(images, {"data": [image()], "paging": {}})
    [record] = source.records
    assert (record.lat, record.lon) == (55.7001, 13.2001)
    assert record.captured_at == datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC) and record.bearing_deg == 350.25
    assert record.camera == Camera("perspective", 0.85, -0.05, 0.01)
    assert record.sequence_id == "f1ihYvTZNTEhCCnRjyMAuQ" and record.image_id == "498763468214164"
    assert (record.attribution, record.license) == ("walker on Mapillary, CC BY-SA 4.0", "CC-BY-SA-4.0")
    assert (source.attribution, source.license) == ("Mapillary contributors, CC BY-SA 4.0", "CC-BY-SA-4.0")
    assert record.extra == {
        "make": "Acme", "height": 3024, "altitude": 12.5, "position_from": "Mapillary computed_geometry", "original_lat": 55.7,
        "original_lon": 13.2, "computed_offset_m": round(float(haversine_m(55.7, 13.2, 55.7001, 13.2001)), 2),
        "camera_from": "Mapillary camera_parameters", "bearing_from": "Mapillary computed_compass_angle"}
    assert record.path == images / "498763468214164.jpg"


def test_without_the_computed_fields_the_cameras_own_are_used(images: Path) -> None:
    for gone in (None, {"type": "Point", "coordinates": [0, 0]}, {"type": "Point", "coordinates": ["x", 1]}, 7):
        [record] = read(images, image(computed_geometry=gone, computed_compass_angle=None, creator=None)).records
        assert (record.lat, record.lon, record.bearing_deg) == (55.7, 13.2, 20.5)
        assert record.extra["position_from"] == "Mapillary geometry" and "computed_offset_m" not in record.extra
        assert record.attribution == "Mapillary, CC BY-SA 4.0"


@pytest.mark.parametrize("form", ["object", "list", "data", "lines", "lines.jsonl", "folder", "number"])
def test_all_forms_are_equal(images: Path, form: str) -> None:
    photo(images / "2.jpg")
    both = [image(), image("2")]
    if form == "folder":
        for one in both:
            (images / f"{one['id']}.json").write_text(json.dumps(one))
        source = read_source(images)
    else:
        text = {"object": json.dumps(both[0]), "list": json.dumps(both), "data": json.dumps({"data": both}, indent=1),
                "number": json.dumps([{**both[0], "id": 498763468214164}, both[1]])}.get(
                    form, "\n".join(map(json.dumps, both)) + "\n\n")
        source = read(images, text, "images.jsonl" if form == "lines.jsonl" else "images.json")
    assert sorted(r.image_id for r in source.records) == (["498763468214164"] if form == "object" else ["2", "498763468214164"])
    assert source.kind == "mapillary" and not source.skipped


def test_images_are_found_by_id(tmp_path: Path) -> None:
    for name in ("1.jpg", "1_undistorted.jpg", "deep/2_undistorted.jpg", "3/original.jpg", "4/a.jpg", "4/b.jpg", "x/6.png",
                 "named/seven.jpg"):
        photo(tmp_path / "images" / name, kind="PNG" if name.endswith("png") else "JPEG")
    stated = [image(str(k)) for k in range(1, 7)] + [image("7", file="named/seven.jpg"), image("8", file="../8.json")]
    source = read(tmp_path, stated, images=tmp_path / "images")
    found = {r.image_id: r.path.relative_to(tmp_path / "images").as_posix() for r in source.records}
    assert found == {"1": "1.jpg", "2": "deep/2_undistorted.jpg", "3": "3/original.jpg", "6": "x/6.png", "7": "named/seven.jpg"}
    assert {s.item: s.kind for s in source.skipped} == {"4": "ambiguous_file", "5": "missing_file", "8": "outside"}
    assert "4/a.jpg, 4/b.jpg" in next(s.detail for s in source.skipped if s.item == "4")
    assert {r.image_id: r.camera for r in source.records}["2"] == Camera("perspective", 0.85)  # it is already undistorted


@pytest.mark.parametrize(("kind", "parameters", "camera"), [
    ("perspective", [0.8, 0.1, 0.2], Camera("perspective", 0.8, 0.1, 0.2)), ("perspective", None, Camera("perspective")),
    ("perspective", [0.8], Camera("perspective", 0.8)), ("fisheye", [0.4, 0, -0.1], Camera("fisheye", 0.4, 0.0, -0.1)),
    ("spherical", [], Camera("equirectangular")), ("equirectangular", None, Camera("equirectangular")),
    ("EQUIRECTANGULAR", [1.0], Camera("equirectangular")), ("brown", [0.8, 0, 0, 0, 0], Camera("perspective", 0.8)),
    (None, None, None)])
def test_cameras(kind: object, parameters: object, camera: Camera | None) -> None:
    assert mapillary_camera({"camera_type": kind, "camera_parameters": parameters}) == camera


@pytest.mark.parametrize(("facts", "words"), [
    ({"camera_type": "brown", "camera_parameters": [0.8, 0.1]}, "camera_type is brown, whose distortion is not supported"),
    ({"camera_type": "brown"}, "camera_parameters are missing"), ({"camera_type": "dual"}, "'dual' is not supported"),
    ({"camera_type": 7}, "camera_type 7 is not supported"), ({"is_pano": True}, "fetch it with the field camera_type"),
    ({"camera_type": "perspective", "camera_parameters": [0.8, 0, 0, 0.5]}, "more values than focal, k1 and k2"),
    ({"camera_type": "perspective", "camera_parameters": "0.8"}, "not a list of numbers"),
    ({"camera_type": "perspective", "camera_parameters": [None, 1]}, "not a list of numbers"),
    ({"camera_type": "fisheye", "camera_parameters": [-1, 0, 0]}, "are impossible"),
    ({"camera_type": "fisheye", "camera_parameters": [1, 1e9, 0]}, "are impossible"),
    ({"camera_type": "fisheye", "camera_parameters": [10**400, 0, 0]}, "not a list of numbers")])
def test_unusable_cameras_give_the_reason(images: Path, facts: dict[str, Any], words: str) -> None:
    stated = {k: v for k, v in image().items() if not k.startswith("camera")}
    source = read(images, [{**stated, **facts}])
    assert [(s.item, s.kind) for s in source.skipped] == [("498763468214164", "camera")] and words in source.skipped[0].detail


@pytest.mark.parametrize("wrong", ["../1", "a/b", "", None, True, 1.5, -3, ["1"], "a b", "x" * 65, 10**50])
def test_invalid_ids(images: Path, wrong: object) -> None:
    source = read(images, [image(wrong), image()])
    assert len(source.records) == 1
    assert [(s.kind, "is not a Mapillary id" in s.detail) for s in source.skipped] == [("broken_record", True)]
    assert "image 1" in source.skipped[0].item


def test_the_same_image_twice(images: Path) -> None:
    again = image(thumb_2048_url="https://example.org/another")
    source = read(images, [image(), again])
    assert len(source.records) == 1 and [(s.item, s.kind) for s in source.skipped] == [("498763468214164", "duplicate")]
    with pytest.raises(DataError, match=r"image 2: image 498763468214164 is also in .*image 1, with other values"):
        read(images, [image(), image(compass_angle=1.0)])


def test_the_same_image_fetched_twice(images: Path) -> None:
    """Addresses get a new signature at each call, at any depth; fields that are not read may differ."""
    def fetched(signature: int) -> dict[str, Any]:
        address = f"https://example.org/7?sig={signature}"
        return image(mesh={"id": "7", "url": address}, detections={"data": [{"id": signature}]}, sfm_cluster={"url": address},
                     thumb_1024_url=address)

    source = read(images, {"data": [fetched(1), fetched(2)]})
    assert len(source.records) == 1 and [s.kind for s in source.skipped] == ["duplicate"]
    assert source.records[0].extra == read(images, image()).records[0].extra


@pytest.mark.parametrize("stated", [498763468214164.0, "498763468214164.0", "498763468214164"])
def test_ids_that_went_through_pandas(images: Path, stated: object) -> None:
    [record] = read(images, image(stated, sequence=12.0)).records
    assert (record.image_id, record.sequence_id) == ("498763468214164", "12")


def test_invalid_headings_and_times_are_kept_and_reported(images: Path) -> None:
    source = read(images, image(computed_compass_angle=-1, captured_at="2024-07-09T12:00:00"))
    [record] = source.records
    assert record.bearing_deg == 20.5 and record.extra["bearing_from"] == "Mapillary compass_angle"
    assert record.captured_at is None and record.extra["captured_at_stated"] == "2024-07-09T12:00:00"
    source = read(images, image(computed_compass_angle=-1.0, compass_angle=None))
    assert source.records[0].bearing_deg is None and source.records[0].extra["bearing_stated"] == -1.0
    assert source.notes == ("1 of 1 photos state an invalid heading (-1 means none); it is kept as bearing_stated",)


@pytest.mark.parametrize("geometry", [None, 7, {}, {"type": "Point"}, {"type": "LineString", "coordinates": [[1, 2]]},
                                      {"type": "Point", "coordinates": [200, 55]}, {"type": "Point", "coordinates": [0, 0]},
                                      {"type": "Point", "coordinates": [True, 5]},
                                      {"type": "Point", "coordinates": {"lon": 1}}])
def test_photos_without_a_position(images: Path, geometry: object) -> None:
    source = read(images, [image(geometry=geometry, computed_geometry=None)])
    assert [(s.item, s.kind) for s in source.skipped] == [("498763468214164", "no_position")]


@pytest.mark.parametrize(("text", "words"), [
    ('{"error": {"message": "Invalid OAuth access token", "code": 190}}', "answered with an error: Invalid OAuth access token"),
    ("{", "this is not valid JSON"), ("[" * 200_000, "nested too deeply|not valid JSON"),
    ('[{"id": 1, "altitude": NaN}]', "is not a JSON number"),
    ('{"images": []}', "no images of the Mapillary API"), ("7", "no images of the Mapillary API"),
    ('{"id": 1}\n{"id"', "line 2"), ('[{"id": ' + "9" * 5000 + "}]", "not valid JSON"), ("", "not valid JSON")])
def test_hostile_files(images: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(images, text)
    assert "images.json" in caught.value.where


def test_a_broken_file_in_a_folder_is_skipped_and_listed(images: Path) -> None:
    (images / "498763468214164.json").write_text(json.dumps(image()))
    (images / "zzz.json").write_text('{"id": "2", "geom')
    source = read_source(images)
    assert len(source.records) == 1
    assert [(s.item, s.kind) for s in source.skipped] == [(str(images / "zzz.json"), "broken_record")]


def test_odd_values_are_not_stored(images: Path) -> None:
    [record] = read(images, [image(captured_at="soon", compass_angle="north", computed_compass_angle=1e300, sequence={"id": 1},
                                   creator="me", altitude=10**400, mesh={"url": "x"}, link="https://example.org")]).records
    assert record.captured_at is None and record.bearing_deg is None and record.sequence_id is None
    assert record.extra["altitude"] is None and "mesh" not in record.extra and "link" not in record.extra
    assert not any("thumb" in k for k in record.extra)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=6)


@given(st.dictionaries(st.sampled_from(sorted(image())), JSON, max_size=6))
def test_any_values_are_a_package_error_or_skipped(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    if not folder.exists():
        photo(folder / "498763468214164.jpg")
    try:
        source = read(folder, [{**image(), **changes}])
    except JustZoomInError as error:
        assert "images.json" in error.where
    else:
        assert len(source.records) + len(source.skipped) == 1
        for record in source.records:
            assert abs(record.lat) <= 90 and abs(record.lon) <= 180
            assert record.bearing_deg is None or 0 <= record.bearing_deg < 360

"""CSV, Parquet and GeoJSON with positions: what is read, and which errors are raised."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import photo

from justzoomin.data import parquet
from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.photos.readers import Camera, PhotoRecord, Skipped, SourceOptions
from justzoomin.photos.readers.located_tables import number, read_table


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("1.jpg", "2.jpg", "walk/3.jpg"):
        photo(tmp_path / "data" / name)
    photo(tmp_path / "secret.jpg")
    return tmp_path / "data"


def read(folder: Path, text: str | bytes, name: str = "list.csv", **options: object
         ) -> tuple[list[PhotoRecord], list[Skipped]]:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path, SourceOptions(**options))


PLAIN = "file,lat,lon,note\n1.jpg,55.7,13.2,first\nwalk/3.jpg,-55.75,-13.25,007\n"


@pytest.mark.parametrize("text", [
    PLAIN, PLAIN.replace("\n", "\r\n"), b"\xef\xbb\xbf" + PLAIN.encode(), PLAIN.encode("utf-16"), PLAIN.replace(",", "\t"),
    PLAIN.replace(",", ";").replace(".7", ",7").replace(".2", ",2"), "sep=;\r\n" + PLAIN.replace(",", ";"),
    PLAIN.replace("file", "Image").replace("lat", " Latitude ").replace("lon", "LNG"), "\n" + PLAIN + "\n\n",
    PLAIN.replace("1.jpg", '"1.jpg"').replace("walk/", "walk\\")])
def test_tables_of_all_spreadsheets_are_equal(images: Path, text: str | bytes) -> None:
    records, skipped = read(images, text)
    assert [(r.lat, r.lon, r.path.name, dict(r.extra)) for r in records] == [
        (55.7, 13.2, "1.jpg", {"note": "first"}), (-55.75, -13.25, "3.jpg", {"note": "007"})]
    assert not skipped and records[0].image_id == "1" and records[1].image_id.startswith("walk-3-")
    assert records[1].source == "list.csv, row 2"


def test_every_column_finds_its_place(images: Path) -> None:
    head = ("image_id;path;latitude;long;Compass_Angle;captured_at;sequence;camera_type;focal;k1;k2;credit;licence;floor;"
            "height_m")
    row = "a7;1.jpg;55;13;-10;1507560881000;drive;fisheye;0,5;0.01;-0.02;Some Body;CC0-1.0;2;1.5"
    records, _ = read(images, f"{head}\n{row}\n")
    [record] = records
    assert record == PhotoRecord(
        "a7", images / "1.jpg", 55.0, 13.0, "list.csv, row 1", datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC), 350.0,
        Camera("fisheye", 0.5, 0.01, -0.02), "drive", "Some Body", "CC0-1.0", {"floor": 2, "height_m": 1.5})


def test_parquet_with_its_own_kinds(images: Path) -> None:
    pl.DataFrame({"filename": ["1.jpg", "2.jpg"], "lat": [55.0, None], "lng": [13.0, 13.0], "image_id": [7.0, 8.0],
                  "captured_at": [datetime(2024, 5, 17, 13, 0), None], "tags": [["a", "b"], None], "blob": [b"x", b"y"],
                  "sequence": [[1, 2], [3, 4]]}).write_parquet(images / "list.parquet")
    records, skipped = read_table(images / "list.parquet", SourceOptions(time_zone="Europe/Stockholm"))
    assert records[0].image_id == "7" and records[0].captured_at == datetime(2024, 5, 17, 11, 0, tzinfo=UTC)
    assert records[0].sequence_id is None  # a path of actions, as in split tables
    assert records[0].extra == {"tags": '["a", "b"]', "sequence": "[1, 2]"}
    assert [(s.item, s.kind) for s in skipped] == [("2.jpg", "no_position")]


def feature(name: str, coordinates: object, kind: str = "Point", **more: object) -> dict[str, object]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": {"file": name, **more}}


def test_geojson_is_longitude_first(images: Path) -> None:
    collection = {"type": "FeatureCollection",
                  "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
                  "features": [feature("1.jpg", [13.2, 55.7, 40.0], heading=12),
                               feature("2.jpg", [[1, 2], [3, 4]], "LineString"),
                               feature("walk/3.jpg", [13.3, None]), {**feature("2.jpg", []), "geometry": None}]}
    records, skipped = read(images, json.dumps(collection), "list.geojson")
    assert [(r.lat, r.lon, r.bearing_deg, dict(r.extra)) for r in records] == [(55.7, 13.2, 12.0, {"altitude_m": 40.0})]
    assert [s.detail for s in skipped] == ["list.geojson, feature 2: its geometry is LineString, not Point",
                                           "list.geojson, feature 3: its coordinates are not numbers",
                                           "list.geojson, feature 4: it has no geometry"]
    lines = "\n".join(json.dumps(f) for f in collection["features"][:1])
    assert read(images, lines, "lines.geojsonl")[0][0].lat == 55.7
    collection["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3006"}}
    with pytest.raises(DataError, match=r"its crs is urn:ogc:def:crs:EPSG::3006, not WGS 84\. Export it"):
        read(images, json.dumps(collection), "list.geojson")
    with pytest.raises(DataError, match="Export GeoJSON with longitude first"):
        read(images, json.dumps({"type": "FeatureCollection", "features": [feature("1.jpg", [38.9, -177.0])]}), "x.geojson")


@pytest.mark.parametrize(("text", "words"), [
    ("file,lat,latitude,lon\n1.jpg,1,2,3\n", r"lat, latitude could all mean lat\. Choose one with --columns lat=lat"),
    ("file,lat\n1.jpg,1\n", r"no column gives lon \(columns: file, lat\).*--columns lon=NAME"),
    ("lat,lon\n1,2\n", "no column gives the image"),
    ("file,lat,lon,LAT\n1.jpg,1,2,3\n", "repeated columns: LAT, lat"),
    ("file,lat,lon,heading,bearing\n1.jpg,1,2,3,4\n", "the columns heading, bearing could all mean bearing"),
    ("file,lat,lon\n1.jpg,139.7,35.6\n", r"swapped: lat, lon is 139\.7, 35\.6\. Exchange them with --columns lat=lon,lon=lat"),
    ("file,lat,lon\n1.jpg,6172345.5,386012.1\n", r"a projection, not in degrees: lat, lon is 6172345\.5, 386012\.1\. Convert"),
    ("file,lat,lon\n1.jpg,38.9,283\n", "exceed 180 degrees.*Subtract 360"),
    ("file,lat,lon\n1.jpg,1\n", "line 2: 2 values for 3 columns"),
    ('file,lat,lon\n"1.jpg,1,2\n', "invalid CSV"),
    ("file,lat,lon\n", "the table has no rows"), ("", "the table is empty"),
    (b"file,lat,lon\n\xff\xff,1,2\n", r"list\.csv: the file is not UTF-8 text \(byte 13\)\. Save it"),
    (b"file,lat,lon\n1\0.jpg,1,2\n", "zero byte"),
    ("file,lat,lon\n1.jpg,1,2\n./1.jpg,1,3\n", r"row 2: 1 is also in list\.csv, row 1, with different values")])
def test_wrong_tables_are_refused_with_the_remedy(images: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(images, text)
    assert "list.csv" in caught.value.where


def test_columns_can_be_chosen(images: Path) -> None:
    text = "nr,Y,X,lat\n1.jpg,55.7,13.2,nonsense\n"
    records, _ = read(images, text, columns={"lat": "Y", "lon": "X", "file": "nr"})
    assert (records[0].lat, records[0].lon) == (55.7, 13.2) and records[0].extra == {"lat": "nonsense"}
    with pytest.raises(ConfigError, match=r"--columns: .*no column 'Z'\. Its columns are nr, Y, X, lat"):
        read(images, text, columns={"lat": "Z"})
    assert read(images, text, columns={"Latitude": "Y", "lng": "X", "image": "nr"})[0] == records
    with pytest.raises(ConfigError, match="unknown meaning 'latitude_deg'"):
        read(images, text, columns={"latitude_deg": "Y"})
    with pytest.raises(ConfigError, match="lat has two columns: Y and X"):
        read(images, text, columns={"latitude": "Y", "lat": "X"})


@pytest.mark.parametrize(("row", "kind", "words"), [
    ("2.jpg,,13", "no_position", "its lat is empty"), ("2.jpg,nan,13", "no_position", "'nan', not a number"),
    ("2.jpg,55°41'N,13", "no_position", "not a number of degrees"), ("2.jpg,0,0.0", "no_position", "0, 0"),
    ("2.jpg,95,13", "no_position", "95, 13 is not a position"), ("9.jpg,55,13", "missing_file", "the image does not exist"),
    ("walk,55,13", "missing_file", "the image does not exist"), (",55,13", "missing_file", "the row names no image"),
    ("../secret.jpg,55,13", "outside", "leads out of"), ("/etc/passwd,55,13", "outside", "--images"),
    ("C:\\photos\\8.jpg,55,13", "missing_file", "does not exist"), ("walk/../../secret.jpg,55,13", "outside", "--images"),
    ("link.jpg,55,13", "outside", "--images"), ("./1.jpg,55.7,13.2", "duplicate", "row 3 repeats list.csv, row 1"),
    ("a" * 5000 + ".jpg,55,13", "missing_file", "the image does not exist")])
def test_wrong_rows_are_skipped_with_the_reason(images: Path, row: str, kind: str, words: str) -> None:
    (images / "link.jpg").symlink_to(images.parent / "secret.jpg")
    records, [skipped] = read(images, f"file,lat,lon\n1.jpg,55.7,13.2\n2.jpg,55.7,13.3\n{row}\n")
    assert len(records) == 2
    assert skipped.kind == kind and words in skipped.detail and "row 3" in skipped.detail


def test_the_images_folder_decides_what_is_inside(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "tables"
    table.mkdir()
    rows = [f"{images}/1.jpg,55,13", "../data/2.jpg,55,13.1", "walk/3.jpg,55,13.2", "../secret.jpg,55,13", "9.jpg,55,13.3",
            "walk/9.jpg,55,13.4"]
    records, skipped = read(table, "file,lat,lon\n" + "\n".join(rows) + "\n", images=images)
    assert [(r.image_id[:4], r.path.name) for r in records] == [("1", "1.jpg"), ("2", "2.jpg"), ("walk", "3.jpg")]
    assert [s.kind for s in skipped] == ["outside", "missing_file", "missing_file"]
    assert skipped[1].detail == f"list.csv, row 5: the image does not exist in {images}"
    with pytest.raises(DataError, match="the folder does not exist"):
        read(table, PLAIN, images=tmp_path / "nowhere")


def test_images_by_id_where_no_path_is_stated(images: Path) -> None:
    photo(images / "77_undistorted.jpg")
    records, skipped = read(images, "image_id,lat,lon\n77,55,13\n../secret,55,13\n3,55,14\n")
    assert [(r.image_id, r.path.name) for r in records] == [("77", "77_undistorted.jpg"), ("3", "3.jpg")]
    assert [(s.item, s.kind) for s in skipped] == [("../secret", "missing_file")]


@pytest.mark.parametrize(("row", "camera"), [
    ("perspective,,,,90", Camera("perspective", 0.5)), (",,,,90", Camera("perspective", 0.5)), (",,,,", None),
    ("fisheye,,,,180", Camera("fisheye", 1 / math.pi)), ("spherical,,,,", Camera("equirectangular")),
    ("perspective,,0.1,,90", Camera("perspective", 0.5 / 1.1, 0.1)),
    (",0.8,-0.1,0.02,", Camera("perspective", 0.8, -0.1, 0.02))])
def test_cameras(images: Path, row: str, camera: Camera | None) -> None:
    [record], _ = read(images, f"file,lat,lon,camera_type,focal,k1,k2,fov_deg\n1.jpg,55,13,{row}\n")
    if camera is None:
        assert record.camera is None
    else:
        assert record.camera == Camera(camera.projection, camera.focal and pytest.approx(camera.focal), camera.k1, camera.k2)


@pytest.mark.parametrize(("row", "words"), [
    ("brown,,,,", "'brown'; supported are perspective"), (",x,,,", "its focal is 'x', not a number"),
    (",-1,,,", "larger side is -1"),
    (",,,,190", "190 degrees is impossible"), ("perspective,,-9,,120", "which is impossible")])
def test_impossible_cameras(images: Path, row: str, words: str) -> None:
    _, [skipped] = read(images, f"file,lat,lon,camera_type,focal,k1,k2,fov_deg\n1.jpg,55,13,{row}\n")
    assert skipped.kind == "camera" and words in skipped.detail


def test_times_without_a_zone_are_kept_and_not_used(images: Path) -> None:
    [record], _ = read(images, "file,lat,lon,time\n1.jpg,55,13,2024-05-17 13:00:00\n")
    assert record.captured_at is None and record.extra == {"captured_at_stated": "2024-05-17 13:00:00"}
    [record], _ = read(images, "file,lat,lon,time\n1.jpg,55,13,2024-05-17 13:00:00\n", time_zone="+02:00")
    assert record.captured_at == datetime(2024, 5, 17, 11, 0, tzinfo=UTC) and not record.extra


@pytest.mark.parametrize(("stated", "bearing"), [
    ("0", 0.0), ("359.5", 359.5), ("360", 0.0), ("-45", 315.0), ("-180", 180.0), ("-0.5", 359.5), ("-1", None), ("-1.0", None),
    ("-1,0", None), ("361", None), ("655.35", None), ("-999", None), ("north", None)])
def test_invalid_headings_are_kept_and_not_used(images: Path, stated: str, bearing: float | None) -> None:
    [record], _ = read(images, f"file;lat;lon;heading\n1.jpg;55;13;{stated}\n")
    assert record.bearing_deg == bearing
    assert record.extra == ({} if bearing is not None else {"bearing_stated": stated})
    value = number(stated)
    if value is not None:
        assert read(images, json.dumps(feature("1.jpg", [13, 55], heading=value)), "x.geojson")[0][0].bearing_deg == bearing
        pl.DataFrame({"file": ["1.jpg"], "lat": [55.0], "lon": [13.0], "heading": [value]}).write_parquet(images / "x.parquet")
        assert read_table(images / "x.parquet", SourceOptions())[0][0].bearing_deg == bearing


@pytest.mark.parametrize(("head", "row", "position"), [
    ("latitude,latitude_ref,longitude,longitude_ref", "55,N,13,W", (55, -13)),
    ("lat,lat_ref,lon,lon_ref", "55,s,13,East", (-55, 13)), ("lat,ns,lon,ew", "-55,S,-13,W", (-55, -13)),
    ("Latitude,Latitude Ref,Longitude,Longitude Ref", "55,North,13,West", (55, -13)),
    ("lat,GPSLatitudeRef,lon,GPSLongitudeRef", "55,N,-13,", (55, -13)), ("lat,lon,lon_hemisphere", "-55,13,w", (-55, -13)),
    ("lat,lat_ref,lon,lon_ref", "55,N,-13,E", "lon is -13 and its lon_ref E: one of them is wrong"),
    ("lat,lat_ref,lon,lon_ref", "55,N,13,\n2.jpg,55,N,13,W", "lon_ref is '', not E or W"),
    ("lat,lat_ref,lon,lon_ref", "55,E,13,E", "lat_ref is 'E', not N or S")])
def test_columns_of_hemispheres_are_used(images: Path, head: str, row: str, position: tuple[float, float] | str) -> None:
    records, skipped = read(images, f"file,{head}\n1.jpg,{row}\n")
    if isinstance(position, str):
        assert [s.kind for s in skipped] == ["no_position"] and position in skipped[0].detail
    else:
        assert [(r.lat, r.lon, dict(r.extra)) for r in records] == [(*position, {})]
    [record], _ = read(images, "file,lat,lon,ns,lon_ref\n1.jpg,55,13,17,\n")
    assert (record.lon, record.extra) == (13, {"ns": 17})  # nanoseconds; and an unknown column


def test_a_column_of_the_headings_north_is_used(images: Path) -> None:
    rows = "1.jpg,55,13,20,T\n2.jpg,55,13.1,20,M\nwalk/3.jpg,55,13.2,20,\n"
    records, _ = read(images, "file,lat,lon,heading,heading_ref\n" + rows)
    assert [(r.bearing_deg, dict(r.extra)) for r in records] == [
        (20.0, {}), (None, {"magnetic_heading_deg": 20.0}), (None, {"heading_of_unknown_north_deg": 20.0})]


def test_ids_that_went_through_pandas(images: Path) -> None:
    photo(images / "498763468214164.jpg")
    records, skipped = read(images, "image_id,lat,lon,sequence\n1.0,55,13,7.0\n498763468214164.0,55,13.1,\n")
    assert [(r.image_id, r.path.name, r.sequence_id) for r in records] == [
        ("1", "1.jpg", "7"), ("498763468214164", "498763468214164.jpg", None)] and not skipped
    records, _ = read(images, "file,image_id,lat,lon\n1.jpg,1.0,55,13\n2.jpg,v1.0,55,13\n")
    assert [r.image_id for r in records] == ["1.0", "v1.0"]  # names with a dot, not numbers


def test_text_sequences_of_geojson(images: Path) -> None:
    """Source: RFC 8142: a record separator precedes each text, which may have several lines."""
    both = [feature("1.jpg", [13.2, 55.7]), feature("2.jpg", [13.3, 55.7])]
    lines = "\ufeff" + "".join(f"\x1e{json.dumps(f, indent=1)}" for f in both)
    for text in ("".join(f"\x1e{json.dumps(f)}\n" for f in both), lines):
        for name in ("list.geojsons", "list.geojson", "list.json"):
            assert [r.lon for r in read(images, text, name)[0]] == [13.2, 13.3]
    with pytest.raises(DataError, match=r"list\.geojsons, record 2: this is not valid JSON"):
        read(images, f"\x1e{json.dumps(both[0])}\n\x1e{{", "list.geojsons")
    assert len(read(images, json.dumps(both[0]).encode("utf-16"), "list.geojson")[0]) == 1
    with pytest.raises(DataError, match=r"list\.geojson: the file is not UTF-8 text \(byte 33\)\. Save it as UTF-8\."):
        read(images, b" " * 33 + b"\xff", "list.geojson")


@given(st.floats(-1e6, 1e6).map(repr))
def test_numbers_with_point_or_comma(text: str) -> None:
    assert number(text) == float(text)
    if "e" not in text:
        assert number(" " + text.replace(".", ",")) == float(text)


@pytest.mark.parametrize("value", ["", "nan", "inf", "1,234,567", "1_000", "0x10", None, True, 10**400, [1], "٣"])
def test_values_that_are_not_numbers(value: object) -> None:
    assert number(value) is None


def test_a_parquet_file_that_takes_its_reader_down_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.parquet"
    for data, words in ((b"no table", "complete Parquet"), (b"PAR1 cut", "it is cut off"), (b"", "complete Parquet")):
        path.write_bytes(data)
        with pytest.raises(DataError, match=words):
            read_table(path, SourceOptions())
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(DataError, match=r"list\.parquet: it cannot be read as a table \(.+\)\. Download it again"):
        read_table(path, SourceOptions())
    (tmp_path / "polars.py").write_text("raise SystemExit('a stranger')")  # a module beside the data must not be imported
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"file": ["1.jpg"], "lat": [1.0], "lon": [2.0]}).write_parquet(path)
    assert [s.kind for s in read_table(Path("list.parquet"), SourceOptions())[1]] == ["missing_file"]
    monkeypatch.setattr(parquet, "_CHILD", "import os; os.abort()")
    with pytest.raises(DataError, match="ends the program that tries it"):
        read_table(path, SourceOptions())


@pytest.mark.parametrize("name", ["list.csv", "list.geojson"])
@given(data=st.data())
def test_broken_bytes_are_a_package_error_or_skipped_rows(name: str, data: st.DataObject,
                                                           tmp_path_factory: pytest.TempPathFactory) -> None:
    broken_bytes(name, data, tmp_path_factory)


@settings(max_examples=4, deadline=None)  # each example starts a process
@given(data=st.data())
def test_broken_parquet_is_a_package_error_or_skipped_rows(data: st.DataObject,
                                                            tmp_path_factory: pytest.TempPathFactory) -> None:
    broken_bytes("list.parquet", data, tmp_path_factory)


def broken_bytes(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / f"broken-{name}"
    if not folder.exists():
        photo(folder / "1.jpg")
        pl.DataFrame({"file": ["1.jpg"] * 3, "lat": [1.0, 2, 3], "lon": [1.0, 2, 3]}).write_parquet(folder / "clean.parquet")
        (folder / "clean.csv").write_text(PLAIN)
        collection = {"type": "FeatureCollection", "features": [feature("1.jpg", [1.5, 2])]}
        (folder / "clean.geojson").write_text(json.dumps(collection))
    path = folder / name
    broken = bytearray(path.with_stem("clean").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(broken[:data.draw(st.integers(1, len(broken)))] if name.endswith("csv") else broken))
    try:
        records, skipped = read_table(path, SourceOptions())
    except JustZoomInError as error:
        assert name in error.where
    else:
        assert all(abs(r.lat) <= 90 and abs(r.lon) <= 180 for r in records) and len(records) + len(skipped)


@pytest.mark.parametrize(("text", "words"), [
    ('{"type": "FeatureCollection", "features": [' + "[" * 100_000, "nested too deeply|not valid JSON"),
    ('{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Point", "coordinates": [NaN, 1]}}]}',
     "NaN is not a JSON number"),
    ('{"type": "FeatureCollection", "features": {"a": 1}}', "its features are not a list"),
    ('{"type": "FeatureCollection", "features": [7]}', "feature 1: not a feature"),
    ('{"type": "Topology"}', "not a GeoJSON FeatureCollection"), ("[" + "9" * 5000 + "]", "not valid JSON")])
def test_hostile_geojson(images: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(images, text, "list.geojson")

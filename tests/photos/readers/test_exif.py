"""Facts from headers: positions, times, cameras, headings; and reasons for missing ones."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import GPANO, LUND, dms, gps_tags, photo, rational
from PIL import Image

from justzoomin.errors import ConfigError, PhotoError
from justzoomin.geometry import haversine_m
from justzoomin.photos.readers import Camera, read_source
from justzoomin.photos.readers.camera_times import in_zone, parse_clock, parse_time, parse_zone
from justzoomin.photos.readers.exif import exif_facts, gps_position
from justzoomin.photos.readers.headers import Header, gpano, read_header


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_position_comes_back(lat: float, lon: float) -> None:
    found = gps_position(gps_tags(lat, lon))
    if abs(lat) < 1e-6 and abs(lon) < 1e-6:
        assert isinstance(found, str)
    elif not isinstance(found, str):
        assert found == pytest.approx((lat, lon), abs=3e-8)
    else:
        assert "0, 0" in found and abs(lat) < 3e-6 and abs(lon) < 3e-6  # the file format rounded it to zero


@pytest.mark.parametrize(("value", "degrees"), [
    ((55.698167,), 55.698167), (55.698167, 55.698167), ((rational(55), rational(4189, 100), rational(0)), 55 + 41.89 / 60),
    ((rational(55), rational(41)), 55 + 41 / 60), ((55.0, 59.0, 60.0), 56.0), ((rational(55698167, 1000000), 0, 0), 55.698167)])
def test_other_ways_of_writing_degrees(value: object, degrees: float) -> None:
    found = gps_position({1: "N", 2: value, 3: b"e\0", 4: dms(13.5)})
    assert found == (pytest.approx(degrees, abs=1e-9), 13.5)


@pytest.mark.parametrize(("change", "why"), [
    ({2: (rational(55), rational(41), rational(5, 0))}, "latitude is not an angle"),
    ({2: (rational(0, 0), rational(0, 0), rational(0, 0))}, "latitude is not an angle"),
    ({2: (float("nan"), 0.0, 0.0)}, "latitude is not an angle"),
    ({2: "55,41,53"}, "latitude is not an angle"),
    ({2: b"\1\2\3"}, "latitude is not an angle"),
    ({2: (1, 2, 3, 4)}, "latitude is not an angle"),
    ({2: (-55.0, 0.0, 0.0)}, "latitude is not an angle"),
    ({2: (55.0, 61.0, 0.0)}, "latitude is not an angle"),
    ({2: (55.7, 42.0, 0.0)}, "latitude is not an angle"),  # the minutes are given twice
    ({2: (91.0, 0.0, 0.0)}, "latitude is 91 degrees"),
    ({4: (180.0, 1.0, 0.0)}, "longitude is 180.017 degrees"),
    ({1: None}, "does not say N or S"), ({1: ""}, "does not say N or S"), ({3: "N"}, "does not say E or W"),
    ({2: None}, "latitude is not an angle"),
    ({18: "TOKYO"}, "datum TOKYO"), ({18: "NAD-27 (CONUS)"}, "datum NAD27"),
    ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, "0, 0")])
def test_invalid_positions_give_the_reason(change: dict[int, object], why: str) -> None:
    found = gps_position({**gps_tags(*LUND), **change})
    assert isinstance(found, str) and why in found
    assert gps_position({**gps_tags(*LUND), 18: "WGS-84   "}) == pytest.approx(LUND, abs=1e-7)
    assert gps_position({}) == "it gives no position"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_gives_the_same_facts(tmp_path: Path, kind: str) -> None:
    path = photo(tmp_path / f"a.{kind.lower()}", gps_tags(*LUND), {0xA405: 28}, {0x010F: "Acme", 0x8298: "Some Body"},
                 kind=kind)
    facts = exif_facts(read_header(path))
    assert facts.position == pytest.approx(LUND, abs=1e-7)
    assert facts.camera is not None and facts.camera.projection == "perspective"
    assert facts.extra["make"] == "Acme" and facts.attribution == "Some Body"


def test_heic_and_a_jpeg_that_calls_itself_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    tags = Image.Exif()
    tags.get_ifd(0x8825).update(gps_tags(*LUND))
    heif.from_pillow(Image.new("RGB", (64, 48))).save(tmp_path / "a.heic", exif=tags.tobytes())
    photo(tmp_path / "b.HEIC", gps_tags(*LUND))
    source = read_source(tmp_path)
    assert [r.image_id for r in source.records] == ["a", "b"]
    assert all((r.lat, r.lon) == pytest.approx(LUND, abs=1e-7) for r in source.records)


def test_exif_behind_the_pixels_of_a_png_is_found_without_decoding(tmp_path: Path) -> None:
    data = photo(tmp_path / "a.png", gps_tags(*LUND), kind="PNG").read_bytes()
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start:start + 4], "big")
    chunk, rest = data[start:start + length], data[:start] + data[start + length:]
    end = rest.index(b"IEND") - 4
    broken = rest[:rest.index(b"IDAT") + 6] + b"\xff" + rest[rest.index(b"IDAT") + 7:end]  # pixels that must not be decoded
    (tmp_path / "a.png").write_bytes(broken + chunk + rest[end:])
    assert exif_facts(read_header(tmp_path / "a.png")).position == pytest.approx(LUND, abs=1e-7)


def test_focal_length_by_the_diagonal_and_by_the_sensor() -> None:
    wide = Header(3000, 2000, exif={0xA405: 36})
    assert exif_facts(wide).camera == Camera("perspective", pytest.approx(1.0))  # 36 x 24 mm, 36 mm wide
    phone = Header(3000, 4000, exif={0xA405: 28})
    assert exif_facts(phone).camera.focal == pytest.approx(28 / math.hypot(36, 24) * 1.25)
    # 4000 x 3000 pixels, 10 000 per inch: 10.16 mm wide; the photo was reduced later
    sensor = Header(400, 300, exif={0x920A: 5.08, 0xA20E: 10000.0, 0xA20F: 10000.0, 0xA210: 2, 0xA002: 4000, 0xA003: 3000})
    facts = exif_facts(sensor)
    assert facts.camera.focal == pytest.approx(0.5)
    assert facts.extra["camera_from"] == "EXIF FocalLength and FocalPlaneXResolution"
    for nothing in ({0xA405: 0}, {0xA405: 60000}, {0x920A: 5.0}, {0x920A: rational(5, 0), 0xA20E: 1e4, 0xA20F: 1e4},
                    {0x920A: 5.0, 0xA20E: rational(0, 0), 0xA20F: 1.0}, {0x920A: "5", 0xA20E: 1e4, 0xA20F: 1e4, 0xA210: 9}):
        assert exif_facts(Header(400, 300, exif=nothing)).camera is None


def test_only_a_heading_from_true_north_is_a_bearing() -> None:
    true = exif_facts(Header(4, 3, gps=gps_tags(*LUND, _16="T", _17=rational(1795, 10))))
    assert true.bearing_deg == 179.5 and true.extra["bearing_from"] == "EXIF GPSImgDirection"
    assert exif_facts(Header(4, 3, gps=gps_tags(*LUND, _16="T", _17=360.0))).bearing_deg == 0.0
    magnetic = exif_facts(Header(4, 3, gps=gps_tags(*LUND, _16="M", _17=179.5)))
    assert magnetic.bearing_deg is None and magnetic.extra["magnetic_heading_deg"] == 179.5
    unknown = exif_facts(Header(4, 3, gps=gps_tags(*LUND, _17=179.5)))
    assert unknown.bearing_deg is None and unknown.extra["heading_of_unknown_north_deg"] == 179.5
    assert exif_facts(Header(4, 3, gps=gps_tags(*LUND, _16="T", _17=400.0))).bearing_deg is None


def panorama(size: tuple[int, int] = (200, 100), **properties: object) -> Header:
    words = " ".join(f'GPano:{k}="{v}"' for k, v in properties.items())
    return Header(*size, gps=gps_tags(*LUND, _16="T", _17=10.0), xmp=GPANO.format(words))


def test_panoramas() -> None:
    full = {"ProjectionType": "equirectangular", "FullPanoWidthPixels": 8000, "FullPanoHeightPixels": 4000,
            "CroppedAreaImageWidthPixels": 8000, "CroppedAreaImageHeightPixels": 4000, "PoseHeadingDegrees": "350.5"}
    facts = exif_facts(panorama(**full))
    assert facts.camera == Camera("equirectangular") and not facts.no_camera
    assert facts.bearing_deg == 350.5 and facts.extra["bearing_from"] == "XMP GPano:PoseHeadingDegrees"
    assert exif_facts(panorama(ProjectionType="equirectangular")).bearing_deg == 10.0
    partial = exif_facts(panorama(**{**full, "CroppedAreaImageHeightPixels": 2000}))
    assert partial.camera is None and "partial panorama (360 x 90 degrees)" in partial.no_camera
    assert "not twice as wide" in exif_facts(panorama((300, 100), ProjectionType="equirectangular")).no_camera
    assert "cylindrical" in exif_facts(panorama(ProjectionType="cylindrical")).no_camera
    element = GPANO.format("").replace(" />", "><GPano:ProjectionType>equirectangular</GPano:ProjectionType></rdf:Description>")
    assert exif_facts(Header(200, 100, xmp=element)).camera == Camera("equirectangular")


def test_a_panorama_file_and_its_refusal(tmp_path: Path) -> None:
    whole = GPANO.format('GPano:ProjectionType="equirectangular"')
    photo(tmp_path / "whole.jpg", gps_tags(*LUND), size=(80, 40), xmp=whole)
    photo(tmp_path / "part.jpg", gps_tags(*LUND), size=(80, 20), xmp=whole)
    source = read_source(tmp_path)
    assert [(r.image_id, r.camera) for r in source.records] == [("whole", Camera("equirectangular"))]
    assert [(s.item, s.kind) for s in source.skipped] == [("part.jpg", "camera")]


TAKEN = {0x9003: "2024:05:17 13:04:59", 0x9291: "25"}
NOON_GPS = {29: "2024:05:17", 7: (rational(11), rational(5), rational(30))}


def test_times_and_where_they_come_from() -> None:
    stated = Header(4, 3, exif={**TAKEN, 0x9011: "+02:00"}, gps=NOON_GPS)
    facts = exif_facts(stated)
    assert facts.captured_at == datetime(2024, 5, 17, 11, 4, 59, 250000, tzinfo=UTC)
    assert facts.extra["captured_at_from"] == "EXIF DateTimeOriginal and its offset"
    bare = Header(4, 3, exif=TAKEN)
    assert exif_facts(bare).captured_at is None
    assert exif_facts(bare).extra["camera_clock"] == "2024-05-17T13:04:59.250000"
    assert exif_facts(bare, parse_zone("Europe/Stockholm")).captured_at == facts.captured_at
    assert exif_facts(bare, None, -7200.0).captured_at == facts.captured_at
    assert exif_facts(bare, parse_zone("+02:00"), 1.0).captured_at == datetime(2024, 5, 17, 11, 5, 0, 250000, tzinfo=UTC)
    gps = exif_facts(Header(4, 3, exif=TAKEN, gps=NOON_GPS))
    assert gps.captured_at == datetime(2024, 5, 17, 11, 5, 30, tzinfo=UTC)
    assert gps.extra["captured_at_from"] == "EXIF GPS time"


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2024:13:01 00:00:00", "2024:05:17 25:00:00",
                                  "", None, 7, b"\xff\xfe", "2024:05:17"])
def test_invalid_times_are_rejected(text: object) -> None:
    assert parse_clock(text) is None
    assert exif_facts(Header(4, 3, exif={0x9003: text}, gps={29: text, 7: (99, 0, 0)})).captured_at is None


def test_hours_that_come_twice_or_never_are_not_guessed() -> None:
    zone = parse_zone("Europe/Stockholm")
    assert in_zone(datetime(2024, 10, 27, 2, 30), zone) is None
    assert in_zone(datetime(2024, 3, 31, 2, 30), zone) is None
    assert in_zone(datetime(2024, 10, 27, 4, 30), zone) == datetime(2024, 10, 27, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "", "Europe", "\0"])
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--time-zone"):
        parse_zone(name)


@pytest.mark.parametrize(("value", "time"), [
    (1507560881000, datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC)),
    ("1507560881", datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC)),
    ("2017-10-09T14:54:41Z", datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC)),
    ("2017-10-09 16:54:41+02:00", datetime(2017, 10, 9, 14, 54, 41, tzinfo=UTC)),
    ("2017-10-09T14:54:41", None), ("yesterday", None), (True, None), (float("inf"), None), (10**400, None), ("nan", None),
    ("0001-01-01T00:00:00+14:00", None)])
def test_times_of_tables(value: object, time: datetime | None) -> None:
    assert parse_time(value) == time


def test_broken_files_are_listed_not_raised(tmp_path: Path) -> None:
    good = photo(tmp_path / "good.jpg", gps_tags(*LUND)).read_bytes()
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "cut.jpg").write_bytes(good[:30])
    at = good.index(b"Exif\0\0") + 6
    (tmp_path / "odd.jpg").write_bytes(good[:at] + b"XX" + good[at + 2:])
    (tmp_path / "gif.png").write_bytes(b"GIF89a" + bytes(50))
    source = read_source(tmp_path)
    assert [r.image_id for r in source.records] == ["good"]
    assert {s.item: s.kind for s in source.skipped} == {"text.jpg": "broken", "cut.jpg": "broken", "gif.png": "broken",
                                                        "odd.jpg": "no_position"}
    with pytest.raises(PhotoError, match=r"text\.jpg: the file is not a readable image: it looks like a text\. Give JPEG"):
        read_header(tmp_path / "text.jpg")


@given(st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns about broken EXIF
def test_headers_with_flipped_bytes_give_facts_or_a_photo_error(tmp_path_factory: pytest.TempPathFactory,
                                                                data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "flipped"
    folder.mkdir(exist_ok=True)
    clean = photo(folder / "clean.jpg", gps_tags(*LUND, _16="T", _17=rational(5)), {**TAKEN, 0xA405: 28}).read_bytes()
    end = clean.index(b"\xff\xdb")
    broken = bytearray(clean)
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(2, end - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.jpg").write_bytes(bytes(broken))
    try:
        facts = exif_facts(read_header(folder / "a.jpg"))
    except PhotoError as error:
        assert "a.jpg" in error.where
    else:
        assert facts.position is None or (abs(facts.position[0]) <= 90 and abs(facts.position[1]) <= 180)


def test_real_photos_of_lund(shared: Path) -> None:
    source = read_source(shared / "data" / "lund")
    assert [r.image_id for r in source.records] == ["01", "02", "03", "04", "05", "06"] and not source.skipped
    for before, after in zip(source.records, source.records[1:], strict=False):
        assert after.lat == pytest.approx(55.6982, abs=3e-4) and after.lon == pytest.approx(13.1952, abs=3e-4)
        assert 1.0 < float(haversine_m(before.lat, before.lon, after.lat, after.lon)) < 20.0
    assert source.records[0].lat == pytest.approx(55.698167, abs=1e-6)  # written by the phone's app beside the EXIF
    assert source.records[0].lon == pytest.approx(13.195389, abs=1e-6)
    assert source.records[0].camera.focal == pytest.approx(35 / 43.267 * 1.25, rel=1e-3)


def test_real_exif_samples(shared: Path) -> None:
    source = read_source(shared / "data" / "exif")
    [record] = source.records
    assert (record.lat, record.lon) == pytest.approx((43.467448, 11.885127), abs=1e-6)  # Arezzo
    assert record.captured_at is None and record.extra["camera_clock"] == "2008-10-22T16:28:39"  # the clock was a day late
    assert record.extra["gps_time_stated"] == "2008-10-23T14:27:07.240000+00:00"
    assert record.camera.focal == pytest.approx(112 / 43.267 * 1.25, rel=1e-3)
    assert sorted((s.item, s.kind) for s in source.skipped) == [("landscape_3.jpg", "no_position"),
                                                                ("portrait_6.jpg", "no_position")]


def test_hostile_xmp_is_read_in_no_time() -> None:
    for xmp in ("<GPano:a>" + " " * 500_000, "GPano:a" + " " * 500_000, "GPano:a " * 50_000, '<!ENTITY a "b">' * 1000):
        assert gpano(xmp) == {}
    assert gpano("<GPano:ProjectionType>\n equirectangular </GPano:ProjectionType>") == {"ProjectionType": "equirectangular"}

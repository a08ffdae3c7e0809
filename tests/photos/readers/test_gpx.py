"""Positions from a track: between its points and nowhere else."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import LUND, gps_tags, photo

from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.geometry import haversine_m
from justzoomin.photos.readers import SourceOptions, read_source
from justzoomin.photos.readers.gpx import Segment, TrackPosition, read_gpx, track_position

START = datetime(2024, 5, 17, 11, 0, tzinfo=UTC)


def track(segments: Sequence[Sequence[tuple[float, float, float]]], zone: str = "Z", **more: str) -> str:
    """Return a GPX with segments of (seconds from the start, lat, lon)."""
    points = ["".join(f'<trkpt lat="{lat}" lon="{lon}"><ele>{40 + s / 10}</ele>'
                      f"<time>{START + timedelta(seconds=s):%Y-%m-%dT%H:%M:%S}{zone}</time></trkpt>" for s, lat, lon in one)
              for one in segments]
    body = "".join(f"<trkseg>{p}</trkseg>" for p in points)
    return f'{more.get("head", "")}<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk>{body}</trk></gpx>'


WALK = [[(0, 55.70, 13.20), (10, 55.701, 13.20), (20, 55.701, 13.202)], [(100, 55.71, 13.21), (200, 55.72, 13.21)]]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def segments(tmp_path: Path, text: str | None = None) -> list[Segment]:
    (tmp_path / "walk.gpx").write_text(text if text is not None else track(WALK))
    return read_gpx(tmp_path / "walk.gpx", "walk")


def test_between_points_on_points_and_nowhere_else(tmp_path: Path) -> None:
    walk = segments(tmp_path)
    middle = track_position(walk, at(5), 60)
    assert isinstance(middle, TrackPosition)
    assert (middle.lat, middle.lon) == pytest.approx((55.7005, 13.20), abs=1e-9)
    assert middle.course_deg == pytest.approx(0.0, abs=1e-6) and middle.gap_s == 10 and middle.segment == "walk-1-1"
    assert middle.altitude_m == pytest.approx(40.5)
    corner = track_position(walk, at(10), 60)
    assert (corner.lat, corner.lon, corner.gap_s) == (55.701, 13.20, 0.0) and 0 < corner.course_deg < 90
    assert track_position(walk, at(15), 60).course_deg == pytest.approx(90, abs=0.01)
    assert track_position(walk, at(20), 60).lat == 55.701
    assert "there is no track (2024-05-17 11:00:00 to 2024-05-17 11:03:20 UTC)" in track_position(walk, at(-1), 60)
    assert "there is no track" in track_position(walk, at(201), 60)
    assert "the track has a break" in track_position(walk, at(60), 60)
    assert "a gap of 100 s (--max-gap-s is 60)" in track_position(walk, at(150), 60)
    assert track_position(walk, at(150), 100).lat == pytest.approx(55.715, abs=1e-9)


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01), st.floats(0, 1))
def test_a_share_of_the_time_is_that_share_of_the_great_circle(lat: float, lon: float, dlat: float, dlon: float,
                                                               share: float) -> None:
    ends = np.array([lat, lat + dlat]), np.array([lon, lon + dlon])
    found = track_position([Segment("a", np.array([0.0, 32.0]), *ends, np.array([np.nan, 1.0]))],
                           datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=32 * share), 60)
    assert isinstance(found, TrackPosition)
    whole = float(haversine_m(lat, lon, lat + dlat, lon + dlon))
    gone = float(haversine_m(lat, lon, found.lat, found.lon))
    left = float(haversine_m(found.lat, found.lon, lat + dlat, lon + dlon))
    assert gone == pytest.approx(share * whole, abs=0.01) and gone + left == pytest.approx(whole, abs=0.01)


def test_a_great_circle_across_the_antimeridian() -> None:
    found = track_position([Segment("a", np.array([0.0, 8.0]), np.array([10.0, 10.0]), np.array([179.999, -179.999]),
                                    np.array([1.0, 3.0]))], datetime(1970, 1, 1, 0, 0, 4, tzinfo=UTC), 60)
    assert abs(abs(found.lon) - 180) < 1e-9 and found.lat == pytest.approx(10.0, abs=1e-6) and found.altitude_m == 2.0


def test_two_tracks_at_one_time_must_agree(tmp_path: Path) -> None:
    walk = segments(tmp_path)
    near = Segment("near", walk[0].seconds, walk[0].lat + 1e-5, walk[0].lon, walk[0].altitude_m)
    far = Segment("far", walk[0].seconds, walk[0].lat + 0.02, walk[0].lon, walk[0].altitude_m)
    assert track_position([walk[0], near], at(5), 60).segment == "walk-1-1"
    assert "two tracks are 2226 m apart" in track_position([walk[0], far], at(5), 60)


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    plain = segments(tmp_path, track(WALK, zone=""))
    assert plain[0].seconds[0] == START.timestamp()


def test_a_zone_that_only_some_points_state_is_an_error(tmp_path: Path) -> None:
    text = track(WALK).replace("11:00:10Z", "13:00:10+02:00").replace("11:00:20Z", "11:00:20")
    with pytest.raises(DataError, match=r"\(only some of its times state a zone\)\. Export the track again"):
        segments(tmp_path, text)
    assert names_and_seconds(segments(tmp_path, track(WALK).replace("11:00:10Z", "11:00:10"))) == names_and_seconds(
        segments(tmp_path, track(WALK).replace("11:00:10Z", "13:00:10+02:00")))


def names_and_seconds(found: Sequence[Segment]) -> dict[str, list[float]]:
    return {s.name: list(s.seconds - START.timestamp()) for s in found}


def test_points_in_another_order_are_one_track_where_no_time_comes_twice(tmp_path: Path) -> None:
    first, second, third = WALK[0]
    for order in ([third, second, first], [first, first, second, third], [second, third, first]):
        assert names_and_seconds(segments(tmp_path, track([order], zone="+00:00"))) == {"walk": [0, 10, 20]}


def test_two_walkers_in_one_segment_are_two_tracks_however_they_were_merged(tmp_path: Path) -> None:
    """Appended or sorted by time, at the same or at other seconds: no photo gets a position between them."""
    for step, late in ((2, 0), (2, 1), (10, 0), (10, 5)):
        one = [(k, 55.70 + k * 1e-5, 13.200) for k in range(0, 100, step)]
        other = [(k + late, 55.70 + k * 1e-5, 13.203) for k in range(0, 100, step)]  # 188 m away
        for merged in (one + other, sorted(one + other), sorted(one + other, key=lambda p: p[0], reverse=True)):
            found = segments(tmp_path, track([merged]))
            for moment in (9, 9.5, 10, 20):
                place = track_position(found, at(moment), 60)
                assert isinstance(place, str), (step, late, moment)
                assert re.search(rf"two tracks are 1[89]\d m apart|the track jumps 1[89]\d m in {late} s", place), place
    assert names_and_seconds(segments(tmp_path, track([one[:2] + one[:2]]))) == {"walk-part1": [0, 10], "walk-part2": [0, 10]}


def test_impossible_speed_is_found_and_consistent_points_are_kept(tmp_path: Path) -> None:
    glitch = [(k, 55.70 + k * 1e-5, 13.2 if k != 5 else 13.21) for k in range(10)]  # one point 627 m off
    found = segments(tmp_path, track([glitch]))
    for moment, jumps in ((3.5, False), (4, False), (4.5, True), (5, True), (5.5, True), (6, False), (6.5, False)):
        place = track_position(found, at(moment), 60)
        assert isinstance(place, str) == jumps, moment
    assert track_position(found, at(5), 60) == ("at 2024-05-17 11:00:05 UTC the track jumps 627 m in 1 s: "
                                                "its receiver was wrong, or tracks of several people were merged")
    bend = [(0, 55.70, 13.2), (5, 55.7005, 13.2), (10, 55.7007, 13.2), (15, 55.7007, 13.2005), (20, 55.7007, 13.2015)]
    assert all(isinstance(track_position(segments(tmp_path, track([bend])), at(t), 60), TrackPosition) for t in range(21))
    train = [(k, 55.70 + k * 6e-4, 13.2) for k in range(10)]  # 67 m/s
    assert isinstance(track_position(segments(tmp_path, track([train])), at(4.5), 60), TrackPosition)


def test_times_that_go_back_too_often_are_refused(tmp_path: Path) -> None:
    thrown = [(k % 2 * 50 + k / 1000, 55.70, 13.20) for k in range(400)]
    text = track([thrown]).replace("%", "")
    with pytest.raises(DataError, match=r"it could contain \d+ tracks\. Sort the points by time"):
        segments(tmp_path, text)


@pytest.mark.parametrize("form", ["prefix", "prefix of another", "white space", "lines", "gpx 1.0", "comment"])
def test_every_valid_way_of_writing_a_track(tmp_path: Path, form: str) -> None:
    plain = track(WALK)
    spaced = {"white space": plain.replace("<time>", "<time>\n      ").replace("</time>", "\n    </time>"),
              "lines": plain.replace("><", ">\r\n<"), "gpx 1.0": plain.replace("GPX/1/1", "GPX/1/0"),
              "comment": plain.replace("<time>", "<!-- when --><time><![CDATA[").replace("</time>", "]]></time>")}
    text = spaced.get(form, re.sub(r"<(/?)(\w)", r"<\1ns2:\2", plain).replace("xmlns=", "xmlns:ns2="))
    if form == "prefix of another":
        text = text.replace("xmlns:ns2", 'xmlns="http://www.garmin.com/xmlschemas/TrackPointExtension/v2" xmlns:ns2')
    assert [(s.name, *map(list, (s.seconds, s.lat, s.lon, s.altitude_m))) for s in segments(tmp_path, text)] == [
        (s.name, *map(list, (s.seconds, s.lat, s.lon, s.altitude_m))) for s in segments(tmp_path, plain)]


def folder(tmp_path: Path, **clocks: str) -> Path:
    (tmp_path / "walk.gpx").write_text(track(WALK))
    for name, clock in clocks.items():
        photo(tmp_path / f"{name}.jpg", exif={0x9003: f"2024:05:17 {clock}"})
    return tmp_path


def test_photos_get_their_positions_by_zone_or_by_offset(tmp_path: Path) -> None:
    source = read_source(folder(tmp_path, a="13:00:05", b="13:02:30", c="09:00:00"),
                         options=SourceOptions(time_zone="Europe/Stockholm"))
    [record] = source.records
    assert source.kind == "gpx" and record.image_id == "a" and record.captured_at == at(5)
    assert (record.lat, record.lon) == pytest.approx((55.7005, 13.20), abs=1e-9)
    assert record.bearing_deg is None and record.extra["course_deg"] == 0.0 and record.sequence_id == "walk-1-1"
    assert record.source == "a.jpg, GPX walk-1-1" and record.extra["position_from"] == "GPX walk-1-1"
    assert [(s.item, s.kind) for s in source.skipped] == [("b.jpg", "no_position"), ("c.jpg", "no_position")]
    assert "gap of 100 s" in source.skipped[0].detail
    for options in (SourceOptions(time_offset_s=-7200.0), SourceOptions(time_zone="+02:30", time_offset_s=1800.0)):
        assert read_source(tmp_path, options=options).records[0].captured_at == at(5)
    assert len(read_source(tmp_path, options=SourceOptions(time_zone="+02:00", max_gap_s=100)).records) == 2


def test_photos_without_a_time_say_what_to_give(tmp_path: Path) -> None:
    photo(tmp_path / "none.jpg")
    source = read_source(folder(tmp_path, a="13:00:05"))
    assert [(s.item, s.kind) for s in source.skipped] == [("a.jpg", "no_time"), ("none.jpg", "no_time")]
    assert "its clock reads 2024-05-17 13:00:05" in source.skipped[0].detail and "--time-zone" in source.skipped[0].detail
    assert source.skipped[1].detail == "it does not say when it was taken"


def test_an_exif_position_is_kept_beside_the_tracks(tmp_path: Path) -> None:
    (tmp_path / "gps").mkdir()
    (tmp_path / "gps" / "walk.gpx").write_text(track(WALK))
    photo(tmp_path / "photos" / "in" / "a.jpg", gps_tags(*LUND, _6=99.0, _11=3.0), {0x9003: "2024:05:17 11:00:05", 0x9011: "Z"})
    source = read_source(tmp_path / "gps" / "walk.gpx", options=SourceOptions(images=tmp_path / "photos"))
    [record] = source.records
    assert (record.extra["exif_lat"], record.extra["exif_lon"]) == pytest.approx(LUND, abs=1e-7)
    assert record.lat == pytest.approx(55.7005, abs=1e-9) and record.extra["altitude_m"] == 40.5
    assert record.extra["exif_distance_m"] == pytest.approx(float(haversine_m(record.lat, record.lon, *LUND)), abs=0.01)
    assert "gps_dop" not in record.extra


@pytest.mark.parametrize(("text", "words"), [
    ('<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + track(WALK), "document type or entities"),
    ('<!doctype gpx SYSTEM "file:///etc/passwd">' + track(WALK), "document type or entities"),
    (track(WALK)[:-20], "cannot be read as GPX"), ("", "cannot be read as GPX"), ("no XML", "cannot be read as GPX"),
    (track(WALK).replace('lat="55.7"', 'lat="north"'), "cannot be read as GPX"),
    (track(WALK).replace("2024-05", "when"), "no track points with times"),
    ("<gpx " + " ".join(f'xmlns:a{k}="b"' for k in range(100)) + "/>", "hundreds of namespaces"),
    (track([[]]), "no track points with times"), ('<gpx version="1.1"><wpt lat="1" lon="2"/></gpx>', "no track points"),
    (track([[(0, float("nan"), 13.0), (1, 95.0, 13.0), (2, 0.0, 0.0)]]), "no track points with times and positions")])
def test_hostile_and_broken_tracks(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        segments(tmp_path, text)
    assert caught.value.where == str(tmp_path / "walk.gpx")


def test_encodings(tmp_path: Path) -> None:
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?>' + track(WALK).replace("<trk>", "<trk><name>Malmö</name>")
    for data in (latin.encode("latin-1"), track(WALK).encode("utf-16"), b"\xef\xbb\xbf" + track(WALK).encode()):
        (tmp_path / "walk.gpx").write_bytes(data)
        assert len(read_gpx(tmp_path / "walk.gpx", "walk")) == 2
    (tmp_path / "walk.gpx").write_bytes(b"\xff" + track(WALK).encode())
    with pytest.raises(DataError, match=r"walk\.gpx: the file is not UTF-8 text \(byte 0\)\. Export"):
        read_gpx(tmp_path / "walk.gpx", "walk")


@given(st.data())
def test_broken_bytes_are_a_package_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.gpx"
    broken = bytearray(track(WALK).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(broken))
    try:
        found = read_gpx(path, "broken")
    except JustZoomInError as error:
        assert "broken.gpx" in error.where
    else:
        assert all((np.diff(s.seconds) > 0).all() and (np.abs(s.lat) <= 90).all() for s in found)


def test_options(tmp_path: Path) -> None:
    folder(tmp_path, a="13:00:05")
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="--max-gap-s"):
            read_source(tmp_path, options=SourceOptions(max_gap_s=wrong))
    with pytest.raises(DataError, match="the folder does not exist"):
        read_source(tmp_path / "walk.gpx", options=SourceOptions(images=tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"no \.gpx file"):
        (tmp_path / "empty").mkdir()
        read_source(tmp_path / "empty", kind="gpx")

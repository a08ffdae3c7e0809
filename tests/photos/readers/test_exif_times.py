"""When a photo was taken: the clock before GPS time, GPS time only if it fits, and every stated value kept."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import LUND, gps_tags, photo, rational

from justzoomin.errors import DataError
from justzoomin.photos.readers import SourceOptions, read_source, times_from_exif
from justzoomin.photos.readers.camera_times import parse_zone
from justzoomin.photos.readers.exif import exif_facts
from justzoomin.photos.readers.headers import Header

NOON = datetime(2024, 7, 9, 12, 0, 0)


def gps_time(moment: datetime) -> dict[int, Any]:
    return {29: moment.strftime("%Y:%m:%d"), 7: tuple(rational(v) for v in (moment.hour, moment.minute, moment.second))}


def clock(moment: datetime = NOON, zone: str = "") -> dict[int, str]:
    return {0x9003: f"{moment.year:04d}:{moment:%m:%d %H:%M:%S}{zone}"}


@given(st.integers(-14 * 60, 14 * 60))
def test_gps_time_that_zones_explain_is_used_and_the_clock_kept(minutes: int) -> None:
    moment = NOON + timedelta(minutes=minutes)
    facts = exif_facts(Header(4, 3, exif=clock(), gps=gps_time(moment)))
    assert facts.captured_at == moment.replace(tzinfo=UTC)
    assert facts.extra == {"captured_at_from": "EXIF GPS time", "camera_clock": "2024-07-09T12:00:00"}


@pytest.mark.parametrize("moment", [
    datetime(1970, 1, 18, 19, 5, 52), datetime(1980, 1, 6), datetime(2004, 11, 23, 10), datetime(2024, 7, 10, 3),
    datetime(2044, 2, 23)])
def test_gps_time_that_no_zone_explains_is_reported_and_not_used(moment: datetime) -> None:
    facts = exif_facts(Header(4, 3, exif=clock(), gps=gps_time(moment)))
    assert facts.captured_at is None
    assert facts.extra == {"camera_clock": "2024-07-09T12:00:00", "gps_time_stated": moment.replace(tzinfo=UTC).isoformat()}
    assert f"its GPS time {moment.isoformat()}+00:00 is stale or wrong" in facts.taken.problem


def test_without_a_clock_that_was_set_gps_time_holds_from_the_beginning_of_gps() -> None:
    for exif in ({}, clock(datetime(1970, 1, 1))):
        assert exif_facts(Header(4, 3, exif=exif, gps=gps_time(NOON))).captured_at == NOON.replace(tzinfo=UTC)
        assert exif_facts(Header(4, 3, exif=exif, gps=gps_time(datetime(1970, 1, 18)))).captured_at is None


def test_a_clock_that_was_not_set_is_reported(tmp_path: Path) -> None:
    for name, year in (("old", 1970), ("first", 1), ("last", 9999), ("new", 2024)):
        photo(tmp_path / f"{name}.jpg", gps_tags(*LUND), clock(NOON.replace(year=year)))
    source = read_source(tmp_path, options=SourceOptions(time_zone="Europe/Stockholm", time_offset_s=3600.0))
    assert [r.captured_at.year for r in source.records if r.captured_at is not None] == [1, 9999, 2024, 1970]
    assert source.notes == ("2 of 4 photos have a time before 1980: perhaps the clock of the camera was not set",)


def test_gps_time_that_stands_still_while_the_clock_runs_is_not_used(tmp_path: Path) -> None:
    def save(name: str, second: int, fix: datetime, model: str = "A") -> None:
        photo(tmp_path / f"{name}.jpg", {**gps_tags(*LUND), **gps_time(fix)}, clock(NOON + timedelta(seconds=second)),
              {0x0110: model})

    for k in range(4):
        save(f"stale{k}", 10 * k, NOON - timedelta(hours=2, seconds=10))
        save(f"alive{k}", 100 + k, NOON - timedelta(hours=2) + timedelta(seconds=100 + k))
    for k in range(2):
        save(f"burst{k}", 200 + k, NOON - timedelta(hours=2) + timedelta(seconds=200))
    save("other-camera", 50, NOON - timedelta(hours=2, seconds=10), "B")
    source = read_source(tmp_path)
    used = {r.image_id for r in source.records if r.captured_at is not None}
    assert used == {"alive0", "alive1", "alive2", "alive3", "burst0", "burst1", "other-camera"}
    stale = next(r.extra for r in source.records if r.image_id == "stale1")
    assert stale["gps_time_stated"] == "2024-07-09T09:59:50+00:00" and stale["camera_clock"] == "2024-07-09T12:00:10"
    assert source.notes == (
        "4 of 11 photos have a GPS time that stands still while the clock runs, or is too far from it; it is kept as "
        "gps_time_stated and not used",
        "4 of 11 photos have a time without a zone, which is kept as camera_clock; --time-zone gives the zone")
    assert all(r.captured_at is not None for r in read_source(tmp_path, options=SourceOptions(time_zone="+02:00")).records)


def test_a_drive_goes_by_the_clock(tmp_path: Path) -> None:
    stale = [photo(tmp_path / f"{k}.jpg", gps_time(NOON), clock(NOON + timedelta(seconds=2 * k))) for k in range(3)]
    found, _ = times_from_exif(stale[::-1])
    assert [(p.path, p.known_zone) for p in found] == [(p, False) for p in stale]
    assert [(p.time - found[0].time).total_seconds() for p in found] == [0, 2, 4]
    only_gps = [photo(tmp_path / f"gps{k}.jpg", gps_time(NOON + timedelta(seconds=k))) for k in range(2)]
    assert next((p.time, p.known_zone) for p in times_from_exif(only_gps)[0]) == (NOON.replace(tzinfo=UTC), True)


@pytest.mark.parametrize(("text", "utc"), [
    ("2024:07:09 12:00:00+0000", 12), ("2024:07:09 12:00:00Z", 12), ("2024:07:09 12:00:00+02:00", 10),
    ("2024-07-09T12:00:00-05", 17)])
def test_a_zone_inside_the_time(text: str, utc: int) -> None:
    for more in ({}, {0x9011: text[19:]}):
        facts = exif_facts(Header(4, 3, exif={0x9003: text, **more}), parse_zone("Asia/Tokyo"))
        assert facts.captured_at == datetime(2024, 7, 9, utc, tzinfo=UTC)
        assert facts.extra == {"captured_at_from": "EXIF DateTimeOriginal and its offset"}


def test_two_zones_of_one_clock_are_rejected() -> None:
    facts = exif_facts(Header(4, 3, exif={0x9003: "2024:07:09 12:00:00Z", 0x9011: "+02:00"}))
    assert facts.captured_at is None
    assert facts.extra == {"camera_clock": "2024-07-09T12:00:00", "clock_offset_stated": "2024:07:09 12:00:00Z and +02:00"}


@pytest.mark.parametrize(("exif", "kept"), [
    ({0x9003: "2024:05:01 24:13:00"}, {"camera_clock_stated": "2024:05:01 24:13:00"}),
    ({0x9003: "01/05/2024 12:00"}, {"camera_clock_stated": "01/05/2024 12:00"}),
    ({0x9003: "2024:05:01 12:00:00", 0x9011: "CEST"}, {"camera_clock": "2024-05-01T12:00:00", "clock_offset_stated": "CEST"}),
    ({0x9003: "2024:05:01 12:00:00", 0x9011: "   :  "}, {"camera_clock": "2024-05-01T12:00:00"}),
    ({0x9003: "0000:00:00 00:00:00", 0x9004: "2024/05/01 12:00:00"}, {"camera_clock": "2024-05-01T12:00:00"}),
    ({0x9003: "yesterday", 0x9004: "2024:05:01 12:00:00"},
     {"camera_clock": "2024-05-01T12:00:00", "camera_clock_stated": "yesterday"})])
def test_stated_values_of_a_clock_are_never_lost(exif: Mapping[int, str], kept: Mapping[str, str]) -> None:
    facts = exif_facts(Header(4, 3, exif=exif))
    assert facts.captured_at is None and facts.extra == kept


def test_a_drive_names_the_clock_that_it_cannot_read(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", exif={0x9003: "2024:05:01 24:13:00"})
    with pytest.raises(DataError, match=r"its EXIF states the time 2024:05:01 24:13:00, which cannot be read\. Give"):
        times_from_exif([path])


def test_mapillarys_capture_time() -> None:
    def header(text: str, **exif: str) -> Header:
        return Header(4, 3, main={0x010E: text}, exif={0x9003: exif.get("clock", "2024:07:09 12:00:00")}, gps=gps_time(NOON))

    stated = json.dumps({"MAPLatitude": 55.7, "MAPCaptureTime": "2024_07_09_10_00_01_250"})
    facts = exif_facts(header(stated))
    assert facts.captured_at == datetime(2024, 7, 9, 10, 0, 1, 250_000, tzinfo=UTC)
    assert facts.extra == {"captured_at_from": "Mapillary's MAPCaptureTime", "camera_clock": "2024-07-09T12:00:00"}
    zoned = exif_facts(header(stated), parse_zone("+02:00"))
    assert zoned.extra == {"captured_at_from": "EXIF DateTimeOriginal in the given zone"}
    late = exif_facts(header(stated, clock="2024:07:11 12:00:00"))
    assert late.captured_at is None and late.extra["mapillary_time_stated"] == "2024-07-09T10:00:01.250000+00:00"
    for text in ("a view", '{"MAPCaptureTime": 7}', '{"MAPCaptureTime": "2024_13_09_10_00_01_250"}', '{"MAPCaptureTime": ',
                 "[" * 9000 + '"MAPCaptureTime"', '["MAPCaptureTime"]', '{"MAPCaptureTime": "1_2_3_4_5_6_{0}"}'):
        assert exif_facts(header(text)).extra["captured_at_from"] == "EXIF GPS time"


@pytest.mark.parametrize(("reference", "sign"), [
    (0, 1), (1, -1), (2, 1), (3, -1), (b"\x01", -1), (b"\x02", 1), (b"\x03", -1), (None, 1)])
def test_heights_below_the_sea_and_below_the_ellipsoid(reference: object, sign: int) -> None:
    assert exif_facts(Header(4, 3, gps={5: reference, 6: rational(125, 10)})).extra["altitude_m"] == sign * 12.5

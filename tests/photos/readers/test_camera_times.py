"""Times of tables and clocks: dates, counts since 1970, and values that could be both and are rejected."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import photo

from justzoomin.errors import DataError
from justzoomin.photos.readers import SourceOptions, read_source, times_from_table
from justzoomin.photos.readers.camera_times import parse_clock, parse_offset, parse_time, parse_zone

MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2099, 12, 31, 23, 59, 59)).map(lambda t: t.replace(microsecond=0))
ZONE = parse_zone("+02:00")


@given(MOMENTS, st.sampled_from([str, int, float, "{}.0".format, " {} ".format]))
def test_digits_of_a_date_are_that_date(moment: datetime, kind: type) -> None:
    for form, stated in (("%Y%m%d%H%M%S", moment), ("%Y%m%d%H%M", moment.replace(second=0))):
        value = kind(moment.strftime(form))
        assert parse_time(value) is None, "the value states no zone"
        assert parse_time(value, ZONE) == stated.replace(tzinfo=ZONE)


@given(MOMENTS, st.sampled_from([1, 10**3, 10**6, 10**9]), st.sampled_from([int, str]))
def test_counts_since_1970_are_that_time_or_two_times(moment: datetime, unit: int, kind: type) -> None:
    utc = moment.replace(tzinfo=UTC)
    found = parse_time(kind(int(utc.timestamp()) * unit), ZONE)
    assert found == utc or (found is None and utc.year >= 2032)  # from then on counts look like the year 20..


@given(MOMENTS, st.integers(0, 999_999),
       st.sampled_from(["%Y:%m:%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%d %H%M%S"]),
       st.sampled_from(["", "Z", "+00:00", "-0730", " +05:30", "+14:00", "+2"]))
def test_what_cameras_and_standards_write(moment: datetime, micros: int, form: str, zone: str) -> None:
    clock = parse_clock(f"{moment.strftime(form)}.{micros:06d}{zone}")
    assert clock is not None and clock.time == moment.replace(microsecond=micros)
    hours = {"": None, "Z": 0, "+00:00": 0, "-0730": -7.5, " +05:30": 5.5, "+14:00": 14, "+2": 2}[zone]
    assert clock.zone == (None if hours is None else timezone(timedelta(hours=hours)))


@pytest.mark.parametrize("value", [
    2024070912, "2024070912",  # noon, or 2034
    "2024070912000050", 2024070912000050,  # with hundredths, or 2034 in microseconds
    20240709, "20240709", "2024-07-09",  # when on that day?
    240709120000, "240709120000",  # two digits of a year
    45482.5, 45482, 7, 0, -1, "5",  # days of a spreadsheet, seconds of a film
    "2024:05:01 24:13:00", "2024-05-01T24:00:00", "2024:05:01 01:13:00 PM", "01/05/2024 12:00:00", "12:00:00",
    "2024-05-01T12:00:00+99:00", "2024-05-01T12:00:00+14:30", "2024-5/1 12:00", "2024-05-0112:00:00", "٢٠٢٤-05-01 12:00"])
def test_ambiguous_or_invalid_times_are_rejected(value: object) -> None:
    assert parse_time(value, ZONE) is None and parse_time(value) is None


def test_offsets() -> None:
    assert parse_offset("+0545") == parse_offset("+5:45") == timezone(timedelta(hours=5, minutes=45))
    assert parse_offset("z") == parse_offset("GMT") == UTC and parse_offset("-03") == timezone(timedelta(hours=-3))
    assert not any(map(parse_offset, ["", "+", "+15:00", "+02:60", "Europe/Stockholm", "02:00", None]))


@pytest.mark.parametrize("form", ["csv", "parquet", "geojson"])
def test_a_date_of_digits_is_the_same_time_in_every_table(tmp_path: Path, form: str) -> None:
    photo(tmp_path / "a.jpg")
    if form == "csv":
        (tmp_path / "t.csv").write_text("file,lat,lon,captured_at\na.jpg,55,13,20240709120002\n")
    elif form == "parquet":
        pl.DataFrame({"file": ["a.jpg"], "lat": [55.0], "lon": [13.0], "captured_at": [20240709120002]}
                     ).write_parquet(tmp_path / "t.parquet")
    else:
        (tmp_path / "t.geojson").write_text(
            '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [13, 55]}, '
            '"properties": {"file": "a.jpg", "captured_at": 20240709120002}}')
    [table] = tmp_path.glob("t.*")
    [record] = read_source(table, options=SourceOptions(time_zone="UTC")).records
    assert record.captured_at == datetime(2024, 7, 9, 12, 0, 2, tzinfo=UTC) and "captured_at_stated" not in record.extra
    source = read_source(table)
    assert source.records[0].captured_at is None and source.records[0].extra["captured_at_stated"] == "20240709120002"
    assert source.notes == ("1 of 1 photos state a time that cannot be read, could be two, or has no zone; it is kept as "
                            "captured_at_stated, and --time-zone gives the zone",)


def table(tmp_path: Path, *times: str) -> tuple[list[Path], Path]:
    photos = [Path(f"{k}.jpg") for k in range(len(times))]
    (tmp_path / "times.csv").write_text("photo,time\n" + "".join(f"{p},{t}\n" for p, t in zip(photos, times, strict=True)))
    return photos, tmp_path / "times.csv"


def test_a_drive_by_digits_of_dates(tmp_path: Path) -> None:
    found, _ = times_from_table(*table(tmp_path, "20240709120000", "202407091201", "20240709120002"))
    assert [(p.path.stem, p.time.isoformat(), p.known_zone) for p in found] == [
        ("0", "2024-07-09T12:00:00+00:00", False), ("2", "2024-07-09T12:00:02+00:00", False),
        ("1", "2024-07-09T12:01:00+00:00", False)]


def test_a_zone_that_only_some_rows_state_is_an_error(tmp_path: Path) -> None:
    for other in ("2024-07-09T12:00:02+02:00", "2024-07-09T10:00:02Z", "1720519202", "1720519202000"):
        photos, times = table(tmp_path, "2024-07-09T12:00:00", other)
        with pytest.raises(DataError) as caught:
            times_from_table(photos, times)
        assert str(caught.value) == (f"0.jpg: its row in {times} states no time zone, unlike that of other photos. "
                                     "Write the zone in every row, or give --time-zone.")
        assert [p.path.stem for p in times_from_table(photos, times, "+02:00")[0]] == ["0", "1"]


def test_a_datasets_own_table_gives_the_times(tmp_path: Path) -> None:
    """Its ids match the file names of the dataset and of the demo; further columns and rows are ignored."""
    times = tmp_path / "metadata.csv"
    times.write_text("image_id,latitude,captured_at\n200000300000001,54.5,2024-04-18T15:34:00Z\n"
                     "200000300000000,54.5,2024-04-18T15:33:00Z\n9,54.5,2024-04-18T15:00:00Z\n")
    photos = [Path("200000300000000.jpg"), Path("200000300000001_undistorted.jpg")]
    found, missing = times_from_table(photos, times)
    assert [(p.path, p.time.minute) for p in found] == [(photos[0], 33), (photos[1], 34)] and not missing

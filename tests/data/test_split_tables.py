"""Split tables: what is read, what is refused and how."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from justzoomin.data import check_records, read_split
from justzoomin.errors import DataError
from justzoomin.geometry import Region, ZoomGrid, from_local

HEAD = "image_id,latitude,longitude,sequence\n"
ROW = '007,54.5,3.0,"[10, 0]"\n'
GRID = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)), 4, 2)


@pytest.fixture
def read(tmp_path):
    def reader(content, kind="csv"):
        path = tmp_path / f"large_area_train_map.{kind}"
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_split(path, "train")
    return reader


@pytest.mark.parametrize("content", [
    HEAD + ROW, "\ufeff" + HEAD + ROW, (HEAD + ROW).replace("\n", "\r\n"), HEAD + ROW.rstrip("\n"),
    HEAD.replace("image_id", " image_id "), HEAD.replace(",sequence", ", sequence") + ROW,
    'sequence,longitude,image_id,latitude\n"10,0",3,007,54.5\n', HEAD + "007,54.5,3.0,\"10, 0\"\n",
])
def test_csv_as_people_write_it(read, content):
    split = read(content if content.count("\n") > 1 or "007" in content else content + ROW)
    assert split.image_ids == ["007"]  # ids are text: zeros and long numbers stay
    assert split.table["sequence"].to_list() == [[10, 0]] and split.lat.tolist() == [54.5] and split.lon.tolist() == [3.0]
    assert np.array_equal(split.sequences(GRID), split.at_grid(GRID))


def test_unknown_columns_whatever_they_hold(read):
    rows = "".join(f'{k},54.5,3.0,"[10, 0]",{k}\n' for k in range(10_050))
    split = read(HEAD.replace("\n", ",note\n") + rows + '99999,54.5,3.0,"[10, 0]",late words\n')
    assert split.table["note"].to_list()[-1] == "late words" and len(split) == 10_051


@pytest.mark.parametrize(("content", "words"), [
    (b"", "empty"),
    (HEAD, "split is empty"),
    ("image_id,latitude,longitude\n1,2,3\n", "no column sequence"),
    ("a,b\n1,2\n", "no column image_id, sequence, latitude, longitude"),
    (HEAD + '1,nan,3,"[1, 2]"\n', "line 2: latitude is missing"),
    (HEAD + ROW + '1,54.5,inf,"[1, 2]"\n', "line 3: longitude is missing"),
    (HEAD + '1,north,3,"[1, 2]"\n', "latitude is missing"),
    (HEAD + ',54.5,3,"[1, 2]"\n', "image_id is missing"),
    (HEAD + '"",54.5,3,"[1, 2]"\n', "image_id is missing"),
    (HEAD + "1,54.5,3,\n", "sequence is missing"),
    (HEAD + "1,54.5\n", "is missing"),
    (HEAD + '1,54.5,3,"[1, x]"\n', r"line 2: .* list of actions \('\[1, x\]'\)"),
    (HEAD + f'1,54.5,3,"[{"9" * 30}]"\n', "list of actions"),
    (HEAD + '1,54.5,3,"[1, 2]",5,5\n', "cannot be read as a table"),
    ((HEAD + "é,54.5,3,1\n").encode("latin-1"), "cannot be read as a table"),
    ("image_id,latitude,longitude,sequence, latitude\n" + '1,1,1,"[1]",2\n', "several columns called latitude"),
    (bytes(range(256)) * 9, "split|table|column"),
])
def test_broken_csv_is_refused_with_words(read, content, words):
    with pytest.raises(DataError, match=words) as caught:
        read(content)
    assert "large_area_train_map.csv" in caught.value.where and caught.value.remedy


def parquet(**columns):
    values = {"image_id": ["7"], "latitude": [54.5], "longitude": [3.0], "sequence": [[10, 0]], "camera": ["x"]}
    return pl.DataFrame({**values, **columns})


@pytest.mark.parametrize("table", [
    parquet(), parquet(image_id=[7]), parquet(sequence=["[10, 0]"]), parquet(latitude=["54.5"]), parquet(longitude=[3]),
    parquet().with_columns(pl.col("sequence").cast(pl.Array(pl.Int8, 2))),
    parquet().with_columns(pl.col("sequence").cast(pl.List(pl.UInt16))),
])
def test_parquet_of_several_kinds(read, table):
    split = read(table, "parquet")
    assert split.image_ids == ["7"] and split.sequences(GRID).tolist() == [[10, 0]]
    assert split.table["camera"].to_list() == ["x"] and split.lat.tolist() == [54.5]


@pytest.mark.parametrize(("table", "words"), [
    (parquet(image_id=[1.5e15]), "column image_id"),  # real numbers have rounded long ids already
    (parquet(image_id=[None]), "image_id"),
    (parquet(image_id=[" "]), "image_id is missing"),
    (parquet(sequence=[[1.5, 2.0]]), "column sequence"),
    (parquet(sequence=[["1", "x"]]), "column sequence"),
    (parquet(sequence=[3]), "column sequence"),
    (parquet(sequence=[{"a": 1}]), "column sequence"),
    (parquet(sequence=[[1, None]]), "action is missing in the sequence"),
    (parquet(sequence=pl.Series([None], dtype=pl.List(pl.Int64))), "sequence is missing"),
    (parquet(latitude=[[54.5]]), "column latitude"),
    (parquet(latitude=[None]), "latitude"),
    (parquet(longitude=[float("nan")]), "longitude is missing"),
    (parquet().drop("longitude"), "no column longitude"),
    (parquet().clear(), "empty"),
    (b"PAR1 no", "cannot be read as a table"),
])
def test_broken_parquet_is_refused_with_words(read, table, words):
    with pytest.raises(DataError, match=words):
        read(table, "parquet")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv"):
        read_split(tmp_path / "none.csv", "none")


@pytest.mark.parametrize(("sequence", "words"), [
    ("[1]", "1 actions, but the grid has 2 levels"), ("[]", "0 actions"), ("[1, 16]", "from 0 to 15"),
    ("[1, -1]", "from 0 to 15")])
def test_sequences_must_fit_the_grid(read, sequence, words):
    split = read(HEAD + ROW + f'33,54.5,3,"{sequence}"\n')
    with pytest.raises(DataError, match=words) as caught:
        split.sequences(GRID)
    assert "image_id 33" in str(caught.value)


def row_at(image_id, east, north, sequence):
    lat, lon = from_local(54.5, 3.0, east, north)
    return f'{image_id},{float(lat):.7f},{float(lon):.7f},"{sequence}"\n'


def test_records_are_checked(read):
    good = "".join(row_at(k, e, n, s) for k, e, n, s in (
        ("a", 10, 10, [6, 12]), ("b", -10, 10, [5, 15]), ("border", 0.5, 10, [5, 15])))  # half a metre over the border
    assert check_records(read(HEAD + good), GRID) == []
    bad = (row_at("off", 300, 0, [6, 12]) + row_at("wrong", 10, 10, [9, 0]) + row_at("over", 3, 10, [5, 15])
           + row_at("short", 10, 10, [6]) + row_at("high", 10, 10, [6, 16]) + row_at("twice", 10, 10, [6, 12]) * 2
           + 'far,95,3,"[6, 12]"\n')
    split = read(HEAD + good + bad)
    problems = {(p.image_id, p.kind) for p in check_records(split, GRID)}
    assert problems == {("off", "off_region"), ("wrong", "contradiction"), ("over", "contradiction"),
                        ("short", "sequence"), ("high", "sequence"), ("twice", "duplicate"), ("far", "position")}
    other = {(p.image_id, p.kind) for p in check_records(split, GRID, own_grid=False)}
    assert other == {("off", "off_region"), ("twice", "duplicate"), ("far", "position")}


def test_the_published_rows_are_a_good_split(shared):
    from justzoomin.geometry import preset

    split = read_split(shared / "data" / "published_rows.csv", "published")
    assert check_records(split, preset("dc")) == []
    assert np.array_equal(split.sequences(preset("dc")), split.at_grid(preset("dc")))


def test_semicolons_and_tabs_are_read_and_empty_lines_passed_over(read):
    for separator in ";\t":
        split = read((HEAD + ROW).replace(",", separator).replace(f"[10{separator} 0]", "[10, 0]"))
        assert split.image_ids == ["007"] and split.table["sequence"].to_list() == [[10, 0]]
    split = read("\n" + HEAD + ROW + "\n\n" + ROW.replace("007", "008") + "\r\n\n")
    assert split.image_ids == ["007", "008"]
    with pytest.raises(DataError, match="line 5: longitude is missing"):
        read(HEAD + ROW + "\n\n" + '9,54.5,,"[1, 2]"\n')


def test_quotes_as_csv_has_them(read):
    split = read(HEAD.replace("\n", ",note\n") + '"00""7",54.5,3.0,"[10, 0]","two\nlines, and ""quotes"""\n')
    assert split.image_ids == ['00"7'] and split.table["note"].to_list() == ['two\nlines, and "quotes"']


@pytest.mark.parametrize(("content", "words"), [
    ((HEAD + ROW).encode("utf-16"), "UTF-16 text"), ((HEAD + ROW).encode("utf-32"), "UTF-32 text"),
    ((HEAD + ROW).encode("utf-16-le"), "zero byte"), ((HEAD + ROW + "8,5\0,3,1\n").encode(), "zero byte at position"),
    ((HEAD + ROW).replace("\n", "\r").encode(), "carriage returns only"), (b"PK\x03\x04" + bytes(99), "a ZIP archive"),
    (HEAD.replace("\n", ",latitude\n") + ROW, "several columns called latitude"),
    (",".join(f"c{k}" for k in range(2000)) + "\n", "more than 1000 columns"),
    (HEAD.replace(",", ";") + '1;"54,5";3.0;"[1, 2]"\n', r"latitude is missing or invalid \('54,5'\).*decimal point"),
    (HEAD + '1,54.5,3,"[[1, 2]]"\n', "list of actions"), (HEAD + '1,54.5,3,"[1, 2"\n', "list of actions"),
    (HEAD + '1,54.5,3,"1,,2"\n', "list of actions"), (HEAD + '1,54.5,3,"1 2"\n', "list of actions"),
])
def test_files_that_are_no_such_tables(read, content, words):
    with pytest.raises(DataError, match=words) as caught:
        read(content)
    assert caught.value.remedy.endswith(".") and "\0" not in str(caught.value)


def test_sequences_are_read_as_one_by_one(read):
    """All rows at once give what `parse_sequence` gives each."""
    from justzoomin.geometry import parse_sequence

    texts = ["[7, 6, 6, 5]", "7,6,6,5", " [ 7 ,6] ", "[]", "[ ]", "3", "[+4, -1]", "7 , 8", "[007]"]
    split = read(HEAD + "".join(f'{k},54.5,3,"{t}"\n' for k, t in enumerate(texts)))
    assert split.table["sequence"].to_list() == [list(parse_sequence(t)) for t in texts]


@pytest.mark.parametrize(("head", "words"), [
    ("ID,Latitude,Longitude,Sequence\n", "Rename 'ID' to image_id. Rename 'Sequence' to sequence. "
                                         "Rename 'Latitude' to latitude. Rename 'Longitude' to longitude."),
    ("image id,lat,lng,sequence\n", "Rename 'image id' to image_id. Rename 'lat' to latitude. Rename 'lng' to longitude."),
    ("image_id,latitud,longitude,seqence\n", "Rename 'seqence' to sequence. Rename 'latitud' to latitude."),
    ("a,b,c,\x1b[2Jd\n", r"columns: a, b, c, \\x1b\[2Jd\)"),
])
def test_columns_of_other_names_are_named(read, head, words):
    with pytest.raises(DataError, match=words) as caught:
        read(head + '1,54.5,3.0,"[1, 2]"\n')
    assert "\x1b" not in str(caught.value)


def test_files_of_the_wrong_ending_and_hostile_parquet(tmp_path, read):
    table = parquet()
    table.write_parquet(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"zero byte.*a Parquet table"):
        read((tmp_path / "x.csv").read_bytes())
    with pytest.raises(DataError, match="not a complete Parquet file: it looks like a text"):
        read((HEAD + ROW).encode(), "parquet")
    whole = (tmp_path / "x.csv").read_bytes()
    with pytest.raises(DataError, match="not a complete Parquet file: it is cut off"):
        read(whole[:-20], "parquet")
    for at in range(len(whole) - 300, len(whole) - 4, 37):  # its metadata lie at the end
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            assert len(read(bytes(damaged), "parquet").table) > 0
        except DataError as error:
            assert "train_map.parquet" in error.where


def test_a_parquet_of_endless_rows_is_not_unpacked(tmp_path, monkeypatch):
    from justzoomin.data import parquet

    monkeypatch.setattr(parquet, "MAX_ROWS", 1000)
    path = tmp_path / "train.parquet"
    pl.DataFrame({"image_id": ["7"] * 100_000, "latitude": 1.0, "longitude": 1.0, "sequence": "1"}).write_parquet(path)
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="it claims 100000 rows"):
        read_split(path, "train")


def test_a_text_that_all_rows_share_is_not_unpacked(tmp_path):
    """A file of 9 KB with one text of 20 MB took 7.8 GB: texts are compared with a limit before they are converted."""
    path = tmp_path / "train.parquet"
    for kind in ("x" * 100_000, ["x" * 100_000], {"a": "x" * 100_000}):
        pl.DataFrame({"image_id": "7", "latitude": 1.0, "longitude": 1.0, "sequence": "1", "note": [kind] * 400}
                     ).write_parquet(path)
        assert path.stat().st_size < 50_000
        with pytest.raises(DataError, match="a text of 100000 bytes in column note, more than the 65536 that are read"):
            read_split(path, "train")


def test_a_parquet_that_grows_a_thousandfold_is_not_converted(tmp_path, monkeypatch):
    from justzoomin.data import parquet

    path = tmp_path / "train.parquet"
    rows = pl.DataFrame({"image_id": ["7", "8"], "latitude": 1.0, "longitude": 1.0,
                         "sequence": pl.Series([pl.zeros(1_000_000, dtype=pl.Int64, eager=True)] * 2)})
    rows.write_parquet(path)
    assert path.stat().st_size < 20_000
    assert len(read_split(path, "train")) == 2
    monkeypatch.setattr(parquet, "DECODED_BYTES", 1 << 20)
    with pytest.raises(DataError, match=r"it claims values of 160000\d\d bytes, more than the \d+ that are read"):
        read_split(path, "train")


def test_a_parquet_over_which_polars_aborts_is_an_error_only(tmp_path):
    """Its pages claim more values than there is memory: found by fuzzing."""
    hostile = Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "parquet" / "pages-that-lie.bin"
    path = tmp_path / "train.parquet"
    path.write_bytes(hostile.read_bytes())
    with pytest.raises(DataError, match=r"takes far more memory than the [0-9]+ bytes of the file promise"):
        read_split(path, "train")


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "train.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read_split(tmp_path / "train.csv", "train")


def test_swapped_positions_are_called_so(read):
    split = read(HEAD + '1,54.5,3.0,"[10, 0]"\n2,3.0,54.5,"[10, 0]"\n3,9.0,9.0,"[10, 0]"\n')
    problems = {p.image_id: p for p in check_records(split, GRID)}
    assert set(problems) == {"2", "3"} and "latitude and longitude are swapped" in problems["2"].detail
    assert "swapped" not in problems["3"].detail
    east = ZoomGrid(Region(38.9, -117.0, (-200, 200), (-200, 200)), 4, 2)
    swapped = check_records(read(HEAD + '1,-117.0,38.9,"[1, 2]"\n'), east)
    assert [p.kind for p in swapped] == ["position"]
    assert "not a position; latitude and longitude are swapped" in swapped[0].detail

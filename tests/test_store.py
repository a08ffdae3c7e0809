"""Files of rows: what was torn is not there, hostile heads are refused, and the four kinds keep their bytes."""

import hashlib
import json
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch

import fakes
from justzoomin.data import ReadyKind, ReadyPhotos, make_ready, open_dataset
from justzoomin.errors import DataError, TileError
from justzoomin.maps import GridViews, ViewCache, build_view_cache
from justzoomin.search import MapIndex, build_index
from justzoomin.store import MarkedRows, Rows, Store, checksum, require_room
from justzoomin.training.prefix_disk import DiskStore

STORE = Store("things/2", "a box of things", TileError, "Throw it away.")
ROW = np.dtype([("mark", "<u4"), ("value", "<f4", (3,))])


def seal(row: np.void) -> int:
    return checksum(row.tobytes()[4:])


def filled(path, numbers=(0, 1, 5, 6, 9)) -> MarkedRows:
    rows = MarkedRows([Rows.make(STORE, path, ROW, 12)], "mark", seal)
    for number in numbers:
        rows.write(number, np.array((0, [number, 1, 2]), ROW))
    rows.flush()
    return rows


def opened(path) -> MarkedRows:
    return MarkedRows([Rows(STORE, path, ROW, 12)], "mark", seal)


def test_a_row_is_there_when_its_mark_is_its_checksum(tmp_path, monkeypatch):
    filled(tmp_path / "rows")
    content = bytearray((tmp_path / "rows").read_bytes())
    content[5 * ROW.itemsize + 6] ^= 1
    (tmp_path / "rows").write_bytes(content)
    for most in (1, ROW.itemsize * 2, 1 << 20):
        monkeypatch.setattr("justzoomin.store._READ_BYTES", most)
        rows = opened(tmp_path / "rows")
        assert rows.known(np.array([9, 5, 0, 0, 11])).tolist() == [True, False, True, True, False]
        assert rows.count() == 4 and np.concatenate(list(rows.missing())).tolist() == [2, 3, 4, 5, 7, 8, 10, 11]
    assert filled(tmp_path / "rows", [5]).count() == 5  # made again, the others are kept


def test_a_row_that_another_process_has_cut_off_is_missing(tmp_path):
    columns = [Rows.make(STORE, tmp_path / name, row, 4) for name, row in (("values", np.uint8), ("marks", ROW))]
    rows = MarkedRows(columns, "mark", lambda value, row: checksum(value.tobytes(), row.tobytes()[4:]))
    for number in range(4):
        rows.write(number, np.uint8(number), np.array((0, [number, 1, 2]), ROW))
    Rows.make(STORE, tmp_path / "values", np.uint8, 2)
    assert MarkedRows(columns, "mark", rows._checksum).known(np.arange(4)).tolist() == [True, True, False, False]


def test_rows_travel_and_files_of_other_sizes_are_refused(tmp_path):
    filled(tmp_path / "rows")
    rows = pickle.loads(pickle.dumps(Rows(STORE, tmp_path / "rows", ROW)))
    assert rows.count == 12 and rows.values[9]["value"].tolist() == rows.read(9)[0]["value"].tolist() == [9, 1, 2]
    assert len(rows.read(10, 5)) == 2
    for count in (11, 13):
        with pytest.raises(TileError, match=r"192 bytes instead of .* Throw it away"):
            Rows(STORE, tmp_path / "rows", ROW, count)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(TileError, match="it cannot be read"):
            Rows(STORE, path, ROW)


@pytest.mark.parametrize(("content", "words"), [
    (b"[" * 60_000, "not the head of a box of things"), (b"\0" * 70_000, "more than 65536 bytes"), (b"[]", '"format"'),
    (b'{"format": "things/1"}', "older version"), (b'{"format": ["things/2"]}', '"format" is not "things/2"'),
    (b'{"format": "things/2", "size": 1e999}', "infinity")])
def test_hostile_heads_are_refused(tmp_path, content, words):
    path = tmp_path / "head.json"
    path.write_bytes(content)
    with pytest.raises(TileError, match=words) as raised:
        STORE.load(path, lambda values: int(values["size"]))
    assert str(path) in str(raised.value) and raised.value.remedy == "Throw it away."


def test_room_that_is_taken_already_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    (tmp_path / "part").write_bytes(bytes(5000))
    require_room(tmp_path / "new" / "folder", 6000, "things", "Go.", files=[tmp_path / "part", tmp_path / "none"])
    with pytest.raises(DataError, match="things need 1,001 bytes, but the disk has only 1,000 free"):
        require_room(tmp_path / "new", 6001, "things", "Go.", files=[tmp_path / "part"])


# The bytes of the four kinds, put together by hand: a folder of an earlier version opens, and an earlier version opens ours.


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("town") / "town", train=3, val=1, pixels=32, depth=2))


def keys(path) -> list[str]:
    return list(json.loads(path.read_text()))


def test_bytes_of_a_view_cache(town, tmp_path):
    folder = build_view_cache(town.map, pixels=8, out=tmp_path).folder
    views = GridViews(town.map, town.grid, 8, view_cache=False)
    pixels, facts = views.batch(np.arange(17)), b""
    for number, level in enumerate(np.frombuffer((folder / "facts.bin").read_bytes(), "<i4")[2::4].tolist()):
        fact = struct.pack("<di", ViewCache(folder).no_data(number), level)
        facts += fact + struct.pack("<I", zlib.crc32(pixels[number].tobytes() + fact + bytes(4)))
    assert (folder / "views.bin").read_bytes() == pixels.tobytes() and (folder / "facts.bin").read_bytes() == facts
    assert keys(folder / "head.json") == ["format", "content", "seen", "grid", "pixels", "renderer", "count"]
    assert '"format": "justzoomin-views/1"' in (folder / "head.json").read_text()


@pytest.mark.parametrize(("precision", "kind"), [("fp32", "<f4"), ("fp16", "<f2")])
def test_bytes_of_a_map_index(town, tmp_path, precision, kind):
    model = fakes.tiny_model()
    index = build_index(model, town.map, tmp_path / "i", precision=precision, lazy=True)
    vectors = np.random.default_rng(1).normal(size=(2, 16)).astype(np.float32)
    index.keep(np.array([3, 7]), vectors, np.array([0.25, 0], np.float32))
    content = bytearray(17 * index.head.record.itemsize)
    for number, vector, share in zip((3, 7), vectors, (0.25, 0), strict=True):
        rest = struct.pack("<f", share) + vector.astype(kind).tobytes()
        content[number * (4 + len(rest)):(number + 1) * (4 + len(rest))] = struct.pack("<I", zlib.crc32(rest)) + rest
    assert (tmp_path / "i" / "views.bin").read_bytes() == content
    assert np.concatenate(list(MapIndex.open(tmp_path / "i").missing())).tolist() == [n for n in range(17) if n not in {3, 7}]
    assert keys(tmp_path / "i" / "index.json") == [
        "format", "model", "map", "grid", "layers", "pixels", "width", "precision", "views"]
    assert '"format": "justzoomin-index/2"' in (tmp_path / "i" / "index.json").read_text()


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, "<f4"), (torch.float16, "<f2")])
def test_bytes_of_kept_outputs(tmp_path, dtype, kind):
    tokens = torch.linspace(-1, 1, 6).reshape(2, 3).to(dtype)
    kept = DiskStore(tmp_path, "ab" * 32, (2, 3), dtype, 9, 5 * 6 * tokens.element_size())
    kept.put(3, lambda: b"pixels", tokens)
    row = tokens.numpy().astype(kind).tobytes()
    mark = hashlib.blake2b(b"pixels", digest_size=8).digest() + struct.pack("<I", zlib.crc32(row))
    assert (tmp_path / "tokens.bin").read_bytes() == bytes(3 * len(row)) + row + bytes(len(row))
    assert (tmp_path / "marks.bin").read_bytes() == bytes(36) + mark + bytes(12)
    assert json.loads((tmp_path / "header.json").read_text()) == {
        "format": "justzoomin-prefix/1", "key": "ab" * 32, "shape": [2, 3], "dtype": kind, "views": 9}
    larger = DiskStore(tmp_path, "ab" * 32, (2, 3), dtype, 9, 1 << 20)
    assert torch.equal(larger.get(3, lambda: b"pixels"), tokens) and larger.get(3, lambda: b"others") is not None
    assert DiskStore(tmp_path, "ab" * 32, (2, 3), dtype, 9, 1 << 10).get(3, lambda: b"others") is None
    assert DiskStore(tmp_path, "ab" * 32, (2, 3), dtype, 9, 60).rows < 9 and (tmp_path / "marks.bin").stat().st_size == 9 * 12


def test_bytes_of_ready_photos(town, tmp_path):
    ids, kind = town.split("train").image_ids, ReadyKind("train", 16, "full")
    folder = make_ready(town.photos, ids, kind, tmp_path, workers=1)
    pictures, entries, aspects = b"", b"", [ReadyPhotos(folder, kind, ids).aspect(row) for row in range(len(ids))]
    samples = town.torch_dataset("train", 16, decode="full")
    for row, image_id in enumerate(ids):
        digest = bytearray(hashlib.sha256(town.photos.read(image_id)).digest()[:16])
        digest[15] = digest[15] or 1
        picture = samples[row]["wide"].permute(1, 2, 0).numpy().tobytes()
        entries += struct.pack("<16sQIIIId", bytes(digest), len(pictures), len(picture), zlib.crc32(picture), 16, 32,
                               aspects[row])
        pictures += picture
    assert (folder / "pictures.bin").read_bytes() == pictures and (folder / "entries.bin").read_bytes() == entries
    assert json.loads((folder / "head.json").read_text()) == {
        "format": "justzoomin-ready-photos/1", "split": "train", "pixels": 16, "decode": "full", "least_crop": None,
        "encoding": "raw", "photos": len(ids), "ids": hashlib.sha256("\n".join(ids).encode()).hexdigest()}

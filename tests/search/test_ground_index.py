"""The described map on the disk: the same pieces as in memory, bound to one model and map, and told when they are broken."""

import errno
import json
import mmap
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import DataError, DiskError, ModelError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import Map
from justzoomin.search import GroundIndex, GroundMap, MapIndex, begin_index, build_index, described
from justzoomin.search.ground_index import GROUND_FILE, GROUND_HEAD
from justzoomin.search.index import VIEWS_FILE

PIECES = 49


@pytest.fixture(scope="module")
def matching():
    return fakes.tiny_matching_model(grid=3)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return fakes.make_repository(tmp_path_factory.mktemp("ground") / "town", pixels=32, depth=3, grid=3, train=3, val=4)


@pytest.fixture(scope="module")
def town(repository):
    return open_dataset(repository)


@pytest.fixture(scope="module")
def pieces(matching, town):
    """The pieces in memory."""
    ground = GroundMap(matching, town.map, town.grid)
    ground.describe()
    return ground.pieces


@pytest.fixture
def empty(matching, town, tmp_path):
    """An index without views and pieces."""
    return build_index(matching, town.map, tmp_path / "i", lazy=True)


def is_mapped(array):
    """Whether an array is a view of a memory map."""
    while isinstance(array, np.ndarray | np.void):
        array = array.base
    return isinstance(array.obj if isinstance(array, memoryview) else array, mmap.mmap)


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        value = file.read(1)[0]
        file.seek(place)
        file.write(bytes([value ^ 1]))


def test_pieces_of_a_search_are_kept_and_are_those_in_memory(matching, town, pieces, empty):
    ground = empty.ground(matching, town.map)
    assert len(ground) == PIECES == len(pieces) and ground.count() == 0 and 3 not in ground
    GroundMap(matching, town.map, town.grid, ground)._piece(3)
    assert 3 in ground and ground.count() == 1
    GroundMap(matching, town.map, town.grid, ground).describe()
    again = MapIndex.open(empty.folder).ground(matching, town.map)
    assert again.count() == PIECES
    for number in range(PIECES):
        assert number in again and again[number].tobytes() == pieces[number].tobytes()


def test_pieces_are_read_through_a_memory_map(matching, town, empty, pieces):
    ground = empty.ground(matching, town.map)
    ground[5] = pieces[5]
    assert is_mapped(ground[5]["fine"]) and not ground[5]["fine"].flags.writeable
    assert not is_mapped(pieces[5]["fine"])


def test_a_flipped_byte_is_told_with_file_and_piece(matching, town, empty, pieces):
    ground = empty.ground(matching, town.map)
    ground[2], ground[4] = pieces[2], pieces[4]
    flip(empty.folder / GROUND_FILE, 4 * ground.head.record.itemsize + 10)
    opened = empty.ground(matching, town.map)
    assert 2 in opened and 3 not in opened
    with pytest.raises(DataError, match=r"ground\.bin: piece 4 of the described map is broken .* Run jzi index"):
        GroundMap(matching, town.map, town.grid, opened).describe()


def test_another_model_map_or_grid_is_refused_with_words(matching, town, empty, tmp_path):
    folder, grid = empty.folder, town.grid
    empty.ground(matching, town.map)
    with pytest.raises(ModelError, match="another model"):
        GroundIndex.open_for(folder, fakes.tiny_matching_model(grid=3, seed=4), town.map, grid)
    with pytest.raises(DataError, match="another region or depth"):
        GroundIndex.open_for(folder, matching, town.map, ZoomGrid(grid.region, 3, 2))
    other = fakes.make_repository(tmp_path / "other", pixels=32, depth=3, grid=3, train=1, val=1, seed=9)
    with pytest.raises(DataError, match="not made from the tiles"):
        GroundIndex.open_for(folder, matching, Map.open(other), grid)
    with pytest.raises(ModelError, match="no ray matcher"):
        GroundIndex.open_for(folder, fakes.tiny_model(grid=3), town.map, grid)


@pytest.mark.parametrize(("change", "words"), [
    ({"format": "justzoomin-ground/0"}, "an older version"), ({"model": 3}, "model"), ({"map": {}}, "map"),
    ({"grid": {"depth": 2}}, "grid"), ({"channels": 5}, "its 'channels' differs"), ({"pieces": 48}, "its 'pieces' differs"),
    ({"lattice": {"place_m": 2.0}}, "its 'lattice' differs")])
def test_heads_that_lie(matching, town, empty, change, words):
    empty.ground(matching, town.map)
    head = empty.folder / GROUND_HEAD
    head.write_text(json.dumps({**json.loads(head.read_text()), **change}))
    with pytest.raises(DataError, match=words) as raised:
        empty.ground(matching, town.map)
    assert "ground.json" in str(raised.value) and "jzi index" in str(raised.value)


@pytest.mark.parametrize("pieces", [0, -1, "49", 50, 1 << 40])
def test_a_number_of_pieces_that_lies_is_told_without_the_model(empty, pieces):
    assert described(empty.folder) == (0, PIECES, (empty.folder / GROUND_FILE).stat().st_size)
    head = empty.folder / GROUND_HEAD
    head.write_text(json.dumps({**json.loads(head.read_text()), "pieces": pieces}))
    with pytest.raises(DataError, match=r"ground\.(json: .*pieces is not|bin: it has \d+ bytes)"):
        described(empty.folder)


def test_a_file_of_the_wrong_size_is_refused(matching, town, empty):
    empty.ground(matching, town.map)
    os.truncate(empty.folder / GROUND_FILE, 100)
    with pytest.raises(DataError, match="100 bytes"):
        empty.ground(matching, town.map)


def test_an_index_that_cannot_be_written_warns_and_answers(matching, town, empty, pieces):
    empty.ground(matching, town.map)[2] = pieces[2]
    empty.writable = False
    closed = empty.ground(matching, town.map)
    with pytest.warns(UserWarning, match="pieces of map are described, but not kept in the index .* cannot be written") as told:
        GroundMap(matching, town.map, town.grid, closed).describe()
    assert len(told) == 1 and closed.count() == 1
    assert all(closed[number].tobytes() == pieces[number].tobytes() for number in range(PIECES))


def test_an_older_index_gets_pieces_if_it_can_be_written(matching, town, empty):
    for name in (GROUND_HEAD, GROUND_FILE):
        (empty.folder / name).unlink(missing_ok=True)
    empty.writable = False
    with pytest.warns(UserWarning, match="the map is described, but not kept in the index"):
        assert empty.ground(matching, town.map) is None
    older = MapIndex.open_for(empty.folder, matching, town.map)
    assert len(older.ground(matching, town.map)) == PIECES and (empty.folder / GROUND_HEAD).exists()


def test_a_link_is_never_written_through(matching, town, empty, pieces, tmp_path):
    empty.ground(matching, town.map)
    file, outside = empty.folder / GROUND_FILE, tmp_path / "outside"
    outside.write_bytes(bytes(file.stat().st_size))
    file.unlink()
    file.symlink_to(outside)
    ground = empty.ground(matching, town.map)
    with pytest.warns(UserWarning, match="not kept"):
        ground[1] = pieces[1]
    assert ground[1].tobytes() == pieces[1].tobytes() and not any(outside.read_bytes())


def _build(model, repository, folder):
    build_index(model, Map.open(repository), folder, device="cpu")


@pytest.fixture(scope="module")
def saved(matching, town, tmp_path_factory):
    return matching.save_pretrained(tmp_path_factory.mktemp("saved") / "model", town.grid)


def test_a_killed_build_goes_on_where_it_stopped(matching, town, saved, repository, pieces, tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=_build, args=(saved, repository, tmp_path / "i"))
    child.start()
    while child.is_alive():
        if (found := ready(tmp_path / "i")) and found.ready >= 10:
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.002)
    child.join()
    kept = ready(tmp_path / "i").ready
    assert kept >= 10
    news, views = [], []
    made = build_index(matching, town.map, tmp_path / "i", describing=lambda *count: news.append(count),
                       progress=lambda *count: views.append(count))
    assert news[-1] == (PIECES, PIECES) and (kept == PIECES or news[0] == (kept, PIECES))
    assert not views and made.count() == 0, "the matcher answers alone, so no view was needed"
    assert described(tmp_path / "i") == (PIECES, PIECES, (tmp_path / "i" / GROUND_FILE).stat().st_size)
    ground = made.ground(matching, town.map)
    assert all(number in ground and ground[number].tobytes() == pieces[number].tobytes() for number in range(PIECES))


def ready(folder):
    return described(folder) if (folder / GROUND_HEAD).exists() else None


def test_two_processes_fill_it(matching, town, saved, pieces, tmp_path):
    with pytest.raises(ModelError, match="open model"):
        build_index(matching, town.map, tmp_path / "i", processes=2)
    news = []
    made = build_index(saved, town.map, tmp_path / "i", processes=2, device="cpu", describing=lambda *count: news.append(count))
    assert news[-1] == (PIECES, PIECES) and len(news) == PIECES
    ground = made.ground(matching, town.map)
    assert all(number in ground and ground[number].tobytes() == pieces[number].tobytes() for number in range(PIECES))


def test_a_build_mends_a_broken_piece_and_leaves_the_others(matching, town, pieces, tmp_path):
    made = build_index(matching, town.map, tmp_path / "i")
    record, path = made.ground(matching, town.map).head.record.itemsize, tmp_path / "i" / GROUND_FILE
    whole = path.read_bytes()
    flip(path, 4 * record + 10)
    news = []
    build_index(matching, town.map, tmp_path / "i", describing=lambda *count: news.append(count))
    assert news == [(PIECES - 1, PIECES), (PIECES, PIECES)] and path.read_bytes() == whole


def test_what_is_made_ahead_depends_on_who_answers(matching, town, tmp_path):
    """The matcher alone: the map. A matcher beside a zoomer that knows the map: both. A zoomer: views."""
    told = []
    build_index(matching, town.map, tmp_path / "alone", lazy=True, announce=told.append)
    beside = fakes.tiny_matching_model(grid=3, zoom_weight=0.5)
    for model in (beside, fakes.tiny_model(grid=3)):
        begin_index(model, town.map, tmp_path / str(len(told)), announce=told.append)
    beside.provenance = {"map_hash": town.map.fingerprint()}
    begin_index(beside, town.map, tmp_path / "both", announce=told.append)
    begin_index(matching, town.map, tmp_path / "matcher", announce=told.append)
    assert [(plan.encode, plan.describe, plan.pieces) for plan in told] == [
        (False, False, PIECES), (False, True, PIECES), (True, False, 0), (True, True, PIECES), (False, True, PIECES)]
    assert not (tmp_path / "2" / GROUND_FILE).exists()
    sizes = [(tmp_path / "both" / name).stat() for name in (VIEWS_FILE, GROUND_FILE)]
    assert [size.st_size for size in sizes] == [told[3].view_bytes, told[3].piece_bytes]
    assert all(size.st_blocks * 512 >= size.st_size for size in sizes), "space was not reserved"
    assert (tmp_path / "alone" / GROUND_FILE).stat().st_blocks == 0


def test_a_copied_map_is_noted_by_a_build_and_a_changed_tile_is_refused(matching, repository, empty, tmp_path):
    copy = fakes.extract(repository, tmp_path / "copy")
    before = json.loads((empty.folder / GROUND_HEAD).read_text())["map"]
    source = Map.open(copy)
    opened = GroundIndex.open_for(empty.folder, matching, source, source.grid)
    assert json.loads((empty.folder / GROUND_HEAD).read_text())["map"] == before != opened.head.content.to_dict()
    build_index(matching, source, empty.folder, lazy=True)
    after = json.loads((empty.folder / GROUND_HEAD).read_text())["map"]
    assert after["digest"] == before["digest"] and after["stamp"] != before["stamp"]
    tile = sorted((copy / "satellite" / str(before["levels"][-1])).rglob("*.jpg"))[-1]
    content = bytearray(tile.read_bytes())
    content[-10] ^= 1
    tile.write_bytes(content)
    with pytest.raises(DataError, match="not made from the tiles"):
        GroundIndex.open_for(empty.folder, matching, Map.open(copy), source.grid)


def test_a_full_disk_is_an_error_of_the_build_and_a_warning_of_a_search(matching, town, empty, pieces, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    ground = empty.ground(matching, town.map)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.warns(UserWarning, match="not kept in the index .* the disk is full"):
        ground[3] = pieces[3]
    assert ground[3].tobytes() == pieces[3].tobytes() and ground.count() == 0
    with pytest.raises(DiskError, match=r"ground.bin: the disk is full"):
        build_index(matching, town.map, empty.folder)

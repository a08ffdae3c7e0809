"""The index gives what the model would: the same vectors, sequences and probabilities; and belongs to one model and map."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch

import fakes
from justzoomin.errors import DataError, DiskError, GeometryError, JustZoomInError, ModelError
from justzoomin.evaluation import evaluate
from justzoomin.geometry import Region, ZoomGrid, view_count, view_sequence
from justzoomin.maps import GridViews, Map
from justzoomin.search import Localizer, MapIndex, ViewVectors, build_index, greedy
from justzoomin.search.index import HEAD_FILE, VIEWS_FILE


@pytest.fixture(scope="session")
def index(model, dataset, tmp_path_factory):
    return build_index(model, dataset.map, tmp_path_factory.mktemp("index") / "made", batch_size=8)


def views_of(model, dataset):
    return GridViews(dataset.map, dataset.grid, model.config.image_pixels)


def test_all_views_are_there_and_are_the_models_own(index, model, dataset):
    assert len(index) == index.count() == view_count(dataset.grid) == 91
    plain = ViewVectors(model, views_of(model, dataset))
    sequences = [view_sequence(dataset.grid, n) for n in range(91)]
    assert np.abs(index.read(np.arange(91)) - plain.get(sequences).numpy()).max() < 1e-5
    assert index.no_data(np.arange(91)).tolist() == [np.float32(plain.views.no_data(s)) for s in sequences]


def test_paths_and_probabilities_are_those_without_an_index(index, model, dataset, pairs, monkeypatch):
    photos = model.encode_photos(pairs)
    plain = greedy(model, photos, ViewVectors(model, views_of(model, dataset)), 3)
    monkeypatch.setattr(model, "encode_views", lambda _: pytest.fail("a view was encoded again"))
    monkeypatch.setattr(GridViews, "get", lambda *_: pytest.fail("a view was drawn again"))
    found = greedy(model, photos, ViewVectors(model, views_of(model, dataset), index=index), 3)
    assert torch.equal(found.sequences, plain.sequences)
    assert torch.allclose(found.probabilities, plain.probabilities, atol=1e-5)


def test_a_lazy_index_keeps_what_is_needed_and_no_more(model, dataset, tmp_path):
    lazy = build_index(model, dataset.map, tmp_path / "lazy", lazy=True)
    assert lazy.count() == 0 and (tmp_path / "lazy" / VIEWS_FILE).stat().st_size == 91 * lazy.head.record.itemsize
    first = ViewVectors(model, views_of(model, dataset), index=lazy)
    vectors = first.get([(), (1,), (1, 2), (1,)])
    assert first.encoded == lazy.count() == 3
    again = ViewVectors(model, views_of(model, dataset), index=MapIndex.open(tmp_path / "lazy"))
    assert torch.equal(again.get([(), (1,), (1, 2), (1,)]), vectors) and again.encoded == 0
    assert torch.equal(vectors[1], vectors[3])
    assert again.get([(2,)]).shape == (1, 16) and again.encoded == 1


def test_an_index_that_cannot_be_written_is_read_and_the_rest_kept_in_memory(model, dataset, tmp_path):
    build_index(model, dataset.map, tmp_path / "i", lazy=True)
    part = ViewVectors(model, views_of(model, dataset), index=MapIndex.open(tmp_path / "i"))
    part.get([()])
    head = MapIndex.open(tmp_path / "i").head
    closed = MapIndex(tmp_path / "i", head, writable=False)
    vectors = ViewVectors(model, views_of(model, dataset), index=closed)
    first = vectors.get([(), (3,)])
    assert torch.equal(vectors.get([(), (3,)]), first) and vectors.encoded == 1
    assert MapIndex.open(tmp_path / "i").count() == 1


def test_a_link_in_an_index_is_never_written_through(model, dataset, tmp_path):
    """An index from elsewhere whose views.bin is a link: a photo was localized, and the file behind the link overwritten."""
    made = build_index(model, dataset.map, tmp_path / "i", lazy=True)
    outside = tmp_path / "outside"
    outside.write_bytes(bytes((tmp_path / "i" / VIEWS_FILE).stat().st_size))
    (tmp_path / "i" / VIEWS_FILE).unlink()
    (tmp_path / "i" / VIEWS_FILE).symlink_to(outside)
    opened = MapIndex.open_for(tmp_path / "i", model, dataset.map)
    vectors = ViewVectors(model, views_of(model, dataset), index=opened)
    assert vectors.get([(), (3,)]).shape == (2, 16) and vectors.encoded == 2
    assert not any(outside.read_bytes()) and opened.count() == 0
    with pytest.raises(DataError, match="lacks 91 views and cannot be written"):
        build_index(model, dataset.map, tmp_path / "i")
    with pytest.raises(DataError, match="it is a link"):
        MapIndex(tmp_path / "i", made.head, writable=True).reserve()
    assert not any(outside.read_bytes())


def test_a_full_disk_is_an_error_of_the_build_and_no_error_of_a_photo(model, dataset, tmp_path, monkeypatch):
    """Written through a memory map with holes, a full disk ended the process (SIGBUS)."""
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lazy = build_index(model, dataset.map, tmp_path / "i", lazy=True)
    monkeypatch.setattr(os, "pwrite", full)
    vectors = ViewVectors(model, views_of(model, dataset), index=lazy)
    with pytest.warns(UserWarning, match="views are encoded, but not kept .* the disk is full"):
        found = vectors.get([(), (3,)])
    assert torch.equal(vectors.get([(), (3,)]), found) and lazy.count() == 0
    with pytest.raises(DiskError, match=r"i/views.bin: the disk is full. Free some room and run the same command again."):
        build_index(model, dataset.map, tmp_path / "i")
    monkeypatch.undo()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskError, match=r"views.bin: the disk is full"):
        build_index(model, dataset.map, tmp_path / "i")
    monkeypatch.undo()
    assert build_index(model, dataset.map, tmp_path / "i").count() == 91


def test_an_index_that_lacks_views_and_cannot_be_written_is_no_success(model, dataset, tmp_path, monkeypatch):
    build_index(model, dataset.map, tmp_path / "i", lazy=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match="lacks 91 views and cannot be written"):
        build_index(model, dataset.map, tmp_path / "i")


def test_half_precision_is_half_the_size_and_the_same_answers_first_and_later(model, dataset, pairs, index, tmp_path):
    half = build_index(model, dataset.map, tmp_path / "half", precision="fp16")
    assert half.head.record.itemsize == 8 + 2 * 16 and index.head.record.itemsize == 8 + 4 * 16
    everything = np.arange(91)
    assert np.allclose(half.read(everything), index.read(everything), atol=2e-3, rtol=1e-3)
    lazy = build_index(model, dataset.map, tmp_path / "lazy", precision="fp16", lazy=True)
    photos = model.encode_photos(pairs)
    first = greedy(model, photos, ViewVectors(model, views_of(model, dataset), index=lazy), 3)
    later = greedy(model, photos, ViewVectors(model, views_of(model, dataset), index=lazy), 3)
    assert torch.equal(first.sequences, later.sequences) and torch.equal(first.probabilities, later.probabilities)


def test_the_localizer_and_the_evaluation_use_it(index, model, dataset, repository, tmp_path):
    folder = model.save_pretrained(tmp_path / "model", dataset.grid)
    photo = dataset.photos.read(dataset.split("val").image_ids[0])
    plain, indexed = Localizer.load(folder, repository, device="cpu"), Localizer.load(
        folder, repository, device="cpu", index=index.folder)
    one, other = plain.localize(photo), indexed.localize(photo)
    assert (one.sequence, one.lat, one.lon, one.no_data) == (other.sequence, other.lat, other.lon, other.no_data)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5) and indexed.vectors.encoded == 0
    reports = [evaluate(model, dataset, "val", index=where).report for where in (None, index.folder)]
    assert reports[0]["recall_at_m"] == reports[1]["recall_at_m"] and reports[0]["median_m"] == reports[1]["median_m"]


def test_another_model_map_region_or_size_is_refused_with_words(index, model, dataset, repository, tmp_path):
    with pytest.raises(ModelError, match="another model"):
        MapIndex.open_for(index.folder, fakes.tiny_model(grid=3, seed=1), dataset.map)
    shallower = ZoomGrid(dataset.grid.region, 3, 2)
    with pytest.raises(DataError, match="another region or depth"):
        MapIndex.open_for(index.folder, model, dataset.map, shallower)
    moved = ZoomGrid(Region(54.5, 3.0, (-190, 190), (-190, 190)), 3, 3)
    with pytest.raises(DataError, match="another region or depth"):
        MapIndex.open_for(index.folder, model, dataset.map, moved)
    other = fakes.make_repository(tmp_path / "other", pixels=32, depth=3, grid=3, train=1, val=1, seed=9)
    with pytest.raises(DataError, match="not made from the tiles"):
        MapIndex.open_for(index.folder, model, Map.open(other))


def test_a_changed_tile_is_seen_and_a_copy_is_accepted(model, repository, tmp_path):
    copy = fakes.extract(repository, tmp_path / "copy")
    index = build_index(model, Map.open(repository), tmp_path / "index", lazy=True)
    opened = MapIndex.open_for(index.folder, model, Map.open(copy))
    assert MapIndex.open(index.folder).head.content.stamp == index.head.content.stamp  # reading an index does not write
    build_index(model, Map.open(copy), tmp_path / "index", lazy=True)
    assert MapIndex.open(index.folder).head.content.stamp != index.head.content.stamp  # next time it is not read again
    level = opened.head.content.levels[0]
    tile = sorted((copy / "satellite" / str(level)).rglob("*.jpg"))[-1]
    content, times = bytearray(tile.read_bytes()), tile.stat()
    content[-10] ^= 1
    tile.write_bytes(content)
    os.utime(tile, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError, match="not made from the tiles"):
        MapIndex.open_for(index.folder, model, Map.open(copy))


def test_a_record_that_was_torn_is_encoded_again(model, dataset, tmp_path):
    made = build_index(model, dataset.map, tmp_path / "i", batch_size=8)
    before = made.read(np.arange(91))
    path, size = tmp_path / "i" / VIEWS_FILE, made.head.record.itemsize
    content = bytearray(path.read_bytes())
    content[5 * size + 12] ^= 0x40
    content[7 * size:8 * size] = bytes(size)
    path.write_bytes(content)
    torn = MapIndex.open(tmp_path / "i")
    assert torn.count() == 89 and np.concatenate(list(torn.missing())).tolist() == [5, 7]
    again = build_index(model, dataset.map, tmp_path / "i", batch_size=8)
    assert again.count() == 91 and np.abs(again.read(np.arange(91)) - before).max() < 1e-5


def grid_of_depth(depth):
    return {"reference_lat": 54.5, "reference_lon": 3.0, "east_m": [0, 9], "north_m": [0, 9], "grid": 4, "depth": depth}


@pytest.mark.parametrize(("change", "words"), [
    ({"format": "x"}, "format"), ({"views": 90}, "views"), ({"width": 17}, "bytes"), ({"width": -1}, "width"),
    ({"width": 1 << 40}, "width"), ({"precision": "fp64"}, "precision"), ({"model": 3}, "model"), ({"map": {}}, "map"),
    ({"grid": {"depth": 2}}, "grid"), ({"pixels": "32"}, "pixels"), ({"grid": grid_of_depth(10**9)}, "a grid has 1 to 31"),
    ({"grid": grid_of_depth(10), "layers": [[9, 1]]}, "68,719,476,736 views, more than")])
def test_heads_that_lie(index, tmp_path, change, words):
    copy = shutil.copytree(index.folder, tmp_path / "copy")
    head = json.loads((copy / HEAD_FILE).read_text())
    (copy / HEAD_FILE).write_text(json.dumps({**head, **change}))
    with pytest.raises(JustZoomInError, match=words) as raised:
        MapIndex.open(copy)
    assert str(copy) in str(raised.value)


def test_the_cost_is_said_before_it_is_paid(model, dataset, tmp_path):
    said = []
    build_index(model, dataset.map, tmp_path / "i", batch_size=8, max_views=91, announce=said.append)
    assert said == [(91, (tmp_path / "i" / VIEWS_FILE).stat().st_size, True, 0, 0, False)]
    deep = ZoomGrid(dataset.grid.region, 4, 6)
    for most, words in ((90, "--max-views 91"), (1_000_000, "1,118,481 views of 32 px.* MB on the disk; at most 1,000,000")):
        with pytest.raises(GeometryError, match=words):
            build_index(model, dataset.map, tmp_path / "j", dataset.grid if most == 90 else deep, max_views=most)
    assert not (tmp_path / "j").exists()


def test_what_is_no_index(index, model, dataset, tmp_path):
    with pytest.raises(DataError, match=r"index\.json"):
        MapIndex.open(tmp_path)
    copy = shutil.copytree(index.folder, tmp_path / "copy")
    os.truncate(copy / VIEWS_FILE, 100)
    with pytest.raises(DataError, match="100 bytes"):
        MapIndex.open(copy)
    (copy / VIEWS_FILE).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        MapIndex.open(copy)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        build_index(model, dataset.map, tmp_path / "full")
    with pytest.raises(DataError, match="fp32"):
        build_index(model, dataset.map, index.folder, precision="fp16")


def test_vectors_that_are_no_numbers_are_not_kept(model, dataset, tmp_path):
    made = build_index(model, dataset.map, tmp_path / "i", lazy=True, precision="fp16")
    with pytest.raises(ModelError, match="view 4"):
        made.keep(np.array([3, 4]), np.array([[1.0] * 16, [1e9] * 16], np.float32), np.zeros(2, np.float32))
    assert made.count() == 0


def _build(model, repository, folder):
    build_index(model, Map.open(repository), folder, device="cpu", batch_size=2)


def test_a_killed_build_goes_on_where_it_stopped(model, dataset, repository, tmp_path, index):
    folder = model.save_pretrained(tmp_path / "model", dataset.grid)
    child = multiprocessing.get_context("spawn").Process(target=_build, args=(folder, repository, tmp_path / "i"))
    child.start()
    while child.is_alive():
        if (tmp_path / "i" / HEAD_FILE).exists() and MapIndex.open(tmp_path / "i").count() >= 10:
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.002)
    child.join()
    kept = MapIndex.open(tmp_path / "i").count()
    assert kept >= 10
    news = []
    again = build_index(model, dataset.map, tmp_path / "i", progress=lambda done, total: news.append((done, total)))
    assert again.count() == 91 and news[0] == (kept, 91) and news[-1] == (91, 91)
    assert np.abs(again.read(np.arange(91)) - index.read(np.arange(91))).max() < 1e-5


def test_several_processes_make_the_same(model, dataset, repository, tmp_path, index, monkeypatch):
    folder = model.save_pretrained(tmp_path / "model", dataset.grid)
    with pytest.raises(ModelError, match="open model"):
        build_index(model, dataset.map, tmp_path / "i", processes=2)
    news = []
    made = build_index(folder, dataset.map, tmp_path / "i", processes=2, device="cpu",
                       progress=lambda done, total: news.append(done))
    assert made.count() == 91 == news[-1]
    assert np.abs(made.read(np.arange(91)) - index.read(np.arange(91))).max() < 1e-5

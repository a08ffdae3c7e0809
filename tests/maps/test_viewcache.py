"""The view cache: it has the pixels of direct drawing from the present map, or is not used."""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from fakes import extract, make_repository
from justzoomin.errors import ConfigError, DataError, JustZoomInError, TileError
from justzoomin.geometry import Region, ZoomGrid, grid_from_dict, view_count, view_numbers, view_sequence
from justzoomin.maps import GridViews, Map, ViewCache, ViewCacheBuild, build_view_cache, viewbuild, viewfinder
from justzoomin.maps.viewcache import FACTS, HEAD, VIEWS
from justzoomin.tiles import TileServer

PIXELS = 24


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("town") / "town", train=1, val=1, pixels=32, depth=3, size_m=500.0)


@pytest.fixture
def town(shards, tmp_path) -> Path:
    """A map of loose tiles that a test may damage; a few tiles are missing."""
    root = extract(shards, tmp_path / "town")
    for path in sorted((root / "satellite" / "0").rglob("*.jpg"))[::7]:
        path.unlink()
    return root


def draws(source: Map, monkeypatch) -> list[float]:
    """Sizes of the views that a map draws from now on."""
    sizes: list[float] = []
    render = source.view

    def view(lat, lon, size_m, pixels, bearing_deg=0.0):
        sizes.append(size_m)
        return render(lat, lon, size_m, pixels, bearing_deg)

    monkeypatch.setattr(source, "view", view)
    return sizes


def test_pixels_and_facts_are_those_of_direct_drawing(town):
    source = Map.open(town)
    direct = GridViews(source, source.grid, PIXELS, view_cache=False)
    build_view_cache(source, pixels=PIXELS)
    views = GridViews(Map.open(town), source.grid, PIXELS)
    assert views.cached
    assert not direct.cached
    count = view_count(source.grid)
    assert count == 273
    paths = [view_sequence(source.grid, number) for number in range(count)]
    assert any(0 < direct.no_data(path) < 1 for path in paths)
    for path in paths:
        assert np.array_equal(views.get(path), direct.get(path))
        assert views.no_data(path) == direct.no_data(path)
    numbers = np.random.default_rng(0).integers(0, count, 40)
    assert np.array_equal(views.batch(numbers), direct.batch(numbers))
    assert np.array_equal(views.batch(np.zeros(0, np.int64)), direct.batch(np.zeros(0, np.int64)))


def test_nothing_is_drawn_that_is_in_the_cache_and_terminal_cells_are(town, monkeypatch):
    build_view_cache(Map.open(town), pixels=PIXELS)
    source = Map.open(town)
    views, sizes = GridViews(source, source.grid, PIXELS), draws(source, monkeypatch)
    views.get((1, 2))
    views.no_data(())
    views.batch(view_numbers(source.grid, [[1, 2, 3]])[0])
    assert sizes == []
    views.get((1, 2, 3))
    assert sizes == [source.grid.cell_size_m(3)]
    GridViews(source, source.grid, PIXELS, view_cache=False).get(())
    assert len(sizes) == 2


def test_what_is_given_back_may_be_changed(town):
    build_view_cache(Map.open(town), pixels=PIXELS)
    views = GridViews(Map.open(town), Map.open(town).grid, PIXELS)
    before = views.get((3,)).copy()
    views.get((3,))[:] = 0
    assert np.array_equal(views.get((3,)), before)


def test_another_map_grid_size_or_renderer_has_none(town, monkeypatch):
    source = Map.open(town)
    grid = source.grid
    build_view_cache(source, pixels=PIXELS)
    assert not GridViews(source, grid, PIXELS + 1).cached
    assert not GridViews(source, ZoomGrid(grid.region, grid.grid, 2), PIXELS).cached
    half = ZoomGrid(Region(grid.region.reference_lat, grid.region.reference_lon, (-100, 100), (-100, 100)), 4, 3)
    assert not GridViews(source, half, PIXELS).cached
    cache = ViewCache(next((town / "satellite" / ".jzi-views").iterdir()))
    for other, pixels in ((half, PIXELS), (grid, PIXELS + 1)):
        with pytest.raises(TileError, match="it holds"):
            GridViews(source, other, pixels, view_cache=cache)
    assert GridViews(source, grid, PIXELS, view_cache=cache).cached
    monkeypatch.setattr(viewfinder, "renderer_name", lambda: "renderer 0")
    assert not GridViews(Map.open(town), grid, PIXELS).cached
    with pytest.raises(TileError, match="renderer 0"):
        GridViews(source, grid, PIXELS, view_cache=cache)


def test_a_changed_tile_never_meets_an_old_cache(town):
    source = Map.open(town)
    build_view_cache(source, pixels=PIXELS)
    tile = sorted((town / "satellite" / "0").rglob("*.jpg"))[5]
    old, status = tile.read_bytes(), tile.stat()
    tile.write_bytes(old[:-40] + bytes([old[-40] ^ 1]) + old[-39:])
    os.utime(tile, ns=(status.st_atime_ns, status.st_mtime_ns))
    views = GridViews(Map.open(town), source.grid, PIXELS)
    assert not views.cached
    assert "jzi map cache" in views.cache_note()
    again = ViewCacheBuild(Map.open(town), pixels=PIXELS)
    assert not again.exists
    assert len(again.others) == 1
    again.run()
    assert GridViews(Map.open(town), source.grid, PIXELS).cached
    tile.write_bytes(old)  # the old tiles again: the first cache is theirs
    views = GridViews(Map.open(town), source.grid, PIXELS)
    assert views.cached
    assert str(again.folder) not in views.cache_note()


def test_a_copy_of_a_map_is_read_once_and_its_cache_used(town, tmp_path, monkeypatch):
    build_view_cache(Map.open(town), pixels=PIXELS)
    copy = shutil.copytree(town, tmp_path / "copy")
    assert GridViews(Map.open(copy), Map.open(copy).grid, PIXELS).cached
    second = Map.open(copy)
    monkeypatch.setattr(second.source, "read", lambda tile: pytest.fail("a tile was read"))
    assert GridViews(second, second.grid, PIXELS).cached


def test_it_lies_elsewhere_where_the_map_cannot_be_written(town, shards, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("JZI_HOME", str(home))
    folder = town / "satellite"
    folder.chmod(0o555)
    try:
        cache = build_view_cache(Map.open(town), pixels=PIXELS)
        assert cache.folder.parent == home / "views"
        assert not (folder / ".jzi-views").exists()
        assert GridViews(Map.open(town), Map.open(town).grid, PIXELS).cached
    finally:
        folder.chmod(0o755)
    monkeypatch.setenv("JZI_VIEWS", str(tmp_path / "fast"))
    assert ViewCacheBuild(Map.open(shards), pixels=PIXELS).folder.parent == tmp_path / "fast"
    assert ViewCacheBuild(Map.open(shards), pixels=PIXELS, out=tmp_path / "x").folder.parent == tmp_path / "x"


def test_it_travels_to_workers(town):
    source = Map.open(town)
    build_view_cache(source, pixels=PIXELS)
    views = GridViews(source, source.grid, PIXELS)
    assert views.cached
    content = pickle.dumps(views)
    assert len(content) < 20_000
    assert np.array_equal(pickle.loads(content).get((7, 7)), views.get((7, 7)))


KILLED = """
    import os, signal, sys
    from justzoomin.maps import Map, build_view_cache
    source, left, render = Map.open(sys.argv[1]), [60], Map.view
    def view(self, *arguments):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return render(self, *arguments)
    Map.view = view
    build_view_cache(source, pixels=int(sys.argv[2]), workers=1)
"""


def test_a_killed_build_goes_on(town, monkeypatch):
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(town), str(PIXELS)], check=False)
    assert ended.returncode == -signal.SIGKILL
    source = Map.open(town)
    assert not GridViews(source, source.grid, PIXELS).cached
    work = next((town / "satellite" / ".jzi-views").glob("*.building"))
    facts = bytearray((work / FACTS).read_bytes())
    facts[16 * 7] ^= 1  # of a torn write nothing is kept
    (work / FACTS).write_bytes(facts)
    sizes = draws(source, monkeypatch)
    cache = build_view_cache(source, pixels=PIXELS)
    assert len(sizes) == view_count(source.grid) - 59
    assert not work.exists()
    assert cache.damaged() == []
    direct = GridViews(Map.open(town), source.grid, PIXELS, view_cache=False)
    assert all(np.array_equal(cache.get(number), direct.get(view_sequence(source.grid, number))) for number in range(0, 273, 5))


def test_run_again_it_draws_only_what_is_damaged(town, monkeypatch):
    first = build_view_cache(Map.open(town), pixels=PIXELS)
    content = bytearray((first.folder / VIEWS).read_bytes())
    content[3 * PIXELS * PIXELS * 11 + 5] ^= 1
    (first.folder / VIEWS).write_bytes(content)
    assert ViewCache(first.folder).damaged() == [11]
    source = Map.open(town)
    sizes = draws(source, monkeypatch)
    assert build_view_cache(source, pixels=PIXELS).damaged() == []
    assert len(sizes) == 1
    assert build_view_cache(source, pixels=PIXELS).damaged() == []
    assert len(sizes) == 1


def test_a_map_that_changes_meanwhile_is_told_and_nothing_is_kept(town, monkeypatch):
    source = Map.open(town)
    build = ViewCacheBuild(source, pixels=PIXELS)
    tile = sorted((town / "satellite" / "0").rglob("*.jpg"))[5]
    tile.write_bytes(tile.read_bytes() + b"\0")
    with pytest.raises(TileError, match="changed while"):
        build.run()
    assert list((town / "satellite" / ".jzi-views").iterdir()) == []


def test_a_small_disk_and_impossible_sizes_are_refused(town, monkeypatch):
    usage = shutil.disk_usage(town)
    monkeypatch.setattr(viewbuild.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DataError, match="the disk has only 1,000 free"):
        ViewCacheBuild(Map.open(town), pixels=PIXELS).run()
    assert not (town / "satellite" / ".jzi-views").exists()
    for pixels in (0, 100_000):
        with pytest.raises(ConfigError):
            ViewCacheBuild(Map.open(town), pixels=pixels)
    server = Map.open(TileServer("http://localhost:9/{z}/{x}/{y}.png"), Map.open(town).grid)
    with pytest.raises(TileError, match="jzi map build"):
        ViewCacheBuild(server, pixels=PIXELS)
    assert not GridViews(server, server.grid, PIXELS).cached


@pytest.fixture(scope="module")
def built(shards, tmp_path_factory) -> ViewCache:
    """A cache beside loose tiles."""
    return build_view_cache(Map.open(extract(shards, tmp_path_factory.mktemp("built") / "town")), pixels=PIXELS)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def test_a_disk_that_fills_up_is_told_and_the_build_goes_on_later(town, monkeypatch):
    written, pwrite = [0], os.pwrite

    def full(descriptor, content, offset):
        written[0] += 1
        if written[0] > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, content[:700], offset)  # a system may also write less than it was asked to

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(DataError, match="the disk is full"):
            build_view_cache(Map.open(town), pixels=PIXELS, workers=1)
    assert not GridViews(Map.open(town), Map.open(town).grid, PIXELS).cached
    source = Map.open(town)
    sizes = draws(source, monkeypatch)
    assert build_view_cache(source, pixels=PIXELS).damaged() == []
    assert 0 < len(sizes) < view_count(source.grid)


def edit(**values):
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return change


def deep(depth: int) -> dict[str, object]:
    return {"reference_lat": 54.5, "reference_lon": 3.0, "east_m": [0, 9], "north_m": [0, 9], "grid": 4, "depth": depth}


def bad_share(path: Path) -> None:
    facts = np.frombuffer(path.read_bytes(), viewbuild.FACT).copy()
    facts["no_data"][3] = np.nan
    path.write_bytes(facts.tobytes())


def bad_level(path: Path) -> None:
    facts = np.frombuffer(path.read_bytes(), viewbuild.FACT).copy()
    facts["level"][3] = 9
    path.write_bytes(facts.tobytes())


@pytest.mark.parametrize(("name", "damage"), [
    (VIEWS, cut), (VIEWS, grow), (VIEWS, Path.unlink), (FACTS, cut), (FACTS, grow), (FACTS, bad_share), (FACTS, bad_level),
    (HEAD, cut), (HEAD, lambda path: path.write_text("[" * 5000)), (HEAD, lambda path: path.write_bytes(b"\0" * 100_000)),
    (HEAD, edit(format="justzoomin-views/2")), (HEAD, edit(count=10**30)), (HEAD, edit(pixels=True)),
    (HEAD, edit(pixels=10**9)), (HEAD, edit(pixels=PIXELS - 1)), (HEAD, edit(grid={})), (HEAD, edit(content=None)),
    (HEAD, edit(grid=deep(10**9))), (HEAD, edit(grid=deep(10), count=view_count(grid_from_dict(deep(10), "grid")))),
    (HEAD, edit(renderer=5)), (HEAD, edit(more=1)), (VIEWS, lambda path: (path.unlink(), os.mkfifo(path)))])
def test_a_broken_cache_is_refused_with_words_and_never_served(built, name, damage, tmp_path):
    whole = shutil.copytree(built.folder, tmp_path / "whole")
    source = Map.open(built.folder.parents[1])
    assert GridViews(source, source.grid, PIXELS).cached
    try:
        damage(built.folder / name)
        with pytest.raises(TileError):
            ViewCache(built.folder)
        views = GridViews(Map.open(source.root), source.grid, PIXELS)
        assert not views.cached
        assert built.folder.name in views.cache_note()
        assert np.array_equal(views.get((2,)), GridViews(source, source.grid, PIXELS, view_cache=False).get((2,)))
    finally:
        shutil.rmtree(built.folder)
        shutil.copytree(whole, built.folder)


def test_views_that_are_not_there_are_refused(town):
    source = Map.open(town)
    cache = build_view_cache(source, pixels=PIXELS)
    for wrong in (-1, 273):
        with pytest.raises(TileError, match="0 to 272"):
            cache.get(wrong)
        with pytest.raises(TileError, match="0 to 272"):
            cache.batch([0, wrong])
    views = GridViews(source, source.grid, PIXELS)
    for wrong in ((16,), (-1,), (0, 0, 0, 0)):
        with pytest.raises(JustZoomInError):
            views.get(wrong)
    with pytest.raises(JustZoomInError):
        views.batch([-1])

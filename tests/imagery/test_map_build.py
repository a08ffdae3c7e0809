"""The complete build: formats, resuming, records, and what other readers see."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from orthophotos import LAT, LON, colours, grid, orthophoto
from typer.testing import CliRunner

from fakes import encoded
from justzoomin.apps.map import app
from justzoomin.apps.region import app as region_app
from justzoomin.checks import fit_region, open_unplaced
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import load_grid, save_grid
from justzoomin.imagery import MapBuild, MapBuildConfig, build_map
from justzoomin.maps import Map

SMALL = MapBuildConfig(tile_px=64, shard_bytes=20_000)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Squares of 256 px are built at once, so that little rasters have many."""
    monkeypatch.setattr("justzoomin.imagery.plan.CHUNK_PX", 256)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A raster of several chunks."""
    return orthophoto(tmp_path_factory.mktemp("source") / "a.tif", size=(900, 700), turn_deg=7.0)


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*"))
            if path.is_file() and ".jzi-index" not in path.parts}


def test_folder_and_tar_are_the_same_map(source, tmp_path):
    roots = [build_map([source], tmp_path / name, SMALL.model_copy(update={"format": name})) for name in ("folder", "tar")]
    maps = [Map.open(root, grid()) for root in roots]
    assert maps[0].fingerprint() == maps[1].fingerprint()
    assert len(list((roots[1] / "archives").glob("satellite_level_0_*.tar"))) > 3
    assert maps[0].layout.min_zoom == -1 and maps[0].levels() == maps[1].levels()
    assert not list(tmp_path.rglob("*.part")) and not (roots[0] / ".jzi-map-build").exists()
    assert json.loads((roots[0] / ".jzi-map-build.json").read_text())["complete"] is True


def test_threads_do_not_matter(source, tmp_path):
    roots = [build_map([source], tmp_path / str(n), SMALL.model_copy(update={"workers": n, "format": "tar"})) for n in (1, 3)]
    assert contents(roots[0]) == contents(roots[1])


@pytest.mark.parametrize("years", [-300, 5, 180])
def test_a_clock_before_1980_or_after_2107_is_good_enough(years, source, tmp_path, monkeypatch):
    """A ZIP cannot state such times, and a machine without a battery starts in 1970."""
    monkeypatch.setattr("zipfile.time", SimpleNamespace(time=lambda: years * 31_556_952.0, localtime=time.localtime))
    root = build_map([source], tmp_path / "map", SMALL.model_copy(update={"format": "tar"}))
    assert sorted(p.name for p in (root / "archives").iterdir() if p.suffix == ".tar")


@pytest.mark.parametrize("format_", ["folder", "tar"])
def test_killed_and_resumed_is_the_same(format_, source, tmp_path):
    """kill -9 in the middle: no map opens, and the second run ends with the same bytes as one run."""
    config = SMALL.model_copy(update={"format": format_})
    whole = build_map([source], tmp_path / "whole", config)
    code = (f"from pathlib import Path\nimport time\nfrom justzoomin.imagery import *\n"
            f"import justzoomin.imagery.build as b, justzoomin.imagery.plan as p\np.CHUNK_PX = 256\nold = b.compose\n"
            f"def slow(*a):\n    time.sleep(0.05)\n    return old(*a)\nb.compose = slow\n"
            f"build_map([{str(source)!r}], {str(tmp_path / 'cut')!r}, MapBuildConfig.model_validate_json("
            f"{config.model_dump_json()!r}), lambda *a: print(*a, flush=True))")
    for until in ("tiles 3 ", "packing 30 ") if format_ == "tar" else ("tiles 5 ",):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert any(line.startswith(until) for line in child.stdout)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert json.loads((tmp_path / "cut" / ".jzi-map-build.json").read_text())["complete"] is False
        assert not (tmp_path / "cut" / "satellite" / "layout.yaml").exists()
        with pytest.raises(DataError, match=r"cut: .*run the same `jzi map build` again"):
            Map.open(tmp_path / "cut", grid())
    (tmp_path / "cut" / "satellite" / "0" / "0").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cut" / "satellite" / "0" / "0" / ".0.jpg.abc.part").write_bytes(b"half")
    seen = []
    build_map([source], tmp_path / "cut", config, lambda *step: seen.append(step))
    assert seen[0][1] >= 3  # finished chunks are not built again
    ours, theirs = contents(tmp_path / "cut"), contents(whole)
    assert ours == theirs


def test_goes_on_with_the_same_only(source, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MapBuild, "_build", lambda self, report: (_ for _ in ()).throw(KeyboardInterrupt))
        build_map([source], tmp_path / "map", SMALL)
    with pytest.raises(ConfigError, match=r"map: this map was begun with quality 90, but now it is 80.*remove"):
        MapBuild([source], tmp_path / "map", SMALL.model_copy(update={"quality": 80}))
    with pytest.raises(ConfigError, match=r"gsd_m the default, but now it is 2\.0"):
        MapBuild([source], tmp_path / "map", SMALL.model_copy(update={"gsd_m": 2.0}))
    other = orthophoto(tmp_path / "b.tif", size=(60, 60))
    with pytest.raises(ConfigError, match=r"from other sources \(b\.tif is a different file"):
        MapBuild([other], tmp_path / "map", SMALL)
    with pytest.raises(ConfigError, match=r"other sources \(1 files then, 2 now\)"):
        MapBuild([source, other], tmp_path / "map", SMALL)
    build_map([source], tmp_path / "map", SMALL.model_copy(update={"workers": 1, "attribution": "Us"}))
    again = MapBuild([source], tmp_path / "map", SMALL.model_copy(update={"attribution": "Them"}))
    assert again.complete
    again.run()
    assert (tmp_path / "map" / "ATTRIBUTION").read_text() == "Them\n"
    (tmp_path / "map" / ".jzi-map-build.json").write_text("{")
    with pytest.raises(DataError, match=r"\.jzi-map-build\.json: the record cannot be read"):
        MapBuild([source], tmp_path / "map", SMALL)


def test_one_build_at_a_time(source, tmp_path):
    first, second = (MapBuild([source], tmp_path / "map", SMALL) for _ in range(2))
    caught = []

    def progress(*_):
        if not caught:
            with pytest.raises(DataError, match="another build is running") as error:
                second.run()
            caught.append(error)

    first.run(progress)
    assert caught


def test_too_little_disk(source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DataError, match=r"about .* GB are needed, but 0\.0 GB are free"):
        MapBuild([source], tmp_path / "map", SMALL)
    assert not (tmp_path / "map").exists()


def test_the_reference_reads_it_alike(source, tmp_path):
    """tiledwebmaps' views equal ours."""
    before = os.environ.pop("PROJ_DATA", None)
    root = build_map([source], tmp_path / "map", MapBuildConfig(crs="epsg:32633", gsd_m=0.8))
    twm = pytest.importorskip("tiledwebmaps", reason="the reference renderer tiledwebmaps 0.2.0 is not installed")
    try:
        for path in root.rglob("*.jpg"):
            os.utime(path, (1_600_000_000, 1_600_000_000))  # it waits for files younger than a second
        loader = twm.WithDefault(twm.from_yaml(str(root / "satellite" / "layout.yaml")))
        opened, rng, found = Map.open(root, grid()), np.random.default_rng(0), []
        for index in range(24):
            size_m = (60.0, 120.0, 250.0, 400.0)[index % 4]
            lat, lon = LAT + rng.uniform(-4e-4, 4e-4), LON + rng.uniform(-4e-4, 4e-4)
            bearing = 0.0 if index < 8 else float(rng.uniform(0, 360))
            theirs = loader.load(latlon=np.array([lat, lon]), bearing=bearing, meters_per_pixel=size_m / 160,
                                 shape=np.array([160, 160]))
            ours = opened.view(lat, lon, size_m, 160, bearing)
            found.append(np.abs(ours.pixels.astype(int) - theirs).ravel())
        found = np.concatenate(found)
        assert found.mean() <= 0.5 and np.mean(found <= 4) >= 0.999
    finally:
        os.environ.pop("PROJ_DATA", None)
        if before is not None:
            os.environ["PROJ_DATA"] = before


def test_command(source, tmp_path):
    region = save_grid(grid(400.0), tmp_path / "region.yaml")
    run = CliRunner().invoke(app, ["build", str(source), str(tmp_path / "map"), "--region", str(region), "--gsd-m", "2",
                                   "--attribution", "Survey", "--format", "tar"], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    assert "2 m per pixel" in run.output and f"next: jzi map check {tmp_path / 'map'}" in run.output
    assert "rows, not in tiles" not in run.output and "no attribution" not in run.output
    opened = Map.open(tmp_path / "map")
    assert opened.view(LAT, LON, 300.0, 128).no_data == 0.0
    run = CliRunner().invoke(app, ["build", str(source), str(tmp_path / "map2"), "--tile-px", "64", "--gsd-m", "8"],
                             catch_exceptions=False)
    assert f"next: jzi map check {tmp_path / 'map2'}" in run.output and "no attribution" in run.output
    assert load_grid(tmp_path / "map2" / "satellite" / "region.yaml") == fit_region(open_unplaced(tmp_path / "map2")).grid
    assert "views of 384 px (preset paper)" in run.output
    for words, code in ((("--depth", "2"), 0), (("--depth", "1"), 1), (("--depth", "1", "--force"), 0)):
        fit = CliRunner().invoke(region_app, ["fit", str(tmp_path / "map2"), "--write", *words])
        there = load_grid(tmp_path / "map2" / "satellite" / "region.yaml")
        assert (fit.exit_code, there.depth) == (code, 2 - ("--force" in words))
    run = CliRunner().invoke(app, ["build", str(source), str(tmp_path / "map3"), "--gsd-m", "2", "--preset", "small"],
                             catch_exceptions=False)
    fitted = fit_region(open_unplaced(tmp_path / "map3"), pixels=48).grid
    assert load_grid(tmp_path / "map3" / "satellite" / "region.yaml") == fitted and "--pixels 48" in run.output
    assert fitted.depth > fit_region(open_unplaced(tmp_path / "map3")).grid.depth
    run = CliRunner().invoke(app, ["build", str(source), str(tmp_path / "map4"), "--tile-px", "64", "--gsd-m", "8",
                                   "--no-region"], catch_exceptions=False)
    assert run.exit_code == 0 and not (tmp_path / "map4" / "satellite" / "region.yaml").exists()
    assert f"next: jzi region fit {tmp_path / 'map4'} --write" in run.output
    with pytest.raises(ConfigError, match="--no-region"):
        CliRunner().invoke(app, ["build", str(source), str(tmp_path / "no"), "--no-region", "--preset", "small"],
                           catch_exceptions=False)
    for option, text in (("--quality=101", "--quality"), ("--bands=1,2", "--bands"), ("--area=1,2,3", "--area")):
        with pytest.raises(ConfigError, match=text):
            CliRunner().invoke(app, ["build", str(source), str(tmp_path / "no"), option], catch_exceptions=False)


def test_ctrl_c_stops_soon(source, tmp_path):
    """What has not begun is not begun."""
    job = MapBuild([source], tmp_path / "map", SMALL.model_copy(update={"workers": 1}))

    def progress(stage, done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(progress)
    assert len(list((tmp_path / "map").glob(".jzi-map-build/stage-0/*/*.zip"))) <= 3


def test_a_package_is_a_source(source, tmp_path):
    """Tiles of a package under a raster: the raster is on top, and the package fills the rest."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "maps"))
    from pyproj import Transformer

    from package_builders import mbtiles

    level, px = 18, 256
    edge = 40_075_016.685578488 / 2**level
    x, y = Transformer.from_crs("epsg:4326", "epsg:3857", always_xy=True).transform(LON, LAT)
    column, row = int((x + edge * 2**level / 2) // edge), int((edge * 2**level / 2 - y) // edge)
    for i in range(column - 2, column + 3):
        for j in range(row - 2, row + 3):
            path = tmp_path / "tiles" / str(level) / str(i) / f"{j}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(np.full((px, px, 3), (250, 20, 20), np.uint8), "PNG"))
    package = mbtiles(tmp_path / "tiles", tmp_path / "red.mbtiles", attribution="Red Survey", format="png")
    small = orthophoto(tmp_path / "small.tif", size=(60, 60))
    root = build_map([small, package], tmp_path / "map", MapBuildConfig(crs="epsg:32633", gsd_m=1.0, tile_px=64))
    opened = Map.open(root, grid())
    assert (root / "ATTRIBUTION").read_text() == "Red Survey\n"
    inner = opened.view(LAT, LON, 40.0, 40)
    assert np.abs(inner.pixels[20, 20] - colours(LAT, LON)).max() < 12
    outer = opened.view(LAT + 45 / 111_200, LON, 20.0, 20)
    assert outer.no_data == 0.0 and np.abs(outer.pixels[10, 10].astype(int) - (250, 20, 20)).max() < 8

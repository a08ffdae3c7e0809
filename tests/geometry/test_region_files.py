"""region.yaml: read, written, refused with words."""

import numpy as np
import pytest

from justzoomin.errors import GeometryError, LayoutError
from justzoomin.geometry import Region, ZoomGrid, find_grid, grid_from_dict, grid_to_dict, load_grid, preset, save_grid

GOOD = {"reference_lat": 54.5, "reference_lon": 3.0, "east_m": [-200.0, 200.0], "north_m": [0.0, 400.0]}


def text_of(values):
    return "".join(f"{k}: {v}\n" for k, v in values.items())


def test_what_is_saved_is_loaded(tmp_path):
    for grid in (ZoomGrid(Region(54.123456789, -179.9, (-1 / 3, 2 / 3), (0, 1)), 5, 3), preset("dc"),
                 ZoomGrid(Region(*np.float64([1, 2]), np.float64([0, 7]), np.float64([0, 7])), np.int64(3), np.int32(2))):
        assert load_grid(save_grid(grid, tmp_path / "region.yaml")) == grid
    assert [p.name for p in tmp_path.iterdir()] == ["region.yaml"]


def test_four_by_four_four_deep_unless_stated(tmp_path):
    (tmp_path / "r.yaml").write_text("# Malmö & Lund\n" + text_of(GOOD))
    grid = load_grid(tmp_path / "r.yaml")
    assert (grid.grid, grid.depth, grid.region.size_m) == (4, 4, 400.0)
    assert grid_from_dict(grid_to_dict(grid), "x") == grid


@pytest.mark.parametrize(("values", "words"), [
    ({**GOOD, "colour": 1}, "colour"),
    ({k: v for k, v in GOOD.items() if k != "north_m"}, "north_m"),
    ({**GOOD, "grid": 4.5}, "whole"),
    ({**GOOD, "depth": "deep"}, "whole"),
    ({**GOOD, "grid": "yes"}, "whole"),
    ({**GOOD, "reference_lat": "north"}, "reference_lat"),
    ({**GOOD, "reference_lat": "yes"}, "reference_lat"),
    ({**GOOD, "reference_lat": "1" + "0" * 400}, "reference_lat"),
    ({**GOOD, "reference_lat": "1" + "0" * 5000}, "not plain YAML"),
    ({**GOOD, "reference_lat": "2001-99-99"}, "not plain YAML"),
    ({**GOOD, "east_m": "'12'"}, "east_m"),
    ({**GOOD, "east_m": 5}, "east_m"),
    ({**GOOD, "east_m": [1, 2, 3]}, "east_m"),
    ({**GOOD, "east_m": "[a, b]"}, "east_m"),
])
def test_wrong_values_name_the_file_and_the_field(tmp_path, values, words):
    path = tmp_path / "region.yaml"
    path.write_text(text_of(values))
    with pytest.raises(LayoutError, match=words) as caught:
        load_grid(path)
    assert str(path) in str(caught.value)


def test_impossible_numbers_name_the_file(tmp_path):
    path = tmp_path / "region.yaml"
    for values, words in (({"reference_lat": 95}, "latitude"), ({"east_m": [0, 5]}, "square"), ({"grid": 20}, "grid"),
                          ({"reference_lat": ".nan"}, "finite"), ({"depth": 0}, "depth: 0 levels"),
                          ({"depth": 10**9}, "depth: 1000000000 levels; a grid has 1 to 31"), ({"grid": 10**9}, "cells a side"),
                          ({"grid": 2, "depth": 32}, "a grid has 1 to 31"), ({"depth": 31}, "need more than 62 bits")):
        path.write_text(text_of({**GOOD, **values}))
        with pytest.raises(GeometryError, match=words) as caught:
            load_grid(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"- 1\n- 2\n", b"a: &x 1\nb: *x\n", b"\xff\xfe\x00", b"a: [",
                                     b"[" * 30_000, b"[" * 30, b"#" * 70_000, b"!!python/object/apply:os.getcwd []"])
def test_what_is_no_region_file_is_refused(tmp_path, content):
    path = tmp_path / "region.yaml"
    path.write_bytes(content)
    with pytest.raises(LayoutError):
        load_grid(path)


def test_missing_files_and_presets(tmp_path):
    with pytest.raises(LayoutError, match="cannot be read"):
        load_grid(tmp_path / "none.yaml")
    with pytest.raises(GeometryError, match="dc"):
        preset("atlantis")


def test_a_grid_is_found_by_name_by_file_and_by_folder(tmp_path, monkeypatch):
    path = save_grid(grid_from_dict(GOOD, "x"), tmp_path / "region.yaml")
    assert find_grid(path) == find_grid(str(tmp_path)) == grid_from_dict(GOOD, "x")
    (tmp_path / "dc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_grid("dc") == preset("dc")  # a folder that happens to be called dc does not hide the preset
    with pytest.raises(LayoutError):
        find_grid("./dc")
    with pytest.raises(LayoutError):
        find_grid("none.yaml")


def test_the_preset_is_the_benchmark():
    grid = preset("dc")
    assert (grid.grid, grid.depth, grid.region.size_m, grid.cell_size_m(4)) == (4, 4, 10_000.0, 39.0625)
    assert grid.region.reference_lat == 38.8936 and grid.region.reference_lon == -77.0116

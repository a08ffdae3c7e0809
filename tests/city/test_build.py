"""The repository a town is written to: the card's layout, the same bytes for the same numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile

import numpy as np
import pytest
import yaml

from justzoomin.city import build_city, positions, render_overhead
from justzoomin.errors import DataError
from justzoomin.geometry import load_grid


def fingerprints(root):
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def photos(root):
    found = {}
    for shard in sorted((root / "archives").glob("streetview_images_*.tar")):
        with tarfile.open(shard) as tar:
            found |= {m.name: tar.extractfile(m).read() for m in tar}
    return found


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_layout_is_the_cards(small_town, small_config):
    names = {str(p.relative_to(small_town)) for p in small_town.rglob("*") if p.is_file()}
    assert {"README.md", "metadata/large_area_train_map.csv", "metadata/large_area_val_map.csv",
            "streetview/metadata_satellite_covered.csv", "satellite/layout.yaml", "satellite/region.yaml",
            "archives/streetview_images_000.tar", "archives/satellite_level_0_000.tar",
            "archives/satellite_level_m1_000.tar"} <= names
    layout = yaml.safe_load((small_town / "satellite/layout.yaml").read_text())
    assert set(layout) == {"crs", "max_zoom", "min_zoom", "origin_crs", "path", "tile_axes", "tile_shape_crs", "tile_shape_px"}
    assert layout["tile_shape_crs"] == [250 * small_config.gsd_m] * 2
    with tarfile.open(small_town / "archives/satellite_level_m1_000.tar") as tar:
        assert all(m.name.startswith("satellite/-1/") and m.name.endswith(".jpg") for m in tar)
    coarsest = small_town / f"archives/satellite_level_m{-layout['min_zoom']}_000.tar"
    with tarfile.open(coarsest) as tar:
        assert tar.getnames() == [f"satellite/{layout['min_zoom']}/0/0.jpg"]


def test_tables_agree_with_each_other(small_town, small_config):
    grid = load_grid(small_town / "satellite/region.yaml")
    attributes = {r["image_id"]: r for r in rows(small_town / "streetview/metadata_satellite_covered.csv")}
    names = set(photos(small_town))
    drives = {}
    for split, count in (("train", small_config.photos), ("val", small_config.val_photos)):
        table = rows(small_town / f"metadata/large_area_{split}_map.csv")
        assert len(table) == count and list(table[0]) == ["image_id", "latitude", "longitude", "sequence"]
        lat, lon = (np.array([float(r[k]) for r in table]) for k in ("latitude", "longitude"))
        sequences = grid.encode(lat, lon)  # raises if a position is outside the region
        assert [r["sequence"] for r in table] == ["[" + ", ".join(map(str, s)) + "]" for s in sequences.tolist()]
        for row in table:
            assert f"streetview/images/{row['image_id']}_undistorted.jpg" in names
            assert attributes[row["image_id"]]["latitude"] == row["latitude"]
        drives[split] = {attributes[r["image_id"]]["sequence_id"] for r in table}
    assert len(attributes) == len(names) == small_config.photos + small_config.val_photos
    assert not drives["train"] & drives["val"]


def test_same_bytes_with_more_workers(small_town, small_config, tmp_path):
    other = build_city(tmp_path / "again", small_config.model_copy(update={"workers": 2}))
    assert fingerprints(other) == fingerprints(small_town)


def test_a_split_does_not_depend_on_the_other(small_town, small_config, tmp_path):
    lone = build_city(tmp_path / "val", small_config.model_copy(update={"photos": 0, "val_photos": 4, "gsd_m": 1.0}))
    found, whole = photos(lone), photos(small_town)
    assert len(found) == 4 and all(whole[name] == data for name, data in found.items())
    table = "metadata/large_area_val_map.csv"
    assert rows(lone / table) == rows(small_town / table)[:4]


def test_tiles_are_the_overhead_image(small_town, small_world, small_config):
    import simplejpeg

    layout = yaml.safe_load((small_town / "satellite/layout.yaml").read_text())
    with tarfile.open(small_town / "archives/satellite_level_0_000.tar") as tar:
        tile = simplejpeg.decode_jpeg(tar.extractfile("satellite/0/0/1.jpg").read())
        columns = len({m.name.split("/")[2] for m in tar})
    side = layout["tile_shape_crs"][0]
    west = -columns * side / 2
    direct = render_overhead(small_world, (west, west + side), (west + side, west + 2 * side), small_config.gsd_m)
    assert np.abs(tile.astype(int) - direct).mean() < 4


def test_map_and_ground_agree(small_town, small_world):
    from justzoomin.data import open_dataset

    lat, lon = positions(np.array([12.0]), np.array([-9.0]))
    view = open_dataset(small_town).map.view(float(lat[0]), float(lon[0]), 16.0, 32)
    direct = render_overhead(small_world, (4.0, 20.0), (-17.0, -1.0), 0.5)
    assert view.no_data == 0
    assert np.corrcoef(view.pixels.ravel(), direct.ravel())[0, 1] > 0.9


def test_refuses_a_folder_in_use(tmp_path, small_config):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(DataError, match="something other than this town"):
        build_city(tmp_path, small_config)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_interruption_leaves_nothing(tmp_path, small_config):
    def stop(stage, done, total):
        if stage == "photos":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_city(tmp_path / "town", small_config.model_copy(update={"gsd_m": 1.0}), stop)
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_and_the_same_again(tmp_path, small_config):
    """The second run fails at once, leftovers of a killed run disappear, and the same town is not made twice."""
    config, told = small_config.model_copy(update={"gsd_m": 1.0}), []

    def second(stage, done, total):
        if not told:
            with pytest.raises(DataError, match="another data synth is running here") as error:
                build_city(tmp_path / "town", config)
            told.append(error)

    (tmp_path / ".town.part" / "archives").mkdir(parents=True)
    (tmp_path / ".town.part" / "left.txt").write_text("by a killed process")
    (tmp_path / ".town.jzi-lock").touch()
    build_city(tmp_path / "town", config, second)
    assert told and [p.name for p in tmp_path.iterdir()] == ["town"]
    before = (tmp_path / "town" / "README.md").stat().st_mtime_ns
    build_city(tmp_path / "town", config, lambda *_: pytest.fail("the town exists already"))
    assert (tmp_path / "town" / "README.md").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="something other than this town"):
        build_city(tmp_path / "town", config.model_copy(update={"seed": 6}))


def test_shards_are_cut(tmp_path):
    from justzoomin.archives import ShardWriter

    with ShardWriter(tmp_path, "x", 3000) as shards:
        for k in range(5):
            shards.add(f"{k}.bin", bytes([k]) * 1500)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["x_000.tar", "x_001.tar", "x_002.tar", "x_003.tar", "x_004.tar"]
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "x_003.tar").read_bytes())) as tar:
        assert tar.getnames() == ["3.bin"]


def test_held_out_photos_are_of_further_drives_and_change_nothing_else(small_town, small_config, tmp_path):
    more = build_city(tmp_path / "town", small_config.model_copy(update={"held_out": 5}))
    table = rows(more / "metadata/large_area_held_out_map.csv")
    attributes = {r["image_id"]: r for r in rows(more / "streetview/metadata_satellite_covered.csv")}
    assert len(table) == 5 and {r["image_id"] + "_undistorted.jpg" for r in table} <= {n.split("/")[-1] for n in photos(more)}
    drives = {split: {r["sequence_id"] for r in attributes.values() if r["split"] == split}
              for split in ("train", "val", "held_out")}
    assert drives["held_out"] and not drives["held_out"] & (drives["train"] | drives["val"])
    for name in ("metadata/large_area_train_map.csv", "metadata/large_area_val_map.csv", "satellite/layout.yaml"):
        assert (more / name).read_bytes() == (small_town / name).read_bytes()
    before = photos(small_town)
    assert before == {name: data for name, data in photos(more).items() if name in before}
    assert not (small_town / "metadata/large_area_held_out_map.csv").exists()

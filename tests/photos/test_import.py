"""From located photos and a map to a dataset: what is dropped, what is written, and which errors are raised."""

import io
import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import simplejpeg
from PIL import Image, ImageFilter
from walks import SETTINGS, all_bytes, record, run, source, street

import fakes
from justzoomin.checks import verify_dataset
from justzoomin.data import decode_photo, open_dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import save_grid
from justzoomin.maps import Map
from justzoomin.photos import SplitSettings, import_photos, importing
from justzoomin.photos.readers import Camera, PhotoRecord, Skipped


def photo_bytes(dest: Path) -> dict[str, bytes]:
    with tarfile.open(dest / "archives" / "streetview_images_000.tar") as tar:
        return {m.name.removeprefix("streetview/images/").removesuffix("_undistorted.jpg"): tar.extractfile(m).read()
                for m in tar}


def test_end_to_end(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    dest = tmp_path / "data"
    report = run(walk, town, dest)
    assert report.dropped() == {}
    assert {name: info["photos"] for name, info in report.splits.items()} == {"train": 11, "val": 5}
    dataset = open_dataset(dest)
    assert verify_dataset(dataset).ok
    stated = json.loads((dest / "metadata" / "split.json").read_text())
    assert (stated["kind"], stated["seed"], stated["val_share"]) == ("photo", 0, 0.3)
    for name in ("train", "val"):
        assert dataset.split_hash(name) == report.splits[name]["sha256"] == stated["splits"][name]["sha256"]
    assert dataset.split_paths["train"].name == "large_area_train_map.csv"
    first = (dest / "metadata" / "large_area_train_map.csv").read_text().splitlines()[:2]
    assert first[0] == "image_id,latitude,longitude,sequence"
    assert first[1].endswith(']"')
    sample = dataset.torch_dataset("train", 32)[0]
    assert sample["wide"].shape == (3, 32, 64)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "temporary files are left"

    table = pl.read_parquet(dest / "streetview" / "metadata_satellite_covered.parquet")
    assert len(table) == 16
    assert pl.read_csv(dest / "streetview" / "metadata_satellite_covered.csv").columns == table.columns
    row = table.row(by_predicate=pl.col("image_id") == "p07", named=True)
    wanted = {"split": "train" if "p07" in dataset.split("train").image_ids else "val", "sequence_id": "drive1",
              "captured_at": "2024-05-01T08:00:07Z", "bearing_deg": 70.0, "width": 160, "height": 90, "treatment": "none",
              "attribution": "A. Walker", "license": "CC-BY-SA-4.0", "source_file": "p07.jpg", "device": "phone",
              "altitude_m": 10.5}
    assert {k: row[k] for k in wanted} == wanted
    text = (dest / "ATTRIBUTION").read_text()
    assert text == "Overhead map: Quilt Survey, CC BY 4.0.\nStreet photos: A. Walker (16 photos, licence CC-BY-SA-4.0).\n"
    assert dataset.attribution() == text.strip()
    card = (dest / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n")
    assert report.splits["val"]["sha256"] in card
    assert json.loads((dest / "import-report.json").read_text()) == report.to_dict()


def test_of_another_dataset_the_credit_of_its_map_is_taken_and_not_that_of_its_photos(walk: list[PhotoRecord], town: Path,
                                                                                   tmp_path: Path) -> None:
    run(walk, town, tmp_path / "first")
    credit = tmp_path / "first" / "ATTRIBUTION"
    text = credit.read_text()
    credit.write_text("Overhead map: " + text.replace("A. Walker", "Somebody Else") + "Street photos: and 3 more; see there.\n")
    run(walk, tmp_path / "first", tmp_path / "second")
    assert (tmp_path / "second" / "ATTRIBUTION").read_text() == text


def test_photos_lose_their_metadata_and_keep_their_pixels(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    run(walk, town, tmp_path / "data")
    for image_id, data in photo_bytes(tmp_path / "data").items():
        original = (tmp_path / "walk" / f"{image_id}.jpg").read_bytes()
        assert b"Exif" in original
        assert b"Exif" not in data
        assert not Image.open(io.BytesIO(data)).getexif()
        assert np.array_equal(simplejpeg.decode_jpeg(data), simplejpeg.decode_jpeg(original))


def test_turned_large_and_foreign_photos_are_encoded_again(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    turned, wide = fakes.with_exif(street(1, (120, 90)), 6, (54.5, 3.0)), fakes.encoded(street(2, (640, 200)), quality=95)
    walk[1], walk[2] = record(tmp_path / "walk", 1, turned), record(tmp_path / "walk", 2, wide)
    walk[3] = record(tmp_path / "walk", 3, fakes.encoded(street(3), "PNG"))
    report = run(walk, town, tmp_path / "data", SETTINGS.model_copy(update={"max_side": 320}))
    assert report.treatments == {"encoded": 3, "none": 13}
    pixels = {k: decode_photo(v, k) for k, v in photo_bytes(tmp_path / "data").items()}
    assert pixels["p01"].shape == (120, 90, 3)
    upright = decode_photo(turned, "turned").astype(int)
    assert np.abs(pixels["p01"].astype(int) - upright).mean() < 12
    assert pixels["p02"].shape == (100, 320, 3)
    mean = decode_photo(wide, "wide").reshape(100, 2, 320, 2, 3).mean((1, 3))
    assert np.abs(pixels["p02"] - mean).mean() < 8, "by area"
    for data in photo_bytes(tmp_path / "data").values():
        assert b"Exif" not in data


def test_cameras_and_panoramas(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    walk[4] = replace(walk[4], camera=Camera("perspective", 0.8, -0.2, 0.0))
    walk[5] = replace(walk[5], camera=Camera("fisheye", 0.5, 0.01, 0.0))
    walk[6] = replace(walk[6], camera=Camera("perspective", 0.5))
    walk[7] = replace(walk[7], camera=Camera("perspective", 0.5, -9.0))
    sphere = fakes.encoded(street(8, (512, 256)))
    walk[8] = record(tmp_path / "walk", 8, sphere, bearing_deg=300.0, camera=Camera("equirectangular"))
    walk[9] = replace(walk[9], camera=Camera("equirectangular"))  # 160 x 90: not the whole sphere
    report = run(walk, town, tmp_path / "data", SETTINGS.model_copy(update={"views_per_panorama": 3, "hfov_deg": 80.0}))
    assert report.dropped() == {"camera": 2}
    assert report.failed() == 2
    details = {s.item: s.detail for s in report.skipped}
    assert "folds back" in details["p07"]
    assert "partial panoramas are not supported" in details["p09"]
    assert report.treatments == {"cut": 3, "none": 11, "undistorted": 2}
    table = pl.read_parquet(tmp_path / "data" / "streetview" / "metadata_satellite_covered.parquet")
    crops_ = table.filter(pl.col("panorama_id") == "p08")
    assert crops_["image_id"].to_list() == ["p08_h000", "p08_h120", "p08_h240"]
    assert crops_["bearing_deg"].to_list() == [300.0, 60.0, 180.0]
    assert crops_["hfov_deg"].to_list() == [80.0] * 3
    assert crops_["split"].n_unique() == 1
    rows = {r["image_id"]: r for r in table.iter_rows(named=True)}
    assert [rows[k]["treatment"] for k in ("p04", "p05", "p06")] == ["undistorted", "undistorted", "none"]
    assert rows["p06"]["hfov_deg"] == pytest.approx(90.0)
    assert (rows["p05"]["camera_type"], rows["p05"]["camera_k1"]) == ("fisheye", 0.01)
    assert verify_dataset(open_dataset(tmp_path / "data")).ok


def test_what_is_dropped(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    blurred = Image.fromarray(street(1)).filter(ImageFilter.GaussianBlur(6))
    walk[1] = record(folder, 1, fakes.encoded(blurred))
    walk[2] = record(folder, 2, walk[3].path.read_bytes(), east=150.0)  # the same file at another place, taken earlier
    again = fakes.encoded(street(5), quality=70)
    walk[6] = record(folder, 6, again, east=-170 + 20.0 * 5 + 1.0)  # the same view a metre farther
    walk[7] = record(folder, 7, fakes.encoded(street(5), quality=71))  # the same view 40 m farther
    walk[8] = record(folder, 8, walk[8].path.read_bytes()[:2000])
    walk[9] = record(folder, 9, fakes.encoded(street(9, (90, 20))))
    walk[10] = record(folder, 10, east=5000.0)
    walk[11] = replace(walk[11], lat=float("nan"))
    walk[12].path.unlink()
    dest, told = tmp_path / "data", Skipped("p99", "no_position", "no EXIF position")
    report = import_photos(source(folder, walk, told), dest, Map.open(town), SETTINGS)
    assert report.dropped() == {"blurred": 1, "broken": 2, "duplicate": 2, "no_position": 2, "off_map": 1, "too_small": 1}
    assert (report.found, report.failed()) == (17, 2)
    details = {s.item: s.detail for s in report.skipped}
    assert details["p03"] == "the same file as p02, 260.0 m away"
    assert details["p06"] == "looks like p05, 1.0 m away"
    assert details["p10"].endswith("is 4.8 km outside the region")
    assert details["p09"] == "90 x 20 px; the shorter side must have 32"
    assert "sharpness 0.0" in details["p01"]
    assert "p12.jpg: the photo cannot be read" in details["p12"]
    written = (dest / "import-report.json").read_text()
    assert str(tmp_path) not in written, "folder names are published"
    kept = sum(info["photos"] for info in report.splits.values())
    assert kept == 17 - 9
    looser = SETTINGS.model_copy(update={"min_sharpness": None, "duplicate_m": None, "min_side": 20})
    assert import_photos(source(folder, walk, told), tmp_path / "more", Map.open(town), looser).dropped() \
        == {"broken": 2, "no_position": 2, "off_map": 1}


def test_photos_where_the_map_has_no_tile_are_off_it(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(town / "satellite", bare / "satellite")
    for shard in sorted((town / "archives").glob("*.tar")):
        with tarfile.open(shard) as tar:
            tar.extractall(bare, filter="data")
    columns = sorted((bare / "satellite" / "0").iterdir(), key=lambda p: int(p.name))
    for column in columns[:len(columns) // 2]:
        shutil.rmtree(column)
    report = run(walk, bare, tmp_path / "data", SETTINGS.model_copy(update={"view_pixels": 384}))
    lost = {s.item for s in report.skipped}
    assert lost == {f"p{k:02d}" for k in range(len(lost))}, "the photos in the west"
    assert 4 <= len(lost) <= 10
    assert all(s.kind == "off_map" and "no tile of level 0 there" in s.detail for s in report.skipped)
    dataset = open_dataset(tmp_path / "data")
    assert verify_dataset(dataset).ok, "tiles as files are linked as well"


def test_the_bytes_depend_on_neither_workers_nor_order(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    walk[8] = record(tmp_path / "walk", 8, fakes.encoded(street(8, (512, 256))), camera=Camera("equirectangular"))
    run(walk, town, tmp_path / "one" / "data", workers=1)
    run(walk[::-1], town, tmp_path / "two" / "data", workers=3)
    assert all_bytes(tmp_path / "one" / "data") == all_bytes(tmp_path / "two" / "data")


def test_blocks_and_sequences(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    blocks = SplitSettings(kind="block", val_share=0.4, block_m=60.0, guard_m=25.0, seed=2)
    report = run(walk, town, tmp_path / "blocks", SETTINGS.model_copy(update={"split": blocks}))
    guarded = report.dropped()["guard"]
    assert guarded >= 1
    assert json.loads((tmp_path / "blocks" / "metadata" / "split.json").read_text())["left_out_by_guard"] == guarded
    assert report.failed() == 0
    by_drive = SplitSettings(kind="sequence", val_share=0.3, seed=1)
    run(walk, town, tmp_path / "drives", SETTINGS.model_copy(update={"split": by_drive}))
    table = pl.read_parquet(tmp_path / "drives" / "streetview" / "metadata_satellite_covered.parquet")
    assert table.group_by("sequence_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 4


def test_into_the_maps_own_folder(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    own = tmp_path / "town"
    shutil.copytree(town, own)
    (own / "README.md").write_text("the map's own words")
    report = run(walk, own, own)
    assert verify_dataset(open_dataset(own)).ok
    assert (own / "README.md").read_text() == "the map's own words"
    assert "Quilt Survey" in (own / "ATTRIBUTION").read_text()
    assert (own / "README-photos.md").is_file()
    assert report.map_files == {"linked": 0, "copied": 0, "copied_bytes": 0}
    assert not (own / ".jzi-import").exists()
    with pytest.raises(DataError, match=r"photos were already imported there \(splits: train, val\)"):
        run(walk, own, own)


def test_the_map_is_linked(walk: list[PhotoRecord], town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(walk, town, tmp_path / "data")
    shard = "archives/satellite_level_0_000.tar"
    assert (tmp_path / "data" / shard).samefile(town / shard)
    assert report.map_files["copied"] == 0

    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", no_links)
    report = run(walk, town, tmp_path / "copy")
    assert not (tmp_path / "copy" / shard).samefile(town / shard)
    assert report.map_files["linked"] == 0
    assert report.map_files["copied_bytes"] > (town / shard).stat().st_size
    assert verify_dataset(open_dataset(tmp_path / "copy")).ok


def test_refusals(walk: list[PhotoRecord], town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("do not lose me")
    with pytest.raises(DataError, match="full: the folder is not empty"):
        run(walk, town, full)
    swapped = [replace(r, lat=r.lon, lon=r.lat) for r in walk]
    with pytest.raises(DataError, match=r"none of its 16 photos is on the map.*Latitude and longitude are swapped in 16"):
        run(swapped, town, tmp_path / "data")
    away = [replace(r, lat=38.9, lon=-77.0) for r in walk]
    with pytest.raises(DataError, match=r"16 are outside .* nearest 5,\d\d\d km away from it\. The region reaches 200 m"):
        run(away, town, tmp_path / "data")
    assert not [p for p in tmp_path.iterdir() if p.name not in {"walk", "full"}], "an import was started"
    with pytest.raises(ConfigError, match="split val: the split is empty: by chance"):
        run(walk[:3], town, tmp_path / "data", SETTINGS.model_copy(update={"split": SplitSettings(val_share=0.001)}))
    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="split train: the split is empty"):
        patch.setattr(importing, "examine", None)  # reported before any photo is examined
        run(walk[:3], town, tmp_path / "data", SETTINGS.model_copy(update={"split": SplitSettings(val_share=0.999)}))
    with pytest.raises(DataError, match=r"image_id '\.\./x': the id is invalid"):
        run([replace(walk[0], image_id="../x")], town, tmp_path / "data")
    with pytest.raises(DataError, match=r"image_id p00: this id is used twice \(p00\.jpg\)"):
        run([walk[0], replace(walk[1], image_id="p00")], town, tmp_path / "data")
    with pytest.raises(DataError, match=r"no photo is left of 2 \(2 broken\)"):
        (tmp_path / "walk" / "p00.jpg").write_bytes(b"none")
        (tmp_path / "walk" / "p01.jpg").write_bytes(b"")
        run(walk[:2], town, tmp_path / "data", report_to=tmp_path / "why.json")
    assert json.loads((tmp_path / "why.json").read_text())["dropped"] == {"broken": 2}
    assert (full / "thesis.txt").read_text() == "do not lose me"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "walk", "why.json"]


def test_another_region(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    grid = replace(fakes.grid_of(town), depth=3)
    report = run(walk, town, tmp_path / "data", grid=grid)
    assert open_dataset(tmp_path / "data").split("train").sequences(grid).shape == (report.splits["train"]["photos"], 3)
    own = tmp_path / "town"
    shutil.copytree(town, own)
    with pytest.raises(ConfigError, match=r"--region: .* already has a different region"):
        run(walk, own, own, grid=grid)
    (own / "satellite" / "region.yaml").unlink()
    import_photos(source(tmp_path / "walk", walk), own, Map.open(own, grid), SETTINGS, grid=grid)
    assert open_dataset(own).grid == grid
    save_grid(grid, own / "again.yaml")


def test_faulty_jpegs_stay_as_they_are_and_odd_names_are_spelled_out(town: Path, tmp_path: Path) -> None:
    """Padding before the end and a JFIF version change no pixel, and names that are not UTF-8 do not stop an import."""
    folder = tmp_path / "walk"
    records = [record(folder, k) for k in range(12)]
    for odd in records[:6]:
        data = odd.path.read_bytes()
        odd.path.write_bytes(data[:-2] + bytes(50) + data[-2:])
    odd = folder / os.fsdecode(b"caf\xe9.jpg")
    records[0].path.rename(odd)
    records[0] = replace(records[0], path=odd, sequence_id=os.fsdecode(b"\xff"), extra={"note": "a\ud800b"})
    report = run(records, town, tmp_path / "data")
    assert report.failed() == 0 and report.treatments == {"none": 12}
    table = pl.read_parquet(tmp_path / "data" / "streetview" / "metadata_satellite_covered.parquet")
    row = table.row(by_predicate=pl.col("image_id") == records[0].image_id, named=True)
    assert (row["source_file"], row["sequence_id"], row["note"]) == ("caf\\xe9.jpg", "\\xff", "a\\ud800b")
    for data in photo_bytes(tmp_path / "data").values():
        simplejpeg.decode_jpeg(data, "RGB", strict=True)


def test_files_beside_photos_are_reported_and_are_not_failures(town: Path, walk: list[PhotoRecord], tmp_path: Path) -> None:
    beside = (Skipped("notes.txt", "not_a_photo", "it is a text"), Skipped("a", "unreadable_folder", "it is closed"))
    report = import_photos(source(tmp_path / "walk", walk, *beside), tmp_path / "data", Map.open(town), SETTINGS)
    assert report.found == len(walk) + 1 and report.failed() == 1 and report.dropped()["not_a_photo"] == 1

"""Opening a dataset: as downloaded, as extracted, with and without a region of its own."""

import pickle

import numpy as np
import pytest
import torch

import fakes
from justzoomin.checks import verify_repository
from justzoomin.data import find_splits, open_dataset
from justzoomin.errors import DataError, LayoutError, PhotoError
from justzoomin.geometry import Region, ZoomGrid, save_grid


def test_downloaded_and_extracted_give_the_same_samples(repository, dataset, tmp_path):
    extracted = open_dataset(fakes.extract(repository, tmp_path))
    assert extracted.map.fingerprint() == dataset.map.fingerprint()
    assert extracted.photos.ids() == dataset.photos.ids() and extracted.photos.sizes() == dataset.photos.sizes()
    for split in ("train", "val"):
        assert extracted.split_hash(split) == dataset.split_hash(split)
        for a, b in zip(dataset.torch_dataset(split, 32), extracted.torch_dataset(split, 32), strict=True):
            assert a["index"] == b["index"] and torch.equal(a["wide"], b["wide"])
            assert torch.equal(a["sequence"], b["sequence"]) and torch.equal(a["position"], b["position"])
            assert all(torch.equal(x, y) for x, y in zip(a["views"], b["views"], strict=True))


def test_nothing_is_extracted(repository, dataset):
    dataset.torch_dataset("val", 32)[0]
    assert not (repository / "streetview").exists()
    assert {p.name for p in (repository / "satellite").iterdir()} == {"layout.yaml", "region.yaml"}


def test_loose_files_from_the_generator_are_the_same_dataset(dataset, tmp_path):
    loose = open_dataset(fakes.make_repository(tmp_path, extracted=True))
    assert loose.map.fingerprint() == dataset.map.fingerprint()
    assert loose.split_hash("val") == dataset.split_hash("val")


def test_parquet_and_csv_are_the_same_split(dataset, tmp_path):
    other = open_dataset(fakes.make_repository(tmp_path, parquet=True))
    for name in ("train", "val"):
        assert other.split(name).path.suffix == ".parquet"
        assert other.split(name).table.equals(dataset.split(name).table)
        assert other.split_hash(name) == dataset.split_hash(name)


def test_unknown_columns_are_carried_along(dataset):
    table = dataset.split("train").table
    assert table["note"].to_list() == [f"photo {k}" for k in range(12)] and table["heading"].is_between(0, 360).all()


def test_true_sequences_are_the_positions_cells(dataset):
    for name, count in (("train", 12), ("val", 6)):
        split = dataset.split(name)
        assert len(split) == count
        assert np.array_equal(dataset.sequences(name), dataset.grid.encode(split.lat, split.lon))
        dataset.check(name)


def test_a_dataset_travels_to_other_processes(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again.torch_dataset("val", 16)[2]["wide"], dataset.torch_dataset("val", 16)[2]["wide"])


def test_parquet_is_preferred_and_stray_files_are_left_alone(tmp_path):
    folder = tmp_path / "metadata"
    folder.mkdir()
    for name in ("large_area_train_map.csv", "large_area_train_map.parquet", "._large_area_val_map.csv", "odd.csv",
                 "large_area_far_away_map.csv", "notes.txt"):
        (folder / name).touch()
    found = find_splits(tmp_path)
    assert {k: p.name for k, p in found.items()} == {
        "train": "large_area_train_map.parquet", "odd": "odd.csv", "far_away": "large_area_far_away_map.csv"}
    (folder / "train.parquet").touch()
    with pytest.raises(DataError, match="both hold the split 'train'"):
        find_splits(tmp_path)


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DataError, match="metadata/"):
        open_dataset(tmp_path)
    root = fakes.make_repository(tmp_path / "r", train=1, val=1)
    for shard in (root / "archives").glob("streetview_*.tar"):
        shard.unlink()
    with pytest.raises(DataError, match="streetview_images"):
        open_dataset(root)


def test_metadata_that_cannot_be_read_are_not_missing(repository, tmp_path):
    for path in repository.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "metadata").unlink()
    (tmp_path / "metadata").symlink_to("metadata")  # a circle, which nobody may read
    with pytest.raises(DataError, match="metadata: the folder cannot be read"):
        open_dataset(tmp_path)
    [problem] = [p for p in verify_repository(tmp_path).problems if p["kind"] == "table"]
    assert "metadata: the folder cannot be read" in problem["detail"]


def test_an_unknown_split_names_those_there(dataset):
    with pytest.raises(DataError, match="train, val"):
        dataset.split("test")


def test_an_empty_folder_of_photos_does_not_hide_the_shards(repository, tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1)
    (root / "streetview" / "images").mkdir(parents=True)
    assert len(open_dataset(root).photos.ids()) == 2


def test_the_same_photo_in_two_folders_of_the_shards_is_refused(tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1)
    fakes.write_tar(root / "archives" / "streetview_images_009.tar",
                    {"elsewhere/1000000000000000_undistorted.jpg": b"x"})
    with pytest.raises(DataError, match="also stored as"):
        open_dataset(root)


def test_without_a_region_it_is_asked_for_and_then_the_tables_own(repository, tmp_path):
    root = fakes.make_repository(tmp_path, region=False)
    with pytest.raises(LayoutError, match="--region"):
        open_dataset(root)
    opened = open_dataset(root, fakes.grid_of(repository))
    assert opened.own_grid
    opened.check("train")
    table = fakes.make_repository(tmp_path / "bad", region=False, breaks=["contradiction"])
    with pytest.raises(DataError, match="m from its position"):
        open_dataset(table, fakes.grid_of(repository)).check("val")


def test_the_datasets_own_region_given_again_changes_nothing(repository, dataset):
    assert open_dataset(repository, fakes.grid_of(repository)).own_grid
    assert open_dataset(repository, fakes.grid_of(repository)).split_hash("val") == dataset.split_hash("val")


def test_another_grid_takes_its_sequences_from_the_positions(repository, dataset):
    grid = ZoomGrid(dataset.grid.region, 3, 2)
    other = open_dataset(repository, grid)
    assert not other.own_grid and other.grid == grid
    split = other.split("val")
    assert np.array_equal(other.sequences("val"), grid.encode(split.lat, split.lon))
    other.check("val")
    assert other.torch_dataset("val", 16)[0]["sequence"].shape == (2,)
    small = open_dataset(repository, ZoomGrid(Region(54.5, 3.0, (0, 200), (0, 200)), 4, 2))
    with pytest.raises(DataError, match="outside the region"):
        small.check("train")


def test_another_depth_is_no_contradiction(repository, dataset):
    open_dataset(repository, ZoomGrid(dataset.grid.region, 4, 1)).check("val")
    assert open_dataset(repository, ZoomGrid(dataset.grid.region, 4, 1)).sequences("val")[:, 0].tolist() \
        == dataset.sequences("val")[:, 0].tolist()


@pytest.mark.parametrize(("kind", "words"), [
    ("missing_photo", "photo is missing"), ("duplicate_id", "several rows"), ("contradiction", "m from its position"),
    ("off_region", "outside the region"), ("short_sequence", "not a path of 2 actions")])
def test_training_hears_before_its_first_step(tmp_path, kind, words):
    root = fakes.make_repository(tmp_path, train=2, breaks=[kind])
    with pytest.raises(DataError, match=words) as caught:
        open_dataset(root).check("val")
    assert "large_area_val_map.csv, image_id 2" in str(caught.value) and "jzi data verify" in str(caught.value)


def test_attribution_is_the_datasets_own_or_says_so(tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1)
    assert "ATTRIBUTION" in open_dataset(root).attribution()
    (root / "ATTRIBUTION").write_text("Ours.\n")
    assert open_dataset(root).attribution() == "Ours."


def test_real_data_opens(shared):
    dataset = open_dataset(shared / "data" / "dc-mini")
    assert list(dataset.split_paths) == ["val"] and len(dataset.split("val")) == 4
    assert "Mapillary" in dataset.attribution() and "Open Data DC" in dataset.attribution()
    dataset.check("val")
    sample = dataset.torch_dataset("val", 64)[0]
    assert sample["photo"].shape == (2, 3, 64, 64) and len(sample["views"]) == 4


def test_ids_that_are_paths_are_refused(tmp_path):
    root = fakes.make_repository(tmp_path, extracted=True, train=1, val=1)
    for image_id in ("../../etc/passwd", "", "..", "a\\b"):
        with pytest.raises(PhotoError, match="must not contain a path"):
            open_dataset(root).photos.read(image_id)


def test_region_beside_the_layout_is_what_counts(tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1, grid=3)
    assert open_dataset(root).grid.grid == 3
    save_grid(ZoomGrid(open_dataset(root).grid.region, 4, 2), root / "satellite" / "region.yaml")
    assert open_dataset(root).grid.grid == 4


@pytest.mark.parametrize("header", ["image_id,sequence,latitude,longitude", ",note,longitude,latitude,sequence,image_id"])
def test_the_cards_loader_takes_three_paths_in_different_folders(tmp_path, header):
    """The card's metadata_csv, ground_root and tile_layout; order, extra and index columns of the table do not matter."""
    extracted = fakes.make_repository(tmp_path / "extracted", train=3, val=2, extracted=True)
    whole = open_dataset(extracted)
    tables = tmp_path / "elsewhere" / "tables"
    tables.mkdir(parents=True)
    for name in ("train", "val"):
        rows = whole.split(name).table
        lines = [header]
        for k, row in enumerate(rows.iter_rows(named=True)):
            row |= {"": k, "sequence": f'"{row["sequence"]}"'}
            lines.append(",".join(str(row[c]) for c in header.split(",")))
        (tables / f"large_area_{name}_map.csv").write_text("\n".join(lines) + "\n")
    (tables / "other.csv").write_text("not,a,split\n1,2,3\n")
    (tmp_path / "photos").symlink_to(extracted / "streetview" / "images")
    card = {"ground_root": tmp_path / "photos", "tile_layout": extracted / "satellite" / "layout.yaml"}
    dataset = open_dataset(metadata_csv=tables / "large_area_train_map.csv", **card)
    assert list(dataset.split_paths) == ["train", "val"] and dataset.grid == whole.grid
    for name in ("train", "val"):
        dataset.check(name)
        assert dataset.split_hash(name) == whole.split_hash(name)
    for a, b in zip(whole.torch_dataset("val", 32), dataset.torch_dataset("val", 32), strict=True):
        assert torch.equal(a["wide"], b["wide"]) and all(torch.equal(x, y) for x, y in zip(a["views"], b["views"], strict=True))
    found = verify_repository(dataset.places)
    assert found.ok and found.counts["photos"] == 5, found.to_dict()


@pytest.mark.parametrize(("words", "said"), [
    ({}, "no metadata_csv, ground_root, tile_layout is given"), ({"metadata_csv": "table.csv"}, "no ground_root, tile_layout"),
    ({"root": ".", "tile_layout": "layout.yaml"}, "a dataset's folder and single paths"),
    ({"metadata_csv": "none.csv", "ground_root": ".", "tile_layout": "layout.yaml"}, "metadata_csv none.csv: there is no"),
    ({"metadata_csv": "table.csv", "ground_root": "none", "tile_layout": "layout.yaml"}, "ground_root none: there is no"),
    ({"metadata_csv": "table.csv", "ground_root": ".", "tile_layout": "."}, "tile_layout .: there is no such file")])
def test_paths_of_the_card_that_are_missing_are_named(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("image_id,sequence,latitude,longitude\n")
    (tmp_path / "layout.yaml").write_text("")
    with pytest.raises(DataError, match=said):
        open_dataset(**words)

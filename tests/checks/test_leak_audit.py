"""The leak audit: distances, cells, drives and equal photos as they were put in; sentences chosen by the numbers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fakes import SUFFIX, encoded, grid_of, make_repository, picture, write_table
from justzoomin.checks import AuditReport, audit
from justzoomin.checks.galleries import CHANCE_RADII_M, galleries
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import Region, ZoomGrid, from_local, haversine_m

EAST_M = np.array([-150.0, -50.0, 60.0, 150.0])
"""Places of the training photos of `town`, east of its centre; validation photos are 3, 30, 0 and -40 m east of them."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("audit") / "base", train=4, val=4, pixels=32, extracted=True,
                           photo_size=(64, 36))


@pytest.fixture
def town(base: Path, tmp_path: Path) -> Path:
    """A dataset with photos at given places."""
    import shutil

    root = Path(shutil.copytree(base, tmp_path / "town"))
    place(root, "train", EAST_M)
    place(root, "val", EAST_M + np.array([3.0, 30.0, 0.0, -40.0]))
    return root


def place(root: Path, split: str, east: np.ndarray) -> None:
    path = root / "metadata" / f"large_area_{split}_map.csv"
    grid = grid_of(root)
    ids = pl.read_csv(path, infer_schema=False)["image_id"].to_list()
    lat, lon = from_local(*grid.region.centre, east, np.zeros(len(east)))
    path.unlink()
    write_table(path, [{"image_id": i, "latitude": float(a), "longitude": float(o), "sequence": s}
                       for i, a, o, s in zip(ids, lat, lon, grid.encode(lat, lon).tolist(), strict=True)])


def ids(root: Path, split: str) -> list[str]:
    return pl.read_csv(root / "metadata" / f"large_area_{split}_map.csv", infer_schema=False)["image_id"].to_list()


def drives(root: Path, rows: dict[str, str | None], column: str = "sequence_id", name: str = "metadata.csv") -> None:
    table = pl.DataFrame({"image_id": list(rows), column: list(rows.values())})
    path = root / "streetview" / name
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)


def test_distances_and_cells(town: Path) -> None:
    report = audit(open_dataset(town))
    np.testing.assert_allclose(report.distances_m, [3, 30, 0, 40], atol=1e-3)
    assert [report.within(r) for r in (1, 5, 10, 25, 40.1)] == [0.25, 0.5, 0.5, 0.5, 1.0]
    assert report.quantiles_m["0"] < 1e-3
    assert report.quantiles_m["100"] == pytest.approx(40, abs=1e-3)
    # Borders are at multiples of 100 and of 25 m. Validation at -147, -20, 60 and 110 m: the first and the third are in
    # small cells of training photos, all of them in large ones.
    assert [(cell.level, cell.size_m, cell.val_photos, cell.occupied) for cell in report.cells] == [
        (1, 100, 4, 4), (2, 25, 2, 4)]
    assert report.same_cell_as_nearest == 0.5
    values = report.to_dict()
    assert values["nearest_photo_oracle"]["recall_at_m"]["5"] == 50.0
    assert values["nearest_photo_oracle"]["recall_at_1"] == 50.0
    assert (values["same_bytes"]["pairs"], values["same_ids"]["photos"], values["same_pictures"]) == (0, 0, None)


@pytest.mark.parametrize(("column", "name"), [("sequence_id", "metadata.csv"), ("sequence", "metadata_satellite_covered.csv"),
                                              ("skey", "metadata.parquet"), ("Sequence_Key", "metadata_x.csv")])
def test_shared_drives(town: Path, column: str, name: str) -> None:
    train, val = ids(town, "train"), ids(town, "val")
    of_val = dict(zip(val, ("a", "c", "b", None), strict=True))
    drives(town, {**dict.fromkeys(train[:3], "a"), train[3]: "b", **of_val}, column, name)
    found = audit(open_dataset(town)).sequences
    assert found is not None
    assert (found.column, found.train_known, found.val_known) == (column, 4, 3)
    assert (found.train, found.val, found.shared, found.val_photos) == (2, 3, 2, 2)


def test_drives_in_the_splits_themselves(town: Path) -> None:
    for split in ("train", "val"):
        path = town / "metadata" / f"large_area_{split}_map.csv"
        table = pl.read_csv(path, infer_schema=False)
        table.with_columns(pl.lit("one").alias("sequence_id")).write_csv(path)
    found = audit(open_dataset(town)).sequences
    assert found is not None
    assert (found.shared, found.val_photos) == (1, 4)


def test_the_zooms_actions_are_no_drives(town: Path) -> None:
    report = audit(open_dataset(town))
    assert report.sequences is None
    assert "cannot" not in report.sentences[-1]
    assert "not known whether both splits hold photos of one drive" in report.sentences[-1]


@pytest.mark.parametrize("packed", [False, True])
def test_equal_and_nearly_equal_photos(tmp_path: Path, packed: bool) -> None:
    import tarfile

    from fakes import write_tar

    root = make_repository(tmp_path / "twins", train=4, val=3, pixels=32, photo_size=(96, 54), extracted=True)
    photos = root / "streetview" / "images"
    train, val = ids(root, "train"), ids(root, "val")
    for number, image_id in enumerate([*train, *val]):
        (photos / f"{image_id}{SUFFIX}").write_bytes(encoded(picture(96, 54, number), quality=92))
    (photos / f"{val[0]}{SUFFIX}").write_bytes((photos / f"{train[1]}{SUFFIX}").read_bytes())
    (photos / f"{val[1]}{SUFFIX}").write_bytes(encoded(picture(96, 54, 2), quality=60))  # that of train[2], saved again
    if packed:
        members = {f"streetview/images/{p.name}": p.read_bytes() for p in photos.iterdir()}
        for path in list(photos.iterdir()):
            path.unlink()
        write_tar(root / "archives" / "streetview_images_000.tar", members)
        assert tarfile.is_tarfile(root / "archives" / "streetview_images_000.tar")
    report = audit(open_dataset(root), pictures=True)
    assert report.same_bytes == ((val[0], train[1]),)
    assert set(report.same_pictures or ()) == {(val[0], train[1]), (val[1], train[2])}
    assert report.sentences[0].startswith("1 of 3 validation photos are training photos as well")
    assert audit(open_dataset(root), files=False).same_bytes is None


def test_a_photo_that_cannot_be_read_is_listed(town: Path) -> None:
    gone = ids(town, "val")[0]
    (town / "streetview" / "images" / f"{gone}{SUFFIX}").unlink()
    report = audit(open_dataset(town), pictures=True)
    assert (report.same_bytes, report.unread) == ((), (gone,))


def test_an_id_in_both_splits(town: Path) -> None:
    train = town / "metadata" / "large_area_train_map.csv"
    table = pl.read_csv(train, infer_schema=False)
    both = table["image_id"][0]
    val = pl.read_csv(town / "metadata" / "large_area_val_map.csv", infer_schema=False)
    pl.concat([val, table.head(1)]).write_csv(town / "metadata" / "large_area_val_map.csv")
    report = audit(open_dataset(town))
    assert report.same_ids == (both,)
    assert report.sentences[0].startswith("1 of 5 validation photos are training photos as well")


def test_galleries_against_every_cell() -> None:
    grid = ZoomGrid(Region(48.0, 11.0, (-150, 150), (-150, 150)), 3, 3)
    rng = np.random.default_rng(0)
    east, north = rng.uniform(-149, 149, (2, 200))
    lat, lon = from_local(48.0, 11.0, east, north)
    paths = grid.encode(lat, lon)
    train, val = paths[:150], paths[150:]
    positions = np.stack([lat, lon], 1)[150:]
    found = galleries(grid, train, val, positions)
    assert [gallery.cells for gallery in found] == [729, len(np.unique(grid.flatten(val))), len(np.unique(grid.flatten(train))),
                                                    len(np.unique(grid.flatten(paths)))]
    for gallery, cells in ((found[0], np.arange(729)), (found[2], np.unique(grid.flatten(train)))):
        away = haversine_m(positions[:, :1], positions[:, 1:], *grid.centres(grid.unflatten(cells, 3)))
        for radius in CHANCE_RADII_M:
            assert gallery.chance_recall_at_m[f"{radius:g}"] == pytest.approx(100 * (away <= radius).mean(), abs=0.02)
    assert found[0].chance_recall_at_1 == pytest.approx(100 / 729)
    assert found[1].chance_recall_at_1 == pytest.approx(100 / found[1].cells)
    inside = np.isin(grid.flatten(val), grid.flatten(train)).mean()
    assert found[2].chance_recall_at_1 == pytest.approx(100 * inside / found[2].cells)


@pytest.fixture(scope="module")
def report(base: Path) -> AuditReport:
    return audit(open_dataset(base), files=False)


def at(report: AuditReport, *distances: float) -> AuditReport:
    return dataclasses.replace(report, distances_m=np.array(distances), val=np.zeros((len(distances), 2)))


@pytest.mark.parametrize(("distances", "kind", "says"), [
    ((1, 2, 3, 200), "beside", "75 % of validation photos are within 10 m of a training photo (median 2.5 m): recall there "
                               "can come from "
     "memory of those photos as well as from matching to the map."),
    ((20, 30, 45, 200), "near", "75 % of validation photos are within 50 m of a training photo (median 37.5 m): recall "
                                "there can"),
    ((120, 500, 900, 1300), "apart", "No validation photo is within 50 m of a training photo (nearest 120 m, "
                                     "median 700 m): "
     "recall within 50 m cannot come from naming the place of a training photo."),
    ((5, 60, 90, 300), "mixed", "25 % of validation photos are within 50 m of a training photo and 25 % farther than 100 m: "
                                "report recall for the two groups separately"),
    ((20, *[500] * 199), "apart", "Only 0.5 % of validation photos are within 50 m"),
])
def test_sentences_follow_the_numbers(report: AuditReport, distances: tuple[float, ...], kind: str, says: str) -> None:
    told = at(report, *distances)
    assert told.kind == kind
    assert told.sentences[0].startswith(says)
    oracle = [s for s in told.sentences if s.startswith("Naming the position")]
    assert bool(oracle) == (told.within(100) >= 0.01)
    if oracle:
        given = [float(v) for v in re.findall(r"([\d.]+) % at", oracle[0])]
        assert given == pytest.approx([100 * told.within(r) for r in (40, 50, 100)], rel=0.01)


def test_no_sentence_says_all_or_none_of_what_is_not(report: AuditReport) -> None:
    assert at(report, *[1.0] * 9999, 400.0).sentences[0].startswith("over 99.9 % of validation photos")


def test_refusals(base: Path, town: Path, shared: Path) -> None:
    with pytest.raises(ConfigError, match="Name two splits"):
        audit(open_dataset(base), "val", "val")
    with pytest.raises(DataError, match="no split called 'train'"):
        audit(open_dataset(shared / "data" / "dc-mini"))
    (town / "streetview" / "metadata.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"metadata\.parquet"):
        audit(open_dataset(town))

"""Where the bearings of photos come from: the project's own column first, then Mapillary's, in CSV and Parquet."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fakes import make_repository
from justzoomin.data import Dataset, open_dataset


@pytest.fixture
def town(tmp_path: Path) -> Dataset:
    root = make_repository(tmp_path / "town", train=5, val=2, pixels=32)
    (root / "streetview").mkdir(exist_ok=True)
    return open_dataset(root)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_our_column_comes_before_the_computed_angle_and_that_before_the_compass(town: Dataset, suffix: str) -> None:
    ids = town.split("train").image_ids
    table = pl.DataFrame({"image_id": ids[:4], "bearing_deg": [10.0, None, None, -1.0],
                          "computed_compass_angle": [20.0, 30.0, None, None], "compass_angle": [40.0, 50.0, 359.5, None]})
    path = town.root / "streetview" / f"metadata_satellite_covered.{suffix}"
    table.write_csv(path) if suffix == "csv" else table.write_parquet(path)
    np.testing.assert_array_equal(town.bearings("train"), [10.0, 30.0, 359.5, np.nan, np.nan])


def test_a_parquet_file_beside_its_csv_is_not_read(town: Dataset) -> None:
    ids, folder = town.split("train").image_ids, town.root / "streetview"
    pl.DataFrame({"image_id": ids, "bearing_deg": [7.0] * 5}).write_csv(folder / "metadata.csv")
    (folder / "metadata.parquet").write_bytes(b"broken")
    assert town.bearings("train").tolist() == [7.0] * 5

"""Answers of another method as a table: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fakes
from justzoomin.data import Dataset, open_dataset
from justzoomin.errors import DataError
from justzoomin.geometry import haversine_m
from justzoomin.scoring import read_answers, read_predictions, score_table, write_predictions


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("answers") / "repository", train=2, val=6, pixels=32))


def answers(dataset: Dataset) -> pl.DataFrame:
    """Answers some metres beside the truth, in another order than the split's."""
    val = dataset.split("val")
    return pl.DataFrame({"photo": val.image_ids, "lat": val.lat + 1e-5 * np.arange(6), "lon": val.lon}).reverse()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_answers_score_as_their_distances(dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    table = answers(dataset).with_columns(
        pl.format("C:\\photos\\{}_undistorted.jpg", "photo").alias("photo"), probability=pl.lit(0.5), heading=pl.lit(None))
    path = tmp_path / f"mine.{suffix}"
    table.rename({"lat": "Latitude"}).write_csv(path) if suffix == "csv" else table.write_parquet(path)
    found = read_answers(path, dataset, "val")
    val = dataset.split("val")
    assert found.photos == tuple(val.image_ids) and found.info.method == "mine"
    np.testing.assert_allclose(found.errors_m, haversine_m(val.lat + 1e-5 * np.arange(6), val.lon, val.lat, val.lon), atol=1e-6)
    report = score_table(found)
    assert report["recall_at_m"]["40"]["value"] == 100.0 and report["calibration"]["confidence"]["ece"] == pytest.approx(50.0)
    kept = read_predictions(write_predictions(tmp_path / "kept.parquet", found))
    assert score_table(kept) == report
    with pytest.raises(DataError, match="list no cells"):
        from justzoomin.scoring import Protocol

        score_table(kept, Protocol(decision="top"))


@pytest.mark.parametrize(("change", "said"), [
    (lambda t: t.rename({"lat": "lon", "lon": "lat"}), "exchanged.*swapped"),
    (lambda t: t[:4], "2 photos of the split have no answer"),
    (lambda t: pl.concat([t, t[:1]]), "listed twice"),
    (lambda t: t.with_columns(photo=pl.concat_str("photo", pl.lit("x"))), "6 photos are not in the split"),
    (lambda t: t.drop("lon"), "no column lon"),
    (lambda t: t.with_columns(lat=pl.lit(None, pl.Float64)), "row 1, lat.*not a number"),
    (lambda t: t.with_columns(probability=pl.lit(1.5)), r"row 1, probability: 1.5 is not in 0 .. 1"),
    (lambda t: t.with_columns(lat=pl.lit(91.0)), r"row 1, lat: 91 is not in -90 .. 90"),
    (lambda t: t.with_columns(latitude=pl.col("lat")), "could all be lat"),
])
def test_what_is_refused(dataset: Dataset, tmp_path: Path, change: object, said: str) -> None:
    change(answers(dataset)).write_csv(tmp_path / "mine.csv")  # type: ignore[operator]
    with pytest.raises(DataError, match=said):
        read_answers(tmp_path / "mine.csv", dataset, "val")

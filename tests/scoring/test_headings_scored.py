"""Scores of headings, by hand, through the file, and where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from prediction_tables import table

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import DataError
from justzoomin.geometry import move
from justzoomin.scoring import PredictionTable, percent, read_answers, read_predictions, score_table, write_predictions

NAN = float("nan")


def faced() -> PredictionTable:
    """Eight photos: metres off, degrees off; the true heading of the last is unknown, the one before it is not answered."""
    found = table(8)
    metres = np.array([0.0, 9.0, 11.0, 39.0, 41.0, 0.0, 5.0, 0.0])
    degrees = np.array([0.0, 9.0, 9.0, 19.0, 0.0, 170.0, NAN, 0.0])
    true = np.array([5.0, 355.0, 100.0, 350.0, 0.0, 90.0, 30.0, NAN])
    answers = np.stack(move(*found.positions.T, 45.0, metres), 1)
    headings = np.stack([(true + degrees) % 360.0, np.full(8, 12.0)], 1)
    headings[7] = 3.0, 12.0
    return replace(found, answers=answers).with_headings(headings, true)


def test_recalls_need_both_the_place_and_the_heading() -> None:
    found = score_table(faced())["headings"]
    assert (found["n"], found["answered"]) == (7, 6)
    for name, hits in (("10m_10deg", 2), ("40m_20deg", 4)):
        figure, expected = found["recall_at_pose"][name], percent(np.arange(7) < hits)
        assert (figure["value"], figure["low"], figure["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    assert found["median_deg"]["value"] == pytest.approx(9.0)  # of 0, 9, 9, 19, 0 and 170
    assert found["median_deg"]["low"] <= 9.0 <= found["median_deg"]["high"]


def test_a_table_without_headings_is_scored_as_before(tmp_path: Path) -> None:
    plain = table(8)
    assert "headings" not in score_table(plain)
    assert plain.with_headings(None, np.zeros(8)) is plain
    columns = pl.read_parquet(write_predictions(tmp_path / "p.parquet", plain)).columns
    assert not [name for name in columns if "heading" in name]
    blind = plain.with_headings(np.zeros((8, 2)), np.full(8, NAN))
    assert blind.true_headings is None and "headings" not in score_table(blind)


def test_headings_go_through_the_file(tmp_path: Path) -> None:
    found = read_predictions(write_predictions(tmp_path / "p.parquet", faced()))
    np.testing.assert_allclose(found.headings, faced().headings)
    np.testing.assert_allclose(found.true_headings, faced().true_headings)
    assert score_table(found)["headings"] == score_table(faced())["headings"]


@pytest.mark.parametrize(("column", "value", "words"), [
    ("answer_heading", 361.0, "answer_heading, row 0: it is not in 0 .. 360"), ("heading", -1.0, "heading, row 0"),
    ("answer_heading_sigma", 181.0, "answer_heading_sigma, row 0"), ("answer_heading_sigma", None, "no column")])
def test_impossible_headings_are_refused(tmp_path: Path, column: str, value: float | None, words: str) -> None:
    path = write_predictions(tmp_path / "p.parquet", faced())
    frame, note = pl.read_parquet(path), pl.read_parquet_metadata(path)["justzoomin"]
    frame = frame.drop(column) if value is None else frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(value).otherwise(pl.col(column)).alias(column))
    frame.write_parquet(path, metadata={"justzoomin": note})
    with pytest.raises(DataError) as wrong:
        read_predictions(path)
    assert words in str(wrong.value)


def test_answers_of_other_methods_are_scored_with_their_headings(tmp_path: Path) -> None:
    root = fakes.make_repository(tmp_path / "town", train=2, val=4, pixels=16)
    split = open_dataset(root).split("val")
    (root / "streetview").mkdir(exist_ok=True)
    pl.DataFrame({"image_id": split.image_ids, "bearing_deg": [0.0, 90.0, 180.0, 270.0]}).write_csv(
        root / "streetview" / "metadata_bearings.csv")
    answers = tmp_path / "answers.csv"
    pl.DataFrame({"photo": split.image_ids, "lat": split.lat, "lon": split.lon, "heading": [-8.0, 90.0, None, 300.0]}
                 ).write_csv(answers)
    found = score_table(read_answers(answers, open_dataset(root), "val"))["headings"]
    assert (found["n"], found["answered"], found["median_deg"]["value"]) == (4, 3, pytest.approx(8.0))
    assert found["recall_at_pose"]["10m_10deg"]["value"] == pytest.approx(50.0)

"""The predictions file: what is written comes back, and a file that lies is refused by name."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_tables import GRID, info, places, scores, table

from justzoomin.errors import ConfigError, DataError
from justzoomin.scoring import (
    Protocol,
    Tabulator,
    log_normalize,
    rank_listed,
    rank_scores,
    read_predictions,
    score_table,
    write_predictions,
)


def same(one, other):
    """Whether two tables hold the same, bit for bit."""
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(a):
            same(a, b)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), field.name
        else:
            assert a == b, field.name


@pytest.mark.parametrize("listed", [1, 7, 64, None])
def test_what_is_written_comes_back(tmp_path, listed):
    made = table(30, listed=listed, drives=4)
    path = write_predictions(tmp_path / "new" / "p.parquet", made)
    same(read_predictions(path), made)
    assert made.ranking.cells.shape[1] == (listed or 256)
    assert score_table(read_predictions(path)) == score_table(made)
    assert [p.name for p in path.parent.iterdir()] == ["p.parquet"]


def test_what_is_not_known_stays_unknown(tmp_path):
    where = places(3)
    true = GRID.flatten(GRID.encode(*where.T))
    found = rank_listed(np.stack([true, (true + 1) % 256], 1)[:, ::-1].copy(), np.log([[0.5, 0.2]] * 3), true)
    made = dataclasses.replace(table(3), ranking=found, occupied=None, confidence=np.full(3, np.nan),
                               views=np.array([-1, 5, 0]), ms=np.array([np.nan, 1.0, 0.0]))
    same(read_predictions(write_predictions(tmp_path / "p.parquet", made)), made)
    lost = dataclasses.replace(made, ranking=rank_listed((true[:, None] + 1) % 256, np.zeros((3, 1)), true))
    assert (lost.ranking.true_rank == -1).all() and np.isnan(lost.ranking.mass_before).all()
    same(read_predictions(write_predictions(tmp_path / "p.parquet", lost)), lost)


def test_ranks_are_the_places_in_the_list():
    where = places(20)
    true = GRID.flatten(GRID.encode(*where.T))
    log_probs = log_normalize(scores(where))  # rounded to tenths, so with ties
    whole = rank_scores(log_probs, true, None)
    assert (whole.cells[np.arange(20), whole.true_rank] == true).all()
    assert np.array_equal(np.sort(whole.cells, 1), np.tile(np.arange(256), (20, 1)))
    assert whole.probs.sum(1) == pytest.approx(1) and np.exp(whole.true_log_prob) == pytest.approx(
        whole.probs[np.arange(20), whole.true_rank])
    before = [whole.probs[k, :rank].sum() for k, rank in enumerate(whole.true_rank)]
    assert whole.mass_before == pytest.approx(before, abs=1e-6)
    for size in (1, 10, 255, 256):
        cut = rank_scores(log_probs, true, size)
        assert np.array_equal(cut.cells, whole.cells[:, :size]) and np.array_equal(cut.true_rank, whole.true_rank)


def test_ties_favour_no_part_of_the_map():
    true = np.arange(256)
    flat = rank_scores(log_normalize(np.zeros((256, 256))), true, 5)
    assert np.array_equal(np.sort(flat.true_rank), np.arange(256))
    assert abs(np.corrcoef(flat.true_rank, true)[0, 1]) < 0.15


def test_cells_that_are_ruled_out_are_not_listed():
    log_probs = np.full((2, 256), -np.inf)
    log_probs[:, [7, 9]] = np.log([0.25, 0.75])
    found = rank_scores(log_probs, np.array([7, 100]), 4)
    assert found.cells.tolist() == [[9, 7, -1, -1]] * 2 and found.probs[0].tolist() == [0.75, 0.25, 0, 0]
    assert found.true_rank[0] == 1 and found.true_rank[1] >= 2 and found.true_log_prob[1] == -np.inf
    assert found.mass_before.tolist() == [0.75, 1.0]
    inside = rank_scores(log_probs, np.array([100, 101]), 4, np.array([100, 101, 102]))  # all of the gallery is ruled out
    assert inside.probs == pytest.approx(1 / 3) and sorted(inside.cells[0].tolist()) == [100, 101, 102]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 3))
def test_a_smaller_gallery_never_ranks_the_true_cell_worse(seed, sharp):
    where = places(24, seed)
    true = GRID.flatten(GRID.encode(*where.T))
    log_probs = log_normalize(scores(where, sharp, seed))
    every, occupied = rank_scores(log_probs, true, 8), rank_scores(log_probs, true, 8, np.unique(true))
    assert (occupied.true_rank <= every.true_rank).all()
    assert (occupied.true_log_prob >= every.true_log_prob - 1e-9).all() and np.isin(occupied.cells, [-1, *true]).all()


def test_scores_that_are_none_are_refused():
    where = places(4)
    true = GRID.flatten(GRID.encode(*where.T))
    ids = ["a", "b", "c", "d"]
    for wrong, words in ((np.full((4, 256), np.nan), "photo 0"), (np.full((4, 256), -np.inf), "photo 0"),
                         (np.zeros((4, 255)), "shape"), (np.zeros((5, 256)), "more rows than")):
        with pytest.raises(DataError, match=words):
            Tabulator(info(), ids, where, true).add(wrong)
    with pytest.raises(DataError, match="0 of 4"):
        Tabulator(info(), ids, where, true).table()
    with pytest.raises(ConfigError, match="3, 4"):
        Tabulator(info(), ids, where[:3], true)


def rewritten(tmp_path, **columns):
    """A file of which some columns say something else; None drops one."""
    path = write_predictions(tmp_path / "p.parquet", table(6, listed=3, drives=2))
    frame, note = pl.read_parquet(path), pl.read_parquet_metadata(path)["justzoomin"]
    for name, value in columns.items():
        if name == "note":
            note = value(note)
        else:
            frame = frame.drop(name) if value is None else frame.with_columns(value.alias(name))
    frame.write_parquet(path, metadata={} if note is None else {"justzoomin": note})
    return path


LIES = {
    "none": ({"note": lambda n: None}, "not a predictions file"),
    "no json": ({"note": lambda n: n[:-1]}, "JSON"),
    "other format": ({"note": lambda n: n.replace("predictions/2", "predictions/1")}, "format"),
    "unknown key": ({"note": lambda n: n.replace('"method"', '"x":1,"method"')}, "x: "),
    "not finite": ({"note": lambda n: n.replace("12345.0", "NaN")}, "index_bytes"),
    "endless grid": ({"note": lambda n: n.replace('"depth":2', '"depth":1000000000')}, "a grid has 1 to 31"),
    "no grid": ({"note": lambda n: n.replace('"grid":4', '"grid":99')}, "99"),
    "escape": ({"note": lambda n: n.replace('"method":"', '"method":"\\u001b[2J')}, "method"),
    "claim": ({"note": lambda n: n.replace('"confidence":"cell"', '"confidence":"within:1.2.3"')}, "confidence"),
    "more than said": ({"note": lambda n: n.replace('"listed":3', '"listed":2')}, "more cells"),
    "no column": ({"lat": None}, "no column lat"),
    "half a ranking": ({"occupied_probs": None}, "no column occupied_probs"),
    "other column": ({"surprise": pl.lit(1)}, "surprise"),
    "kind": ({"true_cell": pl.col("true_cell").cast(pl.Int32)}, "true_cell"),
    "hole": ({"photo": pl.lit(None, pl.String)}, "column photo"),
    "twice": ({"photo": pl.lit("a")}, "'a'"),
    "latitude": ({"lat": pl.lit(91.0)}, "column lat"),
    "endless": ({"answer_lon": pl.lit(float("inf"))}, "answer_lon"),
    "beyond the last": ({"true_cell": pl.lit(256, pl.Int64)}, "true_cell, row 0"),
    "negative": ({"true_cell": pl.lit(-1, pl.Int64)}, "true_cell, row 0"),
    "cell beyond": ({"cells": pl.lit([1, 2, 256])}, "0 .. 255"),
    "cell twice": ({"cells": pl.lit([1, 2, 2])}, "twice"),
    "cell missing": ({"cells": pl.lit([1, 2, None], pl.List(pl.Int64))}, "missing"),
    "lengths": ({"cells": pl.lit([1, 2])}, "lengths"),
    "rising": ({"probs": pl.lit([0.1, 0.2, 0.3], pl.List(pl.Float32))}, "descending order"),
    "more than one": ({"probs": pl.lit([0.9, 0.8, 0.3], pl.List(pl.Float32))}, "sum"),
    "nan": ({"probs": pl.lit([float("nan")] * 3, pl.List(pl.Float32))}, "probabilities"),
    "rank": ({"true_rank": pl.lit(256, pl.Int64)}, "0 .. 255"),
    "rank that lies": ({"true_rank": pl.col("true_rank") + 1}, "contradicts"),
    "mass": ({"mass_before": pl.lit(1.5)}, "mass_before"),
    "no mass": ({"mass_before": pl.lit(None, pl.Float64)}, "missing"),
    "likelihood": ({"true_log_prob": pl.lit(0.5)}, "above 0"),
    "confidence": ({"confidence": pl.lit(1.5)}, "confidence"),
    "time": ({"ms": pl.lit(-1.0)}, "ms"),
    "empty": ({"lat": pl.col("lat")}, None),
}


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused_by_name(tmp_path, name):
    columns, words = LIES[name]
    path = rewritten(tmp_path, **columns)
    if words is None:
        assert len(read_predictions(path)) == 6
        return
    with pytest.raises(DataError, match=words) as error:
        read_predictions(path)
    assert str(path) in str(error.value)


def test_no_file_no_table_no_photo(tmp_path):
    for path, words in ((tmp_path / "none", "cannot be read"), (tmp_path, "not a regular file")):
        with pytest.raises(DataError, match=words):
            read_predictions(path)
    path = rewritten(tmp_path)
    note = pl.read_parquet_metadata(path)["justzoomin"]
    pl.read_parquet(path).clear().write_parquet(path, metadata={"justzoomin": note})
    with pytest.raises(DataError, match="no photo"):
        read_predictions(path)


def test_one_long_list_does_not_make_all_rows_wide(tmp_path, monkeypatch):
    monkeypatch.setattr("justzoomin.scoring.predictions_file._EMPTY", (2, 100))
    path = write_predictions(tmp_path / "p.parquet", table(20, listed=None))
    assert len(read_predictions(path)) == 20
    rows = pl.col("photo") == "photo 003"
    rewritten = pl.read_parquet(path).drop("^occupied_.*$").with_columns(
        *(pl.when(rows).then(pl.col(name)).otherwise(pl.col(name).list.head(3)) for name in ("cells", "probs")))
    rewritten.write_parquet(path, metadata={"justzoomin": pl.read_parquet_metadata(path)["justzoomin"]})
    with pytest.raises(DataError, match="longest list has 256 cells, which takes 5120 places in 20 rows; up to 726 are read"):
        read_predictions(path)


@pytest.mark.parametrize(("field", "value"), [
    ("cost", {"index_bytes": 1e308}), ("cost", {"index_bytes": -1.0}), ("cost", {f"k{n}": 1.0 for n in range(101)}),
    ("cost", {"index_bytes": float("inf")}), ("cost", {"\x1b": 1.0}), ("seed", 10**30), ("listed", 1 << 63),
    ("hashes", {f"k{n}": None for n in range(101)}), ("confidence", "within:1e400")])
def test_numbers_that_nothing_can_have_are_refused(tmp_path, field, value):
    path = write_predictions(tmp_path / "p.parquet", table(3))
    note = json.loads(pl.read_parquet_metadata(path)["justzoomin"])
    text = json.dumps(note | {field: value}).replace("Infinity", "1e400")
    pl.read_parquet(path).write_parquet(path, metadata={"justzoomin": text})
    with pytest.raises(DataError, match=field):
        read_predictions(path)


@pytest.mark.parametrize("values", [(float("inf"),), (float("nan"),), (0.0,), (40.0, -1.0)])
@pytest.mark.parametrize("name", ["radii_m", "areas_m2"])
def test_a_protocol_has_finite_radii_and_areas(name, values):
    with pytest.raises(ConfigError, match=f"{name}: .* not finite or not above 0"):
        Protocol(**{name: values})

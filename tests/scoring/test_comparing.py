"""Comparisons and scores of stored predictions: laws that hold whatever the predictions are."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from prediction_tables import GRID, table

from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import Region, ZoomGrid, from_local, grid_to_dict
from justzoomin.scoring import (
    PredictionInfo,
    Protocol,
    compare,
    density_table,
    markdown,
    nearest_table,
    read_predictions,
    score_table,
    write_comparison,
    write_predictions,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    made = {"sharp": table(40, "sharp", sharp=2.0, seed=1, drives=12),
            "blunt": table(40, "blunt", sharp=0.05, seed=2, drives=12)}
    return {name: write_predictions(folder / f"{name}.parquet", one) for name, one in made.items()}


@pytest.mark.parametrize("protocol", [
    Protocol(), Protocol("occupied"), Protocol(decision="within:30", intervals="drive"),
    Protocol("occupied", decision="distance"),
    Protocol(distance="projection", radii_m=(5.0, 10.0), areas_m2=(625.0, 1250.0), intervals="photo")])
def test_what_was_stored_scores_as_in_memory_and_in_any_order(files, protocol):
    own = table(40, "sharp", sharp=2.0, seed=1, drives=12)
    found = score_table(read_predictions(files["sharp"]), protocol)
    assert found == score_table(own, protocol)
    assert found == score_table(own.take(np.random.default_rng(5).permutation(40)), protocol)
    assert json.loads(json.dumps(found, allow_nan=False))["n"] == 40


@pytest.mark.parametrize("gallery", ["all", "occupied"])
def test_recall_against_area_rises_to_all_at_the_whole_gallery(files, gallery):
    found = score_table(table(40, listed=None), Protocol(gallery))
    values = [figure["value"] for figure in found["recall_at_area"].values()]
    assert values == sorted(values) and values[-1] == 100 and values[0] < 100
    whole = 160_000 if gallery == "all" else 625 * len(table(40).gallery)
    assert float(list(found["recall_at_area"])[-1]) == pytest.approx(whole)


def test_a_smaller_gallery_never_finds_less_in_an_area(files):
    areas = (625.0, 1250.0, 6250.0)
    every, some = (score_table(read_predictions(files["blunt"]), Protocol(gallery, areas_m2=areas))  # type: ignore[arg-type]
                   for gallery in ("all", "occupied"))
    for area in every["recall_at_area"]:
        assert some["recall_at_area"][area]["value"] >= every["recall_at_area"][area]["value"]
    assert "warning" in some["protocol"] and "warning" not in every["protocol"] and some["calibration"]["confidence"] is None


def test_recall_at_one_cell_is_recall_in_its_area():
    found = score_table(table(60), Protocol(areas_m2=(625.0,)))
    assert found["recall_at_area"]["625"]["value"] == found["recall_at_1"]["value"] > 0


def test_a_method_does_not_differ_from_itself(files):
    twin = dataclasses.replace(read_predictions(files["sharp"])).named("twin")
    found = compare([files["sharp"], twin, files["blunt"]])
    for change in found["twin"].changes.values():
        assert (change.difference.value, change.difference.low, change.difference.high, change.p) == (0, 0, 0, 1)
    assert found["twin"].score == found["sharp"].score and found["sharp"].changes == {}
    there = compare([files["sharp"], files["blunt"]])["blunt"].changes
    back = compare([files["sharp"], files["blunt"]], reference="blunt")["sharp"].changes
    for name, change in there.items():
        assert back[name].difference.value == pytest.approx(-change.difference.value) and back[name].p == change.p
        assert change.difference.low <= change.difference.value <= change.difference.high
    assert there["mean_m"].difference.value > 0 and there["mean_m"].p < 0.05


def test_pairing_makes_intervals_narrower():
    # Both are right about the same photos, but for one: the difference is that one photo's, not twice the spread.
    one = table(40, "one", sharp=2.0, seed=1)
    answers = one.answers.copy()
    answers[0] = np.stack(from_local(*GRID.region.centre, 199.0, 199.0))
    other = dataclasses.replace(one, answers=answers).named("other")
    found = compare([one, other], Protocol(intervals="photo"))
    change, alone = found["other"].changes["recall_at_40m"].difference, found["one"].score.recall_at_m[40.0]
    assert abs(change.value) <= 2.5 and change.high - change.low < alone.high - alone.low


def test_seeds_are_one_row_with_their_mean():
    tables = [table(40, "zoom", seed=k).named("zoom") for k in range(3)]
    tables = [dataclasses.replace(t, info=t.info.model_copy(update={"seed": k})) for k, t in enumerate(tables)]
    found = compare(tables, Protocol(areas_m2=(625.0, 2500.0)))
    row = found["zoom"]
    assert [r.name for r in found.rows] == ["zoom", "chance", "ceiling"] and len(row.seeds) == 3 and row.calibration is None
    for of in (lambda s: s.recall_at_1, lambda s: s.recall_at_m[40.0], lambda s: s.mean_m, lambda s: s.recall_at_area[2500.0]):
        assert of(row.score).value == pytest.approx(np.mean([of(score).value for score in row.seeds]))
    with pytest.raises(ConfigError, match="--rows"):
        compare([tables[0], tables[0]])
    apart = compare([tables[0], tables[0]], names=["a", "b"])
    assert apart["a"].score == apart["b"].score


def test_other_photos_are_refused_by_name(files, tmp_path):
    fewer = write_predictions(tmp_path / "fewer.parquet", table(40, "fewer").take(np.arange(38)))
    with pytest.raises(DataError, match=r"2 only in .*sharp.parquet \(photo 038, photo 039\)"):
        compare([files["sharp"], fewer])
    moved = table(40, "moved")
    moved = dataclasses.replace(moved, positions=moved.positions + 1e-7)
    with pytest.raises(DataError, match="40 photos differ from those in"):
        compare([files["sharp"], moved])
    grid = {**table(4).info.grid, "depth": 3}
    other = table(40, "deep")
    other = dataclasses.replace(other, info=PredictionInfo(**{**other.info.model_dump(), "grid": grid}))
    with pytest.raises(ConfigError, match="number or size of cells differs"):
        compare([files["sharp"], other])
    for wrong, words in (({"names": ["a"]}, "1 names"), ({"reference": "x"}, "sharp, blunt"),
                         ({"names": ["chance", "a"]}, "chance")):
        with pytest.raises(ConfigError, match=words):
            compare(list(files.values()), **wrong)
    with pytest.raises(ConfigError, match="no file"):
        compare([])
    with pytest.raises(DataError, match="occupied"):
        compare([dataclasses.replace(table(40, "a"), occupied=None)], Protocol("occupied"))


def test_files_of_a_comparison_hold_its_figures(files, tmp_path):
    found = compare([files["sharp"], table(40, "a|b *c*", drives=12)], Protocol(radii_m=(20.0, 40.0)))
    paths = write_comparison(found, tmp_path / "out")
    assert sorted(p.name for p in paths) == ["comparison.csv", "comparison.json", "comparison.md"]
    values = json.loads((tmp_path / "out" / "comparison.json").read_text())
    by_name = {row["name"]: row for row in values["rows"]}
    rows = list(csv.DictReader((tmp_path / "out" / "comparison.csv").read_text().splitlines()))
    for line in rows:
        row = found[line["row"]]
        if line["figure"] == "recall_at_40m":
            assert float(line["value"]) == row.score.recall_at_m[40.0].value == by_name[row.name]["recall_at_m"]["40"]["value"]
            assert (line["difference"] == "") == (row.name == found.reference)
    assert {line["row"] for line in rows} == set(by_name) == {"sharp", "a|b *c*", "chance", "ceiling"}
    lines = [line for line in markdown(found).splitlines() if line.startswith("|")]
    assert any(line.startswith("| a\\|b \\*c\\* |") for line in lines)
    assert values["n"] == 40 and "12 drives" in values["protocol"]["intervals"]


def test_training_places_alone_find_photos_where_they_crowd():
    like = table(40)
    crowd = np.tile(like.positions[:1], (50, 1))
    found = density_table(like, np.concatenate([crowd, like.positions[10:12]]))
    assert (found.answers == found.answers[0]).all() and found.errors_m[0] < 30
    assert found.ranking.true_rank[0] < 4 and found.info.confidence == "within:40"
    assert np.isfinite(found.ranking.true_log_prob).all()
    # Training photos that lie evenly tell nothing: every cell is nearly as probable as another.
    lat, lon = GRID.centres(GRID.unflatten(np.arange(256), 2))
    even = density_table(like, np.stack([lat, lon], 1))
    assert even.ranking.probs.max() < 2 / 256
    with pytest.raises(DataError, match="none of them is in"):
        density_table(like, crowd + 1.0)
    with pytest.raises(DataError, match="none of them is in"):
        nearest_table(like, np.eye(40), crowd[:2] + 1.0, np.eye(40)[:2])


def test_the_most_alike_training_photo_answers():
    like = table(40)
    own = np.eye(40)
    places = np.concatenate([like.positions + 1.0, like.positions])  # the same looks outside the region, and at the place
    found = nearest_table(like, own, places, np.concatenate([0.5 * own, own]))
    assert np.array_equal(found.answers, like.positions) and (found.errors_m == 0).all() and np.isnan(found.confidence).all()
    assert score_table(found)["recall_at_1"]["value"] == 100 and (found.ranking.true_rank == 0).all()
    swapped = nearest_table(like, own, like.positions, np.roll(own, 1, axis=0))
    assert np.array_equal(swapped.answers, np.roll(like.positions, -1, axis=0))
    with pytest.raises(ConfigError, match="39 and 40"):
        nearest_table(like, own[:39], like.positions, own)


def test_several_maps_are_one_split():
    def moved(one):
        """The same on a map elsewhere: answers, places and cells alike."""
        grid = ZoomGrid(Region(54.5, 13.0, (-200, 200), (-200, 200)), 4, 2)
        shift = np.array([0.0, 10.0])
        return dataclasses.replace(one, info=PredictionInfo(**{**one.info.model_dump(), "grid": grid_to_dict(grid)}),
                                   positions=one.positions + shift, answers=one.answers + shift)

    a, b = table(30, "a", drives=6), table(30, "b", seed=4, drives=6)
    alone, both = compare([a, b], Protocol(intervals="drive")), compare([a, moved(a), moved(b), b], Protocol(intervals="drive"))
    assert both.photos == 60 and "12 drives" in both.protocol["intervals"] and "2 maps" in both.protocol["maps"]
    for row in alone.rows:
        twice = both[row.name]
        assert twice.score.recall_at_1.value == pytest.approx(row.score.recall_at_1.value)
        assert twice.score.mean_m.value == pytest.approx(row.score.mean_m.value, abs=1e-6)
        for area, figure in row.score.recall_at_area.items():
            assert twice.score.recall_at_area[area].value == pytest.approx(figure.value)
    wide, narrow = (c["b"].changes["mean_m"].difference for c in (alone, both))
    assert narrow.high - narrow.low < wide.high - wide.low
    with pytest.raises(DataError, match="no predictions for the map of a"):
        compare([a, moved(a), b])
    with pytest.raises(ConfigError, match="2 maps"):
        compare([a, moved(a)], Protocol("occupied"))


def test_maps_with_one_grid_are_told_apart_by_their_hash():
    """Two towns of a benchmark share one grid; their photos are not those of one map."""
    def on(name, count, **values):
        return table(count, name, hashes={"map": values.pop("town")}, **values)

    files = [on("a", 30, town="one"), on("b", 30, town="one", seed=4), on("a", 22, town="two"), on("b", 22, town="two", seed=4)]
    both = compare(files)
    assert both.photos == 52 and "2 maps" in both.protocol["maps"]
    with pytest.raises(DataError, match="its photos differ from those of a"):
        compare([files[0], on("b", 22, town="one")])
    with pytest.raises(DataError, match="no predictions for the map of a"):
        compare(files[:3])
    unstated = table(30, "c", seed=5)
    assert len([r for r in compare([files[0], unstated]).rows if r.kind == "method"]) == 2  # the only map of its grid

"""Verification finds what is wrong, and nothing where nothing is."""

import json

import pytest
from typer.testing import CliRunner

import fakes
from justzoomin.data import open_dataset, verify_dataset

KINDS = {"missing_photo": "missing_photo", "truncated_photo": "broken_photo", "duplicate_id": "duplicate",
         "contradiction": "contradiction", "off_region": "off_region", "short_sequence": "sequence",
         "broken_tile": "broken_tile"}


def test_a_good_dataset_has_no_problem(dataset):
    seen = []
    report = verify_dataset(dataset, progress=lambda *a: seen.append(a))
    assert report.ok and report.problems == [] and report.kinds() == {}
    assert report.counts == {"records_train": 12, "records_val": 6, "photos": 18,
                             "tiles": sum(dataset.map.levels().values())}
    assert seen[-1] == ("tiles", report.counts["tiles"], report.counts["tiles"])
    assert "tiles" not in verify_dataset(dataset, tiles=False).counts


@pytest.mark.parametrize("extracted", [False, True])
@pytest.mark.parametrize("kind", fakes.BREAKS)
def test_each_kind_alone(tmp_path, kind, extracted):
    root = fakes.make_repository(tmp_path, train=1, val=2, breaks=[kind], extracted=extracted)
    report = verify_dataset(open_dataset(root), tiles=kind == "broken_tile")
    assert report.kinds() == {KINDS[kind]: 1} and not report.ok
    problem = report.problems[0]
    assert problem["detail"] and problem["item"]
    if kind != "broken_tile":
        assert problem["split"] == "val" and problem["item"].startswith("2000000000")


def test_all_kinds_at_once_on_the_command_line(tmp_path):
    from justzoomin.apps.data_commands import app

    root = fakes.make_repository(tmp_path, train=2, breaks=fakes.BREAKS)
    result = CliRunner().invoke(app, ["verify", str(root), "--json"])
    values = json.loads(result.stdout)
    assert result.exit_code == 1 and not values["ok"] and values["kinds"] == dict.fromkeys(KINDS.values(), 1)
    result = CliRunner().invoke(app, ["verify", str(root), "--limit", "2"])
    assert result.exit_code == 1 and "and 5 more" in result.stdout and "7 problems" in result.stdout
    good = fakes.make_repository(tmp_path / "good", train=1, val=1)
    result = CliRunner().invoke(app, ["verify", str(good)])
    assert result.exit_code == 0 and "no problem found" in result.stdout
    info = json.loads(CliRunner().invoke(app, ["info", str(good), "--json"]).stdout)
    assert info["splits"] == {"train": 1, "val": 1} and info["photos"] == 2


def test_a_broken_table_and_a_shared_photo(tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1)
    table = root / "metadata" / "large_area_val_map.csv"
    (root / "metadata" / "again.csv").write_bytes(table.read_bytes())
    table.with_name("bad.csv").write_text("image_id,latitude\n1,2\n")
    report = verify_dataset(open_dataset(root), tiles=False)
    assert report.kinds() == {"table": 1, "shared_photo": 1}


def test_another_region_does_not_contradict(repository, dataset):
    from justzoomin.geometry import ZoomGrid

    assert verify_dataset(open_dataset(repository, ZoomGrid(dataset.grid.region, 5, 1)), tiles=False).ok

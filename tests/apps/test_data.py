"""`jzi data`: what a dataset holds, what is wrong with it, a new one."""

from pathlib import Path

import pytest
from running import Jzi

from fakes import BREAKS, extract


def test_info(jzi: Jzi, repository: Path) -> None:
    ran = jzi("data", "info", repository)
    assert (ran.code, ran.err) == (0, "")
    for words in ("large_area_train_map.csv", "photos: 13", "region: 400 m", "ATTRIBUTION"):
        assert words in ran.out
    values = jzi("data", "info", repository, "--json").json
    assert values["splits"] == {"train": 8, "val": 5}
    assert values["photos"] == 13
    assert values["map"]["fingerprint"] in ran.out


def test_a_folder_with_square_brackets_is_a_folder(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    """To the table library a name such as town [ab] is a pattern that means the folder `town a`: no name is expanded."""
    for name in ("town a", "town [ab]"):
        extract(repository, tmp_path / name)
    (tmp_path / "town a" / "metadata" / "large_area_train_map.csv").write_text("not a table")
    ran = jzi("data", "info", tmp_path / "town [ab]", "--json")
    assert (ran.code, ran.err) == (0, "") and ran.json["splits"] == {"train": 8, "val": 5}


def test_extracted_is_the_same_dataset(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    one, other = (jzi("data", "info", r, "--json").json for r in (repository, extract(repository, tmp_path / "extracted")))
    for key in ("splits", "photos", "photo_bytes"):
        assert one[key] == other[key]
    assert [(level["level"], level["tiles"]) for level in one["map"]["levels"]] \
        == [(level["level"], level["tiles"]) for level in other["map"]["levels"]]


def test_verify_finds_nothing_wrong(jzi: Jzi, repository: Path) -> None:
    ran = jzi("data", "verify", repository)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("checked: 5 archives, 8 records of train, 5 records of val, 13 photos, ")
    assert ran.out.endswith("no problem found\n")
    assert jzi("data", "verify", repository, "--json").json["ok"] is True


def test_verify_finds_everything_wrong(jzi: Jzi, broken: Path) -> None:
    ran = jzi("data", "verify", broken)
    assert ran.code == 1
    assert f"{len(BREAKS)} problems: " in ran.out
    as_json = jzi("data", "verify", broken, "--json")
    assert (as_json.code, as_json.err) == (1, "")
    assert len(as_json.json["problems"]) == len(BREAKS) == sum(as_json.json["kinds"].values())
    assert all({"kind", "split", "item", "detail"} <= set(problem) for problem in as_json.json["problems"])
    without = jzi("data", "verify", broken, "--no-tiles", "--limit", 2)
    assert without.code == 1
    assert "broken_tile" not in without.out
    assert f"... and {len(BREAKS) - 3} more" in without.out


def test_no_dataset(jzi: Jzi, photos: Path, tmp_path: Path) -> None:
    assert "no split tables" in jzi("data", "info", photos).refusal()
    ran = jzi("data", "verify", photos)
    assert (ran.code, ran.err) == (1, "")
    assert "no split tables" in ran.out
    assert "neither layout.yaml nor satellite/layout.yaml" in ran.out
    for command in ("info", "verify"):
        assert "no such folder" in jzi("data", command, tmp_path / "none").refusal()


def test_synth(jzi: Jzi, tmp_path: Path) -> None:
    pytest.importorskip("embreex", reason="the synthetic city needs the extra 'synth'")
    words = ("--size-m", 60, "--photos", 2, "--val-photos", 1, "--photo-width", 64, "--photo-height", 36, "--gsd-m", 0.5,
             "--depth", 2, "--workers", 1, "--seed", 3)
    town = tmp_path / "town"
    ran = jzi("data", "synth", town, *words)
    assert (ran.code, ran.err) == (0, "")
    assert "2 training and 1 validation photos" in ran.out
    assert jzi("data", "verify", town).code == 0
    again = jzi("data", "synth", town, *words)
    assert (again.code, again.out) == (0, f"{town}: this town already exists; nothing was done\n")
    assert str(town) in jzi("data", "synth", town, *words[:-1], 4).refusal()  # never over something else that is there


@pytest.mark.parametrize("words", [("--size-m", 10), ("--split", "season"), ("--depth", 20), ("--gsd-m", 0)])
def test_synth_refusals(jzi: Jzi, tmp_path: Path, words: tuple[object, ...]) -> None:
    assert f"error: {words[0]}: " in jzi("data", "synth", tmp_path / "town", *words).refusal()
    assert not list(tmp_path.iterdir())

"""`jzi region fit` and `jzi map check`: a region for a map without one, and what the map lacks."""

import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from running import Jzi

from justzoomin.geometry import load_grid


@pytest.fixture
def unplaced(repository: Path, tmp_path: Path) -> Path:
    """The repository's map alone, without a region."""
    folder = tmp_path / "map"
    folder.mkdir()
    shutil.copytree(repository / "archives", folder / "archives", ignore=shutil.ignore_patterns("street*"))
    (folder / "satellite").mkdir()
    shutil.copy(repository / "satellite" / "layout.yaml", folder / "satellite")
    return folder


FIT = ("--pixels", 32, "--depth", 2, "--max-no-data", 0)


def test_fit_prints_a_region(jzi: Jzi, unplaced: Path, tmp_path: Path) -> None:
    ran = jzi("region", "fit", unplaced, *FIT)
    assert ran.code == 0
    values = yaml.safe_load(ran.out)  # standard output is the file, remarks are on standard error
    assert (values["grid"], values["depth"]) == (4, 2)
    assert values["east_m"][1] - values["east_m"][0] >= 400  # the tiles reach beyond the region they were made for
    assert "What views of 32 px need" in ran.err
    assert "largest squares, by share without data" in ran.err
    file = tmp_path / "region.yaml"
    file.write_text(ran.out)
    assert jzi("map", "check", unplaced, "--region", file, "--pixels", 32).code == 0


def test_views_are_those_of_a_preset(jzi: Jzi, unplaced: Path) -> None:
    fit = ("region", "fit", unplaced, "--size-m", 200, "--depth", 1, "--json")
    sizes = [jzi(*fit, *more).json["pixels"] for more in ((), ("--preset", "small"), ("--pixels", 100))]
    assert sizes == [384, 48, 100]
    assert "--pixels, --preset" in jzi(*fit, "--pixels", 100, "--preset", "small").refusal()
    assert "paper, small" in jzi(*fit, "--preset", "tiny").refusal()


def test_fit_writes_where_it_belongs(jzi: Jzi, unplaced: Path, tmp_path: Path) -> None:
    target = unplaced / "satellite" / "region.yaml"
    ran = jzi("region", "fit", unplaced, *FIT, "--write")
    assert (ran.code, ran.err) == (0, "")
    assert f"written: {target}" in ran.out
    first = target.read_text()
    assert jzi("region", "fit", unplaced, *FIT, "--write").code == 0  # the same once more
    other = ("region", "fit", unplaced, "--pixels", 32, "--size-m", 200, "--write")
    refusal = jzi(*other).refusal()
    assert str(target) in refusal
    assert "--force" in refusal
    assert target.read_text() == first
    assert jzi(*other, "--force").code == 0
    assert load_grid(target).region.size_m == 200
    as_json = jzi("region", "fit", unplaced, *FIT, "--out", tmp_path / "new" / "a.yaml", "--json").json
    assert as_json["written"] == [str(tmp_path / "new" / "a.yaml")]
    assert load_grid(tmp_path / "new" / "a.yaml").depth == as_json["region"]["depth"] == 2


def test_fit_leaves_split_tables_their_region(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(repository, tmp_path / "town"))
    (root / "satellite" / "region.yaml").unlink()
    assert "split tables" in jzi("region", "fit", root, *FIT, "--write").refusal()
    assert not (root / "satellite" / "region.yaml").exists()
    assert jzi("region", "fit", root, *FIT, "--write", "--force").code == 0


@pytest.mark.parametrize(("words", "says"), [
    (("--centre", "54.5"), "LAT,LON"), (("--centre", "99,3"), "latitude first"), (("--cell-m", 5, "--depth", 2), "Give one of "
                                                                                                                 "them"),
    (("--centre=54.5,3.0", "--size-m", 0), "--size-m"), (("--level", 9), "Levels with tiles"), (("--grid", 1), "Use 2 to 8"),
])
def test_fit_refusals(jzi: Jzi, unplaced: Path, words: tuple[object, ...], says: str) -> None:
    assert says in jzi("region", "fit", unplaced, "--pixels", 32, *words).refusal()


def test_check_a_dataset_and_draw_it(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "pictures" / "sheet.png"
    ran = jzi("map", "check", repository, "--pixels", 32, "--sheet", sheet)
    assert (ran.code, ran.err) == (0, "")
    assert f"contact sheet: {sheet}" in ran.out
    assert ran.out.splitlines()[-2].startswith("verdict: ")
    assert min(Image.open(sheet).size) > 1000
    values = jzi("map", "check", repository, "--pixels", 32, "--json").json
    assert (values["places"], values["sheet"]) == (13, None)
    assert [level["coverage"] for level in values["levels"]] == [1.0, 1.0]
    assert values["verdict"] in {"good", "usable with warnings"}


def test_check_says_what_forbids_training(jzi: Jzi, unplaced: Path) -> None:
    far = ("region", "fit", unplaced, "--pixels", 32, "--centre", "54.6,3.0", "--size-m", 400, "--depth", 2, "--write")
    assert jzi(*far).code == 0
    ran = jzi("map", "check", unplaced, "--pixels", 32)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines()[-1] == "verdict: cannot be trained on"
    assert "problem: grid level 0" in ran.out
    assert jzi("map", "check", unplaced, "--pixels", 32, "--json").code == 1


def test_check_without_a_region_takes_the_proposed_one(jzi: Jzi, unplaced: Path) -> None:
    ran = jzi("map", "check", unplaced, "--pixels", 32, "--json")
    proposed = jzi("region", "fit", unplaced, "--pixels", 32, "--json").json["region"]
    assert (ran.code, ran.json["region"], ran.json["region_proposed"]) == (0, proposed, True)
    assert f"`jzi region fit {unplaced} --pixels 32 --write` writes" in ran.err
    assert not (unplaced / "satellite" / "region.yaml").exists()
    assert jzi("region", "fit", unplaced, "--pixels", 32, "--write").code == 0
    again = jzi("map", "check", unplaced, "--pixels", 32, "--json")
    assert (again.code, again.json["region"], again.json["region_proposed"], again.err) == (0, proposed, False, "")


def test_check_refusals(jzi: Jzi, repository: Path, unplaced: Path, tmp_path: Path) -> None:
    assert "pixels" in jzi("map", "check", repository, "--pixels", 2).refusal()
    assert ".png" in jzi("map", "check", repository, "--sheet", tmp_path / "sheet.txt").refusal()

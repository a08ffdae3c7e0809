"""`jzi grid` and `jzi map`: answers, refusals."""

from pathlib import Path

import pytest
from PIL import Image
from running import Jzi

from fakes import make_repository


@pytest.mark.parametrize(("words", "names"), [
    (("encode", "48.8566", "2.3522"), "outside the region"),
    (("encode", "-76.940898", "38.908513"), "swapped"),
    (("encode", "95", "0"), "no latitude and longitude"),
    (("encode", "nan", "0"), "no latitude and longitude"),
    (("encode", "38.9", "-76.9", "--region", "nope"), "Presets: dc"),
    (("encode", "38.9", "-76.9", "--region", "none.yaml"), "none.yaml"),
    (("decode", "7,6,6,16"), "0 .. 15"),
    (("decode", "7,6,6,5,1"), "4 levels deep"),
    (("decode", "7,,6"), "7,6,6,5"),
    (("decode", "abc"), "no list of actions"),
])
def test_grid_refusals_name_what_is_wrong(jzi: Jzi, words: tuple[str, ...], names: str) -> None:
    assert names in jzi("grid", *words).refusal()
    assert names in jzi("grid", *words, "--json").refusal()


def test_grid_answers(jzi: Jzi) -> None:
    assert jzi("grid", "encode", "38.908513", "-76.940898").out == "7,6,6,5\n"
    assert jzi("grid", "encode", "38.908513", "-76.940898", "--json").json["sequence"] == [7, 6, 6, 5]
    lines = jzi("grid", "decode", "7,6,6,5").out.splitlines()
    assert lines[:2] == ["centre      38.908503 -76.940951", "size        39.0625 m"]
    cell = jzi("grid", "decode", "[7, 6, 6, 5]", "--json").json
    assert cell["corners"]["north_west"][0] > cell["lat"] > cell["corners"]["south_east"][0]  # latitude first
    assert jzi("grid", "decode", "7", "--json").json["size_m"] == 2500


def test_grid_takes_the_region_of_a_dataset(jzi: Jzi, repository: Path) -> None:
    region = repository / "satellite"
    for place in (region, region / "region.yaml"):
        cell = jzi("grid", "decode", "5,10", "--region", place, "--json").json
        assert cell["size_m"] == 25.0
        assert jzi("grid", "encode", cell["lat"], cell["lon"], "--region", place).out == "5,10\n"


def test_map_info(jzi: Jzi, repository: Path) -> None:
    ran = jzi("map", "info", repository)
    assert ran.code == 0
    assert "region: 400 m around 54.500000 3.000000" in ran.out
    assert jzi("map", "info", repository, "--json").json["fingerprint"] in ran.out


def test_map_view(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    place, picture = ("--lat", 54.5, "--lon", 3.0, "--size-m", 100), tmp_path / "view.png"
    ran = jzi("map", "view", repository, *place, "--pixels", 64, "--out", picture)
    assert (ran.code, ran.err) == (0, "")
    assert "no data: 0.00%" in ran.out
    assert Image.open(picture).size == (64, 64)
    away = jzi("map", "view", repository, "--lat", 48.8, "--lon", -2.3, "--size-m", 100, "--out", picture, "--json")
    assert away.json["no_data"] == 1.0
    assert away.err.startswith("warning: the map has no tile")


@pytest.mark.parametrize(("more", "names"), [
    (("--size-m", "-5"), "size_m"), (("--size-m", "nan"), "size_m"), (("--size-m", 100, "--pixels", 0), "pixels 0"),
    (("--size-m", 100, "--lat", 99), "99"),
])
def test_map_view_refusals(jzi: Jzi, repository: Path, tmp_path: Path, more: tuple[object, ...], names: str) -> None:
    words = ("map", "view", repository, "--lat", 54.5, "--lon", 3.0, "--out", tmp_path / "view.png", *more)
    assert names in jzi(*words).refusal()
    assert not list(tmp_path.iterdir())


def test_folders_that_are_no_maps(jzi: Jzi, photos: Path, tmp_path: Path) -> None:
    assert "layout.yaml" in jzi("map", "info", photos).refusal()
    assert str(tmp_path / "none") in jzi("map", "info", tmp_path / "none").refusal()
    lost = make_repository(tmp_path / "lost", train=1, val=1, pixels=32, region=False)
    assert "--region FILE" in jzi("map", "info", lost).refusal()

"""`jzi grid` and `jzi map`: answers, refusals."""

from pathlib import Path

import pytest
from PIL import Image
from running import Jzi

from fakes import make_repository


@pytest.mark.parametrize(("words", "names"), [
    (("encode", "48.8566", "2.3522"), "outside the region"),
    (("encode", "-76.940898", "38.908513"), "swapped"),
    (("encode", "95", "0"), "not a latitude and longitude"),
    (("encode", "nan", "0"), "not a latitude and longitude"),
    (("encode", "38.9", "-76.9", "--region", "nope"), "Presets: dc"),
    (("encode", "38.9", "-76.9", "--region", "none.yaml"), "none.yaml"),
    (("decode", "7,6,6,16"), "from 0 to 15"),
    (("decode", "7,6,6,5,1"), "at most 4 actions"),
    (("decode", "7,,6"), "7,6,6,5"),
    (("decode", "abc"), "not a list of actions"),
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


def test_a_view_needs_no_region(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    lost = make_repository(tmp_path / "lost", train=1, val=1, pixels=32, region=False)
    ran = jzi("map", "view", lost, "--at", "54.5,3.0", "--size", 100, "--pixels", 64, "--out", tmp_path / "a.png", "--json")
    assert (ran.code, ran.json["lat"], ran.json["lon"], ran.json["no_data"]) == (0, 54.5, 3.0, 0.0)
    for words in ((), ("--at", "54.5,3.0", "--lat", 54.5), ("--lat", 54.5)):
        assert "--at LAT,LON" in jzi("map", "view", lost, *words, "--size", 100, "--out", tmp_path / "b.png").refusal()


def test_swapped_positions_are_named_not_drawn_white(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    for place in (("--at", "3.0,54.5"), ("--lat", 3.0, "--lon", 54.5)):
        refusal = jzi("map", "view", repository, *place, "--size-m", 100, "--out", tmp_path / "v.png").refusal()
        assert "look swapped" in refusal and "--at=54.5,3." in refusal
    assert "they look swapped" in jzi("map", "view", repository, "--at", "130,54", "--size", 9, "--out",
                                      tmp_path / "v.png").refusal()
    for more in ((), ("--size-m", 100)):
        assert "--centre=54.5,3." in jzi("region", "fit", repository, "--centre", "3.0,54.5", *more).refusal()
    assert not (tmp_path / "v.png").exists()


def test_imagery_in_the_place_of_a_map_is_sent_to_map_build(jzi: Jzi, tmp_path: Path) -> None:
    (tmp_path / "photo.tif").write_bytes(b"II*\0")
    assert f"jzi map build {tmp_path / 'photo.tif'} MAP" in jzi("map", "info", tmp_path / "photo.tif").refusal()
    assert f"jzi map build {tmp_path} MAP" in jzi("map", "info", tmp_path).refusal()


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

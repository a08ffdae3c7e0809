"""`jzi index`, and `--index` and `--out` of the commands that use it."""

import json
from pathlib import Path

import polars as pl
from running import Jzi

from fakes import tiny_matching_model, tiny_model


def test_an_index_is_made_and_used(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    made = jzi("index", model, "--data", repository, "--out", tmp_path / "index", "--json")
    assert (made.code, made.json["ready"], made.json["views"]) == (0, 17, 17)
    assert f"17 views, {made.json['bytes'] / 1e6:.1f} MB on the disk" in made.err
    too_many = jzi("index", model, "--data", repository, "--out", tmp_path / "few", "--max-views", 16).refusal()
    assert "17 views" in too_many and "--max-views 17" in too_many
    again = jzi("index", model, "--data", repository, "--out", tmp_path / "index")
    assert again.code == 0
    assert "17 of 17 views ready" in again.out
    plain, indexed = (jzi("localize", photos, "--model", model, "--map", repository, "--json", *extra).json
                      for extra in ((), ("--index", tmp_path / "index")))
    assert [row["sequence"] for row in plain] == [row["sequence"] for row in indexed]
    report = jzi("evaluate", model, "--data", repository, "--index", tmp_path / "index", "--json", tmp_path / "report.json")
    assert report.code == 0


def test_a_lazy_index_fills_as_it_is_used(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    assert "0 of 17 views ready" in jzi("index", model, "--data", repository, "--out", index, "--lazy", "--fp16").out
    assert jzi("localize", photos, "--model", model, "--map", repository, "--index", index, "--search", "greedy").code == 0
    ready = jzi("index", model, "--data", repository, "--out", index, "--lazy", "--fp16", "--json").json["ready"]
    assert 2 <= ready <= 3  # the root, and the view below it of each of two photos


def test_for_a_matcher_the_map_is_described(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    model, index = tiny_matching_model().save_pretrained(tmp_path / "matching"), tmp_path / "index"
    make = ("index", model, "--data", repository, "--out", index)
    lazy = jzi(*make, "--lazy", "--json").json
    assert (lazy["pieces_ready"], lazy["ready"], lazy["views"]) == (0, 0, 17)
    made = jzi(*make, "--json")
    assert made.json["pieces_ready"] == made.json["pieces"] == lazy["pieces"] > 1
    assert made.json["ready"] == 0 and made.json["seconds"] > 0
    assert made.json["piece_bytes"] == (index / "ground.bin").stat().st_size
    said = " ".join(made.err.split())
    assert "17 views" in said and "when all are encoded" in said
    assert f"{lazy['pieces']} pieces of map, {lazy['piece_bytes'] / 1e6:.1f} MB on the disk" in said
    again = jzi(*make).out
    assert f"described map: {lazy['pieces']} of {lazy['pieces']} pieces ready" in again and "time: " in again


def test_an_index_of_something_else_is_refused(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    other = tiny_model(seed=3).save_pretrained(tmp_path / "other")
    jzi("index", other, "--data", repository, "--out", tmp_path / "index", "--lazy")
    use = ("localize", photos, "--model", model, "--map", repository)
    assert "another model" in jzi(*use, "--index", tmp_path / "index").refusal()
    assert "index.json" in jzi(*use, "--index", tmp_path).refusal()
    assert "precision" not in jzi("index", other, "--data", repository, "--out", tmp_path / "index", "--fp16").refusal()


def test_many_photos_into_a_file(jzi: Jzi, photos: Path, unusable: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    names = tmp_path / "photos.txt"
    names.write_text(f"{photos / 'b.jpg'}\n\n{(unusable / 'text.jpg')}\nnone.jpg\n")
    out = tmp_path / "fixes.parquet"
    ran = jzi("localize", names, photos, "--model", model, "--map", repository, "--out", out)
    assert ran.code == 1
    assert "2 photos localized, 2 failed" in ran.out
    assert pl.read_parquet(out)["photo"].to_list() == [str(photos / "b.jpg"), str(photos / "a.PNG")]
    failed = (tmp_path / "fixes.parquet.failed.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in failed] == ["photo", str(unusable / "text.jpg"), str(tmp_path / "none.jpg")]
    ran = jzi("localize", photos, "--model", model, "--map", repository, "--out", tmp_path / "fixes.jsonl")
    assert ran.code == 0
    assert [json.loads(line)["photo"] for line in (tmp_path / "fixes.jsonl").read_text().splitlines()] == [
        str(photos / "a.PNG"), str(photos / "b.jpg")]


def test_outputs_that_cannot_be(jzi: Jzi, photos: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    use = ("localize", photos, "--model", model, "--map", repository, "--out")
    assert ".parquet" in jzi(*use, tmp_path / "fixes.xlsx").refusal()
    assert "--json" in jzi(*use, tmp_path / "fixes.csv", "--json").refusal()
    (tmp_path / "fixes.csv").touch()
    assert "the file exists already" in jzi(*use, tmp_path / "fixes.csv").refusal()
    (tmp_path / "empty.txt").write_text("\n")
    ran = jzi("localize", tmp_path / "empty.txt", "--model", model, "--map", repository)
    assert "names no photo" in ran.err

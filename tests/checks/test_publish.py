"""The check before publishing: facts are settled, gaps are reported with a remedy, nothing is guessed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from fakes import SUFFIX, encoded, make_repository, picture, with_exif, write_tar
from justzoomin.checks import PublishItem, publish_check
from justzoomin.checks.exifleft import left_behind
from justzoomin.checks.licences import conditions, names_licence
from justzoomin.data import open_dataset
from justzoomin.errors import PhotoError

Check = Callable[..., dict[str, PublishItem]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("publish") / "base", train=4, val=2, pixels=32, extracted=True,
                           photo_size=(64, 36))


@pytest.fixture
def root(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "town"))


def found(root: Path, **settings: object) -> dict[str, PublishItem]:
    items = publish_check(open_dataset(root), **settings)  # type: ignore[arg-type]
    assert len({item.name for item in items}) == len(items)
    assert all(item.remedy for item in items if item.state != "settled")
    return {item.name: item for item in items}


def photo_ids(root: Path) -> list[str]:
    return sorted(p.name.removesuffix(SUFFIX) for p in (root / "streetview" / "images").iterdir())


def metadata(root: Path, columns: Mapping[str, list[object]]) -> None:
    pl.DataFrame({"image_id": photo_ids(root), **columns}).write_csv(root / "streetview" / "metadata.csv")


def test_a_bare_dataset(root: Path) -> None:
    items = found(root)
    assert {name for name, item in items.items() if item.state == "unsettled"} == {
        "photo_licence", "photo_attribution", "map_attribution", "dataset_card", "faces_and_plates"}
    assert items["file_metadata"].state == items["unlisted_photos"].state == items["personal_columns"].state == "settled"
    assert "blurs nothing" in items["faces_and_plates"].finding
    assert "6 of 6 photos' files were searched" in items["file_metadata"].finding


def test_a_dataset_with_everything(root: Path) -> None:
    metadata(root, {"license": ["CC BY 4.0"] * 6, "attribution": ["A street survey"] * 6, "anonymized": [True] * 6})
    (root / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A town\n")
    (root / "ATTRIBUTION").write_text("Orthophoto: a survey office, CC BY 4.0.\n")
    items = found(root)
    assert not [name for name, item in items.items() if item.state == "unsettled"]
    for name in ("photo_licence", "photo_attribution", "map_attribution", "dataset_card", "faces_and_plates"):
        assert items[name].state == "settled", name
    assert "not checked here" in items["faces_and_plates"].finding
    assert "A survey office".lower() in items["map_attribution"].finding.lower()
    assert "licences_mixed" not in items
    assert items["positions"].state == "person must decide"


def test_licences_are_counted_and_their_conditions_named(root: Path) -> None:
    ids = photo_ids(root)
    metadata(root, {"licence": ["CC BY-SA 4.0", "CC BY-SA 4.0", "CC BY-NC-ND 4.0", "house rules", "CC0", None]})
    items = found(root)
    assert items["photo_licence"].state == "unsettled"
    assert items["photo_licence"].examples == (ids[5],)
    assert "5 of 6 photos state a licence" in items["photo_licence"].finding
    assert "CC BY-SA 4.0 (2)" in items["licences_mixed"].finding
    assert (items["licence_share_alike"].state, items["licence_share_alike"].finding[:20]) == ("person must decide",
                                                                                             "2 photos are share-a")
    assert items["licence_no_derivatives"].state == items["licence_unknown"].state == "unsettled"
    assert items["licence_unknown"].examples == ("house rules",)
    assert items["licence_non_commercial"].state == "person must decide"


def test_one_licence_for_the_whole(root: Path) -> None:
    (root / "README.md").write_text("# A town\n\nAll photos are under CC BY-SA 4.0.\n")
    items = found(root)
    assert items["photo_licence"].state == "person must decide"
    assert "All photos are under CC BY-SA 4.0." in items["photo_licence"].finding
    (root / "README.md").write_text("# A town without terms\n")
    assert found(root)["dataset_card"].state == "unsettled"


def test_attribution_that_some_photos_lack(root: Path) -> None:
    ids = photo_ids(root)
    metadata(root, {"creator": ["somebody", *[None] * 5]})
    assert found(root)["photo_attribution"].state == "unsettled"
    (root / "ATTRIBUTION").write_text("Photos: a street survey.")
    item = found(root)["photo_attribution"]
    assert (item.state, item.examples) == ("person must decide", tuple(sorted(ids[1:])))
    assert found(root)["personal_columns"].examples == ("streetview/metadata.csv: creator",)


def test_some_photos_not_anonymized(root: Path) -> None:
    ids = photo_ids(root)
    metadata(root, {"anonymized": ["true", "True", "1", "yes", "false", None]})
    item = found(root)["faces_and_plates"]
    assert (item.state, set(item.examples)) == ("unsettled", set(ids[4:]))


@pytest.mark.parametrize("packed", [False, True])
def test_exif_left_in_files(root: Path, packed: bool) -> None:
    ids, photos = photo_ids(root), root / "streetview" / "images"
    (photos / f"{ids[2]}{SUFFIX}").write_bytes(with_exif(picture(64, 36), gps=(54.5, 3.0)))
    exif = Image.Exif()
    exif[0x013B], exif[0x0110] = "Somebody", "A camera"
    (photos / f"{ids[3]}{SUFFIX}").write_bytes(encoded(picture(64, 36), exif=exif))
    if packed:
        members = {f"streetview/images/{p.name}": p.read_bytes() for p in photos.iterdir()}
        shutil.rmtree(photos)
        write_tar(root / "archives" / "streetview_images_000.tar", members)
    item = found(root)["file_metadata"]
    assert item.state == "unsettled"
    assert set(item.examples) == {ids[2], ids[3]}
    for words in ("1 with gps", "1 with owner", "Artist (1)", "Model (1)"):
        assert words in item.finding
    assert "jzi photos import" in item.remedy


def test_harmless_exif_and_a_sample(root: Path) -> None:
    image_id = photo_ids(root)[0]
    exif = Image.Exif()
    exif[0x0110] = "A camera"
    (root / "streetview" / "images" / f"{image_id}{SUFFIX}").write_bytes(encoded(picture(64, 36), exif=exif))
    assert found(root)["file_metadata"].state == "person must decide"
    (root / "streetview" / "images" / f"{image_id}{SUFFIX}").write_bytes(with_exif(picture(64, 36), orientation=6))
    assert found(root)["file_metadata"].state == "settled"
    sampled = found(root, sample=2)["file_metadata"]
    assert (sampled.state, sampled.remedy) == ("person must decide", "Search all of them: --all-photos.")
    assert "2 of 6" in sampled.finding


def test_a_broken_photo_and_one_in_no_split(root: Path) -> None:
    photos = root / "streetview" / "images"
    ids = photo_ids(root)
    (photos / f"{ids[0]}{SUFFIX}").write_bytes(b"no photo")
    (photos / f"stray{SUFFIX}").write_bytes(encoded(picture(64, 36)))
    items = found(root)
    assert (items["file_metadata"].state, items["file_metadata"].examples) == ("unsettled", (ids[0],))
    assert "jzi data verify" in items["file_metadata"].remedy
    assert (items["unlisted_photos"].state, items["unlisted_photos"].examples) == ("unsettled", ("stray",))


def test_tiles_of_a_server(root: Path) -> None:
    path = root / "satellite" / "layout.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "url": "https://tiles.example.org/{z}/{x}/{y}"}))
    item = found(root)["tile_server_terms"]
    assert item.state == "person must decide"
    assert "https://tiles.example.org" in item.finding


def test_columns_about_persons_and_times(root: Path) -> None:
    metadata(root, {"creator_username": ["a"] * 6, "camera_serial": [None] * 6, "user_email": ["b"] * 6,
                    "captured_at": ["2024-05-01T10:00:00Z"] * 6, "camera_clock": ["2024-05-01T12:00:00"] * 6,
                    "gps_time_stated": ["2024-05-01T10:00:00+00:00"] * 6})
    items = found(root)
    assert items["personal_columns"].examples == ("streetview/metadata.csv: creator_username", "streetview/metadata.csv: "
                                                                                               "user_email")
    assert all(c in items["times"].finding for c in ("captured_at", "camera_clock", "gps_time_stated"))
    assert "heading" not in items["personal_columns"].finding


@pytest.mark.parametrize(("decimals", "words"), [(6, "6 decimals, steps of 0.11 m"), (3, "3 decimals, steps of 1.1e+02 m")])
def test_how_exact_positions_are(root: Path, decimals: int, words: str) -> None:
    for path in (root / "metadata").iterdir():
        table = pl.read_csv(path, infer_schema=False)
        table.with_columns(pl.col("latitude", "longitude").cast(pl.Float64).round(decimals)).write_csv(path)
    assert words in found(root)["positions"].finding


@pytest.mark.parametrize(("name", "kinds"), [
    ("CC BY-SA 4.0", ["share-alike"]), ("cc-by-4.0", []), ("CC0", []), ("CC BY-NC-SA 2.0", ["share-alike", "non-commercial"]),
    ("Creative Commons Attribution-ShareAlike", ["share-alike"]), ("cc_by_nd_4", ["no derivatives"]), ("ODbL", ["share-alike"]),
    ("All rights reserved", ["all rights reserved"]), ("ask me", ["unknown"]), ("Public Domain", []), ("sandwich", ["unknown"]),
])
def test_conditions_of_licences(name: str, kinds: list[str]) -> None:
    assert conditions(name) == kinds


@pytest.mark.parametrize(("text", "name"), [
    ("---\nlicense: cc-by-sa-4.0\ntags: [a]\n---\n# X", "cc-by-sa-4.0"), ("# X\n\n**Licence**: CC BY 4.0\n", "Licence**: CC "
                                                                                                             "BY 4.0"),
    ("---\nlicense:\n---\nnothing", None), ("permitted use is limited", None), ("", None),
])
def test_the_licence_that_a_card_names(text: str, name: str | None) -> None:
    assert names_licence(text) == name


def test_previews_comments_and_xmp() -> None:
    plain = picture(64, 36)
    assert left_behind(encoded(plain), "x") == {}
    assert left_behind(encoded(plain, comment=b"by somebody"), "x") == {"text": ["comment"]}
    assert left_behind(encoded(plain, xmp=b"<x:xmpmeta/>"), "x") == {"text": ["XMP"]}
    assert left_behind(encoded(plain, "PNG"), "x") == {}
    frames = [Image.fromarray(plain), Image.fromarray(255 - plain)]
    assert left_behind(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), "x")["preview"] == [
        "further pictures in the file"]
    with pytest.raises(PhotoError, match="x: the file is not a readable image"):
        left_behind(b"none", "x")


@pytest.mark.parametrize("cut", range(2, 40, 5))
def test_broken_exif_does_not_crash(cut: int) -> None:
    data = with_exif(picture(64, 36), gps=(54.5, 3.0))
    start = data.index(b"Exif\0\0")
    rng = np.random.default_rng(cut)
    broken = data[:start + 6 + cut] + rng.bytes(20) + data[start + 26 + cut:]
    try:
        assert set(left_behind(broken, "x")) <= {"gps", "owner", "serial", "preview", "text", "other"}
    except PhotoError as error:
        assert error.where == "x"


def test_real_photos_with_exif(shared: Path) -> None:
    kinds = left_behind((shared / "data" / "exif" / "DSCN0010.jpg").read_bytes(), "DSCN0010.jpg")
    assert "gps" in kinds
    assert "preview" in kinds
    lund = left_behind((shared / "data" / "lund" / "01.jpg").read_bytes(), "01.jpg")
    assert "gps" in lund

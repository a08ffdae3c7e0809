"""A pack is one line to a localizer of its place, and nothing of it is opened before it was checked."""

import json
import shutil

import numpy as np
import pytest

import fakes
from justzoomin.archives import Manifest
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError, TileError
from justzoomin.packs import PACK_FILE, Rights, make_pack, open_pack, plan_pack
from justzoomin.posterior import Calibration, OneMapCalibration
from justzoomin.search import Localizer, build_index
from loopback_hub import serving

RIGHTS = {"model": Rights("cc0-1.0", ""), "map": Rights("cc-by-4.0", "Somebody")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A town, a calibrated model and its index."""
    root = fakes.make_repository(tmp_path_factory.mktemp("packs") / "town", train=2, val=2)
    town, model = open_dataset(root), fakes.tiny_model()
    (root / "ATTRIBUTION").write_text("Somebody\n")
    folder = model.save_pretrained(root.parent / "model", town.grid)
    depth = town.grid.depth
    here = OneMapCalibration("b" * 64, 5, (2.0,) * depth, (0.01,) * depth, "entropy", -100.0, 0.95, {},
                             map=town.map.fingerprint())
    Calibration(model.fingerprint(), here).save(folder / "calibration.json")
    build_index(model, town.map, root.parent / "index")
    photo = town.photos.read(town.split("val").image_ids[0])
    return root.parent, photo


@pytest.fixture(scope="module")
def pack(place):
    folder = place[0]
    plan = plan_pack(folder / "model", folder / "town", folder / "index", "A town", RIGHTS)
    return make_pack(plan, folder / "pack", card="# A town\n", check=lambda made: None)


@pytest.fixture
def copy(pack, tmp_path):
    return shutil.copytree(pack, tmp_path / "pack")


def rewrite(folder, change):
    """Change the list of a pack."""
    path = folder / "hashes.json"
    content = json.loads(path.read_text())
    change(content["files"])
    path.write_text(json.dumps(content))


def test_a_pack_answers_like_its_parts(place, pack):
    folder, photo = place
    whole = Localizer.load_pack(pack, device="cpu", search="posterior").localize(photo)
    parts = Localizer.load(folder / "model", folder / "town", device="cpu", index=folder / "index",
                           search="posterior").localize(photo)
    assert whole.calibrated and (whole.lat, whole.lon, whole.regions) == (parts.lat, parts.lon, parts.regions)
    found = open_pack(pack)  # the localizer has changed nothing
    assert found.rights == RIGHTS and found.title == "A town" and not list(pack.rglob("streetview*"))
    assert found.bytes == sum((pack / name).stat().st_size for name in Manifest.load(pack).files)


def test_a_pack_of_the_hub_works_without_the_network(place, pack, monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "cache") as hub:
        hub.add("models/owner/town", pack)
        hub.repos["models/owner/town"].files["other/large.bin"] = b"x"
        fixes = [Localizer.load_pack("owner/town", device="cpu").localize(place[1])]
        assert not any("large.bin" in path for _, path in hub.log)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        fixes.append(Localizer.load_pack("owner/town", device="cpu").localize(place[1]))
        assert fixes[0].lat == fixes[1].lat
        with pytest.raises(DataError, match="no pack could be fetched"):
            open_pack("owner/none")


def test_files_of_the_hub_that_the_pack_does_not_list_are_not_fetched(pack, monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "cache") as hub:
        hub.add("models/owner/town", pack)
        hub.repos["models/owner/town"].files["map/more.bin"] = b"x" * 1000
        with pytest.raises(DataError, match=r"more\.bin.*lists no bytes, but the hub lists 1000"):
            open_pack("owner/town")
        assert not any("/resolve/" in path and "more.bin" in path for _, path in hub.log)


def test_every_byte_of_a_pack_is_bound(copy):
    for name in Manifest.load(copy).files:
        path = copy / name
        content = path.read_bytes()
        for wrong, words in ((content + b"x", "bytes instead"), (bytes([content[0] ^ 1]) + content[1:], "sha256")):
            path.write_bytes(wrong)
            with pytest.raises(DataError, match=words):
                open_pack(copy)
        path.unlink()
        with pytest.raises(DataError):
            open_pack(copy)
        path.write_bytes(content)
    open_pack(copy)


@pytest.mark.parametrize("name", ["map/1/2/3.jpg", "model/encoder.onnx", "index/ground.json"])
def test_files_that_are_not_listed_are_refused(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"x")
    with pytest.raises(DataError, match="does not list this file"):
        open_pack(copy)


def test_an_index_of_a_shard_that_lies_is_refused(place, copy):
    """It has the shard's size and time, as an archive can set them, but leads to other tiles."""
    Localizer.load_pack(copy, device="cpu")
    kept = next((copy / "map" / "archives" / ".jzi-index").glob("*0_000*.npz"))
    with np.load(kept) as stored:
        values = dict(stored)
    values.update({name: values[name][::-1].copy() for name in ("offsets", "sizes")})
    np.savez(kept, **values)
    with pytest.raises(TileError, match="the index disagrees"):
        open_pack(copy)
    kept.unlink()
    open_pack(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "map/../../outside", "other/file", "map\\..\\x", "hashes.json",
                                  "map/archives/.jzi-index/x.npz"])
def test_hostile_paths(copy, name):
    rewrite(copy, lambda files: files.update({name: {"bytes": 1, "sha256": "0" * 64}}))
    with pytest.raises(DataError, match="lists"):
        open_pack(copy)


def test_links_are_refused(copy, tmp_path):
    (copy / "map").rename(tmp_path / "elsewhere")
    (copy / "map").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="it is a link"):
        open_pack(copy)


@pytest.mark.parametrize("change", [
    {"format": "other"}, {"title": 5}, {"title": "x" * 20_000}, {"map": "model"}, {"map": "map/../model/a.mbtiles"},
    {"map": "map/a.tif"}, {"rights": {}}, {"rights": {"model": {"licence": "a", "attribution": None}, "map": {}}},
])
def test_hostile_descriptions(copy, change):
    path = copy / PACK_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    Manifest.of(copy, Manifest.load(copy).files).save(copy)
    with pytest.raises(DataError, match=r"pack\.json"):
        open_pack(copy)


def test_a_plan_says_what_a_pack_holds(place, tmp_path):
    folder, _ = place
    plan = plan_pack(folder / "model", folder / "town", None, "A town", RIGHTS)
    assert plan.bytes == sum(path.stat().st_size for path in plan.files.values())
    assert not any("streetview" in name or "metadata" in name for name in plan.files)
    linked = make_pack(plan, tmp_path / "linked", link=True)
    same = [name for name, path in plan.files.items() if (linked / name).samefile(path)]
    assert same == list(plan.files) or not same  # another file system cannot link
    with pytest.raises(DataError, match="it exists"):
        make_pack(plan, tmp_path / "linked")
    with pytest.raises(DataError, match="no index"):
        plan_pack(folder / "model", folder / "town", tmp_path / "none", "A town", RIGHTS)
    with pytest.raises(ConfigError, match="licence of the map"):
        plan_pack(folder / "model", folder / "town", None, "A town", {**RIGHTS, "map": Rights(" ", "")})
    with pytest.raises(ConfigError, match="tile server"):
        plan_pack(folder / "model", "https://example.org/{z}/{x}/{y}.png", None, "A town", RIGHTS)
    refused = DataError("pack", "it is refused", "")

    def refuse(made):
        raise refused

    with pytest.raises(DataError, match="refused"):
        make_pack(plan, tmp_path / "refused", check=refuse)
    assert not (tmp_path / "refused").exists() and not list(tmp_path.glob(".refused.part"))


def test_loose_tiles_go_into_a_pack(place, tmp_path):
    root = fakes.make_repository(tmp_path / "loose", train=1, val=1, extracted=True)
    plan = plan_pack(place[0] / "model", root, None, "Loose", RIGHTS)
    assert any(name.endswith((".jpg", ".png")) for name in plan.files)
    assert open_pack(make_pack(plan, tmp_path / "pack")).files == len(plan.files) + 1

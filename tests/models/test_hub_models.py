"""A model opened by its hub id is the whole model: calibration, exported encoders, hashes, also without the network."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

import fakes
from justzoomin.archives import MANIFEST_FILE, Manifest
from justzoomin.data import open_dataset
from justzoomin.errors import ModelError
from justzoomin.evaluation import evaluate_path
from justzoomin.models import PartialModelWarning, find_folder, open_model
from justzoomin.models.folders import BOUND_FILES
from justzoomin.posterior import Calibration, OneMapCalibration
from justzoomin.search import Localizer
from loopback_hub import LoopbackHub, serving

REPO = "models/owner/name"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("town"), train=3, val=2))


@pytest.fixture(scope="module")
def whole(town, tmp_path_factory):
    """A model folder with all that can belong to it; the exported encoders are words, because they are not run here."""
    folder = tmp_path_factory.mktemp("model") / "model"
    model = fakes.tiny_model()
    model.save_pretrained(folder, town.grid, {"seed": 1})
    depth = town.grid.depth
    here = OneMapCalibration("b" * 64, 5, (2.0,) * depth, (0.01,) * depth, "entropy", -100.0, 0.95, {},
                             map=town.map.fingerprint())
    Calibration(model.fingerprint(), here).save(folder / "calibration.json")
    (folder / "encoder.onnx").write_bytes(b"exported")
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# A model\n")
    (folder / "notes.txt").write_text("not a part of the model")
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path, whole):
    with serving(monkeypatch, tmp_path / "cache") as found:
        found.add(REPO, whole)
        yield found


def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_everything_that_belongs_to_a_model_travels(hub: LoopbackHub, whole, monkeypatch):
    folder = find_folder("owner/name", None)
    assert {p.name for p in folder.iterdir()} == {p.name for p in whole.iterdir()} - {"notes.txt"}
    assert all((folder / p.name).read_bytes() == p.read_bytes() for p in whole.iterdir() if p.name != "notes.txt")
    offline(monkeypatch)
    before = len(hub.log)
    assert find_folder("owner/name", None) == folder and len(hub.log) == before


def test_a_model_of_the_hub_answers_like_its_folder(hub, whole, town, monkeypatch):
    """Calibration is found by the localizer and by the evaluation, with the network and without it."""
    photo = town.photos.read(town.split("val").image_ids[0])
    opened = open_model("owner/name")
    assert opened.folder is not None and (opened.folder / "calibration.json").is_file()
    own = Localizer.load(whole, town.map, device="cpu", search="posterior").localize(photo)
    for last in (False, True):
        fix = Localizer.load("owner/name", town.map, device="cpu", search="posterior").localize(photo)
        assert fix.calibrated and own.calibrated and fix.regions == own.regions
        report, = (e.table for e in evaluate_path("owner/name", town.root, dataset=town, device="cpu",
                                                  search="posterior").values())
        assert report.info.calibration is not None
        if not last:
            offline(monkeypatch)


def test_an_exported_encoder_of_the_hub_is_found(hub):
    with pytest.raises(ModelError, match=r"encoder\.onnx"):  # it is found, and is not an ONNX file
        open_model("owner/name", runtime="onnx")


@pytest.mark.parametrize("name", ["model.safetensors", "region.yaml", "calibration.json"])
def test_a_damaged_copy_in_the_cache_is_refused(hub, name):
    blob = (find_folder("owner/name", None) / name).resolve()
    content = bytearray(blob.read_bytes())
    content[-2] ^= 1
    blob.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{re.escape(name)}.*is damaged"):
        find_folder("owner/name", None)


@pytest.mark.parametrize("online", [True, False])
def test_a_list_of_hashes_binds_the_folder(hub, whole, tmp_path, online):
    folder = shutil.copytree(whole, tmp_path / "bound")
    Manifest.of(folder, [name for name in BOUND_FILES if (folder / name).exists()]).save(folder)
    source = "owner/name" if online else folder
    hub.add(REPO, folder)
    assert find_folder(source, None)
    (folder / "README.md").write_text("# Cards may be edited.\n")
    hub.add(REPO, folder)
    assert find_folder(source, None)
    for name, words in (("calibration.json", "sha256 is"), ("encoder.onnx", "bytes instead of")):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content.replace(b"e", b"f") + (b"" if name.startswith("cal") else b"x"))
        hub.add(REPO, folder)
        with pytest.raises(ModelError, match=words):
            find_folder(source, None)
        (folder / name).unlink()
        hub.add(REPO, folder)
        with pytest.raises(ModelError, match="missing"):
            find_folder(source, None)
        (folder / name).write_bytes(content)
    (folder / "encoder.matcher.onnx").write_bytes(b"added")
    hub.add(REPO, folder)
    with pytest.raises(ModelError, match="does not list this file"):
        find_folder(source, None)


def test_a_changed_folder_loses_its_list(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "bound")
    Manifest.of(folder, ["model.safetensors"]).save(folder)
    fakes.tiny_model(seed=4).save_pretrained(folder)
    assert not (folder / MANIFEST_FILE).exists()


@pytest.mark.parametrize("content", [
    "", "[]", '{"format": "other", "files": {}}', '{"format": "justzoomin-files/1", "files": {"a": {"bytes": 1}}}',
    '{"format": "justzoomin-files/1", "files": {"../a": {"bytes": 1, "sha256": "%s"}}}' % ("0" * 64),
    '{"format": "justzoomin-files/1", "files": {"a": {"bytes": true, "sha256": "%s"}}}' % ("0" * 64), "[" * 100_000,
])
def test_hostile_lists_of_hashes(whole, tmp_path, content):
    folder = shutil.copytree(whole, tmp_path / "bound")
    (folder / MANIFEST_FILE).write_text(content)
    with pytest.raises(ModelError, match=MANIFEST_FILE):
        find_folder(folder, None)


def test_a_list_says_what_is_there(whole):
    found = Manifest.of(whole, ["config.json"])
    assert found.files["config.json"].digest == hashlib.sha256((whole / "config.json").read_bytes()).hexdigest()
    assert json.loads(found.to_bytes())["files"]["config.json"]["bytes"] == (whole / "config.json").stat().st_size
    assert found.problems(whole) == []


def test_a_cached_copy_of_an_earlier_version_is_told(hub, whole, monkeypatch):
    """Earlier versions fetched four files. Without the network nobody knows whether there are more."""
    bare = Path(whole.parent / "bare")
    shutil.copytree(whole, bare, ignore=shutil.ignore_patterns("README.md", "calibration.json", "*.onnx"), dirs_exist_ok=True)
    hub.add(REPO, bare)
    find_folder("owner/name", None)
    offline(monkeypatch)
    with pytest.warns(PartialModelWarning, match="Open the model once with the network"):
        find_folder("owner/name", None)

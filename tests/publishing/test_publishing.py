"""What is published comes back equal, and what is not settled is not published."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.files import write_json
from justzoomin.hub import Selection, download, plan_download
from justzoomin.models import find_folder, open_model
from justzoomin.packs import Rights, make_pack, open_pack, plan_pack
from justzoomin.publishing import (
    dataset_items,
    model_push_items,
    publish_dataset,
    push_model,
    push_pack,
    stated_pack_rights,
    write_dataset_card,
    write_model_card,
)
from loopback_hub import serving

TRAINED = {"train_split": "train", "train_split_hash": "a" * 64, "map_hash": "b" * 64, "data": "town", "photos": 5}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "cache") as found:
        yield found


@pytest.fixture(scope="module")
def town_made(tmp_path_factory):
    root = fakes.make_repository(tmp_path_factory.mktemp("town") / "town", train=3, val=3)
    (root / "ATTRIBUTION").write_text("Somebody, CC BY 4.0\n")
    (root / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Old\n")
    for path in (root / "metadata").glob("*.csv"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([f"{lines[0]},anonymized", *(f"{line},true" for line in lines[1:])]) + "\n")
    (root / "notes.txt").write_text("mine")
    return root


@pytest.fixture
def town(town_made, tmp_path):
    return open_dataset(shutil.copytree(town_made, tmp_path / "town"))


def model_in(folder: Path, **rights) -> Path:
    """A model folder with a record of its training."""
    row = {**TRAINED, "rights": {"licences": ["cc-by-4.0"], "attribution": "Somebody", **rights}}
    return fakes.tiny_model().save_pretrained(folder, None, row)


def unsettled(items):
    return {item.name for item in items if item.state == "unsettled"}


def test_a_dataset_comes_back_equal(hub, town, tmp_path):
    """Card, publish, download, verify, open: the same splits, photos and map."""
    with pytest.raises(ConfigError, match="--replace"):
        write_dataset_card(town)
    write_dataset_card(town, title="A town", replace=True, samples=2)
    town = open_dataset(town.root)
    items = dataset_items(town)
    assert unsettled(items) == set()
    with pytest.raises(ConfigError, match="nothing was uploaded; person must decide"):
        publish_dataset(town, "owner/town", items)
    assert not hub.repos
    pushed = publish_dataset(town, "owner/town", items, decided=True)
    there = hub.repos["datasets/owner/town"]
    assert there.commits[-1][0] == pushed.commit
    assert set(there.files) >= {"README.md", "assets/zoom.gif", "assets/samples.jpg", "metadata/large_area_val_map.parquet",
                                "metadata/large_area_val_map.csv"}
    assert not any(".jzi" in name or "notes" in name for name in there.files)
    back = tmp_path / "back"
    download(plan_download(back, "owner/town", None, Selection(levels="all")))
    found = open_dataset(back)
    assert found.map.fingerprint() == town.map.fingerprint()
    for split in town.split_paths:
        assert found.split_hash(split) == town.split_hash(split)
        assert all(found.photos.read(i) == town.photos.read(i) for i in town.split(split).image_ids)
    for path in (back / "metadata").glob("*.parquet"):  # a table's two forms are one table
        both = found.split_hash("train" if "train" in path.name else "val")
        path.unlink()
        (back / ".jzi-download.json").unlink(missing_ok=True)
        assert open_dataset(back).split_hash("train" if "train" in path.name else "val") == both


def test_a_broken_upload_goes_on(hub, town):
    write_dataset_card(town, replace=True, samples=1)
    items = dataset_items(town)
    hub.stop_after = 2
    with pytest.raises(DataError, match="What was uploaded is kept"):
        publish_dataset(town, "owner/town", items, decided=True)
    kept, before = set(hub.large), len(hub.log)
    assert len(kept) == 2
    hub.stop_after = None
    publish_dataset(town, "owner/town", items, decided=True)
    sent = {path.removeprefix("/large/") for _, path in hub.log[before:] if path.startswith("/large/")}
    assert sent and not sent & kept
    publish_dataset(town, "owner/town", items, decided=True)  # nothing is left to do


def test_a_dataset_card_is_read_by_the_hub(town):
    write_dataset_card(town, title="A town", replace=True, samples=1)
    text = (town.root / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0" and front["pretty_name"] == "A town" and front["size_categories"] == ["n<1K"]
    for row in front["configs"][0]["data_files"]:
        assert (town.root / row["path"]).is_file() and row["split"] in town.split_paths
    for split in town.split_paths:
        assert town.split_hash(split) in text
    assert "Somebody, CC BY 4.0" in text
    assert all((town.root / name).is_file() for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text))


def test_what_publish_check_refuses_is_not_published(hub, town):
    (town.root / "README.md").write_text("# No licence\n")
    items = dataset_items(town)
    assert "dataset_licence" in unsettled(items)
    with pytest.raises(ConfigError, match="nothing was uploaded; unsettled"):
        publish_dataset(town, "owner/town", items, decided=True)
    assert not hub.log


def test_loose_files_are_not_published(hub, tmp_path):
    root = fakes.make_repository(tmp_path / "loose", train=1, val=1, extracted=True)
    with pytest.raises(ConfigError, match="loose files, not in TAR shards"):
        publish_dataset(open_dataset(root), "owner/town", ())
    assert not hub.log


def test_a_model_comes_back_whole(hub, tmp_path):
    folder = model_in(tmp_path / "model")
    (folder / "encoder.onnx").write_bytes(b"exported")
    (folder / "private.txt").write_text("mine")
    write_model_card(folder, licence="cc-by-4.0")
    pushed = push_model(folder, "owner/name", private=True)
    repo = hub.repos["models/owner/name"]
    assert repo.private and repo.commits[-1][0] == pushed.commit and "private.txt" not in repo.files
    assert not (folder / "hashes.json").exists()  # the user's folder may still change
    back = open_model("owner/name")
    assert back.fingerprint() == open_model(folder).fingerprint() and (back.folder / "hashes.json").is_file()
    (folder / "encoder.onnx").unlink()
    push_model(folder, "owner/name")
    assert "encoder.onnx" not in hub.repos["models/owner/name"].files
    assert not (find_folder("owner/name", None) / "encoder.onnx").exists()


def test_a_model_card_is_read_by_the_hub(tmp_path):
    folder = model_in(tmp_path / "model")
    figures = {"recall_at_1": 40.0, "recall_at_m": {"40": 90.0}, "median_m": 3.0}
    report = {**figures, "n": 10, "split": "val", "trained_on_this_split": False, "attribution": "Somebody",
              "intervals_95": {"recall_at_1": [30.0, 50.0], "recall_at_m": {"40": [80.0, 95.0]}, "median_m": [2.0, 4.0]},
              "protocol": {"decoding": "greedy", "gallery": "all cells", "distance": "great circle", "intervals": "bootstrap"},
              "hashes": {"model": open_model(folder).fingerprint(), "map": "b" * 64, "split": "a" * 64}}
    write_json(report, folder / "evaluation-val.json")
    write_json({**report, "hashes": {**report["hashes"], "model": "0" * 64}}, folder / "evaluation-other.json")
    write_model_card(folder, licence="cc-by-4.0", benchmark="owner/town", datasets=["owner/town"])
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name, card.data.datasets) == ("cc-by-4.0", "justzoomin", ["owner/town"])
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == \
        {"recall_at_1": 40.0, "recall_at_40m": 90.0, "median_m": 3.0}
    assert "| val | 10 | answer within 40 m | 90.0 % | 80.0 to 95.0 % |" in card.text and "a" * 16 in card.text
    file, = (folder / ".eval_results").iterdir()
    entries = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert {e.task_id: e.value for e in entries}["val_recall_at_40m"] == 90.0
    assert all(e.dataset_id == "owner/town" and "95 % interval" in e.notes for e in entries)
    with pytest.raises(DataError, match="another model"):
        write_model_card(folder, licence="mit", reports=[folder / "evaluation-other.json"])


@pytest.mark.parametrize(("licences", "own", "name"), [
    (["CC BY-ND 4.0"], "cc-by-4.0", "training_no_derivatives"), (["CC BY-NC 4.0"], "mit", "training_non_commercial"),
    (["All rights reserved"], "mit", "training_all_rights_reserved"), (["whatever"], "mit", "training_unknown"),
    ([], "mit", "training_licence"),
])
def test_weights_of_data_that_forbid_it_are_not_pushed(hub, tmp_path, licences, own, name):
    folder = model_in(tmp_path / "model", licences=licences)
    write_model_card(folder, licence=own)
    assert name in unsettled(model_push_items(folder))
    with pytest.raises(ConfigError, match="nothing was uploaded; unsettled"):
        push_model(folder, "owner/name", decided=True)
    assert not hub.log


def test_rules_hold_for_earlier_trainings(tmp_path):
    """A training that started from a model carries the licences of that model's data."""
    row = {**TRAINED, "rights": {"licences": ["mit"], "attribution": "x"}}
    earlier = {**TRAINED, "rights": {"licences": ["CC BY-ND 4.0"], "attribution": "x"}}
    folder = fakes.tiny_model().save_pretrained(tmp_path / "model", None, {**row, "started_from": {"started_from": earlier}})
    write_model_card(folder, licence="mit")
    assert "training_no_derivatives" in unsettled(model_push_items(folder))


def test_licences_that_the_record_lacks_are_stated_by_hand(hub, tmp_path):
    folder = model_in(tmp_path / "model", licences=[], attribution="")
    assert unsettled(model_push_items(folder)) >= {"model_card", "weights_licence", "training_licence"}
    write_model_card(folder, licence="cc-by-4.0", data_licence="cc-by-4.0")
    assert unsettled(model_push_items(folder)) == {"attribution"}
    (folder / "ATTRIBUTION").write_text("Somebody\n")
    assert push_model(folder, "owner/name").commit


def test_a_link_is_not_pushed(hub, tmp_path):
    folder = model_in(tmp_path / "model")
    write_model_card(folder, licence="mit")
    (tmp_path / "secret").write_text("secret")
    (folder / "assets").mkdir()
    (folder / "assets" / "picture.png").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match="it is a link"):
        push_model(folder, "owner/name", decided=True)
    assert not hub.log


def test_a_hub_that_refuses(hub, tmp_path):
    folder = model_in(tmp_path / "model")
    write_model_card(folder, licence="mit")
    hub.down = True
    with pytest.raises(DataError, match="did not take the upload"):
        push_model(folder, "owner/name")
    for name in ("name", "a/b/c", "owner/na me"):
        with pytest.raises(ConfigError, match="id of the repository"):
            push_model(folder, name)


def test_a_pack_is_published_with_its_rights(hub, town, tmp_path):
    folder = model_in(tmp_path / "model")
    write_model_card(folder, licence="cc-by-4.0")
    rights = stated_pack_rights(folder, town.root)
    assert rights["model"].licence == rights["map"].licence == "cc-by-4.0" and "Somebody" in rights["map"].attribution
    fakes.tiny_model().save_pretrained(folder, town.grid, json.loads((folder / "provenance.json").read_text()))
    pack = open_pack(make_pack(plan_pack(folder, town.root, None, "Town", rights), tmp_path / "pack", card="# Town\n"))
    push_pack(pack, "owner/pack")
    back = open_pack("owner/pack")
    assert (back.rights, back.files, back.bytes) == (rights, pack.files, pack.bytes) and (back.folder / "README.md").is_file()
    for part, held, name in (("map", Rights("CC BY-ND 4.0", "x"), "no derivatives"),
                             ("map", Rights("mit", ""), "whom to credit"), ("model", Rights("secret", "x"), "unknown")):
        other = make_pack(plan_pack(folder, town.root, None, "Town", {**rights, part: held}), tmp_path / f"{part} {name}")
        with pytest.raises(ConfigError, match=name):
            push_pack(open_pack(other), "owner/pack", decided=True)

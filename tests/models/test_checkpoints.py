import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from justzoomin.errors import ModelError
from justzoomin.geometry import preset
from justzoomin.models import ZoomModel, resolve_device
from justzoomin.models.encoder_names import match_names


@pytest.fixture
def saved(tiny_model, tmp_path):
    return tiny_model.save_pretrained(tmp_path / "model", preset("dc"), {"epoch": 3})


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_round_trip_changes_nothing(tiny_model, saved, batch):
    opened = ZoomModel.from_pretrained(saved)
    assert torch.equal(opened(*batch), tiny_model(*batch))
    assert opened.fingerprint() == tiny_model.fingerprint()
    assert opened.config == tiny_model.config
    assert opened.grid == preset("dc")
    assert opened.provenance == {"epoch": 3}
    assert not opened.training
    assert {path.name for path in saved.iterdir()} == {"model.safetensors", "config.json", "region.yaml",
                                                       "provenance.json"}
    assert list(saved.parent.iterdir()) == [saved]


def test_saving_again_replaces_what_is_ours_and_leaves_the_rest(tiny_config, saved):
    (saved / "notes.txt").write_text("mine")
    other = ZoomModel(tiny_config, seed=9)
    other.save_pretrained(saved)
    opened = ZoomModel.from_pretrained(saved)
    assert opened.fingerprint() == other.fingerprint()
    assert opened.grid is None
    assert (saved / "notes.txt").read_text() == "mine"


def test_what_was_opened_is_saved_with_its_grid_and_provenance(saved, tmp_path):
    again = ZoomModel.from_pretrained(ZoomModel.from_pretrained(saved).save_pretrained(tmp_path / "copy"))
    assert again.grid == preset("dc")
    assert again.provenance == {"epoch": 3}


def test_half_precision_halves_the_file_and_opens_in_full(tiny_model, saved, tmp_path, batch):
    half = tiny_model.save_pretrained(tmp_path / "half", half=True)
    opened = ZoomModel.from_pretrained(half)
    assert {p.dtype for p in opened.parameters()} == {torch.float32}
    torch.testing.assert_close(opened(*batch), tiny_model(*batch), atol=1e-2, rtol=1e-2)
    sizes = [sum(t.nbytes for t in load_file(folder / "model.safetensors").values()) for folder in (half, saved)]
    assert sizes[0] * 2 == sizes[1]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: this file of the model folder is missing"):
        ZoomModel.from_pretrained(saved)


def test_missing_and_unexpected_tensors_are_named(saved):
    def change(tensors):
        tensors["decoder.extra"] = tensors.pop("decoder.final_norm.weight")

    rewrite(saved, change)
    with pytest.raises(ModelError, match=r"1 missing: decoder\.final_norm\.weight; 1 unexpected: decoder\.extra"):
        ZoomModel.from_pretrained(saved)


def test_a_tensor_of_the_wrong_shape_is_named(saved):
    rewrite(saved, lambda tensors: tensors.update({"decoder.final_norm.weight": torch.ones(3)}))
    with pytest.raises(ModelError, match=r"decoder\.final_norm\.weight has shape \(3,\), but the model needs \(16,\)"):
        ZoomModel.from_pretrained(saved)


def test_values_that_are_not_finite_are_named(saved):
    rewrite(saved, lambda tensors: tensors["decoder.final_norm.weight"].fill_(float("nan")))
    with pytest.raises(ModelError, match=r"decoder\.final_norm\.weight holds values that are not finite"):
        ZoomModel.from_pretrained(saved)


def test_weights_cut_off_are_told(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors: these weights cannot be read"):
        ZoomModel.from_pretrained(saved)


@pytest.mark.parametrize(("text", "words"), [
    ("{", "not readable JSON"),
    ("[]", "not a JSON object"),
    ('{"model_type": "dinov2"}', "not the configuration of a justzoomin model"),
])
def test_a_config_of_another_kind_is_told(saved, text, words):
    (saved / "config.json").write_text(text)
    with pytest.raises(ModelError, match=words):
        ZoomModel.from_pretrained(saved)


def test_a_wrong_setting_is_named(saved):
    config = json.loads((saved / "config.json").read_text())
    config["decoder"]["heads"] = 0
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"decoder\.heads"):
        ZoomModel.from_pretrained(saved)
    config["decoder"]["heads"] = 2
    config["encoder"] = {"source": "facebook/dinov2-base"}
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"encoder\.architecture is missing"):
        ZoomModel.from_pretrained(saved)


def test_a_grid_that_is_not_the_models_is_refused(tiny_config, tmp_path):
    model = ZoomModel(tiny_config.model_copy(update={"grid": 3}))
    with pytest.raises(ModelError, match="the model has 9 actions, but the grid to save with it has 16"):
        model.save_pretrained(tmp_path / "model", preset("dc"))
    assert list(tmp_path.iterdir()) == []


def test_provenance_must_be_json(tiny_model, tmp_path):
    with pytest.raises(ModelError, match="cannot be written as JSON"):
        tiny_model.save_pretrained(tmp_path / "model", extra={"when": object()})


def test_no_folder_and_no_repository(tmp_path, monkeypatch):
    import huggingface_hub

    with pytest.raises(ModelError, match="there is no such model folder"):
        ZoomModel.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="there is no such model folder"):
        ZoomModel.from_pretrained("nowhere")
    (tmp_path / "model.pth").write_bytes(b"x")
    with pytest.raises(ModelError, match="jzi model import"):
        ZoomModel.from_pretrained(tmp_path / "model.pth")

    def offline(*args, **kwargs):
        raise OSError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match=r"owner/name: there is no folder of this name.*no route to the hub.*connect"):
        ZoomModel.from_pretrained("owner/name")


def test_a_hub_repository_opens_by_its_files_alone(saved, tiny_model, monkeypatch):
    import huggingface_hub

    asked = {}

    def download(name, *, revision, allow_patterns):
        asked.update(name=name, revision=revision, files=set(allow_patterns))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = ZoomModel.from_pretrained("owner/name", revision="v1")
    assert model.fingerprint() == tiny_model.fingerprint() and model.folder == saved
    files = asked.pop("files")
    assert asked == {"name": "owner/name", "revision": "v1"} and not any("*" in name for name in files)
    assert files >= {"config.json", "model.safetensors", "provenance.json", "region.yaml", "calibration.json", "encoder.onnx",
                     "encoder.matcher.onnx", "hashes.json", "README.md"}


def test_devices_are_checked(saved):
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    for name in ("gpu", "cuda:99", "meta", "cpu:x"):
        with pytest.raises(ModelError, match=name):
            ZoomModel.from_pretrained(saved, device=name)


def test_names_of_both_transformers_generations_meet():
    old = ["encoder.backbone.encoder.layer.0.attention.attention.query.weight",
           "encoder.backbone.encoder.layer.0.attention.output.dense.bias", "encoder.backbone.layernorm.weight"]
    new = ["encoder.backbone.encoder.layer.0.attention.q_proj.weight",
           "encoder.backbone.encoder.layer.0.attention.o_proj.bias", "encoder.backbone.layernorm.weight"]
    vit_old = ["encoder.backbone.encoder.layer.1.attention.attention.key.weight",
               "encoder.backbone.encoder.layer.1.intermediate.dense.weight",
               "encoder.backbone.encoder.layer.1.output.dense.weight",
               "encoder.backbone.encoder.layer.1.attention.output.dense.weight"]
    vit_new = ["encoder.backbone.layers.1.attention.k_proj.weight", "encoder.backbone.layers.1.mlp.fc1.weight",
               "encoder.backbone.layers.1.mlp.fc2.weight", "encoder.backbone.layers.1.attention.o_proj.weight"]
    for one, other in ((old, new), (new, old), (vit_old, vit_new), (vit_new, vit_old)):
        assert list(match_names(dict.fromkeys(one, 0), other)) == other
    assert list(match_names({"foreign": 0}, new)) == ["foreign"]

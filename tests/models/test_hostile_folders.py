"""A model folder from elsewhere: whatever its files ask for is refused at once, by the name of what asked for it."""

import copy
import json
import math
import socket
import time

import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from justzoomin.errors import ConfigError, ModelError
from justzoomin.models import EncoderConfig, MatcherConfig, ModelConfig, VisionEncoder, ZoomModel, build_model, open_model
from justzoomin.models import weights as weights_of
from justzoomin.models.architectures import check_image, safe_architecture, supported
from justzoomin.training import train_config

ARCH = "encoder.architecture"
INF, NAN = math.inf, math.nan


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Model folders of each kind, small."""
    architecture = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4}
    vit = {"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8,
           "patch_size": 4, "image_size": 16}
    plain = ModelConfig(image_pixels=16, depth=2, grid=2, encoder=EncoderConfig(architecture=architecture, pooling="pooler"),
                        decoder={"blocks": 1, "heads": 2, "ffn_multiple_of": 8})
    matcher = MatcherConfig(channels=2, ranges=2, headings=4, width=4, window_m=40.0, margin_m=2.0)
    configs = {"zoom": plain, "matcher": plain.model_copy(update={"matcher": matcher}),
               "vit": plain.model_copy(update={"encoder": EncoderConfig(architecture=vit)}),
               **{name: plain.model_copy(update={"family": name}) for name in ("retriever", "hierarchical", "classifier")}}
    place = tmp_path_factory.mktemp("folders")
    return {name: build_model(config).save_pretrained(place / name) for name, config in configs.items()}


def changed(folder, tmp_path, name, value):
    """The folder with another value of one setting."""
    out = tmp_path / "changed"
    out.mkdir()
    for path in folder.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    config = json.loads((out / "config.json").read_text())
    at = config
    *first, last = name.split(".")
    for key in first:
        at = at[key]
    at[last] = value
    (out / "config.json").write_text(json.dumps(config))
    return out


def refused(folder, words):
    """It is refused in under a second, in words."""
    began = time.process_time()
    with pytest.raises(ModelError, match=words):
        open_model(folder)
    assert time.process_time() - began < 1.0


HOSTILE = [
    *(("zoom", "image_pixels", v) for v in (0, 2049, 10**9, 10**30, INF)),
    ("vit", "image_pixels", 1000), ("vit", "image_pixels", 3), ("zoom", "depth", 33), ("zoom", "depth", 10**9),
    ("classifier", "depth", 20), ("classifier", "depth", 5), ("zoom", "mean", [NAN, 0, 0]), ("zoom", "mean", [INF, 0, 0]),
    ("zoom", "mean", [1e300, 0, 0]), *(("zoom", "std", [1, v, 1]) for v in (0, 1e-40, NAN, INF, 1e300)),
    *(("zoom", "decoder.width", v) for v in (4096, 10**6, 2 * 10**9)), *(("zoom", "decoder.blocks", v) for v in (200, 10**6)),
    ("zoom", "decoder.heads", 10**12), *(("zoom", "decoder.ffn_multiple_of", v) for v in (60_000, 10**9)),
    *(("zoom", "decoder.rope_theta", v) for v in (1e300, INF, NAN)), ("zoom", "decoder.dropout", NAN),
    *(("matcher", f"matcher.{key}", v) for key in ("channels", "ranges", "headings", "width") for v in (200, 4 * 10**8)),
    *(("matcher", "matcher.tried", v) for v in (10**9,)), *(("matcher", "matcher.metres_per_pixel", v) for v in (
        1e-300, 1e-6, 1e9, 90.0, INF, NAN)), *(("matcher", "matcher.window_m", v) for v in (1e-3, 1.5, 1e5, 1e9, INF)),
    *(("matcher", "matcher.margin_m", v) for v in (41.0, 1e9, INF)), ("matcher", "matcher.nearest_m", 1e-320),
    *(("matcher", f"matcher.{key}", INF) for key in ("reach_m", "camera_height_m", "zoom_weight")),
    ("matcher", "matcher.assumed_fov_deg", 179.9999999), ("retriever", "retriever.width", 60_000),
    ("retriever", "retriever.width", 10**9), ("retriever", "retriever.experts", 65), ("hierarchical", "retriever.beam", 10**9),
    ("retriever", "retriever.temperature", NAN), ("zoom", "encoder.trainable_blocks", 10**9),
    *(("zoom", f"{ARCH}.patch_size", v) for v in (0, -1, 257, 10**6, "4", True)), ("zoom", f"{ARCH}.hidden_sizes", []),
    *(("zoom", f"{ARCH}.hidden_sizes", [8, v]) for v in (0, 3000, 10**9, NAN, {"a": 1}, [1], "x")),
    *(("zoom", f"{ARCH}.depths", v) for v in ([], [1, 257], [200, 200], [1, 10**7])), ("zoom", f"{ARCH}.num_stages", 10**8),
    *(("vit", f"{ARCH}.{key}", v) for key in ("hidden_size", "num_hidden_layers", "intermediate_size") for v in (200, 10**7)),
    ("vit", f"{ARCH}.image_size", 10**6), ("vit", f"{ARCH}.num_channels", 10**8), ("vit", f"{ARCH}.patch_size", 0),
    ("vit", f"{ARCH}.layer_norm_eps", NAN), ("zoom", f"{ARCH}.layer_scale_init_value", INF),
    ("zoom", f"{ARCH}.num_labels", 10**9), ("zoom", f"{ARCH}.id2label", {"0": {"a": 1}}), ("zoom", f"{ARCH}.more", {"a": 1}),
    ("zoom", f"{ARCH}.backbone", "someone/model"), ("zoom", f"{ARCH}.timm_kwargs", {"a": 1}),
    ("zoom", f"{ARCH}.text", "x" * 10**5), ("zoom", f"{ARCH}.hidden_act", "a\x1b[31m"), ("zoom", "no_such", 1),
]


@pytest.mark.parametrize(("kind", "name", "value"), HOSTILE)
def test_a_hostile_setting_is_refused_by_its_name(folders, tmp_path, kind, name, value):
    setting = name.removeprefix(f"{ARCH}.").rpartition(".")[2]
    refused(changed(folders[kind], tmp_path, name, value), setting)


def test_settings_within_all_bounds_build_no_more_than_the_weights_file_holds(folders, tmp_path):
    """Widths that occur in the file, but not where the settings need them: 8 becomes 16 in three places."""
    folder = changed(folders["vit"], tmp_path, f"{ARCH}.image_size", 8192)
    refused(folder, "image_size.* need more weights than the")


@pytest.mark.parametrize("architecture", [
    {"model_type": "dpt", "backbone": "someone/model"}, {"model_type": "detr", "backbone": "someone/model"},
    {"model_type": "upernet", "backbone": "someone/model"}, {"model_type": "maskformer", "backbone": "someone/model"},
    {"model_type": "dpt", "backbone_config": {"model_type": "bit"}}, {"model_type": "timm_wrapper", "architecture": "resnet50"},
    {"model_type": "timm_backbone", "backbone": "resnet50"}, {"model_type": "gpt2"}, {"model_type": "clip"},
    {"model_type": "vit", "backbone": "someone/model"}, {"model_type": "vit", "use_timm_backbone": True}, {}])
def test_no_model_folder_reaches_the_network(folders, tmp_path, monkeypatch, architecture):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the network was asked"))
    refused(changed(folders["zoom"], tmp_path, ARCH, architecture), "model_type|backbone")
    source = tmp_path / "source"  # nor does the folder of an encoder, whose config.json says the same
    source.mkdir()
    (source / "config.json").write_text(json.dumps(architecture))
    with pytest.raises(ModelError, match=r"model_type|backbone|config\.json"):
        VisionEncoder(EncoderConfig(source=str(source)))


def test_a_good_folder_opens_without_the_network_and_every_supported_kind_is_known(folders, monkeypatch):
    from transformers import CONFIG_MAPPING

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    for folder in folders.values():
        assert open_model(folder).fingerprint()
    for kind in supported():
        saved = safe_architecture(CONFIG_MAPPING[kind]().to_dict())  # what a model of this kind is saved with
        assert EncoderConfig(architecture=json.loads(json.dumps(saved))).architecture == json.loads(json.dumps(saved))
        check_image(saved, 224)


def test_an_encoder_from_a_source_is_taken_as_its_folder_has_it(tiny_dinov2_folder):
    config = json.loads((tiny_dinov2_folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil--code.Model"}, "attn_implementation": "someone/kernels"}
    (tiny_dinov2_folder / "config.json").write_text(json.dumps(config))
    encoder = VisionEncoder(EncoderConfig(source=str(tiny_dinov2_folder)))
    saved = load_file(tiny_dinov2_folder / "model.safetensors")
    own = {name.removeprefix("backbone."): tensor for name, tensor in encoder.state_dict().items()}
    assert all(torch.equal(own[name], tensor) for name, tensor in saved.items() if name in own)
    again = VisionEncoder(EncoderConfig(architecture=encoder.config.architecture))
    assert again.config.architecture == encoder.config.architecture


@pytest.mark.parametrize("name", ["config.json", "provenance.json"])
def test_large_and_sparse_files_are_not_read(folders, tmp_path, name):
    folder = changed(folders["zoom"], tmp_path, "preset", None)
    with (folder / name).open("r+b") as file:
        file.truncate(3 << 30)
    refused(folder, f"{name}: .*more than [0-9]+ bytes")


@pytest.mark.parametrize(("name", "text"), [
    ("provenance.json", '{"a": NaN}'), ("provenance.json", "[" * 100_000), ("config.json", "[" * 100_000),
    ("config.json", '{"a": ' + "9" * 10_000 + "}"), ("provenance.json", "\xff")])
def test_what_is_no_plain_json_is_told(folders, tmp_path, name, text):
    folder = changed(folders["zoom"], tmp_path, "preset", None)
    (folder / name).write_bytes(text.encode("latin-1"))
    refused(folder, f"{name}: this is not readable JSON")


def test_many_wrong_settings_are_counted_and_cleaned(folders, tmp_path):
    folder = changed(folders["zoom"], tmp_path, "a\x1b[31mb", 1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **{f"k{n}": 1 for n in range(2000)}}))
    with pytest.raises(ModelError, match="and 1996 more") as caught:
        open_model(folder)
    assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()


def rewritten(folder, tmp_path, change):
    out = changed(folder, tmp_path, "preset", None)
    tensors = load_file(out / "model.safetensors")
    change(tensors)
    save_file(tensors, out / "model.safetensors")
    return out


@pytest.mark.parametrize(("value", "words"), [
    (torch.full((16,), INF), "not finite"), (torch.full((16,), 1e300, dtype=torch.float64), "not finite in torch.float32"),
    (torch.ones(16, dtype=torch.int32), "holds torch.int32"), (torch.ones(16, dtype=torch.complex64), "holds torch.complex64"),
    (torch.full((16,), NAN).to(torch.float8_e5m2), "not finite")])
def test_weights_are_checked_after_the_cast(folders, tmp_path, value, words):
    refused(rewritten(folders["zoom"], tmp_path, lambda t: t.update({"decoder.final_norm.weight": value})),
            f"decoder.final_norm.weight .*{words}|decoder.final_norm.weight holds values that are {words}")


def test_weights_that_no_memory_holds_are_not_begun_with(folders, monkeypatch):
    monkeypatch.setattr(weights_of, "memory_bytes", lambda: 1000)
    refused(folders["zoom"], "its weights need .* GB of memory, but this machine has 0.0 GB")


def test_a_header_without_end_is_not_read(folders, tmp_path):
    folder = changed(folders["zoom"], tmp_path, "preset", None)
    with (folder / "model.safetensors").open("r+b") as file:
        file.write((1 << 62).to_bytes(8, "little"))
    refused(folder, "these weights cannot be read .its header has")


@pytest.mark.parametrize("words", [
    "model.encoder.architecture.hidden_sizes=[48, {a: 1}, 192]", "model.encoder.architecture.more={a: {b: 1}}",
    'model.encoder.architecture.text="\\ud800"', "model.mean=[.nan, 0, 0]", "model.matcher={window_m: .inf}"])
def test_settings_of_a_training_that_could_not_be_read_again_are_refused(words):
    with pytest.raises(ConfigError):
        train_config("small", None, (words,))


def test_what_a_training_accepts_survives_saving_and_reading():
    from justzoomin.training import TrainConfig
    from justzoomin.training.config import dump_config

    config = train_config("best", None, ("model.encoder.architecture.id2label={0: a, 1: b}", "model.std=[0.001, 1, 1]"))
    assert TrainConfig.model_validate(yaml.safe_load(dump_config(config))) == config


def test_sizes_are_checked_where_the_architecture_comes_from_a_source(tiny_dinov2_folder):
    config = ModelConfig(image_pixels=2048, encoder=EncoderConfig(source=str(tiny_dinov2_folder)))
    with pytest.raises(ModelError, match="image_pixels: 2048 px makes 65536 patches"):
        ZoomModel(config)
    with pytest.raises(ValidationError, match="image_pixels: 2048 px makes 65536 patches"):
        ModelConfig.model_validate({**copy.deepcopy(config.model_dump()), "encoder": {
            "architecture": {"model_type": "dinov2", "patch_size": 8}}})

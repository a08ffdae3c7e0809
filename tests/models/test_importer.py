"""Checkpoints of the published code, against a forward pass written down once more from its description."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from justzoomin.apps.model import app
from justzoomin.errors import ModelError
from justzoomin.geometry import preset
from justzoomin.models import ZoomModel, import_checkpoint
from justzoomin.models.importer import _encoder_architecture

W, PATCH, SIDE, LAYERS, BLOCKS, HEADS, ACTIONS, INNER = 64, 4, 5, 2, 2, 4, 16, 256


def published_weights(seed=0):
    """Random tensors under the names of the published checkpoints (transformers 4.47's DINOv2)."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape, std=0.15):
        return torch.randn(*shape, generator=g) * std

    weights = {
        "embeddings.cls_token": rand(1, 1, W), "embeddings.mask_token": rand(1, W),
        "embeddings.position_embeddings": rand(1, 1 + SIDE**2, W, std=1.0),
        "embeddings.patch_embeddings.projection.weight": rand(W, 3, PATCH, PATCH),
        "embeddings.patch_embeddings.projection.bias": rand(W),
        "layernorm.weight": 1 + rand(W), "layernorm.bias": rand(W),
    }
    for n in range(LAYERS):
        p = f"encoder.layer.{n}."
        for name in ("attention.attention.query", "attention.attention.key", "attention.attention.value",
                     "attention.output.dense"):
            weights |= {f"{p}{name}.weight": rand(W, W), f"{p}{name}.bias": rand(W)}
        for name in ("norm1", "norm2"):
            weights |= {f"{p}{name}.weight": 1 + rand(W), f"{p}{name}.bias": rand(W)}
        weights |= {f"{p}mlp.fc1.weight": rand(4 * W, W), f"{p}mlp.fc1.bias": rand(4 * W),
                    f"{p}mlp.fc2.weight": rand(W, 4 * W), f"{p}mlp.fc2.bias": rand(W),
                    f"{p}layer_scale1.lambda1": rand(W, std=1), f"{p}layer_scale2.lambda1": rand(W, std=1)}
    weights = {f"encoder.backbone.{name}": tensor for name, tensor in weights.items()}
    weights["decoder.action_embed.weight"] = rand(ACTIONS, W, std=1)
    for n in range(BLOCKS):
        p = f"decoder.blocks.{n}."
        weights |= {f"{p}self_attn.{name}_proj.weight": rand(W, W) for name in ("q", "k", "v", "out")}
        weights |= {f"{p}ffn.w1.weight": rand(INNER, W), f"{p}ffn.w2.weight": rand(W, INNER),
                    f"{p}ffn.w3.weight": rand(INNER, W), f"{p}norm1.weight": 1 + rand(W),
                    f"{p}norm2.weight": 1 + rand(W)}
    head = W // HEADS
    weights |= {"decoder.final_norm.weight": 1 + rand(W), "decoder.output_head.weight": rand(ACTIONS, W),
                "decoder.freqs": 10_000.0 ** -(torch.arange(0, head, 2) / head)}
    return weights


def attend(q, k, v, heads, causal):
    """Attention spelled out: (L, W) each."""
    out = []
    for q_h, k_h, v_h in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        scores = q_h @ k_h.T / q_h.shape[-1] ** 0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
        out.append(scores.softmax(-1) @ v_h)
    return torch.cat(out, -1)


def reference_encode(w, image):
    """(3, H, W) to the class token (W,)."""
    w = {name.removeprefix("encoder.backbone."): t for name, t in w.items()}
    conv = functional.conv2d(image[None], w["embeddings.patch_embeddings.projection.weight"],
                    w["embeddings.patch_embeddings.projection.bias"], stride=PATCH)[0]
    positions = w["embeddings.position_embeddings"][0]
    grid = functional.interpolate(positions[1:].T.reshape(1, W, SIDE, SIDE), size=conv.shape[1:], mode="bicubic",
                         align_corners=False)[0]
    x = torch.cat([w["embeddings.cls_token"][0] + positions[:1], (conv + grid).flatten(1).T])
    for n in range(LAYERS):
        def linear(x, name, p=f"encoder.layer.{n}."):
            return x @ w[f"{p}{name}.weight"].T + w[f"{p}{name}.bias"]

        def norm(x, name, p=f"encoder.layer.{n}."):
            return functional.layer_norm(x, (W,), w[f"{p}{name}.weight"], w[f"{p}{name}.bias"], 1e-6)

        h = norm(x, "norm1")
        a = attend(*(linear(h, f"attention.attention.{s}") for s in ("query", "key", "value")), 1, causal=False)
        x = x + linear(a, "attention.output.dense") * w[f"encoder.layer.{n}.layer_scale1.lambda1"]
        x = x + linear(functional.gelu(linear(norm(x, "norm2"), "mlp.fc1")), "mlp.fc2") \
            * w[f"encoder.layer.{n}.layer_scale2.lambda1"]
    return functional.layer_norm(x, (W,), w["layernorm.weight"], w["layernorm.bias"], 1e-6)[0]


def reference_decode(w, photo, views, actions):
    """(W,), (T, W), (T,) to (T, A)."""
    def rms(x, name):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"decoder.{name}.weight"]

    def turn(x):
        out = []
        for h in x.chunk(HEADS, -1):
            a, b = h.chunk(2, -1)
            angle = torch.arange(len(h))[:, None] * w["decoder.freqs"]
            out += [a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()]
        return torch.cat(out, -1)

    rows = [photo]
    for view, action in zip(views, actions, strict=True):
        rows += [view, w["decoder.action_embed.weight"][action]]
    x = torch.stack(rows)
    for n in range(BLOCKS):
        p = f"blocks.{n}."
        h = rms(x, f"{p}norm1")
        q, k, v = (h @ w[f"decoder.{p}self_attn.{s}_proj.weight"].T for s in "qkv")
        x = x + attend(turn(q), turn(k), v, HEADS, causal=True) @ w[f"decoder.{p}self_attn.out_proj.weight"].T
        h = rms(x, f"{p}norm2")
        x = x + (functional.silu(h @ w[f"decoder.{p}ffn.w1.weight"].T) * (h @ w[f"decoder.{p}ffn.w3.weight"].T)) \
            @ w[f"decoder.{p}ffn.w2.weight"].T
    return (rms(x, "final_norm") @ w["decoder.output_head.weight"].T)[1::2]


@pytest.mark.parametrize("wrap", [
    lambda w: w,
    lambda w: {"model_state_dict": w, "epoch": 7, "optimizer_state_dict": {"lr": 0.1}},
    lambda w: {"model_state_dict": {f"module._orig_mod.{n}": t for n, t in w.items()}},
    lambda w: {f"_orig_mod.module.{n}".replace("decoder.", "decoder._orig_mod."): t for n, t in w.items()},
])
def test_same_weights_same_logits(tmp_path, wrap):
    weights = published_weights()
    torch.save(wrap(weights), tmp_path / "best.pth")
    dest = import_checkpoint(tmp_path / "best.pth", tmp_path / "model", grid=preset("dc"), image_pixels=12)
    model = ZoomModel.from_pretrained(dest)
    g = torch.Generator().manual_seed(1)
    photos, views = torch.randn(2, 2, 3, 12, 12, generator=g), torch.randn(3, 3, 12, 12, generator=g)
    index, actions = torch.tensor([[0, 1, 2], [0, 2, 1]]), torch.tensor([[3, 15, 0], [7, 1, 2]])
    with torch.no_grad():
        got = model(photos, views, index, actions)
        encoded = torch.stack([reference_encode(weights, view) for view in views])
        for b in range(2):
            photo = (reference_encode(weights, photos[b, 0]) + reference_encode(weights, photos[b, 1])) / 2
            want = reference_decode(weights, photo, encoded[index[b]], actions[b])
            assert want.std() > 0.1
            torch.testing.assert_close(got[b], want, atol=1e-4, rtol=0)
    assert model.config.photo_decode == "full"
    assert (model.config.grid, model.config.image_pixels, model.config.preset) == (4, 12, None)
    assert model.config.encoder.architecture["image_size"] == SIDE * PATCH
    assert model.config.encoder.trainable_blocks == 2
    assert model.grid == preset("dc")
    assert model.provenance["imported_from"] == "best.pth"


def test_heads_without_frequencies_are_the_published_eight(tmp_path):
    weights = published_weights()
    del weights["decoder.freqs"]
    torch.save(weights, tmp_path / "a.pth")
    assert ZoomModel.from_pretrained(import_checkpoint(tmp_path / "a.pth", tmp_path / "m")).config.decoder.heads == 8


def test_an_encoder_config_rules_over_guesses(tmp_path):
    torch.save(published_weights(), tmp_path / "a.pth")
    config = {"model_type": "dinov2", "hidden_size": W, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
              "patch_size": PATCH, "image_size": SIDE * PATCH}
    (tmp_path / "config.json").write_text(json.dumps(config))
    dest = import_checkpoint(tmp_path / "a.pth", tmp_path / "m", tmp_path / "config.json")
    assert ZoomModel.from_pretrained(dest).config.encoder.architecture["num_attention_heads"] == 4
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="no model_type"):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "m", tmp_path)


def drop(name):
    return lambda w: w.pop(name)


def put(name, tensor):
    return lambda w: w.update({name: tensor})


@pytest.mark.parametrize(("change", "words"), [
    (drop("decoder.blocks.1.norm2.weight"), r"1 missing: decoder\.blocks\.1\.norm2\.weight"),
    (drop("decoder.action_embed.weight"), r"decoder\.action_embed\.weight is missing"),
    (drop("encoder.backbone.encoder.layer.1.attention.attention.query.bias"), r"1 missing: .*layer\.1\.attention"),
    (put("heads.extra.weight", torch.ones(2)), r"1 unexpected: heads\.extra\.weight"),
    (put("decoder.final_norm.weight", torch.ones(3)), r"final_norm\.weight has shape \(3,\)"),
    (put("decoder.action_embed.weight", torch.ones(15, W)), "15 rows, which is not a square"),
    (put("decoder.action_embed.weight", torch.ones(100, W)), "its sizes do not form a valid model"),
    (put("decoder.action_embed.weight", torch.ones(9, W)), r"output_head\.weight has shape"),
    (put("decoder.freqs", torch.ones(8)), "not the rotary frequencies"),
    (put("decoder.freqs", torch.ones(7)), "do not fit a decoder of width 64"),
    (put("decoder.blocks.0.ffn.w1.weight", torch.ones(8, W)), "8 rows, too few"),
    (put("decoder.blocks.5.norm1.weight", torch.ones(W)), r"block decoder\.blocks\.2 is missing"),
    (put("encoder.backbone.embeddings.position_embeddings", torch.ones(1, 8, W)), "8 positions"),
    (put("module.decoder.final_norm.weight", torch.ones(W)), "occurs twice"),
    (put("decoder.final_norm.weight", "text"), "is a str, not a tensor"),
])
def test_every_difference_is_named(tmp_path, change, words):
    weights = published_weights()
    change(weights)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=words):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "m")
    assert not (tmp_path / "m").exists()


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    torch.save({"model_state_dict": published_weights(), "extra": Hostile(tmp_path / "ran")}, tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    torch.save(Hostile(tmp_path / "ran"), tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    for name in ("new.pth", "old.pth", "legacy.pth"):
        with pytest.raises(ModelError, match="not opened"):
            import_checkpoint(tmp_path / name, tmp_path / "m")
    assert not (tmp_path / "ran").exists()


def compressed(path):
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


class Room:
    def __reduce__(self):
        return (bytearray, (1 << 31,))


NORM = "decoder.final_norm.weight"


@pytest.mark.parametrize(("entries", "spoil", "words"), [
    ({}, compressed, "it is compressed"), ({}, flipped, "the checksum of .* is wrong|damaged"),
    ({"room": Room()}, None, "allocates memory of any size without content"),
    ({NORM: torch.zeros(1).expand(W)}, None, f"{NORM} is not an ordinary tensor"),
    ({"decoder.action_embed.weight": torch.zeros(1).expand(16, 1 << 33)}, None, "is not an ordinary tensor"),
    ({NORM: torch.ones(W).to_sparse()}, None, "is not an ordinary tensor"),
    ({NORM: torch.empty(W, device="meta")}, None, "is not an ordinary tensor"),
    ({NORM: torch.full((W,), 1e300, dtype=torch.float64)}, None, f"{NORM} holds values that are not finite in torch.float32")])
def test_no_checkpoint_takes_more_than_its_file_or_is_read_damaged(tmp_path, entries, spoil, words):
    torch.save({**published_weights(), **entries}, tmp_path / "a.pth")
    if spoil:
        spoil(tmp_path / "a.pth")
    with pytest.raises(ModelError, match=words):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "m", image_pixels=20)


def test_room_is_refused_in_a_file_of_before_torch_1_6_too(tmp_path):
    torch.save({**published_weights(), "room": Room()}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match="allocates memory of any size without content"):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "m", image_pixels=20)


def test_what_is_no_checkpoint_is_told(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "m")
    torch.save(published_weights(), tmp_path / "whole.pth")
    contents = {
        "empty.pth": b"", "text.pth": b"hello there", "cut.pth": (tmp_path / "whole.pth").read_bytes()[:5000],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name):
            import_checkpoint(tmp_path / name, tmp_path / "m")
    for content in ([1, 2], {}, {"model_state_dict": 3}, torch.ones(3)):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(ModelError, match="no dict of tensors"):
            import_checkpoint(tmp_path / "other.pth", tmp_path / "m")


def test_import_says_what_it_wrote(tmp_path):
    torch.save(published_weights(), tmp_path / "a.pth")
    arguments = ["import", str(tmp_path / "a.pth"), str(tmp_path / "m"), "--region", "dc", "--image-pixels", "12"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Wrote" in result.output
    assert "12 px, photos decoded full" in result.output
    assert (tmp_path / "m" / "region.yaml").exists()


def test_the_sizes_of_dinov2_base_come_out_of_its_tensors():
    """What its hub repository's config.json says, read from shapes alone."""
    backbone = "encoder.backbone."
    shapes = {f"{backbone}embeddings.patch_embeddings.projection.weight": (768, 3, 14, 14),
              f"{backbone}embeddings.position_embeddings": (1, 1 + 37 * 37, 768),
              **{f"{backbone}encoder.layer.{n}.mlp.fc1.weight": (3072, 768) for n in range(12)}}
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert _encoder_architecture(tensors, Path("a.pth"), None) == {
        "model_type": "dinov2", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "mlp_ratio": 4,
        "num_channels": 3, "patch_size": 14, "image_size": 518, "layer_norm_eps": 1e-6}

"""Exported encoders: the same vectors, of one model alone, and foreign files that are not exported encoders."""

import dataclasses
import json
import sys

import pytest
import torch

from justzoomin.errors import MissingExtraError, ModelError
from justzoomin.geometry import preset
from justzoomin.models import (
    DecoderConfig,
    EncoderConfig,
    MatcherConfig,
    ModelConfig,
    OnnxEncoder,
    ZoomModel,
    export_onnx,
    with_matcher,
)
from justzoomin.models import onnx_encoder as running
from justzoomin.models import onnx_export as exporting
from justzoomin.models.onnx_file import read_header

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4}
DINOV2 = {"model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
          "patch_size": 8, "image_size": 32}


def tiny(architecture, pooling, pixels, seed=3):
    model = ZoomModel(ModelConfig(image_pixels=pixels, encoder=EncoderConfig(architecture=architecture, pooling=pooling),
                                  decoder=DecoderConfig(blocks=2, heads=2, ffn_multiple_of=16)), seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for parameter in model.encoder.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder, its encoder exported."""
    path = tiny(CONVNEXT, "pooler", 16).save_pretrained(tmp_path_factory.mktemp("onnx") / "model", preset("dc"))
    export_onnx(path)
    return path


def changed(file, tmp_path, change):
    """An exported file, or the one in a folder, after a change of its content."""
    model = onnx.load(file / "encoder.onnx" if file.is_dir() else file)
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_the_same_answers_from_an_exported_encoder(folder, batch):
    torch_model, exported = ZoomModel.from_pretrained(folder), ZoomModel.from_pretrained(folder, runtime="onnx")
    assert exported.fingerprint() == torch_model.fingerprint() and exported.config.preset == torch_model.config.preset
    assert exported.config.decoder == torch_model.config.decoder and exported.grid == torch_model.grid
    assert not any(name.startswith("encoder.") for name in exported.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(exported(*batch), torch_model(*batch), rtol=1e-4, atol=1e-4)
        for count in (1, 2, 5):
            images = torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(count))
            torch.testing.assert_close(exported.encode_views(images), torch_model.encode_views(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("table_pixels", [32, 256])
def test_a_vision_transformer_is_exported_too(tmp_path, table_pixels):
    """Its table of positions is reduced to the size of the images: a small one when exported, a large one when run."""
    path = tiny({**DINOV2, "image_size": table_pixels}, "cls", 24).save_pretrained(tmp_path / "model")
    done = export_onnx(path, tmp_path / "elsewhere")
    assert done.path == tmp_path / "elsewhere" / "encoder.onnx" and done.difference < 1e-4
    images = torch.randn(3, 3, 24, 24)
    with torch.inference_mode():
        wanted = ZoomModel.from_pretrained(path).encode_views(images)
        found = ZoomModel.from_pretrained(path, runtime=str(done.path)).encode_views(images)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_file_holds_everything_and_nothing_of_the_machine(folder):
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["config.json", "encoder.onnx", "model.safetensors", "provenance.json", "region.yaml"])
    content = (folder / "encoder.onnx").read_bytes()
    assert str(folder).encode() not in content and b"site-packages" not in content and b".py" not in content
    onnx.checker.check_model(onnx.load(folder / "encoder.onnx"), full_check=True)


def test_the_encoder_of_another_model_is_refused(folder, tmp_path):
    other = tiny(CONVNEXT, "pooler", 16, seed=4).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match="not exported from the model in"):
        ZoomModel.from_pretrained(other, runtime=str(folder / "encoder.onnx"))
    with pytest.raises(ModelError, match="not exported to ONNX yet"):
        ZoomModel.from_pretrained(other, runtime="onnx")
    for runtime in ("onyx", str(tmp_path)):
        with pytest.raises(ModelError, match="unknown runtime"):
            ZoomModel.from_pretrained(other, runtime=runtime)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("TOLERANCE", -1.0, "differ from torch's"),
    ("_probes", lambda pixels: iter([torch.full((1, 3, pixels, pixels), float("nan"))]), "not finite")])
def test_an_encoder_whose_vectors_differ_leaves_no_file(folder, tmp_path, monkeypatch, name, value, words):
    monkeypatch.setattr(exporting, name, value)
    with pytest.raises(ModelError, match=words):
        export_onnx(folder, tmp_path / "out" / "encoder.onnx")
    assert list((tmp_path / "out").iterdir()) == []


def test_packages_that_are_missing_are_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"justzoomin\[onnx\]"):
        ZoomModel.from_pretrained(folder, runtime="onnx")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(MissingExtraError, match="onnxscript"):
        export_onnx(folder, tmp_path / "encoder.onnx")


def matching(architecture, pooling, own_encoder):
    """A tiny model with a ray matcher; an encoder of the matcher's own differs from the zoomer's."""
    plain = tiny(architecture, pooling, 32)
    model = with_matcher(plain, MatcherConfig(metres_per_pixel=1.0, channels=4, ranges=4, headings=4, width=8, window_m=64.0,
                                              margin_m=8.0, own_encoder=own_encoder))
    if own_encoder:
        model.matcher_encoder.load_state_dict(tiny(architecture, pooling, 32, seed=5).encoder.state_dict())
    return model.eval()


@pytest.fixture(scope="module")
def matching_folder(tmp_path_factory):
    """A folder of a model whose ray matcher has an encoder of its own, both exported."""
    path = matching(CONVNEXT, "pooler", own_encoder=True).save_pretrained(tmp_path_factory.mktemp("matching") / "model")
    done = export_onnx(path)
    assert (done.path, done.matcher_path) == (path / "encoder.onnx", path / "encoder.matcher.onnx")
    assert done.bytes == done.path.stat().st_size + done.matcher_path.stat().st_size and done.difference < 1e-4
    return path


def same_matching(folder, runtime="onnx"):
    """Check that a folder's model gives the same vectors, fans and descriptions of ground with an exported encoder."""
    wanted, found = ZoomModel.from_pretrained(folder), ZoomModel.from_pretrained(folder, runtime=runtime)
    assert found.fingerprint() == wanted.fingerprint()
    assert not any("encoder." in name for name in found.state_dict())
    generator = torch.Generator().manual_seed(1)
    photos, views = torch.randn(3, 2, 3, 32, 32, generator=generator), torch.randn(4, 3, 32, 32, generator=generator)
    with torch.inference_mode():
        torch.testing.assert_close(found.encode_photos(photos), wanted.encode_photos(photos), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.encode_views(views), wanted.encode_views(views), rtol=1e-4, atol=1e-4)
        for pixels in (80, 64):  # pieces of map are larger than photos; any size does
            picture = torch.randn(3, pixels, pixels, generator=generator)
            for ours, torchs in zip(found.describe_ground(picture), wanted.describe_ground(picture), strict=True):
                torch.testing.assert_close(ours, torchs, rtol=1e-3, atol=1e-4)


def test_a_ray_matcher_with_an_encoder_of_its_own_has_both_exported(matching_folder):
    same_matching(matching_folder)


@pytest.mark.parametrize(("architecture", "pooling"), [(CONVNEXT, "pooler"), ({**DINOV2, "image_size": 256}, "cls")])
def test_a_ray_matcher_that_shares_the_encoder_has_one_file(architecture, pooling, tmp_path):
    path = matching(architecture, pooling, own_encoder=False).save_pretrained(tmp_path / "model")
    done = export_onnx(path, tmp_path / "out" / "shared.onnx")
    assert done.matcher_path is None and [p.name for p in done.path.parent.iterdir()] == ["shared.onnx"]
    assert read_header(done.path).channels == ZoomModel.from_pretrained(path).encoder.stage_widths
    same_matching(path, str(done.path))


def test_an_encoder_that_gives_no_maps_of_other_sizes_is_not_exported(tmp_path):
    """Exported, its table of positions fits images of one size only."""
    path = matching({**DINOV2, "model_type": "dinov2_with_registers"}, "cls", own_encoder=False).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match=r"fails on images of 32 px.*nothing was written.*runtime torch"):
        export_onnx(path)
    assert not (path / "encoder.onnx").exists()


def test_both_files_of_a_matcher_must_be_there_in_their_places(matching_folder, folder, tmp_path):
    first, second = (matching_folder / name for name in ("encoder.onnx", "encoder.matcher.onnx"))
    alone = tmp_path / "alone" / "encoder.onnx"
    alone.parent.mkdir()
    alone.write_bytes(first.read_bytes())
    with pytest.raises(ModelError, match=r"encoder\.matcher\.onnx: it cannot be read.*jzi export MODEL"):
        ZoomModel.from_pretrained(matching_folder, runtime=str(alone))
    for beside, words in ((first, "holds a model's encoder without feature maps, but the matcher_encoder with"),
                          (folder / "encoder.onnx", "the matcher_encoder with feature maps is needed")):
        (alone.parent / "encoder.matcher.onnx").write_bytes(beside.read_bytes())
        with pytest.raises(ModelError, match=words):
            ZoomModel.from_pretrained(matching_folder, runtime=str(alone))
    with pytest.raises(ModelError, match=r"holds a model's matcher_encoder with .* the encoder without .* Name the encoder"):
        ZoomModel.from_pretrained(matching_folder, runtime=str(second))

    def another(model):
        header = json.loads(model.metadata_props[0].value)
        model.metadata_props[0].value = json.dumps({**header, "weights": "0" * 64})

    changed(second, alone.parent, another).rename(alone.parent / "encoder.matcher.onnx")
    with pytest.raises(ModelError, match="not exported from the model in"):
        ZoomModel.from_pretrained(matching_folder, runtime=str(alone))


@pytest.mark.parametrize("channels", [[8, "16"], [8, 0], [8] * 65, 8, [[8]], [8, 17], [16], [8, 16, 16]])
def test_feature_maps_that_are_not_those_of_the_header(matching_folder, tmp_path, channels):
    def other(model):
        header = json.loads(model.metadata_props[0].value)
        model.metadata_props[0].value = json.dumps({**header, "channels": channels})

    with pytest.raises(ModelError, match=r"header|maps_"):
        OnnxEncoder(changed(matching_folder / "encoder.matcher.onnx", tmp_path, other),
                    ZoomModel.from_pretrained(matching_folder).config, "matcher_encoder")


def wide_map(model):
    """Let the finest feature map be twice as wide as its header lets expect."""
    for node in model.graph.node:
        node.output[:] = ["narrow" if name == "maps_0" else name for name in node.output]
        node.input[:] = ["narrow" if name == "maps_0" else name for name in node.input]
    model.graph.node.append(onnx.helper.make_node("Concat", ["narrow", "narrow"], ["maps_0"], axis=3))
    model.graph.output[1].type.tensor_type.shape.dim[3].dim_param = "wide"


def map_of_nothing(model):
    for node in model.graph.node:
        node.output[:] = ["finite" if name == "maps_1" else name for name in node.output]
        node.input[:] = ["finite" if name == "maps_1" else name for name in node.input]
    model.graph.node.extend([onnx.helper.make_node("Sub", ["finite", "finite"], ["zeros"]),
                             onnx.helper.make_node("Div", ["zeros", "zeros"], ["maps_1"])])


@pytest.mark.parametrize(("change", "words"), [(wide_map, "gave a feature map of shape"), (map_of_nothing, "not finite")])
def test_feature_maps_that_no_encoder_gives(matching_folder, tmp_path, change, words):
    encoder = OnnxEncoder(changed(matching_folder / "encoder.matcher.onnx", tmp_path, change),
                          ZoomModel.from_pretrained(matching_folder).config, "matcher_encoder")
    with pytest.raises(ModelError, match=words):
        encoder.stages(torch.zeros(1, 3, 32, 32))


def test_an_exported_encoder_is_for_the_cpu(folder):
    with pytest.raises(ModelError, match="works on the CPU only"):
        ZoomModel.from_pretrained(folder, device="cuda", runtime="onnx")


def test_a_model_of_the_hub_has_no_folder_to_write_into(folder, monkeypatch):
    monkeypatch.setattr(exporting, "find_folder", lambda source, revision: folder)
    with pytest.raises(ModelError, match="--out"):
        export_onnx("owner/name")


@pytest.mark.parametrize("cut", [0, 1, 40, 1000, -1])
def test_files_that_are_cut_off(folder, tmp_path, cut):
    path = tmp_path / "cut.onnx"
    path.write_bytes((folder / "encoder.onnx").read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        read_header(path)


def test_files_that_are_something_else(tmp_path):
    for number, content in enumerate((b"\x00" * 100, b"\xff" * 100, b"not ONNX at all", json.dumps({"a": 1}).encode())):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError):
            read_header(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_header(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not a regular file"):
        read_header(tmp_path)


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


def external_in_attribute(model):
    tensor = onnx.helper.make_tensor("t", 1, [1], [1.0])
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["t"], value=tensor))


def custom_operator(model):
    model.graph.node.append(onnx.helper.make_node("Evil", ["images"], ["x"], domain="com.evil"))


def operator_set(model):
    model.opset_import.add(domain="com.microsoft", version=1)


def branch(model):
    model.graph.node.append(onnx.helper.make_node("Loop", ["images"], ["x"], body=onnx.helper.make_graph([], "b", [], [])))


def function(model):
    model.functions.add(name="f")


def no_header(model):
    del model.metadata_props[:]


def twice(model):
    model.metadata_props[0].value = '{"format": "justzoomin-onnx/1"}'


def other_sizes(model):
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"pixels": 16', '"pixels": -16')


@pytest.mark.parametrize(("change", "words"), [
    (external, "another file"), (external_in_attribute, "another file"), (custom_operator, "com.evil"), (branch, "loops"),
    (operator_set, "com.microsoft"), (function, "functions"), (no_header, "jzi export made"), (twice, "header"),
    (other_sizes, "pixels")])
def test_what_no_export_of_ours_holds_is_refused(folder, tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        read_header(changed(folder, tmp_path, change))


def test_a_graph_that_is_not_what_its_header_says(folder, tmp_path):
    def wider(model):
        entry = model.metadata_props[0]
        entry.value = entry.value.replace('"width": 16', '"width": 17')

    with pytest.raises(ModelError, match=r"vectors \(N, 17\)"):
        ZoomModel.from_pretrained(folder, runtime=str(changed(folder, tmp_path, wider)))

    def broken(model):
        model.graph.node[0].op_type = "NoSuchThing"

    with pytest.raises(ModelError, match="cannot open it"):
        ZoomModel.from_pretrained(folder, runtime=str(changed(folder, tmp_path, broken)))


def add_to_vectors(model, nodes, constants=()):
    """Let the graph add a number that `nodes` make, named `extra`, to its vectors."""
    for node in model.graph.node:
        node.output[:] = ["before" if name == "vectors" else name for name in node.output]
        node.input[:] = ["before" if name == "vectors" else name for name in node.input]
    model.graph.initializer.extend(constants)
    model.graph.node.extend([*nodes, onnx.helper.make_node("Add", ["before", "extra"], ["vectors"])])


def room(size):
    return onnx.helper.make_tensor("room", onnx.TensorProto.INT64, [len(size)], size)


def giant_constant(model):
    add_to_vectors(model, [onnx.helper.make_node("ConstantOfShape", ["room"], ["giant"]),
                           onnx.helper.make_node("ReduceMax", ["giant"], ["extra"], keepdims=0)], [room([1 << 32])])


def doubling(model):
    parts = [onnx.helper.make_node("Concat", [f"d{k}", f"d{k}"], [f"d{k + 1}"], axis=0) for k in range(45)]
    add_to_vectors(model, [onnx.helper.make_node("Identity", ["before"], ["d0"]), *parts,
                           onnx.helper.make_node("ReduceMax", ["d45"], ["extra"], keepdims=0)])


def endless(model):
    steps = [onnx.helper.make_node("MatMul", [f"m{k}", "m0"], [f"m{k + 1}"]) for k in range(3000)]
    add_to_vectors(model, [onnx.helper.make_node("ConstantOfShape", ["room"], ["m0"]), *steps,
                           onnx.helper.make_node("ReduceMax", ["m3000"], ["extra"], keepdims=0)], [room([500, 500])])


def not_a_number(model):
    add_to_vectors(model, [onnx.helper.make_node("Sub", ["before", "before"], ["zero"]),
                           onnx.helper.make_node("Div", ["zero", "zero"], ["extra"])])


@pytest.mark.parametrize(("change", "words"), [
    (giant_constant, "ONNX Runtime cannot run it"), (doubling, "ONNX Runtime cannot run it"),
    (endless, "did not finish 2 images within 0.3 s"), (not_a_number, "not finite")])
def test_a_graph_without_bounds_ends_in_words(folder, tmp_path, monkeypatch, change, words):
    monkeypatch.setattr(running, "SECONDS", 0.1 if change is endless else 60.0)
    monkeypatch.setattr(running, "SECONDS_PER_IMAGE", 0.1)
    model = ZoomModel.from_pretrained(folder, runtime=str(changed(folder, tmp_path, change)))
    with pytest.raises(ModelError, match=words):
        model.encode_views(torch.zeros(2, 3, 16, 16))


def test_any_changed_byte_gives_a_header_or_an_error_of_ours(folder, tmp_path):
    content = bytearray((folder / "encoder.onnx").read_bytes())
    header = read_header(folder / "encoder.onnx")
    generator = torch.Generator().manual_seed(0)
    path, refused = tmp_path / "changed.onnx", 0
    for place in torch.randint(0, len(content), (150,), generator=generator).tolist():
        broken = content.copy()
        broken[place] ^= 0x5A
        path.write_bytes(broken)
        try:
            assert dataclasses.asdict(read_header(path)).keys() == dataclasses.asdict(header).keys()
        except ModelError:
            refused += 1
    assert refused > 0


def test_opening_draws_no_weights_and_leaves_drawing_as_it_was(folder):
    state = torch.get_rng_state()
    first, second = ZoomModel.from_pretrained(folder), tiny(CONVNEXT, "pooler", 16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    drawn = ZoomModel(first.config, seed=1).decoder.output_head.weight
    assert drawn.std().item() == pytest.approx(0.02, rel=0.3)


def test_opening_ends_whatever_lies_in_memory(tmp_path, monkeypatch):
    """A truncated normal draws until all values are within bounds: where drawing is skipped it must not be begun."""
    path = tiny(DINOV2, "cls", 24).save_pretrained(tmp_path / "model")

    def begun(*_, **__):
        raise AssertionError("a truncated normal was begun")

    monkeypatch.setattr(torch.nn.init, "_no_grad_trunc_normal_", begun)
    assert ZoomModel.from_pretrained(path).encoder.width == 32


@pytest.mark.parametrize("architecture", [CONVNEXT, DINOV2, {**DINOV2, "model_type": "dinov3_vit", "intermediate_size": 64}])
def test_what_no_file_holds_is_there_in_a_model_that_was_opened(architecture, tmp_path):
    """Tables that are not weights, such as rotary positions, are computed although weights are not drawn."""
    pooling = "pooler" if architecture is CONVNEXT else "cls"
    model = tiny(architecture, pooling, 32)
    opened = ZoomModel.from_pretrained(model.save_pretrained(tmp_path / "model"))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(opened.encode_views(images), model.encode_views(images))
    for (name, a), (_, b) in zip(opened.named_buffers(), model.named_buffers(), strict=True):
        assert torch.equal(a, b), name

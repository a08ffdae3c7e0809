"""The plan asks the hardware; what it does to a model changes no output in 32 bits."""

import subprocess
import sys

import pytest
import torch

from justzoomin.models import ZoomModel, plan
from justzoomin.models.compute import cpu_multiplies_bf16


def test_inference_is_exact_unless_asked_otherwise():
    for device in ("cpu", "cuda:1", "mps"):
        assert plan(device).precision == "fp32"
    assert plan("cpu", "bf16").precision == "bf16"


@pytest.mark.parametrize(("amx", "wanted"), [(True, "bf16"), (False, "fp32")])
def test_training_on_a_cpu_follows_its_matrix_units(monkeypatch, amx, wanted):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert cpu_multiplies_bf16() is amx
    chosen = plan("cpu", training=True)
    assert chosen.precision == wanted
    assert wanted in chosen.words()
    assert chosen.lightning_precision == {"bf16": "bf16-mixed", "fp32": "32-true"}[wanted]
    assert plan("cpu", "fp32", training=True).precision == "fp32"


@pytest.mark.parametrize(("has", "wanted"), [(True, "bf16"), (False, "fp32")])
def test_training_on_a_gpu_does_not_count_emulated_bf16(monkeypatch, has, wanted):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has)
    assert plan("cuda", training=True).precision == wanted


def test_inference_on_a_gpu_computes_convolutions_in_32_bits(monkeypatch, tiny_model):
    """By default torch computes them in TF32 there."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    plan("cuda").prepare(tiny_model)
    assert torch.backends.cudnn.allow_tf32 is False
    plan("cuda", "bf16", training=True).prepare(tiny_model)
    assert torch.backends.cudnn.allow_tf32 is True


def test_preparing_keeps_outputs_weights_and_fingerprint(tiny_model, batch):
    with torch.no_grad():
        before, name = tiny_model(*batch), tiny_model.fingerprint()
        plan("cpu", channels_last=True).prepare(tiny_model)
        assert tiny_model.encoder.backbone.encoder.stages[1].downsampling_layer[1].weight.is_contiguous(
            memory_format=torch.channels_last)
        torch.testing.assert_close(tiny_model(*batch), before, atol=1e-5, rtol=1e-5)
    assert tiny_model.fingerprint() == name


def test_attention_is_the_chosen_one(tiny_dinov2_folder):
    from dataclasses import replace

    from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig

    model = ZoomModel(ModelConfig(image_pixels=16, encoder=EncoderConfig(source=str(tiny_dinov2_folder), trainable_blocks=1),
                                  decoder=DecoderConfig(blocks=1, heads=2))).eval()
    images = torch.randn(2, 3, 16, 16)
    vectors = {}
    for attention in ("eager", "sdpa"):
        replace(plan("cpu"), attention=attention).prepare(model)
        assert model.encoder.backbone.config._attn_implementation == attention
        with torch.no_grad():
            vectors[attention] = model.encode_views(images)
    torch.testing.assert_close(vectors["eager"], vectors["sdpa"], atol=1e-4, rtol=1e-4)


def test_autocast_is_what_the_plan_says():
    left, right = torch.randn(4, 4), torch.randn(4, 4)
    with plan("cpu").autocast():
        assert (left @ right).dtype == torch.float32
    with plan("cpu", "bf16").autocast():
        assert (left @ right).dtype == torch.bfloat16


def test_reading_the_module_loads_no_torch():
    code = ("import importlib.util, sys; from pathlib import Path; import justzoomin; "
            "path = Path(justzoomin.__file__).parent / 'models' / 'compute.py'; "
            "spec = importlib.util.spec_from_file_location('compute', path); module = importlib.util.module_from_spec(spec); "
            "sys.modules['compute'] = module; spec.loader.exec_module(module); sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Exported encoders of a ray matcher: the command and the answers that follow."""

from pathlib import Path

import numpy as np
import pytest
import torch

import fakes
from justzoomin.data import halves, open_dataset
from justzoomin.models import MatcherConfig, ZoomModel
from justzoomin.search import Localizer

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("own_encoder", [True, False])
def test_a_matcher_gives_the_same_answers_under_onnx(jzi, photos: Path, repository: Path, tmp_path: Path, own_encoder) -> None:
    """Positions, probabilities and the log-probabilities of all cells are those of torch."""
    matcher = MatcherConfig(metres_per_pixel=1.0, channels=4, ranges=4, headings=4, tried=8, width=8, window_m=128.0,
                            margin_m=16.0, zoom_weight=0.5, own_encoder=own_encoder)
    model = ZoomModel(fakes.tiny_model().config.model_copy(update={"matcher": matcher}), pretrained=False, seed=3)
    if own_encoder:
        model.matcher_encoder.load_state_dict(fakes.tiny_model(seed=9).encoder.state_dict())
    folder = model.save_pretrained(tmp_path / "model", open_dataset(repository).grid)
    use = ("localize", photos, "--model", folder, "--map", repository, "--json")
    assert "Make it with: jzi export MODEL" in jzi(*use, "--runtime", "onnx").refusal()
    ran = jzi("export", folder)
    assert (ran.code, ran.err) == (0, "") and ("encoder.matcher.onnx" in ran.out) == own_encoder
    assert ran.out.splitlines()[-1].endswith("--runtime onnx")
    ours, torchs = jzi(*use, "--runtime", "onnx").json, jzi(*use).json
    assert len(ours) == len(torchs) == 2
    for a, b in zip(ours, torchs, strict=True):
        assert (a["sequence"], a["lat"], a["lon"], a["model"]) == (b["sequence"], b["lat"], b["lon"], b["model"])
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-4)
    pairs = halves(torch.randint(0, 256, (3, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    found, wanted = (Localizer.load(folder, repository, device="cpu", runtime=runtime).log_probs(pairs)
                     for runtime in ("onnx", "torch"))
    assert np.abs(found - wanted).max() < 1e-3 and np.ptp(wanted) > 0.1  # there is something to differ

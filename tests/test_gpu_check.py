"""The check of a GPU, tried on the CPU: everything passes, a part that fails does not stop the others, no GPU is said."""

import importlib
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from justzoomin.models.config import PRESETS

TRIED = ("small",)
"""Presets of the try in the tests: all of them take minutes on a processor."""
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_check.py"


def check(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("gpu_check")


def test_everything_passes_on_the_cpu(tmp_path):
    pytest.importorskip("embreex")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- gpu-check: begin -->\nold\n<!-- gpu-check: end -->\nafter\n")
    ran = check("--device", "cpu", "--steps", 3, "--photos", 10, "--town-m", 80, "--depth", 2, "--km", 0.32, "--minutes", 160,
                "--presets", *TRIED, "--json", tmp_path / "found.json", "--page", page)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["passed"] and found["settings"]["steps"] == 3
    rows = found["rows"]
    assert {row["part"] for row in rows} >= {"town", *TRIED}
    for preset in TRIED:
        assert sorted(row["precision"] for row in rows if row["part"] == preset) == ["bf16", "bf16", "fp16", "fp16", "fp32"]
    text = page.read_text()
    assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n") and "old" not in text
    assert text.count("| yes |") == len(rows)
    assert "CPU" in ran.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_and_what_to_do(tmp_path):
    ran = check("--json", tmp_path / "found.json")
    assert ran.returncode == 2
    assert "no GPU found" in ran.stderr and "--device cpu" in ran.stderr and "torch" in ran.stderr
    assert not (tmp_path / "found.json").exists()


def _fails(folder, sizes):
    yield "a row"
    raise ValueError("broken")


def _hangs(folder, sizes):
    yield "a row"
    time.sleep(60)


def _crashes(folder, sizes):
    yield "a row"
    os._exit(7)


@pytest.mark.parametrize(("work", "words"), [(_fails, "code 1"), (_hangs, "longer than 1 s"), (_crashes, "code 7")])
def test_a_part_that_ends_early_is_a_row(module, work, words):
    sizes = module.Sizes("cpu", 3, 10, 80.0, 2, 0.32)
    first, last = module._in_child(module.Part("work", 1, work), Path(), sizes, 1)
    assert first == "a row"
    assert not last.passed and words in last.found


def test_parts_reach_a_fresh_process(module):
    """On a GPU processes are not forked, so what they get is pickled."""
    parts = module.parts()
    assert [part.name for part in pickle.loads(pickle.dumps(parts))] == [part.name for part in parts]
    assert [part.name for part in parts][1:1 + len(PRESETS)] == list(PRESETS)


def test_an_error_or_a_wrong_result_is_a_row_that_did_not_pass(module):
    import numpy as np

    from gpu_parts import _compared, _timed

    wanted, found = np.array([[-1.0, -2.0, -40.0]]), np.array([[-1.0, -2.2, -60.0]])
    assert _timed("p", "w", "bf16", lambda: _compared(found, wanted, 0.21, 1.0)).figures["difference"] == pytest.approx(0.2)
    for bad in (lambda: _compared(found, wanted, 0.19, 1.0), lambda: _compared(found * np.nan, wanted, 9.0, 1.0)):
        row = _timed("p", "w", "bf16", bad)
        assert not row.passed and "differ" in row.found
    assert not _timed("p", "w", "", lambda: torch.zeros(2) @ torch.zeros(3)).passed

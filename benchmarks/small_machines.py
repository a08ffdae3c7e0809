"""Small machines: the exported encoder against torch, and what a fresh process takes until its first fix.

python benchmarks/small_machines.py             # the encoders alone, and a zoomer
python benchmarks/small_machines.py demo/town   # the packaged model with its ray matcher, on the town of make demo
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.data import open_dataset
from justzoomin.geometry import preset
from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, ZoomModel, export_onnx, model_preset
from justzoomin.search import Localizer
from justzoomin.search.matching import GroundMap
from material import make_region
from timing import Row, Section, in_turns, medians

BASE = {"model_type": "dinov2", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 14,
        "image_size": 518}
"""Architecture of DINOv2 base; speed does not depend on the weights."""
LEVELS = tuple(range(-8, 0))
"""Levels that views of 48 px and of 384 px of the published region are drawn from."""

_LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(process.returncode)
"""


def run(folder: Path) -> Section:
    """Export `small` and a base-size model with fresh weights, compare with torch, and localize in fresh processes."""
    section = Section("Small machines")
    base = ModelConfig(image_pixels=384, encoder=EncoderConfig(architecture=BASE), decoder=DecoderConfig())
    region = make_region(folder / "region", 4, levels=LEVELS)
    photo = region / "streetview" / "images" / "000000_undistorted.jpg"
    for name, config, sizes, rounds in (("small", model_preset("small"), (1, 32), 25), ("base-size DINOv2", base, (1,), 2)):
        model = ZoomModel(config, pretrained=False)
        source = model.save_pretrained(folder / name.split("-")[0], preset("dc"))
        export_onnx(source)
        _encoders(section, name, source, config.image_pixels, sizes, rounds)
        words = ["localize", str(photo), "--model", str(source), "--map", str(region), "--device", "cpu"]
        _cold_start(section, name, words, "onnx", rounds=3 if name == "small" else 1)
    return section


def _encoders(section: Section, name: str, source: Path, pixels: int, sizes: tuple[int, ...], rounds: int) -> None:
    ours, theirs = ZoomModel.from_pretrained(source, runtime="onnx"), ZoomModel.from_pretrained(source)
    for size in sizes:
        images = torch.randn(size, 3, pixels, pixels, generator=torch.Generator().manual_seed(0))

        def encode(model: ZoomModel, images: torch.Tensor = images) -> Callable[[], object]:
            return torch.inference_mode()(lambda: model.encode_views(images))

        found = medians(in_turns({"onnx": encode(ours), "torch": encode(theirs)}, rounds), 0.001 * size)
        section.rows.append(Row(f"encode, {name}, batch of {size}", found["onnx"], found["torch"], "ms an image", "torch fp32",
                                note=f"{pixels} px, ONNX Runtime fp32, {torch.get_num_threads()} threads each"))


def _cold_start(section: Section, name: str, words: list[str], onnx: str, rounds: int) -> None:
    """`jzi localize` in fresh processes, the runtimes in turns."""
    taken: dict[str, list[tuple[float, float, float]]] = {"torch": [], "onnx": []}
    for _ in range(rounds):
        for runtime, found in taken.items():
            found.append(first_fix([*words, "--runtime", onnx if runtime == "onnx" else "torch"]))
    middle = {runtime: [median(column) for column in zip(*found, strict=True)] for runtime, found in taken.items()}
    section.rows.append(Row(f"first fix from a cold start, {name}", middle["onnx"][0], middle["torch"][0], "s", "torch",
                            note="fresh process, files in the system's cache"))
    section.rows.append(Row(f"peak memory of it, {name}", middle["onnx"][2], middle["torch"][2], "MB", "torch"))
    section.remarks.append(f"First fix with {name}: {middle['torch'][1]:.1f} s of processor time with torch, "
                           f"{middle['onnx'][1]:.1f} s with ONNX.")


def run_demo(town: Path, folder: Path, rounds: int = 7) -> Section:
    """Compare the packaged model, whose ray matcher has an encoder of its own, with its export, on two photos of a town."""
    section = Section("The packaged model with its ray matcher")
    exported = export_onnx(packaged_model(), folder / "exported").path
    data = open_dataset(town)
    photos = [folder / f"{image_id}.jpg" for image_id in data.split("val").image_ids[:2]]
    for photo in photos:
        photo.write_bytes(data.photos.read(photo.stem))
    words = ["localize", *map(str, photos), "--model", str(packaged_model()), "--map", str(town), "--device", "cpu"]
    _cold_start(section, "the packaged model, two photos", words, str(exported), rounds)
    warm = {name: Localizer.load(packaged_model(), town, device="cpu", runtime=runtime)
            for name, runtime in (("onnx", str(exported)), ("torch", "torch"))}
    later = medians(in_turns({name: partial(_localize, localizer, photos) for name, localizer in warm.items()}, 3 * rounds),
                    0.001 * len(photos))
    section.rows.append(Row("each later photo", later["onnx"], later["torch"], "ms", "torch", note="map described before"))
    grounds = {name: partial(_describe, localizer) for name, localizer in warm.items()}
    found = medians(in_turns(grounds, rounds), 0.001)
    section.rows.append(Row("describing the map", found["onnx"], found["torch"], "ms", "torch", note="once in a process"))
    return section


def _localize(localizer: Localizer, photos: list[Path]) -> None:
    for photo in photos:
        localizer.localize(photo)


def _describe(localizer: Localizer) -> None:
    assert isinstance(localizer.model, ZoomModel)
    GroundMap(localizer.model, localizer.map, localizer.grid).describe()


def first_fix(words: list[str]) -> tuple[float, float, float]:
    """Run `jzi` in a fresh process: seconds, processor seconds, peak memory in MB.

    It is started by a small process of its own: a child's peak begins at that of the process that it was forked from.

    Raises:
        RuntimeError: If it fails.
    """
    ran = subprocess.run([sys.executable, "-S", "-c", _LAUNCHER, sys.executable, "-m", "justzoomin.apps.main", *words],
                         capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    seconds, processor, peak = map(float, ran.stdout.splitlines()[-1].split())
    return seconds, processor, peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as place:
        section = run_demo(Path(sys.argv[1]), Path(place)) if len(sys.argv) > 1 else run(Path(place))
    for row in section.rows:
        print(row.text())
    print(*section.remarks, sep="\n")


if __name__ == "__main__":
    main()

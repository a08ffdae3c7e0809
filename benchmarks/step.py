"""The training step, photos included: ours against the published loop.

    python benchmarks/step.py

Both decode JPEG files from the disk, encode, decode, and go back through the same weights to an optimizer step, in fp32, on
two threads, without augmentation. The published loop draws every view again; ours reads views from memory, as in every epoch
but the first. The row "outputs of frozen blocks kept" is the steady state: all of the batch's views are in that cache.
The encoder has the shape of DINOv2-small, with the last 4 of 12 blocks trained. Pictures have 70 px, to be quick;
with larger ones encoding weighs more, and decoding files and drawing views less.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from justzoomin.data import collate, halves, normalize, open_dataset
from justzoomin.geometry import view_count
from justzoomin.maps import GridViews
from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, ZoomModel, plan
from justzoomin.training import ZoomTask, train_config
from justzoomin.training.prefix_cache import PrefixCache, open_cache
from material import make_region
from published import PublishedLoop
from timing import Row, Section, in_turns, medians

PIXELS = 70
LEVELS = (-9, -7, -5, -3)
PHOTOS = 128
WANTED = {16: 1.25, 128: 1.5}
WANTED_CACHED = 1.8
_ARCHITECTURE = {"model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "mlp_ratio": 4,
                 "patch_size": 14, "image_size": PIXELS}
_MODEL = ModelConfig(image_pixels=PIXELS, encoder=EncoderConfig(architecture=_ARCHITECTURE, trainable_blocks=4),
                     decoder=DecoderConfig(blocks=6, heads=8, dropout=0.0))
_SETTINGS = train_config("paper", None, ("augment.enabled=false", "accelerator=cpu"))


class Bench:
    """A region on the disk and the ways to make a training step on the same photos.

    Args:
        root: The region's folder.
        count: Photos of a batch.
    """

    def __init__(self, root: Path, count: int) -> None:
        self.dataset, self.count = open_dataset(root), count
        self.views = GridViews(self.dataset.map, self.dataset.grid, PIXELS)
        self.photos = self.dataset.torch_dataset("train", PIXELS, views=self.views)
        self.sequences = self.dataset.sequences("train")[:count]
        self.models: dict[str, ZoomModel] = {}

    def ours(self, cached: bool) -> Callable[[], float]:
        """Return a step of `jzi train`, without its logging."""
        model = self._model("cached" if cached else "ours")
        cache: PrefixCache | None = None
        if cached:
            cache = open_cache(model, "memory", 1 << 30, "fp32", Path(), view_count(self.dataset.grid), "fp32")
        task = ZoomTask(model, _SETTINGS.model_copy(update={"model": _MODEL}), [self.views], 1000, cache)
        task.log = lambda *_, **__: None
        optimizer = _optimizer(model, fused=plan("cpu", training=True).fused_optimizer)

        def step() -> float:
            batch = collate([self.photos[i] for i in range(self.count)])
            return _update(model, optimizer, task.training_step(batch, 0))

        return step

    def published(self) -> Callable[[], float]:
        """Return the published step."""
        model = self._model("published")
        loop = PublishedLoop(model, self.dataset.root / "satellite" / "layout.yaml", self.dataset.grid)
        optimizer = _optimizer(model, fused=False)
        names = self.photos.image_ids[:self.count]

        def step() -> float:
            return _update(model, optimizer, loop.loss([self.dataset.photos.read(n) for n in names], self.sequences))

        return step

    def floor(self) -> Callable[[], float]:
        """Return a pass of the photos' halves alone, forward and backward through the same encoder, without map and files."""
        model = self._model("floor")
        wide = collate([self.photos[i] for i in range(self.count)])["wide"]
        pairs = normalize(halves(wide), _MODEL.mean, _MODEL.std)

        def step() -> float:
            model.zero_grad()
            loss = model.encode_photos(pairs).square().mean()
            loss.backward()
            return float(loss.detach())

        return step

    def _model(self, name: str) -> ZoomModel:
        self.models[name] = ZoomModel(_MODEL, pretrained=False, seed=0).train()
        return self.models[name]

    def check(self, ways: dict[str, Callable[[], float]]) -> float:
        """Return the largest relative difference between the first losses of the ways, which compute the same."""
        losses = [way() for way in ways.values()]
        return (max(losses) - min(losses)) / max(losses)


def _optimizer(model: ZoomModel, *, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6, weight_decay=0.01, fused=fused)


def _update(model: ZoomModel, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    return float(loss.detach())


def own_peak_mb() -> float:
    """Return the largest resident set of this process in MB; getrusage would include memory shared with the parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1000


def peak_mb(root: Path, way: str, count: int) -> float:
    """Return the peak memory in MB of a separate process that makes two steps (one at 128)."""
    command = [sys.executable, __file__, "--peak", str(root), way, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def run(folder: Path, rounds: int = 5, *, memory: bool = True) -> Section:
    """Measure; `folder` is for the region."""
    torch.set_num_threads(2)
    root = make_region(folder / "region", PHOTOS, levels=LEVELS)
    section = Section("Training step")
    note = (f"photos from JPEG files on the disk; encoder of DINOv2-small's shape, last 4 of 12 blocks trained, pictures of "
            f"{PIXELS} px, fp32, two threads, nothing augmented, our views warm in memory")
    for count, wanted in WANTED.items():
        bench = Bench(root, count)
        ways = {"published": bench.published(), "ours": bench.ours(cached=False), "cached": bench.ours(cached=True),
                "floor": bench.floor()}
        apart = bench.check({name: ways[name] for name in ("published", "ours", "cached")})  # warms caches as well
        times = medians(in_turns(ways, rounds if count < 100 else max(2, rounds // 2), warm=0), each=count / 1000)
        floor_is = "the photos' halves alone, forward and backward"
        for name, what, goal in (("ours", f"training step, batch of {count}", wanted),
                                 ("cached", f"training step, batch of {count}, outputs of frozen blocks kept",
                                  WANTED_CACHED if count == 128 else None)):
            section.rows.append(Row(what, times[name], times["published"], "ms a photo", "published loop", goal, times["floor"],
                                    floor_is, note))
        distinct = len(collate([bench.photos[i] for i in range(count)])["view_ids"])
        section.remarks.append(f"Batch of {count}: {distinct} distinct views instead of {4 * count}; first losses {apart:.1e} "
                               "apart, as ours decodes photos scaled.")
    section.remarks.append(
        f"At {PIXELS} px decoding and drawing weigh more than at 384 px. Counted in blocks of the encoder alone, forward and"
        " backward, a batch of 128 of the published way costs 1.5 times as much as ours, and 1.9 times as much as ours with"
        " outputs of frozen blocks kept.")
    if memory:
        for count in WANTED:
            peaks = {way: peak_mb(root, way, count) for way in ("published", "ours", "cached")}
            for way in ("ours", "cached"):
                kept = ", outputs of frozen blocks kept" if way == "cached" else ""
                section.rows.append(Row(f"peak memory of a step, batch of {count}{kept}", peaks[way], peaks["published"], "MB",
                                        "published loop", 1.0, None, "", "largest resident set of a process of its own"))
    return section


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        root, way, count = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
        torch.set_num_threads(2)
        bench = Bench(root, count)
        step = bench.published() if way == "published" else bench.ours(cached=way == "cached")
        for _ in range(2 if count < 100 else 1):
            step()
        sys.stdout.write(f"{own_peak_mb():.1f}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        section = run(Path(folder))
        for row in section.rows:
            print(row.text())
        for remark in section.remarks:
            print(remark)
        print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()

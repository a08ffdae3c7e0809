"""Localizing a folder of photos with the map's vectors at hand, against the published loop and against encoding alone.

    python benchmarks/localize.py

DINOv2-small's shape with random weights, views and halves of 384 px, photos of 2048 x 1152 px on the disk, two threads. The
index is lazy and warm: the views on these photos' paths were encoded before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from justzoomin.data import open_dataset
from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, ZoomModel
from justzoomin.search import Fix, Localizer, build_index
from material import make_region
from published import PublishedLoop
from timing import Row, Section, in_turns, medians

PHOTOS = 4
BATCH = 4


def small_dinov2(pixels: int, trainable_blocks: int | None = 4) -> ZoomModel:
    """Return a model with an encoder of DINOv2-small's shape, random weights from a seed."""
    shape = {"model_type": "dinov2", "image_size": 518, "patch_size": 14, "hidden_size": 384, "num_hidden_layers": 12,
             "num_attention_heads": 6}
    encoder = EncoderConfig(architecture=shape, trainable_blocks=trainable_blocks)
    config = ModelConfig(image_pixels=pixels, encoder=encoder, decoder=DecoderConfig(blocks=6, heads=6))
    return ZoomModel(config, pretrained=False).eval()


def run(folder: Path, rounds: int = 3) -> Section:
    """Measure; `folder` is scratch space."""
    root = make_region(folder / "region", PHOTOS)
    dataset = open_dataset(root)
    model = small_dinov2(384)
    published = PublishedLoop(model, root / "satellite" / "layout.yaml", dataset.grid)
    index = build_index(model, dataset.map, folder / "index", lazy=True)
    localizer = Localizer(model, dataset.map, index=index.folder, search="greedy")
    paths = sorted((root / "streetview" / "images").iterdir())
    contents = [path.read_bytes() for path in paths]
    pairs = [localizer.load_photo(data).pair for data in contents]
    batches = [torch.stack(pairs[start:start + BATCH]) for start in range(0, PHOTOS, BATCH)]  # type: ignore[arg-type]

    def agree() -> int:
        """Photos whose sequence is that of the published loop."""
        ours = [fix.sequence for fix in localizer.localize_many(paths, BATCH) if isinstance(fix, Fix)]
        theirs = [tuple(published.localize(data)[0]) for data in contents]
        return sum(a == b for a, b in zip(ours, theirs, strict=True))

    same = agree()  # also warms the lazy index
    encoded = localizer.vectors.encoded
    times = medians(in_turns({
        "ours": lambda: list(localizer.localize_many(paths, BATCH)),
        "published": lambda: [published.localize(data) for data in contents],
        "encode": lambda: [localizer.encode(batch) for batch in batches],
    }, rounds, warm=0), PHOTOS)
    assert localizer.vectors.encoded == encoded, "the index was not warm"
    query = np.zeros(1, np.int64)
    with torch.inference_mode():
        photo = localizer.encode(batches[0])
        step = medians(in_turns({"search": lambda: localizer.vectors.at(query) is not None and _search(localizer, photo)}, 5))
    section = Section("Localizing a folder")
    alone = "encoding the photos alone"
    section.rows += [
        Row("localize a folder", 1 / times["ours"], 1 / times["published"], "photos/s", "published loop", 2.8,
            1 / times["encode"], alone, "DINOv2-small's shape, 384 px, batches of 4, index warm", more_is_better=True),
        Row("localize a folder, share of encoding alone", 1 / times["ours"], 1 / times["encode"], "photos/s", alone, 0.9,
            more_is_better=True),
    ]
    why = "" if same == PHOTOS else (" The others differ where the two renderers or decoders are a grey level apart and the"
                                     " untrained model's probabilities are nearly even.")
    section.remarks.append(f"The search itself, vectors at hand: {1000 * step['search'] / BATCH:.1f} ms a photo in batches of"
                           f" {BATCH}. {same} of {PHOTOS} sequences equal those of the published loop.{why}")
    return section


def _search(localizer: Localizer, photo: torch.Tensor) -> object:
    from justzoomin.search import greedy

    return greedy(localizer.model, photo, localizer.vectors, localizer.grid.depth)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as folder:
        section = run(Path(folder))
    for row in section.rows:
        print(row.text())
    print("\n".join(section.remarks))


if __name__ == "__main__":
    main()

"""The inside of blocks: what is placed where houses leave room."""

from __future__ import annotations

import numpy as np

from justzoomin.city import ground, houses
from justzoomin.city.outlines import inside, shrunk
from justzoomin.city.site import Site
from justzoomin.city.solids import Frame, rectangle
from justzoomin.city.streets import Block


def fill(site: Site, block: Block, name: str) -> None:
    """Place trees, sheds and patios where a block has room left."""
    rng, style = site.rng, site.style
    low, high = block.polygon.min(axis=0), block.polygon.max(axis=0)
    area = float(np.prod(high - low))
    trees = {"park": 0.022, "suburb": 0.008, "estate": 0.005, "rows": 0.004, "downtown": 0.0012, "hall": 0.0018,
             "parking": 0.0012, "square": 0.0, "sports": 0.0008, "allotments": 0.0015, "grove": 0.0}[name] * style.trees
    inner = shrunk(block, 0.86)
    favourite = style.species or str(rng.choice(["round", "round", "tall", "conifer", "copper", "blossom"]))
    if name in ("hall", "parking", "downtown"):
        for _ in range(int(area * 0.0025 * style.clutter)):
            p = rng.uniform(low, high)
            patch = Frame(p, np.array([1.0, 0.2])).flat(rectangle(*rng.uniform(3.0, 12.0, 2)))
            if inside(p, inner) and site.claims.free(patch):
                site.canvas.polygon(patch, *((ground.LAWN, (98, 124, 64)), (ground.PAVING, (158, 140, 124)),
                                             (ground.ROAD, (92, 92, 96)))[int(rng.integers(3))])
    if name in ("rows", "suburb"):
        palette = houses.Palette(rng, style)
        for _ in range(int(area * 0.0016 * style.clutter)):
            p = rng.uniform(low, high)
            frame = Frame(p, rng.normal(size=2) if name == "suburb" else np.array([1.0, 0.1]))
            w, d = rng.uniform(2.2, 4.0), rng.uniform(2.0, 3.2)
            if inside(p, inner) and site.claims.free(frame.flat(rectangle(w + 1, d + 1))):
                site.claims.take(frame.flat(rectangle(w, d)))
                site.walls += houses.house(site.mesh, rng, frame, w, d, "shed", palette)
        for _ in range(int(area * 0.004 * style.clutter)):
            p = rng.uniform(low, high)
            frame = Frame(p, rng.normal(size=2))
            patch = frame.flat(rectangle(*rng.uniform(2.5, 7.0, 2)))
            if inside(p, inner) and site.claims.free(patch):
                look = ((ground.LAWN, (94, 128, 60)), (ground.PAVING, (166, 150, 134)), (ground.SOIL, (112, 92, 70)),
                        (ground.LAWN, (116, 140, 74)))
                site.canvas.polygon(patch, *look[int(rng.integers(4))])
    for _ in range(int(area * trees)):
        p = rng.uniform(low, high)
        if inside(p, inner):
            species = favourite if rng.random() < 0.5 else str(rng.choice(["round", "round", "tall", "conifer", "copper"]))
            site.tree(p, float(rng.uniform(0.75, 1.3)), species)

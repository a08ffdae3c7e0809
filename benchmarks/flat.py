"""Flat retrieval with faiss over the vectors of all terminal cells: exact, and with an inverted file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from simulated import WIDTH, Floats, cell_blocks

PROBES = 16
"""Lists that a query looks through."""
MOST_LISTS = 2048
"""More take longer than minutes to be trained and filled by one thread."""
IN_MEMORY = 16**5
"""Cells whose vectors are kept; of more, blocks are made, scanned and let go."""
_TRAINING = 48
"""Vectors a list that the lists' centres are found from; faiss asks for 39 or more."""

Ints = npt.NDArray[np.int64]


class Flat:
    """Both indexes over the terminal cells of a region, and queries near random cells.

    Vectors are fp32 in the exact index and fp16 in the inverted file.

    Args:
        depth: Depth of the region.
        count: Queries.
        noise: Deviation of each number of a query from its cell's, before it is brought to unit length.

    Attributes:
        cells: Terminal cells.
        lists: Lists of the inverted file.
        queries: Unit vectors (count, D): photos as a retrieval model would embed them.
        nearest: Cells (count,) that an exact scan finds.
        scan_one_s: Seconds of a query in an exact scan, alone, where the vectors are not kept; else None.
        scan_batch_s: Seconds of all queries in one exact scan, where the vectors are not kept; else None.
        fill_s: Seconds to train and fill the inverted file.
    """

    def __init__(self, depth: int, count: int, noise: float = 0.1, seed: int = 3) -> None:
        self.depth, self.cells = depth, 16**depth
        self.lists = min(MOST_LISTS, 2 ** round(math.log2(math.sqrt(self.cells))))
        self.exact: faiss.IndexFlatIP | None = None
        self.scan_one_s: float | None = None
        self.scan_batch_s: float | None = None
        self._blocks: list[Floats] | None = list(cell_blocks(depth)) if self.cells <= IN_MEMORY else None
        rng = np.random.default_rng(seed)
        sample, sources = self._sample(count, rng)
        noisy = sources + noise * rng.standard_normal(sources.shape, np.float32)
        self.queries: Floats = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
        start = time.perf_counter()
        self._centres = faiss.IndexFlatIP(WIDTH)  # kept here: faiss holds a bare pointer to it
        self.ivf = faiss.IndexIVFScalarQuantizer(self._centres, WIDTH, self.lists, faiss.ScalarQuantizer.QT_fp16,
                                                 faiss.METRIC_INNER_PRODUCT)
        self.ivf.cp.niter = 8
        self.ivf.nprobe = PROBES
        self.ivf.train(sample)
        self.fill_s = time.perf_counter() - start
        self._fill()

    def _read(self) -> Iterator[Floats]:
        return iter(self._blocks) if self._blocks is not None else cell_blocks(self.depth)

    def _sample(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Vectors to train from, and those of the cells that the queries come from."""
        blocks = max(1, self.cells // IN_MEMORY)
        training, sources = [], []
        for block in self._read():
            training.append(block[rng.choice(len(block), min(len(block), _TRAINING * self.lists // blocks), replace=False)])
            sources.append(block[rng.choice(len(block), count // blocks)])
        return np.concatenate(training), np.concatenate(sources)

    def _fill(self) -> None:
        best = np.full(len(self.queries), -np.inf, np.float32)
        self.nearest: Ints = np.zeros(len(self.queries), np.int64)
        one, batch, offset = 0.0, 0.0, 0
        for block in self._read():
            exact = faiss.IndexFlatIP(WIDTH)
            exact.add(block)
            start = time.perf_counter()
            scores, found = exact.search(self.queries, 1)
            batch += time.perf_counter() - start
            better = scores[:, 0] > best
            best[better], self.nearest[better] = scores[better, 0], offset + found[better, 0]
            if self._blocks is None:
                start = time.perf_counter()
                for query in self.queries[:4]:
                    exact.search(query[None], 1)
                one += (time.perf_counter() - start) / 4
            start = time.perf_counter()
            self.ivf.add(block)
            self.fill_s += time.perf_counter() - start
            offset += len(block)
        if self._blocks is None:
            self.scan_one_s, self.scan_batch_s = one, batch
        else:
            self.exact, self._blocks = exact, None

    @property
    def exact_bytes(self) -> int:
        """What the exact index holds."""
        return 4 * WIDTH * self.cells

    @property
    def ivf_bytes(self) -> int:
        """What the inverted file holds: vectors, their numbers, the lists' centres."""
        return (2 * WIDTH + 8) * self.cells + 4 * WIDTH * self.lists

    def recall(self) -> float:
        """Share of the queries whose nearest cell the inverted file finds."""
        return float((self.ivf.search(self.queries, 1)[1][:, 0] == self.nearest).mean())

"""Threads of a build, and limits for libraries while it runs."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from justzoomin.imagery.rasters import RasterFile

_CACHE_BYTES = 256 << 20
_MOST_CACHE_BYTES = 640 << 20
Job = TypeVar("Job")


def in_threads(work: Callable[[Job], None], jobs: Iterable[Job], workers: int) -> Generator[None, None, None]:
    """Do all jobs in threads; the first error, or Ctrl-C, cancels those that have not begun."""
    with ThreadPoolExecutor(workers, "map-build") as pool:
        waiting: deque[Future[None]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) >= 4 * workers:
                    waiting.popleft().result()
                    yield
            while waiting:
                waiting.popleft().result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Stop OpenCV's threads, and rasterio's warning about arrays without georeference, while the context is open."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Dataset has no geotransform")
            yield
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def gdal_cache(files: Sequence[RasterFile], chunk_px: int, workers: int) -> Iterator[None]:
    """Limit GDAL's cache of blocks, which otherwise takes a share of the machine's memory.

    Files stored in rows need all rows of a chunk for each thread; the cache holds them up to a limit.
    """
    if not files:
        yield
        return
    from rasterio.env import get_gdal_config, set_gdal_config

    rows = max((file.width * chunk_px * len(file.bands) * np.dtype(file.dtype).itemsize
                for file in files if file.block[1] >= file.width), default=0)
    before = get_gdal_config("GDAL_CACHEMAX")
    set_gdal_config("GDAL_CACHEMAX", min(max(_CACHE_BYTES, int(1.2 * rows * workers)), _MOST_CACHE_BYTES))
    try:
        yield
    finally:
        if isinstance(before, int):
            set_gdal_config("GDAL_CACHEMAX", before)



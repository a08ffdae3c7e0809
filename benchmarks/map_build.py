"""Memory and time of `jzi map build` on one large raster.

    python benchmarks/map_build.py --pixels 30000 --workers 2

A square GeoTIFF of generated texture (fields, roofs, noise) is written in windows into a temporary folder, then built into a
map in a process of its own. Printed are seconds, megapixels of the raster per second, the peak of memory, and bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_BLOCK = 512
_SAMPLE_S = 0.2


def write_raster(path: Path, pixels: int, compress: str, bands: int) -> None:
    """Write a tiled GeoTIFF in UTM, 0.3 m per pixel, window by window."""
    import cv2
    import rasterio
    from rasterio.windows import Window

    options = {"driver": "GTiff", "width": pixels, "height": pixels, "count": bands, "dtype": "uint8", "crs": "EPSG:32633",
               "transform": rasterio.transform.from_origin(400_000.0, 5_800_000.0, 0.3, 0.3), "tiled": True,
               "blockxsize": _BLOCK, "blockysize": _BLOCK, "BIGTIFF": "IF_SAFER", "compress": compress,
               "interleave": "pixel"}
    if compress == "jpeg":
        options |= {"photometric": "ycbcr", "JPEG_QUALITY": 90}
    rng = np.random.default_rng(0)
    noise = rng.integers(-10, 11, (4 * _BLOCK, 4 * _BLOCK, 1), np.int16)
    with rasterio.open(path, "w", **options) as raster:
        for top in range(0, pixels, 4 * _BLOCK):
            for left in range(0, pixels, 4 * _BLOCK):
                height, width = min(4 * _BLOCK, pixels - top), min(4 * _BLOCK, pixels - left)
                size = width, height
                fields = cv2.resize(rng.integers(40, 200, (9, 9, bands), np.uint8), size, interpolation=cv2.INTER_CUBIC)
                roofs = cv2.resize(rng.integers(0, 2, (64, 64), np.uint8), size, interpolation=cv2.INTER_NEAREST)
                part = np.atleast_3d(fields).astype(np.int16) + 50 * roofs[..., None] + noise[:height, :width]
                raster.write(np.clip(part, 1, 255).astype(np.uint8).transpose(2, 0, 1), window=Window(left, top, width, height))


def tree_rss(pid: int) -> int:
    """Bytes of memory that a process and all below it hold now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        waiting += parents.get(current, [])
        try:
            total += int(Path(f"/proc/{current}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


def build(source: Path, dest: Path, options: list[str]) -> tuple[float, int]:
    """Seconds, and the peak of memory in bytes, of one build as the command does it."""
    started, peak = time.perf_counter(), 0
    code = "import sys; from justzoomin.apps.main import main; main(sys.argv[1:])"
    child = subprocess.Popen([sys.executable, "-c", code, "map", "build", str(source), str(dest), *options])
    while child.poll() is None:
        peak = max(peak, tree_rss(child.pid))
        time.sleep(_SAMPLE_S)
    if child.returncode:
        sys.exit(child.returncode)
    return time.perf_counter() - started, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=30_000, help="edge of the raster")
    parser.add_argument("--compress", default="jpeg", choices=["jpeg", "deflate", "none"])
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the raster and the map are written (default: the temporary folder)")
    parser.add_argument("options", nargs="*", help="further options of jzi map build, after --")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="map-build-", dir=arguments.folder))
    try:
        source, dest = work / "raster.tif", work / "map"
        started = time.perf_counter()
        write_raster(source, arguments.pixels, arguments.compress, arguments.bands)
        print(f"raster: {arguments.pixels} x {arguments.pixels} px, {source.stat().st_size / 1e6:,.0f} MB, "
              f"written in {time.perf_counter() - started:.0f} s", flush=True)
        seconds, peak = build(source, dest, ["--attribution", "generated", *arguments.options])
        files = [path for path in dest.rglob("*") if path.is_file()]
        written = sum(path.stat().st_size for path in files)
        print(f"build: {seconds:.1f} s, {arguments.pixels**2 / 1e6 / seconds:.1f} megapixels/s, peak memory "
              f"{peak / 1e6:,.0f} MB, {len(files):,} files, {written / 1e6:,.0f} MB written")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

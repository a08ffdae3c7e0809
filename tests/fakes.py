"""Generated datasets for the tests: seeded, tiny, in the published repository's true on-disk layout."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl
import simplejpeg
import yaml
from PIL import Image
from pyproj import Transformer

from justzoomin.geometry import Region, ZoomGrid, format_sequence, from_local, save_grid

SUFFIX = "_undistorted.jpg"
BREAKS = ("missing_photo", "truncated_photo", "duplicate_id", "contradiction", "off_region", "short_sequence",
          "broken_tile")
"""What `make_repository` can do wrong; each but the tile concerns a record of its own, from the end of `val` on."""


def make_repository(
    root: Path, *, grid: int = 4, depth: int = 2, size_m: float = 400.0, train: int = 12, val: int = 6, seed: int = 0,
    pixels: int = 64, photo_size: tuple[int, int] = (160, 90), lat: float = 54.5, lon: float = 3.0,
    crs: str = "epsg:32631", extracted: bool = False, region: bool = True, parquet: bool = False,
    photo_shards: int = 2, breaks: Collection[str] = (),
) -> Path:
    """Write a small dataset; return its folder.

    The map is a quilt of coloured patches with noise; a photo is what lies around its position, seen from above,
    so that a model can learn it. Every split has the columns of the card and two more, `heading` and `note`.

    Args:
        root: Folder to write into, made if missing.
        grid: Cells a side of the zoom grid.
        depth: Levels of it.
        size_m: Edge of the region.
        train: Photos of the split `train`.
        val: Photos of the split `val`.
        seed: Seed of everything.
        pixels: Edge of the views that the map's levels are made for.
        photo_size: Width and height of photos.
        lat: Latitude of the region's centre.
        lon: Longitude of it.
        crs: Projection of the tiles, in metres, east before north.
        extracted: Loose files instead of `archives/*.tar`.
        region: Whether to write region.yaml.
        parquet: Split tables as Parquet instead of CSV.
        photo_shards: Shards that the photos are dealt out to.
        breaks: Things to do wrong, from `BREAKS`.
    """
    unknown = set(breaks) - set(BREAKS)
    assert not unknown, unknown
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    zoom = ZoomGrid(Region(lat, lon, (-size_m / 2, size_m / 2), (-size_m / 2, size_m / 2)), grid, depth)
    world = _World(zoom, pixels, crs, rng)
    files = world.tiles()
    if "broken_tile" in breaks:
        name = sorted(n for n in files if n.startswith("satellite/0/"))[0]
        files[name] = files[name][:40]
    (root / "satellite").mkdir(exist_ok=True)
    (root / "satellite" / "layout.yaml").write_text(yaml.safe_dump(world.layout()))
    if region:
        save_grid(zoom, root / "satellite" / "region.yaml")
    photos: dict[str, bytes] = {}
    for number, (name, count) in enumerate((("train", train), ("val", val))):
        rows = _records(zoom, count, 10**15 * (number + 1), rng)
        for row in rows:
            photos[f"streetview/images/{row['image_id']}{SUFFIX}"] = world.photo(row["latitude"], row["longitude"],
                                                                                 photo_size, rng)
        if name == "val":
            _break_records(rows, photos, zoom, set(breaks))
        write_table(root / "metadata" / f"large_area_{name}_map.{'parquet' if parquet else 'csv'}", rows)
    if extracted:
        _write_files(root, {**files, **photos})
    else:
        for level in sorted({int(n.split("/")[1]) for n in files}):
            text = f"m{-level}" if level < 0 else str(level)
            write_tar(root / "archives" / f"satellite_level_{text}_000.tar",
                      {n: c for n, c in files.items() if n.startswith(f"satellite/{level}/")})
        names = sorted(photos)
        for shard in range(photo_shards):
            write_tar(root / "archives" / f"streetview_images_{shard:03d}.tar",
                      {n: photos[n] for n in names[shard::photo_shards]})
    return root


def grid_of(root: Path) -> ZoomGrid:
    """The grid a repository was made with."""
    from justzoomin.geometry import load_grid

    return load_grid(root / "satellite" / "region.yaml")


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write a split as the published ones are (CSV, sequences as text) or as Parquet (sequences as lists)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        pl.DataFrame([{**r, "sequence": f"[{format_sequence(r['sequence']).replace(',', ', ')}]"}
                      for r in rows]).write_csv(path)
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    """Write a plain TAR with members in order of their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            tar.addfile(entry, io.BytesIO(members[name]))
    return path


def extract(root: Path, destination: Path) -> Path:
    """Extract a repository as the card says, metadata and layout beside the files; return the destination."""
    for tar_path in sorted((root / "archives").glob("*.tar")):
        with tarfile.open(tar_path) as tar:
            tar.extractall(destination, filter="data")
    _write_files(destination, {str(p.relative_to(root)): p.read_bytes()
                               for folder in ("metadata", "satellite") for p in (root / folder).iterdir()})
    return destination


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth colourful picture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: np.ndarray | Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """An image file's bytes."""
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif(image: np.ndarray, orientation: int | None = None, gps: tuple[float, float] | None = None) -> bytes:
    """A JPEG with an EXIF orientation and, if asked for, an EXIF position."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    if gps is not None:
        block = exif.get_ifd(0x8825)
        block.update({1: "N" if gps[0] >= 0 else "S", 2: (abs(gps[0]), 0.0, 0.0),
                      3: "E" if gps[1] >= 0 else "W", 4: (abs(gps[1]), 0.0, 0.0)})
    return encoded(image, quality=92, exif=exif)


def _write_files(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _records(grid: ZoomGrid, count: int, first_id: int, rng: np.random.Generator) -> list[dict[str, object]]:
    reach = 0.48 * grid.region.size_m
    east, north = rng.uniform(-reach, reach, (2, count))
    lat, lon = from_local(*grid.region.centre, east, north)
    lat, lon = lat.round(6), lon.round(6)
    return [{"image_id": str(first_id + 7919 * k), "latitude": float(lat[k]), "longitude": float(lon[k]),
             "sequence": sequence, "heading": float(rng.uniform(0, 360)), "note": f"photo {k}"}
            for k, sequence in enumerate(grid.encode(lat, lon).tolist())]


def _break_records(rows: list[dict[str, object]], photos: dict[str, bytes], grid: ZoomGrid, breaks: set[str]) -> None:
    """Break one record after the other, the last first."""
    victims = iter(reversed(list(rows)))
    for kind in (b for b in BREAKS if b in breaks and b != "broken_tile"):
        row = next(victims)
        name = f"streetview/images/{row['image_id']}{SUFFIX}"
        if kind == "missing_photo":
            del photos[name]
        elif kind == "truncated_photo":
            photos[name] = photos[name][:len(photos[name]) // 2]
        elif kind == "duplicate_id":
            rows.append(dict(row))
        elif kind == "contradiction":
            row["sequence"] = [(int(row["sequence"][0]) + grid.actions // 2) % grid.actions, *row["sequence"][1:]]
        elif kind == "off_region":
            row["latitude"] = float(row["latitude"]) + math.degrees(2 * grid.region.size_m / 6_378_137.0)
        else:
            row["sequence"] = row["sequence"][:-1]


class _World:
    """A quilt over the region in the tiles' projection, and its tiles."""

    def __init__(self, grid: ZoomGrid, pixels: int, crs: str, rng: np.random.Generator) -> None:
        self.crs, self._to_crs = crs, Transformer.from_crs("epsg:4326", crs, always_xy=True)
        # The finest view asks for half of this; a level must be finer than that.
        self.resolution = grid.cell_size_m(grid.depth - 1) / pixels / 2 * 0.8
        self.levels = 1 + math.ceil(math.log2(grid.grid ** (grid.depth - 1)))
        centre = self._to_crs.transform(grid.region.centre.lon, grid.region.centre.lat)
        self.tile_px = 64
        tile = self.tile_px * self.resolution
        coarse = tile * 2 ** (self.levels - 1)
        half = 0.55 * grid.region.size_m
        self.origin = tuple(math.floor((c - half) / coarse) * coarse - 3 * coarse for c in centre)
        self.low = np.array([math.floor((c - half) / coarse) * coarse for c in centre])
        self.count = 2 ** (self.levels - 1) * int(max(math.ceil((c + half) / coarse) - math.floor((c - half) / coarse)
                                                      for c in centre))
        edge = self.count * self.tile_px
        patches = rng.integers(20, 236, (max(4, edge // 40), max(4, edge // 40), 3), dtype=np.uint8)
        quilt = np.asarray(Image.fromarray(patches).resize((edge, edge), Image.Resampling.NEAREST)).astype(np.int16)
        self.image = np.clip(quilt + rng.integers(-12, 13, (edge, edge, 1)), 0, 255).astype(np.uint8)

    def layout(self) -> dict[str, object]:
        tile = self.tile_px * self.resolution
        return {"crs": self.crs, "min_zoom": 1 - self.levels, "max_zoom": 0, "path": "{zoom}/{x}/{y}.jpg",
                "origin_crs": list(self.origin), "tile_shape_crs": [tile, tile], "tile_shape_px": [self.tile_px, self.tile_px],
                "tile_axes": ["east", "north"]}

    def tiles(self) -> dict[str, bytes]:
        files = {}
        for k in range(self.levels):
            count = self.count >> k
            image = np.asarray(Image.fromarray(self.image).resize((count * self.tile_px,) * 2, Image.Resampling.BOX))
            first = np.round((self.low - self.origin) / (self.tile_px * self.resolution * 2**k)).astype(int)
            for column in range(count):
                for row in range(count):  # tile y grows to the north, the picture's rows to the south
                    part = image[row * self.tile_px:(row + 1) * self.tile_px, column * self.tile_px:(column + 1) * self.tile_px]
                    name = f"satellite/{-k}/{first[0] + column}/{first[1] + count - 1 - row}.jpg"
                    files[name] = simplejpeg.encode_jpeg(np.ascontiguousarray(part), 90)
        return files

    def photo(self, lat: object, lon: object, size: tuple[int, int], rng: np.random.Generator) -> bytes:
        x, y = self._to_crs.transform(lon, lat)
        column = int((x - self.low[0]) / self.resolution)
        row = self.image.shape[0] - 1 - int((y - self.low[1]) / self.resolution)
        reach = 32
        part = self.image[max(0, row - reach // 2):row + reach // 2 + 1, max(0, column - reach):column + reach + 1]
        seen = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR)).astype(np.int16)
        return encoded(np.clip(seen + rng.integers(-8, 9, seen.shape), 0, 255).astype(np.uint8), quality=88)


def tiny_model(grid: int = 4, pixels: int = 32, seed: int = 0, decode: str = "scaled"):
    """A model of some ten thousand weights, fresh from a seed, in evaluation mode."""
    from justzoomin.models import DecoderConfig, EncoderConfig, ModelConfig, ZoomModel

    architecture = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4,
                    "layer_scale_init_value": 0.0}
    config = ModelConfig(image_pixels=pixels, grid=grid, encoder=EncoderConfig(architecture=architecture, pooling="pooler"),
                         decoder=DecoderConfig(blocks=2, heads=2, ffn_multiple_of=16), photo_decode=decode)
    return ZoomModel(config, seed=seed).eval()


def tiny_matching_model(grid: int = 4, seed: int = 3, zoom_weight: float = 0.0):
    """A tiny zoomer with a matcher that describes a map in pieces of 64 m."""
    from justzoomin.models import MatcherConfig, ZoomModel

    matcher = MatcherConfig(metres_per_pixel=1.0, channels=4, ranges=4, nearest_m=3.0, reach_m=20.0, headings=4, tried=8,
                            width=8, window_m=64.0, margin_m=16.0, zoom_weight=zoom_weight, symmetries=1)
    config = tiny_model(grid=grid).config.model_copy(update={"matcher": matcher})
    return ZoomModel(config, pretrained=False, seed=seed).eval()


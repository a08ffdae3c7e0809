"""A self-test of a few seconds: make a map and a photo, and let the packaged model locate the photo."""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from justzoomin.apps.shared.demo_names import packaged_model

NEAR_M = 40.0
"""In its own town the packaged model is nearly always right within this distance; the photo here is one of those."""
_TOWN_SEED = 7
_CRS = "epsg:32631"
_TILE_PX, _TILE_M, _PATCHES = 256, 400.0, 16
"""The pattern: one tile that covers the model's region, of 16 x 16 patches of random colours."""


@dataclass(frozen=True)
class SelfTest:
    """What the self-test found.

    Attributes:
        passed: Whether the photo was located as it must be.
        words: What happened, as a sentence without a full stop.
        seconds: How long it took.
        error_m: Distance of the answer from the photo's true place, or None if it has none.
    """

    passed: bool
    words: str
    seconds: float
    error_m: float | None = None


def self_test(device: str = "auto") -> SelfTest:
    """Locate a generated photo with the packaged model; whatever fails is part of the result.

    With the extra `synth` the photo and the map are of the demo's town, and the answer must be near the true place.
    Without it they are patterns, and the answer must be a probability distribution on the map.
    """
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="justzoomin-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error_m = None
            if find_spec("embreex") is not None:
                error_m = _town(Path(folder), device)
            else:
                _pattern(Path(folder), device)
    except Exception as error:  # any failure is the finding
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return SelfTest(False, words, time.perf_counter() - started)
    seconds = time.perf_counter() - started
    if error_m is None:
        return SelfTest(True, "a pattern was searched on a generated map; with the extra synth, a photo of a town is", seconds)
    return SelfTest(error_m <= NEAR_M, f"a photo of the demo's town was located {error_m:.0f} m from its true place "
                                       f"(at most {NEAR_M:.0f} m)", seconds, error_m)


def _town(folder: Path, device: str) -> float:
    """Return how far from its true place a photo of the town is located that the packaged model was trained in."""
    from justzoomin.city import CityConfig, build_city
    from justzoomin.data import open_dataset
    from justzoomin.geometry import haversine_m
    from justzoomin.search import Localizer

    config = CityConfig(seed=_TOWN_SEED, size_m=320.0, photos=1, val_photos=1, gsd_m=0.5, photo_width=192, photo_height=108,
                        workers=1)
    dataset = open_dataset(build_city(folder / "town", config))
    split = dataset.split("val")
    found = Localizer.load(packaged_model(), dataset.map, device=device).localize(dataset.photos.read(split.image_ids[0]))
    return float(haversine_m(found.lat, found.lon, split.lat[0], split.lon[0]))


def _pattern(folder: Path, device: str) -> None:
    """Search a pattern on a map of one tile.

    Raises:
        ModelError: If the probabilities do not sum to 1.
    """
    import numpy as np
    import simplejpeg
    from pyproj import Transformer

    from justzoomin.errors import ModelError
    from justzoomin.files import write_bytes
    from justzoomin.geometry import load_grid
    from justzoomin.maps import Map
    from justzoomin.search import Localizer
    from justzoomin.tiles import TileLayout

    grid = load_grid(packaged_model() / "region.yaml")
    colours = np.random.default_rng(0).integers(40, 215, (_PATCHES, _PATCHES, 3), np.uint8)
    patch = np.ones((_TILE_PX // _PATCHES, _TILE_PX // _PATCHES, 1), np.uint8)
    picture = simplejpeg.encode_jpeg(np.ascontiguousarray(np.kron(colours, patch)), quality=90)
    lat, lon = grid.region.centre
    east, north = Transformer.from_crs("epsg:4326", _CRS, always_xy=True).transform(lon, lat)
    layout = TileLayout(_CRS, (_TILE_PX, _TILE_PX), (_TILE_M, _TILE_M), (east - _TILE_M / 2, north - _TILE_M / 2),
                        ("east", "north"))
    layout.save(folder / "layout.yaml")
    write_bytes(folder / "0" / "0" / "0.jpg", bytes(picture))
    found = Localizer.load(packaged_model(), Map.open(folder, grid=grid), device=device).localize_posterior(bytes(picture))
    if abs(float(found.probs.sum()) - 1) > 1e-6:
        raise ModelError("self-test", f"the probabilities sum to {float(found.probs.sum())}", "Install the package again.")

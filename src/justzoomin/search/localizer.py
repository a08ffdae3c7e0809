"""From a photo to a Fix: the three lines most people need."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from justzoomin.data import halves, normalize, to_tensor, wide_photo
from justzoomin.errors import JustZoomInError, ModelError, PhotoError
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import GridViews, Map
from justzoomin.models import ZoomModel
from justzoomin.search.fix import Fix, credible_radius_m
from justzoomin.search.greedy import greedy
from justzoomin.search.view_vectors import ViewVectors

MAX_FILE_BYTES = 256 << 20
"""Photos in larger files are refused unread."""


class NotTrainedHereWarning(UserWarning):
    """The model is used on another place or depth than it was trained on."""


class Localizer:
    """A model and a map, ready to localize photos.

    Example:
        >>> localizer = Localizer.load("model", "town")     # doctest: +SKIP
        >>> fix = localizer.localize("photo.jpg")           # doctest: +SKIP
        >>> fix.lat, fix.lon, fix.credible_radius_m         # doctest: +SKIP

    Raises:
        ModelError: If the model's number of actions does not fit the grid.
    """

    def __init__(self, model: ZoomModel, source: Map, grid: ZoomGrid | None = None) -> None:
        self.model = model.eval()
        self.map = source
        self.grid = grid or source.grid
        check_fits(model, self.grid)
        self.vectors = ViewVectors(model, GridViews(source, self.grid, model.config.image_pixels))
        self._map_hash, self._model_hash = source.fingerprint(), model.fingerprint()

    @classmethod
    def load(cls, model: str | Path, map: str | Path, region: ZoomGrid | None = None,
             device: str = "auto", runtime: str = "torch") -> Localizer:
        """Open a model (folder or hub id) and a map (folder of tiles or a whole dataset).

        Args:
            model: Model folder or hub id.
            map: Folder of the map, tile package, or address template of a tile server.
            region: Zoom grid to search, where the map states none or another is wanted.
            device: `auto`, `cpu`, `cuda`, `mps` ...
            runtime: What runs the encoder: `torch`; `onnx`, after `jzi export`; or the path of an exported file.
        """
        return cls(ZoomModel.from_pretrained(model, device=device, runtime=runtime), Map.open(map, grid=region))

    def localize(self, photo: str | Path | bytes) -> Fix:
        """Say where one photo was taken.

        The photo is turned upright by its EXIF orientation; its EXIF position is never looked at.

        Args:
            photo: Path of the photo, or the bytes of its file.

        Raises:
            PhotoError: If it is no usable photo.
            TileError: If the map cannot give a view that the search asks for.
        """
        started = time.perf_counter()
        name = None if isinstance(photo, bytes) else str(photo)
        vector = self._encode(photo if isinstance(photo, bytes) else read_photo(Path(photo)), name or "photo")
        self.vectors.views.check_root()
        paths = greedy(self.model, vector, self.vectors, self.grid.depth)
        sequence = tuple(paths.sequences[0].tolist())
        probabilities = tuple(paths.probabilities[0].tolist())
        centre = self.grid.cell(sequence).centre
        return Fix(
            lat=centre.lat, lon=centre.lon, sequence=sequence, probabilities=probabilities,
            cell_size_m=self.grid.cell_size_m(self.grid.depth),
            credible_radius_m=credible_radius_m(self.grid, probabilities), no_data=self.vectors.no_data(sequence),
            seconds=time.perf_counter() - started, photo=name, map_hash=self._map_hash, model_hash=self._model_hash,
            grid=self.grid)

    def localize_many(self, photos: Iterable[str | Path]) -> Iterator[Fix | JustZoomInError]:
        """Localize photos one after the other; a photo that cannot be used yields its error and the rest go on."""
        for photo in photos:
            try:
                yield self.localize(photo)
            except JustZoomInError as error:
                yield error

    @torch.inference_mode()
    def _encode(self, data: bytes, where: str) -> torch.Tensor:
        config = self.model.config
        wide = to_tensor(wide_photo(data, where, config.image_pixels, config.photo_decode))
        pair = halves(wide).unsqueeze(0).to(self.model.device)  # (1, 2, 3, n, n)
        return self.model.encode_photos(normalize(pair, config.mean, config.std))


def read_photo(path: Path) -> bytes:
    """Bytes of a photo file.

    Raises:
        PhotoError: If it is missing, no file, empty or absurdly large.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise PhotoError(path, "it is no file", "Give the path of a photo.")
        if not 0 < size <= MAX_FILE_BYTES:
            raise PhotoError(path, f"the file has {size} bytes", f"Photos up to {MAX_FILE_BYTES} bytes are read.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(path, f"it cannot be read ({error.strerror})", "Give the path of a readable photo.") from error


def check_fits(model: ZoomModel, grid: ZoomGrid) -> None:
    """Refuse a grid of another size than the model's; warn where it was not trained on this place and depth.

    Raises:
        ModelError: If the number of actions differs.
    """
    if model.config.grid != grid.grid:
        raise ModelError("model", f"it picks among {model.config.grid} x {model.config.grid} cells and the map's grid is "
                         f"{grid.grid} x {grid.grid}", "Use a model of this grid size, or a region with the model's.")
    if model.grid is not None and model.grid != grid:
        different = "depth" if model.grid.region == grid.region else "region"
        warnings.warn(f"the model was not trained on this {different}: expect worse figures than it was reported with",
                      NotTrainedHereWarning, stacklevel=3)

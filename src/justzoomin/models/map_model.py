"""The base of all families of models: an encoder for photos and views, settings, a fingerprint, a folder."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import torch
from torch import Tensor, nn

from justzoomin.errors import ModelError
from justzoomin.geometry import ViewLayers, ZoomGrid
from justzoomin.models.config import ModelConfig, check_sizes
from justzoomin.models.encoder import VisionEncoder
from justzoomin.models.families import family_of
from justzoomin.models.unset import UnsetWeights

if TYPE_CHECKING:
    from justzoomin.models.decoder import DecoderCache
    from justzoomin.models.onnx_encoder import OnnxEncoder
    from justzoomin.models.ray_matcher import Ground, RayMatcher


class MapModel(nn.Module):
    """A model that says where a photo was taken. A family is a registered subclass; see `register_family`.

    Every family defines its layers on the encoder (`_build`) and the views of a map that it uses (`layers`). Then it either

    - scores all terminal cells: `describe_cells`, and `queries` or `cell_scores`; or
    - decodes paths, with `decodes_paths`: `begin`, `step`, `fan_out` and `decode`, over the views of `zoom_layers`. With a
      `matcher`, which scores poses on the map itself, it also has `fans` and `describe_ground`.

    Args:
        config: The settings, often those of a preset.
        pretrained: Read the encoder's weights from its source, if it has one (a hub id needs the network on first use);
            False starts from fresh weights, for weights that are loaded later.
        seed: Seed of fresh weights. The global random state is not changed.
        fresh: Draw fresh weights; False (with `pretrained` False) leaves them unset, when all are read from a file next.
        encoder: An exported encoder to use instead of torch's.

    Attributes:
        family: Name of the family.
        decodes_paths: Whether it picks cell after cell, so that greedy and beam searches are possible.
        any_depth: Whether it can be used on grids of a different depth from that of its training.
        one_map: Whether it knows the cells of one map and is trained on that map alone.
        config: The settings with the encoder's complete architecture filled in.
        matcher: The ray matcher; None if the model has none.
        matcher_encoder: The separate encoder of the ray matcher; None if the matcher uses the model's encoder.
        grid: The grid it was trained on; None if it is not trained yet or the grid is unknown.
        provenance: How the model was made, from `provenance.json`.
        folder: The folder on this machine that it was opened from, also for a hub id: its calibration and its exported encoders
            are there. None if it was not opened from a folder.

    Raises:
        ModelError: If the settings belong to another family, or the encoder cannot be built.
    """

    family: str = ""
    decodes_paths: bool = False
    any_depth: bool = True
    one_map: bool = False
    matcher: RayMatcher | None
    matcher_encoder: VisionEncoder | OnnxEncoder | None

    def __init__(self, config: ModelConfig, *, pretrained: bool = True, seed: int = 0, fresh: bool = True,
                 encoder: OnnxEncoder | None = None) -> None:
        super().__init__()
        if config.family != self.family:
            raise ModelError("family", f"the settings belong to the family {config.family!r}, not {self.family!r}",
                             "Build it with justzoomin.models.build_model, which chooses the class of the family.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = encoder or VisionEncoder(config.encoder, pretrained=pretrained, fresh=fresh)
            _check_sizes(config, self.encoder)
            self.matcher, self.matcher_encoder = None, None
            with contextlib.nullcontext() if fresh else UnsetWeights():
                self._build(config)
        self.config = config.model_copy(update={"encoder": self.encoder.config})
        self.grid: ZoomGrid | None = None
        self.provenance: dict[str, Any] = {}
        self.folder: Path | None = None

    def _build(self, config: ModelConfig) -> None:
        """Build the layers on top of the encoder."""
        raise NotImplementedError

    def layers(self, grid: ZoomGrid) -> ViewLayers:
        """Return the views of a map that the model uses, which an index of the map holds."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def torch_encoder(self) -> VisionEncoder:
        """The torch encoder, which can be trained.

        Raises:
            ModelError: If the model was opened with an exported encoder.
        """
        if not isinstance(self.encoder, VisionEncoder):
            raise ModelError(self.encoder.path, "an exported encoder cannot be trained or run in parts",
                             "Use the runtime torch.")
        return self.encoder

    def encode_photos(self, photos: Tensor) -> Tensor:
        """Encode photos as the mean of the vectors of their left and right halves.

        Args:
            photos: (B, 2, 3, H, W), normalized; more halves, of a frame's second part, are not used.

        Returns:
            (B, D).
        """
        halves: Tensor = self.encoder(photos[:, :2].flatten(0, 1))            # (2 B, D)
        return halves.view(-1, 2, halves.shape[-1]).mean(dim=1)               # (B, D)

    def encode_views(self, views: Tensor) -> Tensor:
        """Encode views (N, 3, H, W), normalized, to (N, D)."""
        vectors: Tensor = self.encoder(views)
        return vectors

    def describe_cells(self, layers: list[Tensor]) -> list[Tensor]:
        """Return the tensors that are kept of a map to score its cells; they are made once per map.

        Args:
            layers: Vectors (N, D) of the views of each layer.
        """
        return layers

    def queries(self, photos: Tensor) -> Tensor | None:
        """Return vectors (B, P) whose products with the cells' vectors are the scores; None if scores are not such products.

        The cells' vectors (N, P) must then be the first tensor of `describe_cells`, and the best cells are found without
        scoring every cell.

        Args:
            photos: Photo vectors (B, D) from `encode_photos`.
        """
        return None

    def cell_scores(self, photos: Tensor, cells: list[Tensor]) -> Tensor:
        """Score all terminal cells (B, N), in the order of `ZoomGrid.flatten`: log-probabilities up to a constant per photo.

        Args:
            photos: Photo vectors (B, D) from `encode_photos`.
            cells: The tensors from `describe_cells`.

        Raises:
            ModelError: If the model decodes paths.
        """
        queries = self.queries(photos)
        if queries is None:
            self._lacks("method to score cells", "Search with greedy, beam or posterior.")
        return queries @ cells[0].T

    def begin(self, photo: Tensor) -> DecoderCache:
        """Begin to decode step by step from photo vectors (B, D); see `Decoder.begin`."""
        self._lacks("paths to decode", "Search with posterior.")

    def step(self, view: Tensor, action: Tensor | None, cache: DecoderCache) -> Tensor:
        """Return logits (B, A) after one more view vector (B, D) and the action (B,) that led to it; see `Decoder.step`."""
        self._lacks("paths to decode", "Search with posterior.")

    def fan_out(self, views: Tensor, cache: DecoderCache, *, keep: bool = True) -> tuple[Tensor, DecoderCache]:
        """Return logits (B, A, A) after every action and the view (B, A, D) it leads to; see `Decoder.fan_out`."""
        self._lacks("paths to decode", "Search with posterior.")

    def decode(self, photo: Tensor, views: Tensor, actions: Tensor) -> Tensor:
        """Return logits (B, T, A) from vectors: photo (B, D), views (B, T, D), actions (B, T - 1) or (B, T)."""
        self._lacks("paths to decode", "Search with posterior.")

    def fans(self, photos: Tensor) -> Tensor:
        """Return the fans (B, F) that are part of the photo vectors from `encode_photos`."""
        self._lacks("ray matcher", "Train one with the preset best.")

    def photo_fans(self, photos: Tensor) -> Tensor:
        """Return the fans (B, F) of photos (B, 2, 3, H, W), normalized, without their other vectors."""
        self._lacks("ray matcher", "Train one with the preset best.")

    def describe_ground(self, picture: Tensor) -> Ground:
        """Return the matcher's description of a piece of map, from its normalized picture (3, H, W)."""
        self._lacks("ray matcher", "Train one with the preset best.")

    def _lacks(self, what: str, remedy: str) -> NoReturn:
        raise ModelError("model", f"a model of the family {self.family} has no {what}", remedy)

    def fingerprint(self) -> str:
        """Return sixty-four hex digits that change with any setting or weight. Caches and reports identify the model by them.

        A model with an exported encoder has the fingerprint of the model that it was exported from, because its vectors are
        the same up to rounding.
        """
        if not isinstance(self.encoder, VisionEncoder):
            return self.encoder.header.model
        digest = hashlib.sha256(self.config.identity().encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path, grid: ZoomGrid | None = None,
                        extra: dict[str, Any] | None = None, *, half: bool = False) -> Path:
        """Write the model folder and return its path.

        Args:
            folder: The folder; it is made if missing, and replaced file by file if it exists.
            grid: The grid it was trained on; None for `self.grid`.
            extra: Values to record in `provenance.json`; None for `self.provenance`.
            half: Store weights as 16-bit floats, which halves the size: for sharing, not for further training. A model opened
                from such a folder computes in 32 bits, but its weights are rounded, so its fingerprint differs.

        Raises:
            ModelError: If the grid's number of actions differs from the model's, or the folder cannot be written.
        """
        from justzoomin.models.checkpoints import save_checkpoint

        return save_checkpoint(Path(folder), self.config, self.state_dict(), grid if grid is not None else self.grid,
                               self.provenance if extra is None else extra, half=half)

    @classmethod
    def from_pretrained(cls, folder_or_hub_id: str | Path, device: str | torch.device = "cpu",
                        revision: str | None = None, runtime: str = "torch") -> Self:
        """Open a model folder, or a repository of the hub, in evaluation mode.

        Args:
            folder_or_hub_id: A folder that `save_pretrained` wrote, or `owner/name` on the hub.
            device: Device of the weights: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best available one.
            revision: Branch, tag or commit of the hub's repository.
            runtime: Runtime of the encoder: "torch"; "onnx" for the `encoder.onnx` that `export_onnx` wrote into the folder;
                or the path of such a file. The separate encoder of a ray matcher is read from the file beside it. Every
                runtime but torch works on the CPU only, cannot be trained, and does not need transformers.

        Raises:
            ModelError: If the model cannot be found or belongs to another family, a file is missing or broken, weights and
                settings contradict each other, the device is not available, or the exported encoder is missing, broken or
                belongs to another model.
            MissingExtraError: If the runtime needs a package that is not installed.
        """
        model = open_model(folder_or_hub_id, device, revision, runtime)
        if not isinstance(model, cls):
            raise ModelError(folder_or_hub_id, f"this model belongs to the family {model.family!r}, not {cls.family!r}",
                             f"Open it with justzoomin.models.open_model, or {type(model).__name__}.from_pretrained.")
        return model


def build_model(config: ModelConfig, *, pretrained: bool = True, seed: int = 0, fresh: bool = True,
                encoder: OnnxEncoder | None = None) -> MapModel:
    """Build a model of the family that the settings name; see `MapModel` for the arguments."""
    kind: type[MapModel] = family_of(config.family).load()
    return kind(config, pretrained=pretrained, seed=seed, fresh=fresh, encoder=encoder)


def open_model(folder_or_hub_id: str | Path, device: str | torch.device = "cpu", revision: str | None = None,
               runtime: str = "torch") -> MapModel:
    """Open a model of any family; see `MapModel.from_pretrained`."""
    from justzoomin.models.checkpoints import load_checkpoint

    model, grid, provenance, folder = load_checkpoint(build_model, folder_or_hub_id, device, revision, runtime)
    model.grid, model.provenance, model.folder = grid, provenance, folder
    return model


def _check_sizes(config: ModelConfig, encoder: VisionEncoder | OnnxEncoder) -> None:
    """Refuse image sizes that the encoder cannot use; the architecture of an encoder with a source is known only now."""
    try:
        check_sizes(config, encoder.config.architecture or {})
    except ValueError as error:
        raise ModelError("model", str(error), "Choose other sizes, or another encoder.") from error

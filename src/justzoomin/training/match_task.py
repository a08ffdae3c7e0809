"""Training of a zoomer with a ray matcher: the zoomer's loss, and each photo's true pose against poses all over its map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from justzoomin.data import Batch, normalize
from justzoomin.errors import ConfigError
from justzoomin.maps import GridViews, Windows
from justzoomin.models import Ground, MapModel, RayMatcher
from justzoomin.search import GroundMap
from justzoomin.training.config import TrainConfig
from justzoomin.training.supervision import Supervision
from justzoomin.training.task import Found, TaskSetup, best_cells
from justzoomin.training.wrong_poses import Poses, scored
from justzoomin.training.zoom_task import ZoomTask

NEAR_M, NEAR_DEG = 8.0, 30.0
"""Poses that are closer to the true pose than both limits are not negatives."""
SAME_M = 5.0
"""Edge of the squares that count as one place each; the sampled negatives represent all these places."""


class MatchTask(ZoomTask):
    """A zoomer with a ray matcher in training.

    The matcher sees each piece of map turned by a random number of quarter turns, and half of all batches mirrored, photos and
    map together. Labels stay exact, and the matcher cannot recognize a street by its direction. A photo with an unknown bearing
    is compared in all bearings.

    Args:
        model: The model.
        config: The run's settings.
        views: The views of each map's grid at the model's pixel size.
        windows: The pieces of each map.
        places: Places (N, 2) of the training photos on each map, in metres east and south of the region's corner.
        bearings: Bearings (N,) of all training photos in degrees, map after map; NaN for an unknown bearing.
        total_steps: Optimizer steps of the complete run.
        supervision: Learns what photos and maps show; None without labels.
        fused: Whether the optimizer's step is one kernel.
    """

    keeps_prefix: ClassVar[bool] = False
    leaves_unused: ClassVar[bool] = True  # mirrored photos do not train the decoder

    def __init__(self, model: MapModel, config: TrainConfig, views: Sequence[GridViews], windows: Sequence[Windows],
                 places: Sequence[npt.NDArray[np.float64]], bearings: npt.NDArray[np.float64], total_steps: int,
                 supervision: Supervision | None = None, fused: bool = True) -> None:
        super().__init__(model, config, views, total_steps, fused=fused)
        self.supervision = supervision
        assert model.matcher is not None
        self.matcher: RayMatcher = model.matcher
        self._shared = not self.matcher.config.own_encoder
        if not config.matching.zoom_weight:  # without a loss, weight decay would shrink the zoomer
            trained = ("matcher.", "matcher_encoder.", *(("encoder.",) if self._shared else ()))
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(parameter.requires_grad and name.startswith(trained))
        self.windows, self.bearings = windows, torch.from_numpy(np.radians(bearings)).float()
        self._places, self._seen = places, dict[tuple[int, int], torch.Tensor]()
        self._grounds: dict[int, GroundMap] = {}
        self._mirrored = False

    @classmethod
    def of(cls, setup: TaskSetup) -> Self:
        """Return the task of a run."""
        config, maps, split = setup.config, setup.maps, setup.config.train_split
        assert setup.model.matcher is not None
        matcher, windows = setup.model.matcher.config, maps.windows(setup.model.matcher.config)
        places, supervision = maps.places(split, matcher), None
        if config.matching.supervision:
            if setup.model.config.frame.parts[-1].fit != "squeeze":
                raise ConfigError("matching.supervision", "labels are of whole photos, but this matcher sees a part of a photo "
                                  "(photo_fit)", "Set matching.supervision=0.")
            photos = [len(each) for each in places]
            supervision = Supervision(setup.model.matcher, maps.labels(split), windows, photos, config.seed)
        return cls(setup.model, config, setup.cells, windows, places, maps.bearings(split), setup.total_steps, supervision,
                   setup.fused)

    @classmethod
    def needs_paths(cls, config: TrainConfig) -> bool:
        """Return whether the zoomer is trained, which needs the views along the paths."""
        return config.matching.zoom_weight > 0

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Add the views to a training batch, if the zoomer is trained."""
        return super().on_after_batch_transfer(batch, dataloader_idx) if self.needs_paths(self.config) else batch

    def encode_photos(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the photos' vectors, those of the zoomer too if it is trained."""
        if self.needs_paths(self.config):
            return super().encode_photos(photos)
        return self.model.photo_fans(photos)

    def prepare(self, batch: Batch, seed: int) -> Batch:
        """Change light and colours of the photos, and mirror some batches."""
        rng = np.random.default_rng([seed, 1])
        self._mirrored = bool(rng.random() < self.config.matching.mirror)
        wide = change_light(batch["wide"].float(), self.config.matching.light)
        if self._mirrored:  # each part of the frame for itself
            wide = torch.cat([part.flip(-1) for part in torch.split(wide, 2 * wide.shape[-2], dim=-1)], -1)
        batch["wide"] = wide
        return batch

    def losses(self, photos: torch.Tensor, batch: Batch, seed: int) -> torch.Tensor:
        """Return the loss (B,) of the matcher, plus that of the zoomer if the photos are not mirrored.

        The zoomer's loss does not change an encoder that both share: training it with both losses made the matcher worse
        (docs/ray-matcher.md).
        """
        fans = self.model.fans(photos) if self.needs_paths(self.config) else photos
        loss = self._matching(fans, batch, np.random.default_rng([seed, 2]))
        if self.supervision is not None:
            seen = self.supervision.of_photos(batch["map"].tolist(), batch["index"].tolist(), self._mirrored)
            loss = loss + self.config.matching.supervision * seen
        weight = self.config.matching.zoom_weight
        if self._mirrored or not weight:
            return loss
        return loss + weight * super().losses(photos.detach() if self._shared else photos, batch, seed)

    def _view_vectors(self, batch: Batch, seed: int) -> torch.Tensor:
        with torch.set_grad_enabled(not self._shared and torch.is_grad_enabled()):
            return super()._view_vectors(batch, seed)

    def on_validation_epoch_start(self) -> None:
        """Forget the described maps, because the weights have changed."""
        super().on_validation_epoch_start()
        self._grounds = {}

    def find(self, number: int, photos: torch.Tensor, truth: torch.Tensor) -> Found:
        """Score all terminal cells with the matcher, as in search."""
        views = self.views[number]
        if number not in self._grounds:  # photos come map by map, so one map is kept at a time
            self._grounds = {number: GroundMap(self.model, views.source, views.grid)}
        scores = [found.logsumexp(0) for found in self._grounds[number].pose_scores(self.model.fans(photos))]
        return best_cells(torch.stack(scores).cpu(), views.grid, truth)

    def on_validation_epoch_end(self) -> None:
        """Log the figures and release the map."""
        super().on_validation_epoch_end()
        self._grounds = {}

    def trained(self) -> list[dict[str, object]]:
        """Return the trained parameters in groups: the scale of scores has a higher learning rate and no weight decay."""
        scale = self.matcher.log_scale
        rest = [p for p in self.parameters() if p.requires_grad and p is not scale]
        return [{"params": rest}, {"params": [scale], "lr": 5 * self.config.learning_rate, "weight_decay": 0.0}]

    def _matching(self, fans: torch.Tensor, batch: Batch, rng: np.random.Generator) -> torch.Tensor:
        device = fans.device
        maps, position = batch["map"].cpu().numpy(), batch["position"].cpu().numpy()
        bearing = self.bearings[batch["index"].cpu()].to(device)
        loss = torch.zeros(len(fans), device=device)
        for number in np.unique(maps).tolist():
            own = np.flatnonzero(maps == number)
            east, south = self.windows[number].place(position[own, 0], position[own, 1])
            pieces = self.windows[number].number(east, south)
            for piece in np.unique(pieces).tolist():
                inside = pieces == piece
                left, top = self.windows[number].corner(piece)
                place = torch.from_numpy(np.stack([east[inside] - left, south[inside] - top], 1)).float().to(device)
                rows = torch.from_numpy(own[inside]).to(device)
                loss = loss.index_copy(0, rows, self._in_piece(number, piece, fans[rows], place, bearing[rows], rng))
        return loss

    def _in_piece(self, number: int, piece: int, fans: torch.Tensor, place: torch.Tensor, bearing: torch.Tensor,
                  rng: np.random.Generator) -> torch.Tensor:
        """Return the loss (B,) of photos in one piece of map, at places (B, 2) in metres east and south of its corner."""
        settings, matching, windows = self.model.config, self.config.matching, self.windows[number]
        picture = torch.from_numpy(windows.picture(piece)).permute(2, 0, 1).to(fans.device).float()
        edge = windows.window_m + 2 * windows.margin_m
        if (number, piece) not in self._seen:
            self._seen[number, piece] = seen_squares(windows, piece, self._places[number], matching.seen_m)
        count, seen = max(matching.poses, matching.drawn), self._seen[number, piece].to(fans.device)
        other = seen[torch.randint(len(seen), (count,), device=fans.device)]
        other = other + torch.rand(count, 2, device=fans.device) * SAME_M
        if self._mirrored:
            picture, bearing = picture.flip(-1), -bearing
            place, other = (torch.stack([edge - v[:, 0], v[:, 1]], 1) for v in (place, other))
        turns = int(rng.integers(4))
        for _ in range(turns):  # a quarter clockwise: north becomes east
            picture, bearing = picture.rot90(-1, (1, 2)), bearing + math.pi / 2
            place, other = (torch.stack([edge - v[:, 1], v[:, 0]], 1) for v in (place, other))
        picture = change_light(picture[None], matching.light)
        ground = self.model.describe_ground(normalize(picture, settings.mean, settings.std)[0])

        towards = torch.rand(count, device=fans.device) * 2 * math.pi
        scaled = fans * self.matcher.scale
        known = torch.isfinite(bearing)
        close = (torch.cdist(place, other) < NEAR_M) & (
            ~known[:, None] | (torch.cos(bearing[:, None] - towards) > math.cos(math.radians(NEAR_DEG))))
        represented = len(seen) * self.matcher.config.headings / count  # all poses per drawn pose
        wrong = scored(self.matcher, ground, scaled, Poses(other[:, 0], other[:, 1], towards), close, matching.poses)
        right = torch.where(known, self._at(ground, scaled, place, torch.where(known, bearing, 0.0)), 0.0)
        if not bool(known.all()):
            bearings = [2 * math.pi * k / self.matcher.config.headings for k in range(self.matcher.config.headings)]
            tried = torch.stack([self._at(ground, scaled, place, torch.full_like(bearing, turn)) for turn in bearings], 1)
            right = torch.where(known, right, tried.logsumexp(1) - math.log(len(bearings)))
        loss = functional.softplus(wrong + math.log(represented) - right)
        if self.supervision is not None:
            loss = loss + matching.supervision * self.supervision.of_piece(number, piece, self._mirrored, turns)
        return loss

    def _at(self, ground: Ground, scaled: torch.Tensor, place: torch.Tensor, bearing: torch.Tensor) -> torch.Tensor:
        """Return the scores (B,) of photos, each at its pose with a little noise."""
        matching = self.config.matching
        east, south = (place + torch.randn_like(place) * matching.place_noise_m).unbind(1)
        towards = (bearing + torch.randn_like(bearing) * math.radians(matching.bearing_noise_deg)) % (2 * math.pi)
        under = self.matcher.read(ground, east, south, towards)
        return (scaled * under).sum(1) + self.matcher.prior(ground, east, south, towards)


def seen_squares(windows: Windows, piece: int, photos: npt.NDArray[np.float64], near_m: float | None) -> torch.Tensor:
    """Return the north-western corners (S, 2) of the squares of `SAME_M` near training photos, where negatives are drawn.

    The corners are in metres east and south of the picture's corner. Ground far from every photo is left out: it would always
    be wrong in training, and the model would memorize it as wrong.

    Args:
        windows: The pieces of the map.
        piece: Number of the piece.
        photos: Places (N, 2) of the photos, in metres east and south of the region's corner.
        near_m: Largest distance of a square's middle from a photo; None for all squares of the piece.
    """
    axis = windows.margin_m + np.arange(0, windows.window_m - 1e-9, SAME_M)
    corners = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    if near_m is not None:
        middle = torch.from_numpy(corners + SAME_M / 2 + windows.corner(piece)).float()
        places = torch.from_numpy(photos).float()
        nearest = torch.cat([torch.cdist(part, places).amin(1) for part in torch.split(middle, 256)])
        corners = corners[(nearest <= max(near_m, SAME_M)).numpy()]
    return torch.from_numpy(corners).float()


def change_light(pictures: torch.Tensor, strength: float) -> torch.Tensor:
    """Change brightness, colours and contrast of each of the pictures (N, 3, H, W) in 0 .. 255 at random.

    Args:
        pictures: The pictures.
        strength: Largest change of brightness; colours change by 0.4 and contrast by 0.8 of it.
    """
    if not strength:
        return pictures

    def draw(channels: int, range_: float) -> torch.Tensor:
        return 1 + (2 * torch.rand(len(pictures), channels, 1, 1, device=pictures.device) - 1) * range_

    mean = pictures.mean((1, 2, 3), keepdim=True)
    changed: torch.Tensor = ((pictures - mean) * draw(1, 0.8 * strength) + mean * draw(1, strength)) * draw(3, 0.4 * strength)
    return changed.clamp(0.0, 255.0)

"""Settings of a model: everything that is needed to build it again, without its training command or the hub."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from justzoomin.errors import ModelError
from justzoomin.models.architectures import (
    ATTENDING,
    MAX_BLOCKS,
    MAX_VALUES,
    MAX_WIDTH,
    check_architecture,
    check_image,
    patch_of,
    safe_architecture,
)
from justzoomin.models.families import family_of, known_families
from justzoomin.untrusted import printable

if TYPE_CHECKING:
    from justzoomin.data import Frame

Pooling = Literal["cls", "pooler", "mean"]
PhotoDecode = Literal["scaled", "full", "quick"]
PhotoFit = Literal["squeeze", "crop", "fit"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue in [0, 1] over ImageNet, which every common encoder expects."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green and blue over ImageNet; see `IMAGENET_MEAN`."""


MAX_PIXELS = 2048
"""Largest edge of an image in pixels."""
MAX_FAN = 65_536
"""Most numbers in the fan of a photo."""
MAX_STAGES = 16
"""Most blocks of a vision transformer whose tokens are feature maps."""
_Mean = Annotated[float, Field(ge=-1_000.0, le=1_000.0)]
_Deviation = Annotated[float, Field(ge=0.001, le=1_000.0)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EncoderConfig(_Settings):
    """The vision encoder for both photos and views.

    Attributes:
        source: Hub id or folder of the pretrained weights; None to build from `architecture` alone.
        architecture: A transformers configuration with a `model_type` that `models/architectures.py` lists; None to read it
            from `source`.
        pooling: How an image becomes one vector: its class token, the model's own pooled output, or the mean of
            its patch tokens.
        trainable_blocks: None trains everything; n trains the last n blocks and the final norm; 0 trains nothing.
        stages: Blocks of a vision transformer, counted from 1, whose patch tokens are its feature maps; () for one map, its
            last tokens after the final norm.
    """

    source: str | None = None
    architecture: dict[str, Any] | None = None
    pooling: Pooling = "cls"
    trainable_blocks: int | None = Field(default=None, ge=0, le=MAX_BLOCKS)
    stages: tuple[Annotated[int, Field(ge=1, le=MAX_BLOCKS)], ...] = Field(default=(), max_length=MAX_STAGES)

    @field_validator("stages")
    @classmethod
    def _in_order(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= block for block, later in itertools.pairwise(value)):
            raise ValueError("the numbers of the blocks must increase, such as [3, 6, 9, 12]")
        return value

    @field_validator("architecture")
    @classmethod
    def _is_supported(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        found = safe_architecture(value)
        check_architecture(found)
        return found

    @model_validator(mode="after")
    def _has_origin(self) -> EncoderConfig:
        if self.source is None and self.architecture is None:
            raise ValueError("an encoder needs a source (hub id or folder) or an architecture")
        return self


class DecoderConfig(_Settings):
    """The causal transformer over photo, views and actions.

    Attributes:
        width: Width of its tokens; None for the encoder's width.
        blocks: Number of transformer blocks.
        heads: Attention heads; the width of a head must be even (rotary positions turn pairs).
        ffn_multiple_of: The feed-forward's inner width is 2/3 of the width, rounded up to a multiple of this.
        dropout: Share of values dropped in embeddings, attention and feed-forward during training.
        rope_theta: Base of the rotary positions' wavelengths.
    """

    width: int | None = Field(default=None, ge=2, le=MAX_WIDTH)
    blocks: int = Field(default=6, ge=1, le=MAX_BLOCKS)
    heads: int = Field(default=8, ge=1, le=MAX_WIDTH)
    ffn_multiple_of: int = Field(default=256, ge=1, le=MAX_WIDTH)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    rope_theta: float = Field(default=10_000.0, ge=1.0, le=1e9)


class MatcherConfig(_Settings):
    """The ray matcher: compares what a photo shows along its rays with the ground around a pose; see docs/ray-matcher.md.

    Attributes:
        metres_per_pixel: Ground resolution of the map that it sees.
        channels: Numbers that describe a place, on the map and along a ray.
        ranges: Number of distances that are compared along a ray.
        nearest_m: The nearest of these distances in metres.
        reach_m: The farthest of these distances in metres.
        headings: Number of bearings for which a place has a logit.
        tried: Number of bearings that a search tries at each place.
        symmetries: Number of turns and mirrorings (1, 4 or 8) in which a search describes a piece of map, to use their mean.
        assumed_fov_deg: Assumed horizontal field of view of photos, in degrees.
        camera_height_m: Assumed height of cameras above flat ground; it decides which row of a photo shows which distance.
        width: Channels of the feature pyramids.
        scales: For each of `encoder.stages`, by how much its feature map is enlarged before the pyramid, the largest first:
            1, 2 or 4. () leaves feature maps as they are.
        window_m: Edge of the pieces into which a map is cut to be described, in metres.
        margin_m: Width of the margin that is drawn around each piece and around the region, in metres.
        own_encoder: Whether the matcher has a separate encoder of the same kind. Then zoomer and matcher share nothing, and the
            loss of one does not change the other.
        photo_scale: Edge of a photo half that the matcher sees, as a multiple of `image_pixels`, rounded to whole pixels; the
            zoomer sees it reduced. With 2, a photo has twice as many rays and rows.
        photo_fit: How the matcher's photo becomes 2:1, if otherwise than the zoomer's (`photo_fit` of the model); None for the
            same way. With "crop" the matcher gets true angles while the zoomer sees photos as it learned them.
        zoom_weight: Weight of the zoomer's log-probabilities relative to the matcher's, on maps that the zoomer was trained on.
            0 leaves search to the matcher alone: a zoomer rules out streets that no training photo shows.
    """

    metres_per_pixel: float = Field(default=0.625, ge=0.01, le=100.0)
    channels: int = Field(default=16, ge=1, le=256)
    ranges: int = Field(default=10, ge=2, le=256)
    nearest_m: float = Field(default=3.0, ge=0.01, le=10_000.0)
    reach_m: float = Field(default=45.0, ge=0.01, le=10_000.0)
    headings: int = Field(default=16, ge=4, le=720, multiple_of=4)
    tried: int = Field(default=32, ge=4, le=720)
    symmetries: Literal[1, 4, 8] = 8
    assumed_fov_deg: float = Field(default=75.0, ge=1.0, le=170.0)
    camera_height_m: float = Field(default=1.75, ge=0.01, le=1_000.0)
    width: int = Field(default=64, ge=1, le=4096)
    scales: tuple[Literal[1, 2, 4], ...] = Field(default=(), max_length=MAX_STAGES)
    window_m: float = Field(default=320.0, ge=1.0, le=100_000.0)
    margin_m: float = Field(default=10.0, ge=0.0, le=10_000.0)
    own_encoder: bool = False
    photo_scale: float = Field(default=1.0, ge=1.0, le=8.0)
    photo_fit: PhotoFit | None = None
    zoom_weight: float = Field(default=0.0, ge=0.0, le=1_000.0)

    @model_validator(mode="after")
    def _near_before_far(self) -> MatcherConfig:
        if self.nearest_m >= self.reach_m:
            raise ValueError("nearest_m must be below reach_m")
        if self.margin_m > self.window_m:
            raise ValueError("margin_m must not be above window_m")
        if any(later > scale for scale, later in itertools.pairwise(self.scales)):
            raise ValueError("scales must not increase, such as [2, 2, 1, 1]")
        return self

    @property
    def window_pixels(self) -> int:
        """Edge in pixels of the picture of a piece of map, with its margins."""
        return round((self.window_m + 2 * self.margin_m) / self.metres_per_pixel)


class RetrieverConfig(_Settings):
    """Settings of the two families that compare vectors instead of decoding paths; see docs/families.md.

    Attributes:
        contexts: Edges of the views of a terminal cell, as multiples of the cell's edge; `retriever` only.
        width: Length of the compared vectors; None for the encoder's length, without a projection.
        temperature: Divisor of similarities at the start of training; it is learned from there.
        beam: Number of cells per level whose children are searched; `hierarchical` only.
        experts: Number of expert networks in the layer of experts on each vector; 0 to leave the layer out.
    """

    contexts: tuple[int, ...] = (1,)
    width: int | None = Field(default=None, ge=1, le=MAX_WIDTH)
    temperature: float = Field(default=0.07, ge=0.01, le=10.0)
    beam: int = Field(default=4, ge=1, le=65_536)
    experts: int = Field(default=0, ge=0, le=64)

    @model_validator(mode="after")
    def _contexts_differ(self) -> RetrieverConfig:
        if not self.contexts or len(set(self.contexts)) < len(self.contexts) or not all(1 <= c <= 64 for c in self.contexts):
            raise ValueError("contexts must be one or more different whole numbers from 1 to 64")
        return self


class ModelConfig(_Settings):
    """A complete model, and how its images are prepared.

    Attributes:
        family: What kind of model it is. `zoom` picks cell after cell. `retriever` compares a photo with terminal cells,
            `hierarchical` with cells of all levels. `classifier` knows the cells of one map and does not see the map.
            Any other name is that of a registered family.
        encoder: The vision encoder.
        decoder: The decoder; family `zoom` only.
        matcher: The ray matcher beside the decoder, family `zoom` only; None to leave it out, as in the published model.
        retriever: Settings of the families `retriever` and `hierarchical`.
        preset: Name of the preset that the settings come from, for the reader; None if they come from no preset.
        grid: Cells along one side of the grid; the model has grid ** 2 actions.
        depth: Number of actions in a training sequence; other depths work too.
        image_pixels: Side of a view and of each photo half, in pixels: a photo is resized to (n, 2 n) and cut.
        photo_decode: "full" decodes every pixel of a photo before the plain bilinear resize (as in the authors'
            checkpoints); "scaled" lets the JPEG decoder shrink it first; "quick" also leaves out the refining
            scans of progressive JPEGs, and resizes with antialiasing.
        photo_fit: How a photo becomes 2:1. "squeeze" resizes all of it, whatever its shape and camera, as published.
            "crop" shows what the model's own camera would show (`matcher.assumed_fov_deg` wide, level, square angles), if the
            photo's field of view is known, and its largest central 2:1 part otherwise. "fit" is "crop", but a photo that is
            larger than that is reduced until all of it is inside. What a photo does not show is filled with grey.
        mean: Mean of red, green and blue in [0, 1] that is subtracted.
        std: Deviation that they are divided by afterwards.
    """

    family: str = "zoom"
    encoder: EncoderConfig
    decoder: DecoderConfig = DecoderConfig()
    matcher: MatcherConfig | None = None
    retriever: RetrieverConfig = RetrieverConfig()
    preset: str | None = None
    grid: int = Field(default=4, ge=2, le=8)
    depth: int = Field(default=4, ge=1, le=32)
    image_pixels: int = Field(default=384, ge=8, le=MAX_PIXELS)
    photo_decode: PhotoDecode = "scaled"
    photo_fit: PhotoFit = "squeeze"
    mean: tuple[_Mean, _Mean, _Mean] = IMAGENET_MEAN
    std: tuple[_Deviation, _Deviation, _Deviation] = IMAGENET_STD

    @field_validator("family")
    @classmethod
    def _is_registered(cls, value: str) -> str:
        try:
            return family_of(value).name
        except ModelError as error:
            raise ValueError(f"{error.what}; choose one of: {', '.join(known_families())}") from error

    @model_validator(mode="after")
    def _can_be_computed(self) -> ModelConfig:
        most = family_of(self.family).most_cells
        if most is not None and self.actions**self.depth > most:
            raise ValueError(f"depth: {self.actions}^{self.depth} cells; the family {self.family} supports at most {most}")
        if self.encoder.architecture is not None:
            check_sizes(self, self.encoder.architecture)
        return self

    @property
    def actions(self) -> int:
        """Number of cells to pick from: grid ** 2."""
        return self.grid**2

    @property
    def frame(self) -> Frame:
        """The frame that photos are brought into; without a matcher it has a matcher's default field of view."""
        from justzoomin.data import Frame

        matcher = self.matcher or MatcherConfig()
        beside = None if matcher.photo_fit == self.photo_fit else matcher.photo_fit
        return Frame(self.photo_fit, matcher.assumed_fov_deg, beside)

    @property
    def photo_pixels(self) -> int:
        """Edge of a photo half in pixels: `image_pixels`, or more if the ray matcher asks for more."""
        return round(self.image_pixels * (1 if self.matcher is None else self.matcher.photo_scale))

    def identity(self) -> str:
        """Return the settings that the model's fingerprint depends on, as JSON; unused settings are left out."""
        others: dict[str, Any] = dict.fromkeys({"decoder", "retriever"} - family_of(self.family).uses, True)
        for name in ("family", "photo_fit"):  # fingerprints are older than these settings
            if getattr(self, name) == type(self).model_fields[name].default:
                others[name] = True
        if not self.encoder.stages:
            others["encoder"] = {"stages"}
        if self.matcher is None:
            others["matcher"] = True
        else:
            younger = ("scales", "photo_scale", "photo_fit")
            others["matcher"] = {n for n in younger if getattr(self.matcher, n) == MatcherConfig.model_fields[n].default}
        return self.model_dump_json(exclude=others)


def check_sizes(config: ModelConfig, architecture: dict[str, Any]) -> None:
    """Refuse sizes of photos, views and map pieces that the encoder cannot use or that cost too much.

    Raises:
        ValueError: If so. The message names the setting.
    """
    try:
        check_image(architecture, config.image_pixels)
    except ValueError as error:
        raise ValueError(f"image_pixels: {error}") from error
    matcher, patch = config.matcher, patch_of(architecture)
    _check_stages(config, architecture, patch)
    if matcher is None:
        return
    try:
        check_image(architecture, config.photo_pixels)
    except ValueError as error:
        raise ValueError(f"image_pixels, matcher.photo_scale: {error}") from error
    scale = matcher.scales[0] if matcher.scales else 1
    if (fan := config.photo_pixels // patch * scale * matcher.ranges * matcher.channels) > MAX_FAN:
        raise ValueError(f"matcher.ranges, matcher.channels: a photo's fan has {fan} numbers; at most {MAX_FAN} are supported")
    if matcher.window_m < patch * matcher.metres_per_pixel:
        least = patch * matcher.metres_per_pixel
        raise ValueError(f"matcher.window_m, matcher.metres_per_pixel: a window must hold a patch of the encoder, {least:g} m")
    try:
        check_image(architecture, matcher.window_pixels)
    except ValueError as error:
        raise ValueError(f"matcher.window_m, matcher.margin_m, matcher.metres_per_pixel: {error}") from error


def _check_stages(config: ModelConfig, architecture: dict[str, Any], patch: int) -> None:
    """Refuse blocks that the encoder does not have, and scales that do not fit its feature maps."""
    stages, matcher = config.encoder.stages, config.matcher
    blocks = architecture.get("num_hidden_layers")
    if stages and architecture.get("model_type") not in ATTENDING:
        raise ValueError("encoder.stages: only a vision transformer has blocks to choose; this encoder has stages of its own")
    if stages and isinstance(blocks, int) and stages[-1] > blocks:
        raise ValueError(f"encoder.stages: block {stages[-1]} is asked for, but the encoder has {blocks}")
    if matcher is None or not matcher.scales:
        return
    if len(matcher.scales) != len(stages):
        raise ValueError(f"matcher.scales, encoder.stages: there are {len(matcher.scales)} scales for {len(stages)} blocks; "
                         "give one scale for each block")
    if patch % matcher.scales[0]:
        raise ValueError(f"matcher.scales: a patch of {patch} px cannot be divided by {matcher.scales[0]}")
    if matcher.window_pixels % patch:
        raise ValueError("matcher.window_m, matcher.margin_m, matcher.metres_per_pixel: the picture of a piece of map with its "
                         f"margins has {matcher.window_pixels} px; it must be a multiple of the encoder's patch, {patch} px")
    places = (max(config.photo_pixels, matcher.window_pixels) // patch * matcher.scales[0]) ** 2
    if places * matcher.width > MAX_VALUES:
        raise ValueError(f"matcher.width, matcher.scales: a feature map has {places * matcher.width} numbers; at most "
                         f"{MAX_VALUES} are supported")


def setting_problems(error: ValidationError) -> str:
    """Return in words what is wrong with settings: name and reason of the first five problems."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    words = []
    for item in found[:5]:
        what = "there is no such setting" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        words.append(": ".join([*([".".join(map(str, item["loc"]))] if item["loc"] else []), what]))
    return printable("; ".join([*words, f"and {len(found) - 5} more"] if len(found) > 5 else words), 600)


def _paper() -> ModelConfig:
    return ModelConfig(
        preset="paper",
        image_pixels=384,
        photo_decode="full",
        encoder=EncoderConfig(source="facebook/dinov2-base", pooling="cls", trainable_blocks=4),
        decoder=DecoderConfig(width=None, blocks=6, heads=8, ffn_multiple_of=256, dropout=0.1, rope_theta=10_000.0),
    )


def _small() -> ModelConfig:
    architecture = {
        "model_type": "convnext",
        "image_size": 48,
        "patch_size": 4,
        "num_stages": 3,
        "hidden_sizes": [48, 96, 192],
        "depths": [1, 1, 3],
        # 0 leaves out the per-channel scale of the residual branches: with its usual start of 1e-6 the branches would
        # contribute nothing for most of a short training.
        "layer_scale_init_value": 0.0,
        "drop_path_rate": 0.0,
    }
    return ModelConfig(
        preset="small",
        image_pixels=48,
        encoder=EncoderConfig(architecture=architecture, pooling="pooler"),
        decoder=DecoderConfig(blocks=3, heads=4, ffn_multiple_of=256, dropout=0.1),
    )


def _of_family(family: str) -> ModelConfig:
    return _small().model_copy(update={"family": family, "preset": family})


def _best() -> ModelConfig:
    return _small().model_copy(update={"preset": "best", "matcher": MatcherConfig()})


def _best_base() -> ModelConfig:
    # 2.45 m a place and 136 places a picture: 16 places are one of the dataset's terminal cells, and a picture is a whole
    # number of patches of 14 px, enlarged twice.
    matcher = MatcherConfig(metres_per_pixel=0.35, window_m=313.6, margin_m=9.8, channels=32, ranges=12, width=128,
                            scales=(2, 2, 1, 1))
    return ModelConfig(
        preset="best-base",
        image_pixels=384,
        photo_fit="crop",
        encoder=EncoderConfig(source="facebook/dinov2-base", pooling="cls", trainable_blocks=4, stages=(3, 6, 9, 12)),
        decoder=DecoderConfig(blocks=1),
        matcher=matcher,
    )


_PRESETS: dict[str, Callable[[], ModelConfig]] = {
    "paper": _paper, "small": _small, "best": _best, "best-base": _best_base, "retriever": partial(_of_family, "retriever"),
    "hierarchical": partial(_of_family, "hierarchical"), "classifier": partial(_of_family, "classifier"),
}
PRESETS: tuple[str, ...] = tuple(_PRESETS)


def model_preset(name: str) -> ModelConfig:
    """Return the settings of a preset: "paper" as published, "best-base" for GPUs, the others for laptops.

    Raises:
        ModelError: If the preset is unknown.
    """
    if name not in _PRESETS:
        raise ModelError(name, f"unknown model preset {name!r}", f"Choose one of: {', '.join(PRESETS)}.")
    return _PRESETS[name]()

"""Settings of an import: which photos are dropped, how the others are written, and how they are split."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SplitKind = Literal["photo", "sequence", "block"]


class SplitSettings(BaseModel):
    """How photos are divided between training and validation.

    The choice depends only on the seed and on each photo's id, sequence or place. Photos that are added later do not change the
    split of earlier ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SplitKind = Field("photo", description="What stays in one split: each photo alone (photo), the photos of a sequence "
                                                 "(sequence), or those of a square of ground (block).")
    val_share: float = Field(0.1, gt=0.0, lt=1.0, description="Share of the photos, sequences or blocks for validation.")
    seed: int = Field(0, ge=0, description="Seed of the random choice; another number gives another split.")
    block_m: float = Field(200.0, ge=1.0, le=1e6, description="With --split block: side of a square in metres.")
    guard_m: float = Field(50.0, ge=0.0, le=1e5, description="With --split block: leave out training photos within this many "
                                                             "metres of a validation photo.")


class ImportSettings(BaseModel):
    """How located photos become a dataset. The same settings and photos give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: SplitSettings = SplitSettings()
    max_side: int = Field(2048, ge=64, le=16384, description="Reduce photos to at most this many pixels on the longer side.")
    quality: int = Field(92, ge=1, le=100, description="JPEG quality (1 to 100) of photos that are encoded again.")
    views_per_panorama: int = Field(4, ge=1, le=36, description="Number of photos to cut from a panorama.")
    hfov_deg: float = Field(90.0, ge=20.0, le=130.0, description="Horizontal field of view of those photos in degrees.")
    crop_aspect: float = Field(16 / 9, ge=0.5, le=4.0, description="Width of those photos divided by their height.")
    max_hfov_deg: float = Field(100.0, ge=20.0, le=130.0, description="Widest horizontal field of view of an undistorted "
                                                                      "photo in degrees.")
    min_sharpness: float | None = Field(0.01, ge=0.0, description="Drop photos that are less sharp (blurred).")
    duplicate_m: float | None = Field(2.0, ge=0.0, le=1000.0, description="Of photos that look alike and were taken within "
                                                                          "this many metres, keep one.")
    duplicate_bits: int = Field(6, ge=0, le=32, description="Hashes of photos that look alike may differ in this many of 64 "
                                                            "bits.")
    min_side: int = Field(32, ge=16, description="Drop photos with fewer pixels on the shorter side.")
    view_pixels: int = Field(384, ge=16, le=8192, description="Width of the map views in pixels, as the model will use them. "
                             "Photos where the map level for these views has no tile are dropped.")
    shard_bytes: int = Field(1 << 30, ge=1 << 14, description="Start a new shard after this many bytes.")

"""Settings of an import: what is dropped, how photos are made, and how they are split."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SplitKind = Literal["photo", "sequence", "block"]


class SplitSettings(BaseModel):
    """How photos are shared out between training and validation.

    The choice hangs on the seed and on each photo's id, sequence or place alone, so that further photos do not
    move those that are there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SplitKind = Field("photo", description="what stays together: nothing, a sequence, or a square of ground")
    val_share: float = Field(0.1, gt=0.0, lt=1.0, description="share of photos, sequences or blocks for validation")
    seed: int = Field(0, ge=0, description="another number, another choice")
    block_m: float = Field(200.0, ge=1.0, le=1e6, description="side of the squares of kind 'block', metres")
    guard_m: float = Field(50.0, ge=0.0, le=1e5,
                           description="kind 'block': training photos nearer to a validation photo are left out, metres")


class ImportSettings(BaseModel):
    """How located photos become a dataset. The same settings and photos give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: SplitSettings = SplitSettings()
    max_side: int = Field(2048, ge=64, le=16384, description="larger photos are reduced to this many pixels a side")
    quality: int = Field(92, ge=1, le=100, description="JPEG quality of photos that are encoded anew")
    views_per_panorama: int = Field(4, ge=1, le=36, description="perspective photos cut from a panorama")
    hfov_deg: float = Field(90.0, ge=20.0, le=130.0, description="their horizontal field of view, degrees")
    crop_aspect: float = Field(16 / 9, ge=0.5, le=4.0, description="their width over their height")
    max_hfov_deg: float = Field(100.0, ge=20.0, le=130.0,
                                description="widest field of view of an undistorted photo, degrees")
    min_sharpness: float | None = Field(0.01, ge=0.0, description="less is blurred; None keeps all")
    duplicate_m: float | None = Field(2.0, ge=0.0, le=1000.0,
                                      description="photos that look alike and stand this near are one; None keeps all")
    duplicate_bits: int = Field(6, ge=0, le=32, description="bits of 64 that hashes of photos that look alike may differ in")
    min_side: int = Field(32, ge=16, description="photos with a shorter side are dropped, pixels")
    view_pixels: int = Field(384, ge=16, le=8192, description="edge of the views that the map must have data for")
    shard_bytes: int = Field(1 << 30, ge=1 << 14, description="a shard is closed at the first photo beyond this many bytes")

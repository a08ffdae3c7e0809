"""The settings of a synthetic town, which determine every byte of it."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST_WITHOUT_M = 640.0
"""Larger towns have districts unless their settings say otherwise."""


class CityConfig(BaseModel):
    """Which town to build and how many photos to take of it.

    The same settings give the same bytes, whatever `workers` is. A photo depends only on (seed, split, index) and the town,
    so the validation photos do not change with the number of training photos, and the first N photos of a larger split are
    those of a smaller one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, description="Number of the town; another number gives another town.")
    size_m: float = Field(320.0, ge=60.0, le=4000.0, description="Side of the square town in metres.")
    districts: bool = Field(default_factory=bool, description="Build districts that differ, with parks and squares in "
                                                              "proportion to the area. Default: yes above 640 m.")
    photos: int = Field(2000, ge=0, description="Number of training photos.")
    val_photos: int = Field(default_factory=int, ge=0, description="Number of validation photos. Default: a twentieth of "
                                                                   "--photos, at least one.")
    held_out: int = Field(0, ge=0, description="Number of extra photos for calibration, like the training photos but from "
                                               "other drives: the split held_out.")
    photo_width: int = Field(256, ge=32, le=4096, description="Width of a photo in pixels.")
    photo_height: int = Field(144, ge=32, le=4096, description="Height of a photo in pixels.")
    gsd_m: float = Field(0.125, ge=0.05, le=1.0, description="Metres per pixel of the overhead image at level 0.")
    grid: int = Field(4, ge=2, le=8, description="Cells per side at every zoom step.")
    depth: int = Field(3, ge=1, le=8, description="Number of zoom steps; the last cell is size / grid^depth wide.")
    split: Literal["drive", "block"] = Field("drive", description="How the splits differ: drive (other drives), or block "
                                                                  "(other drives in other places).")
    block_m: float = Field(40.0, ge=10.0, description="Side of a block of split 'block' in metres.")
    guard_m: float = Field(6.0, ge=0.0, description="Smallest distance between the splits of split 'block' in metres.")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Number of processes that render. "
                                                                                        "Default: one per core.")
    shard_bytes: int = Field(1 << 30, ge=1 << 16, description="Largest size of a TAR shard in bytes.")

    @model_validator(mode="before")
    @classmethod
    def _default_districts(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("districts") is None:
            size = values.get("size_m", 320.0)
            values = {**values, "districts": isinstance(size, int | float) and size > LARGEST_WITHOUT_M}
        return values

    @model_validator(mode="before")
    @classmethod
    def _default_val(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("val_photos") is None:
            photos = values.get("photos", 2000)
            values = dict(values)
            values["val_photos"] = max(1, photos // 20) if isinstance(photos, int) else 1
        return values
